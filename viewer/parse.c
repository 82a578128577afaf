#include "viewer/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"

/* A counter's key and the place of its value in the struct that its section is read into. */
struct field {
	const char *name;
	size_t offset;
	bool required;
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define CLASS_FIELD(name) {#name, offsetof(struct class_row, name), true},
#define CLASS_OPTION(name) {#name, offsetof(struct class_row, name), false},
#define THREAD_FIELD(name) {#name, offsetof(struct thread_row, name), true},
#define THREAD_OPTION(name) {#name, offsetof(struct thread_row, name), false},
static const struct field class_fields[] = {MODEL_CLASS(CLASS_FIELD, CLASS_OPTION)};
static const struct field thread_fields[] = {MODEL_THREAD(THREAD_FIELD, THREAD_OPTION)};

/* One table a section. The offsets count in words: a section is a struct of uint64_t only. */
#define WORD_FIELD(name) {#name, 0, true},
#define WORD_OPTION(name) {#name, 0, false},
#define SECTION_TABLE(section, fields) static const struct field section##_fields[] = {fields(WORD_FIELD, WORD_OPTION)};
MODEL_SECTIONS(SECTION_TABLE)
SECTION_TABLE(trace, MODEL_TRACE)
SECTION_TABLE(process, MODEL_PROCESS)

/* "a.b", or "b" at the top. */
static bool wrong(struct problem *problem, const char *section, const char *name, const char *want)
{
	return problem_set(problem, "%s%s%s is missing or not %s", section, *section != '\0' ? "." : "", name, want);
}

static bool read_number(const cJSON *object, const char *section, const char *name, uint64_t *value,
	struct problem *problem)
{
	if (!model_number(cJSON_GetObjectItemCaseSensitive(object, name), value))
		return wrong(problem, section, name, "an integer from 0 to 2^53");
	return true;
}

/* The same, of a table's field: one that need not be there is 0 where it isn't. */
static bool read_field(const cJSON *object, const char *section, const struct field *field, uint64_t *value,
	struct problem *problem)
{
	*value = 0;
	if (!field->required && cJSON_GetObjectItemCaseSensitive(object, field->name) == NULL)
		return true;
	return read_number(object, section, field->name, value, problem);
}

static bool read_text(const cJSON *object, const char *section, const char *name, char *out, size_t size,
	struct problem *problem)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
	if (!cJSON_IsString(item))
		return wrong(problem, section, name, "a string");
	format_printable(out, size, item->valuestring);
	return true;
}

/* A string, or an array of strings that is joined with `separator`: a command line, the names of groups. */
static bool read_words(const cJSON *object, const char *section, const char *name, const char *separator, char *out,
	size_t size, struct problem *problem)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name), *word;
	if (!cJSON_IsArray(item))
		return read_text(object, section, name, out, size, problem);
	size_t length = 0;
	out[0] = '\0';
	cJSON_ArrayForEach(word, item) {
		if (!cJSON_IsString(word))
			return wrong(problem, section, name, "an array of strings");
		if (length > 0)
			length += (size_t)snprintf(out + length, size - length, "%s", separator);
		if (length + 1 >= size)
			break;
		format_printable(out + length, size - length, word->valuestring);
		length += strlen(out + length);
		if (length + 4 >= size)
			break;
	}
	return true;
}

/* An array's length, bounded. */
static bool read_array(const cJSON *document, const char *name, size_t limit, const cJSON **array, size_t *count,
	struct problem *problem)
{
	*array = cJSON_GetObjectItemCaseSensitive(document, name);
	if (!cJSON_IsArray(*array))
		return wrong(problem, "", name, "an array");
	*count = (size_t)cJSON_GetArraySize(*array);
	if (*count > limit)
		return problem_set(problem, "%s has %zu rows, more than the %zu that this viewer takes", name, *count,
			limit);
	return true;
}

