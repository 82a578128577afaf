/* recover_events.h: the events that a trace file's rings hold. */
#ifndef VIEWER_RECOVER_EVENTS_H
#define VIEWER_RECOVER_EVENTS_H

#include <stdio.h>

#include "viewer/trace_reader.h"

struct recovered_event {
	uint64_t time_ns, row; /* in the section of records */
	uint32_t tid, age;     /* age: how many of its thread's events are younger */
};

struct recovered_events {
	const struct trace_file *file;
	struct recovered_event *list; /* by time */
	size_t count;
	uint64_t overwritten, unrecorded;
	uint64_t torn; /* half written when the process ended, or overwritten while they were read */
	uint64_t last_us;
};

/* Reads all events. The list is empty where memory is out. */
void recover_events_read(const struct trace_file *file, struct recovered_events *events);
/* Writes the member "trace" and a comma. */
void recover_events_trace(FILE *out, const struct recovered_events *events);
/* Writes the member "events": at most RECOVER_EVENTS_MAX, first of all each thread's last ones. */
void recover_events_list(FILE *out, const struct recovered_events *events);
void recover_events_free(struct recovered_events *events);

#endif
