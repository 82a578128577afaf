#include "viewer/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/guard_report.h"

#define CLASSES_SHOWN 8
#define SPARSE_SHOWN 5
#define FRAMES_SHOWN 12
#define EVENTS_SHOWN 20
#define MOVING_SHOWN 8
#define TOLD_MAX 16
#define OVERFLOW_BYTES 65536 /* a fault so near to the stack pointer, where nothing is mapped */
#define TEXT_MAX 160

/* ---- Reading the document ---- */

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* A string made printable; "" where there is none. */
static const char *text_of(char out[TEXT_MAX], const cJSON *item)
{
	return format_printable(out, TEXT_MAX, cJSON_IsString(item) ? item->valuestring : "");
}

static uint64_t number_of(const cJSON *item)
{
	uint64_t value;
	return model_number(item, &value) ? value : 0;
}

/* An address; false where there is none. */
static bool address_of(const cJSON *item, uint64_t *value)
{
	char *end;
	if (!cJSON_IsString(item) || strncmp(item->valuestring, "0x", 2) != 0)
		return false;
	*value = strtoull(item->valuestring, &end, 16);
	return *end == '\0';
}

/* ---- Addresses ---- */

/* An address of the program as file+0x…, or as it is. */
static void print_place(FILE *out, const cJSON *document, uint64_t address)
{
	const cJSON *module;
	uint64_t base, end;
	char path[TEXT_MAX];
	cJSON_ArrayForEach(module, get(document, "modules")) {
		if (!address_of(get(module, "base"), &base) || !address_of(get(module, "end"), &end) || address < base ||
			address >= end)
			continue;
		const char *name = strrchr(text_of(path, get(module, "path")), '/');
		fprintf(out, "%s+0x%" PRIx64, name != NULL ? name + 1 : path, address - base);
		return;
	}
	fprintf(out, "0x%" PRIx64, address);
}

static bool lies_in_module(const cJSON *document, uint64_t address)
{
	const cJSON *module;
	uint64_t base, end;
	cJSON_ArrayForEach(module, get(document, "modules")) {
		if (address_of(get(module, "base"), &base) && address_of(get(module, "end"), &end) && address >= base && address < end)
			return true;
	}
	return false;
}

static const char *kind_in_words(const char *kind)
{
	static const char *const words[][2] = {
		{"foreign", "not HAKMEM's"},
		{"reserved", "in HAKMEM's address space, beyond what is in use"},
		{"unused", "in an UNUSED slot"},
		{"untouched", "a block that was never handed out"},
		{"free", "a freed block"},
		{"cached", "a freed block, in a cache"},
		{"live", "a live block"},
		{"tail", "behind the last block of a slab"},
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(kind, words[i][0]) == 0)
			return words[i][1];
	}
	return "unknown: the heap's records could not be read";
}

/* What guards knew, with symbols for its stacks. */
struct guarded {
	struct guards *guards; /* NULL: nothing */
	struct symbols *symbols;
	const struct guard_block *told[TOLD_MAX]; /* blocks whose stacks were printed */
	unsigned told_count;
};

static void open_guarded(struct guarded *guarded, const struct watch *watch, const cJSON *document, FILE *out)
{
	struct problem problem;
	*guarded = (struct guarded){.guards = NULL};
	if (!guards_are_in(document))
		return;
	guarded->guards = guards_parse(document, &problem);
	if (guarded->guards != NULL)
		guarded->symbols = symbols_open(guarded->guards->profile, &watch->where);
	else
		fprintf(out, "Guards     what they knew can't be read: %s\n", problem.text);
}

static void close_guarded(struct guarded *guarded)
{
	symbols_close(guarded->symbols);
	guards_free(guarded->guards);
}

/* The guarded block that an address is of, or near to; NULL: none. */
static const struct guard_block *guarded_block(const struct guarded *guarded, const cJSON *at)
{
	uint64_t begins;
	if (guarded->guards == NULL || !address_of(get(get(at, "guarded"), "address"), &begins))
		return NULL;
	return guards_block_at(guarded->guards, begins);
}

