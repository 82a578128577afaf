/* size_class.h: which block size serves a request. */
#ifndef HAK_SIZE_CLASS_H
#define HAK_SIZE_CLASS_H

#include "atomic.h"
#include "base.h"

enum {
#define HAK_CLASS(bytes, slots) HAK_CLASS_OF_##bytes,
#include "size_class.def"
#undef HAK_CLASS
	HAK_CLASS_COUNT
};

/* The largest block size of a class that is always used; above it whole slots are allocated, or a packed class's block.
 */
#define HAK_MAX_SMALL 32768u

/* Blocks that travel between caches together: 64, or what fits three quarters of a slot of the bigger classes, but at
 * least eight, so that lists of those are not moved at every other call, or two of the packed ones, which are for
 * programs that have little room. README.md has the figures. */
#define HAK_BATCH_MAX 64
#define HAK_BATCH_MIN(bytes) ((bytes) > HAK_MAX_SMALL ? 2 : 8)
#define HAK_BATCH_FIT(bytes) (HAK_SLOT_BYTES * 3 / 4 / (bytes))
#define HAK_BATCH(bytes) \
	(HAK_BATCH_FIT(bytes) > HAK_BATCH_MAX                         ? HAK_BATCH_MAX \
			: HAK_BATCH_FIT(bytes) < HAK_BATCH_MIN(bytes) ? HAK_BATCH_MIN(bytes) \
								      : HAK_BATCH_FIT(bytes))

#define HAK_SIZE_STEP_SHIFT 4
#define HAK_SIZE_STEPS ((HAK_MAX_SMALL >> HAK_SIZE_STEP_SHIFT) + 1)

struct hak_size_class {
	uint32_t block_bytes;
	uint32_t slots_per_slab;
	uint32_t capacity;   /* blocks a slab holds */
	uint32_t batch;      /* blocks that move between caches together */
	uint64_t reciprocal; /* offset * reciprocal >> 40 = offset / block_bytes, exact for offsets below 2^24 */
};
extern HAK_HIDDEN const struct hak_size_class hak_size_classes[HAK_CLASS_COUNT];

/* A bin is what the class map's byte and the front cache's arrays are indexed by: 0 is "not ours", so that memory which
 * was never touched says so; class c is c + 1; large allocations come last. Behind them there is one that only the class map
 * knows: blocks that are sampled, of which the slot's record has the bin. */
#define HAK_BIN_NONE 0u
#define HAK_BIN_OF_CLASS(c) ((c) + 1u)
#define HAK_CLASS_OF_BIN(bin) ((bin)-1u)
#define HAK_BIN_LARGE (HAK_CLASS_COUNT + 1u)
#define HAK_BIN_COUNT (HAK_CLASS_COUNT + 2u)
#define HAK_BIN_SAMPLED HAK_BIN_COUNT
#define HAK_MAP_BINS (HAK_BIN_COUNT + 1u)

/* Whether the bin is that of a size class. */
HAK_INLINE bool hak_bin_is_class(unsigned bin)
{
	return bin - HAK_BIN_OF_CLASS(0) < HAK_CLASS_COUNT;
}

/* Request, rounded up to 16-byte steps, to bin. It changes once at most, in hak_size_class_pack: a thread that still reads
 * an old value gets a longer block. */
extern HAK_HIDDEN uint8_t hak_bin_of_step[HAK_SIZE_STEPS];

/* The bin for a request of `bytes` <= HAK_MAX_SMALL. */
HAK_INLINE unsigned hak_bin_of_size(size_t bytes)
{
	return hak_load_word(&hak_bin_of_step[(bytes + HAK_ALIGNMENT - 1) >> HAK_SIZE_STEP_SHIFT]);
}

/* From now on packed classes serve requests up to HAK_MAX_SMALL too. Called once, when the heap is made, or never. */
void hak_size_class_pack(void);

/* The bin of the packed class that serves `bytes` > HAK_MAX_SMALL with less than the whole slots it would take, or
 * HAK_BIN_LARGE. */
unsigned hak_bin_of_packed(size_t bytes);

/* The number of the block that `offset` (bytes from the slab's start) lies in. */
HAK_INLINE uint32_t hak_block_of_offset(const struct hak_size_class *class, uint32_t offset)
{
	return (uint32_t)(((uint64_t)offset * class->reciprocal) >> 40);
}

#endif
