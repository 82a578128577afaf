#include "cache_large.h"

#include "large.h"
#include "settings.h"

/* Slots of freed runs that a thread may keep: of its share of memory half at most. */
static uint32_t run_limit(void)
{
	size_t slots = hak_settings.cache_bytes / 2 >> HAK_SLOT_SHIFT;

	return slots < HAK_RUN_CACHE_SLOTS ? (uint32_t)slots : HAK_RUN_CACHE_SLOTS;
}

/* A run that this thread freed lately. */
static void *alloc_cached_run(struct hak_cache *cache, size_t bytes)
{
	uint32_t run = hak_run_cache_take(&cache->runs, hak_large_slots(bytes));

	return run == HAK_NO_SLOT ? NULL : (void *)hak_slot_address(run);
}

HAK_INLINE void sample_large(struct hak_cache *cache, size_t bytes)
{
	if (HAK_UNLIKELY(cache->sampler.rate))
		hak_sampler_count(&cache->sampler, bytes);
}

void hak_cache_large_grew(struct hak_cache *cache, size_t bytes)
{
	sample_large(cache, bytes);
}

static void count_large_alloc(struct hak_cache *cache)
{
	struct hak_cache_class *class = &cache->classes[HAK_BIN_LARGE];

	hak_store_relaxed(&class->allocs, class->allocs + 1);
}

static void count_large_free(struct hak_cache *cache)
{
	struct hak_cache_class *class = &cache->classes[HAK_BIN_LARGE];

	/* This bin's countdowns stay at their end; the fast path that found it so has moved the word to -1. */
	hak_store_relaxed(&cache->bins->left[HAK_BIN_LARGE].free_left, 0);
	hak_store_relaxed(&class->frees, class->frees + 1);
	if (hak_cache_drain_is_due(class)) {
		class->drain_at = class->frees + hak_cache_drain_interval(HAK_SLOT_BYTES);
		hak_run_cache_drain(&cache->runs);
	}
}

void *hak_cache_alloc_large(struct hak_cache *cache, size_t bytes, size_t alignment, bool *zero)
{
	void *block = NULL;

	*zero = false;
	if (bytes <= HAK_LARGE_RUN_MAX * HAK_SLOT_BYTES && alignment <= HAK_SLOT_BYTES)
		block = alloc_cached_run(cache, bytes);
	if (!block)
		block = hak_large_alloc(bytes, alignment, zero);
	if (block) {
		count_large_alloc(cache);
		sample_large(cache, hak_large_slots(bytes) << HAK_SLOT_SHIFT);
	}
	return block;
}

bool hak_cache_free_large(struct hak_cache *cache, void *block)
{
	uint32_t run = hak_large_find(block);

	if (run == HAK_NO_SLOT || (!hak_run_cache_put(&cache->runs, run, run_limit()) && !hak_large_free(block)))
		return false;
	count_large_free(cache);
	return true;
}

HAK_INLINE void *alloc_short(struct hak_cache *cache, size_t bytes)
{
	void *block;

	hak_cache_begin(cache);
	block = alloc_cached_run(cache, bytes);
	if (block)
		count_large_alloc(cache);
	hak_cache_end(cache);
	return block;
}

/* The same for a thread that was asked for something that it has not met, or samples. What is to be a sample is left to
 * the long way. */
static HAK_NOINLINE void *alloc_short_sampling(struct hak_cache *cache, size_t bytes)
{
	double left = cache->sampler.large_left - (double)(hak_large_slots(bytes) << HAK_SLOT_SHIFT);
	void *block;

	if (hak_cache_is_asked(cache, true) || left <= 0)
		return NULL;
	block = alloc_short(cache, bytes);
	if (block)
		cache->sampler.large_left = left;
	return block;
}

void *hak_cache_alloc_large_short(struct hak_cache *cache, size_t bytes)
{
	if (hak_cache_is_asked(cache, false))
		return alloc_short_sampling(cache, bytes);
	return alloc_short(cache, bytes);
}

static HAK_NOINLINE bool is_asked_for_more(const struct hak_cache *cache)
{
	return hak_cache_is_asked(cache, true);
}

bool hak_cache_free_large_short(struct hak_cache *cache, void *block)
{
	uint32_t run = hak_large_find(block);
	bool kept;

	/* Only where nothing has to go to the pool: what that says in debug lines is written on the long way. A drain
	 * that finds no idle run has nothing to give. */
	if (run == HAK_NO_SLOT || (hak_cache_drain_is_due(&cache->classes[HAK_BIN_LARGE]) && cache->runs.low_water) ||
		(hak_cache_is_asked(cache, false) && is_asked_for_more(cache)))
		return false;
	hak_cache_begin(cache);
	kept = hak_run_cache_keep(&cache->runs, run, run_limit());
	if (kept)
		count_large_free(cache);
	hak_cache_end(cache);
	return kept;
}
