#include "viewer/recover.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/model.h"
#include "viewer/recover_events.h"

#define PROBLEMS_MAX 20 /* broken sums that are named */

enum { ROW_THREAD = 1 };        /* a row of a living thread */
enum { PLACE_USE = 1, PLACE_LRU };

/* What is gathered before and while the document is written. */
struct recovery {
	const struct trace_file *file;
	FILE *out;
	uint64_t clock_ms, now_us, started_us, classes;
	uint64_t live, cached, active_slots, in_use, in_lru, large_slots, beyond;
	struct {
		uint64_t block_bytes, slots_per_slab, slabs, empty_slots, allocs, frees, cached;
		uint64_t seen_slabs, seen_empty; /* in the slot map */
	} class[MODEL_CLASSES_MAX];
	uint64_t large_allocs, large_frees, large_cached;
	uint64_t threads;
	bool first;
	char problems[PROBLEMS_MAX][120];
	unsigned problem_count;
};

static uint64_t bounded(uint64_t value)
{
	return value < (1ull << 53) ? value : (1ull << 53) - 1;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t number(const struct recovery *recovery, const char *section, const char *field)
{
	struct trace_column column = trace_numbers(recovery->file, section, field);
	return bounded(trace_number(&column, 0, 0));
}

static void put_text(FILE *out, const char *text, size_t length)
{
	fputc('"', out);
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];
		if (byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x7f)
			fprintf(out, byte < 0x7f ? "\\u%04x" : "?", byte);
		else
			fputc(byte, out);
	}
	fputc('"', out);
}

static void put_member(const struct recovery *recovery, const char *name, const char *section, const char *field)
{
	size_t length;
	struct trace_column column = trace_texts(recovery->file, section, field);
	const char *text = trace_text(&column, 0, 0, &length);
	fprintf(recovery->out, "\"%s\":", name);
	put_text(recovery->out, text, length);
	fputc(',', recovery->out);
}

#define PUT(name, value) fprintf(recovery->out, "\"%s\":%llu,", name, (unsigned long long)bounded(value))
#define PUT_LAST(name, value) fprintf(recovery->out, "\"%s\":%llu}", name, (unsigned long long)bounded(value))

static void __attribute__((format(printf, 2, 3))) broken(struct recovery *recovery, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (recovery->problem_count < PROBLEMS_MAX)
		vsnprintf(recovery->problems[recovery->problem_count++], sizeof(recovery->problems[0]), format, args);
	va_end(args);
}

/* ---- The slot map ---- */

struct map {
	struct trace_column sequence, place, active, state, class, capacity, span, since, used;
};

static void put_slot(struct recovery *recovery, const struct map *map, uint64_t row, unsigned slot)
{
	static const char *const states[] = {"UNUSED", "ACTIVE", "EMPTY"};
	uint64_t state = trace_number(&map->state, row, slot), class = trace_number(&map->class, row, slot);
	/* A state that changed just after the clock was read is of now. */
	int32_t age = (int32_t)((uint32_t)recovery->clock_ms - (uint32_t)trace_number(&map->since, row, slot));
	fprintf(recovery->out, "%s[\"%s\",", slot > 0 ? "," : "", states[state < 3 ? state : SLOT_UNUSED]);
	if (state == SLOT_UNUSED || class >= recovery->classes)
		fprintf(recovery->out, "null,");
	else
		fprintf(recovery->out, "%llu,", (unsigned long long)class);
	fprintf(recovery->out, "%llu,%llu,%llu,%ld]", (unsigned long long)trace_number(&map->used, row, slot),
		(unsigned long long)trace_number(&map->capacity, row, slot),
		(unsigned long long)trace_number(&map->span, row, slot), age < 0 ? 0L : (long)age);
}

