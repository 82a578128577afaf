/* entry.h: what the entry points do, for their two sets of names: hak_malloc and its kin (hakmem.c), libc's and C++'s
 * (malloc.c).
 *
 * The fast paths are inlined into both; everything behind them is here once. All keep errno on success. */
#ifndef HAK_ENTRY_H
#define HAK_ENTRY_H

#include "front_cache.h"

/* The slow paths: first use, refilling, large blocks. On failure they return NULL with errno = ENOMEM. */
void *hak_malloc_slow(size_t bytes);
void hak_free_slow(void *block);

void *hak_entry_calloc(size_t count, size_t bytes);
void *hak_entry_realloc(void *block, size_t bytes);
/* errno EINVAL if alignment is not a power of two. */
void *hak_entry_memalign(size_t alignment, size_t bytes);
size_t hak_entry_usable_size(const void *block);

/* Debug builds report a block that is too short for `bytes`, or whose address is no multiple of `alignment`. */
void hak_check_sized_free(const void *block, size_t bytes, size_t alignment);

HAK_INLINE void *hak_entry_malloc(size_t bytes)
{
	void *block = hak_cache_pop(bytes);

	return HAK_LIKELY(block != NULL) ? block : hak_malloc_slow(bytes);
}

HAK_INLINE void hak_entry_free(void *block)
{
	if (HAK_UNLIKELY(!hak_cache_push(block)))
		hak_free_slow(block);
}

/* For free and delete with a size. The size and alignment are the caller's word, which real callers get wrong: the
 * block knows better. Only debug builds look at them. */
HAK_INLINE void hak_entry_free_sized(void *block, size_t bytes, size_t alignment)
{
#if HAK_DEBUG
	hak_check_sized_free(block, bytes, alignment);
#else
	(void)bytes;
	(void)alignment;
#endif
	hak_entry_free(block);
}

#endif