static bool read_section(const cJSON *document, const char *name, const struct field *fields, size_t count, void *out,
	struct problem *problem)
{
	const cJSON *section = cJSON_GetObjectItemCaseSensitive(document, name);
	if (!cJSON_IsObject(section) && (section != NULL || fields[0].required))
		return wrong(problem, "", name, "an object");
	for (size_t i = 0; i < count; i++) {
		if (!read_field(section, name, &fields[i], (uint64_t *)out + i, problem))
			return false;
	}
	return true;
}

static bool read_row(const cJSON *row, const char *section, const struct field *fields, size_t count, void *out,
	struct problem *problem)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 0;
		if (!read_field(row, section, &fields[i], &value, problem))
			return false;
		memcpy((char *)out + fields[i].offset, &value, sizeof(value));
	}
	return true;
}

static bool read_process(const cJSON *document, struct snapshot *out, struct problem *problem)
{
	const cJSON *process = cJSON_GetObjectItemCaseSensitive(document, "process");
	return read_section(document, "process", process_fields, COUNT_OF(process_fields), &out->process, problem) &&
		read_text(process, "process", "exe", out->process.exe, sizeof(out->process.exe), problem) &&
		read_words(process, "process", "cmdline", " ", out->process.cmdline, sizeof(out->process.cmdline),
		problem);
}

static bool read_trace(const cJSON *document, struct snapshot *out, struct problem *problem)
{
	const cJSON *trace = cJSON_GetObjectItemCaseSensitive(document, "trace");
	return read_section(document, "trace", trace_fields, COUNT_OF(trace_fields), &out->trace, problem) &&
		read_words(trace, "trace", "groups", ",", out->trace.groups, sizeof(out->trace.groups), problem);
}

static bool read_classes(const cJSON *document, struct snapshot *out, struct problem *problem)
{
	const cJSON *array, *row;
	size_t count = 0;
	if (!read_array(document, "classes", MODEL_CLASSES_MAX, &array, &count, problem))
		return false;
	out->classes = calloc(count + 1, sizeof(*out->classes));
	if (out->classes == NULL)
		return problem_set(problem, "out of memory for %zu classes", count);
	cJSON_ArrayForEach(row, array) {
		struct class_row *class = &out->classes[out->class_count];
		if (!read_row(row, "classes", class_fields, COUNT_OF(class_fields), class, problem))
			return false;
		/* Panels index by class, so the rows have to be in order. */
		if (class->class != out->class_count)
			return problem_set(problem, "classes are not in order: row %zu is class %llu", out->class_count,
				(unsigned long long)class->class);
		out->class_count++;
	}
	return true;
}

static bool read_threads(const cJSON *document, struct snapshot *out, struct problem *problem)
{
	const cJSON *array, *row;
	size_t count = 0;
	if (!read_array(document, "threads", MODEL_THREADS_MAX, &array, &count, problem))
		return false;
	out->threads = calloc(count + 1, sizeof(*out->threads));
	if (out->threads == NULL)
		return problem_set(problem, "out of memory for %zu threads", count);
	cJSON_ArrayForEach(row, array) {
		struct thread_row *thread = &out->threads[out->thread_count];
		if (!read_row(row, "threads", thread_fields, COUNT_OF(thread_fields), thread, problem) ||
			!read_text(row, "threads", "name", thread->name, sizeof(thread->name), problem))
			return false;
		out->thread_count++;
	}
	return true;
}

/* The columns of a slot's row, by their names in slot_fields. */
enum slot_column { COLUMN_STATE, COLUMN_CLASS, COLUMN_USED, COLUMN_CAPACITY, COLUMN_SPAN, COLUMN_AGE, COLUMN_COUNT };
_Static_assert(COLUMN_COUNT == MODEL_SLOT_COLUMNS, "a snapshot keeps the place of each column");
static const char *const slot_column_names[COLUMN_COUNT] = {"state", "class", "used", "capacity", "span", "age_ms"};
#define SLOT_COLUMNS_MAX 32

