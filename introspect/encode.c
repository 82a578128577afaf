#include "introspect/encode.h"

#include <string.h>

#include "introspect/encode_guard.h"

#define REQUEST_SHOWN 200 /* bytes of a request that an error message repeats */

static const char *const error_codes[] = {
#define X(code, meaning) #code,
	HAK_PROTOCOL_ERRORS(X)
#undef X
};

static void type(struct hak_json *json, const char *name)
{
	hak_json_object(json);
	hak_json_member_string(json, "type", name);
}

/* Opens an object as the member `name`. */
static void section(struct hak_json *json, const char *name)
{
	hak_json_key(json, name);
	hak_json_object(json);
}

/* Opens an array as the member `name`. */
static void list(struct hak_json *json, const char *name)
{
	hak_json_key(json, name);
	hak_json_array(json);
}

#define MEMBER(record, field) hak_json_member_u64(json, #field, (record)->field)

void hak_encode_hello(struct hak_json *json, int32_t pid, uint64_t start_time, const char *exe)
{
	type(json, HAK_TYPE_HELLO);
	hak_json_member_u64(json, HAK_HELLO_PROTOCOL, HAK_PROTOCOL_VERSION);
	hak_json_member_string(json, HAK_HELLO_VERSION, HAKMEM_VERSION);
	hak_json_member_u64(json, HAK_HELLO_PID, (uint64_t)pid);
	hak_json_member_u64(json, HAK_HELLO_START_TIME, start_time);
	hak_json_member_string(json, HAK_HELLO_EXE, exe);
	list(json, HAK_HELLO_CAPABILITIES);
	for (unsigned verb = 0; verb < HAK_VERB_COUNT; verb++)
		hak_json_string(json, hak_protocol_verb_name((enum hak_protocol_verb)verb));
	if (HAK_TRACE)
		hak_json_string(json, "events");
	hak_json_end(json);
	hak_json_end(json);
}

static void encode_process(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	hak_json_object(json);
	hak_json_member_u64(json, "pid", (uint64_t)snapshot->pid);
	hak_json_member_u64(json, "ppid", (uint64_t)snapshot->ppid);
	hak_json_member_u64(json, "start_time", snapshot->stat.start_time);
	hak_json_member_string(json, "exe", snapshot->exe);
	hak_json_member_string(json, "cmdline", snapshot->cmdline);
	hak_json_member_u64(json, "threads", snapshot->stat.threads);
	hak_json_end(json);
}

static void encode_geometry(struct hak_json *json, const struct hak_inspect *heap)
{
	section(json, "geometry");
	hak_json_member_u64(json, "superslab_bytes", HAK_SS_BYTES);
	hak_json_member_u64(json, "slot_bytes", HAK_SLOT_BYTES);
	hak_json_member_u64(json, "slots_per_superslab", HAK_SLOTS_PER_SS);
	list(json, "classes");
	for (unsigned i = 0; i < HAK_CLASS_COUNT; i++) {
		hak_json_object(json);
		hak_json_member_u64(json, "class", i);
		MEMBER(&heap->classes[i], block_bytes);
		MEMBER(&heap->classes[i], slots_per_slab);
		hak_json_end(json);
	}
	hak_json_end(json);
	hak_json_end(json);
}

static void encode_memory(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	const struct hak_inspect *heap = &snapshot->heap;

	hak_json_object(json);
	MEMBER(heap, reserved_bytes);
	MEMBER(heap, committed_bytes);
	MEMBER(snapshot, resident_bytes);
	MEMBER(heap, live_bytes);
	MEMBER(heap, cached_bytes);
	MEMBER(heap, slack_bytes);
	MEMBER(heap, large_bytes);
	MEMBER(heap, metadata_bytes);
	MEMBER(&heap->stats, purged_bytes);
	hak_json_member_u64(json, "introspect_bytes", snapshot->own_bytes);
	hak_json_end(json);
}

