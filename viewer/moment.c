#include "viewer/moment.h"

#include <stdlib.h>
#include <string.h>

#define AGE_TOLERANCE_MS 2 /* ages are rounded at the target, and here */
#define SLOT_AGAIN 0x80    /* a slot that is like the one before it */
#define ROW_BYTES_MIN (4 + MODEL_SLOTS) /* of a SuperSlab that is written whole */

/* What follows in the list of SuperSlabs. */
enum { OP_END, OP_KEEP, OP_SKIP, OP_CHANGE, OP_NEW };
/* And in the lists of classes and threads. */
enum { ROW_SAME, ROW_CHANGED, ROW_RENAMED };

static uint64_t counter_at(const void *row, uint16_t place)
{
	uint64_t value;
	memcpy(&value, (const char *)row + place, sizeof(value));
	return value;
}

/* ---- Writing ---- */

static void put_counters(struct bytes *out, const struct moment_fields *fields, const void *base, const void *next)
{
	for (unsigned i = 0; i < fields->count; i++)
		bytes_step(out, counter_at(base, fields->at[i]), counter_at(next, fields->at[i]));
}

static bool counters_differ(const struct moment_fields *fields, const void *base, const void *next)
{
	for (unsigned i = 0; i < fields->count; i++) {
		if (counter_at(base, fields->at[i]) != counter_at(next, fields->at[i]))
			return true;
	}
	return false;
}

static void put_texts(struct bytes *out, const struct moment_layout *layout, const struct snapshot *base,
	const struct snapshot *next)
{
	for (unsigned i = 0; i < layout->texts.count; i++) {
		const char *old = (const char *)base + layout->texts.at[i], *new = (const char *)next + layout->texts.at[i];
		bool changed = strcmp(old, new) != 0;
		bytes_byte(out, changed);
		if (changed)
			bytes_text(out, new);
	}
}

static void put_classes(struct bytes *out, const struct moment_layout *layout, const struct snapshot *base,
	const struct snapshot *next)
{
	static const struct class_row none;
	bytes_number(out, next->class_count);
	for (size_t i = 0; i < next->class_count; i++) {
		const struct class_row *was = i < base->class_count ? &base->classes[i] : &none;
		bool changed = counters_differ(&layout->classes, was, &next->classes[i]);
		bytes_byte(out, changed ? ROW_CHANGED : ROW_SAME);
		if (changed)
			put_counters(out, &layout->classes, was, &next->classes[i]);
	}
}

static void put_threads(struct bytes *out, const struct moment_layout *layout, const struct snapshot *base,
	const struct snapshot *next)
{
	static const struct thread_row none;
	bytes_number(out, next->thread_count);
	for (size_t i = 0; i < next->thread_count; i++) {
		const struct thread_row *was = i < base->thread_count ? &base->threads[i] : &none, *is = &next->threads[i];
		bool renamed = strcmp(was->name, is->name) != 0;
		bool changed = renamed || counters_differ(&layout->threads, was, is);
		bytes_byte(out, renamed ? ROW_RENAMED : changed ? ROW_CHANGED : ROW_SAME);
		if (changed)
			put_counters(out, &layout->threads, was, is);
		if (renamed)
			bytes_text(out, is->name);
	}
}

static bool slots_differ(const struct slot *a, const struct slot *b, uint64_t tolerance)
{
	uint64_t apart = a->since_ms > b->since_ms ? a->since_ms - b->since_ms : b->since_ms - a->since_ms;
	uint32_t other = (uint32_t)(a->state ^ b->state) | (uint32_t)(a->class ^ b->class) | (a->used ^ b->used) |
		(a->capacity ^ b->capacity) | (a->span ^ b->span);
	return (other != 0) | (apart > tolerance);
}

static void put_slot(struct bytes *out, const struct slot *was, const struct slot *is)
{
	bytes_byte(out, is->state);
	bytes_byte(out, is->class);
	bytes_step(out, was->used, is->used);
	bytes_step(out, was->capacity, is->capacity);
	bytes_step(out, was->span, is->span);
	bytes_step(out, is->since_ms, was->since_ms); /* the step of the age, which grows as the other falls */
}