/* Checks a SuperSlab that was not in motion by itself, and counts what it adds to the sums. */
static void check_superslab(struct recovery *recovery, const struct map *map, uint64_t row, bool moving)
{
	uint64_t active = 0, left = 0, lead_state = 0, lead_class = 0;
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		uint64_t state = trace_number(&map->state, row, i), class = trace_number(&map->class, row, i);
		uint64_t span = trace_number(&map->span, row, i), capacity = trace_number(&map->capacity, row, i);
		bool known = class < recovery->classes;
		active += state == SLOT_ACTIVE;
		recovery->large_slots += state == SLOT_ACTIVE && !known;
		if (state == SLOT_EMPTY && known)
			recovery->class[class].seen_empty++;
		if (state == SLOT_ACTIVE && known && span > 0)
			recovery->class[class].seen_slabs++;
		if (moving)
			continue;
		if (state > SLOT_EMPTY)
			broken(recovery, "SuperSlab %llu, slot %u: no such state", (unsigned long long)row, i);
		if (trace_number(&map->used, row, i) > capacity)
			broken(recovery, "SuperSlab %llu, slot %u: more blocks than it holds", (unsigned long long)row, i);
		/* A run goes on in its state and class, and ends before the next begins. */
		if (left > 0 && (span > 0 || state != lead_state || class != lead_class))
			broken(recovery, "SuperSlab %llu, slot %u: a run is broken", (unsigned long long)row, i);
		else if (left == 0 && span == 0 && state != SLOT_UNUSED && known)
			broken(recovery, "SuperSlab %llu, slot %u: it belongs to no slab", (unsigned long long)row, i);
		if (span > 0) {
			left = span;
			lead_state = state;
			lead_class = class;
		}
		left -= left > 0;
	}
	recovery->active_slots += active;
	if (!moving && (active != trace_number(&map->active, row, 0) ||
			(active > 0) != (trace_number(&map->place, row, 0) == PLACE_USE)))
		broken(recovery, "SuperSlab %llu: %llu slots are ACTIVE, which its record denies", (unsigned long long)row,
			(unsigned long long)active);
}

static void put_superslab(struct recovery *recovery, const struct map *map, uint64_t row, bool in_lru)
{
	uint64_t bytes = number(recovery, "process", "superslab_bytes");
	struct trace_column base = trace_numbers(recovery->file, "pool", "heap_base");
	uint64_t address = trace_number(&base, 0, 0) + row * bytes;
	uint64_t active = 0;
	for (unsigned i = 0; i < MODEL_SLOTS; i++)
		active += trace_number(&map->state, row, i) == SLOT_ACTIVE;
	fprintf(recovery->out, "%s{\"ss\":\"0x%llx\",\"index\":%llu,\"in_lru\":%s,\"active_slots\":%llu,\"slots\":[",
		recovery->first ? "" : ",", (unsigned long long)address, (unsigned long long)row,
		in_lru ? "true" : "false", (unsigned long long)active);
	recovery->first = false;
	for (unsigned i = 0; i < MODEL_SLOTS; i++)
		put_slot(recovery, map, row, i);
	fputs("]}", recovery->out);
}

static struct map open_map(const struct trace_file *file)
{
#define SLOTS(field) trace_numbers(file, "superslabs", field)
	return (struct map){.sequence = SLOTS("sequence"), .place = SLOTS("place"), .active = SLOTS("active_slots"),
		.state = SLOTS("slots.state"), .class = SLOTS("slots.class"), .capacity = SLOTS("slots.capacity"),
		.span = SLOTS("slots.span"), .since = SLOTS("slots.since_ms"), .used = SLOTS("slots.used")};
}

/* SuperSlabs of which anything can be said. */
static uint64_t map_rows(const struct recovery *recovery, const struct map *map)
{
	uint64_t taken = number(recovery, "pool", "superslabs_taken"), rows = map->place.rows;
	rows = rows < taken ? rows : taken;
	return rows < MODEL_SUPERSLABS_MAX ? rows : MODEL_SUPERSLABS_MAX;
}

static void put_superslabs(struct recovery *recovery, const struct map *map)
{
	uint64_t rows = map_rows(recovery, map);
	fputs("\"slot_fields\":[\"state\",\"class\",\"used\",\"capacity\",\"span\",\"age_ms\"],\"superslabs\":[", recovery->out);
	recovery->first = true;
	for (unsigned place = PLACE_USE; place <= PLACE_LRU; place++) {
		for (uint64_t row = 0; row < rows; row++) {
			if (trace_number(&map->place, row, 0) == place)
				put_superslab(recovery, map, row, place == PLACE_LRU);
		}
	}
	fputs("],", recovery->out);
}

