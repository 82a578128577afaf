/* past.h: the last minutes of a target in bounded memory. */
#ifndef VIEWER_PAST_H
#define VIEWER_PAST_H

#include "viewer/timeline.h"

#define PAST_BYTES_MAX ((size_t)24 << 20) /* of compressed moments, beside two snapshots */
#define PAST_MOMENTS_MAX 8192             /* over an hour at two a second */
#define PAST_WHOLE_EVERY 96               /* moments at most that one is worked out from */
#define PAST_KEEP_US 300000000ull         /* five minutes are kept before moments are taken less often */
#define PAST_SPACING_MAX_US 10000000ull
#define PAST_LARGE 1000                   /* SuperSlabs from which on moments are taken at most five times a second */
#define PAST_LARGE_SPACING_US 200000ull

struct past_moment {
	uint64_t time_us;
	uint8_t *chunk;
	uint32_t length;
	bool whole;
};

struct past {
	struct timeline timeline;
	struct past_moment *ring;  /* PAST_MOMENTS_MAX of them, made by the first moment */
	size_t bytes;              /* of all chunks */
	struct snapshot *last;     /* as a reader would work it out: what the next one is written against */
	uint64_t spacing_us;       /* moments closer than this to the last one are left out */
	uint64_t since_whole;      /* moments since the last one that stands for itself */
	bool too_big;              /* the heap is beyond what a moment can hold */
	struct bytes raw, packed;
};

/* Keeps a snapshot (of a large heap, one in 200 ms), forgetting the oldest where there is no more room. Where that would leave less than five minutes,
 * moments are taken less often from then on. */
void past_add(struct past *past, const struct snapshot *snapshot);
void past_free(struct past *past);

#endif
