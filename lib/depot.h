/* depot.h: what all threads share of one class: batches of blocks in transit, and the partly used slabs.
 *
 * One lock a class. Batches go in and out whole. A slab belongs to nobody: a thread that dies
 * hands its batches in, and there is nothing to adopt. A slab's free blocks are bits outside the heap, so a program's
 * stray writes can't reach them and a block that comes back twice is seen. */
#ifndef HAK_DEPOT_H
#define HAK_DEPOT_H

#include "lock.h"
#include "settings.h"
#include "shared_pool.h"
#include "slab_list.h"

/* A free block. The link is the only thing that HAKMEM stores in memory a program has used. */
struct hak_block {
	struct hak_block *next;
};

/* A chain of free blocks of one class. */
struct hak_batch {
	struct hak_block *head;
	uint32_t length;
	bool looked_at; /* all its links were written or looked at a moment ago */
};

/* Whether `block` is aligned and lies in a slot of the bin, so that its link may be read. The bits that an aligned
 * address doesn't have are rotated to the top, where they make it lie beyond every heap. `heap` is hak_heap, or a copy
 * for a loop. */
HAK_INLINE bool hak_link_leads_to(const struct hak_block *block, unsigned bin, const struct hak_heap *heap)
{
	size_t offset = (uintptr_t)block - heap->base;
	size_t slot = (offset >> 4 | offset << 60) >> (HAK_SLOT_SHIFT - 4);

	return slot < heap->slots && hak_load_word(&heap->class_map[slot]) == bin;
}
_Static_assert(HAK_ALIGNMENT == 1 << 4, "the rotation is by its bits");

#define HAK_DEPOT_LANES 8 /* parts of a batch in transit that can be walked over side by side */

/* A batch in transit. If the thread that freed its blocks only frees, they lie in the cache of that thread's processor.
 * Who takes them would wait for one after the other, as each names the next: so where eight parts begin stands beside
 * the batch, and the waits are for eight blocks at once. The first begins where the batch does; of the others the
 * distance from there is kept, in units of HAK_ALIGNMENT, because all the depots' batches are in memory of every
 * program. */
struct hak_parcel {
	struct hak_batch batch;
	int32_t lane[HAK_DEPOT_LANES - 1]; /* lanes of length / HAK_DEPOT_LANES blocks; 0: not known */
};

/* Batches that the depot keeps of a class: a quarter of a MiB of blocks, but a few of the bigger ones in any case. */
#define HAK_DEPOT_BATCHES 16 /* most */
#define HAK_DEPOT_FIT(bytes) ((256u << 10) / (HAK_BATCH(bytes) * (bytes)))
#define HAK_DEPOT_CAPACITY(bytes) \
	(HAK_DEPOT_FIT(bytes) > HAK_DEPOT_BATCHES  ? HAK_DEPOT_BATCHES \
			: HAK_DEPOT_FIT(bytes) < 4 ? 4 \
						   : HAK_DEPOT_FIT(bytes))

/* Where each class's places begin among all of them. */
enum {
#define HAK_CLASS(bytes, slots) \
	HAK_DEPOT_PLACE_##bytes, HAK_DEPOT_LAST_##bytes = HAK_DEPOT_PLACE_##bytes + (int)HAK_DEPOT_CAPACITY(bytes) - 1,
#include "size_class.def"
#undef HAK_CLASS
	HAK_DEPOT_PLACES
};
extern HAK_HIDDEN struct hak_parcel hak_parcels[HAK_DEPOT_PLACES];

struct hak_depot {
	struct hak_lock lock;
	uint32_t batches;                    /* in transit: a stack, the coldest first */
	uint32_t idle_batches;               /* fewest there have been since the last tick: nobody needed those */
	uint32_t idle_before;                /* the same for the tick before */
	uint64_t handed_out;                 /* Σ used over the class's slabs: blocks live or in some cache */
	uint32_t buckets[HAK_DEPOT_BUCKETS]; /* slot numbers of the partly used slabs, fullest bucket last */
	uint64_t hits;                       /* refills served without a new slab */
	uint16_t place, capacity;            /* of the batches in transit: the first, and how many */
} __attribute__((aligned(64)));
extern HAK_HIDDEN struct hak_depot hak_depots[HAK_CLASS_COUNT];

/* Number `i` of the depot's batches in transit, the coldest being 0. */
HAK_INLINE struct hak_parcel *hak_depot_parcel(const struct hak_depot *depot, unsigned i)
{
	return &hak_parcels[depot->place + i];
}

/* The partly used slabs that hold samples, of each class under its depot's lock. They stand apart, because few programs
 * have any. */
struct hak_sampled_slabs {
	bool ready; /* the buckets have been set once */
	uint32_t buckets[HAK_DEPOT_BUCKETS];
};
extern HAK_HIDDEN struct hak_sampled_slabs hak_sampled_slabs[HAK_CLASS_COUNT];

