#include "introspect/openmetrics.h"

#include <string.h>

#include "introspect/protocol.h"
#include "lib/stats.h"

#define PREFIX "hakmem_"

struct writer {
	struct hak_buffer *out;
	bool failed;
	char labels[640]; /* of every sample: a pid and a file's name, each byte of it perhaps escaped */
};

static void put(struct writer *writer, const char *text)
{
	if (!writer->failed)
		writer->failed = !hak_buffer_append(writer->out, text, strlen(text));
}

static void put_number(struct writer *writer, uint64_t number)
{
	char digits[24];
	struct hak_protocol_text text = {digits, sizeof(digits), 0, false};

	hak_protocol_put_number(&text, number);
	put(writer, digits);
}

/* The value of a label: quotes, backslashes and newlines are escaped. */
static void put_escaped(struct hak_protocol_text *out, const char *text)
{
	for (; *text; text++) {
		char byte[2] = {*text};

		if (*text == '\n')
			byte[0] = 'n';
		if (*text == '"' || *text == '\\' || *text == '\n')
			hak_protocol_put(out, "\\");
		hak_protocol_put(out, byte);
	}
}

static void make_labels(struct writer *writer, const struct hak_snapshot *snapshot)
{
	struct hak_protocol_text text = {writer->labels, sizeof(writer->labels), 0, false};
	const char *slash = strrchr(snapshot->exe, '/');

	hak_protocol_put(&text, "pid=\"");
	hak_protocol_put_number(&text, (uint64_t)snapshot->pid);
	hak_protocol_put(&text, "\",program=\"");
	put_escaped(&text, slash ? slash + 1 : snapshot->exe);
	hak_protocol_put(&text, "\"");
	_Static_assert(sizeof(writer->labels) >= 2 * 255 + 64, "a file's name fits");
}

static bool is_bytes(const char *name)
{
	static const char unit[] = "_bytes";
	size_t length = strlen(name);

	return length > sizeof(unit) - 1 && strcmp(name + length - (sizeof(unit) - 1), unit) == 0;
}

/* What stands above a family's samples. */
static void family(struct writer *writer, const char *name, bool is_counter, const char *help)
{
	put(writer, "# TYPE " PREFIX);
	put(writer, name);
	put(writer, is_counter ? " counter\n" : " gauge\n");
	if (is_bytes(name)) {
		put(writer, "# UNIT " PREFIX);
		put(writer, name);
		put(writer, " bytes\n");
	}
	put(writer, "# HELP " PREFIX);
	put(writer, name);
	put(writer, " ");
	put(writer, help);
	put(writer, "\n");
}

/* Up to the sample's own labels, if it has any. */
static void sample(struct writer *writer, const char *name, bool is_counter)
{
	put(writer, PREFIX);
	put(writer, name);
	put(writer, is_counter ? "_total{" : "{");
	put(writer, writer->labels);
}

static void value(struct writer *writer, uint64_t number)
{
	put(writer, "} ");
	put_number(writer, number);
	put(writer, "\n");
}

static void scalar(struct writer *writer, const char *name, bool is_counter, const char *help, uint64_t number)
{
	family(writer, name, is_counter, help);
	sample(writer, name, is_counter);
	value(writer, number);
}

static void gauge(struct writer *writer, const char *name, const char *help, uint64_t number)
{
	scalar(writer, name, false, help, number);
}

static void counter(struct writer *writer, const char *name, const char *help, uint64_t number)
{
	scalar(writer, name, true, help, number);
}

static void write_memory(struct writer *writer, const struct hak_snapshot *snapshot)
{
	const struct hak_inspect *heap = &snapshot->heap;

	gauge(writer, "reserved_bytes", "address space set aside for SuperSlabs", heap->reserved_bytes);
	gauge(writer, "committed_bytes", "bytes of it that are readable and writable", heap->committed_bytes);
	gauge(writer, "resident_bytes", "resident pages of the whole process", snapshot->resident_bytes);
	gauge(writer, "live_bytes", "blocks and large allocations that the program has", heap->live_bytes);
	gauge(writer, "cached_bytes", "free blocks in threads' lists and between threads", heap->cached_bytes);
	gauge(writer, "slack_bytes", "the rest of the slots in use", heap->slack_bytes);
	gauge(writer, "large_bytes", "large allocations, part of live_bytes", heap->large_bytes);
	gauge(writer, "metadata_bytes", "what HAKMEM manages the heap with", heap->metadata_bytes);
	gauge(writer, "introspect_bytes", "what introspection has mapped", snapshot->own_bytes);
	gauge(writer, "superslabs", "SuperSlabs in use", heap->superslabs_in_use);
	gauge(writer, "lru_superslabs", "SuperSlabs in the LRU cache", heap->lru_length);
	gauge(writer, "empty_slots", "slots that are EMPTY", heap->empty_slots);
	gauge(writer, "threads", "living threads that have allocated or freed", heap->thread_count);
	counter(writer, "large_allocs", "large allocations", heap->large_allocs);
	counter(writer, "large_frees", "large allocations freed", heap->large_frees);
#define HAK_STAT(name, meaning) counter(writer, #name, meaning, heap->stats.name);
#include "lib/stats.def"
#undef HAK_STAT
}