/* Its stacks, where it is named for the first time. */
static void print_guarded(FILE *out, struct guarded *guarded, const struct guard_block *block)
{
	for (unsigned i = 0; i < guarded->told_count; i++) {
		if (guarded->told[i] == block)
			return;
	}
	if (guarded->told_count < TOLD_MAX)
		guarded->told[guarded->told_count++] = block;
	guard_report_block(out, guarded->guards, guarded->symbols, block, 13);
}

/* What the heap knows of an address: "24 bytes into a live block of 3072 bytes at 0x… (…)". */
static void print_whereabouts(FILE *out, struct guarded *guarded, const cJSON *at)
{
	char kind[TEXT_MAX], block[TEXT_MAX], superslab[TEXT_MAX], state[TEXT_MAX], where[GUARD_WORDS];
	const struct guard_block *guard = guarded_block(guarded, at);
	uint64_t address;
	text_of(kind, get(at, "kind"));
	if (guard != NULL && address_of(get(at, "address"), &address)) {
		fprintf(out, "%s", guard_words_where(where, address, guard));
	} else if (!cJSON_IsString(get(at, "block"))) {
		fprintf(out, "%s", kind_in_words(kind));
	} else {
		bool large = cJSON_IsNull(get(at, "class"));
		fprintf(out, "%" PRIu64 " bytes into %s of %" PRIu64 " bytes at %s%s", number_of(get(at, "offset")), kind_in_words(kind),
			number_of(get(at, "block_bytes")), text_of(block, get(at, "block")), large ? ", a large allocation" : "");
		if (!large)
			fprintf(out, ", class %" PRIu64 ", block %" PRIu64 " of its slab", number_of(get(at, "class")),
				number_of(get(at, "number")));
	}
	if (cJSON_IsString(get(at, "ss")))
		fprintf(out, " (SuperSlab %s, slot %" PRIu64 ", %s)", text_of(superslab, get(at, "ss")), number_of(get(at, "slot")),
			text_of(state, get(at, "state")));
	fputc('\n', out);
	if (guard != NULL)
		print_guarded(out, guarded, guard);
}

/* ---- The crash ---- */

/* Whether the faulting address lies near the stack pointer, where no memory is to be had. */
static bool is_stack_overflow(const cJSON *crash, uint64_t address)
{
	const cJSON *permissions = get(get(crash, "mapping"), "permissions");
	uint64_t sp;
	if (!address_of(get(crash, "sp"), &sp) || strcmp(cJSON_IsString(get(crash, "name")) ? get(crash, "name")->valuestring : "", "SIGSEGV") != 0)
		return false;
	if (cJSON_IsString(permissions) && strncmp(permissions->valuestring, "---", 3) != 0)
		return false;
	return address < sp ? sp - address < OVERFLOW_BYTES : address - sp < OVERFLOW_BYTES;
}

static void print_address(FILE *out, struct guarded *guarded, const cJSON *crash)
{
	const cJSON *mapping = get(crash, "mapping");
	char text[TEXT_MAX], path[TEXT_MAX], permissions[TEXT_MAX], code[TEXT_MAX];
	uint64_t address;
	if (!address_of(get(crash, "address"), &address)) {
		bool unknown = strcmp(text_of(code, get(crash, "code_name")), "SI_KERNEL") == 0;
		fprintf(out, "Address    %s\n", unknown ? "the processor doesn't tell: one that is not canonical" : "none");
		return;
	}
	fprintf(out, "Address    0x%" PRIx64, address);
	if (cJSON_IsString(get(crash, "access")))
		fprintf(out, " (%s)", text_of(text, get(crash, "access")));
	fprintf(out, ": ");
	print_whereabouts(out, guarded, get(crash, "heap"));
	if (is_stack_overflow(crash, address))
		fprintf(out, "           probably a stack overflow: the stack pointer is near it, and nothing there can be read\n");
	if (cJSON_IsObject(mapping))
		fprintf(out, "           mapped %s %s\n", text_of(permissions, get(mapping, "permissions")), text_of(path, get(mapping, "path")));
	else
		fprintf(out, "           nothing is mapped there\n");
}

