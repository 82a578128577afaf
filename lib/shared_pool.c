/* SP-SLOT. The file's sections, bottom up: lists of EMPTY slabs, the LRU cache, making SuperSlabs, the three stages, large runs,
 * purging. Everything that is static here runs with the pool's lock held. */
#include "shared_pool.h"

#include "os.h"
#include "settings.h"
#include "stats.h"
#include "trace.h"

/* Idle EMPTY slabs that stage 2 looks at, oldest first, for one that can be converted: a bound, so that the search doesn't grow with the
 * heap. A slab of the class's own length is nearly always among the first. */
#define CONVERT_LOOKS 16

/* EMPTY large runs are kept for reuse up to this many slots (16 MiB); beyond it a freed run's pages go back at once. */
#define LARGE_EMPTY_MAX 256

#define SPAN_FIRST(slot) ((slot) % HAK_SLOTS_PER_SS)
#define SS_OF(slot) ((slot) / HAK_SLOTS_PER_SS)

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

/* ---- Lists of EMPTY slabs: a free list per kind, and one of all by age ---- */

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

/* Whether SuperSlab `index` still has an EMPTY slab of `class` that is on no free list; keeps the set that finds it right. */
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

/* Enters an EMPTY slab in exactly one place: its kind's free list, or, when that is full, the set of SuperSlabs with unlisted ones. */
static void empty_insert(uint32_t slab)
{
	struct hak_slot *slot = hak_slot(slab);
	struct hak_pool_kind *kind = &hak_pool.kinds[slot->kind];
	uint32_t index = SS_OF(slab);

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
	hak_trace_freelist_overflow(slot->kind, hak_ss_address(index), SPAN_FIRST(slab));
}

/* Takes an EMPTY slab out of wherever it is. Its slots are still EMPTY. */
static void empty_remove(uint32_t slab)
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
	if (find_unlisted(SS_OF(slab), slot->kind) == HAK_NO_SLOT)
		hak_set_remove(HAK_SET_EMPTY + slot->kind, SS_OF(slab));
	slot->listed = 0;
}

/* Makes all slots of an EMPTY slab UNUSED. */
static void empty_reset(uint32_t slab)
{
	unsigned span = hak_slot(slab)->span;

	empty_remove(slab);
	hak_slots_reset(SS_OF(slab), SPAN_FIRST(slab), span);
}

/* ---- The LRU cache ---- */

static void lru_unlink(uint32_t index)
{
	struct hak_superslab *ss = hak_ss(index);

	if (ss->lru_previous == HAK_NO_SUPERSLAB)
		hak_pool.lru_newest = ss->lru_next;
	else
		hak_ss(ss->lru_previous)->lru_next = ss->lru_next;
	if (ss->lru_next == HAK_NO_SUPERSLAB)
		hak_pool.lru_oldest = ss->lru_previous;
	else
		hak_ss(ss->lru_next)->lru_previous = ss->lru_previous;
	hak_pool.lru_length--;
}

/* Asks the system to take the pages of some slots back. Only a successful call makes them count as zero: pages that a program locked
 * keep their contents. */
static bool purge_slots(uint32_t index, unsigned first, unsigned count)
{
	uintptr_t address = hak_slot_address(index * HAK_SLOTS_PER_SS + first);
	bool ok = hak_os_purge(address, count * HAK_SLOT_BYTES);

	if (ok)
		hak_ss(index)->zero |= hak_slot_mask(first, count);
	hak_trace_purge(address, count * HAK_SLOT_BYTES, ok);
	return ok;
}

static void retire(uint32_t index)
{
	if (hak_ss(index)->zero != ~0u)
		purge_slots(index, 0, HAK_SLOTS_PER_SS);
	hak_ss_set_place(index, HAK_PLACE_RETIRED);
}

static void lru_evict(uint32_t index, uint32_t now)
{
	uint32_t age = now - hak_ss(index)->since_ms;

	lru_unlink(index);
	hak_stat_add(lru_evictions, 1);
	hak_trace_lru_evict(hak_ss_address(index), age, hak_pool.lru_length, hak_settings.ss_lru);
	retire(index);
}

