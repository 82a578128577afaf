#include "viewer/courses.h"

#include <math.h>

static void store(struct courses *courses, enum course course, size_t at, double value)
{
	double *sample = &courses->samples[course][at];
	if (isnan(value))
		return;
	courses->known[course]++;
	if (courses->known[course] == 1)
		*sample = value;
	else
		*sample += (value - *sample) / courses->known[course];
}

static void begin_sample(struct courses *courses)
{
	size_t at = (size_t)((courses->first + courses->count - 1) % COURSES_LENGTH);
	for (int i = 0; i < COURSE_COUNT; i++) {
		courses->samples[i][at] = NAN;
		courses->known[i] = 0;
	}
}

void courses_add(struct courses *courses, const struct snapshot *snapshot, const struct rates *rates)
{
	const struct snapshot *s = snapshot;
	const struct totals totals = snapshot_totals(snapshot), *t = &totals;
	uint64_t now = snapshot->uptime_us;
	uint64_t newest = (courses->first + courses->count + COURSES_LENGTH - 1) % COURSES_LENGTH;
	/* Samples begin on multiples of the step, so that snapshots that come a bit early or late keep one each. */
	if (courses->count == 0 || now / COURSES_STEP_US != courses->begun_us[newest] / COURSES_STEP_US) {
		if (courses->count == COURSES_LENGTH)
			courses->first++;
		else
			courses->count++;
		courses->begun_us[(courses->first + courses->count - 1) % COURSES_LENGTH] = now;
		begin_sample(courses);
	}
	size_t at = (size_t)((courses->first + courses->count - 1) % COURSES_LENGTH);
#define RATE(name, value) store(courses, COURSE_##name, at, rates->known ? rates->name : NAN);
	MODEL_RATES(RATE)
#define LEVEL(name, value) store(courses, COURSE_##name, at, (double)(value));
	COURSES_LEVELS(LEVEL)
	(void)t;
}

static size_t newest_of(const struct courses *courses)
{
	return (size_t)((courses->first + courses->count - 1) % COURSES_LENGTH);
}

void courses_cut(struct courses *courses, uint64_t uptime_us)
{
	while (courses->count > 0 && courses->begun_us[newest_of(courses)] > uptime_us)
		courses->count--;
	/* How many values the sample is the mean of isn't known any more: as if of one. */
	for (int i = 0; i < COURSE_COUNT && courses->count > 0; i++)
		courses->known[i] = !isnan(courses->samples[i][newest_of(courses)]);
}

bool courses_reach(const struct courses *courses, uint64_t uptime_us)
{
	return courses->count > 0 && courses->begun_us[newest_of(courses)] / COURSES_STEP_US == uptime_us / COURSES_STEP_US;
}

size_t courses_get(const struct courses *courses, enum course course, size_t width, double *values)
{
	uint64_t end = courses->first + courses->count, each = 1;
	size_t count = 0;
	if (width == 0 || courses->count == 0)
		return 0;
	while ((end + each - 1) / each - courses->first / each > width)
		each *= 2;
	for (uint64_t bin = courses->first / each; bin * each < end; bin++) {
		double sum = 0;
		unsigned known = 0;
		for (uint64_t i = bin * each; i < (bin + 1) * each && i < end; i++) {
			double sample = i < courses->first ? NAN : courses->samples[course][i % COURSES_LENGTH];
			if (!isnan(sample)) {
				sum += sample;
				known++;
			}
		}
		values[count++] = known > 0 ? sum / known : NAN;
	}
	return count;
}

uint64_t courses_span_ms(const struct courses *courses)
{
	if (courses->count == 0)
		return 0;
	uint64_t oldest = courses->begun_us[courses->first % COURSES_LENGTH];
	uint64_t newest = courses->begun_us[(courses->first + courses->count - 1) % COURSES_LENGTH];
	return newest > oldest ? (newest - oldest) / 1000 : 0;
}
