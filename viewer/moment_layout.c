/* moment_layout.c: the fields of a moment, by name. */
#include <stdio.h>
#include <string.h>

#include "viewer/moment.h"

struct field {
	const char *name;
	uint16_t at;
	bool required;
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define HEAD(name, required) {#name, offsetof(struct snapshot, name), required},

/* A section's counters lie side by side from its beginning on; their names are put together where they are written. */
#define SECTION_FIELD(name) {#name, 0, true},
#define SECTION_OPTION(name) {#name, 0, false},
#define SECTION_TABLE(section, fields) \
	static const struct field section##_fields[] = {fields(SECTION_FIELD, SECTION_OPTION)};
MODEL_SECTIONS(SECTION_TABLE)
SECTION_TABLE(process, MODEL_PROCESS)
SECTION_TABLE(trace, MODEL_TRACE)

static const struct field head_fields[] = {
	HEAD(protocol, true) HEAD(seq, true) HEAD(time_us, true) HEAD(uptime_us, true) HEAD(realtime_us, false)
};
static const struct field text_fields[] = {
	HEAD(process.exe, true) HEAD(process.cmdline, false) HEAD(trace.groups, false) HEAD(reason, false) HEAD(version, false)
	HEAD(guard_level, false)
};
#define CLASS_FIELD(name) {#name, offsetof(struct class_row, name), true},
#define CLASS_OPTION(name) {#name, offsetof(struct class_row, name), false},
static const struct field class_fields[] = {MODEL_CLASS(CLASS_FIELD, CLASS_OPTION)};
#define THREAD_FIELD(name) {#name, offsetof(struct thread_row, name), true},
static const struct field thread_fields[] = {MODEL_THREAD(THREAD_FIELD, THREAD_FIELD)};

_Static_assert(sizeof(struct snapshot) < MOMENT_UNKNOWN, "a place in it fits 16 bits");

/* A run of fields under one name. `base` is added to their places; side by side if `packed`. */
struct group {
	const char *kind, *prefix;
	const struct field *fields;
	size_t count;
	size_t base;
	bool packed;
};

static const struct group groups[] = {
	{"counter", "", head_fields, COUNT_OF(head_fields), 0, false},
#define SECTION_GROUP(section, fields) \
	{"counter", #section ".", section##_fields, COUNT_OF(section##_fields), offsetof(struct snapshot, section), true},
	MODEL_SECTIONS(SECTION_GROUP)
	SECTION_GROUP(process, MODEL_PROCESS)
	SECTION_GROUP(trace, MODEL_TRACE)
	{"text", "", text_fields, COUNT_OF(text_fields), 0, false},
	{"class", "", class_fields, COUNT_OF(class_fields), 0, false},
	{"thread", "", thread_fields, COUNT_OF(thread_fields), 0, false},
};

static uint16_t place_of(const struct group *group, size_t i)
{
	return (uint16_t)(group->base + (group->packed ? i * sizeof(uint64_t) : group->fields[i].at));
}

static struct moment_fields *fields_of(struct moment_layout *layout, const char *kind)
{
	if (strcmp(kind, "counter") == 0)
		return &layout->counters;
	if (strcmp(kind, "text") == 0)
		return &layout->texts;
	if (strcmp(kind, "class") == 0)
		return &layout->classes;
	return strcmp(kind, "thread") == 0 ? &layout->threads : NULL;
}

const struct moment_layout *moment_layout(void)
{
	static struct moment_layout own;
	if (own.counters.count > 0)
		return &own;
	for (size_t i = 0; i < COUNT_OF(groups); i++) {
		struct moment_fields *fields = fields_of(&own, groups[i].kind);
		for (size_t j = 0; j < groups[i].count; j++)
			fields->at[fields->count++] = place_of(&groups[i], j);
	}
	return &own;
}

void moment_write_layout(struct bytes *out)
{
	char line[128];
	for (size_t i = 0; i < COUNT_OF(groups); i++) {
		for (size_t j = 0; j < groups[i].count; j++) {
			int length = snprintf(line, sizeof(line), "%s %s%s\n", groups[i].kind, groups[i].prefix,
				groups[i].fields[j].name);
			bytes_put(out, line, (size_t)length);
		}
	}
}

/* The place of a field by its name. */
static uint16_t find(const char *kind, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(groups); i++) {
		size_t prefix = strlen(groups[i].prefix);
		if (strcmp(groups[i].kind, kind) != 0 || strncmp(groups[i].prefix, name, prefix) != 0)
			continue;
		for (size_t j = 0; j < groups[i].count; j++) {
			if (strcmp(groups[i].fields[j].name, name + prefix) == 0)
				return place_of(&groups[i], j);
		}
	}
	return MOMENT_UNKNOWN;
}

static bool has(const struct moment_fields *fields, uint16_t place)
{
	for (unsigned i = 0; i < fields->count; i++) {
		if (fields->at[i] == place)
			return true;
	}
	return false;
}

static bool take_line(struct moment_layout *layout, char *line, struct problem *problem)
{
	char *name = strchr(line, ' ');
	struct moment_fields *fields = NULL;
	if (name != NULL) {
		*name++ = '\0';
		fields = fields_of(layout, line);
	}
	if (fields == NULL)
		return problem_set(problem, "its list of fields has a line \"%.40s\", which this viewer doesn't know", line);
	uint16_t place = find(line, name);
	if (fields->count == MOMENT_FIELDS_MAX || (place != MOMENT_UNKNOWN && has(fields, place)))
		return problem_set(problem, "its list of fields has too many, or %.40s twice", name);
	fields->at[fields->count++] = place;
	return true;
}

bool moment_read_layout(struct moment_layout *layout, const uint8_t *text, size_t length, struct problem *problem)
{
	char line[128];
	memset(layout, 0, sizeof(*layout));
	for (size_t at = 0; at < length;) {
		const uint8_t *end = memchr(text + at, '\n', length - at);
		size_t count = end != NULL ? (size_t)(end - text) - at : sizeof(line);
		if (count >= sizeof(line))
			return problem_set(problem, "its list of fields is damaged");
		memcpy(line, text + at, count);
		line[count] = '\0';
		if (!take_line(layout, line, problem))
			return false;
		at += count + 1;
	}
	for (size_t i = 0; i < COUNT_OF(groups); i++) {
		for (size_t j = 0; j < groups[i].count; j++) {
			if (groups[i].fields[j].required && !has(fields_of(layout, groups[i].kind), place_of(&groups[i], j)))
				return problem_set(problem, "it has no field %s%s; an older or a newer hakmem-top made it", groups[i].prefix,
					groups[i].fields[j].name);
		}
	}
	return true;
}
