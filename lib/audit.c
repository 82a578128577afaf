#include "audit.h"

#include "cell.h"
#include "hakmem.h"
#include "inspect.h"
#include "shared_pool.h"
#include "thread.h"

#define CHECK(condition, text) \
	do { \
		if (!(condition)) \
			return (text); \
	} while (0)

/* ---- SuperSlabs ---- */

static const char *audit_slot(const struct hak_superslab *ss, uint32_t index, unsigned i)
{
	const struct hak_slot *slot = &ss->slots[i];
	uint8_t map = hak_heap.class_map[index * HAK_SLOTS_PER_SS + i];
	bool active = ss->active >> i & 1;
	bool unused = ss->unused >> i & 1;

	CHECK(map == hak_slot_map_bin(slot, active), "class map disagrees with a slot's record");
	CHECK(unused == (slot->bin == HAK_BIN_NONE), "a slot's bin disagrees with its state");
	if (unused)
		return NULL;
	if (slot->distance == 0) {
		CHECK(slot->span >= 1, "a slab's first slot has no span");
		CHECK(slot->bin == HAK_BIN_LARGE ||
				slot->span == hak_size_classes[HAK_CLASS_OF_BIN(slot->bin)].slots_per_slab,
			"a slab's span is not its class's");
		return NULL;
	}
	CHECK(slot->span == 0, "a slab's later slot has a span");
	if (slot->distance == HAK_DISTANCE_FAR)
		return NULL;
	CHECK(slot->distance <= i && ss->slots[i - slot->distance].distance == 0, "a slot's distance leads astray");
	CHECK(ss->slots[i - slot->distance].span > slot->distance, "a slot lies behind the slab it names");
	return NULL;
}

static const char *audit_superslab(uint32_t index)
{
	const struct hak_superslab *ss = hak_ss(index);
	unsigned counts[HAK_BIN_COUNT] = {0};
	const char *wrong;

	CHECK((ss->unused | ss->active | ss->empty) == ~0u, "a slot has no state");
	CHECK(!(ss->unused & ss->active) && !(ss->unused & ss->empty) && !(ss->active & ss->empty),
		"a slot has two states");
	CHECK((ss->place == HAK_PLACE_IN_USE) == (ss->active != 0), "a SuperSlab's place disagrees with its slots");
	CHECK(ss->place == HAK_PLACE_IN_USE || ss->unused == ~0u, "a SuperSlab out of use has slots in use");
	CHECK(!ss->away || (ss->place == HAK_PLACE_RETIRED && ss->zero == ~0u),
		"a SuperSlab is in use whose addresses were given back");
	for (unsigned i = 0; i < HAK_SLOTS_PER_SS; i++) {
		wrong = audit_slot(ss, index, i);
		if (wrong)
			return wrong;
		counts[ss->slots[i].bin]++;
	}
	for (unsigned bin = 1; bin < HAK_BIN_COUNT; bin++) {
		CHECK(counts[bin] == ss->class_slots[bin], "a SuperSlab's count of a class's slots is wrong");
		CHECK((ss->bins >> bin & 1) == (counts[bin] != 0), "a SuperSlab's classes are wrong");
	}
	return NULL;
}

const char *hak_audit_superslabs(void)
{
	const char *wrong = NULL;

	hak_lock_acquire(&hak_pool.lock);
	for (uint32_t index = 0; index < hak_arena_taken() && !wrong; index++)
		wrong = audit_superslab(index);
	hak_lock_release(&hak_pool.lock);
	return wrong;
}

/* ---- Sets ---- */

static bool has_unlisted(const struct hak_superslab *ss, unsigned class)
{
	for (unsigned i = 0; i < HAK_SLOTS_PER_SS; i++) {
		if ((ss->empty >> i & 1) && ss->slots[i].distance == 0 && ss->slots[i].kind == class &&
			!ss->slots[i].listed)
			return true;
	}
	return false;
}

static const char *audit_sets_of(uint32_t index)
{
	const struct hak_superslab *ss = hak_ss(index);
	unsigned longest = ss->place == HAK_PLACE_IN_USE ? hak_longest_run(ss->unused) : 0;

	CHECK(ss->longest_unused == longest, "a SuperSlab's longest UNUSED run is wrong");
	CHECK(hak_set_has(HAK_SET_LRU, index) == (ss->place == HAK_PLACE_LRU), "the LRU set is wrong");
	CHECK(hak_set_has(HAK_SET_RETIRED, index) == (ss->place == HAK_PLACE_RETIRED), "the retired set is wrong");
	for (unsigned n = 1; n <= HAK_LARGE_RUN_MAX; n++) {
		bool member = n < HAK_LARGE_RUN_MAX ? longest == n : longest >= n;

		CHECK(hak_set_has(HAK_SET_RUN + n - 1, index) == member, "a set of UNUSED runs is wrong");
	}
	for (unsigned bin = 1; bin < HAK_BIN_COUNT; bin++) {
		unsigned need = bin == HAK_BIN_LARGE ? 1 : hak_size_classes[HAK_CLASS_OF_BIN(bin)].slots_per_slab;

		CHECK(hak_set_has(HAK_SET_AFFINITY + bin, index) == (ss->class_slots[bin] && longest >= need),
			"an affinity set is wrong");
	}
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++)
		CHECK(hak_set_has(HAK_SET_EMPTY + class, index) == has_unlisted(ss, class),
			"a set of EMPTY slabs is wrong");
	return NULL;
}

