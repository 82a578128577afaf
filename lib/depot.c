#include "depot.h"

#include "mirror.h"
#include "report.h"
#include "trace.h"

#define LANE_MIN 2   /* blocks of a lane: shorter ones are not worth it */

struct hak_depot hak_depots[HAK_CLASS_COUNT] = {
#define HAK_CLASS(bytes, slots) \
	{.lock = HAK_LOCK_INIT(HAK_RANK_DEPOT), \
		.buckets = {[0 ... HAK_DEPOT_BUCKETS - 1] = HAK_NO_SLOT}, \
		.place = HAK_DEPOT_PLACE_##bytes, \
		.capacity = HAK_DEPOT_CAPACITY(bytes)},
#include "size_class.def"
#undef HAK_CLASS
};
struct hak_parcel hak_parcels[HAK_DEPOT_PLACES];

struct hak_sampled_slabs hak_sampled_slabs[HAK_CLASS_COUNT];

/* ---- Lists ---- */

static HAK_COLD struct hak_list end_list(struct hak_block *last, struct hak_block *bad, size_t length)
{
	/* A block that is its own successor was freed twice in a row. */
	if (last && last == bad)
		hak_report(HAK_REPORT_DOUBLE_FREE, last);
	else
		hak_report_link(last, bad);
	if (last)
		last->next = NULL;
	return (struct hak_list){last, length};
}

struct hak_list hak_list_walk(unsigned bin, struct hak_block *head, size_t length)
{
	/* A copy that the loop keeps in registers. Slots that the heap got since are of no list of this thread. */
	const struct hak_heap heap = {hak_heap.base, hak_load_relaxed(&hak_heap.slots), hak_heap.class_map};
	struct hak_block *last = NULL;

	for (size_t left = length; left; left--) {
		if (HAK_UNLIKELY(!hak_link_leads_to(head, bin, &heap) || head == last))
			return end_list(last, head, length - left);
		last = head;
		head = head->next;
	}
	return (struct hak_list){last, length};
}

/* The part of the list before the first block that comes again, of the first `length` and the one behind them; all of
 * those if none does. */
static HAK_COLD struct hak_list until_again(struct hak_block *head, size_t length, const struct hak_block **again)
{
	struct hak_list list = {head, 1};

	for (;;) {
		const struct hak_block *earlier = head;

		for (size_t i = 0; i < list.length; i++, earlier = earlier->next) {
			if (earlier == list.last->next) {
				*again = earlier;
				return list;
			}
		}
		if (list.length == length)
			return list;
		list.last = list.last->next;
		list.length++;
	}
}

HAK_COLD struct hak_list hak_list_end_here(struct hak_block *head, struct hak_list list)
{
	const struct hak_block *again = NULL;

	list = until_again(head, list.length, &again);
	if (again)
		hak_report(HAK_REPORT_DOUBLE_FREE, again);
	else
		hak_report_link(list.last, list.last->next);
	list.last->next = NULL;
	return list;
}

struct hak_list hak_list_unwind(struct hak_block *head, size_t length)
{
	struct hak_block *last = head;
	const struct hak_block *mark = head;

	/* R. P. Brent, An improved Monte Carlo factorization algorithm, 1980: who is on a circle meets a mark that is
	 * set anew at every power of two. */
	for (size_t i = 1; i < length; i++) {
		last = last->next;
		if (HAK_UNLIKELY(last == mark))
			return hak_list_end_here(head, (struct hak_list){last, i});
		if ((i & (i - 1)) == 0)
			mark = last;
	}
	return (struct hak_list){last, length};
}

uint32_t hak_list_recount(unsigned bin, const struct hak_block *head, uint32_t length)
{
	const struct hak_block *last = NULL;
	uint32_t count = 0;

	while (count <= length && hak_link_leads_to(head, bin, &hak_heap)) {
		count++;
		last = head;
		head = head->next;
	}
	if (count <= length && (head || count + 1 < length))
		hak_report_link(last, head);
	return count;
}

/* ---- Blocks out of a slab and back ---- */

