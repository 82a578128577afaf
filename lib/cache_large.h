/* cache_large.h: large blocks by way of a thread's cache, which keeps a few runs that it freed lately (run_cache.h). For
 * the cache's owner. */
#ifndef HAK_CACHE_LARGE_H
#define HAK_CACHE_LARGE_H

#include "front_cache.h"

/* The short slow paths, as in front_cache.h, not between begin and end: NULL or false, and nothing changed, where there is
 * more to do, or a sample is due. */
void *hak_cache_alloc_large_short(struct hak_cache *cache, size_t bytes);
bool hak_cache_free_large_short(struct hak_cache *cache, void *block);

/* The long ones, between begin and end. */

/* A large block of at least `bytes` at a multiple of `alignment`: the thread's own that it freed lately, or a new one.
 * *zero says whether all of it is known to be zero. NULL if memory is out. May set hak_sample_due. */
void *hak_cache_alloc_large(struct hak_cache *cache, size_t bytes, size_t alignment, bool *zero);
/* Takes a large block back. Returns false, changing nothing, if it is none that is live. */
bool hak_cache_free_large(struct hak_cache *cache, void *block);

/* A large block of the owner's that is no sample has grown in place by `bytes`: may set hak_sample_due. */
void hak_cache_large_grew(struct hak_cache *cache, size_t bytes);

#endif
