#include "viewer/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "introspect/protocol.h"
#include "viewer/format.h"
#include "viewer/parse.h"
#include "viewer/recover.h"

#define DUMP_BYTES_MAX ((size_t)1 << 30)

/* Rates and courses go on from snapshot `before` to `snapshot`. */
static void go_on(const struct snapshot *before, struct snapshot *snapshot, struct rates *rates, bool *are_means,
	struct courses *courses)
{
	rates_between(rates, before, snapshot);
	*are_means = !rates->known;
	rates_of_threads(before, snapshot);
	courses_add(courses, snapshot, rates);
	if (!rates->known)
		rates_since_start(rates, snapshot);
}

void watch_show(struct watch *watch, struct snapshot *snapshot)
{
	go_on(watch->snapshot, snapshot, &watch->rates, &watch->rates_are_means, &watch->courses);
	snapshot_free(watch->snapshot);
	watch->snapshot = snapshot;
	if (watch->mark == NULL && !snapshot->is_dump)
		watch->mark = moment_copy(snapshot);
	if (watch->replay == NULL)
		watch->state = snapshot->is_dump ? WATCH_FILE : WATCH_LIVE;
}

static void freeze(struct watch *watch)
{
	watch->present.rates = watch->rates;
	watch->present.rates_are_means = watch->rates_are_means;
	watch->present.courses = watch->courses;
	watch->present.events = watch->events;
	watch->until_us = watch->snapshot != NULL ? watch->snapshot->time_us : 0;
	/* Events come before the snapshot that they led to. */
	if (watch->events.count > 0 && events_at(&watch->events, watch->events.count - 1)->time_us > watch->until_us)
		watch->until_us = events_at(&watch->events, watch->events.count - 1)->time_us;
}

static void thaw(struct watch *watch)
{
	watch->events = watch->present.events;
	memset(&watch->present.events, 0, sizeof(watch->present.events));
	watch->away = false;
	if (watch->pending == NULL)
		return;
	snapshot_free(watch->snapshot);
	watch->snapshot = watch->pending;
	watch->pending = NULL;
	watch->rates = watch->present.rates;
	watch->rates_are_means = watch->present.rates_are_means;
	watch->courses = watch->present.courses;
}

void watch_pause(struct watch *watch, bool paused)
{
	if (watch->paused == paused || watch->replay != NULL)
		return;
	watch->paused = paused;
	if (paused)
		freeze(watch);
	else
		thaw(watch);
}

void watch_lose(struct watch *watch, const char *reason)
{
	watch->state = WATCH_LOST;
	snprintf(watch->note, sizeof(watch->note), "%s", reason);
	if (watch->record != NULL)
		record_text(watch->record, CHUNK_NOTE, reason);
}

void watch_mark(struct watch *watch)
{
	struct snapshot *mark = watch->snapshot != NULL ? moment_copy(watch->snapshot) : NULL;
	if (mark == NULL)
		return;
	snapshot_free(watch->mark);
	watch->mark = mark;
	watch->marked = true;
	if (watch->record != NULL && !watch->away)
		record_text(watch->record, CHUNK_MARK, "");
}

static enum watch_message take(struct watch *watch, struct snapshot *snapshot)
{
	watch->resyncing = false;
	if (!snapshot->is_dump) {
		past_add(&watch->past, snapshot);
		if (watch->record != NULL)
			record_moment(watch->record, snapshot, watch->paused ? &watch->present.events : &watch->events);
		if (watch->record != NULL && watch->record->problem.text[0] != '\0' && !watch->record->told) {
			watch->record->told = true;
			snprintf(watch->note, sizeof(watch->note), "%s", watch->record->problem.text);
		}
	}
	if (!watch->paused) {
		watch_show(watch, snapshot);
		return WATCH_SNAPSHOT;
	}
	struct present *present = &watch->present;
	go_on(watch->pending != NULL ? watch->pending : watch->snapshot, snapshot, &present->rates, &present->rates_are_means,
		&present->courses);
	snapshot_free(watch->pending);
	watch->pending = snapshot;
	watch->state = snapshot->is_dump ? WATCH_FILE : WATCH_LIVE;
	return WATCH_SNAPSHOT;
}

/* A delta that doesn't build on the newest snapshot is of no use, and neither are those behind it: a whole snapshot has
 * to be asked for, once. */
static enum watch_message take_delta(struct watch *watch, const cJSON *document, struct problem *problem)
{
	struct snapshot *newest = watch->pending != NULL ? watch->pending : watch->snapshot, *snapshot = NULL;
	/* What is shown while paused goes on being shown; any other one makes way for the next. */
	bool spend = newest != watch->snapshot || !watch->paused;
	uint64_t base;
	if (model_number(cJSON_GetObjectItemCaseSensitive(document, "base"), &base) && newest != NULL &&
		!newest->is_dump && newest->seq == base && !watch->resyncing)
		snapshot = snapshot_apply(newest, spend, document, problem);
	if (snapshot != NULL)
		return take(watch, snapshot);
	if (watch->resyncing)
		return WATCH_OTHER;
	watch->resyncing = true;
	return WATCH_RESYNC;
}