static void encode_stages(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	const struct hak_inspect *heap = &snapshot->heap;
	struct hak_class_info sum = {0};

	for (unsigned i = 0; i < HAK_CLASS_COUNT; i++) {
		sum.depot += heap->classes[i].depot;
		sum.stage1 += heap->classes[i].stage1;
		sum.stage2 += heap->classes[i].stage2;
		sum.stage3 += heap->classes[i].stage3;
		sum.converted += heap->classes[i].converted;
		sum.from_lru += heap->classes[i].from_lru;
	}
	hak_json_object(json);
	MEMBER(&sum, depot);
	MEMBER(&sum, stage1);
	MEMBER(&sum, stage2);
	MEMBER(&sum, stage3);
	MEMBER(&sum, converted);
	MEMBER(&sum, from_lru);
	hak_json_end(json);
}

static void encode_pool(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	const struct hak_inspect *heap = &snapshot->heap;

	hak_json_object(json);
	hak_json_member_u64(json, "superslabs", heap->superslabs_in_use);
	MEMBER(&heap->stats, superslabs_created);
	MEMBER(&heap->stats, releases);
	MEMBER(heap, empty_slots);
	MEMBER(heap, free_list_peak);
	MEMBER(&heap->stats, free_list_overflows);
	hak_json_end(json);
}

static void encode_large(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	const struct hak_inspect *heap = &snapshot->heap;

	hak_json_object(json);
	hak_json_member_u64(json, "slots", heap->large_slots);
	hak_json_member_u64(json, "cached_slots", heap->large_cached_slots);
	hak_json_member_u64(json, "bytes", heap->large_bytes);
	hak_json_member_u64(json, "allocs", heap->large_allocs);
	hak_json_member_u64(json, "frees", heap->large_frees);
	hak_json_end(json);
}

static void encode_lru(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	const struct hak_inspect *heap = &snapshot->heap;

	hak_json_object(json);
	hak_json_member_u64(json, "length", heap->lru_length);
	hak_json_member_u64(json, "capacity", heap->lru_capacity);
	hak_json_member_u64(json, "pushes", heap->stats.lru_pushes);
	hak_json_member_u64(json, "hits", heap->stats.lru_hits);
	hak_json_member_u64(json, "evictions", heap->stats.lru_evictions);
	hak_json_end(json);
}

static void encode_drain(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	const struct hak_inspect *heap = &snapshot->heap;

	hak_json_object(json);
	hak_json_member_u64(json, "interval", heap->drain_interval);
	MEMBER(&heap->stats, drains);
	hak_json_member_u64(json, "blocks", heap->stats.drained_blocks);
	hak_json_end(json);
}

static void encode_syscalls(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	const struct hak_inspect *heap = &snapshot->heap;

	hak_json_object(json);
	MEMBER(&heap->stats, mmap);
	MEMBER(&heap->stats, munmap);
	MEMBER(&heap->stats, madvise);
	MEMBER(&heap->stats, mprotect);
	MEMBER(&heap->stats, mremap);
	hak_json_end(json);
}

static void encode_faults(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	const struct hak_inspect *heap = &snapshot->heap;

	hak_json_object(json);
	MEMBER(&heap->stats, out_of_memory);
	MEMBER(&heap->stats, misuse_reports);
	hak_json_end(json);
}

static void encode_guard(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	hak_encode_guard(json, &snapshot->guard);
}

void hak_encode_class(struct hak_json *json, unsigned number, const struct hak_class_info *class)
{
	hak_json_object(json);
	hak_json_member_u64(json, "class", number);
	MEMBER(class, block_bytes);
	MEMBER(class, slots_per_slab);
	MEMBER(class, slabs);
	MEMBER(class, empty_slots);
	MEMBER(class, allocs);
	MEMBER(class, frees);
	MEMBER(class, live_blocks);
	MEMBER(class, cached_blocks);
	MEMBER(class, depot);
	MEMBER(class, stage1);
	MEMBER(class, stage2);
	MEMBER(class, stage3);
	MEMBER(class, converted);
	MEMBER(class, from_lru);
	MEMBER(class, free_list_peak);
	hak_json_end(json);
}

static void encode_threads(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	const struct hak_snapshot_name *names = snapshot->names.data;

	hak_json_array(json);
	for (size_t i = 0; i < snapshot->heap.thread_count; i++) {
		const struct hak_thread_info *thread = &snapshot->heap.threads[i];

		hak_json_object(json);
		hak_json_key(json, "tid");
		hak_json_i64(json, thread->tid);
		hak_json_member_string(json, "name", i < snapshot->name_count ? names[i].name : "");
		MEMBER(thread, cached_bytes);
		MEMBER(thread, allocs);
		MEMBER(thread, frees);
		hak_json_end(json);
	}
	hak_json_end(json);
}