/* The families of size classes: what each shows of a class. */
enum { COUNTER = true, GAUGE = false };
#define CLASS_FAMILIES(X) \
	X(allocs, COUNTER, "blocks handed to the program") \
	X(frees, COUNTER, "blocks that it gave back") \
	X(live_blocks, GAUGE, "allocs - frees") \
	X(cached_blocks, GAUGE, "free blocks in threads' lists and between threads") \
	X(slabs, GAUGE, "slabs in use")

static void class_sample(
	struct writer *writer, const char *name, bool is_counter, unsigned number, const struct hak_class_info *class)
{
	sample(writer, name, is_counter);
	put(writer, ",class=\"");
	put_number(writer, number);
	put(writer, "\",block_bytes=\"");
	put_number(writer, class->block_bytes);
	put(writer, "\"");
}

/* Of classes that nothing was ever allocated from there is nothing to say. */
static void write_classes(struct writer *writer, const struct hak_inspect *heap)
{
#define X(field, is_counter, help) \
	family(writer, "class_" #field, is_counter, help); \
	for (unsigned i = 0; i < HAK_CLASS_COUNT; i++) { \
		if (!heap->classes[i].allocs) \
			continue; \
		class_sample(writer, "class_" #field, is_counter, i, &heap->classes[i]); \
		value(writer, heap->classes[i].field); \
	}
	CLASS_FAMILIES(X)
#undef X
	family(writer, "class_refills", true, "refills of threads' lists, by where the blocks came from");
	for (unsigned i = 0; i < HAK_CLASS_COUNT; i++) {
		const struct hak_class_info *class = &heap->classes[i];

		if (!class->allocs)
			continue;
#define X(stage) \
	class_sample(writer, "class_refills", true, i, class); \
	put(writer, ",stage=\"" #stage "\""); \
	value(writer, class->stage);
		X(depot) X(stage1) X(stage2) X(stage3)
#undef X
	}
}

static void write_guard(struct writer *writer, const struct hak_guard_counts *guard)
{
	gauge(writer, "guard_level", "what is guarded: 0 nothing, 1 samples, 2 every block", guard->choice.level);
	gauge(writer, "guard_rate", "mallocs between two guarded samples on the average", guard->choice.rate);
	gauge(writer, "guard_slots", "places for guarded samples", guard->slots);
	gauge(writer, "guard_armed", "of them, those that hold a live block", guard->armed);
	counter(writer, "guard_taken", "blocks that were guarded", guard->taken);
	counter(writer, "guard_lost", "blocks that were chosen and stayed ordinary", guard->lost);
	gauge(writer, "guard_quarantined_blocks", "freed blocks that are kept from being used again", guard->quarantined_blocks);
	gauge(writer, "guard_quarantined_bytes", "their bytes", guard->quarantined_bytes);
	counter(writer, "guard_checked", "patterns that were verified", guard->checked);
}

static void write_endpoint(
	struct writer *writer, const struct hak_snapshot *snapshot, const struct hak_endpoint_stats *endpoint)
{
	counter(writer, "trace_events", "events emitted", snapshot->trace.emitted);
	counter(writer, "trace_lost", "events that found no ring", snapshot->trace.unrecorded);
	counter(writer, "trace_overwritten", "recorded events that gave way to newer ones", snapshot->trace.overwritten);
	gauge(writer, "endpoint_clients", "connections of the endpoint", endpoint->clients);
	counter(writer, "endpoint_connections", "connections accepted", endpoint->connections);
	counter(writer, "endpoint_requests", "request lines", endpoint->requests);
	counter(writer, "endpoint_errors", "requests answered with an error", endpoint->errors);
	counter(writer, "endpoint_snapshots", "snapshots taken", endpoint->snapshots);
	counter(writer, "endpoint_dropped_snapshots", "snapshots that were due and not sent", endpoint->dropped_snapshots);
	counter(writer, "endpoint_disconnected", "clients thrown out as they took nothing, or were idle where others came", endpoint->disconnected);
	counter(writer, "endpoint_sent_bytes", "bytes sent", endpoint->bytes_sent);
}

bool hak_openmetrics_write(
	struct hak_buffer *out, const struct hak_snapshot *snapshot, const struct hak_endpoint_stats *endpoint)
{
	size_t before = out->length;
	struct writer writer = {.out = out};

	make_labels(&writer, snapshot);
	write_memory(&writer, snapshot);
	write_classes(&writer, &snapshot->heap);
	write_guard(&writer, &snapshot->guard);
	write_endpoint(&writer, snapshot, endpoint);
	put(&writer, "# EOF\n");
	if (writer.failed)
		out->length = before;
	return !writer.failed;
}
