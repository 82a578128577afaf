#include "large.h"

#include <errno.h>

#include "empty_list.h"
#include "lru.h"
#include "mirror.h"
#include "os.h"
#include "settings.h"
#include "shared_pool.h"
#include "stats.h"
#include "straddle.h"
#include "trace.h"

/* EMPTY large runs are kept for reuse up to this many slots (64 MiB) until the purge delay is over; beyond it a freed
 * run's pages go back at once. README.md has the figures. */
#define LARGE_EMPTY_MAX 1024

/* ---- Runs, with the pool's lock held ---- */

static void describe_run(uint32_t run, uint32_t slots)
{
	struct hak_slot *slot = hak_slot(run);

	slot->span = slots;
	slot->capacity = slot->used = slot->carved = 1;
	slot->free = 0;
	hak_pool.large_slots += slots;
}

/* EMPTY slots of large runs, on no list, become one EMPTY run. */
static void make_empty_run(uint32_t run, unsigned slots)
{
	hak_slots_form(hak_slot_ss(run), hak_slot_place(run), slots);
	hak_slot(run)->kind = (uint8_t)HAK_KIND_OF_RUN(slots);
	hak_slot(run)->capacity = 1;
	hak_empty_insert(run);
}

/* The first slot of the EMPTY large run that the slot at `place` belongs to, HAK_NO_SLOT if it belongs to none. */
static uint32_t empty_run_at(uint32_t index, unsigned place)
{
	const struct hak_superslab *ss = hak_ss(index);

	if (place >= HAK_SLOTS_PER_SS || !(ss->empty >> place & 1) || ss->slots[place].bin != HAK_BIN_LARGE)
		return HAK_NO_SLOT;
	return index * HAK_SLOTS_PER_SS + place - ss->slots[place].distance;
}

/* A run that has just become EMPTY, and is on no list yet, is joined with the EMPTY runs before and behind it, as far
 * as that makes no run longer than there are lists for: or memory would fall to pieces that serve only short runs. */
static void insert_joined(uint32_t run)
{
	uint32_t index = hak_slot_ss(run);
	unsigned span = hak_slot(run)->span;
	unsigned place = hak_slot_place(run); /* place - 1 is beyond the SuperSlab for the first slot */
	uint32_t neighbour = empty_run_at(index, place - 1);

	if (neighbour != HAK_NO_SLOT && span + hak_slot(neighbour)->span <= HAK_LARGE_RUN_MAX) {
		hak_empty_remove(neighbour);
		span += hak_slot(neighbour)->span;
		run = neighbour;
	}
	neighbour = empty_run_at(index, hak_slot_place(run) + span);
	if (neighbour != HAK_NO_SLOT && span + hak_slot(neighbour)->span <= HAK_LARGE_RUN_MAX) {
		hak_empty_remove(neighbour);
		span += hak_slot(neighbour)->span;
	}
	make_empty_run(run, span);
}

/* A longer EMPTY run than asked for is cut. The rest becomes an EMPTY run of its own, not UNUSED slots: it has pages,
 * and only EMPTY slabs are followed by age until those go back. */
static uint32_t cut_empty_run(unsigned slots)
{
	for (unsigned n = slots + 1; n <= HAK_LARGE_RUN_MAX; n++) {
		uint32_t run = hak_pool.kinds[HAK_KIND_OF_RUN(n)].head;

		if (run == HAK_NO_SLOT)
			continue;
		hak_empty_remove(run);
		hak_slots_form(hak_slot_ss(run), hak_slot_place(run), slots);
		hak_slots_reactivate(hak_slot_ss(run), hak_slot_place(run), slots);
		hak_slot(run)->kind = (uint8_t)HAK_KIND_OF_RUN(slots);
		hak_pool.kinds[HAK_KIND_OF_RUN(slots)].active_slabs++;
		make_empty_run(run + slots, n - slots);
		return run;
	}
	return HAK_NO_SLOT;
}