static void put_new_row(struct bytes *out, const struct superslab *row, uint64_t now_ms)
{
	const struct slot none = {.since_ms = now_ms};
	bytes_number(out, row->address);
	bytes_number(out, row->index);
	bytes_byte(out, row->in_lru);
	bytes_byte(out, row->active_slots);
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		if (i > 0 && !slots_differ(&row->slots[i - 1], &row->slots[i], 0))
			bytes_byte(out, SLOT_AGAIN);
		else
			put_slot(out, &none, &row->slots[i]);
	}
}

_Static_assert(sizeof(struct slot) == 2 * sizeof(uint8_t) + sizeof(int16_t) + 3 * sizeof(uint32_t) + sizeof(uint64_t), "no padding");

/* Which slots are other than time alone would have made them, a bit for each. */
static uint32_t changed_slots(const struct superslab *was, const struct superslab *is)
{
	uint32_t mask = 0;
	/* Most rows of a large heap are untouched copies: of 10 GiB 160,000 slots are compared several times a second. A slot has
	 * no padding. */
	if (memcmp(was->slots, is->slots, sizeof(was->slots)) == 0)
		return 0;
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		if (slots_differ(&was->slots[i], &is->slots[i], AGE_TOLERANCE_MS))
			mask |= 1u << i;
	}
	return mask;
}

static void put_changed_row(struct bytes *out, const struct superslab *was, const struct superslab *is, uint32_t mask)
{
	bytes_byte(out, is->active_slots);
	bytes_number(out, mask);
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		if ((mask >> i & 1) != 0)
			put_slot(out, &was->slots[i], &is->slots[i]);
	}
}

static void put_op(struct bytes *out, unsigned op, size_t *count)
{
	if (*count > 0) {
		bytes_byte(out, (uint8_t)op);
		bytes_number(out, *count);
	}
	*count = 0;
}

static bool comes_before(const struct superslab *a, const struct superslab *b)
{
	return a->in_lru != b->in_lru ? b->in_lru : a->index < b->index;
}

/* Both lists are in order, those in use before those in the LRU cache. Rows out of order cost bytes, no more. */
static void put_superslabs(struct bytes *out, const struct snapshot *base, const struct snapshot *next)
{
	size_t at = 0, keep = 0;
	bool moves = next->superslab_count != base->superslab_count;
	bytes_number(out, next->superslab_count);
	size_t flag = out->length;
	bytes_byte(out, 0);
	for (size_t i = 0; i < next->superslab_count; i++) {
		const struct superslab *is = &next->superslabs[i];
		size_t skip = 0;
		while (at < base->superslab_count && comes_before(&base->superslabs[at], is)) {
			at++;
			skip++;
		}
		if (skip > 0) {
			put_op(out, OP_KEEP, &keep);
			moves = true;
		}
		put_op(out, OP_SKIP, &skip);
		const struct superslab *was = at < base->superslab_count ? &base->superslabs[at] : NULL;
		if (was == NULL || was->index != is->index || was->in_lru != is->in_lru || was->address != is->address) {
			put_op(out, OP_KEEP, &keep);
			bytes_byte(out, OP_NEW);
			put_new_row(out, is, next->time_us / 1000);
			moves = true;
			continue;
		}
		uint32_t mask = changed_slots(was, is);
		at++;
		if (mask == 0 && was->active_slots == is->active_slots) {
			keep++;
			continue;
		}
		put_op(out, OP_KEEP, &keep);
		bytes_byte(out, OP_CHANGE);
		put_changed_row(out, was, is, mask);
	}
	put_op(out, OP_KEEP, &keep);
	bytes_byte(out, OP_END);
	if (!out->failed)
		out->data[flag] = moves; /* whether rows come or go: else a reader changes them where they are */
}