static void read_map(struct recovery *recovery, const struct map *map)
{
	uint64_t rows = map_rows(recovery, map);
	recovery->beyond = minus(number(recovery, "pool", "superslabs_taken"), rows);
	for (uint64_t row = 0; row < rows; row++) {
		uint64_t place = trace_number(&map->place, row, 0);
		recovery->in_use += place == PLACE_USE;
		recovery->in_lru += place == PLACE_LRU;
		if (place == PLACE_USE || place == PLACE_LRU)
			check_superslab(recovery, map, row, trace_number(&map->sequence, row, 0) & 1);
	}
}

static void check_sum(struct recovery *recovery, const char *what, uint64_t map, uint64_t counter)
{
	if (map != counter)
		broken(recovery, "%s: %llu in the slot map, %llu counted", what, (unsigned long long)map,
			(unsigned long long)counter);
}

/* The sums over all of it, which hold where nothing was in motion and nothing is left out. */
static void check_sums(struct recovery *recovery)
{
	char what[64];
	if (number(recovery, "pool", "sequence") & 1 || recovery->beyond > 0)
		return;
	check_sum(recovery, "SuperSlabs in use", recovery->in_use, number(recovery, "pool", "superslabs_in_use"));
	check_sum(recovery, "SuperSlabs in the LRU cache", recovery->in_lru, number(recovery, "pool", "lru_length"));
	check_sum(recovery, "slots of large blocks", recovery->large_slots, number(recovery, "pool", "large_slots"));
	for (uint64_t c = 0; c < recovery->classes; c++) {
		snprintf(what, sizeof(what), "slabs of class %llu", (unsigned long long)c);
		check_sum(recovery, what, recovery->class[c].seen_slabs, recovery->class[c].slabs);
		snprintf(what, sizeof(what), "EMPTY slots of class %llu", (unsigned long long)c);
		check_sum(recovery, what, recovery->class[c].seen_empty, recovery->class[c].empty_slots);
	}
}

/* ---- Counters ---- */

static uint64_t class_number(const struct recovery *recovery, const char *field, uint64_t class)
{
	struct trace_column column = trace_numbers(recovery->file, "classes", field);
	return bounded(trace_number(&column, class, 0));
}

/* Bins are: none, the classes, large. */
static void read_counts(struct recovery *recovery)
{
	const struct trace_file *file = recovery->file;
	struct trace_column kinds = trace_numbers(file, "threads", "kind"), blocks = trace_numbers(file, "classes", "block_bytes");
	struct trace_column allocs = trace_numbers(file, "threads", "bins.allocs");
	struct trace_column frees = trace_numbers(file, "threads", "bins.frees");
	struct trace_column cached = trace_numbers(file, "threads", "bins.cached_blocks");
	uint32_t large = (uint32_t)recovery->classes + 1;
	recovery->threads = 0;
	for (uint64_t row = 0; row < kinds.rows && row < MODEL_THREADS_MAX; row++) {
		recovery->threads += trace_number(&kinds, row, 0) == ROW_THREAD;
		for (uint32_t c = 0; c < recovery->classes; c++) {
			recovery->class[c].allocs += bounded(trace_number(&allocs, row, c + 1));
			recovery->class[c].frees += bounded(trace_number(&frees, row, c + 1));
			recovery->class[c].cached += bounded(trace_number(&cached, row, c + 1));
		}
		recovery->large_allocs += bounded(trace_number(&allocs, row, large));
		recovery->large_frees += bounded(trace_number(&frees, row, large));
		recovery->large_cached += bounded(trace_number(&cached, row, large));
	}
	for (uint64_t c = 0; c < recovery->classes; c++) {
		recovery->class[c].block_bytes = bounded(trace_number(&blocks, c, 0));
		recovery->class[c].slots_per_slab = class_number(recovery, "slots_per_slab", c);
		recovery->class[c].slabs = class_number(recovery, "slabs", c);
		recovery->class[c].empty_slots = class_number(recovery, "empty_slots", c);
		recovery->live += minus(recovery->class[c].allocs, recovery->class[c].frees) * recovery->class[c].block_bytes;
		recovery->cached += recovery->class[c].cached * recovery->class[c].block_bytes;
	}
}

