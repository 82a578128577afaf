/* superslab.h: what is known of a SuperSlab and of each of its 32 slots, and how SuperSlabs are found again.
 *
 * A slot is UNUSED, ACTIVE or EMPTY (design words in README.md). A slab is a run of slots of one kind; its figures
 * stand in the record of its first slot. Equations that hold whenever the pool's lock is free, and that audit.c checks:
 *
 *   unused | active | empty = all 32 bits, and no two overlap
 *   class_slots[b] = slots of bin b that are ACTIVE or EMPTY here
 *   place = IN_USE  <=>  active != 0;  in the LRU cache and when retired all slots are UNUSED
 *   class_map byte of a slot = its bin if it is ACTIVE, else HAK_BIN_NONE
 *   used + free + (capacity - carved) = capacity, for each ACTIVE slab of a size class
 *
 * Who may touch what: the pool's lock guards states, bits, places, links of EMPTY slabs and all the sets. used, carved,
 * free, hint and the links of an ACTIVE slab belong to its class's depot lock, its block bits likewise. */
#ifndef HAK_SUPERSLAB_H
#define HAK_SUPERSLAB_H

#include "arena.h"
#include "base.h"
#include "size_class.h"

#define HAK_NO_SLOT UINT32_MAX

/* Runs of up to half a SuperSlab are kept as EMPTY slabs too when they are freed. A kind says what an EMPTY slab can be
 * reused for: below HAK_CLASS_COUNT a size class, then large runs by length. */
#define HAK_LARGE_RUN_MAX (HAK_SLOTS_PER_SS / 2)
#define HAK_KIND_OF_RUN(slots) (HAK_CLASS_COUNT + (slots)-1)
#define HAK_KIND_COUNT (HAK_CLASS_COUNT + HAK_LARGE_RUN_MAX)

enum hak_place {
	HAK_PLACE_NONE,    /* never taken from the arena */
	HAK_PLACE_IN_USE,  /* at least one slot is ACTIVE */
	HAK_PLACE_LRU,     /* in the LRU cache: all slots UNUSED, perhaps still with pages behind them */
	HAK_PLACE_RETIRED, /* out of use, its pages asked back: its range waits to be used again */
};

struct hak_slot {
	uint8_t bin;  /* of the ACTIVE or EMPTY slab; HAK_BIN_NONE if UNUSED */
	uint8_t kind; /* of the slab, in its first slot */
	/* Slots back to the slab's first slot; 0 in that one. HAK_DISTANCE_FAR in a large run's further SuperSlabs. */
	uint8_t distance;
	/* EMPTY: 1 if on its kind's free list. ACTIVE: 1 + bucket if on its depot's list of partly used slabs, else 0.
	 */
	uint8_t listed;
	/* Slots of the slab, in its first slot; more than 32 for large runs over several SuperSlabs. */
	uint32_t span;
	uint16_t capacity;       /* blocks */
	uint16_t carved;         /* blocks that have been handed out at least once; those above were never touched */
	uint16_t used;           /* blocks handed out, those in caches included; snapshots read it with relaxed loads */
	uint16_t free;           /* blocks that came back: bits set in its block bits */
	uint16_t hint;           /* no bit is set in the words of block bits below this */
	uint32_t since_ms;       /* when its state last changed */
	uint32_t next, previous; /* on the list that `listed` names */
	uint32_t age_next, age_previous; /* EMPTY: on the list of EMPTY slabs by age */
};

#define HAK_DISTANCE_FAR 255
#define HAK_BLOCK_WORDS (HAK_SLOT_BYTES / HAK_ALIGNMENT / 64)

struct hak_superslab {
	uint32_t unused, active, empty; /* a bit a slot */
	uint32_t zero;                  /* slots whose bytes are known to be zero */
	uint8_t place;                  /* enum hak_place */
	uint8_t longest_unused;         /* longest run of UNUSED slots, while IN_USE */
	uint32_t since_ms;              /* when it entered its place */
	uint32_t lru_next, lru_previous;
	uint8_t class_slots[HAK_BIN_COUNT];
	uint64_t bins; /* bit b: class_slots[b] != 0 */
	struct hak_slot slots[HAK_SLOTS_PER_SS];
};
_Static_assert(HAK_BIN_COUNT <= 64, "a bin has a bit in a word");