static void lru_push(uint32_t index)
{
	struct hak_superslab *ss = hak_ss(index);

	if (hak_settings.ss_lru == 0) {
		retire(index);
		return;
	}
	if (hak_pool.lru_length >= hak_settings.ss_lru)
		lru_evict(hak_pool.lru_oldest, hak_os_clock_ms());
	ss->lru_previous = HAK_NO_SUPERSLAB;
	ss->lru_next = hak_pool.lru_newest;
	if (hak_pool.lru_newest == HAK_NO_SUPERSLAB)
		hak_pool.lru_oldest = index;
	else
		hak_ss(hak_pool.lru_newest)->lru_previous = index;
	hak_pool.lru_newest = index;
	hak_pool.lru_length++;
	hak_ss_set_place(index, HAK_PLACE_LRU);
	hak_stat_add(lru_pushes, 1);
	hak_trace_lru_push(hak_ss_address(index), hak_pool.lru_length, hak_settings.ss_lru);
}

static void lru_take(uint32_t index)
{
	lru_unlink(index);
	hak_stat_add(lru_hits, 1);
	hak_trace_lru_pop(hak_ss_address(index), hak_pool.lru_length, hak_settings.ss_lru);
}

/* ---- SuperSlabs coming into use and leaving it ---- */

static void enter_use(uint32_t index)
{
	hak_ss_set_place(index, HAK_PLACE_IN_USE);
	hak_pool.superslabs_in_use++;
}

/* After a release: a SuperSlab without an ACTIVE slot leaves use. Its EMPTY slabs leave their lists and become UNUSED. */
static void leave_use_if_idle(uint32_t index)
{
	struct hak_superslab *ss = hak_ss(index);

	if (ss->active)
		return;
	while (ss->empty)
		empty_reset(index * HAK_SLOTS_PER_SS + (unsigned)__builtin_ctz(ss->empty));
	hak_pool.superslabs_in_use--;
	lru_push(index);
}

/* SuperSlabs that alignment skipped: nothing was ever stored there, so they wait among the retired. */
static void retire_skipped(uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		hak_ss_set_place(first + i, HAK_PLACE_RETIRED);
}

/* A SuperSlab out of use, all of whose slots are UNUSED. Its place is still to be set. */
static uint32_t superslab_new(bool *from_lru)
{
	uint32_t index = hak_pool.lru_newest; /* its pages are the likeliest to be still in memory */
	uint32_t skipped, skipped_count;

	*from_lru = index != HAK_NO_SUPERSLAB;
	if (*from_lru) {
		lru_take(index);
		return index;
	}
	index = hak_set_next(HAK_SET_RETIRED, 0);
	if (index == HAK_NO_SUPERSLAB)
		index = hak_arena_take(1, HAK_SS_BYTES, &skipped, &skipped_count);
	if (index != HAK_NO_SUPERSLAB)
		hak_stat_add(superslabs_created, 1);
	return index;
}

/* ---- The three stages ---- */

/* An EMPTY slab of `kind`: the one freed last, whose memory is the likeliest to be warm, or one that its free list had no room for. */
static uint32_t find_empty(unsigned kind)
{
	uint32_t slab = hak_pool.kinds[kind].head;
	uint32_t index;

	if (slab != HAK_NO_SLOT || kind >= HAK_CLASS_COUNT)
		return slab;
	index = hak_set_next(HAK_SET_EMPTY + kind, 0);
	return index == HAK_NO_SUPERSLAB ? HAK_NO_SLOT : find_unlisted(index, kind);
}

/* The lowest UNUSED run of `slots` in a SuperSlab of the set. */
static uint32_t run_in_set(unsigned set, unsigned slots, unsigned alignment)
{
	uint32_t index = hak_set_next(set, 0);
	unsigned first;

	/* Every member has a run that is long enough; only an alignment can rule one out, and then the next few are tried. */
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
	/* Best fit: the SuperSlab whose longest run is the shortest that will do, so that long runs stay whole for those who need them. */
	for (unsigned n = slots; n <= HAK_LARGE_RUN_MAX && run == HAK_NO_SLOT; n++)
		run = run_in_set(HAK_SET_RUN + n - 1, slots, alignment);
	return run;
}

