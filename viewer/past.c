#include "viewer/past.h"

#include <stdlib.h>
#include <string.h>

static struct past_moment *slot_of(const struct past *past, uint64_t number)
{
	return &past->ring[number % PAST_MOMENTS_MAX];
}

static bool read_moment(void *self, uint64_t number, struct chunk *chunk, const uint8_t **stored, struct problem *problem)
{
	const struct past_moment *moment = slot_of(self, number);
	*stored = moment->chunk + CHUNK_HEAD;
	return chunk_head(chunk, moment->chunk) || problem_set(problem, "a moment is damaged");
}

static bool is_whole(const void *self, uint64_t number)
{
	return slot_of(self, number)->whole;
}

static uint64_t time_us(const void *self, uint64_t number)
{
	return slot_of(self, number)->time_us;
}

static const struct timeline_source in_memory = {read_moment, is_whole, time_us};

/* Forgets the oldest moment and those that build on it. */
static void forget_oldest(struct past *past)
{
	do {
		struct past_moment *oldest = slot_of(past, past->timeline.first);
		past->bytes -= oldest->length;
		free(oldest->chunk);
		oldest->chunk = NULL;
		past->timeline.first++;
		past->timeline.count--;
	} while (past->timeline.count > 0 && !slot_of(past, past->timeline.first)->whole);
}

static void make_room(struct past *past, size_t bytes, uint64_t now_us)
{
	while (past->timeline.count > 0 && past->bytes + bytes > PAST_BYTES_MAX) {
		forget_oldest(past);
		if (past->timeline.count > 0 && now_us - slot_of(past, past->timeline.first)->time_us < PAST_KEEP_US &&
			past->spacing_us < PAST_SPACING_MAX_US)
			past->spacing_us += past->spacing_us / 4 + 50000;
	}
	if (past->timeline.count == PAST_MOMENTS_MAX)
		forget_oldest(past);
}

static bool begin(struct past *past)
{
	if (past->ring != NULL)
		return true;
	past->ring = calloc(PAST_MOMENTS_MAX, sizeof(*past->ring));
	past->timeline.source = &in_memory;
	past->timeline.self = past;
	past->timeline.layout = moment_layout();
	return past->ring != NULL;
}

/* Writes the moment and brings `last` up to it the way a reader would, so that what readers get never drifts away. */
static bool pack(struct past *past, const struct snapshot *snapshot, bool whole)
{
	bytes_reset(&past->raw);
	bytes_reset(&past->packed);
	if (!moment_encode(&past->raw, whole ? NULL : past->last, snapshot)) {
		past->too_big = true;
		return false;
	}
	bool followed;
	if (whole) {
		/* Nothing is rounded in it: a copy is the same, in a fifth of the time. */
		snapshot_free(past->last);
		past->last = moment_copy(snapshot);
		followed = past->last != NULL;
	} else {
		followed = moment_decode(&past->last, moment_layout(), past->raw.data, past->raw.length, NULL);
	}
	return followed &&
		chunk_pack(&past->packed, whole ? CHUNK_WHOLE : CHUNK_STEP, snapshot->time_us, past->raw.data, past->raw.length);
}

void past_add(struct past *past, const struct snapshot *snapshot)
{
	struct timeline *timeline = &past->timeline;
	if (!begin(past))
		return;
	bool follows = past->last != NULL && moment_follows(past->last, snapshot);
	uint64_t spacing_us = past->spacing_us;
	if (snapshot->superslab_count >= PAST_LARGE && spacing_us < PAST_LARGE_SPACING_US)
		spacing_us = PAST_LARGE_SPACING_US;
	if (follows && snapshot->time_us - past->last->time_us < spacing_us)
		return;
	if (!follows && past->last != NULL && snapshot->time_us < past->last->time_us)
		past_free(past); /* another boot's clock: an order of time can't be had with both */
	if (!begin(past))
		return;
	bool whole = !follows || past->since_whole + 1 >= PAST_WHOLE_EVERY;
	uint8_t *chunk = NULL;
	if (pack(past, snapshot, whole) && past->packed.length <= PAST_BYTES_MAX && (chunk = malloc(past->packed.length)) != NULL) {
		make_room(past, past->packed.length, snapshot->time_us);
		/* All of what this one builds on may have had to go. */
		if (!whole && timeline->count == 0) {
			free(chunk);
			chunk = NULL;
		}
	}
	if (chunk == NULL) {
		snapshot_free(past->last);
		past->last = NULL;
		return;
	}
	memcpy(chunk, past->packed.data, past->packed.length);
	*slot_of(past, timeline->first + timeline->count) = (struct past_moment){
		.time_us = snapshot->time_us, .chunk = chunk, .length = (uint32_t)past->packed.length, .whole = whole,
	};
	timeline->count++;
	past->bytes += past->packed.length;
	past->since_whole = whole ? 0 : past->since_whole + 1;
}

void past_free(struct past *past)
{
	while (past->timeline.count > 0)
		forget_oldest(past);
	timeline_free(&past->timeline);
	snapshot_free(past->last);
	bytes_free(&past->raw);
	bytes_free(&past->packed);
	free(past->ring);
	memset(past, 0, sizeof(*past));
}
