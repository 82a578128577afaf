#include "census.h"

#include "depot.h"
#include "superslab.h"
#include "thread.h"

#define LIST_MAX 4096 /* blocks of a list that are walked over: more than any holds */

/* Where counts go. */
struct tally {
	uint16_t *cached;
	size_t slots;
};

static void count_block(const struct tally *tally, const struct hak_block *block)
{
	size_t slot = hak_slot_of_address(block);
	size_t slab = slot - hak_slot((uint32_t)slot)->distance;

	if (slab < tally->slots && tally->cached[slab] < UINT16_MAX)
		tally->cached[slab]++;
}

/* The lists are their owners', who may be changing them: what is read is any value that was there, and a link is followed
 * only if it leads to a slot of the bin. The pool's lock is held, so that such a slot stays what it is. TSan is not told of
 * the locks that are not there. */
__attribute__((no_sanitize("thread"))) static void walk(
	const struct tally *tally, unsigned bin, const struct hak_block *block, uint32_t length)
{
	for (uint32_t i = 0; i < length && i < LIST_MAX; i++) {
		if (!hak_link_leads_to(block, bin, &hak_heap))
			return;
		count_block(tally, block);
		block = block->next;
	}
}

static void walk_locked(const struct tally *tally, unsigned bin, const struct hak_block *block, uint32_t length)
{
	hak_lock_acquire(&hak_pool.lock);
	walk(tally, bin, block, length);
	hak_lock_release(&hak_pool.lock);
}

static void walk_depot(const struct tally *tally, unsigned class)
{
	struct hak_depot *depot = &hak_depots[class];

	hak_lock_acquire(&depot->lock);
	for (uint32_t i = 0; i < depot->batches; i++)
		walk_locked(tally, HAK_BIN_OF_CLASS(class), hak_depot_parcel(depot, i)->batch.head,
			hak_depot_parcel(depot, i)->batch.length);
	hak_lock_release(&depot->lock);
}

__attribute__((no_sanitize("thread"))) static void walk_class(
	const struct tally *tally, const struct hak_cache *cache, unsigned bin)
{
	const struct hak_cache_class *class = &cache->classes[bin];
	const struct hak_countdowns *left = &cache->bins->left[bin];
	uint32_t length;

	if (!hak_cache_class_in_use(class))
		return;
	length = hak_load_relaxed(&class->length) +
		hak_steps_taken(hak_load_relaxed(&class->free_armed), hak_load_relaxed(&left->free_left)) -
		hak_steps_taken(hak_load_relaxed(&class->alloc_armed), hak_load_relaxed(&left->alloc_left));

	walk_locked(tally, bin, cache->bins->head[bin], length);
	for (unsigned i = 0; i < HAK_CACHE_BATCHES && i < class->batches; i++)
		walk_locked(tally, bin, class->batch[i].head, class->batch[i].length);
}

size_t hak_census_slots(void)
{
	return hak_load_relaxed(&hak_heap.slots);
}

void hak_census_take(uint16_t *cached, size_t slots)
{
	const struct tally tally = {cached, slots};

	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++)
		walk_depot(&tally, class);
	hak_lock_acquire(&hak_threads.lock);
	hak_thread_reap();
	for (const struct hak_thread *thread = hak_threads.first; thread; thread = thread->next) {
		for (unsigned bin = HAK_BIN_OF_CLASS(0); bin < HAK_BIN_LARGE; bin++)
			walk_class(&tally, &thread->cache, bin);
	}
	hak_lock_release(&hak_threads.lock);
}

bool hak_census_slab(uintptr_t block, struct hak_census_slab *out)
{
	unsigned bin = hak_bin_of_address((const void *)block);
	const struct hak_slot *slot;
	struct hak_depot *depot;

	if (!hak_bin_is_class(bin))
		return false;
	depot = &hak_depots[HAK_CLASS_OF_BIN(bin)];
	hak_lock_acquire(&depot->lock);
	out->slab = (uint32_t)hak_slot_of_address((const void *)block);
	out->slab -= hak_slot(out->slab)->distance;
	slot = hak_slot(out->slab);
	out->used = slot->used;
	out->capacity = slot->capacity;
	out->block_bytes = hak_size_classes[HAK_CLASS_OF_BIN(bin)].block_bytes;
	out->bytes = slot->span * HAK_SLOT_BYTES;
	hak_lock_release(&depot->lock);
	return true;
}