/* The part of a list that is whole: its last block, NULL if nothing is left, and how long it is. */
struct hak_list {
	struct hak_block *last;
	size_t length;
};

/* Walks over the first `length` blocks of a list of the bin. A link that can't lead to a block of the bin is reported;
 * the list then ends before it, and the rest is leaked. The blocks are the caller's alone. */
struct hak_list hak_list_walk(unsigned bin, struct hak_block *head, size_t length);

/* The same of length > 0 blocks whose links are not looked at. */
HAK_INLINE struct hak_list hak_list_end(struct hak_block *head, size_t length)
{
	for (size_t i = 1; i < length; i++)
		head = head->next;
	return (struct hak_list){head, length};
}

/* The same, but a list that runs in a circle, as a block that was freed twice makes it, is reported and ends before the
 * block that comes again. */
struct hak_list hak_list_unwind(struct hak_block *head, size_t length);

/* Whether all links are to be looked at, at any price. README.md has the figures. */
HAK_INLINE bool hak_list_look_always(void)
{
	return HAK_UNLIKELY(hak_settings.on_error >= HAK_ON_ERROR_ABORT);
}

/* Whether refills look: where batches are long, that is cheap. */
HAK_INLINE bool hak_list_look_at_refill(const struct hak_size_class *class)
{
	return class->batch >= 16 || hak_list_look_always();
}

/* Ends a list after its last block, `last`, which should have no successor but has one: it was freed twice, or its link
 * was written over. Reports that. */
struct hak_list hak_list_end_here(struct hak_block *head, struct hak_list list);

/* Hangs `batch`, not empty, behind a short list whose blocks are warm, so that walking to its end costs little. */
HAK_INLINE struct hak_batch hak_list_join(unsigned bin, struct hak_batch list, struct hak_batch batch, bool look)
{
	struct hak_list whole;

	if (look && !batch.looked_at) {
		whole = hak_list_walk(bin, batch.head, batch.length);
		if (HAK_UNLIKELY(whole.last && whole.last->next))
			whole = hak_list_end_here(batch.head, whole);
		batch.head = whole.last ? batch.head : NULL;
		batch.length = (uint32_t)whole.length;
	}
	if (list.length == 0)
		return batch;
	whole = look ? hak_list_walk(bin, list.head, list.length) : hak_list_end(list.head, list.length);
	if (look && HAK_UNLIKELY(!whole.last))
		return batch;
	if (HAK_UNLIKELY(whole.last->next))
		whole = hak_list_end_here(list.head, whole);
	whole.last->next = batch.head;
	list.length = (uint32_t)whole.length + batch.length;
	return list;
}

/* The length of a list that is known to be `length` blocks long, or one more or less. Reports a damaged link, which
 * ends it. */
uint32_t hak_list_recount(unsigned bin, const struct hak_block *head, uint32_t length);

/* Fetches blocks for a thread's cache: a batch in transit; if there is none or it is short, up to `want` from partly
 * used slabs, the fullest first; if that gave none, from a new slab. Returns an empty batch if memory is out. */
struct hak_batch hak_depot_fetch(unsigned class, uint32_t want);

/* Hands batches in. One that finds no room pushes the coldest out: its blocks go back to their slabs. `cause` is named
 * in the events of slabs that become EMPTY thereby. */
void hak_depot_put(unsigned class, const struct hak_batch *batches, unsigned count, enum hak_release_cause cause);

/* The same of one batch, by a thread that has not allocated from the class lately: those who do will find it far away.
 * It walks over the batch, for a few nanoseconds a block, to spare them more. */
void hak_depot_put_for_others(unsigned class, struct hak_batch batch, enum hak_release_cause cause);

/* A block out of a slab that holds nothing but samples, so that free recognises it by the class map. NULL if memory is
 * out.
 */
void *hak_depot_take_sampled(unsigned class);
/* Gives it back. It is live, and nobody else's. `cause` as above. */
void hak_depot_return_sampled(unsigned class, void *block, enum hak_release_cause cause);

/* Whether a block of an ACTIVE slab of a class has been given back to the slab. No lock: of a block that is live the answer is
 * right. */
HAK_INLINE bool hak_depot_has_back(const void *block, unsigned class)
{
	uint32_t slot = (uint32_t)hak_slot_of_address(block), slab = slot - hak_slot(slot)->distance;
	uint32_t number = hak_block_of_offset(&hak_size_classes[class], (uint32_t)((uintptr_t)block - hak_slot_address(slab)));

	return hak_load_relaxed(&hak_block_bits(slab)[number / 64]) >> number % 64 & 1;
}

/* Called at each drain of the class: batches that nobody fetched for two of these are taken apart. */
void hak_depot_tick(unsigned class);

/* Takes all batches of all classes apart. The caller holds no lock. */
void hak_depot_trim(void);

/* Blocks in transit, of one class. Takes its lock. */
uint64_t hak_depot_cached_blocks(unsigned class);

#endif