/* Takes `count` UNUSED slots of one SuperSlab, in use or idle, from slot number `slot` on, for the run that starts at
 * `run`. Returns whether they were zero. */
static bool claim(uint32_t run, uint32_t slot, unsigned count)
{
	uint32_t index = hak_slot_ss(slot);
	unsigned first = hak_slot_place(slot);
	struct hak_superslab *ss = hak_ss(index);

	if (ss->place == HAK_PLACE_LRU)
		hak_lru_take(index);
	else if (ss->place != HAK_PLACE_IN_USE)
		hak_stat_add(superslabs_created, 1);
	if (ss->place != HAK_PLACE_IN_USE)
		hak_pool_enter_use(index);
	hak_slots_activate(index, first, count, HAK_BIN_LARGE);
	if (slot == run)
		return hak_pool_take_zero(slot, count);
	ss->slots[first].span = 0;
	for (unsigned i = first; i < first + count; i++)
		ss->slots[i].distance = index == hak_slot_ss(run) ? (uint8_t)(i - hak_slot_place(run))
								  : HAK_DISTANCE_FAR;
	return hak_pool_take_zero(slot, count);
}

/* The same of slots that may lie in several SuperSlabs. */
static bool claim_all(uint32_t run, uint32_t slot, uint32_t count)
{
	bool zero = true;

	while (count) {
		unsigned part = HAK_SLOTS_PER_SS - hak_slot_place(slot);

		part = part < count ? part : count;
		zero &= claim(run, slot, part);
		slot += part;
		count -= part;
	}
	return zero;
}

static bool is_zero(uint32_t slot)
{
	return hak_ss(hak_slot_ss(slot))->zero >> hak_slot_place(slot) & 1;
}

/* Where most of a run that is to be taken is zero, the rest is made so: else calloc would write to all of it. */
static void purge_few(uint32_t run, uint32_t slots)
{
	uint32_t end = run + slots;
	uint32_t dirty = 0;

	for (uint32_t slot = run; slot < end; slot++)
		dirty += !is_zero(slot);
	if (dirty > slots / 4)
		return;
	for (uint32_t slot = run; slot < end;) {
		unsigned count = 0;

		while (slot + count < end && !is_zero(slot + count) && hak_slot_ss(slot + count) == hak_slot_ss(slot))
			count++;
		if (count)
			hak_ss_purge(hak_slot_ss(slot), hak_slot_place(slot), count);
		slot += count ? count : 1;
	}
}

static uint32_t acquire_straddling(uint32_t slots, bool *zero)
{
	uint32_t run = hak_straddle_find(slots);

	if (run == HAK_NO_SLOT)
		return run;
	purge_few(run, slots);
	*zero = claim_all(run, run, slots);
	if (hak_run_has_kind(hak_slot_place(run), slots)) {
		hak_slot(run)->kind = (uint8_t)HAK_KIND_OF_RUN(slots);
		hak_pool.kinds[HAK_KIND_OF_RUN(slots)].active_slabs++;
	}
	describe_run(run, slots);
	return run;
}

/* All EMPTY slots become UNUSED, when memory is out otherwise. Returns whether there were any. */
static bool reset_empty(void)
{
	bool any = hak_pool.age_oldest != HAK_NO_SLOT;

	while (hak_pool.age_oldest != HAK_NO_SLOT) {
		uint32_t slab = hak_pool.age_oldest;
		unsigned span = hak_slot(slab)->span;

		hak_empty_reset(slab);
		hak_ss_purge(hak_slot_ss(slab), hak_slot_place(slab), span);
	}
	return any;
}

/* Runs of up to this many slots fill SuperSlabs well enough without going over their borders. */
#define SOLID_SLOTS 4

