/* mirror.c: the stores into the mirror.
 *
 * Memory orders. After the process's end nothing matters but that the compiler keeps the stores in order, as a processor
 * retires them so. A reader that looks while the process runs does as with any seqlock: the odd word is followed by a
 * release fence, the even one is stored with release order. */
#include "mirror.h"

#include "arena.h"
#include "os.h"

struct hak_mirror *hak_mirror;

/* The mirror if there is one here: not in a child that was made without handlers, where the record was wiped. */
static struct hak_mirror *present(void)
{
	struct hak_mirror *mirror = hak_load_acquire(&hak_mirror);

	return mirror && mirror->superslabs ? mirror : NULL;
}

/* Makes a sequence word odd. Returns false if it was. */
static bool begin(uint32_t *sequence)
{
	uint32_t before = hak_load_relaxed(sequence);

	if (before & 1)
		return false;
	hak_store_relaxed(sequence, before + 1);
	hak_fence_release();
	return true;
}

static void end(uint32_t *sequence)
{
	hak_store_release(sequence, hak_load_relaxed(sequence) + 1);
}

void hak_mirror_note(uint32_t index, unsigned bin)
{
	struct hak_mirror *mirror = present();

	if (!mirror)
		return;
	begin(&mirror->pool->sequence);
	mirror->bins |= 1ull << bin;
	if (index < mirror->superslab_count && begin(&mirror->superslabs[index].sequence))
		mirror->moving[mirror->moving_count++] = index;
}

static void store_slot(struct hak_mirror_slot *to, const struct hak_superslab *ss, unsigned place)
{
	const struct hak_slot *slot = &ss->slots[place];
	uint8_t state = (uint8_t)hak_ss_state(ss, place);
	bool active = state == HAK_SLOT_ACTIVE;
	bool unused = state == HAK_SLOT_UNUSED;
	bool first = slot->distance == 0;

	/* Of a slab that stays ACTIVE the depot stores `used`, and has perhaps a newer one. */
	if (hak_load_relaxed(&to->state) != state)
		hak_store_relaxed(&to->used, active && first ? hak_load_relaxed(&slot->used) : 0);
	hak_store_relaxed(&to->state, state);
	hak_store_relaxed(&to->class,
		(uint8_t)(unused || slot->bin == HAK_BIN_LARGE ? HAK_NO_CLASS : HAK_CLASS_OF_BIN(slot->bin)));
	hak_store_relaxed(&to->capacity, (uint16_t)(unused || !first ? 0 : slot->capacity));
	hak_store_relaxed(&to->span, unused || !first ? 0 : slot->span);
	hak_store_relaxed(&to->since_ms, slot->since_ms);
}

static void store_superslab(struct hak_mirror_superslab *to, uint32_t index)
{
	const struct hak_superslab *ss = hak_ss(index);

	hak_store_relaxed(&to->place, ss->place);
	hak_store_relaxed(&to->active_slots, (uint8_t)__builtin_popcount(ss->active));
	for (unsigned i = 0; i < HAK_SLOTS_PER_SS; i++)
		store_slot(&to->slots[i], ss, i);
}

static void store_class(struct hak_mirror_class *to, unsigned class)
{
	const struct hak_pool_kind *from = &hak_pool.kinds[class];

	hak_store_relaxed(&to->slabs, from->active_slabs);
	hak_store_relaxed(&to->empty_slots, from->empty_slots);
	hak_store_relaxed(&to->stage1, from->stage1);
	hak_store_relaxed(&to->stage2, from->stage2);
	hak_store_relaxed(&to->stage3, from->stage3);
	hak_store_relaxed(&to->converted, from->converted);
	hak_store_relaxed(&to->from_lru, from->from_lru);
	hak_store_relaxed(&to->free_list_peak, from->peak);
}

static void store_pool(struct hak_mirror_pool *to)
{
	uint64_t empty_slots = 0;

	for (unsigned kind = 0; kind < HAK_KIND_COUNT; kind++)
		empty_slots += hak_pool.kinds[kind].empty_slots;
	hak_store_relaxed(&to->empty_slots, empty_slots);
	hak_store_relaxed(&to->clock_ms, hak_os_clock_ms());
	hak_store_relaxed(&to->heap_base, hak_heap.base);
	hak_store_relaxed(&to->reserved_bytes, hak_arena_reserved_bytes());
	hak_store_relaxed(&to->committed_bytes, hak_arena_committed_bytes());
	hak_store_relaxed(&to->metadata_bytes, hak_arena_metadata_bytes());
	hak_store_relaxed(&to->superslabs_taken, hak_arena_taken());
	hak_store_relaxed(&to->superslabs_in_use, hak_pool.superslabs_in_use);
	hak_store_relaxed(&to->lru_length, hak_pool.lru_length);
	hak_store_relaxed(&to->large_slots, hak_pool.large_slots);
#define HAK_STAT(name, meaning) hak_store_relaxed(&to->stats.name, hak_stat_get(name));
#include "stats.def"
#undef HAK_STAT
}

