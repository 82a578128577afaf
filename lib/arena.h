/* arena.h: the address space that SuperSlabs come from, and the metadata arrays beside it.
 *
 * One range of address space holds the heap, reserved without access. SuperSlabs are made accessible from its bottom
 * upwards, in growing steps, so that "is this pointer ours" is one comparison with the end of the accessible part. The
 * metadata lies below it, out of reach of heap overflows: arrays indexed by SuperSlab or slot number, that grow in step
 * with the heap and never move.
 *
 * Everything here is called under the pool's lock, except the reads of hak_heap. */
#ifndef HAK_ARENA_H
#define HAK_ARENA_H

#include "atomic.h"
#include "base.h"
#include "record.h"
#include "size_class.h"

/* What free needs, in one cache line. base is set once; slots only grows; class_map has a byte for each slot: its bin
 * (size_class.h), zero for slots that hold no live block. A thread that got a pointer from another has also got, by
 * whatever order handed it over, the values that were stored before it was allocated; so relaxed loads do. */
struct hak_heap {
	uintptr_t base;
	size_t slots; /* accessible slots: number of those that class_map covers */
	uint8_t *class_map;
};
extern HAK_HIDDEN struct hak_heap hak_heap;

/* Reserves the range, at most `reserve` bytes of it, less where limits demand. Returns false if not even a small one is
 * to be had; nothing is changed then and a later call may succeed. */
bool hak_arena_init(size_t reserve);

/* Makes `count` further SuperSlabs accessible, side by side, the first of them aligned to `alignment` bytes (a power of
 * two, at least HAK_SS_BYTES). Those that alignment or the growing step add are below or above them; *skipped_first and
 * *skipped_count tell which lie below. Returns the number of the first, or HAK_NO_SUPERSLAB if memory or address space
 * is out. */
uint32_t hak_arena_take(uint32_t count, size_t alignment, uint32_t *skipped_first, uint32_t *skipped_count);

/* Gives the address range of `count` RETIRED SuperSlabs back to the system, if address space is limited and the heap
 * has more than its first share of it: thread stacks and mappings may need it. Their numbers remain theirs, and their
 * bytes in the class map say "not ours" of whatever else comes to lie there. Returns false if nothing was done. */
bool hak_arena_give_back(uint32_t first, uint32_t count);

/* Gets those of `count` SuperSlabs back that were given back. Returns 0, or the system's error if not all can be had,
 * and none is got back then: EEXIST if something else lies there, else address space or memory is out. */
int hak_arena_get_back(uint32_t first, uint32_t count);

/* Gives those of `count` SuperSlabs back that are RETIRED: what was got back for nothing, as something else failed. */
void hak_arena_give_back_retired(uint32_t first, uint32_t count);

/* SuperSlabs from the heap's base to the reservation's end, given back or not. */
uint32_t hak_arena_reserved(void);

/* The same of the longest reservation that there can be. The first initialisation sets it for good. */
uint32_t hak_arena_extent(void);

/* SuperSlabs that may sensibly be kept unused: few where address space is limited, UINT32_MAX if it is not. */
uint32_t hak_arena_idle_max(void);

/* Whether address space is limited to so little, by the system or by HAKMEM_RESERVE, that no slot of it should lie idle. */
#define HAK_TIGHT_SUPERSLABS 2048u /* 4 GiB */
bool hak_arena_is_tight(void);

/* SuperSlabs that hak_arena_take has given out: every SuperSlab number below this has a record. */
uint32_t hak_arena_taken(void);

/* Bytes reserved for the heap, made accessible in it, less what was given back, and accessible for metadata. */
uint64_t hak_arena_reserved_bytes(void);
uint64_t hak_arena_committed_bytes(void);
uint64_t hak_arena_metadata_bytes(void);

/* Metadata outside the arrays (thread records): zeroed, never given back. NULL if the system refuses. */
void *hak_arena_metadata(size_t bytes);

HAK_INLINE uintptr_t hak_ss_address(uint32_t index)
{
	return hak_heap.base + ((uintptr_t)index << HAK_SS_SHIFT);
}

HAK_INLINE uintptr_t hak_slot_address(uint32_t slot)
{
	return hak_heap.base + ((uintptr_t)slot << HAK_SLOT_SHIFT);
}

/* The slot that `address` lies in; SIZE_MAX or some number not below hak_heap.slots if it isn't ours. */
HAK_INLINE size_t hak_slot_of_address(const void *address)
{
	return ((uintptr_t)address - hak_heap.base) >> HAK_SLOT_SHIFT;
}

/* The bin of the live block at `address`, HAK_BIN_NONE if it isn't ours or its slot holds none. */
HAK_INLINE unsigned hak_bin_of_address(const void *address)
{
	size_t slot = hak_slot_of_address(address);

	return HAK_LIKELY(slot < hak_load_relaxed(&hak_heap.slots)) ? hak_load_relaxed(&hak_heap.class_map[slot])
								    : HAK_BIN_NONE;
}

#endif
