/* SP-SLOT's stages. Below it lie the slot operations (superslab.c), the lists of EMPTY slabs (empty_list.c) and the LRU
 * cache (lru.c); beside it, under the same lock, large allocations (large.c) and giving memory back (purge.c).
 * Everything that is static here runs with the pool's lock held. */
#include "shared_pool.h"

#include <errno.h>

#include "empty_list.h"
#include "lru.h"
#include "mirror.h"
#include "os.h"
#include "settings.h"
#include "stats.h"
#include "trace.h"

/* Idle EMPTY slabs that stage 2 looks at, oldest first, for one that can be converted: a bound, so that the search
 * doesn't grow with the heap. A slab of the class's own length is nearly always among the first. */
#define CONVERT_LOOKS 16

struct hak_pool hak_pool = {
	.lock = HAK_LOCK_INIT(HAK_RANK_POOL),
	.lru_newest = HAK_NO_SUPERSLAB,
	.lru_oldest = HAK_NO_SUPERSLAB,
	.age_oldest = HAK_NO_SLOT,
	.age_newest = HAK_NO_SLOT,
	.purge_next = HAK_NO_SLOT,
	.kinds = {[0 ... HAK_KIND_COUNT - 1] = {.head = HAK_NO_SLOT}},
};

static unsigned bin_of_kind(unsigned kind)
{
	return kind < HAK_CLASS_COUNT ? HAK_BIN_OF_CLASS(kind) : HAK_BIN_LARGE;
}

/* ---- SuperSlabs coming into use and leaving it ---- */

void hak_pool_enter_use(uint32_t index)
{
	hak_ss_set_place(index, HAK_PLACE_IN_USE);
	hak_pool.superslabs_in_use++;
}

void hak_pool_leave_if_idle(uint32_t index)
{
	struct hak_superslab *ss = hak_ss(index);

	if (ss->active)
		return;
	while (ss->empty)
		hak_empty_reset(index * HAK_SLOTS_PER_SS + (unsigned)__builtin_ctz(ss->empty));
	hak_pool.superslabs_in_use--;
	hak_lru_push(index);
}

/* The lowest retired SuperSlab whose address range is ours or can be had again. */
static uint32_t find_retired(void)
{
	bool space_is_out = false;
	uint32_t index;

	for (index = hak_set_next(HAK_SET_RETIRED, 0); index != HAK_NO_SUPERSLAB;
		index = hak_set_next(HAK_SET_RETIRED, index + 1)) {
		int error = hak_ss(index)->away && space_is_out ? ENOMEM : hak_arena_get_back(index, 1);

		if (!error)
			break;
		space_is_out |= error != EEXIST;
	}
	return index;
}

/* A SuperSlab out of use, all of whose slots are UNUSED. Its place is still to be set. */
static uint32_t superslab_new(bool *from_lru)
{
	uint32_t index = hak_pool.lru_newest; /* its pages are the likeliest to be still in memory */
	uint32_t skipped, skipped_count;

	*from_lru = index != HAK_NO_SUPERSLAB;
	if (*from_lru) {
		hak_lru_take(index);
		return index;
	}
	index = find_retired();
	if (index == HAK_NO_SUPERSLAB)
		index = hak_arena_take(1, HAK_SS_BYTES, &skipped, &skipped_count);
	if (index != HAK_NO_SUPERSLAB)
		hak_stat_add(superslabs_created, 1);
	return index;
}

/* ---- The three stages ---- */

/* The lowest UNUSED run of `slots` in a SuperSlab of the set. */
static uint32_t run_in_set(unsigned set, unsigned slots, unsigned alignment)
{
	uint32_t index = hak_set_next(set, 0);
	unsigned first;

	/* Nearly every member has a run that is long enough: an alignment can rule one out, and a large run in a
	 * SuperSlab of its own (HAKMEM_SS_SHARED=0). Then the next few are tried. */
	for (unsigned looks = 0; index != HAK_NO_SUPERSLAB && looks < CONVERT_LOOKS; looks++) {
		first = hak_find_run(hak_ss(index)->unused, slots, alignment);
		if (first < HAK_SLOTS_PER_SS)
			return index * HAK_SLOTS_PER_SS + first;
		index = hak_set_next(set, index + 1);
	}
	return HAK_NO_SLOT;
}

static uint32_t find_unused(unsigned bin, unsigned slots, unsigned alignment)
{
	uint32_t run = HAK_NO_SLOT;

	if ((hak_settings.ss_affinity && bin != HAK_BIN_LARGE) || !hak_settings.ss_shared)
		run = run_in_set(HAK_SET_AFFINITY + bin, slots, alignment);
	if (run != HAK_NO_SLOT || !hak_settings.ss_shared)
		return run;
	/* Best fit: the SuperSlab whose longest run is the shortest that will do, so that long runs stay whole for
	 * those who need them. */
	for (unsigned n = slots; n <= HAK_LARGE_RUN_MAX && run == HAK_NO_SLOT; n++)
		run = run_in_set(HAK_SET_RUN + n - 1, slots, alignment);
	return run;
}

