/* The counts of a thread's cache as others read them: exact at rest, of one moment otherwise, and never running backwards. */
#include "lib/cache_counts.h"

#include <pthread.h>

#include "tests/unit/cache.h"

static void counts_are_exact_at_every_step(void)
{
	start();
	struct hak_cache_counts before = counts_of(BIN);
	unsigned live = 0, wrong = 0;
	uint64_t allocs = 0, frees = 0;
	uint32_t state = 7;
	for (int i = 0; i < 50000; i++) {
		state = state * 1664525u + 1013904223u;
		/* Swings wide enough to pass through stash, depot and slabs. */
		bool grow = (state >> 16) % 100 < (i / 3000 % 2 ? 30u : 70u);
		if (grow && live < MANY) {
			blocks[live++] = allocate(BYTES);
			allocs++;
		} else if (live > 0) {
			release(blocks[--live]);
			frees++;
		}
		struct hak_cache_counts now = counts_of(BIN);
		wrong += now.allocs - before.allocs != allocs || now.frees - before.frees != frees;
		wrong += now.cached_blocks + hak_depot_cached_blocks(3) + live != hak_depots[3].handed_out;
	}
	while (live > 0)
		release(blocks[--live]);
	UNIT_EQUAL(wrong, 0);
}

static uint32_t reader_stop;

/* Reads all the time: counts never run backwards, and freed never exceeds allocated by more than what is under way. */
static void *reader(void *wrong)
{
	struct hak_cache_counts last = {0, 0, 0};
	while (!hak_load_acquire(&reader_stop)) {
		struct hak_cache_counts now = counts_of(BIN);
		*(unsigned *)wrong += now.allocs < last.allocs || now.frees < last.frees || now.cached_blocks > MANY;
		last = now;
	}
	return NULL;
}

static void readers_see_consistent_counts(void)
{
	pthread_t thread;
	unsigned wrong = 0;
	start();
	hak_store_release(&reader_stop, 0u);
	pthread_create(&thread, NULL, reader, &wrong);
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 500; i++)
			blocks[i] = allocate(BYTES);
		for (int i = 0; i < 500; i++)
			release(blocks[i]);
	}
	hak_store_release(&reader_stop, 1u);
	pthread_join(thread, NULL);
	UNIT_EQUAL(wrong, 0);
}

/* A look that must not wait says whether the owner was in the midst of a slow path. */
static void a_look_tells_whether_it_is_of_one_moment(void)
{
	struct hak_cache_counts counts[HAK_BIN_COUNT];
	start();
	release(allocate(BYTES));
	CU_ASSERT_TRUE(hak_cache_peek(&cache, counts));
	UNIT_EQUAL(counts[BIN].frees, counts_of(BIN).frees);
	hak_cache_begin(&cache);
	CU_ASSERT_FALSE(hak_cache_peek(&cache, counts));
	hak_cache_end(&cache);
	CU_ASSERT_TRUE(hak_cache_peek(&cache, counts));
}

UNIT_MAIN("cache_counts", UNIT(counts_are_exact_at_every_step), UNIT(readers_see_consistent_counts),
	UNIT(a_look_tells_whether_it_is_of_one_moment))
