/* The checkers themselves: each finds the damage that it is there for, names it, and is content again when the damage is undone. */
#include "lib/audit.h"

#include "lib/depot.h"
#include "lib/hakmem.h"
#include "lib/inspect.h"
#include "lib/settings.h"
#include "lib/shared_pool.h"
#include "tests/unit/unit.h"

#define BLOCKS 3000

static void *small[BLOCKS];
static void *large;
static uint32_t partly_used, empty_listed, empty_unlisted, large_run; /* first slots of slabs in these conditions */
static uint32_t in_use, in_lru;                                        /* numbers of SuperSlabs in these places */

static struct hak_superslab *ss_of(uint32_t slab)
{
	return hak_ss(slab / HAK_SLOTS_PER_SS);
}

static uint32_t slab_of(const void *block)
{
	uint32_t slot = (uint32_t)hak_slot_of_address(block);
	return slot - hak_slot(slot)->distance;
}

/* Goes through all slots for slabs and SuperSlabs in the conditions that the damage below needs. */
static void find_examples(void)
{
	empty_listed = empty_unlisted = HAK_NO_SLOT;
	in_lru = HAK_NO_SUPERSLAB;
	for (uint32_t slot = 0; slot < hak_arena_taken() * HAK_SLOTS_PER_SS; slot++) {
		if (!(ss_of(slot)->empty >> slot % HAK_SLOTS_PER_SS & 1) || hak_slot(slot)->distance != 0)
			continue;
		if (hak_slot(slot)->listed)
			empty_listed = slot;
		else
			empty_unlisted = slot;
	}
	for (uint32_t index = 0; index < hak_arena_taken(); index++) {
		if (hak_ss(index)->place == HAK_PLACE_LRU)
			in_lru = index;
	}
	large_run = (uint32_t)hak_slot_of_address(large);
	in_use = large_run / HAK_SLOTS_PER_SS;
	partly_used = slab_of(small[BLOCKS - 2]);
}

/* A heap in which every condition occurs once at least. */
static void start(void)
{
	static bool started;
	if (started)
		return;
	started = true;
	hak_settings.ss_free_list = 2;
	hak_settings.purge_delay_ms = 86400000;
	hak_settings.ss_lru_age_ms = 86400000;
	large = hak_malloc(200000);
	void *passing = hak_malloc(2 << 20);
	hak_free(passing);
	for (int i = 0; i < BLOCKS; i++)
		small[i] = hak_malloc(900);
	void *slabs[64];
	for (int i = 0; i < 64; i++)
		slabs[i] = hak_malloc(32768);
	for (int i = 0; i < 64; i++)
		hak_free(slabs[i]);
	for (int i = 0; i < BLOCKS - 700; i++)
		hak_free(small[i]);
	for (int i = BLOCKS - 700; i < BLOCKS; i += 3)
		hak_free(small[i]);
	/* What is cached goes back to the slabs; the LRU cache stays as it is. */
	hak_inspect_request_drain();
	hak_depot_trim();
	void *again = hak_malloc(2 << 20);
	hak_free(again);
	find_examples();
}

static void the_heap_is_sound(void)
{
	start();
	CU_ASSERT_PTR_NULL(hak_audit_all());
	CU_ASSERT_TRUE_FATAL(empty_listed != HAK_NO_SLOT && empty_unlisted != HAK_NO_SLOT && in_lru != HAK_NO_SUPERSLAB);
	CU_ASSERT_TRUE_FATAL(hak_slot(partly_used)->free > 1 && hak_slot(partly_used)->listed != 0);
}

/* Sets `place` to `value` for a moment: `checker` must say `text`, and nothing once it is undone. */
#define DAMAGE(checker, place, value, text) \
	do { \
		__typeof__(place) *damaged_ = &(place); \
		__typeof__(place) saved_ = *damaged_; \
		*damaged_ = (__typeof__(place))(value); \
		const char *said_ = checker(); \
		const char *all_ = hak_audit_all(); \
		*damaged_ = saved_; \
		CU_ASSERT_PTR_NOT_NULL(all_); \
		UNIT_STRING(said_ != NULL ? said_ : "(nothing)", text); \
		CU_ASSERT_PTR_NULL(hak_audit_all()); \
	} while (0)