bool moment_follows(const struct snapshot *base, const struct snapshot *next)
{
	return base->process.pid == next->process.pid && base->process.start_time == next->process.start_time &&
		base->time_us <= next->time_us && base->class_count == next->class_count;
}

bool moment_encode(struct bytes *out, const struct snapshot *base, const struct snapshot *next)
{
	static const struct snapshot nothing;
	const struct moment_layout *layout = moment_layout();
	size_t before = out->length;
	if (next->superslab_count > MOMENT_SUPERSLABS_MAX || next->thread_count > MOMENT_THREADS_MAX)
		return false;
	base = base != NULL ? base : &nothing;
	put_counters(out, &layout->counters, base, next);
	put_texts(out, layout, base, next);
	put_classes(out, layout, base, next);
	put_threads(out, layout, base, next);
	put_superslabs(out, base, next);
	return !out->failed && out->length - before <= MOMENT_BYTES_MAX;
}

/* ---- Reading ---- */

/* Counters are bounded like those of parse.h, so that sums of some of them don't overflow. */
static void take_counters(struct reader *reader, const struct moment_fields *fields, void *row)
{
	for (unsigned i = 0; i < fields->count; i++) {
		if (fields->at[i] == MOMENT_UNKNOWN) {
			reader_number(reader);
			continue;
		}
		uint64_t value = reader_step(reader, counter_at(row, fields->at[i]));
		if (value > (uint64_t)MODEL_NUMBER_MAX)
			reader->bad = true;
		memcpy((char *)row + fields->at[i], &value, sizeof(value));
	}
}

static size_t room_for(uint16_t place)
{
	static const struct snapshot *const s;
	switch (place) {
	case offsetof(struct snapshot, process.exe): return sizeof(s->process.exe);
	case offsetof(struct snapshot, process.cmdline): return sizeof(s->process.cmdline);
	case offsetof(struct snapshot, guard_level): return sizeof(s->guard_level);
	case offsetof(struct snapshot, trace.groups): return sizeof(s->trace.groups);
	case offsetof(struct snapshot, reason): return sizeof(s->reason);
	default: return sizeof(s->version);
	}
}

static void take_texts(struct reader *reader, const struct moment_fields *fields, struct snapshot *snapshot)
{
	char unknown[8];
	for (unsigned i = 0; i < fields->count; i++) {
		if (reader_byte(reader) == 0)
			continue;
		if (fields->at[i] == MOMENT_UNKNOWN)
			reader_text(reader, unknown, sizeof(unknown));
		else
			reader_text(reader, (char *)snapshot + fields->at[i], room_for(fields->at[i]));
	}
}

/* Makes room for `count` rows, the new ones zero. What each of them costs in the file bounds how many there may be. */
static bool resize(struct reader *reader, void **rows, size_t row_bytes, size_t old_count, uint64_t count, uint64_t limit)
{
	if (reader->bad || count > limit || count > reader_left(reader)) {
		reader->bad = true;
		return false;
	}
	char *resized = realloc(*rows, (count + 1) * row_bytes);
	if (resized == NULL) {
		reader->bad = true;
		return false;
	}
	if (count > old_count)
		memset(resized + old_count * row_bytes, 0, (count - old_count) * row_bytes);
	*rows = resized;
	return true;
}

static void take_classes(struct reader *reader, const struct moment_layout *layout, struct snapshot *snapshot)
{
	uint64_t count = reader_number(reader);
	void *rows = snapshot->classes;
	if (count < snapshot->class_count) {
		reader->bad = true; /* slots may be of those that are gone */
		return;
	}
	if (!resize(reader, &rows, sizeof(struct class_row), snapshot->class_count, count, MODEL_CLASSES_MAX))
		return;
	snapshot->classes = rows;
	snapshot->class_count = (size_t)count;
	for (size_t i = 0; i < count; i++) {
		if (reader_byte(reader) != ROW_SAME)
			take_counters(reader, &layout->classes, &snapshot->classes[i]);
		if (snapshot->classes[i].class != i)
			reader->bad = true;
	}
}

