/* record.h: what is known of a SuperSlab and of each of its 32 slots: the data alone. superslab.h has the operations.
 *
 * A slot is UNUSED, ACTIVE or EMPTY (design words in README.md). A slab is a run of slots of one kind; its figures
 * stand in the record of its first slot. Equations that hold whenever the pool's lock is free, and that audit.c checks:
 *
 *   unused | active | empty = all 32 bits, and no two overlap
 *   class_slots[b] = slots of bin b that are ACTIVE or EMPTY here
 *   place = IN_USE  <=>  active != 0;  in the LRU cache and when retired all slots are UNUSED
 *   away  =>  place = RETIRED, and all slots are known to be zero
 *   class_map byte of a slot = its bin if it is ACTIVE, or HAK_BIN_SAMPLED if its blocks aren't ordinary, else HAK_BIN_NONE
 *   used + free + (capacity - carved) = capacity, for each ACTIVE slab of a size class
 *
 * Who may touch what: the pool's lock guards states, bits, places, links of EMPTY slabs and all the sets. used, carved,
 * free, hint, idle and the links of an ACTIVE slab belong to its class's depot lock, its block bits likewise. */
#ifndef HAK_RECORD_H
#define HAK_RECORD_H

#include "base.h"
#include "size_class.h"

#define HAK_NO_SUPERSLAB UINT32_MAX
#define HAK_NO_SLOT UINT32_MAX

/* Runs of up to half a SuperSlab, inside one, are kept as EMPTY slabs too when they are freed. A kind says what an EMPTY slab can be
 * reused for: below HAK_CLASS_COUNT a size class, then large runs by length. */
#define HAK_LARGE_RUN_MAX (HAK_SLOTS_PER_SS / 2)
#define HAK_KIND_OF_RUN(slots) (HAK_CLASS_COUNT + (slots)-1)
#define HAK_KIND_COUNT (HAK_CLASS_COUNT + HAK_LARGE_RUN_MAX)

/* Whether a large run of `slots` slots from `place` in its SuperSlab on is of a kind: longer ones aren't, nor those that
 * go on in the next SuperSlab. */
HAK_INLINE bool hak_run_has_kind(unsigned place, uint32_t slots)
{
	return slots <= HAK_LARGE_RUN_MAX && place + slots <= HAK_SLOTS_PER_SS;
}

enum hak_slot_state { HAK_SLOT_UNUSED, HAK_SLOT_ACTIVE, HAK_SLOT_EMPTY };

/* What the blocks of an ACTIVE slab are, or a large run is: ordinary, samples (sample.h), or guarded (cell.h). */
enum hak_slot_blocks { HAK_SLOT_ORDINARY, HAK_SLOT_SAMPLED, HAK_SLOT_GUARDED };

enum hak_place {
	HAK_PLACE_NONE,    /* never taken from the arena */
	HAK_PLACE_IN_USE,  /* at least one slot is ACTIVE */
	HAK_PLACE_LRU,     /* in the LRU cache: all slots UNUSED, perhaps still with pages behind them */
	HAK_PLACE_RETIRED, /* out of use, its pages asked back or its addresses given back: waits to be used again */
};

struct hak_slot {
	uint8_t bin;  /* of the ACTIVE or EMPTY slab; HAK_BIN_NONE if UNUSED */
	uint8_t kind; /* of the slab, in its first slot */
	/* Slots back to the slab's first slot; 0 in that one. HAK_DISTANCE_FAR in a large run's further SuperSlabs. */
	uint8_t distance;
	/* EMPTY: 1 if on its kind's free list. ACTIVE: 1 + bucket if on its depot's list of partly used slabs, else 0.
	 */
	uint8_t listed;
	/* Slots of the slab, in its first slot; a large run's may lie in several SuperSlabs. */
	uint32_t span;
	uint16_t capacity;       /* blocks */
	uint16_t carved;         /* blocks that have been handed out at least once; those above were never touched */
	uint16_t used;           /* blocks handed out, those in caches included; snapshots read it with relaxed loads */
	uint16_t free;           /* blocks that came back: bits set in its block bits */
	uint16_t hint;           /* no bit is set in the words of block bits below this */
	uint8_t idle;            /* ACTIVE: times that the sweep came by since a block went or came; sweep.c */
	uint8_t sampled; /* ACTIVE: enum hak_slot_blocks; of a large run in its first slot */
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
	bool away;                      /* RETIRED, and its address range not ours at present (arena.h) */
	uint8_t touched;                /* hak_ss_touch */
	uint32_t since_ms;              /* when it entered its place */
	uint32_t lru_next, lru_previous;
	uint8_t class_slots[HAK_BIN_COUNT];
	uint64_t bins; /* bit b: class_slots[b] != 0 */
	struct hak_slot slots[HAK_SLOTS_PER_SS];
};
_Static_assert(HAK_BIN_COUNT <= 64, "a bin has a bit in a word");

/* What the slot at `place` is. Of a SuperSlab in motion, without the pool's lock, what it was or will be. */
HAK_INLINE enum hak_slot_state hak_ss_state(const struct hak_superslab *ss, unsigned place)
{
	return ss->active >> place & 1 ? HAK_SLOT_ACTIVE : ss->empty >> place & 1 ? HAK_SLOT_EMPTY : HAK_SLOT_UNUSED;
}

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

#define HAK_GROUP_SUPERSLABS 64u
#define HAK_GROUP_SLOTS (HAK_GROUP_SUPERSLABS * HAK_SLOTS_PER_SS)

/* What is known of 64 SuperSlabs. Groups lie side by side downwards from the class map, and the block bits of later
 * slots below those of earlier ones: the metadata of the heap's first part is one piece of memory, and what the
 * smallest heap needs of it a page or two. */
struct hak_group {
	/* For each slot, the last one first, a bit for each block of a slab that was handed out and came back. The
	 * words of a slab are those of its first slot: slabs of several slots have few blocks. They stand apart from
	 * the records because large allocations have no use for them. */
	uint64_t bits[HAK_GROUP_SLOTS][HAK_BLOCK_WORDS];
	/* The words of the sets for these SuperSlabs (0), the summaries of 64 groups in the first of them (1), those of
	 * 64 * 64 likewise (2). */
	uint64_t sets[3][HAK_SET_COUNT];
	struct hak_superslab superslabs[HAK_GROUP_SUPERSLABS];
} __attribute__((aligned(64)));

/* Group 0; number n stands n places below it. */
extern HAK_HIDDEN struct hak_group *hak_groups;

HAK_INLINE struct hak_group *hak_group(uint32_t number)
{
	return hak_groups - number;
}

HAK_INLINE struct hak_superslab *hak_ss(uint32_t index)
{
	return &hak_group(index / HAK_GROUP_SUPERSLABS)->superslabs[index % HAK_GROUP_SUPERSLABS];
}

/* The block bits of the slab whose first slot is `slot`. */
HAK_INLINE uint64_t *hak_block_bits(uint32_t slot)
{
	return hak_group(slot / HAK_GROUP_SLOTS)->bits[~slot % HAK_GROUP_SLOTS];
}

#endif