static enum watch_message take_profile(struct watch *watch, const cJSON *document, struct problem *problem)
{
	struct profile *profile = profile_parse(document, problem);
	if (profile == NULL)
		return WATCH_BAD;
	if (watch->paused && watch->profile != NULL) {
		profile_free(profile);
		return WATCH_PROFILE;
	}
	profile_free(watch->profile);
	watch->profile = profile;
	return WATCH_PROFILE;
}

static enum watch_message take_guards(struct watch *watch, const cJSON *document, struct problem *problem)
{
	struct guards *guards = guards_parse(document, problem);
	if (guards == NULL)
		return WATCH_BAD;
	guards_free(watch->guards);
	watch->guards = guards;
	return WATCH_GUARDED;
}

static enum watch_message take_snapshot(struct watch *watch, const cJSON *document, struct problem *problem)
{
	struct snapshot *snapshot = snapshot_parse(document, problem);
	if (snapshot == NULL)
		return WATCH_BAD;
	/* A dump brings its last events with it. */
	if (snapshot->is_dump)
		events_add(&watch->events, cJSON_GetObjectItemCaseSensitive(document, "events"));
	/* A profile that can't be read isn't worth the rest of a dump. */
	struct problem inner;
	if (snapshot->is_dump && profile_is_in(document) && take_profile(watch, document, &inner) == WATCH_BAD)
		snprintf(watch->note, sizeof(watch->note), "%s", inner.text);
	if (snapshot->is_dump && guards_are_in(document) && take_guards(watch, document, &inner) == WATCH_BAD)
		snprintf(watch->note, sizeof(watch->note), "%s", inner.text);
	return take(watch, snapshot);
}

static enum watch_message take_events(struct watch *watch, const cJSON *document)
{
	struct event_log *log = watch->paused ? &watch->present.events : &watch->events;
	uint64_t lost;
	events_add(log, cJSON_GetObjectItemCaseSensitive(document, "events"));
	if (model_number(cJSON_GetObjectItemCaseSensitive(document, "lost"), &lost))
		log->lost += lost;
	if (watch->paused)
		watch->events = events_until(log, watch->until_us);
	return WATCH_EVENTS;
}

static enum watch_message take_error(const cJSON *document, struct problem *problem)
{
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(document, "message");
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(document, "code");
	problem_set(problem, "the target answers: %.200s (%.40s)", cJSON_IsString(message) ?
		message->valuestring : "error",
		cJSON_IsString(code) ? code->valuestring : "no code");
	return WATCH_REFUSED;
}

static enum watch_message take_document(struct watch *watch, const cJSON *document, struct problem *problem)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(document, "type");
	uint64_t count;
	if (!cJSON_IsString(type)) {
		problem_set(problem, "it has no \"type\", so it isn't a HAKMEM message");
		return WATCH_BAD;
	}
	if (strcmp(type->valuestring, HAK_TYPE_SNAPSHOT) == 0 || strcmp(type->valuestring, HAK_TYPE_DUMP) == 0)
		return take_snapshot(watch, document, problem);
	if (strcmp(type->valuestring, HAK_TYPE_DELTA) == 0)
		return take_delta(watch, document, problem);
	if (strcmp(type->valuestring, HAK_TYPE_EVENTS) == 0)
		return take_events(watch, document);
	if (strcmp(type->valuestring, HAK_TYPE_ERROR) == 0)
		return take_error(document, problem);
	if (strcmp(type->valuestring, HAK_TYPE_DROPPED) == 0) {
		if (model_number(cJSON_GetObjectItemCaseSensitive(document, "snapshots"), &count))
			watch->dropped += count;
		return WATCH_OTHER;
	}
	if (profile_is_in(document))
		return take_profile(watch, document, problem);
	if (strcmp(type->valuestring, HAK_TYPE_GUARDED) == 0)
		return take_guards(watch, document, problem);
	if (strcmp(type->valuestring, HAK_TYPE_OK) == 0 || strcmp(type->valuestring, HAK_TYPE_PONG) == 0 ||
		strcmp(type->valuestring, HAK_TYPE_DUMP_WRITTEN) == 0)
		return WATCH_REPLY;
	return WATCH_OTHER;
}

/* Whether JSON text ends inside an object, an array or a string: what a file looks like that was not written to its
 * end. */
