#include "run_cache.h"

#include "large.h"

static void remove_at(struct hak_run_cache *cache, uint32_t place)
{
	hak_store_relaxed(&cache->slots, cache->slots - hak_slot(cache->runs[place])->span);
	hak_slot(cache->runs[place])->free = 0;
	cache->count--;
	for (uint32_t i = place; i < cache->count; i++)
		cache->runs[i] = cache->runs[i + 1];
	if (cache->low_water > place)
		cache->low_water = place;
}

static void give_oldest(struct hak_run_cache *cache)
{
	uint32_t run = cache->runs[0];

	remove_at(cache, 0);
	hak_large_free((void *)hak_slot_address(run));
}

uint32_t hak_run_cache_take(struct hak_run_cache *cache, uint32_t slots)
{
	for (uint32_t i = cache->count; i-- > 0;) {
		uint32_t run = cache->runs[i];

		if (hak_slot(run)->span == slots) {
			remove_at(cache, i);
			return run;
		}
	}
	return HAK_NO_SLOT;
}

bool hak_run_cache_put(struct hak_run_cache *cache, uint32_t run, uint32_t limit)
{
	uint32_t span = hak_slot(run)->span;

	if (span > limit)
		return false;
	while (cache->count == HAK_RUN_CACHE_RUNS || (cache->count && cache->slots + span > limit))
		give_oldest(cache);
	hak_slot(run)->free = 1;
	cache->runs[cache->count++] = run;
	hak_store_relaxed(&cache->slots, cache->slots + span);
	return true;
}

void hak_run_cache_drain(struct hak_run_cache *cache)
{
	for (uint32_t idle = cache->low_water; idle; idle--)
		give_oldest(cache);
	cache->low_water = cache->count;
}

void hak_run_cache_flush(struct hak_run_cache *cache)
{
	while (cache->count)
		give_oldest(cache);
}
