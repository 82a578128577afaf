#include "viewer/past.h"

#include "tests/unit/past_heap.h"
#include "tests/unit/unit.h"

static struct past past;

static void any_moment_comes_back(void)
{
	uint32_t state = 1;
	struct snapshot *heap = heap_make(20, &state), *all[200];
	struct timeline *timeline = &past.timeline;
	for (unsigned i = 0; i < 200; i++) {
		heap_move(heap, 500000, 10, &state);
		all[i] = moment_copy(heap);
		past_add(&past, heap);
	}
	UNIT_EQUAL(timeline->count, 200);
	for (unsigned i = 0; i < 400; i++) {
		unsigned number = i < 200 ? 199 - i : heap_random(&state) % 200;
		const struct snapshot *read = timeline_load(timeline, number, NULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(read);
		CU_ASSERT_TRUE(heap_same(read, all[number]));
		UNIT_EQUAL(timeline_time(timeline, number), all[number]->time_us);
		UNIT_EQUAL(timeline_find(timeline, all[number]->time_us + 499999), number);
	}
	UNIT_EQUAL(timeline_find(timeline, 0), 0);
	CU_ASSERT_PTR_NULL(timeline_load(timeline, 200, NULL));
	for (unsigned i = 0; i < 200; i++)
		snapshot_free(all[i]);
	snapshot_free(heap);
	past_free(&past);
}

/* What a process does after exec, or another one, follows what was before. */
static void processes_follow_each_other(void)
{
	uint32_t state = 2;
	struct snapshot *heap = heap_make(5, &state);
	past_add(&past, heap);
	heap_move(heap, 1000, 3, &state);
	heap->process.start_time = 77;
	heap->superslab_count = 2;
	past_add(&past, heap);
	UNIT_EQUAL(past.timeline.count, 2);
	UNIT_EQUAL(timeline_load(&past.timeline, 0, NULL)->superslab_count, 5);
	CU_ASSERT_TRUE(heap_same(timeline_load(&past.timeline, 1, NULL), heap));
	/* The clock of another boot: what was before can't be put in order with it. */
	heap_at(heap, 5);
	heap->process.start_time = 1;
	past_add(&past, heap);
	UNIT_EQUAL(past.timeline.count, 1);
	snapshot_free(heap);
	past_free(&past);
}

static void the_number_of_moments_is_bounded(void)
{
	uint32_t state = 3;
	struct snapshot *heap = heap_make(1, &state);
	for (unsigned i = 0; i < PAST_MOMENTS_MAX + 100; i++) {
		heap_move(heap, 500000, 1, &state);
		past_add(&past, heap);
	}
	CU_ASSERT_TRUE(past.timeline.count <= PAST_MOMENTS_MAX && past.timeline.count > PAST_MOMENTS_MAX - 2 * PAST_WHOLE_EVERY);
	CU_ASSERT_TRUE(heap_same(timeline_load(&past.timeline, past.timeline.first + past.timeline.count - 1, NULL), heap));
	CU_ASSERT_PTR_NOT_NULL(timeline_load(&past.timeline, past.timeline.first, NULL));
	CU_ASSERT_PTR_NULL(timeline_load(&past.timeline, past.timeline.first - 1, NULL));
	snapshot_free(heap);
	past_free(&past);
}

/* 10 GiB of heap, ten times a second, half of whose SuperSlabs change each time: minutes are kept all the same, in the
 * memory that is said. */
static void a_large_heap_is_bounded(void)
{
	uint32_t state = 4;
	unsigned superslabs = UNIT_ASAN || UNIT_TSAN ? 500 : 5000, moments = UNIT_ASAN || UNIT_TSAN ? 300 : 1000;
	struct snapshot *heap = heap_make(superslabs, &state);
	uint64_t began = heap->time_us;
	size_t most = 0;
	for (unsigned i = 0; i < moments; i++) {
		heap_move(heap, 400000, superslabs / 2, &state);
		past_add(&past, heap);
		most = past.bytes > most ? past.bytes : most;
	}
	CU_ASSERT_TRUE(most <= PAST_BYTES_MAX);
	fprintf(stderr, "(%u SuperSlabs: %llu moments over %llu s in %zu KiB) ", superslabs, (unsigned long long)past.timeline.count,
		(unsigned long long)(heap->time_us - timeline_time(&past.timeline, past.timeline.first)) / 1000000, past.bytes / 1024);
	CU_ASSERT_TRUE(heap->time_us - timeline_time(&past.timeline, past.timeline.first) >= 120000000 || moments < 1000);
	CU_ASSERT_TRUE(heap->time_us - began > 60000000);
	CU_ASSERT_PTR_NOT_NULL(timeline_load(&past.timeline, past.timeline.first + past.timeline.count / 2, NULL));
	snapshot_free(heap);
	past_free(&past);
}

/* Ten snapshots a second of a large heap: every second one is kept. */
static void large_heaps_are_taken_less_often(void)
{
	uint32_t state = 5;
	struct snapshot *heap = heap_make(PAST_LARGE, &state);
	for (unsigned i = 0; i < 21; i++) {
		past_add(&past, heap);
		heap_move(heap, 100000, 5, &state);
	}
	UNIT_EQUAL(past.timeline.count, 11);
	snapshot_free(heap);
	past_free(&past);
}

UNIT_MAIN("past", UNIT(any_moment_comes_back), UNIT(processes_follow_each_other), UNIT(the_number_of_moments_is_bounded),
	UNIT(a_large_heap_is_bounded), UNIT(large_heaps_are_taken_less_often))
