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
	uint32_t slots;                    /* of all of them; read by others */
	uint32_t count;
	uint32_t low_water; /* that many of the first were not needed since the last drain */
};

/* Takes out the run of exactly `slots` slots that was freed last, HAK_NO_SLOT if there is none. */
uint32_t hak_run_cache_take(struct hak_run_cache *cache, uint32_t slots);

/* Puts a live run of at most `limit` slots in, and gives back to the pool what then is too much: the oldest ones.
 * Returns false, changing nothing, if the run is longer than the limit. Takes the pool's lock if anything goes there.
 */
bool hak_run_cache_put(struct hak_run_cache *cache, uint32_t run, uint32_t limit);

/* Gives back what was not needed since the last call. Takes the pool's lock if that is anything. */
void hak_run_cache_drain(struct hak_run_cache *cache);

/* Gives all of it back. */
void hak_run_cache_flush(struct hak_run_cache *cache);

#endif