const char *hak_audit_sets(void)
{
	const char *wrong = NULL;

	hak_lock_acquire(&hak_pool.lock);
	for (uint32_t index = 0; index < hak_arena_taken() && !wrong; index++)
		wrong = audit_sets_of(index);
	hak_lock_release(&hak_pool.lock);
	return wrong;
}

/* ---- The pool ---- */

struct pool_sums {
	uint32_t empty_slots[HAK_KIND_COUNT], active_slabs[HAK_KIND_COUNT], listed[HAK_KIND_COUNT];
	uint32_t empty_slabs, in_use, in_lru, large_runs, large_slots, large_empty;
};

static void sum_superslab(struct pool_sums *sums, const struct hak_superslab *ss)
{
	sums->in_use += ss->place == HAK_PLACE_IN_USE;
	sums->in_lru += ss->place == HAK_PLACE_LRU;
	for (unsigned i = 0; i < HAK_SLOTS_PER_SS; i++) {
		const struct hak_slot *slot = &ss->slots[i];

		if (slot->bin == HAK_BIN_NONE || slot->distance != 0)
			continue;
		if (ss->empty >> i & 1) {
			sums->empty_slabs++;
			sums->empty_slots[slot->kind] += slot->span;
			sums->listed[slot->kind] += slot->listed;
			sums->large_empty += slot->bin == HAK_BIN_LARGE ? slot->span : 0;
		} else {
			if (slot->bin != HAK_BIN_LARGE || hak_run_has_kind(i, slot->span))
				sums->active_slabs[slot->kind]++;
			sums->large_runs += slot->bin == HAK_BIN_LARGE;
			sums->large_slots += slot->bin == HAK_BIN_LARGE ? slot->span : 0;
		}
	}
}

static const char *audit_kind(unsigned kind, const struct pool_sums *sums)
{
	const struct hak_pool_kind *record = &hak_pool.kinds[kind];
	uint32_t length = 0, previous = HAK_NO_SLOT;

	CHECK(record->empty_slots == sums->empty_slots[kind], "a kind's count of EMPTY slots is wrong");
	CHECK(record->active_slabs == sums->active_slabs[kind], "a kind's count of ACTIVE slabs is wrong");
	for (uint32_t slab = record->head; slab != HAK_NO_SLOT; slab = hak_slot(slab)->next) {
		CHECK(hak_slot(slab)->listed == 1 && hak_slot(slab)->kind == kind,
			"a free list holds a slab of another kind");
		CHECK(hak_ss(slab / HAK_SLOTS_PER_SS)->empty >> (slab % HAK_SLOTS_PER_SS) & 1,
			"a free list holds a slab in use");
		CHECK(hak_slot(slab)->previous == previous, "a free list's links disagree");
		CHECK(++length <= record->count, "a free list is longer than its count");
		previous = slab;
	}
	CHECK(length == record->count && length == sums->listed[kind], "a free list's count is wrong");
	return NULL;
}

static const char *audit_pool_locked(void)
{
	static struct pool_sums sums; /* the pool's lock guards it; too large for a small stack */
	const char *wrong;
	uint32_t length = 0;

	sums = (struct pool_sums){0};
	for (uint32_t index = 0; index < hak_arena_taken(); index++)
		sum_superslab(&sums, hak_ss(index));
	for (unsigned kind = 0; kind < HAK_KIND_COUNT; kind++) {
		wrong = audit_kind(kind, &sums);
		if (wrong)
			return wrong;
	}
	for (uint32_t slab = hak_pool.age_oldest; slab != HAK_NO_SLOT; slab = hak_slot(slab)->age_next)
		CHECK(++length <= sums.empty_slabs, "the list by age is longer than there are EMPTY slabs");
	CHECK(length == sums.empty_slabs, "an EMPTY slab is missing from the list by age");
	length = 0;
	for (uint32_t index = hak_pool.lru_newest; index != HAK_NO_SUPERSLAB; index = hak_ss(index)->lru_next)
		CHECK(++length <= sums.in_lru, "the LRU cache is longer than it has SuperSlabs");
	CHECK(length == sums.in_lru && length == hak_pool.lru_length, "the LRU cache's length is wrong");
	CHECK(sums.in_use == hak_pool.superslabs_in_use, "the count of SuperSlabs in use is wrong");
	CHECK(sums.large_runs == hak_pool.large_allocs - hak_pool.large_frees, "the count of large runs is wrong");
	CHECK(sums.large_slots == hak_pool.large_slots, "the count of large slots is wrong");
	CHECK(sums.large_empty == hak_pool.large_empty_slots, "the count of EMPTY large slots is wrong");
	return NULL;
}

