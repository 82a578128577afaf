#include "run_cache.h"

#include "large.h"

static void give_oldest(struct hak_run_cache *cache)
{
	uint32_t run = cache->runs[0];

	hak_run_cache_remove(cache, 0);
	hak_large_free((void *)hak_slot_address(run));
}

bool hak_run_cache_put(struct hak_run_cache *cache, uint32_t run, uint32_t limit)
{
	if (hak_slot(run)->span > limit)
		return false;
	while (!hak_run_cache_keep(cache, run, limit))
		give_oldest(cache);
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
