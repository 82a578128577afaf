/* large.h: allocations above HAK_MAX_SMALL: runs of slots, and beyond half a SuperSlab whole SuperSlabs side by side, but
 * where address space is limited to little runs of as many slots as it takes (straddle.h). */
#ifndef HAK_LARGE_H
#define HAK_LARGE_H

#include "superslab.h"

/* Slots that `bytes` take; 0 for 0. */
HAK_INLINE size_t hak_large_slots(size_t bytes)
{
	return (bytes + HAK_SLOT_BYTES - 1) >> HAK_SLOT_SHIFT;
}

/* At least `bytes` at an address that is a multiple of `alignment` (a power of two). *zero says whether all of it is
 * known to be zero. Returns NULL if memory is out; errno is the caller's business. Takes the pool's lock. */
void *hak_large_alloc(size_t bytes, size_t alignment, bool *zero);

/* Frees a block of hak_large_alloc. Returns false, changing nothing, if `block` is not the start of a live one. Takes
 * the pool's lock. */
bool hak_large_free(void *block);

/* Makes a block longer or shorter where it is. Returns false, changing nothing, if it isn't a live one or can't. Takes
 * the pool's lock, unless it has the right length already. */
bool hak_large_resize(void *block, size_t bytes);

/* The first slot of the live run that starts at `block`, HAK_NO_SLOT if none does. Takes no lock: a live run's record
 * is changed only by calls of its owner about this very block, and of a block that isn't live any answer will do. */
HAK_INLINE uint32_t hak_large_find(const void *block)
{
	size_t slot = hak_slot_of_address(block);

	if (hak_bin_of_address(block) != HAK_BIN_LARGE || ((uintptr_t)block & (HAK_SLOT_BYTES - 1)) != 0)
		return HAK_NO_SLOT;
	if (hak_slot((uint32_t)slot)->distance != 0 || hak_slot((uint32_t)slot)->free)
		return HAK_NO_SLOT;
	return (uint32_t)slot;
}

/* Bytes that may be used of `block`; 0 if it is not the start of a live one. Takes no lock, as above. */
HAK_INLINE size_t hak_large_usable(const void *block)
{
	uint32_t run = hak_large_find(block);

	return run == HAK_NO_SLOT ? 0 : (size_t)hak_slot(run)->span << HAK_SLOT_SHIFT;
}

#endif