static uint32_t acquire_run(unsigned slots, size_t alignment, bool *zero)
{
	unsigned kind = HAK_KIND_OF_RUN(slots);
	unsigned align_slots = alignment > HAK_SLOT_BYTES ? (unsigned)(alignment >> HAK_SLOT_SHIFT) : 1;
	uint32_t run = HAK_NO_SLOT;

	/* A freed run of another length is preferred to fresh slots: its pages are there already. */
	if (align_slots == 1 && hak_pool.kinds[kind].head == HAK_NO_SLOT)
		run = cut_empty_run(slots);
	if (run == HAK_NO_SLOT && slots > SOLID_SLOTS && align_slots == 1 &&
		hak_pool.kinds[kind].head == HAK_NO_SLOT && hak_straddle_wanted()) {
		run = acquire_straddling(slots, zero);
		if (run != HAK_NO_SLOT)
			return run;
	}
	if (run == HAK_NO_SLOT)
		run = hak_pool_acquire(kind, slots, align_slots);
	if (run == HAK_NO_SLOT)
		return run;
	describe_run(run, slots);
	*zero = hak_pool_take_zero(run, slots);
	return run;
}

/* SuperSlabs that alignment skipped: nothing was ever stored there, so they wait among the retired. */
static void retire_skipped(uint32_t first, uint32_t count)
{
	if (count)
		hak_arena_give_back(first, count);
	for (uint32_t i = 0; i < count; i++)
		hak_ss_set_place(first + i, HAK_PLACE_RETIRED);
}

/* The lowest idle SuperSlab at or above `from`, HAK_NO_SUPERSLAB if there is none. */
static uint32_t next_idle(uint32_t from)
{
	uint32_t lru = hak_set_next(HAK_SET_LRU, from);
	uint32_t retired = hak_set_next(HAK_SET_RETIRED, from);

	return lru < retired ? lru : retired;
}

/* Whether `count` idle SuperSlabs can be had. Once address space was found to be out, those without it are passed over.
 */
static bool can_be_had(uint32_t first, uint32_t count, bool *space_is_out)
{
	int error;

	for (uint32_t i = first; *space_is_out && i < first + count; i++) {
		if (hak_ss(i)->away)
			return false;
	}
	error = hak_arena_get_back(first, count);
	*space_is_out |= error && error != EEXIST;
	return !error;
}

/* `count` SuperSlabs side by side that are out of use, the first aligned; lowest first. Runs of idle ones are visited,
 * not SuperSlabs. All of them, because a heap that took new address space instead would pay for its records, and in the
 * end find none: some 50 ns each, 130 microseconds if every other SuperSlab of 10 GiB is idle. */
static uint32_t find_idle_superslabs(uint32_t count, size_t alignment)
{
	uint32_t align = (uint32_t)(alignment >> HAK_SS_SHIFT);
	uint32_t index = 0;
	bool space_is_out = false;

	while ((index = next_idle(index)) != HAK_NO_SUPERSLAB) {
		uint32_t end = hak_set_next_in_neither(HAK_SET_LRU, HAK_SET_RETIRED, index);
		uint32_t skip = (uint32_t)(-(hak_ss_address(index) >> HAK_SS_SHIFT)) & (align - 1);

		if (end - index < skip || end - index - skip < count) {
			index = end;
			continue;
		}
		index += skip;
		if (can_be_had(index, count, &space_is_out))
			return index;
		index++;
	}
	return HAK_NO_SUPERSLAB;
}

static uint32_t acquire_superslabs(uint32_t slots, size_t alignment, bool *zero)
{
	uint32_t count = (slots + HAK_SLOTS_PER_SS - 1) / HAK_SLOTS_PER_SS;
	uint32_t skipped, skipped_count;
	uint32_t index;

	if (alignment < HAK_SS_BYTES)
		alignment = HAK_SS_BYTES;
	index = find_idle_superslabs(count, alignment);
	if (index == HAK_NO_SUPERSLAB) {
		index = hak_arena_take(count, alignment, &skipped, &skipped_count);
		if (index == HAK_NO_SUPERSLAB)
			return HAK_NO_SLOT;
		retire_skipped(skipped, skipped_count);
	}
	*zero = claim_all(index * HAK_SLOTS_PER_SS, index * HAK_SLOTS_PER_SS, slots);
	describe_run(index * HAK_SLOTS_PER_SS, slots);
	return index * HAK_SLOTS_PER_SS;
}