static void take_threads(struct reader *reader, const struct moment_layout *layout, struct snapshot *snapshot)
{
	uint64_t count = reader_number(reader);
	void *rows = snapshot->threads;
	if (!resize(reader, &rows, sizeof(struct thread_row), snapshot->thread_count, count, MOMENT_THREADS_MAX))
		return;
	snapshot->threads = rows;
	snapshot->thread_count = (size_t)count;
	for (size_t i = 0; i < count; i++) {
		uint8_t what = reader_byte(reader);
		if (what != ROW_SAME)
			take_counters(reader, &layout->threads, &snapshot->threads[i]);
		if (what == ROW_RENAMED)
			reader_text(reader, snapshot->threads[i].name, sizeof(snapshot->threads[i].name));
	}
}

static uint32_t take_small(struct reader *reader, uint32_t from)
{
	uint64_t value = reader_step(reader, from);
	if (value > UINT32_MAX)
		reader->bad = true;
	return (uint32_t)value;
}

/* What the rows of a moment are read into. */
struct rows {
	const struct snapshot *snapshot; /* whose classes there are, and whose time ages count back from */
	struct superslab *from, *to;     /* one and the same where rows only change: then nothing is moved */
	size_t from_count, to_count;     /* that there are */
	size_t taken, made;
};

static void take_slot(struct reader *reader, uint8_t state, const struct snapshot *snapshot, struct slot *slot)
{
	if (state > SLOT_EMPTY)
		reader->bad = true;
	slot->state = reader->bad ? SLOT_UNUSED : state;
	slot->class = reader_byte(reader);
	slot->used = take_small(reader, slot->used);
	slot->capacity = take_small(reader, slot->capacity);
	slot->span = take_small(reader, slot->span);
	uint64_t age_ms = reader_step(reader, slot_age_ms(snapshot, slot));
	slot->since_ms = slot_since_ms(snapshot, age_ms);
	if ((slot->class != SLOT_NO_CLASS && slot->class >= snapshot->class_count) ||
		age_ms > (uint64_t)MODEL_NUMBER_MAX)
		reader->bad = true;
}

static void take_new_row(struct reader *reader, const struct snapshot *snapshot, struct superslab *row)
{
	memset(row, 0, sizeof(*row));
	row->address = reader_number(reader);
	row->index = reader_number(reader);
	row->in_lru = reader_byte(reader) != 0;
	row->active_slots = reader_byte(reader);
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		uint8_t state = reader_byte(reader);
		row->slots[i].since_ms = slot_since_ms(snapshot, 0);
		if (state == SLOT_AGAIN && i > 0)
			row->slots[i] = row->slots[i - 1];
		else
			take_slot(reader, state, snapshot, &row->slots[i]);
	}
	if (row->index > (uint64_t)MODEL_NUMBER_MAX || row->active_slots > MODEL_SLOTS)
		reader->bad = true;
	superslab_finish(row);
}

static void take_changed_row(struct reader *reader, const struct snapshot *snapshot, struct superslab *row)
{
	row->active_slots = reader_byte(reader);
	uint64_t mask = reader_number(reader);
	if (mask > UINT32_MAX || row->active_slots > MODEL_SLOTS)
		reader->bad = true;
	for (unsigned i = 0; i < MODEL_SLOTS && !reader->bad; i++) {
		if ((mask >> i & 1) != 0)
			take_slot(reader, reader_byte(reader), snapshot, &row->slots[i]);
	}
	superslab_finish(row);
}