/* Slots of SuperSlab `index` that could serve another class: the UNUSED ones, and the EMPTY ones that have been idle for `idle_ms`. */
static uint32_t convertible(uint32_t index, uint32_t now, uint32_t idle_ms)
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

/* Makes a run of convertible slots UNUSED. A slab that the run only touches loses all its slots: the rest become UNUSED too. */
static void convert(uint32_t index, unsigned first, unsigned slots)
{
	struct hak_superslab *ss = hak_ss(index);

	for (unsigned i = first; i < first + slots; i++) {
		if (ss->empty >> i & 1)
			empty_reset(index * HAK_SLOTS_PER_SS + i - ss->slots[i].distance);
	}
}

/* Finds a run by converting idle EMPTY slabs, looking at the `looks` oldest. *from is the class of the first slab converted, or the large
 * bin's number less one. With HAKMEM_SS_SHARED=0 classes never mix. */
static uint32_t find_convertible(unsigned slots, unsigned alignment, uint32_t idle_ms, unsigned looks, unsigned *from)
{
	uint32_t now = hak_os_clock_ms();
	uint32_t slab = hak_pool.age_oldest;

	if (!hak_settings.ss_shared)
		return HAK_NO_SLOT;
	for (; slab != HAK_NO_SLOT && looks; looks--, slab = hak_slot(slab)->age_next) {
		uint32_t index = SS_OF(slab);
		unsigned first;

		if (now - hak_slot(slab)->since_ms < idle_ms)
			break; /* the rest are younger */
		first = hak_find_run(convertible(index, now, idle_ms), slots, alignment);
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

/* Reads and clears the slots' "known to be zero". */
static bool take_zero(uint32_t run, unsigned slots)
{
	uint32_t mask = hak_slot_mask(SPAN_FIRST(run), slots);
	struct hak_superslab *ss = hak_ss(SS_OF(run));
	bool zero = (ss->zero & mask) == mask;

	ss->zero &= ~mask;
	return zero;
}

static uint32_t stage1(unsigned kind)
{
	uint32_t slab = find_empty(kind);

	if (slab == HAK_NO_SLOT)
		return slab;
	empty_remove(slab);
	hak_slots_reactivate(SS_OF(slab), SPAN_FIRST(slab), hak_slot(slab)->span);
	hak_pool.kinds[kind].stage1++;
	if (kind < HAK_CLASS_COUNT)
		hak_trace_stage1(kind, hak_ss_address(SS_OF(slab)), SPAN_FIRST(slab));
	return slab;
}

static uint32_t stage2(unsigned kind, unsigned slots, unsigned alignment)
{
	unsigned from = HAK_CLASS_COUNT;
	uint32_t run = find_unused(bin_of_kind(kind), slots, alignment);

	if (run == HAK_NO_SLOT) {
		run = find_convertible(slots, alignment, (uint32_t)hak_settings.purge_delay_ms, CONVERT_LOOKS, &from);
		if (run == HAK_NO_SLOT)
			return run;
		hak_pool.kinds[kind].converted++;
		if (kind < HAK_CLASS_COUNT)
			hak_trace_stage2_convert(kind, hak_ss_address(SS_OF(run)), SPAN_FIRST(run), from);
	} else if (kind < HAK_CLASS_COUNT) {
		hak_trace_stage2(kind, hak_ss_address(SS_OF(run)), SPAN_FIRST(run));
	}
	hak_pool.kinds[kind].stage2++;
	hak_slots_activate(SS_OF(run), SPAN_FIRST(run), slots, bin_of_kind(kind));
	return run;
}

static uint32_t stage3(unsigned kind, unsigned slots)
{
	bool from_lru;
	uint32_t index = superslab_new(&from_lru);

	if (index == HAK_NO_SUPERSLAB)
		return HAK_NO_SLOT;
	enter_use(index);
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

	if (run == HAK_NO_SLOT)
		return run;
	hak_pool.kinds[kind].stage2++;
	hak_pool.kinds[kind].converted++;
	if (kind < HAK_CLASS_COUNT)
		hak_trace_stage2_convert(kind, hak_ss_address(SS_OF(run)), SPAN_FIRST(run), from);
	hak_slots_activate(SS_OF(run), SPAN_FIRST(run), slots, bin_of_kind(kind));
	return run;
}

static uint32_t acquire(unsigned kind, unsigned slots, unsigned alignment)
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
	slab = acquire(class, size->slots_per_slab, 1);
	if (slab != HAK_NO_SLOT) {
		struct hak_slot *slot = hak_slot(slab);
		uint64_t *bits = hak_block_bits(slab);

		take_zero(slab, slot->span);
		slot->capacity = (uint16_t)size->capacity;
		slot->carved = slot->used = slot->free = slot->hint = 0;
		slot->listed = 0;
		for (unsigned i = 0; i < (size->capacity + 63) / 64; i++)
			bits[i] = 0;
	}
	hak_lock_release(&hak_pool.lock);
	return slab;
}

void hak_pool_release_slab(uint32_t slab, enum hak_release_cause cause)
{
	struct hak_slot *slot = hak_slot(slab);
	uint32_t index = SS_OF(slab);

	hak_lock_acquire(&hak_pool.lock);
	hak_stat_add(releases, 1);
	hak_trace_release(hak_ss_address(index), SPAN_FIRST(slab), slot->kind, slot->used, cause);
	hak_pool.kinds[slot->kind].active_slabs--;
	hak_slots_empty(index, SPAN_FIRST(slab), slot->span);
	empty_insert(slab);
	leave_use_if_idle(index);
	hak_lock_release(&hak_pool.lock);
}

/* ---- Large runs ---- */

static void describe_run(uint32_t run, uint32_t slots)
{
	struct hak_slot *slot = hak_slot(run);

	slot->span = slots;
	slot->capacity = slot->used = slot->carved = 1;
	hak_pool.large_slots += slots;
}

/* A longer EMPTY run than asked for is cut; its rest becomes UNUSED. */
static uint32_t cut_empty_run(unsigned slots)
{
	for (unsigned n = slots + 1; n <= HAK_LARGE_RUN_MAX; n++) {
		uint32_t run = hak_pool.kinds[HAK_KIND_OF_RUN(n)].head;

		if (run == HAK_NO_SLOT)
			continue;
		empty_reset(run);
		hak_slots_activate(SS_OF(run), SPAN_FIRST(run), slots, HAK_BIN_LARGE);
		hak_slot(run)->kind = (uint8_t)HAK_KIND_OF_RUN(slots);
		hak_pool.kinds[HAK_KIND_OF_RUN(slots)].active_slabs++;
		return run;
	}
	return HAK_NO_SLOT;
}

uint32_t hak_pool_acquire_run(unsigned slots, size_t alignment, bool *zero)
{
	unsigned kind = HAK_KIND_OF_RUN(slots);
	unsigned align_slots = alignment > HAK_SLOT_BYTES ? (unsigned)(alignment >> HAK_SLOT_SHIFT) : 1;
	uint32_t run = HAK_NO_SLOT;

	/* A freed run of another length is preferred to fresh slots: its pages are there already. */
	if (align_slots == 1 && hak_pool.kinds[kind].head == HAK_NO_SLOT)
		run = cut_empty_run(slots);
	if (run == HAK_NO_SLOT)
		run = acquire(kind, slots, align_slots);
	if (run == HAK_NO_SLOT)
		return run;
	describe_run(run, slots);
	*zero = take_zero(run, slots);
	return run;
}

/* `count` SuperSlabs side by side that are out of use, the first aligned; lowest first. Members of the sets are visited, not the heap. */
static uint32_t find_idle_superslabs(uint32_t count, size_t alignment)
{
	uint32_t start = 0, length = 0;
	uint32_t lru = hak_set_next(HAK_SET_LRU, 0);
	uint32_t retired = hak_set_next(HAK_SET_RETIRED, 0);

	while (lru != HAK_NO_SUPERSLAB || retired != HAK_NO_SUPERSLAB) {
		uint32_t index = lru < retired ? lru : retired;

		if (length == 0 || index != start + length) {
			start = index;
			length = 0;
		}
		if (length == 0 && (hak_ss_address(index) & (alignment - 1)) != 0)
			length = 0;
		else if (++length == count)
			return start;
		if (lru == index)
			lru = hak_set_next(HAK_SET_LRU, index + 1);
		else
			retired = hak_set_next(HAK_SET_RETIRED, index + 1);
	}
	return HAK_NO_SUPERSLAB;
}

/* Takes one idle SuperSlab into use for a large allocation; all its slots become ACTIVE. Returns whether it was zero. */
static bool claim_whole(uint32_t index, bool first)
{
	struct hak_superslab *ss = hak_ss(index);

	if (ss->place == HAK_PLACE_LRU)
		lru_take(index);
	else
		hak_stat_add(superslabs_created, 1);
	enter_use(index);
	hak_slots_activate(index, 0, HAK_SLOTS_PER_SS, HAK_BIN_LARGE);
	for (unsigned i = 0; i < HAK_SLOTS_PER_SS && !first; i++)
		ss->slots[i].distance = HAK_DISTANCE_FAR;
	if (!first)
		ss->slots[0].span = 0;
	return take_zero(index * HAK_SLOTS_PER_SS, HAK_SLOTS_PER_SS);
}

uint32_t hak_pool_acquire_superslabs(uint32_t count, uint32_t slots, size_t alignment, bool *zero)
{
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
	*zero = true;
	for (uint32_t i = 0; i < count; i++)
		*zero &= claim_whole(index + i, i == 0);
	describe_run(index * HAK_SLOTS_PER_SS, slots);
	return index * HAK_SLOTS_PER_SS;
}

/* SuperSlabs of a large allocation leave use. Many at once would push everything else out of the LRU cache and cost a call each: they
 * are retired together, with one call. */
static void leave_use_whole(uint32_t index, uint32_t count)
{
	bool to_lru = count <= (hak_settings.ss_lru + 1) / 2;
	bool purged = !to_lru && hak_os_purge(hak_ss_address(index), (size_t)count << HAK_SS_SHIFT);

	if (!to_lru)
		hak_trace_purge(hak_ss_address(index), (size_t)count << HAK_SS_SHIFT, purged);
	for (uint32_t i = index; i < index + count; i++) {
		hak_slots_reset(i, 0, HAK_SLOTS_PER_SS);
		hak_pool.superslabs_in_use--;
		if (purged)
			hak_ss(i)->zero = ~0u;
		if (to_lru)
			lru_push(i);
		else
			hak_ss_set_place(i, HAK_PLACE_RETIRED);
	}
}

/* The part of a run from slot `first` on, within one SuperSlab, becomes UNUSED, its pages given back. */
static void drop_slots(uint32_t index, unsigned first, unsigned count)
{
	hak_slots_reset(index, first, count);
	purge_slots(index, first, count);
}

void hak_pool_release_run(uint32_t run)
{
	struct hak_slot *slot = hak_slot(run);
	uint32_t index = SS_OF(run);
	uint32_t span = slot->span;

	hak_stat_add(releases, 1);
	hak_pool.large_slots -= span;
	slot->used = 0;
	if (span >= HAK_SLOTS_PER_SS) {
		leave_use_whole(index, span / HAK_SLOTS_PER_SS);
		return;
	}
	if (span > HAK_LARGE_RUN_MAX) {
		drop_slots(index, SPAN_FIRST(run), span);
	} else {
		hak_pool.kinds[slot->kind].active_slabs--;
		hak_slots_empty(index, SPAN_FIRST(run), span);
		empty_insert(run);
		if (hak_pool.large_empty_slots > LARGE_EMPTY_MAX) {
			empty_reset(run);
			purge_slots(index, SPAN_FIRST(run), span);
		}
	}
	leave_use_if_idle(index);
}

/* A run within a SuperSlab is counted under the kind of its length; one that outgrew half a SuperSlab under none. */
static void rename_run(uint32_t run, uint32_t slots)
{
	struct hak_slot *slot = hak_slot(run);

	if (slot->span <= HAK_LARGE_RUN_MAX)
		hak_pool.kinds[HAK_KIND_OF_RUN(slot->span)].active_slabs--;
	if (slots <= HAK_LARGE_RUN_MAX) {
		slot->kind = (uint8_t)HAK_KIND_OF_RUN(slots);
		hak_pool.kinds[slot->kind].active_slabs++;
	}
	slot->span = slots;
}

void hak_pool_shrink_run(uint32_t run, uint32_t slots)
{
	struct hak_slot *slot = hak_slot(run);
	uint32_t span = slot->span;
	uint32_t index = SS_OF(run);
	uint32_t keep = (slots + HAK_SLOTS_PER_SS - 1) / HAK_SLOTS_PER_SS;

	hak_pool.large_slots -= span - slots;
	if (span > HAK_SLOTS_PER_SS && keep < span / HAK_SLOTS_PER_SS)
		leave_use_whole(index + keep, span / HAK_SLOTS_PER_SS - keep);
	if (keep > 1) {
		hak_pool.large_slots += keep * HAK_SLOTS_PER_SS - slots;
		slot->span = keep * HAK_SLOTS_PER_SS;
		return;
	}
	if (span > HAK_SLOTS_PER_SS)
		slot->span = span = HAK_SLOTS_PER_SS;
	if (slots < span) {
		rename_run(run, slots);
		drop_slots(index, SPAN_FIRST(run) + slots, span - slots);
	}
}

static bool extend_within(uint32_t run, uint32_t slots)
{
	struct hak_slot *slot = hak_slot(run);
	uint32_t index = SS_OF(run);
	unsigned end = SPAN_FIRST(run) + slot->span;
	unsigned more = slots - slot->span;
	struct hak_superslab *ss = hak_ss(index);
	uint32_t mask = hak_slot_mask(end, more);

	if (end + more > HAK_SLOTS_PER_SS || (ss->unused & mask) != mask)
		return false;
	take_zero(index * HAK_SLOTS_PER_SS + end, more);
	hak_slots_activate(index, end, more, HAK_BIN_LARGE);
	for (unsigned i = end; i < end + more; i++)
		ss->slots[i].distance = (uint8_t)(i - SPAN_FIRST(run));
	ss->slots[end].span = 0;
	hak_pool.large_slots += more;
	rename_run(run, slots);
	return true;
}

bool hak_pool_extend_run(uint32_t run, uint32_t slots)
{
	struct hak_slot *slot = hak_slot(run);
	uint32_t have = slot->span / HAK_SLOTS_PER_SS;
	uint32_t want = (slots + HAK_SLOTS_PER_SS - 1) / HAK_SLOTS_PER_SS;
	uint32_t next = SS_OF(run) + have;
	uint32_t free = 0;
	uint32_t skipped, skipped_count;

	if (slot->span % HAK_SLOTS_PER_SS != 0)
		return extend_within(run, slots);
	while (free < want - have && next + free < hak_arena_taken() &&
	       (hak_set_has(HAK_SET_LRU, next + free) || hak_set_has(HAK_SET_RETIRED, next + free)))
		free++;
	if (free < want - have) {
		/* Fresh ones follow only if nothing in use lies between. */
		if (next + free != hak_arena_taken())
			return false;
		if (hak_arena_take(want - have - free, HAK_SS_BYTES, &skipped, &skipped_count) == HAK_NO_SUPERSLAB)
			return false;
	}
	for (uint32_t i = next; i < next + want - have; i++)
		claim_whole(i, false);
	hak_pool.large_slots += (want - have) * HAK_SLOTS_PER_SS;
	slot->span = want * HAK_SLOTS_PER_SS;
	return true;
}

/* ---- Giving memory back ---- */

/* Purges the slots of SuperSlab `index` that nobody uses, have pages, and have been idle for `idle_ms`; neighbours in one call each.
 * Returns the bytes purged, lowers *calls. */
static size_t purge_superslab(uint32_t index, uint32_t now, uint32_t idle_ms, unsigned *calls)
{
	uint32_t mask = convertible(index, now, idle_ms) & ~hak_ss(index)->zero;
	size_t bytes = 0;

	while (mask && *calls) {
		unsigned first = (unsigned)__builtin_ctz(mask);
		uint64_t rest = ~((uint64_t)mask >> first);
		unsigned count = (unsigned)__builtin_ctzll(rest);

		--*calls;
		if (purge_slots(index, first, count))
			bytes += count * HAK_SLOT_BYTES;
		mask &= ~hak_slot_mask(first, count);
	}
	return bytes;
}

static size_t purge_idle(uint32_t now, uint32_t idle_ms, unsigned *calls)
{
	size_t bytes = 0;

	/* Whole SuperSlabs first, the oldest first: they cost one call for 2 MiB, and no huge page is broken up. */
	for (uint32_t index = hak_pool.lru_oldest; index != HAK_NO_SUPERSLAB && *calls; index = hak_ss(index)->lru_previous) {
		if (now - hak_ss(index)->since_ms < idle_ms)
			break;
		if (hak_ss(index)->zero != ~0u)
			bytes += purge_superslab(index, now, idle_ms, calls);
	}
	while (hak_pool.purge_next != HAK_NO_SLOT && *calls) {
		uint32_t slab = hak_pool.purge_next;

		if (now - hak_slot(slab)->since_ms < idle_ms)
			break;
		bytes += purge_superslab(SS_OF(slab), now, idle_ms, calls);
		hak_pool.purge_next = hak_slot(slab)->age_next;
	}
	return bytes;
}

void hak_pool_purge_due(unsigned calls)
{
	uint32_t now = hak_os_clock_ms();
	uint32_t delay = (uint32_t)hak_settings.purge_delay_ms;

	if ((int32_t)(now - hak_load_relaxed(&hak_pool.next_purge_ms)) < 0)
		return;
	hak_lock_acquire(&hak_pool.lock);
	hak_store_relaxed(&hak_pool.next_purge_ms, now + delay / 4);
	while (hak_pool.lru_oldest != HAK_NO_SUPERSLAB && calls &&
	       now - hak_ss(hak_pool.lru_oldest)->since_ms >= hak_settings.ss_lru_age_ms) {
		calls -= hak_ss(hak_pool.lru_oldest)->zero != ~0u;
		lru_evict(hak_pool.lru_oldest, now);
	}
	purge_idle(now, delay, &calls);
	hak_lock_release(&hak_pool.lock);
}

size_t hak_pool_trim(void)
{
	uint32_t now = hak_os_clock_ms();
	uint64_t before;
	unsigned calls = UINT32_MAX;
	uint32_t index;

	hak_lock_acquire(&hak_pool.lock);
	before = hak_stat_get(purged_bytes);
	while (hak_pool.lru_oldest != HAK_NO_SUPERSLAB)
		lru_evict(hak_pool.lru_oldest, now);
	purge_idle(now, 0, &calls);
	/* UNUSED slots may have pages too: those that a conversion or a shrinking run left over. */
	for (unsigned n = 0; n < HAK_LARGE_RUN_MAX; n++) {
		for (index = hak_set_next(HAK_SET_RUN + n, 0); index != HAK_NO_SUPERSLAB; index = hak_set_next(HAK_SET_RUN + n, index + 1))
			purge_superslab(index, now, 0, &calls);
	}
	before = hak_stat_get(purged_bytes) - before;
	hak_lock_release(&hak_pool.lock);
	return (size_t)before;
}

void hak_pool_init(void)
{
	hak_lock_acquire(&hak_pool.lock);
	for (uint64_t i = 0; i < hak_settings.ss_prewarm && i < hak_settings.ss_lru; i++) {
		uint32_t skipped, skipped_count;
		uint32_t index = hak_arena_take(1, HAK_SS_BYTES, &skipped, &skipped_count);

		if (index == HAK_NO_SUPERSLAB)
			break;
		hak_stat_add(superslabs_created, 1);
		lru_push(index);
	}
	hak_lock_release(&hak_pool.lock);
}