static uint64_t class_sum(const struct recovery *recovery, const char *field)
{
	uint64_t sum = 0;
	for (uint64_t c = 0; c < recovery->classes; c++)
		sum += class_number(recovery, field, c);
	return sum;
}

#define PUT_POOL(name, field) PUT(name, number(recovery, "pool", field))
#define PUT_POOL_LAST(name, field) PUT_LAST(name, number(recovery, "pool", field))

static void put_process(struct recovery *recovery)
{
	FILE *out = recovery->out;
	fputs("\"process\":{", out);
	PUT("pid", number(recovery, "process", "pid"));
	PUT("ppid", number(recovery, "process", "ppid"));
	PUT("start_time", number(recovery, "process", "start_time"));
	put_member(recovery, "exe", "process", "exe");
	put_member(recovery, "cmdline", "process", "cmdline");
	PUT_LAST("threads", recovery->threads);
	fputs(",\"geometry\":{", out);
	PUT("superslab_bytes", number(recovery, "process", "superslab_bytes"));
	PUT("slot_bytes", number(recovery, "process", "slot_bytes"));
	PUT("slots_per_superslab", number(recovery, "process", "slots_per_superslab"));
	fputs("\"classes\":[", out);
	for (uint64_t c = 0; c < recovery->classes; c++) {
		fputs(c > 0 ? ",{" : "{", out);
		PUT("class", c);
		PUT("block_bytes", recovery->class[c].block_bytes);
		PUT_LAST("slots_per_slab", recovery->class[c].slots_per_slab);
	}
	fputs("]},", out);
}

static void put_memory(struct recovery *recovery)
{
	uint64_t slot_bytes = number(recovery, "process", "slot_bytes");
	uint64_t large = minus(number(recovery, "pool", "large_slots"), recovery->large_cached) * slot_bytes;
	uint64_t live = recovery->live + large, cached = recovery->cached + recovery->large_cached * slot_bytes;
	fputs("\"memory\":{", recovery->out);
	PUT_POOL("reserved_bytes", "reserved_bytes");
	PUT_POOL("committed_bytes", "committed_bytes");
	PUT("resident_bytes", 0);
	PUT("live_bytes", live);
	PUT("cached_bytes", cached);
	PUT("slack_bytes", minus(recovery->active_slots * slot_bytes, live + cached));
	PUT("large_bytes", large);
	PUT_POOL("metadata_bytes", "metadata_bytes");
	PUT_POOL("purged_bytes", "purged_bytes");
	PUT_LAST("introspect_bytes", recovery->file->header.file_bytes);
	fputs(",\"stages\":{", recovery->out);
	PUT("depot", class_sum(recovery, "depot"));
	PUT("stage1", class_sum(recovery, "stage1"));
	PUT("stage2", class_sum(recovery, "stage2"));
	PUT("stage3", class_sum(recovery, "stage3"));
	PUT("converted", class_sum(recovery, "converted"));
	PUT_LAST("from_lru", class_sum(recovery, "from_lru"));
	fputs(",\"large\":{", recovery->out);
	PUT_POOL("slots", "large_slots");
	PUT("cached_slots", recovery->large_cached);
	PUT("bytes", large);
	PUT("allocs", recovery->large_allocs);
	PUT_LAST("frees", recovery->large_frees);
}