static void batch_push(struct hak_batch *batch, uintptr_t address)
{
	struct hak_block *block = (struct hak_block *)address;

	block->next = batch->head;
	batch->head = block;
	batch->length++;
}

/* Takes blocks that came back earlier, the lowest first. */
static void take_returned(uint32_t slab, uint32_t block_bytes, uint32_t want, struct hak_batch *batch)
{
	struct hak_slot *slot = hak_slot(slab);
	uint64_t *bits = hak_block_bits(slab);
	uintptr_t start = hak_slot_address(slab);

	while (slot->free && batch->length < want) {
		uint64_t word = bits[slot->hint];

		if (!word) {
			slot->hint++;
			continue;
		}
		unsigned block = slot->hint * 64u + (unsigned)__builtin_ctzll(word);

		hak_store_relaxed(&bits[slot->hint], word & (word - 1));
		slot->free--;
		hak_single_writer_add(&slot->used, 1);
		batch_push(batch, start + (uintptr_t)block * block_bytes);
	}
}

/* Takes blocks that were never handed out. Linked from the highest down, so that the batch is used in rising order. */
static void carve(uint32_t slab, uint32_t block_bytes, uint32_t want, struct hak_batch *batch)
{
	struct hak_slot *slot = hak_slot(slab);
	uint32_t count = slot->capacity - slot->carved;
	uintptr_t start = hak_slot_address(slab) + (uintptr_t)slot->carved * block_bytes;

	if (count > want - batch->length)
		count = want - batch->length;
	for (uint32_t i = count; i-- > 0;)
		batch_push(batch, start + (uintptr_t)i * block_bytes);
	slot->carved = (uint16_t)(slot->carved + count);
	hak_single_writer_add(&slot->used, count);
}

/* `buckets` are the depot's own, or those of its class's samples. */
static void take_blocks(struct hak_depot *depot, uint32_t *buckets, unsigned class, uint32_t slab, uint32_t want,
	struct hak_batch *batch)
{
	uint32_t block_bytes = hak_size_classes[class].block_bytes;
	uint32_t before = batch->length;

	take_returned(slab, block_bytes, want, batch);
	if (batch->length < want)
		carve(slab, block_bytes, want, batch);
	depot->handed_out += batch->length - before;
	hak_mirror_used(slab, hak_slot(slab)->used);
	hak_slab_list(buckets, slab);
	hak_ss_touch(hak_slot_ss(slab));
}

/* Neighbours in a batch often lie in the same slab: its look-up and its counts are done once for all of them. */
struct returning {
	uint32_t slab;
	uint32_t count; /* bits set so far that the slab's counts don't show yet */
	struct hak_slot *slot;
	uint64_t *bits;
	uintptr_t start; /* of the slab */
	size_t bytes;    /* of it; 0 before the first */
};

/* Makes the counts of the slab show the blocks that came back, and moves it to where it then belongs. */
static void finish_returning(
	struct hak_depot *depot, uint32_t *buckets, struct returning *run, enum hak_release_cause cause)
{
	struct hak_slot *slot;

	if (!run->count)
		return;
	slot = run->slot;
	slot->free = (uint16_t)(slot->free + run->count);
	hak_single_writer_add(&slot->used, -(int)run->count);
	hak_ss_touch(hak_slot_ss(run->slab));
	depot->handed_out -= run->count;
	hak_mirror_used(run->slab, slot->used);
	run->count = 0;
	if (slot->used == 0) {
		hak_slab_unlist(buckets, run->slab);
		hak_pool_release_slab(run->slab, cause);
		run->bytes = 0; /* it is the pool's again */
	} else {
		hak_slab_list(buckets, run->slab);
	}
}

/* Goes on to the slab of `block`, an address in a slot of the class. */
static void begin_returning(struct returning *run, const struct hak_block *block)
{
	uint32_t number = (uint32_t)hak_slot_of_address(block);

	run->slab = number - hak_slot(number)->distance;
	run->slot = hak_slot(run->slab);
	run->bits = hak_block_bits(run->slab);
	run->start = hak_slot_address(run->slab);
	run->bytes = run->slot->span * HAK_SLOT_BYTES;
}