const char *hak_audit_pool(void)
{
	const char *wrong;

	hak_lock_acquire(&hak_pool.lock);
	wrong = audit_pool_locked();
	hak_lock_release(&hak_pool.lock);
	return wrong;
}

/* ---- Depots ---- */

static const char *audit_slab(unsigned class, uint32_t slab, uint64_t *handed_out, uint32_t *listed)
{
	const struct hak_slot *slot = hak_slot(slab);
	const uint64_t *bits = hak_block_bits(slab);
	unsigned set = 0;

	for (unsigned i = 0; i < (slot->capacity + 63u) / 64; i++) {
		set += (unsigned)__builtin_popcountll(bits[i]);
		CHECK(i >= slot->hint || !bits[i], "a slab's hint skips free blocks");
	}
	CHECK(slot->capacity == hak_size_classes[class].capacity, "a slab's capacity is not its class's");
	CHECK(slot->used + slot->free + (slot->capacity - slot->carved) == slot->capacity,
		"used + free + uncarved is not capacity");
	CHECK(set == slot->free, "a slab's bits disagree with its count of free blocks");
	CHECK(slot->used > 0, "an ACTIVE slab has no block handed out");
	if (slot->used == slot->capacity) {
		CHECK(slot->listed == 0, "a full slab is listed");
	} else {
		CHECK(slot->listed == 1u + slot->used * HAK_DEPOT_BUCKETS / slot->capacity,
			"a slab is in the wrong bucket");
		++*listed;
	}
	*handed_out += slot->used;
	return NULL;
}

static const char *audit_buckets(
	const uint32_t buckets[HAK_DEPOT_BUCKETS], enum hak_slot_blocks blocks, uint32_t listed, uint32_t *length)
{
	for (unsigned b = 0; b < HAK_DEPOT_BUCKETS; b++) {
		for (uint32_t slab = buckets[b]; slab != HAK_NO_SLOT; slab = hak_slot(slab)->next) {
			CHECK(hak_slot(slab)->listed == b + 1, "a bucket holds a slab that says otherwise");
			CHECK(hak_slot(slab)->sampled == blocks, "samples and guarded blocks lie in slabs of their own");
			CHECK(++*length <= listed, "the buckets hold more slabs than have room");
		}
	}
	return NULL;
}

static const char *audit_depot(unsigned class)
{
	const struct hak_depot *depot = &hak_depots[class];
	uint64_t handed_out = 0;
	uint32_t listed = 0, length = 0;
	const char *wrong;

	for (uint32_t slab = 0; slab < hak_arena_taken() * HAK_SLOTS_PER_SS; slab++) {
		const struct hak_superslab *ss = hak_ss(slab / HAK_SLOTS_PER_SS);

		if (!(ss->active >> (slab % HAK_SLOTS_PER_SS) & 1) || hak_slot(slab)->distance != 0 ||
			hak_slot(slab)->bin != HAK_BIN_OF_CLASS(class))
			continue;
		wrong = audit_slab(class, slab, &handed_out, &listed);
		if (wrong)
			return wrong;
	}
	wrong = audit_buckets(depot->buckets, HAK_SLOT_ORDINARY, listed, &length);
	if (!wrong && hak_sampled_slabs[class].ready)
		wrong = audit_buckets(hak_sampled_slabs[class].buckets, HAK_SLOT_SAMPLED, listed, &length);
	if (!wrong && hak_cell_is_begun())
		wrong = audit_buckets(hak_cell_buckets[class], HAK_SLOT_GUARDED, listed, &length);
	if (wrong)
		return wrong;
	CHECK(length == listed, "a slab with room is in no bucket");
	CHECK(handed_out == depot->handed_out, "a depot's count of blocks handed out is wrong");
	return NULL;
}

const char *hak_audit_depots(void)
{
	const char *wrong = NULL;

	for (unsigned class = 0; class < HAK_CLASS_COUNT && !wrong; class ++) {
		hak_lock_acquire(&hak_depots[class].lock);
		hak_lock_acquire(&hak_pool.lock);
		wrong = audit_depot(class);
		hak_lock_release(&hak_pool.lock);
		hak_lock_release(&hak_depots[class].lock);
	}
	return wrong;
}

/* ---- The balance ---- */

const char *hak_audit_balance(void)
{
	struct hak_inspect now = {.superslabs = NULL};

	hak_inspect(&now);
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		const struct hak_class_info *info = &now.classes[class];

		CHECK(info->allocs >= info->frees, "a class has more frees than allocations");
		CHECK(hak_depots[class].handed_out == info->live_blocks + info->cached_blocks,
			"blocks handed out are not live + cached");
	}
	CHECK(now.large_allocs >= now.large_frees, "there are more large frees than allocations");
	return NULL;
}

const char *hak_audit_all(void)
{
	static const char *(*const checkers[])(void) = {
		hak_audit_superslabs,
		hak_audit_sets,
		hak_audit_pool,
		hak_audit_depots,
		hak_audit_balance,
	};

	for (unsigned i = 0; i < HAK_COUNT_OF(checkers); i++) {
		const char *wrong = checkers[i]();

		if (wrong)
			return wrong;
	}
	return NULL;
}
