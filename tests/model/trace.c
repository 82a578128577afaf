/* Who listens (lib/trace.c): the gates are as the sink's groups and the debug lines' say in the end, whichever threads have
 * changed them, and whoever finds the sink finds all of it. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/model/atomic.h"

#undef HAK_TLS
#define HAK_TLS __attribute__((section("model_tls")))
#define SPINS 1
#define syscall(number, word, operation, value, ...) model_futex(word, operation, value)
#include "lib/lock.c"
#undef syscall

#include "lib/os.h"

#define hak_os_clock_ns() 1
#define hak_os_tid() 1
#include "lib/trace.c"

static void take(const struct hak_event *event);

static struct hak_sink made;
static char contents; /* stands for what the sink's functions use */
static uint32_t taken;

static void setup(void)
{
	memset(hak_trace_gates, 0, sizeof(hak_trace_gates));
	lines_lock = (struct hak_lock)HAK_LOCK_INIT(HAK_RANK_LINES);
	sink_groups = line_groups = attention = taken = 0;
	made = (struct hak_sink){.event = take};
	sink = &made;
}

static void setup_without_sink(void)
{
	setup();
	sink = NULL;
	sink_groups = HAK_GROUP_MARK;
	update_gates();
}

/* As a client's subscription does. */
static void listen(void)
{
	hak_trace_set_groups(HAK_GROUP_MARK);
}

static void listen_no_longer(void)
{
	hak_trace_set_groups(0);
}

static void print(void)
{
	hak_trace_set_lines(HAK_GROUP_MARK);
}

/* As flush_lines does where a line could not be written. */
static void print_no_longer(void)
{
	hak_and_relaxed(&line_groups, ~(uint32_t)HAK_GROUP_MARK);
	update_gates();
}

static void setup_printing(void)
{
	setup();
	line_groups = HAK_GROUP_MARK;
	update_gates();
}

static void setup_listening(void)
{
	setup();
	sink_groups = HAK_GROUP_MARK;
	update_gates();
}

static void check_open(void)
{
	model_require(hak_trace_is_open(HAK_GROUP_INDEX_MARK), "a gate that somebody wants is open");
	model_require(!hak_trace_is_open(HAK_GROUP_INDEX_LRU), "and no other");
}

static void check_closed(void)
{
	model_require(!hak_trace_is_open(HAK_GROUP_INDEX_MARK), "a gate that nobody wants is closed");
}

/* ---- The sink appears while another thread emits ---- */

static void take(const struct hak_event *event)
{
	model_plain(&contents);
	taken += event->id == HAK_EVENT_ID_mark;
}

static void appear(void)
{
	model_plain(&contents);
	hak_trace_set_sink(&made);
}

static void emit(void)
{
	hak_trace_emit(HAK_EVENT_ID_mark, 0, 0, 0, 0, 0);
}

static void check_sink(void)
{
	model_require(taken <= 1, "an event comes once");
	check_open();
}

int main(void)
{
	static const struct model models[] = {
		{"one listens, another prints", setup, {listen, print}, check_open, {0}},
		{"one listens, lines can't be written", setup_printing, {listen, print_no_longer}, check_open, {0}},
		{"both end", setup_printing, {listen_no_longer, print_no_longer}, check_closed, {0}},
		{"one ends, another begins", setup_listening, {listen_no_longer, print}, check_open, {0}},
		{"a sink appears", setup_without_sink, {appear, emit}, check_sink, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"lock_wait", 0, NULL, 0, "the lock's own model is lock.c"},
		{"lock_wait", 1, NULL, 0, "the lock's own model is lock.c"},
		{0},
	};

	return model_main(models, spares);
}