/* Sets one block's bit. A block that isn't one, or is there already, is the program's error: it is reported, and stays
 * out for good. Returns false then: what its link leads to can't be relied on, as memory that is no free block's holds
 * none, and a block that is twice in a list makes it a circle. */
static bool return_block(const struct hak_size_class *size, struct returning *run, const struct hak_block *block)
{
	uint32_t offset = (uint32_t)((uintptr_t)block - run->start);
	uint32_t index = hak_block_of_offset(size, offset);
	struct hak_slot *slot = run->slot;
	uint64_t *word = &run->bits[index / 64];
	uint64_t bit = 1ull << (index % 64);

	if (HAK_UNLIKELY(index * size->block_bytes != offset || index >= slot->carved)) {
		hak_report(HAK_REPORT_INVALID_FREE, block);
		return false;
	}
	if (HAK_UNLIKELY(*word & bit)) {
		hak_report(HAK_REPORT_DOUBLE_FREE, block);
		return false;
	}
	hak_store_relaxed(word, *word | bit);
	if (index / 64 < slot->hint)
		slot->hint = (uint16_t)(index / 64);
	run->count++;
	return true;
}

static void take_apart(struct hak_depot *depot, unsigned class, struct hak_batch batch, enum hak_release_cause cause)
{
	const struct hak_size_class *size = &hak_size_classes[class];
	struct returning run = {.bytes = 0};
	const struct hak_block *block = batch.head, *previous = NULL;

	/* The stored length bounds the walk, so that any list ends. What hangs behind a link that leads to no block of
	 * ours, or to one that is free already, is out of reach, and leaked. */
	for (uint32_t i = 0; i < batch.length; i++) {
		if ((uintptr_t)block - run.start >= run.bytes) {
			finish_returning(depot, depot->buckets, &run, cause);
			if (hak_bin_of_address(block) != HAK_BIN_OF_CLASS(class)) {
				hak_report_link(previous, block);
				return;
			}
			begin_returning(&run, block);
		}
		HAK_ASSERT(run.slot != NULL);
		if (HAK_UNLIKELY(!return_block(size, &run, block)))
			break;
		previous = block;
		block = block->next;
	}
	finish_returning(depot, depot->buckets, &run, cause);
}

/* ---- Batches in transit ---- */

static struct hak_batch remove_coldest(struct hak_depot *depot)
{
	struct hak_batch coldest = hak_depot_parcel(depot, 0)->batch;

	depot->batches--;
	for (unsigned i = 0; i < depot->batches; i++)
		*hak_depot_parcel(depot, i) = *hak_depot_parcel(depot, i + 1);
	if (depot->idle_batches > depot->batches)
		depot->idle_batches = depot->batches;
	return coldest;
}

/* Where lane `lane` of a batch in transit begins: a block, once that has been looked at. */
static const struct hak_block *lane_start(const struct hak_parcel *parcel, unsigned lane)
{
	intptr_t distance = lane == 0 ? 0 : (intptr_t)parcel->lane[lane - 1] * HAK_ALIGNMENT;

	return (const struct hak_block *)((uintptr_t)parcel->batch.head + (uintptr_t)distance);
}

/* Notes where the lanes of a batch begin, while its blocks are near. Where a link leads nowhere, or too far away, no
 * lanes are noted, and who takes the batch finds that out. */
static struct hak_parcel pack(unsigned bin, const struct hak_batch *batch)
{
	const struct hak_heap heap = {hak_heap.base, hak_load_relaxed(&hak_heap.slots), hak_heap.class_map};
	const struct hak_parcel plain = {.batch = *batch};
	struct hak_parcel parcel = plain;
	uint32_t length = batch->length / HAK_DEPOT_LANES;
	const struct hak_block *block = batch->head, *last = NULL;

