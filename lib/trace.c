/* Events go two ways: to the sink at once, and as text into a buffer of the emitting thread, because emitting happens
 * under allocator locks and writing must not. hak_trace_flush, at the end of each slow path, writes the text and gives
 * the buffer back. */
#include "trace.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fmt.h"
#include "lock.h"
#include "log.h"
#include "os.h"

#define EVENT_ROW(name, group, line, n, ...) [HAK_EVENT_ID_##name] = {#name, line, HAK_GROUP_##group, n, __VA_ARGS__},
#define KIND_U 'U'
#define KIND_P 'P'
#define KIND_T 'T'
const struct hak_event_type hak_event_types[HAK_EVENT_ID_COUNT] = {
#define HAK_EVENT2(name, group, line, k1, a1, k2, a2) \
	EVENT_ROW(name, group, line, 2, {KIND_##k1, KIND_##k2}, {#a1, #a2})
#define HAK_EVENT3(name, group, line, k1, a1, k2, a2, k3, a3) \
	EVENT_ROW(name, group, line, 3, {KIND_##k1, KIND_##k2, KIND_##k3}, {#a1, #a2, #a3})
#define HAK_EVENT4(name, group, line, k1, a1, k2, a2, k3, a3, k4, a4) \
	EVENT_ROW(name, group, line, 4, {KIND_##k1, KIND_##k2, KIND_##k3, KIND_##k4}, {#a1, #a2, #a3, #a4})
#define HAK_EVENT5(name, group, line, k1, a1, k2, a2, k3, a3, k4, a4, k5, a5) \
	EVENT_ROW(name, group, line, 5, {KIND_##k1, KIND_##k2, KIND_##k3, KIND_##k4, KIND_##k5}, \
		{#a1, #a2, #a3, #a4, #a5})
#include "trace_events.def"
#undef HAK_EVENT2
#undef HAK_EVENT3
#undef HAK_EVENT4
#undef HAK_EVENT5
};

const char *const hak_trace_group_names[HAK_TRACE_GROUP_COUNT + 1] = {
#define X(name, text) text,
	HAK_TRACE_GROUPS(X)
#undef X
};

#if HAK_TRACE && defined(HAK_USDT)
/* The section is where tracers look for semaphores; it lies in the file, because the kernel counts in pages of it. */
__attribute__((section(".probes"))) union hak_trace_gate hak_trace_gates[HAK_TRACE_GROUP_COUNT] = {{0}};

/* Gives each group's semaphore a name, by counting through the gates, and each of its probes another one. */
__asm__(".set hak_gate_at, 0");
#define X(name, text) \
	__asm__(".set hak_semaphore_" #name ", hak_trace_gates + hak_gate_at + 2\n.set hak_gate_at, hak_gate_at + 4");
HAK_TRACE_GROUPS(X)
#undef X
#define HAK_EVENT2(name, group, ...) \
	__asm__(".globl hakmem_" #name "_semaphore\n.hidden hakmem_" #name "_semaphore\n" \
		".set hakmem_" #name "_semaphore, hak_semaphore_" #group);
#define HAK_EVENT3 HAK_EVENT2
#define HAK_EVENT4 HAK_EVENT2
#define HAK_EVENT5 HAK_EVENT2
#include "trace_events.def"
#undef HAK_EVENT2
#undef HAK_EVENT3
#undef HAK_EVENT4
#undef HAK_EVENT5
_Static_assert(offsetof(union hak_trace_gate, semaphore) == 2, "the names above count on it");
#else
union hak_trace_gate hak_trace_gates[HAK_TRACE_GROUP_COUNT];
#endif

static uint32_t sink_groups;
static uint32_t line_groups;
static const struct hak_sink *sink;
static HAK_TLS bool ticking;
HAK_TLS bool hak_trace_busy;

/* What a flush has to see to besides lines, in one word, so that looking costs one load. */
enum attention { ATTENTION_TICK = 1, ATTENTION_END = 2 /* some thread is to end the process, or was */ };
static uint32_t attention;
static HAK_TLS enum end_state { END_NONE, END_DUE, END_BEGUN } end_state;
static HAK_TLS int end_status;

/* What a slow path says while it holds locks: a depot batch that comes apart is the longest, some 250 lines. Only a
 * whole cache that is given back can say more; lines beyond the buffer are counted, and the count is printed. */
#define LINES_BYTES (64u << 10)
struct lines {
	struct lines *next; /* in the pool of free buffers */
	uint32_t used;
	uint32_t lost;
	char text[LINES_BYTES - 16];
};
/* Each line is preceded by its length and its group. A report is kept in its place among them, as it is. */
struct line_head {
	uint16_t length;
	uint16_t group;
};
#define LINE_IS_REPORT 0x8000u
_Static_assert((HAK_GROUP_ALL & LINE_IS_REPORT) == 0, "no group of events is taken for it");
_Static_assert(sizeof(struct lines) == LINES_BYTES, "a line buffer is whole pages");
_Static_assert(HAK_GROUP_ALL <= UINT16_MAX, "a line's group mask fits its head");

static struct hak_lock lines_lock = HAK_LOCK_INIT(HAK_RANK_LINES);
static struct lines *lines_pool; /* lines_lock */
static HAK_TLS struct lines *lines_mine;

/* Brings the gates in step with who listens, after one of these words has changed. Under a lock, as two threads may each
 * have seen the other's word from before: the gates are as whoever comes last sees them, which is all of it. */
static void update_gates(void)
{
	uint32_t groups;

	hak_lock_acquire(&lines_lock);
	groups = (hak_load_relaxed(&sink) ? hak_load_relaxed(&sink_groups) : 0) | hak_load_relaxed(&line_groups);
	for (unsigned i = 0; i < HAK_TRACE_GROUP_COUNT; i++)
		hak_store_relaxed(&hak_trace_gates[i].listens, (uint16_t)(groups >> i & 1));
	hak_lock_release(&lines_lock);
}

void hak_trace_set_sink(const struct hak_sink *new_sink)
{
	hak_store_release(&sink, new_sink); /* pairs with the acquire in hak_trace_sink */
	update_gates();
}

const struct hak_sink *hak_trace_sink(void)
{
	return hak_load_acquire(&sink);
}

void hak_trace_set_groups(uint32_t groups)
{
	hak_store_relaxed(&sink_groups, groups & HAK_GROUP_ALL);
	update_gates();
}

uint32_t hak_trace_groups(void)
{
	return hak_load_relaxed(&sink_groups);
}

void hak_trace_set_lines(uint32_t groups)
{
	hak_store_relaxed(&line_groups, groups & HAK_GROUP_ALL);
	update_gates();
}

uint32_t hak_trace_lines(void)
{
	return hak_load_relaxed(&line_groups);
}

void hak_trace_request_tick(bool on)
{
	if (on)
		hak_or_relaxed(&attention, (uint32_t)ATTENTION_TICK);
	else
		hak_and_relaxed(&attention, ~(uint32_t)ATTENTION_TICK);
}

/* Fills a {name} place of a line. Returns the text behind it. */
static const char *format_place(
	struct hak_fmt *fmt, const struct hak_event_type *type, const struct hak_event *event, const char *place)
{
	const char *end = strchr(place, '}');
	size_t length = (size_t)(end - place - 1);

	for (unsigned i = 0; i < type->args; i++) {
		if (strlen(type->arg[i]) != length || strncmp(type->arg[i], place + 1, length) != 0)
			continue;
		if (type->kind[i] == 'P')
			hak_fmt_hex(fmt, event->arg[i]);
		else
			hak_fmt_unsigned(fmt, event->arg[i]);
	}
	return end + 1;
}

size_t hak_trace_format_line(char *out, size_t size, const struct hak_event *event)
{
	const struct hak_event_type *type = &hak_event_types[event->id];
	struct hak_fmt fmt;

	hak_fmt_begin(&fmt, out, size);
	for (const char *p = type->line; *p;) {
		if (*p == '{')
			p = format_place(&fmt, type, event, p);
		else
			hak_fmt_char(&fmt, *p++);
	}
	return fmt.length;
}

static struct lines *lines_get(void)
{
	struct lines *lines;

	hak_lock_acquire(&lines_lock);
	lines = lines_pool;
	if (lines)
		lines_pool = lines->next;
	hak_lock_release(&lines_lock);
	if (!lines)
		lines = hak_os_map(sizeof(*lines));
	return lines;
}

static void lines_put(struct lines *lines)
{
	lines->used = lines->lost = 0;
	hak_lock_acquire(&lines_lock);
	lines->next = lines_pool;
	lines_pool = lines;
	hak_lock_release(&lines_lock);
}

/* Room for `length` bytes behind a head in this thread's buffer; NULL if there is none. */
static char *room(size_t length, uint32_t group)
{
	struct line_head head = {(uint16_t)length, (uint16_t)group};
	char *at;

	if (!lines_mine)
		lines_mine = lines_get();
	if (!lines_mine || lines_mine->used + sizeof(head) + length > sizeof(lines_mine->text))
		return NULL;
	at = lines_mine->text + lines_mine->used;
	memcpy(at, &head, sizeof(head));
	lines_mine->used += (uint32_t)(sizeof(head) + length);
	return at + sizeof(head);
}

void hak_trace_queue_line(const char *line, uint32_t group)
{
	size_t length = strlen(line) + 1; /* with the newline that takes the zero's place */
	char *at = room(length, group);

	if (at) {
		memcpy(at, line, length - 1);
		at[length - 1] = '\n';
	} else if (!group) {
		hak_log_line(line);
	} else if (lines_mine) {
		lines_mine->lost++;
	}
}

void hak_trace_queue_report(const struct hak_report_details *details)
{
	char *at = room(sizeof(*details), LINE_IS_REPORT);

	/* Without memory to keep it in it is written all the same: others may wait for a lock meanwhile, but a mistake must
	 * not pass in silence. */
	if (at)
		memcpy(at, details, sizeof(*details));
	else
		hak_log_line(details->line);
}

void hak_trace_emit(enum hak_event_id id, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	const struct hak_event_type *type = &hak_event_types[id];
	const struct hak_sink *to = hak_trace_sink();
	struct hak_event event = {.id = (uint16_t)id, .arg = {a, b, c, d, e}};

	/* Only a tracer's probe may have opened the gate, and it was passed already. */
	if (!((hak_load_relaxed(&sink_groups) | hak_load_relaxed(&line_groups)) & type->group))
		return;
	event.time_ns = hak_os_clock_ns();
	event.tid = (uint32_t)hak_os_tid();
	if (to && (hak_load_relaxed(&sink_groups) & type->group))
		to->event(&event);
	if (type->line[0] && (hak_load_relaxed(&line_groups) & type->group)) {
		char line[160];

		hak_trace_format_line(line, sizeof(line), &event);
		hak_trace_queue_line(line, type->group);
	}
}

static void give_report(const char *kept)
{
	const struct hak_sink *to = hak_trace_sink();
	struct hak_report_details details;

	memcpy(&details, kept, sizeof(details));
	if (!to || !to->report || hak_trace_busy) {
		hak_log_line(details.line);
		return;
	}
	hak_trace_busy = true;
	if (!details.stack && to->capture)
		details.stack = to->capture();
	to->report(&details);
	hak_trace_busy = false;
}

static void flush_lines(void)
{
	struct lines *lines = lines_mine;
	struct line_head head;

	/* Taken off first: should writing fail, nothing is written twice. */
	lines_mine = NULL;
	for (uint32_t at = 0; at < lines->used; at += (uint32_t)sizeof(head) + head.length) {
		memcpy(&head, lines->text + at, sizeof(head));
		if (head.group == LINE_IS_REPORT) {
			give_report(lines->text + at + sizeof(head));
			continue;
		}
		if (head.group && !(hak_load_relaxed(&line_groups) & head.group))
			continue; /* an earlier line of the group could not be written */
		if (!hak_log_write(lines->text + at + sizeof(head), head.length) && head.group) {
			hak_and_relaxed(&line_groups, ~(uint32_t)head.group);
			update_gates();
		}
	}
	if (lines->lost) {
		char text[80];
		struct hak_fmt fmt;

		hak_fmt_begin(&fmt, text, sizeof(text));
		hak_fmt_text(&fmt, "hakmem: ");
		hak_fmt_unsigned(&fmt, lines->lost);
		hak_fmt_text(&fmt, " debug lines lost: too many in one operation");
		hak_log_line(text);
	}
	lines_put(lines);
}

static void run_tick(void)
{
	const struct hak_sink *to = hak_trace_sink();

	if (!to || !to->tick || ticking)
		return;
	ticking = true;
	to->tick();
	ticking = false;
}

bool hak_trace_end(int status)
{
	if (end_state == END_BEGUN)
		return false;
	end_state = END_DUE;
	end_status = status;
	hak_or_relaxed(&attention, (uint32_t)ATTENTION_END);
	return true;
}

static HAK_COLD void attend(void)
{
	if (end_state == END_DUE && !hak_trace_busy) {
		end_state = END_BEGUN;
		if (end_status != HAK_TRACE_ABORT)
			_exit(end_status);
		abort();
	}
	if (hak_load_relaxed(&attention) & ATTENTION_TICK)
		run_tick();
}

void hak_trace_flush(void)
{
	if (HAK_UNLIKELY(lines_mine))
		flush_lines();
	if (HAK_UNLIKELY(hak_load_relaxed(&attention)))
		attend();
}

void hak_trace_fork_lock(void)
{
	hak_lock_acquire(&lines_lock);
}

void hak_trace_fork_unlock(void)
{
	hak_lock_release(&lines_lock);
}

bool hak_trace_text(const char *text)
{
	uint64_t word[HAK_EVENT_ARGS] = {0};

	memcpy(word, text, strnlen(text, HAK_TRACE_TEXT_MAX));
	hak_trace_mark(word[0], word[1], word[2], word[3], word[4]);
	hak_trace_flush();
	return HAK_TRACE && hak_trace_is_open(HAK_GROUP_INDEX_MARK);
}
