/* superslab.h: the operations on SuperSlabs and their slots (record.h), and how SuperSlabs are found again. The pool's
 * lock is held for all that changes anything. */
#ifndef HAK_SUPERSLAB_H
#define HAK_SUPERSLAB_H

#include "arena.h"
#include "atomic.h"
#include "base.h"
#include "record.h"
#include "size_class.h"

void hak_set_add(unsigned set, uint32_t index);
void hak_set_remove(unsigned set, uint32_t index);
bool hak_set_has(unsigned set, uint32_t index);
/* The lowest member at or above `from`, HAK_NO_SUPERSLAB if there is none. */
uint32_t hak_set_next(unsigned set, uint32_t from);
/* The lowest index above `from` that is in neither of two sets; the number of SuperSlabs taken if all are. */
uint32_t hak_set_next_in_neither(unsigned a, unsigned b, uint32_t from);

/* The record of slot number `slot`, counted over the whole heap. */
HAK_INLINE struct hak_slot *hak_slot(uint32_t slot)
{
	return &hak_ss(slot / HAK_SLOTS_PER_SS)->slots[slot % HAK_SLOTS_PER_SS];
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

HAK_INLINE enum hak_slot_state hak_slot_state(uint32_t slot)
{
	return hak_ss_state(hak_ss(hak_slot_ss(slot)), hak_slot_place(slot));
}

/* The first slot of the slab or large run that `slot`, which is not UNUSED, belongs to. Needs no lock: of a record in
 * motion any slot of the heap may come of it. */
uint32_t hak_slot_first(uint32_t slot);

/* Whether somebody follows what changes (inspect.h): else nothing is noted. */
extern HAK_HIDDEN bool hak_ss_followed;

/* Notes for who follows that the row of SuperSlab `index` looks different now. To be called after the change, with the
 * lock held under which it was made: the pool's, or, for a slab's `used`, its depot's. The release pairs with the
 * acquire of inspect.c, which takes the note away before it looks at the row. Stored even if the note is there already:
 * it may be on its way out. */
HAK_INLINE void hak_ss_touch(uint32_t index)
{
	if (HAK_UNLIKELY(hak_load_relaxed(&hak_ss_followed)))
		hak_store_release(&hak_ss(index)->touched, 1);
}

/* `count` bits from `first`, for count up to 32. */
HAK_INLINE uint32_t hak_slot_mask(unsigned first, unsigned count)
{
	HAK_ASSERT(count <= HAK_SLOTS_PER_SS);
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

/* Says what the blocks of ACTIVE slots are; ordinary again before they cease to be ACTIVE. */
void hak_slots_sample(uint32_t index, unsigned first, unsigned count, enum hak_slot_blocks blocks);

/* What the class map has of a slot, by its record. */
HAK_INLINE unsigned hak_slot_map_bin(const struct hak_slot *slot, bool active)
{
	return !active ? HAK_BIN_NONE : slot->sampled ? HAK_BIN_SAMPLED : slot->bin;
}

/* Makes `count` neighbouring slots of one bin and state a slab of their own: parts of a longer one, or several
 * together. The slab's kind and capacity are the caller's to set. */
void hak_slots_form(uint32_t index, unsigned first, unsigned count);

/* Moves a SuperSlab to another place and keeps the sets in agreement. Its slots must suit the place. */
void hak_ss_set_place(uint32_t index, enum hak_place place);

#endif