/* The arrays in the metadata reservation: the records by SuperSlab number, and by slot number a bit for each block of a
 * slab that was handed out and came back. The words of a slab are those of its first slot: slabs of several slots have
 * few blocks. They stand apart from the records because large allocations have no use for them. */
extern struct hak_superslab *hak_superslabs;
extern uint64_t (*hak_slot_bits)[HAK_BLOCK_WORDS];

/* Sets of SuperSlabs, so that no search walks the heap. Each is a bitmap over all SuperSlabs with two levels of
 * summaries above it; the words of all sets for the same 64 SuperSlabs lie side by side, so that a small heap touches
 * few pages. */
enum hak_set {
	/* + n - 1: in use, its longest UNUSED run is n slots (the last: n or more) */
	HAK_SET_RUN = 0,
	/* + bin: in use, has slots of the bin and an UNUSED run that fits it */
	HAK_SET_AFFINITY = HAK_SET_RUN + HAK_LARGE_RUN_MAX,
	/* + class: has EMPTY slabs of it that are on no free list */
	HAK_SET_EMPTY = HAK_SET_AFFINITY + HAK_BIN_COUNT,
	HAK_SET_LRU = HAK_SET_EMPTY + HAK_CLASS_COUNT,
	HAK_SET_RETIRED,
	HAK_SET_COUNT
};

/* Layout of the sets in the metadata reservation (arena.c reserves and commits it). */
#define HAK_SET_WORDS(superslabs) (((superslabs) + 63) / 64)
extern uint64_t (*hak_set_words[3])[HAK_SET_COUNT];

void hak_set_add(unsigned set, uint32_t index);
void hak_set_remove(unsigned set, uint32_t index);
bool hak_set_has(unsigned set, uint32_t index);
/* The lowest member at or above `from`, HAK_NO_SUPERSLAB if there is none. */
uint32_t hak_set_next(unsigned set, uint32_t from);

HAK_INLINE struct hak_superslab *hak_ss(uint32_t index)
{
	return &hak_superslabs[index];
}

/* The record of slot number `slot`, counted over the whole heap. */
HAK_INLINE struct hak_slot *hak_slot(uint32_t slot)
{
	return &hak_superslabs[slot / HAK_SLOTS_PER_SS].slots[slot % HAK_SLOTS_PER_SS];
}

/* A slot number's SuperSlab, and its place in that. */
HAK_INLINE uint32_t hak_slot_ss(uint32_t slot)
{
	return slot / HAK_SLOTS_PER_SS;
}

HAK_INLINE unsigned hak_slot_place(uint32_t slot)
{
	return slot % HAK_SLOTS_PER_SS;
}

/* The block bits of the slab whose first slot is `slot`. */
HAK_INLINE uint64_t *hak_block_bits(uint32_t slot)
{
	return hak_slot_bits[slot];
}

/* `count` bits from `first`, for count up to 32. */
HAK_INLINE uint32_t hak_slot_mask(unsigned first, unsigned count)
{
	return (uint32_t)((((uint64_t)1 << count) - 1) << first);
}

/* The length of the longest run of ones. */
unsigned hak_longest_run(uint32_t mask);

/* The lowest position, a multiple of `alignment` slots (a power of two), at which `mask` has `count` ones in a row; 32
 * if there is none. */
unsigned hak_find_run(uint32_t mask, unsigned count, unsigned alignment);

/* Slot operations: each moves `count` slots of SuperSlab `index` from `first` on to a state, and keeps bits, class
 * counts, class map and the sets in agreement. The slots must be in the state that the name implies; the pool's lock is
 * held. */
void hak_slots_activate(uint32_t index, unsigned first, unsigned count, unsigned bin); /* UNUSED → ACTIVE */
void hak_slots_empty(uint32_t index, unsigned first, unsigned count);                  /* ACTIVE → EMPTY */
void hak_slots_reactivate(uint32_t index, unsigned first, unsigned count);             /* EMPTY → ACTIVE, same bin */
void hak_slots_reset(uint32_t index, unsigned first, unsigned count);                  /* any → UNUSED */

/* Moves a SuperSlab to another place and keeps the sets in agreement. Its slots must suit the place. */
void hak_ss_set_place(uint32_t index, enum hak_place place);

/* Prepares the record of a SuperSlab that has just come from the arena: all slots UNUSED and zero. */
void hak_ss_create(uint32_t index);

#endif