uint32_t hak_pool_convertible(uint32_t index, uint32_t now, uint32_t idle_ms)
{
	const struct hak_superslab *ss = hak_ss(index);
	uint32_t mask = ss->unused;

	for (uint32_t left = ss->empty; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);

		if (now - ss->slots[i].since_ms >= idle_ms)
			mask |= 1u << i;
	}
	return mask;
}

/* Makes a run of convertible slots UNUSED. A slab that the run only touches loses all its slots: the rest become UNUSED
 * too, and as no list of idle memory leads to them any more, their pages go back now. Idle ones have usually been
 * purged before. */
static void convert(uint32_t index, unsigned first, unsigned slots)
{
	struct hak_superslab *ss = hak_ss(index);

	for (unsigned i = first; i < first + slots; i++) {
		uint32_t slab = index * HAK_SLOTS_PER_SS + i - ss->slots[i].distance;
		uint32_t rest;

		if (!(ss->empty >> i & 1))
			continue;
		rest = hak_slot_mask(hak_slot_place(slab), hak_slot(slab)->span) & ~hak_slot_mask(first, slots);
		hak_empty_reset(slab);
		for (rest &= ~ss->zero; rest; rest &= rest - 1)
			hak_ss_purge(index, (unsigned)__builtin_ctz(rest), 1);
	}
}

/* Finds a run by converting idle EMPTY slabs, looking at the `looks` oldest. *from is the class of the first slab
 * converted, or the large bin's number less one. With HAKMEM_SS_SHARED=0 classes never mix. */
static uint32_t find_convertible(unsigned slots, unsigned alignment, uint32_t idle_ms, unsigned looks, unsigned *from)
{
	uint32_t now = hak_os_clock_ms();
	uint32_t slab = hak_pool.age_oldest;

	if (!hak_settings.ss_shared)
		return HAK_NO_SLOT;
	for (; slab != HAK_NO_SLOT && looks; looks--, slab = hak_slot(slab)->age_next) {
		uint32_t index = hak_slot_ss(slab);
		unsigned first;

		if (now - hak_slot(slab)->since_ms < idle_ms)
			break; /* the rest are younger */
		first = hak_find_run(hak_pool_convertible(index, now, idle_ms), slots, alignment);
		if (first == HAK_SLOTS_PER_SS)
			continue;
		for (unsigned i = first; i < first + slots; i++) {
			if (hak_ss(index)->empty >> i & 1) {
				*from = HAK_CLASS_OF_BIN(hak_ss(index)->slots[i].bin);
				break;
			}
		}
		convert(index, first, slots);
		return index * HAK_SLOTS_PER_SS + first;
	}
	return HAK_NO_SLOT;
}

bool hak_pool_take_zero(uint32_t run, unsigned slots)
{
	uint32_t mask = hak_slot_mask(hak_slot_place(run), slots);
	struct hak_superslab *ss = hak_ss(hak_slot_ss(run));
	bool zero = (ss->zero & mask) == mask;

	ss->zero &= ~mask;
	return zero;
}

static uint32_t stage1(unsigned kind)
{
	uint32_t slab = hak_empty_find(kind);

	if (slab == HAK_NO_SLOT)
		return slab;
	hak_empty_remove(slab);
	hak_slots_reactivate(hak_slot_ss(slab), hak_slot_place(slab), hak_slot(slab)->span);
	hak_pool.kinds[kind].stage1++;
	if (kind < HAK_CLASS_COUNT)
		hak_trace_stage1(kind, hak_ss_address(hak_slot_ss(slab)), hak_slot_place(slab));
	return slab;
}

/* A run that conversion made, or HAK_NO_SLOT, becomes a slab of `kind`. */
static uint32_t take_converted(uint32_t run, unsigned kind, unsigned slots, unsigned from)
{
	if (run == HAK_NO_SLOT)
		return run;
	hak_pool.kinds[kind].stage2++;
	hak_pool.kinds[kind].converted++;
	if (kind < HAK_CLASS_COUNT)
		hak_trace_stage2_convert(kind, hak_ss_address(hak_slot_ss(run)), hak_slot_place(run), from);
	hak_slots_activate(hak_slot_ss(run), hak_slot_place(run), slots, bin_of_kind(kind));
	return run;
}

