#include "viewer/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/model.h"

/* Keys that have a column of their own. Everything else in the object is an argument. */
static bool is_own_column(const char *key)
{
	return strcmp(key, "name") == 0 || strcmp(key, "group") == 0 || strcmp(key, "tid") == 0 ||
		strcmp(key, "time_us") == 0;
}

static void add_argument(struct event *event, const cJSON *item)
{
	size_t length = strlen(event->arguments);
	char *out = event->arguments + length;
	size_t room = sizeof(event->arguments) - length;
	char key[40], text[64];
	uint64_t number;
	format_printable(key, sizeof(key), item->string);
	if (cJSON_IsString(item))
		format_printable(text, sizeof(text), item->valuestring);
	else if (model_number(item, &number))
		snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	else if (cJSON_IsBool(item))
		snprintf(text, sizeof(text), "%s", cJSON_IsTrue(item) ? "true" : "false");
	else if (cJSON_IsNull(item))
		snprintf(text, sizeof(text), "-");
	else
		return;
	/* A pair that doesn't fit is left out whole: half a number would be another number. */
	int needed = snprintf(out, room, "%s%s=%s", length > 0 ? " " : "", key, text);
	if (needed < 0 || (size_t)needed >= room)
		*out = '\0';
}

static bool read_event(struct event *event, const cJSON *row)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(row, "name"), *item;
	const cJSON *group = cJSON_GetObjectItemCaseSensitive(row, "group");
	memset(event, 0, sizeof(*event));
	if (!cJSON_IsString(name) || !cJSON_IsString(group) ||
		!model_number(cJSON_GetObjectItemCaseSensitive(row, "tid"), &event->tid) ||
		!model_number(cJSON_GetObjectItemCaseSensitive(row, "time_us"), &event->time_us))
		return false;
	format_printable(event->name, sizeof(event->name), name->valuestring);
	format_printable(event->group, sizeof(event->group), group->valuestring);
	cJSON_ArrayForEach(item, row) {
		if (item->string != NULL && !is_own_column(item->string))
			add_argument(event, item);
	}
	/* The arguments may also come in an object of their own. */
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(row, "args")) {
		if (item->string != NULL)
			add_argument(event, item);
	}
	return true;
}

void events_push(struct event_log *log, const struct event *event)
{
	if (log->ring == NULL && (log->ring = calloc(EVENTS_MAX, sizeof(*log->ring))) == NULL)
		return;
	if (log->received == 0)
		log->base_us = event->time_us;
	log->ring[(log->oldest + log->count) % EVENTS_MAX] = *event;
	log->received++;
	if (log->count < EVENTS_MAX)
		log->count++;
	else
		log->oldest = (log->oldest + 1) % EVENTS_MAX;
}

void events_add(struct event_log *log, const cJSON *array)
{
	const cJSON *row;
	if (!cJSON_IsArray(array))
		return;
	cJSON_ArrayForEach(row, array) {
		struct event event;
		if (read_event(&event, row))
			events_push(log, &event);
		else
			log->malformed++;
	}
}

struct event_log events_until(const struct event_log *log, uint64_t time_us)
{
	struct event_log view = *log;
	while (view.count > 0 && events_at(log, view.count - 1)->time_us > time_us)
		view.count--;
	return view;
}

const struct event *events_at(const struct event_log *log, size_t i)
{
	return &log->ring[(log->oldest + i) % EVENTS_MAX];
}

void events_free(struct event_log *log)
{
	free(log->ring);
	memset(log, 0, sizeof(*log));
}