static bool is_cut_off(const char *json, size_t length)
{
	size_t depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < length; i++) {
		if (in_string) {
			if (json[i] == '\\')
				i++; /* whatever is escaped doesn't end the string */
			else
				in_string = json[i] != '"';
		} else if (json[i] == '"') {
			in_string = true;
		} else if (json[i] == '{' || json[i] == '[') {
			depth++;
		} else if ((json[i] == '}' || json[i] == ']') && depth-- == 0) {
			return false;
		}
	}
	return in_string || depth > 0;
}

enum watch_message watch_take(struct watch *watch, const char *json, size_t length, struct problem *problem)
{
	const char *end = NULL;
	const cJSON *document = document_parse(&watch->document, json, length, &end);
	if (document == NULL) {
		if (is_cut_off(json, length))
			problem_set(problem, "the JSON ends in the middle, after %zu bytes", length);
		else
			problem_set(problem, "it is not JSON, from byte %zu on", end != NULL && end >= json ?
				(size_t)(end - json) : 0);
		return WATCH_BAD;
	}
	while (end < json + length && strchr(" \t\r\n", *end) != NULL && *end != '\0')
		end++;
	enum watch_message what = WATCH_BAD;
	if (end < json + length)
		problem_set(problem, "something follows the JSON, from byte %zu on", (size_t)(end - json));
	else
		what = take_document(watch, document, problem);
	if (what == WATCH_PROFILE && watch->record != NULL && watch->profile->samples > 0)
		record_profile(watch->record, json, length);
	document_done(&watch->document);
	return what;
}

char *watch_read_file(const char *path, size_t *length, struct problem *problem)
{
	struct stat stat;
	char *text = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	*length = 0;
	if (fd < 0 || fstat(fd, &stat) != 0) {
		problem_set(problem, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(stat.st_mode)) {
		problem_set(problem, "%s: not a file; give a process id, a socket or a dump", path);
	} else if (stat.st_size == 0) {
		problem_set(problem, "%s: the file is empty, not a dump", path);
	} else if ((size_t)stat.st_size > DUMP_BYTES_MAX) {
		problem_set(problem, "%s: over 1 GiB, too long for a dump", path);
	} else if ((text = malloc((size_t)stat.st_size + 1)) == NULL) {
		problem_set(problem, "%s: out of memory", path);
	} else {
		ssize_t count;
		while (*length < (size_t)stat.st_size &&
			(count = read(fd, text + *length, (size_t)stat.st_size - *length)) != 0) {
			if (count < 0 && errno != EINTR) {
				problem_set(problem, "%s: %s", path, strerror(errno));
				free(text);
				text = NULL;
				break;
			}
			*length += count > 0 ? (size_t)count : 0;
		}
		if (text != NULL)
			text[*length] = '\0';
	}
	if (fd >= 0)
		close(fd);
	return text;
}

/* Makes of a trace file's bytes the document that a dump would have been. Frees `bytes`; returns NULL and says what is
 * wrong with the file. */
static char *recover_text(char *bytes, size_t *length, const char *path, struct problem *problem)
{
	struct trace_file file;
	struct problem inner;
	char *text = NULL;
	if (trace_file_open(&file, bytes, *length, &inner))
		text = recover_document(&file, length, &inner);
	if (text == NULL)
		problem_set(problem, "%s: %s", path, inner.text);
	free(bytes);
	return text;
}

char *watch_load_text(struct watch *watch, const char *path, size_t *length, struct problem *problem)
{
	struct problem inner;
	char *text = watch_read_file(path, length, problem);
	if (text == NULL)
		return NULL;
	if (trace_file_is(text, *length) && (text = recover_text(text, length, path, problem)) == NULL)
		return NULL;
	enum watch_message what = watch_take(watch, text, *length, &inner);
	if (what == WATCH_SNAPSHOT) {
		watch->state = WATCH_FILE;
		format_printable(watch->target, sizeof(watch->target), path);
		return text;
	}
	free(text);
	if (what == WATCH_BAD)
		problem_set(problem, "%s: %s; take a new dump with 'hakmem-top PID --dump FILE'", path, inner.text);
	else
		problem_set(problem, "%s: a message of another kind, not a snapshot or dump", path);
	return NULL;
}

bool watch_load(struct watch *watch, const char *path, struct problem *problem)
{
	size_t length;
	char *text = watch_load_text(watch, path, &length, problem);
	free(text);
	return text != NULL;
}

void watch_free(struct watch *watch)
{
	snapshot_free(watch->snapshot);
	snapshot_free(watch->pending);
	snapshot_free(watch->mark);
	profile_free(watch->profile);
	guards_free(watch->guards);
	past_free(&watch->past);
	/* While paused, what is shown of the events is a part of the present's. */
	events_free(watch->paused && watch->replay == NULL ? &watch->present.events : &watch->events);
	if (watch->replay != NULL)
		recording_close(&watch->replay->recording);
	free(watch->replay);
	document_free(&watch->document);
	memset(watch, 0, sizeof(*watch));
}
