/* run_cache.h: the few large runs that a thread freed last, for its next large allocations.
 *
 * Without it every allocation above the largest class would take the pool's lock twice, and throughput would fall by a
 * factor of five from one size to the next. A cached run stays ACTIVE, as a cached block's slab does; its record says
 * `free` = 1, by which a second free, a realloc or a look at its size know it for what it is. Like the rest of a
 * thread's cache it is used by its owner only. */
#ifndef HAK_RUN_CACHE_H
#define HAK_RUN_CACHE_H

#include "superslab.h"

#define HAK_RUN_CACHE_RUNS 8
#define HAK_RUN_CACHE_SLOTS HAK_LARGE_RUN_MAX /* of all runs together: 1 MiB */

struct hak_run_cache {
	uint32_t runs[HAK_RUN_CACHE_RUNS]; /* their first slots; the one freed longest ago comes first */
	uint8_t spans[HAK_RUN_CACHE_RUNS]; /* their lengths, so that the search touches no record */
	uint32_t slots;                    /* of all of them; read by others */
	uint32_t count;
	uint32_t low_water; /* that many of the first were not needed since the last drain */
};

/* Takes out the run at `place` of the array: it is a live block again. */
HAK_INLINE void hak_run_cache_remove(struct hak_run_cache *cache, uint32_t place)
{
	hak_store_relaxed(&cache->slots, cache->slots - cache->spans[place]);
	hak_slot(cache->runs[place])->free = 0;
	cache->count--;
	for (uint32_t i = place; HAK_UNLIKELY(i < cache->count); i++) {
		cache->runs[i] = cache->runs[i + 1];
		cache->spans[i] = cache->spans[i + 1];
	}
	if (cache->low_water > place)
		cache->low_water = place;
}

/* Takes out the run of exactly `slots` slots that was freed last, HAK_NO_SLOT if there is none. */
HAK_INLINE uint32_t hak_run_cache_take(struct hak_run_cache *cache, size_t slots)
{
	for (uint32_t i = cache->count; i-- > 0;) {
		uint32_t run = cache->runs[i];

		if (cache->spans[i] == slots) {
			hak_run_cache_remove(cache, i);
			return run;
		}
	}
	return HAK_NO_SLOT;
}

/* Puts a live run in, if nothing else must go for it and all are `limit` slots at most then; else changes nothing and
 * returns false. */
HAK_INLINE bool hak_run_cache_keep(struct hak_run_cache *cache, uint32_t run, uint32_t limit)
{
	struct hak_slot *slot = hak_slot(run);
	uint32_t slots = cache->slots + slot->span;

	if (cache->count == HAK_RUN_CACHE_RUNS || slots > limit)
		return false;
	slot->free = 1;
	cache->runs[cache->count] = run;
	cache->spans[cache->count++] = (uint8_t)slot->span;
	hak_store_relaxed(&cache->slots, slots);
	return true;
}

/* Puts a live run of at most `limit` slots in, and gives back to the pool what then is too much: the oldest ones.
 * Returns false, changing nothing, if the run is longer than the limit. Takes the pool's lock if anything goes there.
 */
bool hak_run_cache_put(struct hak_run_cache *cache, uint32_t run, uint32_t limit);

/* Gives back what was not needed since the last call. Takes the pool's lock if that is anything. */
void hak_run_cache_drain(struct hak_run_cache *cache);

/* Gives all of it back. */
void hak_run_cache_flush(struct hak_run_cache *cache);

#endif