/* Words on the stack that point into code's files: return addresses, and what looks like them. */
static void print_stack(FILE *out, const cJSON *document, const cJSON *stack)
{
	const cJSON *word;
	uint64_t value;
	int shown = 0;
	cJSON_ArrayForEach(word, get(stack, "words")) {
		if (!address_of(word, &value) || !lies_in_module(document, value) || shown == FRAMES_SHOWN)
			continue;
		fprintf(out, shown++ == 0 ? "Stack      " : "           ");
		print_place(out, document, value);
		fputc('\n', out);
	}
}

static void print_crash(FILE *out, struct guarded *guarded, const cJSON *document, const cJSON *crash)
{
	const cJSON *pointer;
	char name[TEXT_MAX], code[TEXT_MAX], thread[TEXT_MAX];
	uint64_t pc;
	fprintf(out, "Signal     %s", text_of(name, get(crash, "name")));
	if (*text_of(code, get(crash, "code_name")) != '\0')
		fprintf(out, " (%s)", code);
	if (cJSON_IsNumber(get(crash, "sender")))
		fprintf(out, " sent by process %" PRIu64, number_of(get(crash, "sender")));
	fprintf(out, ", in thread %" PRIu64 " %s\n", number_of(get(crash, "tid")), text_of(thread, get(crash, "thread")));
	print_address(out, guarded, crash);
	if (address_of(get(crash, "pc"), &pc)) {
		fprintf(out, "At         ");
		print_place(out, document, pc);
		fputc('\n', out);
	}
	cJSON_ArrayForEach(pointer, get(crash, "pointers")) {
		fprintf(out, "%-10.10s %s: ", text_of(name, get(pointer, "register")), text_of(code, get(pointer, "address")));
		print_whereabouts(out, guarded, pointer);
	}
	print_stack(out, document, get(crash, "stack"));
}

/* ---- The heap ---- */

static const struct class_row *class_of(const struct snapshot *snapshot, unsigned class)
{
	for (size_t i = 0; i < snapshot->class_count; i++) {
		if (snapshot->classes[i].class == class)
			return &snapshot->classes[i];
	}
	return NULL;
}

static int by_live_bytes(const void *a, const void *b)
{
	const struct class_row *left = a, *right = b;
	uint64_t live[2] = {left->live_blocks * left->block_bytes, right->live_blocks * right->block_bytes};
	return live[0] < live[1] ? 1 : live[0] > live[1] ? -1 : 0;
}

static void print_classes(FILE *out, const struct snapshot *snapshot)
{
	struct class_row *rows = malloc((snapshot->class_count + 1) * sizeof(*rows));
	char live[FORMAT_MAX], cached[FORMAT_MAX];
	if (rows == NULL)
		return;
	memcpy(rows, snapshot->classes, snapshot->class_count * sizeof(*rows));
	qsort(rows, snapshot->class_count, sizeof(*rows), by_live_bytes);
	fprintf(out, "\nTop classes  block bytes   live blocks    live  cached   slabs   EMPTY\n");
	for (size_t i = 0; i < snapshot->class_count && i < CLASSES_SHOWN && rows[i].live_blocks > 0; i++)
		fprintf(out, "%11" PRIu64 "  %11" PRIu64 "  %12" PRIu64 "  %6s  %6s  %6" PRIu64 "  %6" PRIu64 "\n", rows[i].class,
			rows[i].block_bytes, rows[i].live_blocks, format_bytes(live, rows[i].live_blocks * rows[i].block_bytes),
			format_bytes(cached, rows[i].cached_blocks * rows[i].block_bytes), rows[i].slabs, rows[i].empty_slots);
	free(rows);
}

/* Bytes of a SuperSlab in blocks that are handed out. */
static uint64_t used_bytes(const struct snapshot *snapshot, const struct superslab *superslab)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct slot *slot = &superslab->slots[i];
		const struct class_row *class = slot->class == SLOT_NO_CLASS ? NULL : class_of(snapshot, slot->class);
		if (slot->state == SLOT_ACTIVE && class == NULL)
			bytes += snapshot->geometry.slot_bytes;
		else if (slot->state == SLOT_ACTIVE)
			bytes += slot->used * class->block_bytes;
	}
	return bytes;
}

struct sparse {
	const struct superslab *superslab;
	uint64_t used;
};

static int by_used(const void *a, const void *b)
{
	const struct sparse *left = a, *right = b;
	return left->used < right->used ? -1 : left->used > right->used ? 1 : 0;
}

