/* timeline.h: moments in the order of time, and any of them as a snapshot. It is made by `past`, which keeps the last
 * minutes in memory, and by `recording`, which reads a file.
 *
 * Moments have numbers that stay, while the oldest may be forgotten: first … first + count - 1. */
#ifndef VIEWER_TIMELINE_H
#define VIEWER_TIMELINE_H

#include "viewer/chunk.h"
#include "viewer/moment.h"

struct timeline;

/* Where the chunks of moments are. */
struct timeline_source {
	/* The head of moment `number`, and a pointer to its stored bytes, valid until the next call. Returns false and says
	 * why if it can't be had. */
	bool (*read)(void *self, uint64_t number, struct chunk *chunk, const uint8_t **stored, struct problem *problem);
	/* Type and time of moment `number`. */
	bool (*is_whole)(const void *self, uint64_t number);
	uint64_t (*time_us)(const void *self, uint64_t number);
};

struct timeline {
	const struct timeline_source *source;
	void *self;
	const struct moment_layout *layout;
	uint64_t first, count;
	/* Where it stands: the snapshot of moment `at`, if there is one. */
	struct snapshot *cursor;
	uint64_t at;
	struct bytes raw;
};

/* The snapshot of moment `number`, which stays the timeline's and is valid until the next call; NULL: it can't be had,
 * `problem` says why. From the moment before it takes a millisecond for 5,000 SuperSlabs, from elsewhere some more. */
const struct snapshot *timeline_load(struct timeline *timeline, uint64_t number, struct problem *problem);
uint64_t timeline_time(const struct timeline *timeline, uint64_t number);
/* The last moment that isn't later than time_us; the first if all are. There has to be one. */
uint64_t timeline_find(const struct timeline *timeline, uint64_t time_us);
/* Frees what timeline_load keeps. */
void timeline_free(struct timeline *timeline);

#endif
