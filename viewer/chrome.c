#include "viewer/chrome.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/batch.h"

#define NAME_MAX_BYTES 64
#define NUMBER_MAX 9007199254740991.0 /* 2^53 - 1: what JSON carries exactly */
#define THREADS_MAX 100000 /* whose names are kept; an id comes again when it is used again */

struct chrome_name {
	double tid;
	char name[NAME_MAX_BYTES];
};

/* The counters' tracks, and the members of a snapshot that each shows. */
static const struct {
	const char *track, *section, *member, *shown;
} counters[] = {
	{"heap", "memory", "live_bytes", "live"},
	{"heap", "memory", "cached_bytes", "cached"},
	{"heap", "memory", "slack_bytes", "slack"},
	{"committed", "memory", "committed_bytes", "committed"},
	{"resident", "memory", "resident_bytes", "resident"},
	{"SuperSlabs", "pool", "superslabs", "in use"},
	{"SuperSlabs", "lru", "length", "in the LRU cache"},
};

static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* 0 for what is no number of the protocol's: a file may have anything there, 1e999 too. */
static double number(const cJSON *object, const char *name)
{
	const cJSON *item = member(object, name);
	bool good = cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= NUMBER_MAX;
	return good ? item->valuedouble : 0;
}

static const char *text(const cJSON *object, const char *name)
{
	const cJSON *item = member(object, name);
	return cJSON_IsString(item) ? item->valuestring : "";
}

/* A trace event with what each one has. Takes over `args`, unless NULL is returned: then memory is out. */
static cJSON *trace_event(const char *phase, const char *name, double time, double pid, double tid, cJSON *args)
{
	cJSON *event = cJSON_CreateObject();
	bool made = event != NULL && cJSON_AddStringToObject(event, "ph", phase) != NULL &&
		cJSON_AddStringToObject(event, "name", name) != NULL && cJSON_AddNumberToObject(event, "ts", time) != NULL &&
		cJSON_AddNumberToObject(event, "pid", pid) != NULL && cJSON_AddNumberToObject(event, "tid", tid) != NULL &&
		args != NULL && cJSON_AddItemToObject(event, "args", args);
	if (made)
		return event;
	cJSON_Delete(event);
	cJSON_Delete(args);
	return NULL;
}

static bool append(cJSON *list, cJSON *event)
{
	return event != NULL && cJSON_AddItemToArray(list, event);
}

/* An object with one string. */
static cJSON *name_args(const char *name)
{
	cJSON *args = cJSON_CreateObject();
	if (cJSON_AddStringToObject(args, "name", name) != NULL)
		return args;
	cJSON_Delete(args);
	return NULL;
}

/* Notes a thread's name. Returns false if it is known already. */
static bool is_new_name(struct chrome *chrome, double tid, const char *name)
{
	size_t i = 0;
	while (i < chrome->name_count && chrome->names[i].tid != tid)
		i++;
	if (i < chrome->name_count && strncmp(chrome->names[i].name, name, NAME_MAX_BYTES - 1) == 0)
		return false;
	if (i == chrome->name_count) {
		struct chrome_name *names = i < THREADS_MAX ? realloc(chrome->names, (i + 1) * sizeof(*names)) : NULL;
		if (names == NULL)
			return true;
		chrome->names = names;
		chrome->name_count++;
	}
	chrome->names[i].tid = tid;
	snprintf(chrome->names[i].name, NAME_MAX_BYTES, "%s", name);
	return true;
}

/* The names of the process and of its threads, as far as they are news. */
static bool add_names(struct chrome *chrome, cJSON *list, const cJSON *document)
{
	const cJSON *thread, *process = member(document, "process");
	const char *exe = text(process, "exe"), *slash = strrchr(exe, '/');
	bool good = true;
	/* The process's name is kept as that of a thread that no process has. */
	if (is_new_name(chrome, -1, exe))
		good = append(list, trace_event("M", "process_name", 0, chrome->pid, chrome->pid,
			name_args(slash != NULL ? slash + 1 : exe)));
	cJSON_ArrayForEach(thread, member(document, "threads")) {
		double tid = number(thread, "tid");
		if (good && *text(thread, "name") != '\0' && is_new_name(chrome, tid, text(thread, "name")))
			good = append(list, trace_event("M", "thread_name", 0, chrome->pid, tid,
				name_args(text(thread, "name"))));
	}
	return good;
}

