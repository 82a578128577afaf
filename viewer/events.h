/* events.h: the last events that a target sent, for the events panel. */
#ifndef VIEWER_EVENTS_H
#define VIEWER_EVENTS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENTS_MAX 4096 /* kept; older ones are forgotten */

struct event {
	uint64_t time_us, tid;
	char name[24], group[12];
	char arguments[128]; /* "class=6 ss=0x… slab=12", cut off where it is longer */
};

struct event_log {
	struct event *ring;   /* EVENTS_MAX of them, made by the first event */
	size_t count, oldest;
	uint64_t received;    /* in all */
	uint64_t base_us;     /* the time of the first one */
	uint64_t lost;        /* as the target counted them: overwritten before they were read */
	uint64_t malformed;   /* rows that were no events */
};

/* Takes an array of event objects {"name", "group", "tid", "time_us", and the event's own arguments}. Rows that are
 * something else are counted and left out. NULL or another type is an empty array. */
void events_add(struct event_log *log, const cJSON *array);
/* Takes one event. Its texts are printable. */
void events_push(struct event_log *log, const struct event *event);
/* The events up to a time, as a log that shares its events with `log`: it is valid until that one takes another event,
 * and isn't freed. */
struct event_log events_until(const struct event_log *log, uint64_t time_us);
/* Event `i`, 0 the oldest that is kept; i < log->count. */
const struct event *events_at(const struct event_log *log, size_t i);
void events_free(struct event_log *log);

#endif