static void superslabs(void)
{
	start();
	struct hak_superslab *ss = ss_of(partly_used);
	struct hak_slot *slot = hak_slot(partly_used), *run = hak_slot(large_run);
	uint8_t *map = &hak_heap.class_map[partly_used];
	DAMAGE(hak_audit_superslabs, hak_ss(in_lru)->away, true, "a SuperSlab is in use whose addresses were given back");
	DAMAGE(hak_audit_superslabs, ss->active, ss->active & (ss->active - 1), "a slot has no state");
	DAMAGE(hak_audit_superslabs, ss->empty, ss->empty | 1u << partly_used % 32, "a slot has two states");
	DAMAGE(hak_audit_superslabs, ss->place, HAK_PLACE_RETIRED, "a SuperSlab's place disagrees with its slots");
	DAMAGE(hak_audit_superslabs, *map, *map + 1, "class map disagrees with a slot's record");
	DAMAGE(hak_audit_superslabs, *map, HAK_BIN_NONE, "class map disagrees with a slot's record");
	DAMAGE(hak_audit_superslabs, slot->span, 0, "a slab's first slot has no span");
	DAMAGE(hak_audit_superslabs, slot->span, 2, "a slab's span is not its class's");
	DAMAGE(hak_audit_superslabs, run[1].span, 1, "a slab's later slot has a span");
	DAMAGE(hak_audit_superslabs, run[1].distance, 2 + large_run % 32, "a slot's distance leads astray");
	DAMAGE(hak_audit_superslabs, run->span, 1, "a slot lies behind the slab it names");
	DAMAGE(hak_audit_superslabs, ss->class_slots[slot->bin], ss->class_slots[slot->bin] + 1,
		"a SuperSlab's count of a class's slots is wrong");
	DAMAGE(hak_audit_superslabs, ss->bins, ss->bins ^ 1ull << slot->bin, "a SuperSlab's classes are wrong");
}

static void sets(void)
{
	start();
	struct hak_superslab *ss = hak_ss(in_use);
	unsigned longest = ss->longest_unused;
	DAMAGE(hak_audit_sets, ss->longest_unused, longest + 1, "a SuperSlab's longest UNUSED run is wrong");
	uint64_t *words = hak_group(in_use / 64)->sets[0];
	uint64_t bit = 1ull << in_use % 64;
	DAMAGE(hak_audit_sets, words[HAK_SET_LRU], words[HAK_SET_LRU] ^ bit, "the LRU set is wrong");
	DAMAGE(hak_audit_sets, words[HAK_SET_RETIRED], words[HAK_SET_RETIRED] ^ bit, "the retired set is wrong");
	DAMAGE(hak_audit_sets, words[HAK_SET_RUN + 3], words[HAK_SET_RUN + 3] ^ bit, "a set of UNUSED runs is wrong");
	DAMAGE(hak_audit_sets, words[HAK_SET_AFFINITY + 1], words[HAK_SET_AFFINITY + 1] ^ bit, "an affinity set is wrong");
	DAMAGE(hak_audit_sets, words[HAK_SET_EMPTY + 1], words[HAK_SET_EMPTY + 1] ^ bit, "a set of EMPTY slabs is wrong");
}

