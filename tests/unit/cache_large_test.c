/* Large blocks through a thread's cache: the short ways and the long one, their counts, and which of them are samples. */
#include "lib/cache_large.h"

#include "lib/poisson.h"
#include "tests/unit/cache.h"

static void *large(size_t bytes)
{
	bool zero;
	hak_cache_begin(&cache);
	void *block = hak_cache_alloc_large(&cache, bytes, 16, &zero);
	hak_cache_end(&cache);
	return block;
}

static bool give_back(void *block)
{
	hak_cache_begin(&cache);
	bool given = hak_cache_free_large(&cache, block);
	hak_cache_end(&cache);
	return given;
}

static void large_ones_are_counted(void)
{
	start();
	struct hak_cache_counts before = counts_of(HAK_BIN_LARGE);
	bool zero;
	hak_cache_begin(&cache);
	char *first = hak_cache_alloc_large(&cache, 100000, 16, &zero);
	char *second = hak_cache_alloc_large(&cache, 3 << 20, 16, &zero);
	CU_ASSERT_TRUE(hak_cache_free_large(&cache, first));
	CU_ASSERT_FALSE(hak_cache_free_large(&cache, first));
	CU_ASSERT_FALSE(hak_cache_free_large(&cache, second + HAK_SLOT_BYTES));
	hak_cache_end(&cache);
	UNIT_EQUAL(counts_of(HAK_BIN_LARGE).allocs - before.allocs, 2);
	UNIT_EQUAL(counts_of(HAK_BIN_LARGE).frees - before.frees, 1);
	UNIT_EQUAL(counts_of(HAK_BIN_LARGE).cached_blocks, 2); /* slots */
	CU_ASSERT_PTR_NULL(hak_cache_alloc_large_short(&cache, 300000));
	CU_ASSERT_PTR_EQUAL(hak_cache_alloc_large_short(&cache, 120000), first);
	CU_ASSERT_TRUE(hak_cache_free_large_short(&cache, first));
	CU_ASSERT_FALSE(hak_cache_free_large_short(&cache, first));
	CU_ASSERT_FALSE(hak_cache_free_large_short(&cache, second)); /* for the long way */
	hak_cache_begin(&cache);
	CU_ASSERT_TRUE(hak_cache_free_large(&cache, second));
	hak_cache_end(&cache);
	UNIT_EQUAL(counts_of(HAK_BIN_LARGE).allocs - before.allocs, 3);
	UNIT_EQUAL(counts_of(HAK_BIN_LARGE).frees - before.frees, 3);
	flush();
	UNIT_EQUAL(counts_of(HAK_BIN_LARGE).cached_blocks, 0);
	UNIT_EQUAL(hak_pool.large_slots, 0);
}

static void a_drain_request_is_for_the_long_way(void)
{
	start();
	void *block = large(100000);
	CU_ASSERT_TRUE(give_back(block));
	hak_cache_request_drain();
	CU_ASSERT_PTR_NULL(hak_cache_alloc_large_short(&cache, 100000));
	hak_cache_begin(&cache);
	CU_ASSERT_TRUE(hak_cache_drain_wanted(&cache));
	hak_cache_end(&cache);
	CU_ASSERT_PTR_EQUAL(hak_cache_alloc_large_short(&cache, 100000), block);
	CU_ASSERT_TRUE(hak_cache_free_large_short(&cache, block));
	flush();
}

/* Their bytes count down to the next sample, on both ways; what one grows by counts too. */
static void samples_come_at_their_bytes(void)
{
	const uint64_t rate = 1000000;
	start();
	hak_sample_due = 0;
	hak_cache_large_grew(&cache, SIZE_MAX / 2);
	UNIT_EQUAL(hak_sample_due, 0); /* off */
	hak_cache_request_sampling(rate, 5);
	hak_cache_begin(&cache);
	hak_cache_drain_wanted(&cache);
	hak_cache_end(&cache);
	uint64_t random = hak_random_begin(5, cache.sampler.number), samples = 0, wrong = 0;
	double left = hak_poisson_bytes(&random, rate);
	CU_ASSERT_PTR_NULL(hak_cache_alloc_large_short(&cache, 100000));
	for (int i = 0; i < 3000; i++) {
		void *block = hak_cache_alloc_large_short(&cache, 100000);
		if (block == NULL)
			block = large(100000);
		if (i % 3 == 0) {
			left -= 2.0 * HAK_SLOT_BYTES;
			bool due = hak_sample_due != 0;
			wrong += due != (left <= 0);
			samples += due;
			hak_sample_due = 0;
			if (due)
				left = hak_poisson_bytes(&random, rate);
			hak_cache_large_grew(&cache, HAK_SLOT_BYTES);
			left += HAK_SLOT_BYTES; /* three slots by now, of which the sums below take two */
		}
		left -= 2.0 * HAK_SLOT_BYTES;
		bool due = hak_sample_due != 0;
		wrong += due != (left <= 0);
		samples += due;
		hak_sample_due = 0;
		if (due)
			left = hak_poisson_bytes(&random, rate);
		if (!hak_cache_free_large_short(&cache, block))
			CU_ASSERT_TRUE(give_back(block));
	}
	UNIT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(samples > 300 && samples < 600); /* of 7000 slots one in 15, or a few less: a block is one sample at most */
	hak_cache_request_sampling(0, 5);
	flush();
}

UNIT_MAIN("cache_large", UNIT(large_ones_are_counted), UNIT(a_drain_request_is_for_the_long_way), UNIT(samples_come_at_their_bytes))
