#include "empty_list.h"

#include "pool.h"
#include "settings.h"
#include "stats.h"
#include "trace.h"

static void age_append(uint32_t slab)
{
	struct hak_slot *slot = hak_slot(slab);

	slot->age_next = HAK_NO_SLOT;
	slot->age_previous = hak_pool.age_newest;
	if (hak_pool.age_newest == HAK_NO_SLOT)
		hak_pool.age_oldest = slab;
	else
		hak_slot(hak_pool.age_newest)->age_next = slab;
	hak_pool.age_newest = slab;
	if (hak_pool.purge_next == HAK_NO_SLOT)
		hak_pool.purge_next = slab;
}

static void age_remove(uint32_t slab)
{
	struct hak_slot *slot = hak_slot(slab);

	if (hak_pool.purge_next == slab)
		hak_pool.purge_next = slot->age_next;
	if (slot->age_previous == HAK_NO_SLOT)
		hak_pool.age_oldest = slot->age_next;
	else
		hak_slot(slot->age_previous)->age_next = slot->age_next;
	if (slot->age_next == HAK_NO_SLOT)
		hak_pool.age_newest = slot->age_previous;
	else
		hak_slot(slot->age_next)->age_previous = slot->age_previous;
}

/* An EMPTY slab of `class` in SuperSlab `index` that is on no free list. */
static uint32_t find_unlisted(uint32_t index, unsigned class)
{
	const struct hak_superslab *ss = hak_ss(index);

	for (uint32_t left = ss->empty; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);
		const struct hak_slot *slot = &ss->slots[i];

		if (slot->distance == 0 && slot->kind == class && !slot->listed)
			return index * HAK_SLOTS_PER_SS + i;
	}
	return HAK_NO_SLOT;
}

static void list_push(uint32_t slab)
{
	struct hak_slot *slot = hak_slot(slab);
	struct hak_pool_kind *kind = &hak_pool.kinds[slot->kind];

	slot->listed = 1;
	slot->previous = HAK_NO_SLOT;
	slot->next = kind->head;
	if (kind->head != HAK_NO_SLOT)
		hak_slot(kind->head)->previous = slab;
	kind->head = slab;
	if (++kind->count > kind->peak)
		kind->peak = kind->count;
}

static void list_remove(uint32_t slab)
{
	struct hak_slot *slot = hak_slot(slab);
	struct hak_pool_kind *kind = &hak_pool.kinds[slot->kind];

	if (slot->previous == HAK_NO_SLOT)
		kind->head = slot->next;
	else
		hak_slot(slot->previous)->next = slot->next;
	if (slot->next != HAK_NO_SLOT)
		hak_slot(slot->next)->previous = slot->previous;
	slot->listed = 0;
	kind->count--;
}

void hak_empty_insert(uint32_t slab)
{
	struct hak_slot *slot = hak_slot(slab);
	struct hak_pool_kind *kind = &hak_pool.kinds[slot->kind];
	uint32_t index = hak_slot_ss(slab);

	kind->empty_slots += slot->span;
	age_append(slab);
	if (slot->kind >= HAK_CLASS_COUNT) {
		hak_pool.large_empty_slots += slot->span;
		list_push(slab);
		return;
	}
	if (kind->count < hak_settings.ss_free_list) {
		list_push(slab);
		hak_trace_freelist_push(slot->kind, kind->count, (uint64_t)__builtin_popcount(hak_ss(index)->active));
		return;
	}
	hak_set_add(HAK_SET_EMPTY + slot->kind, index);
	hak_stat_add(free_list_overflows, 1);
	hak_trace_freelist_overflow(slot->kind, hak_ss_address(index), hak_slot_place(slab));
}

void hak_empty_remove(uint32_t slab)
{
	struct hak_slot *slot = hak_slot(slab);
	struct hak_pool_kind *kind = &hak_pool.kinds[slot->kind];

	kind->empty_slots -= slot->span;
	age_remove(slab);
	if (slot->kind >= HAK_CLASS_COUNT)
		hak_pool.large_empty_slots -= slot->span;
	if (slot->listed) {
		list_remove(slab);
		return;
	}
	slot->listed = 1; /* for find_unlisted's eyes: it is spoken for */
	if (find_unlisted(hak_slot_ss(slab), slot->kind) == HAK_NO_SLOT)
		hak_set_remove(HAK_SET_EMPTY + slot->kind, hak_slot_ss(slab));
	slot->listed = 0;
}

void hak_empty_reset(uint32_t slab)
{
	unsigned span = hak_slot(slab)->span;

	hak_empty_remove(slab);
	hak_slots_reset(hak_slot_ss(slab), hak_slot_place(slab), span);
}

uint32_t hak_empty_find(unsigned kind)
{
	uint32_t slab = hak_pool.kinds[kind].head;
	uint32_t index;

	if (slab != HAK_NO_SLOT || kind >= HAK_CLASS_COUNT)
		return slab;
	index = hak_set_next(HAK_SET_EMPTY + kind, 0);
	return index == HAK_NO_SUPERSLAB ? HAK_NO_SLOT : find_unlisted(index, kind);
}