static void put_pool(struct recovery *recovery)
{
	uint64_t peak = 0;
	for (uint64_t c = 0; c < recovery->classes; c++) {
		uint64_t own = class_number(recovery, "free_list_peak", c);
		peak = own > peak ? own : peak;
	}
	fputs(",\"pool\":{", recovery->out);
	PUT_POOL("superslabs", "superslabs_in_use");
	PUT_POOL("superslabs_created", "superslabs_created");
	PUT_POOL("releases", "releases");
	PUT_POOL("empty_slots", "empty_slots");
	PUT("free_list_peak", peak);
	PUT_POOL_LAST("free_list_overflows", "free_list_overflows");
	fputs(",\"lru\":{", recovery->out);
	PUT_POOL("length", "lru_length");
	PUT_POOL("capacity", "lru_capacity");
	PUT_POOL("pushes", "lru_pushes");
	PUT_POOL("hits", "lru_hits");
	PUT_POOL_LAST("evictions", "lru_evictions");
	fputs(",\"drain\":{", recovery->out);
	PUT_POOL("interval", "drain_interval");
	PUT_POOL("drains", "drains");
	PUT_POOL_LAST("blocks", "drained_blocks");
	fputs(",\"syscalls\":{", recovery->out);
	PUT_POOL("mmap", "mmap");
	PUT_POOL("munmap", "munmap");
	PUT_POOL("madvise", "madvise");
	PUT_POOL("mprotect", "mprotect");
	PUT_POOL_LAST("mremap", "mremap");
	fputs(",\"faults\":{", recovery->out);
	PUT_POOL("out_of_memory", "out_of_memory");
	PUT_POOL_LAST("misuse_reports", "misuse_reports");
	fputs(",", recovery->out);
}

static void put_classes(struct recovery *recovery)
{
	static const char *const fields[] = {"depot", "stage1", "stage2", "stage3", "converted", "from_lru"};
	fputs("\"classes\":[", recovery->out);
	for (uint64_t c = 0; c < recovery->classes; c++) {
		fputs(c > 0 ? ",{" : "{", recovery->out);
		PUT("class", c);
		PUT("block_bytes", recovery->class[c].block_bytes);
		PUT("slots_per_slab", recovery->class[c].slots_per_slab);
		PUT("slabs", recovery->class[c].slabs);
		PUT("empty_slots", recovery->class[c].empty_slots);
		PUT("allocs", recovery->class[c].allocs);
		PUT("frees", recovery->class[c].frees);
		PUT("live_blocks", minus(recovery->class[c].allocs, recovery->class[c].frees));
		PUT("cached_blocks", recovery->class[c].cached);
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			PUT(fields[i], class_number(recovery, fields[i], c));
		PUT_LAST("free_list_peak", class_number(recovery, "free_list_peak", c));
	}
	fputs("],", recovery->out);
}

static void put_threads(struct recovery *recovery)
{
	const struct trace_file *file = recovery->file;
	struct trace_column kinds = trace_numbers(file, "threads", "kind"), tids = trace_numbers(file, "threads", "tid");
	struct trace_column columns[] = {trace_numbers(file, "threads", "bins.allocs"),
		trace_numbers(file, "threads", "bins.frees"), trace_numbers(file, "threads", "bins.cached_blocks")};
	uint64_t slot_bytes = number(recovery, "process", "slot_bytes");
	bool first = true;
	fputs("\"threads\":[", recovery->out);
	for (uint64_t row = 0; row < kinds.rows && row < MODEL_THREADS_MAX; row++) {
		uint64_t allocs = 0, frees = 0, cached = 0;
		if (trace_number(&kinds, row, 0) != ROW_THREAD)
			continue;
		for (uint32_t bin = 1; bin <= recovery->classes + 1; bin++) {
			uint64_t bytes = bin > recovery->classes ? slot_bytes : recovery->class[bin - 1].block_bytes;
			allocs += bounded(trace_number(&columns[0], row, bin));
			frees += bounded(trace_number(&columns[1], row, bin));
			cached += bounded(trace_number(&columns[2], row, bin)) * bytes;
		}
		fprintf(recovery->out, "%s{\"tid\":%llu,\"name\":\"\",", first ? "" : ",",
			(unsigned long long)trace_number(&tids, row, 0));
		PUT("cached_bytes", cached);
		PUT("allocs", allocs);
		PUT_LAST("frees", frees);
		first = false;
	}
	fputs("],", recovery->out);
}