/* SuperSlabs of a large allocation that leave use together are cached; more than half of what the cache holds would
 * push everything else out and cost a call each: they are retired, with one call. */
static bool too_many_to_cache(uint32_t count)
{
	return count > (hak_settings.ss_lru + 1) / 2;
}

/* Gives the pages of `count` SuperSlabs of a live run back, from `index` on. That takes long where there are many, 70
 * ms a GiB, so the pool's lock, which the caller holds, is given up for it. Meanwhile the run is marked as one that a
 * thread's cache holds, so that a second free of it is seen. (A child that is forked just then can't use its memory.)
 */
static bool purge_unlocked(uint32_t run, uint32_t index, uint32_t count)
{
	size_t bytes = (size_t)count << HAK_SS_SHIFT;
	bool purged;

	hak_slot(run)->free = 1;
	hak_pool_unlock();
	purged = hak_os_purge(hak_ss_address(index), bytes);
	hak_lock_acquire(&hak_pool.lock);
	hak_slot(run)->free = 0;
	hak_trace_purge(hak_ss_address(index), bytes, purged);
	return purged;
}

/* SuperSlabs `index` and on, the last `count` of a live run, leave use. Gives up the lock if they are many. */
static void leave_use_whole(uint32_t run, uint32_t index, uint32_t count)
{
	bool to_lru = !too_many_to_cache(count);
	bool purged = !to_lru && purge_unlocked(run, index, count);

	for (uint32_t i = index; i < index + count; i++) {
		hak_slots_reset(i, 0, HAK_SLOTS_PER_SS);
		hak_pool.superslabs_in_use--;
		if (purged)
			hak_ss(i)->zero = ~0u;
	}
	if (!to_lru)
		hak_arena_give_back(index, count);
	for (uint32_t i = index; i < index + count; i++) {
		if (to_lru)
			hak_lru_push(i);
		else
			hak_ss_set_place(i, HAK_PLACE_RETIRED);
	}
}

/* Part of a run, within one SuperSlab, becomes UNUSED. Its pages go back, or an idle SuperSlab is followed by age. */
static void drop_slots(uint32_t slot, unsigned count)
{
	uint32_t index = hak_slot_ss(slot);

	hak_slots_reset(index, hak_slot_place(slot), count);
	if (hak_ss(index)->active)
		hak_ss_purge(index, hak_slot_place(slot), count);
	else
		hak_pool_leave_if_idle(index);
}

/* The last `count` slots of a live run, all of it perhaps, leave use. Gives up the lock if they are many. */
static void leave_use(uint32_t run, uint32_t count)
{
	uint32_t end = run + hak_slot(run)->span;
	uint32_t from = end - count;
	uint32_t whole = (from + HAK_SLOTS_PER_SS - 1) / HAK_SLOTS_PER_SS;
	uint32_t whole_end = end / HAK_SLOTS_PER_SS;

	/* First, for the run's own record is needed for it. */
	if (whole < whole_end)
		leave_use_whole(run, whole, whole_end - whole);
	if (hak_slot_place(end) && whole <= whole_end)
		drop_slots(whole_end * HAK_SLOTS_PER_SS, hak_slot_place(end));
	if (hak_slot_place(from))
		drop_slots(from, whole <= whole_end ? HAK_SLOTS_PER_SS - hak_slot_place(from) : count);
}

static void release_run(uint32_t run)
{
	struct hak_slot *slot = hak_slot(run);
	uint32_t index = hak_slot_ss(run);
	uint32_t span = slot->span;

	hak_stat_add(releases, 1);
	if (!hak_run_has_kind(hak_slot_place(run), span)) {
		leave_use(run, span);
		hak_pool.large_slots -= span;
		return;
	}
	hak_pool.large_slots -= span;
	slot->used = 0;
	hak_pool.kinds[slot->kind].active_slabs--;
	hak_slots_empty(index, hak_slot_place(run), span);
	if (hak_pool.large_empty_slots + span > LARGE_EMPTY_MAX) {
		drop_slots(run, span);
	} else {
		insert_joined(run);
		hak_pool_leave_if_idle(index);
	}
}

