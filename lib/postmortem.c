#include "postmortem.h"

#include "depot.h"
#include "front_cache.h"
#include "report.h"
#include "superslab.h"
#include "thread.h"

#define LIST_MAX 4096         /* blocks of a list that are looked at: more than any list holds that is whole */
#define THREADS_MAX (1 << 20) /* in a registry that may be in the midst of a change */

const char *const hak_whereabouts_names[] = {
#define X(name, meaning) #name,
	HAK_WHEREABOUTS(X)
#undef X
};

static void find_large(uint32_t run, uint64_t offset, struct hak_whereabouts *out)
{
	out->class = HAK_NO_CLASS;
	out->block = hak_slot_address(run);
	out->block_bytes = hak_slot(run)->span * HAK_SLOT_BYTES;
	out->offset = offset;
	if (out->state == HAK_SLOT_EMPTY)
		out->kind = HAK_AT_free;
	else
		out->kind = hak_slot(run)->free ? HAK_AT_cached : HAK_AT_live;
}

static void find_small(uint32_t slab, uint64_t offset, struct hak_whereabouts *out)
{
	const struct hak_size_class *class = &hak_size_classes[out->class];
	uint64_t number = offset / class->block_bytes;

	if (number >= class->capacity) {
		out->kind = HAK_AT_tail;
		return;
	}
	out->block_number = number;
	out->block = hak_slot_address(slab) + number * class->block_bytes;
	out->block_bytes = class->block_bytes;
	out->offset = offset % class->block_bytes;
	if (out->state == HAK_SLOT_EMPTY)
		out->kind = HAK_AT_free;
	else if (number >= hak_slot(slab)->carved)
		out->kind = HAK_AT_untouched;
	else
		out->kind = hak_block_bits(slab)[number / 64] >> number % 64 & 1 ? HAK_AT_free : HAK_AT_live;
}

void hak_postmortem_find(uintptr_t address, struct hak_whereabouts *out)
{
	size_t slot = hak_slot_of_address((const void *)address);
	uint32_t first;
	uint8_t bin;

	*out = (struct hak_whereabouts){.kind = HAK_AT_foreign, .class = HAK_NO_CLASS};
	if (slot >= hak_load_relaxed(&hak_heap.slots)) {
		if (slot < (size_t)hak_arena_reserved() * HAK_SLOTS_PER_SS)
			out->kind = HAK_AT_reserved;
		return;
	}
	/* Whatever lies there now is not the heap's. */
	if (hak_ss(hak_slot_ss((uint32_t)slot))->away)
		return;
	out->kind = HAK_AT_unused;
	out->state = (uint8_t)hak_slot_state((uint32_t)slot);
	bin = hak_slot((uint32_t)slot)->bin;
	first = out->state == HAK_SLOT_UNUSED ? (uint32_t)slot : hak_slot_first((uint32_t)slot);
	out->superslab = hak_ss_address(hak_slot_ss(first));
	out->slot = hak_slot_place(first);
	if (out->state == HAK_SLOT_UNUSED || bin == HAK_BIN_NONE || bin > HAK_BIN_LARGE)
		return;
	if (bin == HAK_BIN_LARGE) {
		find_large(first, address - hak_slot_address(first), out);
		return;
	}
	out->class = (uint8_t)HAK_CLASS_OF_BIN(bin);
	find_small(first, address - hak_slot_address(first), out);
}

/* Whether `block` is on the list: links are followed as long as they lead to slots of the bin. */
static bool is_on(const struct hak_block *list, unsigned bin, const struct hak_block *block)
{
	for (unsigned i = 0; i < LIST_MAX && list != block; i++) {
		if ((uintptr_t)list % HAK_ALIGNMENT != 0 || hak_bin_of_address(list) != bin)
			return false;
		list = list->next;
	}
	return list == block;
}

static bool is_in(const struct hak_cache *cache, unsigned bin, const struct hak_block *block)
{
	const struct hak_cache_class *class = &cache->classes[bin];

	for (unsigned i = 0; i < class->batches && i < HAK_CACHE_BATCHES; i++) {
		if (is_on(class->batch[i].head, bin, block))
			return true;
	}
	return is_on(cache->bins->head[bin], bin, block);
}

void hak_postmortem_cached(struct hak_whereabouts *at)
{
	const struct hak_block *block = (const struct hak_block *)at->block;
	const struct hak_thread *thread = hak_threads.first;
	unsigned bin = HAK_BIN_OF_CLASS(at->class);
	const struct hak_depot *depot;
	bool found = false;

	if (at->kind != HAK_AT_live || at->class >= HAK_CLASS_COUNT)
		return;
	depot = &hak_depots[at->class];
	for (unsigned i = 0; i < depot->capacity && i < depot->batches; i++)
		found = found || is_on(hak_depot_parcel(depot, i)->batch.head, bin, block);
	for (unsigned i = 0; thread && !found && i < THREADS_MAX; i++, thread = thread->next)
		found = !hak_thread_is_gone(thread) && is_in(&thread->cache, bin, block);
	if (found)
		at->kind = HAK_AT_cached;
}

const char *hak_postmortem_report(uintptr_t *address)
{
	*address = hak_load_relaxed(&hak_last_report.address);
	return hak_load_relaxed(&hak_last_report.text);
}
