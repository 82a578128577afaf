/* slab_list.h: the partly used slabs of one kind, in buckets by how full they are: a class's ordinary ones, its samples', its
 * guarded ones. All is done under the lock of the class's depot. */
#ifndef HAK_SLAB_LIST_H
#define HAK_SLAB_LIST_H

#include "superslab.h"

#define HAK_DEPOT_BUCKETS 8 /* by eighths of their capacity in use */
#define HAK_SLAB_LOOKS 8 /* slabs of the fullest bucket among which the lowest address is chosen */

static inline void hak_slab_unlist(uint32_t *buckets, uint32_t slab)
{
	struct hak_slot *slot = hak_slot(slab);

	if (!slot->listed)
		return;
	if (slot->previous == HAK_NO_SLOT)
		buckets[slot->listed - 1] = slot->next;
	else
		hak_slot(slot->previous)->next = slot->next;
	if (slot->next != HAK_NO_SLOT)
		hak_slot(slot->next)->previous = slot->previous;
	slot->listed = 0;
}

/* Moves a slab to the bucket that fits its fill; a full one is on no list: it has nothing to offer. */
static inline void hak_slab_list(uint32_t *buckets, uint32_t slab)
{
	struct hak_slot *slot = hak_slot(slab);
	unsigned bucket = slot->used * HAK_DEPOT_BUCKETS / slot->capacity;
	bool full = slot->used == slot->capacity;

	slot->idle = 0;
	if (!full && slot->listed == bucket + 1)
		return;
	hak_slab_unlist(buckets, slab);
	if (full)
		return;
	slot->listed = (uint8_t)(bucket + 1);
	slot->previous = HAK_NO_SLOT;
	slot->next = buckets[bucket];
	if (slot->next != HAK_NO_SLOT)
		hak_slot(slot->next)->previous = slab;
	buckets[bucket] = slab;
}

/* Fullest first and lowest first: new blocks fill the gaps of slabs that are in use anyway, and the others get a chance
 * to empty. */
static inline uint32_t hak_slab_pick(const uint32_t buckets[HAK_DEPOT_BUCKETS])
{
	for (unsigned b = HAK_DEPOT_BUCKETS; b-- > 0;) {
		uint32_t best = buckets[b];
		uint32_t slab = best;

		for (unsigned looks = 0; slab != HAK_NO_SLOT && looks < HAK_SLAB_LOOKS;
			looks++, slab = hak_slot(slab)->next) {
			if (slab < best)
				best = slab;
		}
		if (best != HAK_NO_SLOT)
			return best;
	}
	return HAK_NO_SLOT;
}

#endif