static void print_sparse(FILE *out, const struct snapshot *snapshot)
{
	struct sparse *rows = malloc((snapshot->superslab_count + 1) * sizeof(*rows));
	size_t count = 0;
	char used[FORMAT_MAX], share[FORMAT_MAX];
	if (rows == NULL)
		return;
	for (size_t i = 0; i < snapshot->superslab_count; i++) {
		if (!snapshot->superslabs[i].in_lru)
			rows[count++] = (struct sparse){&snapshot->superslabs[i], used_bytes(snapshot, &snapshot->superslabs[i])};
	}
	qsort(rows, count, sizeof(*rows), by_used);
	fprintf(out, "\nSparse SuperSlabs (of %zu in use)  active slots    used   share\n", count);
	for (size_t i = 0; i < count && i < SPARSE_SHOWN; i++)
		fprintf(out, "0x%-29" PRIx64 "   %12u  %6s  %6s\n", rows[i].superslab->address, rows[i].superslab->active_slots,
			format_bytes(used, rows[i].used), format_percent(share, rows[i].used, snapshot->geometry.superslab_bytes));
	free(rows);
}

static void print_events(FILE *out, const struct watch *watch)
{
	size_t first = watch->events.count > EVENTS_SHOWN ? watch->events.count - EVENTS_SHOWN : 0;
	fprintf(out, "\nLast events  (%zu of %zu; %" PRIu64 " lost)\n", watch->events.count - first, watch->events.count,
		watch->snapshot->trace.lost);
	for (size_t i = first; i < watch->events.count; i++) {
		const struct event *event = events_at(&watch->events, i);
		double seconds = event->time_us > watch->snapshot->time_us ? 0 : (double)(watch->snapshot->time_us - event->time_us) / 1e6;
		fprintf(out, "%11.6f  %7" PRIu64 "  %-14s %s\n", -seconds, event->tid, event->name, event->arguments);
	}
}

/* ---- Sums ---- */

struct sums {
	FILE *out;
	unsigned wrong;
};

/* Prints a sum that doesn't hold. */
static void __attribute__((format(printf, 4, 5))) compare(struct sums *sums, uint64_t rows, uint64_t figure, const char *what, ...)
{
	va_list arguments;
	if (rows == figure)
		return;
	if (sums->wrong++ == 0)
		fprintf(sums->out, "\nSums that don't hold\n");
	fprintf(sums->out, "  ");
	va_start(arguments, what);
	vfprintf(sums->out, what, arguments);
	va_end(arguments);
	fprintf(sums->out, ": the slot map says %" PRIu64 ", the count is %" PRIu64 "\n", rows, figure);
}

static void compare_class(struct sums *sums, const struct snapshot *snapshot, const struct class_row *class)
{
	uint64_t slabs = 0, empty = 0, overfull = 0;
	for (size_t s = 0; s < snapshot->superslab_count; s++) {
		for (unsigned i = 0; i < MODEL_SLOTS; i++) {
			const struct slot *slot = &snapshot->superslabs[s].slots[i];
			if (slot->class != class->class)
				continue;
			slabs += slot->state == SLOT_ACTIVE && slot->span > 0;
			empty += slot->state == SLOT_EMPTY;
			overfull += slot->used > slot->capacity;
		}
	}
	compare(sums, slabs, class->slabs, "slabs of class %" PRIu64, class->class);
	compare(sums, empty, class->empty_slots, "EMPTY slots of class %" PRIu64, class->class);
	compare(sums, overfull, 0, "slabs of class %" PRIu64 " with more blocks than they hold", class->class);
}

