/* entry.h: what the entry points do, for their two sets of names: hak_malloc and its kin (hakmem.c), libc's and C++'s
 * (malloc.c).
 *
 * The fast paths are inlined into both; everything behind them is here once. All keep errno on success. */
#ifndef HAK_ENTRY_H
#define HAK_ENTRY_H

#include "front_cache.h"
#include "guard.h"
#include "large.h"

/* The slow paths: first use, refilling, large blocks. On failure they return NULL with errno = ENOMEM. */
void *hak_malloc_slow(size_t bytes);
void hak_free_slow(void *block);

void *hak_entry_calloc(size_t count, size_t bytes);
/* errno EINVAL if alignment is not a power of two. */
void *hak_entry_memalign(size_t alignment, size_t bytes);
size_t hak_entry_usable_size(const void *block);

/* What hak_entry_malloc does, for a program that asked for `requested` <= bytes, which a sample or a guarded block goes by, at
 * an alignment that all blocks for so many bytes have. */
void *hak_malloc_as(size_t bytes, size_t requested, size_t alignment);

/* Says to whom it may concern that `bytes` can't be had. Returns NULL, with errno = ENOMEM. */
HAK_COLD void *hak_out_of_memory(size_t bytes);

/* What a slow path returned, for a request of `bytes`: if it was chosen, another block may take its place. */
HAK_INLINE void *hak_or_chosen(void *block, size_t bytes)
{
	return HAK_LIKELY(!hak_sample_due) ? block : hak_guard_chosen(block, bytes);
}

/* Bytes of the live block at `block`, 0 if none starts there, or a sample does. That a small block is live, only its slab
 * could say; that it begins where one can, its slot's record does. */
HAK_INLINE size_t hak_usable(const void *block)
{
	unsigned bin = hak_bin_of_address(block);
	const struct hak_size_class *class;
	uint32_t slot, slab, offset;

	if (bin == HAK_BIN_LARGE)
		return hak_large_usable(block);
	if (!hak_bin_is_class(bin))
		return 0;
	class = &hak_size_classes[HAK_CLASS_OF_BIN(bin)];
	slot = (uint32_t)hak_slot_of_address(block);
	slab = class->slots_per_slab == 1 ? slot : slot - hak_slot(slot)->distance;
	offset = (uint32_t)((uintptr_t)block - hak_slot_address(slab));
	return hak_block_of_offset(class, offset) * class->block_bytes == offset ? class->block_bytes : 0;
}

/* Of a free that says how long the block is, 0 if it doesn't, and its alignment: reports what can't be so. */
void hak_check_sized_free(const void *block, size_t bytes, size_t alignment);
/* The slow path of such a free: that, and then the block is freed all the same. */
void hak_free_sized_slow(void *block, size_t bytes, size_t alignment);

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
 * block knows better. The slow path looks at them, and debug builds always do. */
HAK_INLINE void hak_entry_free_sized(void *block, size_t bytes, size_t alignment)
{
#if HAK_DEBUG
	hak_check_sized_free(block, bytes, alignment);
	hak_entry_free(block);
#else
	if (HAK_UNLIKELY(!hak_cache_push(block)))
		hak_free_sized_slow(block, bytes, alignment);
#endif
}

#endif
