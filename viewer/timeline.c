#include "viewer/timeline.h"

static bool take(struct timeline *timeline, uint64_t number, struct problem *problem)
{
	struct chunk chunk;
	const uint8_t *stored;
	if (!timeline->source->read(timeline->self, number, &chunk, &stored, problem))
		return false;
	if (chunk.type == CHUNK_WHOLE) {
		snapshot_free(timeline->cursor);
		timeline->cursor = NULL;
	} else if (timeline->cursor == NULL) {
		return problem_set(problem, "it has a moment that builds on one that isn't there");
	}
	if (!chunk_unpack(&chunk, stored, &timeline->raw))
		return problem_set(problem, "a moment of it is damaged");
	if (!moment_decode(&timeline->cursor, timeline->layout, timeline->raw.data, timeline->raw.length, problem))
		return false;
	timeline->at = number;
	return true;
}

const struct snapshot *timeline_load(struct timeline *timeline, uint64_t number, struct problem *problem)
{
	if (number < timeline->first || number - timeline->first >= timeline->count) {
		problem_set(problem, "there is no such moment");
		return NULL;
	}
	if (timeline->cursor != NULL && timeline->at == number)
		return timeline->cursor;
	/* Back to a moment that stands for itself, unless the cursor lies on the way. */
	uint64_t from = number;
	while (from > timeline->first && !timeline->source->is_whole(timeline->self, from) &&
		!(timeline->cursor != NULL && timeline->at + 1 == from))
		from--;
	for (;; from++) {
		if (!take(timeline, from, problem)) {
			snapshot_free(timeline->cursor);
			timeline->cursor = NULL;
			return NULL;
		}
		if (from == number)
			return timeline->cursor;
	}
}

uint64_t timeline_time(const struct timeline *timeline, uint64_t number)
{
	return timeline->source->time_us(timeline->self, number);
}

uint64_t timeline_find(const struct timeline *timeline, uint64_t time_us)
{
	uint64_t low = timeline->first, high = timeline->first + timeline->count;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		if (timeline_time(timeline, middle) <= time_us)
			low = middle;
		else
			high = middle;
	}
	return low;
}

void timeline_free(struct timeline *timeline)
{
	snapshot_free(timeline->cursor);
	timeline->cursor = NULL;
	bytes_free(&timeline->raw);
}
