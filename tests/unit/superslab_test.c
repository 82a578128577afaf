/* Slot states, the runs of a bitmap, and the sets that make every search short: each against a naive model. */
#include "lib/superslab.h"

#include "tests/unit/unit.h"

#define SUPERSLABS 300

static uint32_t random_state = 12345;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525u + 1013904223u;
	return random_state ^ random_state >> 15;
}

static void start(void)
{
	uint32_t skipped, skipped_count;
	CU_ASSERT_TRUE_FATAL(hak_arena_init((size_t)2 << 30));
	if (hak_arena_taken() < SUPERSLABS)
		CU_ASSERT_TRUE_FATAL(hak_arena_take(SUPERSLABS, HAK_SS_BYTES, &skipped, &skipped_count) != HAK_NO_SUPERSLAB);
}

static unsigned naive_find(uint32_t mask, unsigned count, unsigned alignment)
{
	for (unsigned first = 0; first + count <= 32; first += alignment) {
		unsigned i = 0;
		while (i < count && (mask >> (first + i) & 1))
			i++;
		if (i == count)
			return first;
	}
	return 32;
}

static unsigned naive_longest(uint32_t mask)
{
	unsigned longest = 0, run = 0;
	for (unsigned i = 0; i < 32; i++) {
		run = mask >> i & 1 ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

static void runs(void)
{
	unsigned wrong = 0;
	for (int i = 0; i < 20000; i++) {
		uint32_t mask = i == 0 ? 0 : i == 1 ? ~0u : next_random() | (i % 3 ? next_random() : 0) | (i % 5 ? 0 : next_random());
		unsigned count = 1 + next_random() % 32, alignment = 1u << next_random() % 6;
		wrong += hak_longest_run(mask) != naive_longest(mask);
		wrong += hak_find_run(mask, count, alignment) != naive_find(mask, count, alignment);
	}
	UNIT_EQUAL(wrong, 0);
	UNIT_EQUAL(hak_slot_mask(0, 32), 0xffffffff);
	UNIT_EQUAL(hak_slot_mask(31, 1), 0x80000000);
	UNIT_EQUAL(hak_slot_mask(4, 3), 0x70);
}

static void sets_against_a_model(void)
{
	static bool model[SUPERSLABS];
	const unsigned set = HAK_SET_RETIRED;
	unsigned wrong = 0;
	start();
	memset(model, 0, sizeof(model));
	for (int i = 0; i < 20000; i++) {
		uint32_t index = next_random() % SUPERSLABS;
		/* Phases of filling and of emptying, so that whole words and summaries become zero again. */
		if (next_random() % 100 < (i / 2000 % 2 ? 10u : 70u)) {
			hak_set_add(set, index);
			model[index] = true;
		} else {
			hak_set_remove(set, index);
			model[index] = false;
		}
		uint32_t from = next_random() % (SUPERSLABS + 5), expected = from;
		while (expected < SUPERSLABS && !model[expected])
			expected++;
		uint32_t found = hak_set_next(set, from);
		wrong += found != (expected < SUPERSLABS ? expected : HAK_NO_SUPERSLAB);
		wrong += hak_set_has(set, index) != model[index];
		if (from < SUPERSLABS) {
			for (expected = from + 1; expected < SUPERSLABS && model[expected];)
				expected++;
			wrong += hak_set_next_in_neither(set, HAK_SET_LRU, from) != expected;
			wrong += hak_set_next_in_neither(HAK_SET_LRU, set, from) != expected;
		}
	}
	for (uint32_t index = 0; index < SUPERSLABS; index++)
		hak_set_remove(set, index);
	UNIT_EQUAL(wrong, 0);
	UNIT_EQUAL(hak_set_next(set, 0), HAK_NO_SUPERSLAB);
}

/* Metadata ends with the last group. Where that is the last of 64, the search for the next member must not look for a
 * summary behind it. */
static void search_to_the_very_end(void *unused)
{
	const uint32_t count = 64 * HAK_GROUP_SUPERSLABS;
	uint32_t skipped, skipped_count;
	(void)unused;
	if (!hak_arena_init(count * HAK_SS_BYTES) || hak_arena_take(count, HAK_SS_BYTES, &skipped, &skipped_count) != 0)
		_exit(2);
	hak_set_add(HAK_SET_RETIRED, count - 1);
	if (hak_set_next(HAK_SET_RETIRED, 0) != count - 1)
		_exit(3);
	hak_set_remove(HAK_SET_RETIRED, count - 1);
	_exit(hak_set_next(HAK_SET_RETIRED, count - 1) == HAK_NO_SUPERSLAB ? 0 : 4);
}

static void search_ends_with_the_metadata(void)
{
	char said[256];
	UNIT_EQUAL(unit_in_child(search_to_the_very_end, NULL, said, sizeof(said)), 0);
}

static bool states_add_up(const struct hak_superslab *ss)
{
	return (ss->unused | ss->active | ss->empty) == ~0u && !(ss->unused & ss->active) && !(ss->unused & ss->empty) &&
	       !(ss->active & ss->empty);
}

static void a_slab_goes_through_its_states(void)
{
	const unsigned bin = HAK_BIN_OF_CLASS(HAK_CLASS_OF_5120), slots = 4;
	start();
	const uint32_t index = 7;
	struct hak_superslab *ss = hak_ss(index);
	UNIT_EQUAL(hak_size_classes[HAK_CLASS_OF_5120].slots_per_slab, slots);
	hak_ss_set_place(index, HAK_PLACE_IN_USE);
	hak_slots_activate(index, 3, slots, bin);
	UNIT_EQUAL(ss->active, 0xfu << 3);
	CU_ASSERT_TRUE(states_add_up(ss));
	UNIT_EQUAL(ss->class_slots[bin], 4);
	UNIT_EQUAL(ss->bins, 1ull << bin);
	UNIT_EQUAL(ss->slots[3].span, 4);
	UNIT_EQUAL(ss->slots[4].span, 0);
	for (unsigned i = 0; i < slots; i++) {
		UNIT_EQUAL(ss->slots[3 + i].distance, i);
		UNIT_EQUAL(hak_bin_of_address((char *)hak_ss_address(index) + (3 + i) * HAK_SLOT_BYTES), bin);
	}
	UNIT_EQUAL(hak_bin_of_address((char *)hak_ss_address(index) + 2 * HAK_SLOT_BYTES), HAK_BIN_NONE);

	hak_slots_empty(index, 3, slots);
	UNIT_EQUAL(ss->empty, 0xfu << 3);
	CU_ASSERT_TRUE(states_add_up(ss));
	UNIT_EQUAL(ss->class_slots[bin], 4); /* it remembers its class */
	UNIT_EQUAL(hak_bin_of_address((char *)hak_ss_address(index) + 3 * HAK_SLOT_BYTES), HAK_BIN_NONE);

	hak_slots_reactivate(index, 3, slots);
	UNIT_EQUAL(ss->active, 0xfu << 3);
	UNIT_EQUAL(hak_bin_of_address((char *)hak_ss_address(index) + 6 * HAK_SLOT_BYTES), bin);

	hak_slots_reset(index, 3, slots);
	UNIT_EQUAL(ss->unused, 0xffffffff);
	CU_ASSERT_TRUE(states_add_up(ss));
	UNIT_EQUAL(ss->class_slots[bin], 0);
	UNIT_EQUAL(ss->bins, 0);
	UNIT_EQUAL(hak_bin_of_address((char *)hak_ss_address(index) + 3 * HAK_SLOT_BYTES), HAK_BIN_NONE);
	hak_ss_set_place(index, HAK_PLACE_RETIRED);
}

/* In which run set a SuperSlab is, by asking them all; 0 for none, and more than one is an error (99). */
static unsigned run_set_of(uint32_t index)
{
	unsigned found = 0;
	for (unsigned n = 1; n <= HAK_LARGE_RUN_MAX; n++) {
		if (hak_set_has(HAK_SET_RUN + n - 1, index))
			found = found ? 99 : n;
	}
	return found;
}

static void run_sets_follow_the_longest_run(void)
{
	start();
	const uint32_t index = 11;
	UNIT_EQUAL(run_set_of(index), 0);
	hak_ss_set_place(index, HAK_PLACE_IN_USE);
	UNIT_EQUAL(run_set_of(index), 16);
	hak_slots_activate(index, 10, 1, 1); /* 10 and 21 are left */
	UNIT_EQUAL(run_set_of(index), 16);
	hak_slots_activate(index, 20, 1, 1); /* 10, 9 and 11 */
	UNIT_EQUAL(run_set_of(index), 11);
	for (unsigned i = 21; i < 32; i++)
		hak_slots_activate(index, i, 1, 1);
	UNIT_EQUAL(run_set_of(index), 10);
	hak_slots_empty(index, 10, 1);
	UNIT_EQUAL(run_set_of(index), 10);
	hak_slots_reset(index, 10, 1);
	UNIT_EQUAL(run_set_of(index), 16); /* 20 slots, and 16 means 16 or more */
	hak_slots_activate(index, 0, 20, HAK_BIN_LARGE);
	UNIT_EQUAL(run_set_of(index), 0);
	hak_slots_reset(index, 0, 32);
	hak_ss_set_place(index, HAK_PLACE_RETIRED);
	UNIT_EQUAL(run_set_of(index), 0);
}

static void affinity_needs_slots_of_the_class_and_room(void)
{
	const unsigned bin = HAK_BIN_OF_CLASS(2), wide = HAK_BIN_OF_CLASS(HAK_CLASS_OF_20480);
	start();
	const uint32_t index = 13;
	UNIT_EQUAL(hak_size_classes[HAK_CLASS_OF_20480].slots_per_slab, 8);
	hak_ss_set_place(index, HAK_PLACE_IN_USE);
	CU_ASSERT_FALSE(hak_set_has(HAK_SET_AFFINITY + bin, index));
	hak_slots_activate(index, 0, 1, bin);
	CU_ASSERT_TRUE(hak_set_has(HAK_SET_AFFINITY + bin, index));
	hak_slots_activate(index, 1, 8, wide);
	CU_ASSERT_TRUE(hak_set_has(HAK_SET_AFFINITY + wide, index));
	hak_slots_activate(index, 9, 17, HAK_BIN_LARGE); /* six slots left: too few for the wide class */
	CU_ASSERT_FALSE(hak_set_has(HAK_SET_AFFINITY + wide, index));
	CU_ASSERT_TRUE(hak_set_has(HAK_SET_AFFINITY + bin, index));
	hak_slots_activate(index, 26, 6, HAK_BIN_LARGE);
	CU_ASSERT_FALSE(hak_set_has(HAK_SET_AFFINITY + bin, index));
	hak_slots_reset(index, 9, 23);
	CU_ASSERT_TRUE(hak_set_has(HAK_SET_AFFINITY + bin, index));
	hak_slots_reset(index, 0, 1);
	CU_ASSERT_FALSE(hak_set_has(HAK_SET_AFFINITY + bin, index));
	hak_slots_reset(index, 0, 32);
	hak_ss_set_place(index, HAK_PLACE_RETIRED);
}

static void any_slot_leads_to_the_first(void)
{
	start();
	const uint32_t index = 21, slot = 21 * HAK_SLOTS_PER_SS;
	hak_ss_set_place(index, HAK_PLACE_IN_USE);
	hak_ss_set_place(index + 1, HAK_PLACE_IN_USE);
	hak_slots_activate(index, 3, 8, HAK_BIN_OF_CLASS(HAK_CLASS_OF_20480));
	UNIT_EQUAL(hak_slot_first(slot + 3), slot + 3);
	UNIT_EQUAL(hak_slot_first(slot + 10), slot + 3);
	UNIT_EQUAL(hak_slot_state(slot + 2), HAK_SLOT_UNUSED);
	UNIT_EQUAL(hak_slot_state(slot + 10), HAK_SLOT_ACTIVE);
	hak_slots_empty(index, 3, 8);
	UNIT_EQUAL(hak_slot_state(slot + 10), HAK_SLOT_EMPTY);
	UNIT_EQUAL(hak_slot_first(slot + 10), slot + 3);
	/* A large run that goes on in the next SuperSlab. */
	hak_slots_activate(index, 20, 12, HAK_BIN_LARGE);
	hak_slots_activate(index + 1, 0, 4, HAK_BIN_LARGE);
	for (uint32_t i = 0; i < 4; i++)
		hak_slot(slot + HAK_SLOTS_PER_SS + i)->distance = HAK_DISTANCE_FAR;
	UNIT_EQUAL(hak_slot_first(slot + HAK_SLOTS_PER_SS + 3), slot + 20);
	/* A damaged record leads to no slot before the heap. */
	hak_slot(0)->distance = 200;
	UNIT_EQUAL(hak_slot_first(0), 0);
	hak_slot(0)->distance = HAK_DISTANCE_FAR;
	UNIT_EQUAL(hak_slot_first(0), 0);
	hak_slot(0)->distance = 0;
	hak_slots_reset(index, 0, 32);
	hak_slots_reset(index + 1, 0, 32);
	hak_ss_set_place(index, HAK_PLACE_RETIRED);
	hak_ss_set_place(index + 1, HAK_PLACE_RETIRED);
}

static void places_and_their_sets(void)
{
	start();
	const uint32_t index = 17;
	hak_ss_set_place(index, HAK_PLACE_LRU);
	CU_ASSERT_TRUE(hak_set_has(HAK_SET_LRU, index));
	CU_ASSERT_FALSE(hak_set_has(HAK_SET_RETIRED, index));
	UNIT_EQUAL(run_set_of(index), 0);
	hak_ss_set_place(index, HAK_PLACE_RETIRED);
	CU_ASSERT_FALSE(hak_set_has(HAK_SET_LRU, index));
	CU_ASSERT_TRUE(hak_set_has(HAK_SET_RETIRED, index));
	hak_ss_set_place(index, HAK_PLACE_IN_USE);
	CU_ASSERT_FALSE(hak_set_has(HAK_SET_RETIRED, index));
}

/* search_ends_with_the_metadata stands first: its child must start without a reservation. */
UNIT_MAIN("superslab", UNIT(search_ends_with_the_metadata), UNIT(runs), UNIT(sets_against_a_model),
	UNIT(a_slab_goes_through_its_states), UNIT(run_sets_follow_the_longest_run),
	UNIT(affinity_needs_slots_of_the_class_and_room), UNIT(any_slot_leads_to_the_first),
	UNIT(places_and_their_sets))