static bool read_slot_fields(const cJSON *document, int place[COLUMN_COUNT], struct problem *problem)
{
	const cJSON *array, *item;
	size_t count = 0;
	if (!read_array(document, "slot_fields", SLOT_COLUMNS_MAX, &array, &count, problem))
		return false;
	for (int i = 0; i < COLUMN_COUNT; i++)
		place[i] = -1;
	int at = 0;
	cJSON_ArrayForEach(item, array) {
		for (int i = 0; cJSON_IsString(item) && i < COLUMN_COUNT; i++) {
			if (strcmp(item->valuestring, slot_column_names[i]) == 0)
				place[i] = at;
		}
		at++;
	}
	for (int i = 0; i < COLUMN_COUNT; i++) {
		if (place[i] < 0)
			return problem_set(problem, "slot_fields has no column %s", slot_column_names[i]);
	}
	return true;
}

static bool read_state(const cJSON *item, uint8_t *state)
{
	static const char *const names[] = {"UNUSED", "ACTIVE", "EMPTY"};
	for (unsigned i = 0; cJSON_IsString(item) && i < COUNT_OF(names); i++) {
		if (strcmp(item->valuestring, names[i]) == 0) {
			*state = (uint8_t)i;
			return true;
		}
	}
	return false;
}

static bool read_small(const cJSON *item, uint32_t *out)
{
	uint64_t value;
	if (!model_number(item, &value) || value > UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool read_slot(const cJSON *row, const struct snapshot *of, struct slot *slot)
{
	const cJSON *cells[SLOT_COLUMNS_MAX] = {NULL}, *cell;
	int at = 0;
	if (!cJSON_IsArray(row))
		return false;
	cJSON_ArrayForEach(cell, row) {
		if (at == SLOT_COLUMNS_MAX)
			break;
		cells[at++] = cell;
	}
	const int *place = of->slot_place;
	uint32_t class = SLOT_NO_CLASS;
	uint64_t age_ms;
	const cJSON *class_item = cells[place[COLUMN_CLASS]];
	if (!cJSON_IsNull(class_item) && (!read_small(class_item, &class) || class >= of->class_count))
		return false;
	slot->class = (uint8_t)class;
	if (!read_state(cells[place[COLUMN_STATE]], &slot->state) || !read_small(cells[place[COLUMN_USED]], &slot->used) ||
		!read_small(cells[place[COLUMN_CAPACITY]], &slot->capacity) ||
		!read_small(cells[place[COLUMN_SPAN]], &slot->span) || !model_number(cells[place[COLUMN_AGE]], &age_ms))
		return false;
	slot->since_ms = slot_since_ms(of, age_ms);
	return true;
}

/* A row of `of`, whose time, classes and columns are known. */
static bool read_superslab(const cJSON *row, const struct snapshot *of, struct superslab *out, struct problem *problem)
{
	const cJSON *address = cJSON_GetObjectItemCaseSensitive(row, "ss");
	const cJSON *in_lru = cJSON_GetObjectItemCaseSensitive(row, "in_lru");
	const cJSON *slots = cJSON_GetObjectItemCaseSensitive(row, "slots"), *slot;
	uint64_t active = 0;
	char *end = NULL;
	if (!cJSON_IsString(address) || strncmp(address->valuestring, "0x", 2) != 0)
		return wrong(problem, "superslabs", "ss", "an address as a hex string");
	out->address = strtoull(address->valuestring + 2, &end, 16);
	if (end == address->valuestring + 2 || *end != '\0')
		return wrong(problem, "superslabs", "ss", "an address as a hex string");
	if (!read_number(row, "superslabs", "index", &out->index, problem) ||
		!read_number(row, "superslabs", "active_slots", &active, problem))
		return false;
	if (active > MODEL_SLOTS)
		return wrong(problem, "superslabs", "active_slots", "at most 32");
	out->active_slots = (uint8_t)active;
	if (!cJSON_IsBool(in_lru))
		return wrong(problem, "superslabs", "in_lru", "true or false");
	out->in_lru = cJSON_IsTrue(in_lru);
	unsigned count = 0;
	cJSON_ArrayForEach(slot, slots) {
		if (count == MODEL_SLOTS || !read_slot(slot, of, &out->slots[count]))
			return problem_set(problem, "slot %u of SuperSlab %s is not a valid row", count,
				address->valuestring);
		count++;
	}
	if (count != MODEL_SLOTS)
		return problem_set(problem, "SuperSlab %s has %u slots instead of 32", address->valuestring, count);
	superslab_finish(out);
	return true;
}

static bool read_superslabs(const cJSON *document, struct snapshot *out, struct problem *problem)
{
	const cJSON *array, *row;
	size_t count = 0;
	if (!read_slot_fields(document, out->slot_place, problem) ||
		!read_array(document, "superslabs", MODEL_SUPERSLABS_MAX, &array, &count, problem))
		return false;
	out->superslabs = calloc(count + 1, sizeof(*out->superslabs));
	if (out->superslabs == NULL)
		return problem_set(problem, "out of memory for %zu SuperSlabs", count);
	cJSON_ArrayForEach(row, array) {
		if (!read_superslab(row, out, &out->superslabs[out->superslab_count], problem))
			return false;
		out->superslab_count++;
	}
	return true;
}

static bool read_type(const cJSON *document, struct snapshot *out, struct problem *problem)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(document, "type");
	const cJSON *reason = cJSON_GetObjectItemCaseSensitive(document, "reason");
	if (!cJSON_IsString(type))
		return problem_set(problem, "it has no \"type\", so it isn't a HAKMEM snapshot or dump");
	out->is_dump = strcmp(type->valuestring, "dump") == 0;
	if (!out->is_dump && strcmp(type->valuestring, "snapshot") != 0)
		return problem_set(problem, "its type is \"%.40s\", not \"snapshot\" or \"dump\"", type->valuestring);
	if (cJSON_IsString(reason))
		format_printable(out->reason, sizeof(out->reason), reason->valuestring);
	return true;
}

/* Beside its section's counters. */
static void read_guard_level(const cJSON *document, struct snapshot *out)
{
	const cJSON *level = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(document, "guard"), "level");
	if (cJSON_IsString(level))
		format_printable(out->guard_level, sizeof(out->guard_level), level->valuestring);
}