/* A row may be older than the snapshot: its slots' ages have grown by `later_ms`. */
static void encode_slot(struct hak_json *json, const struct hak_slot_info *slot, uint32_t later_ms)
{
	static const char *const states[] = {
		[HAK_SLOT_UNUSED] = "UNUSED", [HAK_SLOT_ACTIVE] = "ACTIVE", [HAK_SLOT_EMPTY] = "EMPTY"};

	hak_json_array(json);
	hak_json_string(json, states[slot->state]);
	if (slot->class == HAK_NO_CLASS)
		hak_json_null(json);
	else
		hak_json_u64(json, slot->class);
	hak_json_u64(json, slot->used);
	hak_json_u64(json, slot->capacity);
	hak_json_u64(json, slot->span);
	hak_json_u64(json, slot->age_ms + later_ms);
	hak_json_end(json);
}

static void encode_row(
	struct hak_json *json, const struct hak_superslab_info *superslab, bool in_motion, uint32_t later_ms)
{
	hak_json_object(json);
	hak_json_member_hex(json, "ss", superslab->address);
	MEMBER(superslab, index);
	hak_json_key(json, "in_lru");
	hak_json_bool(json, superslab->in_lru);
	if (in_motion) {
		hak_json_key(json, "in_motion");
		hak_json_bool(json, true);
	}
	MEMBER(superslab, active_slots);
	list(json, "slots");
	for (unsigned slot = 0; slot < HAK_SLOTS_PER_SS; slot++)
		encode_slot(json, &superslab->slots[slot], later_ms);
	hak_json_end(json);
	hak_json_end(json);
}

void hak_encode_superslab(struct hak_json *json, const struct hak_superslab_info *superslab, bool in_motion)
{
	encode_row(json, superslab, in_motion, 0);
}

void hak_encode_kept_superslab(
	struct hak_json *json, const struct hak_superslab_info *superslab, const struct hak_inspect *heap)
{
	encode_row(json, superslab, false, heap->taken_ms - superslab->taken_ms);
}

static void encode_place(struct hak_json *json, const struct hak_inspect *heap, bool in_lru)
{
	for (size_t i = 0; i < heap->superslab_count; i++) {
		if (heap->superslabs[i].address && heap->superslabs[i].in_lru == in_lru)
			hak_encode_kept_superslab(json, &heap->superslabs[i], heap);
	}
}

static void encode_slot_fields(struct hak_json *json)
{
	static const char *const fields[] = {"state", "class", "used", "capacity", "span", "age_ms"};

	list(json, "slot_fields");
	for (size_t i = 0; i < HAK_COUNT_OF(fields); i++)
		hak_json_string(json, fields[i]);
	hak_json_end(json);
}

void hak_encode_groups(struct hak_json *json, uint32_t groups)
{
	hak_json_array(json);
	for (unsigned i = 0; i < HAK_TRACE_GROUP_COUNT; i++) {
		if (groups & (1u << i))
			hak_json_string(json, hak_trace_group_names[i]);
	}
	hak_json_end(json);
}

static void encode_totals(struct hak_json *json, const struct hak_ring_totals *totals, uint32_t groups)
{
	hak_json_object(json);
	hak_json_member_u64(json, "events", totals->emitted);
	hak_json_member_u64(json, "lost", totals->unrecorded);
	MEMBER(totals, overwritten);
	MEMBER(totals, held);
	hak_json_key(json, "groups");
	hak_encode_groups(json, groups);
	hak_json_end(json);
}

static void encode_trace(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	encode_totals(json, &snapshot->trace, snapshot->trace_groups);
}

static const struct {
	const char *name;
	void (*encode)(struct hak_json *json, const struct hak_snapshot *snapshot);
} parts[] = {
#define X(name) {#name, encode_##name},
	HAK_ENCODE_PARTS(X)
#undef X
};

const char *hak_encode_part_name(enum hak_encode_part part)
{
	return parts[part].name;
}

void hak_encode_part(struct hak_json *json, enum hak_encode_part part, const struct hak_snapshot *snapshot)
{
	parts[part].encode(json, snapshot);
}

/* When it was. */
static void encode_moment(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	MEMBER(snapshot, time_us);
	MEMBER(snapshot, realtime_us);
	MEMBER(snapshot, uptime_us);
}

