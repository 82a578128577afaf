/* recording.h: reads a recording: record.h's files, whole or cut off anywhere. Nothing of it is trusted. */
#ifndef VIEWER_RECORDING_H
#define VIEWER_RECORDING_H

#include "viewer/events.h"
#include "viewer/record.h"
#include "viewer/timeline.h"

#define RECORDING_MOMENTS_MAX (1u << 20)
#define RECORDING_TEXTS_MAX 1024

struct recording_moment {
	uint64_t time_us, place, events_place; /* places in a file; 0: no events */
	bool whole, in_old;                    /* in the file before the rotation */
};

struct recording_text {
	uint64_t moment; /* the number of the moment that it follows */
	bool is_mark;
	char text[CHUNK_TEXT_MAX];
};

/* A heap profile, of about the moment that it follows. */
struct recording_profile {
	uint64_t moment, place;
	bool in_old;
};

struct recording {
	struct timeline timeline;
	struct moment_layout layouts[2];
	int fds[2]; /* the file, and the one before the rotation; -1: none */
	struct recording_moment *moments;
	size_t count, capacity;
	struct recording_text *texts;
	size_t text_count;
	struct recording_profile *profiles;
	size_t profile_count, profile_capacity;
	struct bytes stored, raw;
	struct problem cut; /* why the file isn't read to its end; empty if it is */
};

/* Whether bytes are a recording's first ones. */
bool recording_is(const void *bytes, size_t length);
/* Opens a recording, and the file before its rotation where that is there. A file that stops in the middle of a chunk,
 * or is damaged from somewhere on, is read up to there, as `cut` says. Returns false and says why if there is no moment in
 * it that can be shown. */
bool recording_open(struct recording *recording, const char *path, struct problem *problem);
/* Adds to `log` the events that came between the moment before `number` and it. */
void recording_events(struct recording *recording, uint64_t number, struct event_log *log);
/* The number, from 1, of the last profile up to moment `number`; 0: there is none. */
size_t recording_profile_number(const struct recording *recording, uint64_t number);
/* The last profile message up to moment `number`, with a zero behind it; to be freed. NULL: there is none, or it is
 * damaged. */
char *recording_profile(struct recording *recording, uint64_t number, size_t *length);
/* The moment that "12.5", "start", "end", "mark" or "mark2" names: seconds from the first moment, the n-th mark. */
bool recording_find(const struct recording *recording, const char *name, uint64_t *number, struct problem *problem);
void recording_close(struct recording *recording);

#endif