/* A run gets another length, and is counted under the kind of it, if it has one. */
static void rename_run(uint32_t run, uint32_t slots)
{
	struct hak_slot *slot = hak_slot(run);

	if (hak_run_has_kind(hak_slot_place(run), slot->span))
		hak_pool.kinds[HAK_KIND_OF_RUN(slot->span)].active_slabs--;
	if (hak_run_has_kind(hak_slot_place(run), slots)) {
		slot->kind = (uint8_t)HAK_KIND_OF_RUN(slots);
		hak_pool.kinds[slot->kind].active_slabs++;
	}
	slot->span = slots;
}

/* What is longer than a SuperSlab stays a number of whole ones, unless that would waste what is scarce. */
static void shrink_run(uint32_t run, uint32_t slots)
{
	uint32_t span = hak_slot(run)->span;

	if (slots > HAK_SLOTS_PER_SS && !hak_straddle_wanted())
		slots = (uint32_t)hak_align_up(slots, HAK_SLOTS_PER_SS);
	if (slots >= span)
		return;
	leave_use(run, span - slots);
	hak_pool.large_slots -= span - slots;
	rename_run(run, slots);
}

static bool extend_within(uint32_t run, uint32_t slots)
{
	struct hak_slot *slot = hak_slot(run);
	uint32_t index = hak_slot_ss(run);
	unsigned end = hak_slot_place(run) + slot->span;
	unsigned more = slots - slot->span;
	struct hak_superslab *ss = hak_ss(index);
	uint32_t behind = empty_run_at(index, end);
	unsigned behind_span = behind == HAK_NO_SLOT ? 0 : hak_slot(behind)->span;
	unsigned taken = more < behind_span ? more : behind_span;
	uint32_t mask;

	if (more > HAK_SLOTS_PER_SS - end)
		return false;
	mask = hak_slot_mask(end + taken, more - taken);
	if ((ss->unused & mask) != mask)
		return false;
	if (behind_span) {
		hak_empty_remove(behind);
		hak_slots_reset(index, end, taken);
		if (taken < behind_span)
			make_empty_run(behind + taken, behind_span - taken);
	}
	hak_pool_take_zero(index * HAK_SLOTS_PER_SS + end, more);
	hak_slots_activate(index, end, more, HAK_BIN_LARGE);
	for (unsigned i = end; i < end + more; i++)
		ss->slots[i].distance = (uint8_t)(i - hak_slot_place(run));
	ss->slots[end].span = 0;
	hak_pool.large_slots += more;
	rename_run(run, slots);
	return true;
}

static bool extend_straddling(uint32_t run, uint32_t slots)
{
	uint32_t span = hak_slot(run)->span;

	if (hak_slot_place(run) + slots <= HAK_SLOTS_PER_SS && extend_within(run, slots))
		return true;
	if (!hak_straddle_clear(run + span, slots - span) || !hak_straddle_reach(run + span, slots - span))
		return false;
	claim_all(run, run + span, slots - span);
	hak_pool.large_slots += slots - span;
	rename_run(run, slots);
	return true;
}