void hak_encode_state_members(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	const struct hak_inspect *heap = &snapshot->heap;

	hak_json_member_u64(json, "protocol", HAK_PROTOCOL_VERSION);
	hak_json_member_string(json, "version", HAKMEM_VERSION);
	MEMBER(snapshot, seq);
	encode_moment(json, snapshot);
	encode_geometry(json, heap);
	for (unsigned part = 0; part < HAK_ENCODE_PART_COUNT; part++) {
		hak_json_key(json, parts[part].name);
		parts[part].encode(json, snapshot);
	}
	list(json, "classes");
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++)
		hak_encode_class(json, class, &heap->classes[class]);
	hak_json_end(json);
	encode_slot_fields(json);
}

void hak_encode_snapshot_members(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	hak_encode_state_members(json, snapshot);
	list(json, "superslabs");
	encode_place(json, &snapshot->heap, false);
	encode_place(json, &snapshot->heap, true);
	hak_json_end(json);
}

void hak_encode_snapshot(struct hak_json *json, const struct hak_snapshot *snapshot)
{
	type(json, HAK_TYPE_SNAPSHOT);
	hak_encode_snapshot_members(json, snapshot);
	hak_json_end(json);
}

void hak_encode_delta_begin(struct hak_json *json, const struct hak_snapshot *snapshot, uint64_t base)
{
	type(json, HAK_TYPE_DELTA);
	MEMBER(snapshot, seq);
	hak_json_member_u64(json, "base", base);
	encode_moment(json, snapshot);
}

/* An event's number: a size that a program asked for may be any, and JSON readers round what is above 2^53. */
static uint64_t clamp(uint64_t number)
{
	return number < HAK_JSON_NUMBER_MAX ? number : HAK_JSON_NUMBER_MAX;
}

void hak_encode_event(struct hak_json *json, const struct hak_event *event)
{
	const struct hak_event_type *row;

	if (event->id >= HAK_EVENT_ID_COUNT)
		return;
	row = &hak_event_types[event->id];
	hak_json_object(json);
	hak_json_member_u64(json, "time_us", event->time_ns / 1000);
	MEMBER(event, tid);
	hak_json_member_string(json, "name", row->name);
	hak_json_member_string(json, "group", row->group ? hak_trace_group_names[__builtin_ctz(row->group)] : "");
	section(json, "args");
	for (unsigned i = 0; i < row->args; i++) {
		if (row->kind[i] == 'T') {
			const char *words = (const char *)&event->arg[i];

			hak_json_key(json, row->arg[i]);
			hak_json_string_n(json, words, strnlen(words, (HAK_EVENT_ARGS - i) * sizeof(*event->arg)));
			break;
		}
		if (row->kind[i] == 'P')
			hak_json_member_hex(json, row->arg[i], event->arg[i]);
		else
			hak_json_member_u64(json, row->arg[i], clamp(event->arg[i]));
	}
	hak_json_end(json);
	hak_json_end(json);
}

/* Of each class the slabs that are at most half in use: what they hold would fit into fewer. */
static void encode_meshable(struct hak_json *json, const struct hak_inspect *heap)
{
	struct {
		uint64_t slabs, used, capacity, bytes;
	} sparse[HAK_CLASS_COUNT] = {{0}};
	uint64_t total = 0;

	for (size_t i = 0; i < heap->superslab_count * HAK_SLOTS_PER_SS; i++) {
		const struct hak_superslab_info *ss = &heap->superslabs[i / HAK_SLOTS_PER_SS];
		const struct hak_slot_info *slot = &ss->slots[i % HAK_SLOTS_PER_SS];

		if (!ss->address || slot->state != HAK_SLOT_ACTIVE || slot->class == HAK_NO_CLASS || slot->span == 0 ||
			slot->used > slot->capacity / 2)
			continue;
		sparse[slot->class].slabs++;
		sparse[slot->class].used += slot->used;
		sparse[slot->class].capacity = slot->capacity;
	}
	section(json, "meshable");
	list(json, "classes");
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		uint64_t capacity = sparse[class].capacity;
		uint64_t needed = capacity ? (sparse[class].used + capacity - 1) / capacity : 0;

		if (!capacity)
			continue;
		sparse[class].bytes =
			(sparse[class].slabs - needed) * heap->classes[class].slots_per_slab * HAK_SLOT_BYTES;
		total += sparse[class].bytes;
		hak_json_object(json);
		hak_json_member_u64(json, "class", class);
		MEMBER(&sparse[class], slabs);
		MEMBER(&sparse[class], used);
		MEMBER(&sparse[class], capacity);
		MEMBER(&sparse[class], bytes);
		hak_json_end(json);
	}
	hak_json_end(json);
	hak_json_member_u64(json, "bytes", total);
	hak_json_end(json);
}

