/* courses.h: figures over the last minutes, for sparklines. */
#ifndef VIEWER_COURSES_H
#define VIEWER_COURSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "viewer/model.h"

#define COURSES_STEP_US 500000 /* what comes within this much time is one sample: 5 minutes in all */
#define COURSES_LENGTH 600

/* What is kept: the rates of model.h, and levels: X(name, its value in snapshot `s` with totals `t`). */
#define COURSES_LEVELS(X) \
	X(live, s->memory.live_bytes) X(cached, s->memory.cached_bytes) X(slack, s->memory.slack_bytes) \
	X(committed, s->memory.committed_bytes) X(resident, s->memory.resident_bytes) X(lru_length, s->lru.length) \
	X(superslabs, s->pool.superslabs) X(empty_slots, s->pool.empty_slots)

enum course {
#define COURSES_NAME(name, value) COURSE_##name,
	MODEL_RATES(COURSES_NAME) COURSES_LEVELS(COURSES_NAME)
#undef COURSES_NAME
	COURSE_COUNT
};

/* All zeros is an empty one. */
struct courses {
	double samples[COURSE_COUNT][COURSES_LENGTH]; /* a ring, NaN where nothing is known */
	size_t count;    /* of samples there are */
	uint64_t first;  /* number of the oldest one, counted from the start */
	uint64_t begun_us[COURSES_LENGTH]; /* uptime at which each begins */
	unsigned known[COURSE_COUNT]; /* values that the newest sample is the mean of */
};

/* Adds a snapshot's figures: to the newest sample while that one's time lasts, else as a new one. */
void courses_add(struct courses *courses, const struct snapshot *snapshot, const struct rates *rates);
/* Forgets what began later than an uptime. */
void courses_cut(struct courses *courses, uint64_t uptime_us);
/* Whether the newest sample is of that uptime. */
bool courses_reach(const struct courses *courses, uint64_t uptime_us);
/* The course as at most `width` values, oldest first: means over 1, 2, 4, … samples each, as many as it takes. A value's
 * samples stay the same while the course grows, so that a sparkline moves but doesn't flicker. Returns their number. */
size_t courses_get(const struct courses *courses, enum course course, size_t width, double *values);
/* How far back that goes, in milliseconds. */
uint64_t courses_span_ms(const struct courses *courses);

#endif