static bool add_counters(const struct chrome *chrome, cJSON *list, const cJSON *document)
{
	size_t count = sizeof(counters) / sizeof(counters[0]);
	for (size_t i = 0, next; i < count; i = next) {
		cJSON *args = cJSON_CreateObject();
		for (next = i; next < count && strcmp(counters[next].track, counters[i].track) == 0; next++)
			cJSON_AddNumberToObject(args, counters[next].shown,
				number(member(document, counters[next].section), counters[next].member));
		if (!append(list, trace_event("C", counters[i].track, number(document, "time_us"), chrome->pid,
			chrome->pid, args)))
			return false;
	}
	return true;
}

/* A mark is the user's own word: it is named after its text, and crosses all tracks of the process. */
static cJSON *instant(const struct chrome *chrome, const cJSON *event)
{
	const cJSON *args = member(event, "args");
	bool is_mark = strcmp(text(event, "group"), "mark") == 0;
	cJSON *out = trace_event("i", is_mark ? text(args, "text") : text(event, "name"), number(event, "time_us"), chrome->pid,
		number(event, "tid"), cJSON_IsObject(args) ? cJSON_Duplicate(args, true) : cJSON_CreateObject());
	if (out != NULL && cJSON_AddStringToObject(out, "cat", text(event, "group")) != NULL &&
		cJSON_AddStringToObject(out, "s", is_mark ? "p" : "t") != NULL)
		return out;
	cJSON_Delete(out);
	return NULL;
}

static bool add_events(struct chrome *chrome, cJSON *list, const cJSON *document)
{
	const cJSON *event;
	double lost = number(document, "lost");
	cJSON_ArrayForEach(event, member(document, "events")) {
		if (!cJSON_IsObject(event))
			continue;
		if (!append(list, instant(chrome, event)))
			return false;
		chrome->events++;
	}
	if (lost > 0) {
		cJSON *args = cJSON_CreateObject(), *out;
		cJSON_AddNumberToObject(args, "lost", lost);
		chrome->lost += (uint64_t)lost;
		out = trace_event("i", "events lost", number(document, "time_us"), chrome->pid, chrome->pid, args);
		cJSON_AddStringToObject(out, "cat", "hakmem");
		cJSON_AddStringToObject(out, "s", "p");
		return append(list, out);
	}
	return true;
}

static bool failed(struct problem *problem, const char *what)
{
	return problem_set(problem, "the recording: %s", what);
}

/* Writes the events behind those that there are; batch_json makes the JSON safe for any reader. */
static bool write_list(struct chrome *chrome, const cJSON *list, struct problem *problem)
{
	if (cJSON_GetArraySize(list) == 0)
		return true;
	char *printed = cJSON_PrintUnformatted(list);
	if (printed == NULL)
		return failed(problem, strerror(ENOMEM));
	fputs(chrome->begun ? "," : "[", chrome->out);
	chrome->begun = true;
	/* Without the list's own brackets. */
	bool written = batch_json(chrome->out, printed + 1, strlen(printed) - 2);
	cJSON_free(printed);
	return written || failed(problem, strerror(errno));
}

void chrome_begin(struct chrome *chrome, FILE *out)
{
	*chrome = (struct chrome){.out = out};
}

bool chrome_take(struct chrome *chrome, const char *json, size_t length, struct problem *problem)
{
	cJSON *document = cJSON_ParseWithLength(json, length), *list = cJSON_CreateArray();
	const char *type = text(document, "type");
	bool is_state = strcmp(type, "snapshot") == 0 || strcmp(type, "dump") == 0, good = list != NULL;
	if (is_state && good) {
		chrome->pid = number(member(document, "process"), "pid");
		good = add_names(chrome, list, document) && add_counters(chrome, list, document);
	}
	if (good && (is_state || strcmp(type, "events") == 0))
		good = add_events(chrome, list, document);
	if (document == NULL)
		good = failed(problem, "the target sent what is no JSON");
	else if (strcmp(type, "error") == 0)
		good = problem_set(problem, "the target refuses: %s", text(document, "message"));
	else if (!good)
		failed(problem, strerror(ENOMEM));
	else
		good = write_list(chrome, list, problem);
	cJSON_Delete(list);
	cJSON_Delete(document);
	return good;
}

bool chrome_end(struct chrome *chrome)
{
	fputs(chrome->begun ? "]\n" : "[]\n", chrome->out);
	free(chrome->names);
	chrome->names = NULL;
	chrome->name_count = 0;
	return fflush(chrome->out) == 0 && !ferror(chrome->out);
}