void hak_mirror_settle(void)
{
	struct hak_mirror *mirror = present();

	if (!mirror || !(hak_load_relaxed(&mirror->pool->sequence) & 1))
		return;
	for (uint32_t i = 0; i < mirror->moving_count; i++) {
		struct hak_mirror_superslab *row = &mirror->superslabs[mirror->moving[i]];

		store_superslab(row, mirror->moving[i]);
		end(&row->sequence);
	}
	mirror->moving_count = 0;
	for (uint64_t bins = mirror->bins; bins; bins &= bins - 1) {
		unsigned bin = (unsigned)__builtin_ctzll(bins);

		if (bin != HAK_BIN_NONE && bin != HAK_BIN_LARGE)
			store_class(&mirror->classes[HAK_CLASS_OF_BIN(bin)], HAK_CLASS_OF_BIN(bin));
	}
	mirror->bins = 0;
	store_pool(mirror->pool);
	end(&mirror->pool->sequence);
}

void hak_mirror_store_used(uint32_t slab, uint16_t used)
{
	struct hak_mirror *mirror = present();

	if (mirror && slab / HAK_SLOTS_PER_SS < mirror->superslab_count)
		hak_store_relaxed(&mirror->superslabs[slab / HAK_SLOTS_PER_SS].slots[slab % HAK_SLOTS_PER_SS].used, used);
}

void hak_mirror_store_depot(unsigned class, uint64_t hits)
{
	struct hak_mirror *mirror = present();

	if (mirror)
		hak_store_relaxed(&mirror->classes[class].depot, hits);
}

void hak_mirror_fill(struct hak_mirror *mirror, uint64_t lru_capacity, uint64_t drain_interval)
{
	static uint32_t generations; /* under the pool's lock */

	mirror->generation = ++generations;
	mirror->pool->lru_capacity = lru_capacity;
	mirror->pool->drain_interval = drain_interval;
	mirror->threads[HAK_MIRROR_ROW_DEAD].kind = HAK_MIRROR_DEAD;
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		mirror->classes[class].block_bytes = hak_size_classes[class].block_bytes;
		mirror->classes[class].slots_per_slab = hak_size_classes[class].slots_per_slab;
	}
	/* From here on others may store into it. */
	hak_store_release(&hak_mirror, mirror);
	hak_mirror_note(HAK_NO_SUPERSLAB, HAK_BIN_NONE);
	for (uint32_t index = 0; index < hak_arena_taken() && index < mirror->superslab_count; index++)
		hak_mirror_note(index, HAK_BIN_NONE);
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++)
		mirror->bins |= 1ull << HAK_BIN_OF_CLASS(class);
	hak_mirror_settle();
}

uint32_t hak_mirror_generation(void)
{
	struct hak_mirror *mirror = present();

	return mirror ? mirror->generation : 0;
}

uint32_t hak_mirror_row(enum hak_mirror_row kind, int32_t tid)
{
	struct hak_mirror *mirror = present();

	for (uint32_t i = 1; mirror && i < mirror->thread_count; i++) {
		struct hak_mirror_thread *row = &mirror->threads[i];
		uint32_t expected = HAK_MIRROR_FREE;

		if (hak_load_relaxed(&row->kind) != HAK_MIRROR_FREE || !hak_cas_acquire_u32(&row->kind, &expected, kind))
			continue;
		hak_store_relaxed(&row->tid, tid);
		return i;
	}
	if (mirror)
		hak_add_relaxed(&mirror->pool->threads_beyond, 1);
	return UINT32_MAX;
}

void hak_mirror_store_counts(uint32_t row, unsigned bin, uint64_t allocs, uint64_t frees, uint64_t cached_blocks)
{
	struct hak_mirror *mirror = present();
	struct hak_mirror_counts *to;

	if (!mirror || row >= mirror->thread_count)
		return;
	to = &mirror->threads[row].bins[bin];
	hak_store_relaxed(&to->allocs, allocs);
	hak_store_relaxed(&to->frees, frees);
	hak_store_relaxed(&to->cached_blocks, cached_blocks);
}

void hak_mirror_free_row(uint32_t row)
{
	struct hak_mirror *mirror = present();

	if (!mirror || row >= mirror->thread_count)
		return;
	for (unsigned bin = 0; bin < HAK_BIN_COUNT; bin++)
		hak_mirror_store_counts(row, bin, 0, 0, 0);
	hak_store_release(&mirror->threads[row].kind, HAK_MIRROR_FREE); /* the next owner finds zeros */
}
