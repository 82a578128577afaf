/* The runs that a thread keeps: the right one is found again, the oldest go first, and a cached run is no live block. */
#include "lib/run_cache.h"

#include "lib/large.h"
#include "tests/unit/pool.h"

#define LIMIT HAK_RUN_CACHE_SLOTS

static struct hak_run_cache cache;

static void start(void)
{
	pool_start();
	hak_run_cache_flush(&cache);
	cache.low_water = 0;
	UNIT_EQUAL(hak_pool.large_slots, 0);
}

static uint32_t run_of(uint32_t slots)
{
	bool zero;
	void *block = hak_large_alloc(slots * HAK_SLOT_BYTES, HAK_ALIGNMENT, &zero);
	CU_ASSERT_PTR_NOT_NULL_FATAL(block);
	return hak_large_find(block);
}

static void *block_of(uint32_t run)
{
	return (void *)hak_slot_address(run);
}

static void the_run_of_the_right_length_is_found(void)
{
	start();
	uint32_t two = run_of(2), four = run_of(4), other = run_of(2);
	CU_ASSERT_TRUE(hak_run_cache_put(&cache, two, LIMIT));
	CU_ASSERT_TRUE(hak_run_cache_put(&cache, four, LIMIT));
	CU_ASSERT_TRUE(hak_run_cache_put(&cache, other, LIMIT));
	UNIT_EQUAL(cache.slots, 8);
	UNIT_EQUAL(hak_run_cache_take(&cache, 3), HAK_NO_SLOT);
	UNIT_EQUAL(hak_run_cache_take(&cache, 2), other); /* freed last: its pages are the warmest */
	UNIT_EQUAL(hak_run_cache_take(&cache, 2), two);
	UNIT_EQUAL(hak_run_cache_take(&cache, 2), HAK_NO_SLOT);
	UNIT_EQUAL(hak_run_cache_take(&cache, 4), four);
	UNIT_EQUAL(cache.slots, 0);
	hak_large_free(block_of(two));
	hak_large_free(block_of(four));
	hak_large_free(block_of(other));
}

static void a_cached_run_is_no_live_block(void)
{
	start();
	uint32_t run = run_of(3);
	hak_run_cache_put(&cache, run, LIMIT);
	UNIT_EQUAL(hak_large_find(block_of(run)), HAK_NO_SLOT);
	UNIT_EQUAL(hak_large_usable(block_of(run)), 0);
	CU_ASSERT_FALSE(hak_large_resize(block_of(run), 100));
	CU_ASSERT_FALSE(hak_large_free(block_of(run)));
	UNIT_EQUAL(hak_pool.large_slots, 3); /* ACTIVE all the same */
	UNIT_EQUAL(hak_run_cache_take(&cache, 3), run);
	UNIT_EQUAL(hak_large_usable(block_of(run)), 3 * HAK_SLOT_BYTES);
	CU_ASSERT_TRUE(hak_large_free(block_of(run)));
}

static void what_is_too_much_goes_the_oldest_first(void)
{
	start();
	uint32_t runs[HAK_RUN_CACHE_RUNS + 1];
	for (unsigned i = 0; i < HAK_COUNT_OF(runs); i++)
		runs[i] = run_of(1);
	for (unsigned i = 0; i < HAK_COUNT_OF(runs); i++)
		CU_ASSERT_TRUE(hak_run_cache_put(&cache, runs[i], LIMIT));
	UNIT_EQUAL(cache.count, HAK_RUN_CACHE_RUNS);
	UNIT_EQUAL(cache.runs[0], runs[1]);
	UNIT_EQUAL(hak_pool.large_slots, HAK_RUN_CACHE_RUNS);
	/* By length, too: the newest 16 slots stay. */
	uint32_t big = run_of(12);
	CU_ASSERT_TRUE(hak_run_cache_put(&cache, big, LIMIT));
	UNIT_EQUAL(cache.slots, LIMIT);
	UNIT_EQUAL(cache.count, 5);
	uint32_t whole = run_of(LIMIT);
	CU_ASSERT_TRUE(hak_run_cache_put(&cache, whole, LIMIT));
	UNIT_EQUAL(cache.count, 1);
	UNIT_EQUAL(cache.runs[0], whole);
	/* What is longer than the limit is not taken, and nothing is given up for it. */
	uint32_t longer = run_of(2);
	CU_ASSERT_FALSE(hak_run_cache_put(&cache, longer, 1));
	UNIT_EQUAL(cache.count, 1);
	hak_large_free(block_of(longer));
	hak_run_cache_flush(&cache);
	UNIT_EQUAL(cache.slots, 0);
	UNIT_EQUAL(hak_pool.large_slots, 0);
}

static void a_drain_gives_back_what_was_not_needed(void)
{
	start();
	uint32_t idle = run_of(1), used = run_of(2);
	hak_run_cache_put(&cache, idle, LIMIT);
	hak_run_cache_put(&cache, used, LIMIT);
	hak_run_cache_drain(&cache); /* both are new */
	UNIT_EQUAL(cache.count, 2);
	for (int i = 0; i < 3; i++) {
		UNIT_EQUAL(hak_run_cache_take(&cache, 2), used);
		hak_run_cache_put(&cache, used, LIMIT);
	}
	hak_run_cache_drain(&cache);
	UNIT_EQUAL(cache.count, 1);
	UNIT_EQUAL(cache.runs[0], used);
	hak_run_cache_drain(&cache);
	UNIT_EQUAL(cache.count, 0);
	UNIT_EQUAL(hak_pool.large_slots, 0);
}

UNIT_MAIN("run_cache", UNIT(the_run_of_the_right_length_is_found), UNIT(a_cached_run_is_no_live_block),
	UNIT(what_is_too_much_goes_the_oldest_first), UNIT(a_drain_gives_back_what_was_not_needed))