	if (length < LANE_MIN)
		return plain;
	for (uint32_t i = 0; i < batch->length; i++) {
		if (i && i % length == 0 && i / length < HAK_DEPOT_LANES) {
			unsigned lane = i / length;

			parcel.lane[lane - 1] = (int32_t)(((intptr_t)block - (intptr_t)batch->head) /
				(intptr_t)HAK_ALIGNMENT);
			if (HAK_UNLIKELY(lane_start(&parcel, lane) != block))
				return plain;
		}
		/* A block that is its own successor was freed twice in a row: its lanes would agree with each other. */
		if (HAK_UNLIKELY(!hak_link_leads_to(block, bin, &heap) || block == last))
			return plain;
		last = block;
		block = block->next;
	}
	/* Nor do those of a circle contradict each other: it has no end. */
	return HAK_LIKELY(block == NULL) ? parcel : plain;
}

/* Walks over all lanes side by side, which brings the blocks here. Returns whether every link leads where it should. */
static bool unpack(unsigned bin, const struct hak_parcel *parcel)
{
	const struct hak_heap heap = {hak_heap.base, hak_load_relaxed(&hak_heap.slots), hak_heap.class_map};
	uint32_t length = parcel->batch.length / HAK_DEPOT_LANES;
	uint32_t rest = parcel->batch.length % HAK_DEPOT_LANES; /* behind the last lane */
	const struct hak_block *at[HAK_DEPOT_LANES];
	const struct hak_block **last = &at[HAK_DEPOT_LANES - 1];

	for (unsigned lane = 0; lane < HAK_DEPOT_LANES; lane++)
		at[lane] = lane_start(parcel, lane);
	for (uint32_t i = 0; i < length; i++) {
		for (unsigned lane = 0; lane < HAK_DEPOT_LANES; lane++) {
			if (HAK_UNLIKELY(!hak_link_leads_to(at[lane], bin, &heap)))
				return false;
			at[lane] = at[lane]->next;
		}
	}
	for (unsigned lane = 1; lane < HAK_DEPOT_LANES; lane++) {
		if (HAK_UNLIKELY(at[lane - 1] != lane_start(parcel, lane)))
			return false;
	}
	for (; rest && hak_link_leads_to(*last, bin, &heap); rest--)
		*last = (*last)->next;
	return rest == 0;
}

struct hak_batch hak_depot_fetch(unsigned class, uint32_t want)
{
	struct hak_depot *depot = &hak_depots[class];
	struct hak_batch batch = {.looked_at = true};
	struct hak_parcel parcel = {.lane = {0}};

	hak_lock_acquire(&depot->lock);
	if (depot->batches) {
		parcel = *hak_depot_parcel(depot, --depot->batches);
		batch = parcel.batch;
		batch.looked_at = false;
		if (depot->idle_batches > depot->batches)
			depot->idle_batches = depot->batches;
	}
	while (batch.length == 0 || batch.length < want / 2) {
		uint32_t slab = hak_slab_pick(depot->buckets);

		if (slab == HAK_NO_SLOT)
			break;
		take_blocks(depot, depot->buckets, class, slab, want, &batch);
	}
	if (batch.length) {
		hak_single_writer_add(&depot->hits, 1); /* snapshots read it without the lock */
		hak_mirror_depot(class, depot->hits);
		hak_trace_depot_hit(class, batch.length);
	} else {
		uint32_t slab = hak_pool_acquire_slab(class);

		if (slab != HAK_NO_SLOT)
			take_blocks(depot, depot->buckets, class, slab, want, &batch);
	}
	hak_lock_release(&depot->lock);
	if (parcel.lane[0])
		batch.looked_at = unpack(HAK_BIN_OF_CLASS(class), &parcel);
	return batch;
}

/* Adds to the stack of batches in transit. The depot's lock is held. */
static void push_parcel(unsigned class, const struct hak_parcel *parcel, enum hak_release_cause cause)
{
	struct hak_depot *depot = &hak_depots[class];

	if (depot->batches >= depot->capacity)
		take_apart(depot, class, remove_coldest(depot), cause);
	*hak_depot_parcel(depot, depot->batches++) = *parcel;
}