static void pool(void)
{
	start();
	struct hak_slot *listed = hak_slot(empty_listed);
	struct hak_pool_kind *kind = &hak_pool.kinds[listed->kind];
	DAMAGE(hak_audit_pool, kind->empty_slots, kind->empty_slots + 1, "a kind's count of EMPTY slots is wrong");
	DAMAGE(hak_audit_pool, kind->active_slabs, kind->active_slabs + 1, "a kind's count of ACTIVE slabs is wrong");
	DAMAGE(hak_audit_pool, kind->count, kind->count - 1, "a free list is longer than its count");
	DAMAGE(hak_audit_pool, kind->count, kind->count + 1, "a free list's count is wrong");
	DAMAGE(hak_audit_pool, kind->head, HAK_NO_SLOT, "a free list's count is wrong");
	DAMAGE(hak_audit_pool, kind->head, partly_used, "a free list holds a slab of another kind");
	DAMAGE(hak_audit_pool, hak_slot(kind->head)->previous, 5, "a free list's links disagree");
	DAMAGE(hak_audit_pool, hak_pool.age_oldest, HAK_NO_SLOT, "an EMPTY slab is missing from the list by age");
	DAMAGE(hak_audit_pool, hak_slot(hak_pool.age_oldest)->age_next, hak_pool.age_oldest,
		"the list by age is longer than there are EMPTY slabs");
	DAMAGE(hak_audit_pool, hak_pool.lru_length, hak_pool.lru_length + 1, "the LRU cache's length is wrong");
	DAMAGE(hak_audit_pool, hak_pool.lru_newest, HAK_NO_SUPERSLAB, "the LRU cache's length is wrong");
	DAMAGE(hak_audit_pool, hak_ss(hak_pool.lru_oldest)->lru_next, hak_pool.lru_newest,
		"the LRU cache is longer than it has SuperSlabs");
	DAMAGE(hak_audit_pool, hak_pool.superslabs_in_use, hak_pool.superslabs_in_use + 1,
		"the count of SuperSlabs in use is wrong");
	DAMAGE(hak_audit_pool, hak_pool.large_slots, hak_pool.large_slots - 1, "the count of large slots is wrong");
	DAMAGE(hak_audit_pool, hak_pool.large_empty_slots, hak_pool.large_empty_slots + 1,
		"the count of EMPTY large slots is wrong");
}

static void depots(void)
{
	start();
	struct hak_slot *slot = hak_slot(partly_used);
	struct hak_depot *depot = &hak_depots[HAK_CLASS_OF_BIN(slot->bin)];
	uint64_t *bits = hak_block_bits(partly_used);
	unsigned word = slot->hint;
	while (bits[word] == 0)
		word++;
	DAMAGE(hak_audit_depots, slot->capacity, slot->capacity - 1, "a slab's capacity is not its class's");
	DAMAGE(hak_audit_depots, slot->used, slot->used + 1, "used + free + uncarved is not capacity");
	DAMAGE(hak_audit_depots, slot->free, slot->free - 1, "used + free + uncarved is not capacity");
	DAMAGE(hak_audit_depots, bits[word], bits[word] & (bits[word] - 1), "a slab's bits disagree with its count of free blocks");
	DAMAGE(hak_audit_depots, slot->hint, word + 1, "a slab's hint skips free blocks");
	DAMAGE(hak_audit_depots, slot->listed, 0, "a slab is in the wrong bucket");
	DAMAGE(hak_audit_depots, slot->listed, slot->listed + 1, "a slab is in the wrong bucket");
	DAMAGE(hak_audit_depots, depot->buckets[slot->listed - 1], HAK_NO_SLOT, "a slab with room is in no bucket");
	DAMAGE(hak_audit_depots, slot->sampled, 1, "samples and guarded blocks lie in slabs of their own");
	DAMAGE(hak_audit_depots, depot->handed_out, depot->handed_out + 1, "a depot's count of blocks handed out is wrong");
}

static void balance(void)
{
	start();
	struct hak_depot *depot = &hak_depots[3];
	DAMAGE(hak_audit_balance, depot->handed_out, depot->handed_out + 1, "blocks handed out are not live + cached");
	DAMAGE(hak_audit_pool, hak_pool.large_frees, hak_pool.large_allocs + 1, "the count of large runs is wrong");
}

UNIT_MAIN("audit", UNIT(the_heap_is_sound), UNIT(superslabs), UNIT(sets), UNIT(pool), UNIT(depots), UNIT(balance))