/* What need not be there. */
static void read_version(const cJSON *document, struct snapshot *out)
{
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(document, "version");
	if (cJSON_IsString(version))
		format_printable(out->version, sizeof(out->version), version->valuestring);
	if (!model_number(cJSON_GetObjectItemCaseSensitive(document, "realtime_us"), &out->realtime_us))
		out->realtime_us = 0;
}

static bool read_all(const cJSON *document, struct snapshot *out, struct problem *problem)
{
	if (!read_type(document, out, problem) || !read_number(document, "", "protocol", &out->protocol, problem) ||
		!read_number(document, "", "seq", &out->seq, problem) ||
		!read_number(document, "", "time_us", &out->time_us, problem) ||
		!read_number(document, "", "uptime_us", &out->uptime_us, problem) ||
		!read_process(document, out, problem))
		return false;
	read_version(document, out);
#define READ_SECTION(section, fields) \
	if (!read_section(document, #section, section##_fields, COUNT_OF(section##_fields), &out->section, problem)) \
		return false;
	MODEL_SECTIONS(READ_SECTION)
	read_guard_level(document, out);
	if (out->geometry.slots_per_superslab != MODEL_SLOTS)
		return problem_set(problem, "its SuperSlabs have %llu slots; this viewer knows 32",
			(unsigned long long)out->geometry.slots_per_superslab);
	return read_trace(document, out, problem) && read_classes(document, out, problem) &&
		read_threads(document, out, problem) && read_superslabs(document, out, problem);
}

struct snapshot *snapshot_parse(const cJSON *document, struct problem *problem)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	if (snapshot == NULL) {
		problem_set(problem, "out of memory for a snapshot");
		return NULL;
	}
	if (!cJSON_IsObject(document)) {
		problem_set(problem, "it is not a JSON object, so it isn't a HAKMEM snapshot or dump");
	} else if (read_all(document, snapshot, problem)) {
		return snapshot;
	}
	snapshot_free(snapshot);
	return NULL;
}


/* ---- Deltas ---- */

static bool is_there(const cJSON *delta, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(delta, name) != NULL;
}

/* The sections that the delta has; the others stay as they are. */
static bool apply_sections(const cJSON *delta, struct snapshot *out, struct problem *problem)
{
#define APPLY_SECTION(section, fields) \
	if (is_there(delta, #section) && !read_section(delta, #section, section##_fields, COUNT_OF(section##_fields), \
		&out->section, problem)) \
		return false;
	MODEL_SECTIONS(APPLY_SECTION)
	read_guard_level(delta, out);
	if (is_there(delta, "threads")) {
		free(out->threads);
		out->threads = NULL;
		out->thread_count = 0;
		if (!read_threads(delta, out, problem))
			return false;
	}
	return (!is_there(delta, "process") || read_process(delta, out, problem)) &&
		(!is_there(delta, "trace") || read_trace(delta, out, problem));
}

static bool apply_classes(const cJSON *delta, struct snapshot *out, struct problem *problem)
{
	const cJSON *array, *row;
	size_t count = 0;
	if (!read_array(delta, "classes", MODEL_CLASSES_MAX, &array, &count, problem))
		return false;
	cJSON_ArrayForEach(row, array) {
		struct class_row class = {0};
		if (!read_row(row, "classes", class_fields, COUNT_OF(class_fields), &class, problem))
			return false;
		if (class.class >= out->class_count)
			return problem_set(problem, "the delta has class %llu of %zu", (unsigned long long)class.class,
				out->class_count);
		out->classes[class.class] = class;
	}
	return true;
}

/* Those in use come first, then those in the LRU cache, by address. */
static int compare_places(const void *a, const void *b)
{
	const struct superslab *left = a, *right = b;
	if (left->in_lru != right->in_lru)
		return left->in_lru ? 1 : -1;
	return left->index < right->index ? -1 : left->index > right->index;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

/* What a delta says of the slot map. */
struct changes {
	struct superslab *rows;  /* new or changed */
	size_t count, gone_count;
	uint64_t *replaced;      /* indices of those and of the ones that are gone, sorted */
	size_t replaced_count;
};

static bool read_changes(const cJSON *delta, const struct snapshot *after, struct changes *out, struct problem *problem)
{
	const cJSON *rows, *gone, *item;
	size_t row_count = 0;
	if (!read_array(delta, "superslabs", MODEL_SUPERSLABS_MAX, &rows, &row_count, problem) ||
		!read_array(delta, "superslabs_gone", MODEL_SUPERSLABS_MAX, &gone, &out->gone_count, problem))
		return false;
	out->rows = calloc(row_count + 1, sizeof(*out->rows));
	out->replaced = calloc(row_count + out->gone_count + 1, sizeof(*out->replaced));
	if (out->rows == NULL || out->replaced == NULL)
		return problem_set(problem, "out of memory for %zu SuperSlabs", row_count);
	cJSON_ArrayForEach(item, rows) {
		struct superslab *row = &out->rows[out->count];
		if (!read_superslab(item, after, row, problem))
			return false;
		out->count++;
		out->replaced[out->replaced_count++] = row->index;
	}
	cJSON_ArrayForEach(item, gone) {
		if (!model_number(item, &out->replaced[out->replaced_count++]))
			return wrong(problem, "", "superslabs_gone", "an array of integers");
	}
	qsort(out->rows, out->count, sizeof(*out->rows), compare_places);
	qsort(out->replaced, out->replaced_count, sizeof(*out->replaced), compare_numbers);
	return true;
}

/* Takes over the rows of `base` and puts those of `changes` in their places, where each has one: of a large heap that is
 * much less than writing all of it anew, ten times a second. Returns false, and has changed nothing, where rows come or
 * go. */
static bool change_rows(struct snapshot *base, const struct changes *changes, struct snapshot *out)
{
	if (changes->gone_count > 0)
		return false;
	for (size_t i = 0; i < changes->count; i++) {
		if (bsearch(&changes->rows[i], base->superslabs, base->superslab_count, sizeof(*base->superslabs),
			compare_places) == NULL)
			return false;
	}
	for (size_t i = 0; i < changes->count; i++) {
		struct superslab *row = bsearch(&changes->rows[i], base->superslabs, base->superslab_count,
			sizeof(*base->superslabs), compare_places);
		*row = changes->rows[i];
	}
	out->superslabs = base->superslabs;
	out->superslab_count = base->superslab_count;
	base->superslabs = NULL;
	base->superslab_count = 0;
	return true;
}

/* Puts the rows of `base` that stay and those of `changes` together, both being in order. */
static bool merge_rows(const struct snapshot *base, const struct changes *changes, struct snapshot *out,
	struct problem *problem)
{
	size_t next = 0;
	out->superslabs = malloc((base->superslab_count + changes->count + 1) * sizeof(*out->superslabs));
	if (out->superslabs == NULL || base->superslab_count + changes->count > MODEL_SUPERSLABS_MAX)
		return problem_set(problem, "out of memory for %zu SuperSlabs",
			base->superslab_count + changes->count);
	for (size_t i = 0; i < base->superslab_count; i++) {
		const struct superslab *row = &base->superslabs[i];
		if (bsearch(&row->index, changes->replaced, changes->replaced_count, sizeof(*changes->replaced),
			compare_numbers) != NULL)
			continue;
		while (next < changes->count && compare_places(&changes->rows[next], row) < 0)
			out->superslabs[out->superslab_count++] = changes->rows[next++];
		out->superslabs[out->superslab_count++] = *row;
	}
	while (next < changes->count)
		out->superslabs[out->superslab_count++] = changes->rows[next++];
	return true;
}

static bool apply_superslabs(const cJSON *delta, struct snapshot *base, bool spend, struct snapshot *out,
	struct problem *problem)
{
	struct changes changes = {0};
	bool ok = read_changes(delta, out, &changes, problem) &&
		((spend && change_rows(base, &changes, out)) || merge_rows(base, &changes, out, problem));
	free(changes.rows);
	free(changes.replaced);
	return ok;
}

/* A copy without rows of the slot map. */
static struct snapshot *copy_of(const struct snapshot *base)
{
	struct snapshot *out = calloc(1, sizeof(*out));
	if (out == NULL)
		return NULL;
	*out = *base;
	out->superslabs = NULL;
	out->superslab_count = 0;
	out->classes = calloc(base->class_count + 1, sizeof(*out->classes));
	out->threads = calloc(base->thread_count + 1, sizeof(*out->threads));
	if (out->classes == NULL || out->threads == NULL) {
		snapshot_free(out);
		return NULL;
	}
	memcpy(out->classes, base->classes, base->class_count * sizeof(*out->classes));
	memcpy(out->threads, base->threads, base->thread_count * sizeof(*out->threads));
	return out;
}

struct snapshot *snapshot_apply(struct snapshot *base, bool spend, const cJSON *delta, struct problem *problem)
{
	struct snapshot *out = copy_of(base);
	if (out == NULL) {
		problem_set(problem, "out of memory for a snapshot");
		return NULL;
	}
	read_version(delta, out);
	if (read_number(delta, "", "seq", &out->seq, problem) &&
		read_number(delta, "", "time_us", &out->time_us, problem) &&
		read_number(delta, "", "uptime_us", &out->uptime_us, problem) &&
		(out->time_us >= base->time_us || wrong(problem, "", "time_us", "that of a later snapshot")) &&
		apply_sections(delta, out, problem) && apply_classes(delta, out, problem) &&
		apply_superslabs(delta, base, spend, out, problem))
		return out;
	snapshot_free(out);
	return NULL;
}