static unsigned compare_all(FILE *out, const struct snapshot *snapshot)
{
	struct sums sums = {out, 0};
	uint64_t in_lru = 0, empty = 0;
	for (size_t s = 0; s < snapshot->superslab_count; s++) {
		const struct superslab *superslab = &snapshot->superslabs[s];
		uint64_t active = 0;
		for (unsigned i = 0; i < MODEL_SLOTS; i++) {
			active += superslab->slots[i].state == SLOT_ACTIVE;
			empty += superslab->slots[i].state == SLOT_EMPTY;
		}
		in_lru += superslab->in_lru;
		compare(&sums, active, superslab->active_slots, "ACTIVE slots of 0x%" PRIx64, superslab->address);
	}
	compare(&sums, snapshot->superslab_count - in_lru, snapshot->pool.superslabs, "SuperSlabs in use");
	compare(&sums, in_lru, snapshot->lru.length, "SuperSlabs in the LRU cache");
	compare(&sums, empty, snapshot->pool.empty_slots, "EMPTY slots");
	for (size_t i = 0; i < snapshot->class_count; i++)
		compare_class(&sums, snapshot, &snapshot->classes[i]);
	return sums.wrong;
}

/* Names what the dump itself says is not to be relied on. Returns whether anything is missing. */
static bool print_doubts(FILE *out, const cJSON *document)
{
	const cJSON *item;
	char text[TEXT_MAX];
	unsigned moving = 0, parts = 0;
	cJSON_ArrayForEach(item, get(document, "superslabs")) {
		if (!cJSON_IsTrue(get(item, "in_motion")) || moving++ >= MOVING_SHOWN)
			continue;
		fprintf(out, "%s%s", moving == 1 ? "\nSuperSlabs in motion: " : ", ", text_of(text, get(item, "ss")));
	}
	if (moving > MOVING_SHOWN)
		fprintf(out, " and %u more", moving - MOVING_SHOWN);
	cJSON_ArrayForEach(item, get(document, "incomplete")) {
		fprintf(out, "%s%s", parts++ == 0 ? "\nThe dump is incomplete; what crashed while it was written: " : ", ", text_of(text, item));
	}
	if (moving > 0 || parts > 0)
		fputc('\n', out);
	return parts > 0;
}

bool report_heap(FILE *out, const struct watch *watch, const cJSON *document)
{
	const struct snapshot *snapshot = watch->snapshot;
	const cJSON *crash = get(document, "crash"), *refused = get(document, "refused");
	char text[FORMAT_MAX], live[FORMAT_MAX], committed[FORMAT_MAX], resident[FORMAT_MAX], name[TEXT_MAX];
	char words[GUARD_WORDS];
	struct guarded guarded;
	fprintf(out, "Program    %s, process %" PRIu64 ", up %s%s%s\n", snapshot->process.exe, snapshot->process.pid,
		format_clock(text, snapshot->uptime_us), snapshot->is_dump ? "; dump: " : "",
		snapshot->is_dump ? format_printable(name, sizeof(name), snapshot->reason) : "");
	if (cJSON_IsObject(refused))
		fprintf(out, "Refused    %" PRIu64 " bytes, in thread %" PRIu64 "\n", number_of(get(refused, "bytes")), number_of(get(refused, "tid")));
	open_guarded(&guarded, watch, document, out);
	if (cJSON_IsObject(get(document, "report"))) {
		char text_of_report[TEXT_MAX], address[TEXT_MAX];
		fprintf(out, "Reported   %s: %s, ", text_of(text_of_report, get(get(document, "report"), "text")),
			text_of(address, get(get(document, "report"), "address")));
		print_whereabouts(out, &guarded, get(document, "report"));
	}
	if (cJSON_IsObject(crash))
		print_crash(out, &guarded, document, crash);
	fprintf(out, "Memory     live %s, committed %s, resident %s\n", format_bytes(live, snapshot->memory.live_bytes),
		format_bytes(committed, snapshot->memory.committed_bytes), format_bytes(resident, snapshot->memory.resident_bytes));
	if (guard_matters(snapshot))
		fprintf(out, "Guards     %s\n", guard_words_level(words, snapshot));
	if (guarded.guards != NULL && guarded.guards->report_count > 0) {
		fprintf(out, "\nMistakes that were reported\n");
		guard_report_text(out, guarded.guards, guarded.symbols);
	}
	close_guarded(&guarded);
	print_classes(out, snapshot);
	print_sparse(out, snapshot);
	if (snapshot->is_dump)
		print_events(out, watch);
	bool incomplete = print_doubts(out, document);
	unsigned wrong = compare_all(out, snapshot);
	if (wrong == 0 && !incomplete)
		fprintf(out, "\nThe sums hold.\n");
	return wrong == 0 && !incomplete;
}