/* What was in motion, what holds, and what was lost. */
static void put_findings(struct recovery *recovery, const struct map *map, uint64_t torn)
{
	uint64_t rows = map_rows(recovery, map), bytes = number(recovery, "process", "superslab_bytes");
	struct trace_column base = trace_numbers(recovery->file, "pool", "heap_base");
	fprintf(recovery->out, ",\"recovered\":{\"ended\":%s,\"whole\":%s,\"in_motion\":[",
		number(recovery, "process", "ended_us") > 0 ? "true" : "false",
		number(recovery, "pool", "sequence") & 1 ? "false" : "true");
	recovery->first = true;
	for (uint64_t row = 0; row < rows; row++) {
		if (!(trace_number(&map->sequence, row, 0) & 1))
			continue;
		uint64_t address = trace_number(&base, 0, 0) + row * bytes;
		fprintf(recovery->out, "%s\"0x%llx\"", recovery->first ? "" : ",", (unsigned long long)address);
		recovery->first = false;
	}
	fprintf(recovery->out, "],\"sums_hold\":%s,\"problems\":[", recovery->problem_count > 0 ? "false" : "true");
	for (unsigned i = 0; i < recovery->problem_count; i++) {
		fputs(i > 0 ? "," : "", recovery->out);
		put_text(recovery->out, recovery->problems[i], strlen(recovery->problems[i]));
	}
	fputs("],", recovery->out);
	PUT("superslabs_beyond", recovery->beyond);
	PUT("threads_beyond", number(recovery, "pool", "threads_beyond"));
	PUT_LAST("torn_events", torn);
}

static void write_document(struct recovery *recovery)
{
	struct map map = open_map(recovery->file);
	struct recovered_events events;
	read_counts(recovery);
	read_map(recovery, &map);
	check_sums(recovery);
	recover_events_read(recovery->file, &events);
	/* The clock in the file is that of the last change of the slot map. */
	uint64_t since_start = (uint32_t)((uint32_t)recovery->clock_ms - (uint32_t)(recovery->started_us / 1000));
	recovery->now_us = recovery->started_us + (since_start < UINT32_MAX / 2 ? since_start * 1000 : 0);
	if (events.last_us > recovery->now_us)
		recovery->now_us = events.last_us;
	fputs("{\"type\":\"dump\",\"reason\":\"recovered\",\"protocol\":1,", recovery->out);
	put_member(recovery, "version", "process", "version");
	PUT("seq", 1);
	PUT("time_us", recovery->now_us);
	PUT("realtime_us", number(recovery, "process", "realtime_us") + (recovery->now_us - recovery->started_us));
	PUT("uptime_us", recovery->now_us - recovery->started_us);
	put_process(recovery);
	put_memory(recovery);
	put_pool(recovery);
	recover_events_trace(recovery->out, &events);
	put_classes(recovery);
	put_threads(recovery);
	put_superslabs(recovery, &map);
	recover_events_list(recovery->out, &events);
	fputs(",\"modules\":[{", recovery->out);
	put_member(recovery, "path", "process", "exe");
	fputs("\"base\":\"0x0\",\"end\":\"0x0\",\"build_id\":\"\"}]", recovery->out);
	put_findings(recovery, &map, events.torn);
	fputc('}', recovery->out);
	recover_events_free(&events);
}

char *recover_document(const struct trace_file *file, size_t *length, struct problem *problem)
{
	struct recovery *recovery = calloc(1, sizeof(*recovery));
	struct trace_column classes = trace_numbers(file, "classes", "block_bytes");
	char *text = NULL;
	FILE *out = recovery != NULL ? open_memstream(&text, length) : NULL;
	if (out == NULL) {
		free(recovery);
		problem_set(problem, "out of memory for a trace file");
		return NULL;
	}
	recovery->file = file;
	recovery->out = out;
	recovery->classes = classes.rows < MODEL_CLASSES_MAX ? classes.rows : MODEL_CLASSES_MAX;
	recovery->clock_ms = number(recovery, "pool", "clock_ms");
	recovery->started_us = number(recovery, "process", "started_us");
	bool known = number(recovery, "process", "slots_per_superslab") == MODEL_SLOTS;
	if (known)
		write_document(recovery);
	else
		problem_set(problem, "the trace file is damaged or of another kind: it has no SuperSlabs of %d slots", MODEL_SLOTS);
	free(recovery);
	bool written = !ferror(out);
	if (fclose(out) != 0 || !written || !known) {
		if (known)
			problem_set(problem, "out of memory for a trace file");
		free(text);
		return NULL;
	}
	return text;
}