/* One operation of the list. Returns false at its end. */
static bool take_rows(struct reader *reader, struct rows *rows)
{
	uint8_t op = reader_byte(reader);
	uint64_t count = op == OP_KEEP || op == OP_SKIP ? reader_number(reader) : 1;
	bool takes = op != OP_NEW, makes = op != OP_SKIP;
	if (op == OP_END || op > OP_NEW || reader->bad || (takes != makes && rows->from == rows->to) ||
		(takes && count > rows->from_count - rows->taken) || (makes && count > rows->to_count - rows->made)) {
		reader->bad |= op != OP_END;
		return false;
	}
	if (takes && makes && rows->from != NULL && rows->from != rows->to)
		memcpy(&rows->to[rows->made], &rows->from[rows->taken], count * sizeof(*rows->to));
	if (op == OP_CHANGE)
		take_changed_row(reader, rows->snapshot, &rows->to[rows->made]);
	else if (op == OP_NEW)
		take_new_row(reader, rows->snapshot, &rows->to[rows->made]);
	rows->taken += takes ? count : 0;
	rows->made += makes ? count : 0;
	return true;
}

static void take_superslabs(struct reader *reader, struct snapshot *snapshot)
{
	uint64_t count = reader_number(reader);
	bool moves = reader_byte(reader) != 0;
	size_t old = snapshot->superslabs != NULL ? snapshot->superslab_count : 0;
	struct rows rows = {
		.snapshot = snapshot, .from = snapshot->superslabs, .to = snapshot->superslabs, .from_count = old, .to_count = (size_t)count,
	};
	/* What is new takes bytes; what is old is there. */
	if (reader->bad || count > MOMENT_SUPERSLABS_MAX || count > old + reader_left(reader) / ROW_BYTES_MIN) {
		reader->bad = true;
		return;
	}
	if (snapshot->superslabs == NULL || count != old || moves) {
		rows.to = calloc(count + 1, sizeof(*rows.to));
		if (rows.to == NULL) {
			reader->bad = true;
			return;
		}
	}
	while (take_rows(reader, &rows)) {
	}
	if (rows.made != count)
		reader->bad = true;
	if (rows.to != rows.from) {
		free(snapshot->superslabs);
		snapshot->superslabs = rows.to;
		snapshot->superslab_count = (size_t)count;
	}
}

bool moment_decode(struct snapshot **snapshot, const struct moment_layout *layout, const uint8_t *data, size_t length,
	struct problem *problem)
{
	struct reader reader = {.at = data, .end = data + length};
	if (*snapshot == NULL && (*snapshot = calloc(1, sizeof(**snapshot))) == NULL)
		return problem_set(problem, "out of memory for a snapshot");
	struct snapshot *s = *snapshot;
	uint64_t before_us = s->time_us;
	take_counters(&reader, &layout->counters, s);
	take_texts(&reader, &layout->texts, s);
	take_classes(&reader, layout, s);
	take_threads(&reader, layout, s);
	if (s->time_us < before_us)
		reader.bad = true;
	if (!reader.bad)
		take_superslabs(&reader, s);
	if (!reader.bad && reader_left(&reader) == 0 && s->geometry.slots_per_superslab == MODEL_SLOTS)
		return true;
	snapshot_free(s);
	*snapshot = NULL;
	return problem_set(problem, "a moment of it is damaged");
}

struct snapshot *moment_copy(const struct snapshot *snapshot)
{
	struct snapshot *copy = malloc(sizeof(*copy));
	if (copy == NULL)
		return NULL;
	*copy = *snapshot;
	copy->classes = malloc((snapshot->class_count + 1) * sizeof(*copy->classes));
	copy->threads = malloc((snapshot->thread_count + 1) * sizeof(*copy->threads));
	copy->superslabs = malloc((snapshot->superslab_count + 1) * sizeof(*copy->superslabs));
	if (copy->classes == NULL || copy->threads == NULL || copy->superslabs == NULL) {
		snapshot_free(copy);
		return NULL;
	}
	if (snapshot->class_count > 0)
		memcpy(copy->classes, snapshot->classes, snapshot->class_count * sizeof(*copy->classes));
	if (snapshot->thread_count > 0)
		memcpy(copy->threads, snapshot->threads, snapshot->thread_count * sizeof(*copy->threads));
	if (snapshot->superslab_count > 0)
		memcpy(copy->superslabs, snapshot->superslabs, snapshot->superslab_count * sizeof(*copy->superslabs));
	return copy;
}
