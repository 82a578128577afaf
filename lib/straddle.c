#include "straddle.h"

#include "empty_list.h"
#include "lru.h"
#include "settings.h"

bool hak_straddle_wanted(void)
{
	return hak_arena_is_tight() && hak_settings.ss_shared;
}

/* Neighbouring slots that a run may take, before it is known where one is long enough: the lowest place, perhaps only
 * what the heap ends with, which is too short. Addresses that were given back are passed over unless `away`. */
static uint32_t lowest_place(uint32_t slots, bool away)
{
	uint32_t taken = hak_arena_taken();
	uint32_t length = 0; /* of the UNUSED slots right before the SuperSlab looked at */

	for (uint32_t index = 0; index < taken; index++) {
		const struct hak_superslab *ss = hak_ss(index);
		uint32_t open = ss->away && !away ? 0 : ss->unused;
		uint32_t first = index * HAK_SLOTS_PER_SS;
		unsigned lead = open == ~0u ? HAK_SLOTS_PER_SS : (unsigned)__builtin_ctz(~open);

		if (length + lead >= slots)
			return first - length;
		if (lead == HAK_SLOTS_PER_SS) {
			length += lead;
			continue;
		}
		lead = slots < HAK_SLOTS_PER_SS ? hak_find_run(open, slots, 1) : HAK_SLOTS_PER_SS;
		if (lead < HAK_SLOTS_PER_SS)
			return first + lead;
		length = (unsigned)__builtin_clz(~open);
	}
	return taken * HAK_SLOTS_PER_SS - length;
}

bool hak_straddle_clear(uint32_t slot, uint32_t count)
{
	uint32_t all = hak_arena_taken() * HAK_SLOTS_PER_SS;
	uint32_t end = slot + count < all ? slot + count : all;

	for (uint32_t at = slot; at < end; at++) {
		if (hak_slot_state(at) == HAK_SLOT_ACTIVE)
			return false;
	}
	/* The last of them may be longer than what is wanted of it: the rest has no age any more, and gives its pages
	 * back now. */
	for (uint32_t at = slot; at < end; at++) {
		unsigned span = hak_slot(at)->span;

		if (hak_slot_state(at) != HAK_SLOT_EMPTY)
			continue;
		hak_empty_reset(at);
		hak_ss_purge(hak_slot_ss(at), hak_slot_place(at), span);
	}
	return true;
}

bool hak_straddle_reach(uint32_t slot, uint32_t count)
{
	uint32_t taken = hak_arena_taken();
	uint32_t first = hak_slot_ss(slot);
	uint32_t end = slot + count;
	uint32_t end_ss = (end + HAK_SLOTS_PER_SS - 1) / HAK_SLOTS_PER_SS;
	uint32_t known = end_ss < taken ? end_ss : taken;
	uint32_t skipped, skipped_count;

	if (count > hak_arena_extent() * HAK_SLOTS_PER_SS || end_ss > hak_arena_extent())
		return false;
	for (uint32_t index = first; index < known; index++) {
		unsigned from = index == first ? hak_slot_place(slot) : 0;
		unsigned to = index == hak_slot_ss(end) ? hak_slot_place(end) : HAK_SLOTS_PER_SS;
		uint32_t mask = hak_slot_mask(from, to - from);

		if ((hak_ss(index)->unused & mask) != mask)
			return false;
	}
	if (first < known && hak_arena_get_back(first, known - first) != 0)
		return false;
	if (end_ss <= taken || hak_arena_take(end_ss - taken, HAK_SS_BYTES, &skipped, &skipped_count) != HAK_NO_SUPERSLAB)
		return true;
	/* Threads and mappings may need the addresses, and no run will be freed for them. */
	if (first < known)
		hak_arena_give_back_retired(first, known - first);
	return false;
}

uint32_t hak_straddle_find(uint32_t slots)
{
	uint32_t slot = lowest_place(slots, true);

	if (hak_straddle_reach(slot, slots))
		return slot;
	slot = lowest_place(slots, false);
	return hak_straddle_reach(slot, slots) ? slot : HAK_NO_SLOT;
}