static uint32_t stage2(unsigned kind, unsigned slots, unsigned alignment)
{
	unsigned from = HAK_CLASS_COUNT;
	uint32_t run = find_unused(bin_of_kind(kind), slots, alignment);

	if (run == HAK_NO_SLOT) {
		uint32_t idle_ms = (uint32_t)hak_load_relaxed(&hak_settings.purge_delay_ms);

		run = find_convertible(slots, alignment, idle_ms, CONVERT_LOOKS, &from);
		return take_converted(run, kind, slots, from);
	}
	hak_pool.kinds[kind].stage2++;
	if (kind < HAK_CLASS_COUNT)
		hak_trace_stage2(kind, hak_ss_address(hak_slot_ss(run)), hak_slot_place(run));
	hak_slots_activate(hak_slot_ss(run), hak_slot_place(run), slots, bin_of_kind(kind));
	return run;
}

static uint32_t stage3(unsigned kind, unsigned slots)
{
	bool from_lru;
	uint32_t index = superslab_new(&from_lru);

	if (index == HAK_NO_SUPERSLAB)
		return HAK_NO_SLOT;
	hak_pool_enter_use(index);
	hak_slots_activate(index, 0, slots, bin_of_kind(kind));
	hak_pool.kinds[kind].stage3++;
	hak_pool.kinds[kind].from_lru += from_lru;
	if (kind < HAK_CLASS_COUNT)
		hak_trace_stage3(kind, hak_ss_address(index), from_lru);
	return index * HAK_SLOTS_PER_SS;
}

/* When no SuperSlab is to be had, EMPTY slots of any age and class are better than no memory. */
static uint32_t last_resort(unsigned kind, unsigned slots, unsigned alignment)
{
	unsigned from = HAK_CLASS_COUNT;
	uint32_t run = find_convertible(slots, alignment, 0, UINT32_MAX, &from);

	return take_converted(run, kind, slots, from);
}

uint32_t hak_pool_acquire(unsigned kind, unsigned slots, unsigned alignment)
{
	uint32_t slab = alignment == 1 ? stage1(kind) : HAK_NO_SLOT;

	if (slab == HAK_NO_SLOT)
		slab = stage2(kind, slots, alignment);
	if (slab == HAK_NO_SLOT)
		slab = stage3(kind, slots);
	if (slab == HAK_NO_SLOT)
		slab = last_resort(kind, slots, alignment);
	if (slab != HAK_NO_SLOT) {
		hak_slot(slab)->kind = (uint8_t)kind;
		hak_pool.kinds[kind].active_slabs++;
	}
	return slab;
}

uint32_t hak_pool_acquire_slab(unsigned class)
{
	const struct hak_size_class *size = &hak_size_classes[class];
	uint32_t slab;

	hak_lock_acquire(&hak_pool.lock);
	slab = hak_pool_acquire(class, size->slots_per_slab, 1);
	if (slab != HAK_NO_SLOT) {
		struct hak_slot *slot = hak_slot(slab);

		hak_pool_take_zero(slab, slot->span);
		slot->capacity = (uint16_t)size->capacity;
		slot->carved = slot->used = slot->free = slot->hint = 0;
		slot->listed = 0;
	}
	hak_pool_unlock();
	return slab;
}

void hak_pool_release_slab(uint32_t slab, enum hak_release_cause cause)
{
	struct hak_slot *slot = hak_slot(slab);
	uint64_t *bits = hak_block_bits(slab);
	uint32_t index = hak_slot_ss(slab);

	/* Only an ACTIVE slab has block bits: so a new one finds none, without touching the page they are on. */
	for (unsigned i = 0; i < (slot->carved + 63u) / 64; i++)
		bits[i] = 0;
	hak_lock_acquire(&hak_pool.lock);
	hak_stat_add(releases, 1);
	hak_trace_release(hak_ss_address(index), hak_slot_place(slab), slot->kind, slot->used, cause);
	hak_pool.kinds[slot->kind].active_slabs--;
	if (HAK_UNLIKELY(slot->sampled))
		hak_slots_sample(index, hak_slot_place(slab), slot->span, HAK_SLOT_ORDINARY);
	hak_slots_empty(index, hak_slot_place(slab), slot->span);
	hak_empty_insert(slab);
	hak_pool_leave_if_idle(index);
	hak_pool_unlock();
}

void hak_pool_init(void)
{
	hak_lock_acquire(&hak_pool.lock);
	hak_store_relaxed(&hak_pool.next_purge_ms, hak_os_clock_ms());
	for (uint64_t i = 0; i < hak_settings.ss_prewarm && i < hak_settings.ss_lru; i++) {
		uint32_t skipped, skipped_count;
		uint32_t index = hak_arena_take(1, HAK_SS_BYTES, &skipped, &skipped_count);

		if (index == HAK_NO_SUPERSLAB)
			break;
		hak_stat_add(superslabs_created, 1);
		hak_lru_push(index);
	}
	hak_pool_unlock();
}