void hak_encode_stats(struct hak_json *json, const struct hak_endpoint_stats *stats, const struct hak_inspect *meshable)
{
	struct hak_ring_totals totals;

	hak_ring_totals(&totals);
	type(json, HAK_TYPE_STATS);
	hak_json_member_u64(json, "time_us", hak_snapshot_now_us());
	section(json, "counters");
#define HAK_STAT(name, meaning) hak_json_member_u64(json, #name, hak_stat_get(name));
#include "lib/stats.def"
#undef HAK_STAT
	hak_json_end(json);
	hak_json_key(json, "trace");
	encode_totals(json, &totals, hak_trace_groups());
	section(json, "endpoint");
	MEMBER(stats, clients);
	MEMBER(stats, connections);
	MEMBER(stats, requests);
	MEMBER(stats, errors);
	MEMBER(stats, snapshots);
	MEMBER(stats, deltas);
	MEMBER(stats, dropped_snapshots);
	MEMBER(stats, disconnected);
	MEMBER(stats, bytes_sent);
	hak_json_member_u64(json, "mapped_bytes", hak_memory_mapped());
	hak_json_end(json);
	if (meshable)
		encode_meshable(json, meshable);
	hak_json_end(json);
}

void hak_encode_openmetrics(struct hak_json *json, const char *text, size_t length)
{
	type(json, HAK_TYPE_OPENMETRICS);
	hak_json_member_u64(json, "time_us", hak_snapshot_now_us());
	hak_json_key(json, "text");
	hak_json_string_n(json, text, length);
	hak_json_end(json);
}

void hak_encode_error(struct hak_json *json, const char *request, enum hak_protocol_error code, const char *message)
{
	type(json, HAK_TYPE_ERROR);
	hak_json_key(json, "request");
	hak_json_string_n(json, request, strnlen(request, REQUEST_SHOWN));
	hak_json_member_string(json, "code", error_codes[code]);
	hak_json_member_string(json, "message", message);
	hak_json_end(json);
}

void hak_encode_ok(struct hak_json *json, enum hak_protocol_verb verb, const struct hak_done *done)
{
	type(json, HAK_TYPE_OK);
	hak_json_member_string(json, "request", hak_protocol_verb_name(verb));
	if (verb == HAK_VERB_drain || verb == HAK_VERB_trim)
		MEMBER(done, threads);
	if (verb == HAK_VERB_purge || verb == HAK_VERB_trim)
		MEMBER(done, bytes);
	if (verb == HAK_VERB_check) {
		MEMBER(done, checked);
		MEMBER(done, damaged);
	}
	if (verb == HAK_VERB_mark) {
		hak_json_key(json, "recorded");
		hak_json_bool(json, done->recorded);
	}
	hak_json_end(json);
}

void hak_encode_pong(struct hak_json *json)
{
	type(json, HAK_TYPE_PONG);
	hak_json_member_u64(json, "time_us", hak_snapshot_now_us());
	hak_json_end(json);
}

void hak_encode_dropped(struct hak_json *json, uint64_t snapshots)
{
	type(json, HAK_TYPE_DROPPED);
	hak_json_member_u64(json, "snapshots", snapshots);
	hak_json_end(json);
}

void hak_encode_dump_written(struct hak_json *json, const char *path, uint64_t bytes)
{
	type(json, HAK_TYPE_DUMP_WRITTEN);
	hak_json_member_string(json, "path", path);
	hak_json_member_u64(json, "bytes", bytes);
	hak_json_end(json);
}

void hak_encode_schema(struct hak_json *json, const char *text, size_t length)
{
	type(json, HAK_TYPE_SCHEMA);
	hak_json_key(json, "schema");
	hak_json_raw(json, text, length);
	hak_json_end(json);
}
