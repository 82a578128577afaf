#include "viewer/courses.h"

#include <math.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct courses courses;
static struct snapshot snapshot;
static struct rates rates;
static double values[COURSES_LENGTH];

static void add(uint64_t uptime_ms, double allocs, uint64_t live)
{
	snapshot.uptime_us = uptime_ms * 1000;
	snapshot.memory.live_bytes = live;
	rates.known = allocs >= 0;
	rates.allocs = allocs;
	courses_add(&courses, &snapshot, &rates);
}

static void start(void)
{
	memset(&courses, 0, sizeof(courses));
	memset(&snapshot, 0, sizeof(snapshot));
}

static void snapshots_share_a_sample(void)
{
	start();
	UNIT_EQUAL(courses_get(&courses, COURSE_allocs, 10, values), 0);
	UNIT_EQUAL(courses_span_ms(&courses), 0);
	add(1000, -1, 100);
	add(1100, 30, 200);
	add(1200, 50, 600);
	add(1600, 7, 50);
	UNIT_EQUAL(courses_get(&courses, COURSE_allocs, 10, values), 2);
	CU_ASSERT_DOUBLE_EQUAL(values[0], 40, 1e-9); /* what isn't known doesn't count */
	CU_ASSERT_DOUBLE_EQUAL(values[1], 7, 1e-9);
	UNIT_EQUAL(courses_get(&courses, COURSE_live, 10, values), 2);
	CU_ASSERT_DOUBLE_EQUAL(values[0], 300, 1e-9);
	UNIT_EQUAL(courses_span_ms(&courses), 600);
}

static void the_oldest_is_forgotten(void)
{
	start();
	for (uint64_t i = 0; i < COURSES_LENGTH + 10; i++)
		add(i * 500, (double)i, i);
	UNIT_EQUAL(courses.count, COURSES_LENGTH);
	UNIT_EQUAL(courses_get(&courses, COURSE_allocs, COURSES_LENGTH, values), COURSES_LENGTH);
	CU_ASSERT_DOUBLE_EQUAL(values[0], 10, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(values[COURSES_LENGTH - 1], COURSES_LENGTH + 9, 1e-9);
	UNIT_EQUAL(courses_span_ms(&courses), (COURSES_LENGTH - 1) * 500);
}

/* Fewer columns than samples: means of 2, 4, …; a full one keeps its value when further samples come. */
static void values_are_means(void)
{
	double before[64];
	start();
	for (uint64_t i = 0; i < 16; i++)
		add(i * 500, (double)i, i);
	size_t count = courses_get(&courses, COURSE_allocs, 8, before);
	UNIT_EQUAL(count, 8);
	CU_ASSERT_DOUBLE_EQUAL(before[0], 0.5, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(before[7], 14.5, 1e-9);
	add(8000, 100, 1);
	count = courses_get(&courses, COURSE_allocs, 8, values);
	UNIT_EQUAL(count, 5);
	CU_ASSERT_DOUBLE_EQUAL(values[0], 1.5, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(values[4], 100, 1e-9);
	for (size_t width = 1; width < 40; width++) {
		count = courses_get(&courses, COURSE_live, width, values);
		CU_ASSERT_TRUE(count >= 1 && count <= width);
	}
	UNIT_EQUAL(courses_get(&courses, COURSE_live, 0, values), 0);
}

UNIT_MAIN("courses", UNIT(snapshots_share_a_sample), UNIT(the_oldest_is_forgotten), UNIT(values_are_means))