void hak_depot_put(unsigned class, const struct hak_batch *batches, unsigned count, enum hak_release_cause cause)
{
	struct hak_depot *depot = &hak_depots[class];

	hak_lock_acquire(&depot->lock);
	for (unsigned i = 0; i < count; i++)
		push_parcel(class, &(struct hak_parcel){.batch = batches[i]}, cause);
	hak_lock_release(&depot->lock);
}

void hak_depot_put_for_others(unsigned class, struct hak_batch batch, enum hak_release_cause cause)
{
	struct hak_parcel parcel = pack(HAK_BIN_OF_CLASS(class), &batch);
	struct hak_depot *depot = &hak_depots[class];

	hak_lock_acquire(&depot->lock);
	push_parcel(class, &parcel, cause);
	hak_lock_release(&depot->lock);
}

void hak_depot_tick(unsigned class)
{
	struct hak_depot *depot = &hak_depots[class];
	uint32_t surplus;

	hak_lock_acquire(&depot->lock);
	surplus = depot->idle_before < depot->idle_batches ? depot->idle_before : depot->idle_batches;
	for (uint32_t i = 0; i < surplus; i++)
		take_apart(depot, class, remove_coldest(depot), HAK_RELEASE_DRAIN);
	depot->idle_before = depot->idle_batches;
	depot->idle_batches = depot->batches;
	hak_lock_release(&depot->lock);
}

void hak_depot_trim(void)
{
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		struct hak_depot *depot = &hak_depots[class];

		hak_lock_acquire(&depot->lock);
		while (depot->batches)
			take_apart(depot, class, remove_coldest(depot), HAK_RELEASE_TRIM);
		hak_lock_release(&depot->lock);
		hak_trace_flush();
	}
}

uint64_t hak_depot_cached_blocks(unsigned class)
{
	struct hak_depot *depot = &hak_depots[class];
	uint64_t blocks = 0;

	hak_lock_acquire(&depot->lock);
	for (unsigned i = 0; i < depot->batches; i++)
		blocks += hak_depot_parcel(depot, i)->batch.length;
	hak_lock_release(&depot->lock);
	return blocks;
}

/* ---- Samples ---- */

/* A new slab for samples of the class. Its depot's lock is held. */
static uint32_t acquire_sampled(unsigned class)
{
	uint32_t slab = hak_pool_acquire_slab(class);

	if (slab == HAK_NO_SLOT)
		return slab;
	hak_lock_acquire(&hak_pool.lock);
	hak_slots_sample(hak_slot_ss(slab), hak_slot_place(slab), hak_slot(slab)->span, HAK_SLOT_SAMPLED);
	hak_lock_release(&hak_pool.lock);
	return slab;
}

void *hak_depot_take_sampled(unsigned class)
{
	struct hak_sampled_slabs *slabs = &hak_sampled_slabs[class];
	struct hak_depot *depot = &hak_depots[class];
	struct hak_batch batch = {.length = 0};
	uint32_t slab;

	hak_lock_acquire(&depot->lock);
	for (unsigned b = 0; b < HAK_DEPOT_BUCKETS && !slabs->ready; b++)
		slabs->buckets[b] = HAK_NO_SLOT;
	slabs->ready = true;
	slab = hak_slab_pick(slabs->buckets);
	if (slab == HAK_NO_SLOT)
		slab = acquire_sampled(class);
	if (slab != HAK_NO_SLOT)
		take_blocks(depot, slabs->buckets, class, slab, 1, &batch);
	hak_lock_release(&depot->lock);
	return batch.head;
}

void hak_depot_return_sampled(unsigned class, void *block, enum hak_release_cause cause)
{
	struct hak_depot *depot = &hak_depots[class];
	struct returning run = {.bytes = 0};

	hak_lock_acquire(&depot->lock);
	begin_returning(&run, block);
	return_block(&hak_size_classes[class], &run, block);
	finish_returning(depot, hak_sampled_slabs[class].buckets, &run, cause);
	hak_lock_release(&depot->lock);
}
