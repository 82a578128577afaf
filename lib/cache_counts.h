/* cache_counts.h: what a thread's cache did and holds, read by others or shown in the mirror.
 *
 * The countdowns tell it, together with what they were set to; the seqlock of struct hak_cache tells whether both are of
 * one moment. */
#ifndef HAK_CACHE_COUNTS_H
#define HAK_CACHE_COUNTS_H

#include "front_cache.h"

/* What a cache holds, of one bin, as another thread may read it. */
struct hak_cache_counts {
	uint64_t allocs, frees;
	uint64_t cached_blocks; /* of HAK_BIN_LARGE: slots */
};
/* Reads the counts of all bins. Any thread, as long as the cache's owner lives. */
void hak_cache_read(const struct hak_cache *cache, struct hak_cache_counts counts[HAK_BIN_COUNT]);
/* The same without waiting for an owner who is in the midst of a slow path, as one who crashed there is for ever. Returns
 * whether the counts are of one moment. */
bool hak_cache_peek(const struct hak_cache *cache, struct hak_cache_counts counts[HAK_BIN_COUNT]);

/* Shows the counts of `bin` in the mirror. The owner, between begin and end; only while there is a mirror. */
void hak_cache_mirror(struct hak_cache *cache, unsigned bin);
/* The same of all bins. */
void hak_cache_mirror_all(struct hak_cache *cache);
/* Gives the cache's row of the mirror back, if it has one. */
void hak_cache_leave_mirror(struct hak_cache *cache);

#endif