static bool extend_run(uint32_t run, uint32_t slots)
{
	struct hak_slot *slot = hak_slot(run);
	uint32_t have = slot->span / HAK_SLOTS_PER_SS;
	uint32_t want = (slots + HAK_SLOTS_PER_SS - 1) / HAK_SLOTS_PER_SS;
	uint32_t next = hak_slot_ss(run) + have;
	uint32_t free = 0;
	uint32_t skipped, skipped_count;

	if (hak_straddle_wanted())
		return extend_straddling(run, slots);
	if (slot->span % HAK_SLOTS_PER_SS != 0)
		return extend_within(run, slots);
	while (free < want - have && next + free < hak_arena_taken() &&
		(hak_set_has(HAK_SET_LRU, next + free) || hak_set_has(HAK_SET_RETIRED, next + free)))
		free++;
	if (free < want - have) {
		/* Fresh ones follow only if nothing in use lies between. */
		if (next + free != hak_arena_taken())
			return false;
		if (hak_arena_get_back(next, free) != 0)
			return false;
		if (hak_arena_take(want - have - free, HAK_SS_BYTES, &skipped, &skipped_count) == HAK_NO_SUPERSLAB) {
			hak_arena_give_back_retired(next, free);
			return false;
		}
	} else if (hak_arena_get_back(next, free) != 0) {
		return false;
	}
	claim_all(run, next * HAK_SLOTS_PER_SS, (want - have) * HAK_SLOTS_PER_SS);
	hak_pool.large_slots += (want - have) * HAK_SLOTS_PER_SS;
	slot->span = want * HAK_SLOTS_PER_SS;
	return true;
}

static uint32_t acquire(size_t slots, size_t alignment, bool *zero)
{
	uint32_t run;

	if (slots <= HAK_LARGE_RUN_MAX && alignment <= HAK_SS_BYTES / 2)
		return acquire_run((unsigned)slots, alignment, zero);
	if (alignment > HAK_SLOT_BYTES || !hak_straddle_wanted())
		return acquire_superslabs((uint32_t)hak_align_up(slots, HAK_SLOTS_PER_SS), alignment, zero);
	run = acquire_straddling((uint32_t)slots, zero);
	if (run == HAK_NO_SLOT && slots <= (size_t)hak_arena_extent() * HAK_SLOTS_PER_SS && reset_empty())
		run = acquire_straddling((uint32_t)slots, zero);
	return run;
}

/* ---- Blocks ---- */

void *hak_large_alloc(size_t bytes, size_t alignment, bool *zero)
{
	size_t slots = bytes ? hak_large_slots(bytes) : 1;
	uint32_t run;
	void *block = NULL;

	if (bytes > HAK_MAX_REQUEST || alignment > HAK_MAX_REQUEST || slots > HAK_NO_SLOT - 2 * HAK_SLOTS_PER_SS)
		return NULL;
	hak_lock_acquire(&hak_pool.lock);
	run = acquire(slots, alignment, zero);
	if (run != HAK_NO_SLOT) {
		block = (void *)hak_slot_address(run);
		hak_pool.large_allocs++;
		hak_trace_large_alloc((uintptr_t)block, bytes, hak_slot(run)->span);
	}
	hak_pool_unlock();
	return block;
}

bool hak_large_free(void *block)
{
	uint32_t run;

	hak_lock_acquire(&hak_pool.lock);
	run = hak_large_find(block);
	if (run != HAK_NO_SLOT) {
		hak_trace_large_free((uintptr_t)block, hak_slot(run)->span);
		release_run(run);
		hak_pool.large_frees++;
	}
	hak_pool_unlock();
	return run != HAK_NO_SLOT;
}

bool hak_large_resize(void *block, size_t bytes)
{
	size_t slots = hak_large_slots(bytes);
	uint32_t run = hak_large_find(block);
	bool ok = false;

	if (run != HAK_NO_SLOT && hak_slot(run)->span == slots)
		return true;
	hak_lock_acquire(&hak_pool.lock);
	run = hak_large_find(block);
	if (run != HAK_NO_SLOT) {
		uint32_t span = hak_slot(run)->span;

		ok = true;
		if (slots < span)
			shrink_run(run, (uint32_t)slots);
		else if (slots > span)
			ok = slots < HAK_NO_SLOT / 2 && extend_run(run, (uint32_t)slots);
		/* Its first SuperSlab may have changed by nothing but this. */
		hak_mirror_moves(hak_slot_ss(run), HAK_BIN_LARGE);
		if (hak_slot(run)->span != span) {
			hak_ss_touch(hak_slot_ss(run));
			hak_trace_large_resize((uintptr_t)block, span, hak_slot(run)->span);
		}
	}
	hak_pool_unlock();
	return ok;
}
