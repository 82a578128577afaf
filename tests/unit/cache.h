/* What the tests of a thread's cache share: a cache of the calling thread on a heap of its own. */
#ifndef TESTS_UNIT_CACHE_H
#define TESTS_UNIT_CACHE_H

#include "lib/cache_counts.h"
#include "tests/unit/pool.h"

#define BIN HAK_BIN_OF_CLASS(3) /* 64 bytes */
#define BYTES 64
#define MANY 20000

static struct hak_cache cache;
static void *blocks[MANY];

static inline void *allocate(size_t bytes)
{
	void *block = hak_cache_pop(bytes);
	if (block == NULL)
		block = hak_cache_alloc_short(&cache, hak_bin_of_size(bytes));
	if (block == NULL) {
		hak_cache_begin(&cache);
		block = hak_cache_alloc(&cache, hak_bin_of_size(bytes));
		hak_cache_end(&cache);
	}
	return block;
}

static inline void release(void *block)
{
	if (!hak_cache_push(block) && !hak_cache_free_short(&cache, hak_bin_of_address(block), block)) {
		hak_cache_begin(&cache);
		hak_cache_free(&cache, hak_bin_of_address(block), block);
		hak_cache_end(&cache);
	}
}

static inline struct hak_cache_counts counts_of(unsigned bin)
{
	struct hak_cache_counts counts[HAK_BIN_COUNT];
	hak_cache_read(&cache, counts);
	return counts[bin];
}

static inline void flush(void)
{
	hak_cache_begin(&cache);
	hak_cache_flush(&cache, HAK_RELEASE_TRIM);
	hak_cache_end(&cache);
	hak_depot_trim();
}

static inline void start(void)
{
	static bool started;
	pool_start();
	hak_settings.drain_interval = 1024;
	hak_settings.cache_bytes = 2 << 20;
	if (!started) {
		/* All words zero: both fast paths must lead to the slow one. */
		CU_ASSERT_PTR_NULL(hak_cache_pop(BYTES));
		CU_ASSERT_FALSE(hak_cache_push(blocks));
		memset(&hak_bins, 0, sizeof(hak_bins));
		hak_cache_init(&cache, &hak_bins);
	}
	started = true;
	flush();
}

#endif
