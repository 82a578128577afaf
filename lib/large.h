/* large.h: allocations above HAK_MAX_SMALL: runs of slots, and beyond half a SuperSlab whole SuperSlabs side by side.
 */
#ifndef HAK_LARGE_H
#define HAK_LARGE_H

#include "base.h"

/* At least `bytes` at an address that is a multiple of `alignment` (a power of two). *zero says whether all of it is
 * known to be zero. Returns NULL if memory is out; errno is the caller's business. Takes the pool's lock. */
void *hak_large_alloc(size_t bytes, size_t alignment, bool *zero);

/* Frees a block of hak_large_alloc. Returns false, changing nothing, if `block` is not the start of a live one. Takes
 * the pool's lock. */
bool hak_large_free(void *block);

/* Makes a block longer or shorter where it is. Returns false, changing nothing, if it isn't a live one or can't. Takes
 * the pool's lock. */
bool hak_large_resize(void *block, size_t bytes);

/* Bytes that may be used of `block`; 0 if it is not the start of a live one. Takes the pool's lock. */
size_t hak_large_usable(const void *block);

#endif
