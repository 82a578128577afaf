/* Where EMPTY slabs are kept: last in first out, overflow found again, and in the order of their age. */
#include "lib/empty_list.h"

#include "tests/unit/pool.h"

#define KIND 4
#define SLABS 8

static uint32_t slabs[SLABS];

/* SLABS ACTIVE slabs of KIND, all in one SuperSlab. */
static void start(void)
{
	static bool started;
	pool_start();
	for (unsigned i = 0; !started && i < SLABS; i++)
		slabs[i] = hak_pool_acquire_slab(KIND);
	started = true;
}

static void enter(uint32_t slab)
{
	hak_slots_empty(slab / HAK_SLOTS_PER_SS, pool_place(slab), 1);
	hak_empty_insert(slab);
}

static void leave(uint32_t slab)
{
	hak_empty_remove(slab);
	hak_slots_reactivate(slab / HAK_SLOTS_PER_SS, pool_place(slab), 1);
}

/* All slots are ACTIVE again, and no list holds any. */
static void finish(void)
{
	UNIT_EQUAL(hak_pool.kinds[KIND].count, 0);
	UNIT_EQUAL(hak_pool.kinds[KIND].empty_slots, 0);
	UNIT_EQUAL(hak_pool.age_oldest, HAK_NO_SLOT);
	UNIT_EQUAL(hak_pool.age_newest, HAK_NO_SLOT);
	UNIT_EQUAL(hak_empty_find(KIND), HAK_NO_SLOT);
	UNIT_EQUAL(pool_ss(slabs[0])->empty, 0);
}

static void last_in_first_out(void)
{
	start();
	UNIT_EQUAL(hak_empty_find(KIND), HAK_NO_SLOT);
	for (unsigned i = 0; i < SLABS; i++) {
		enter(slabs[i]);
		UNIT_EQUAL(hak_pool.kinds[KIND].count, i + 1);
		UNIT_EQUAL(hak_empty_find(KIND), slabs[i]);
	}
	for (unsigned i = SLABS; i-- > 0;) {
		UNIT_EQUAL(hak_empty_find(KIND), slabs[i]);
		leave(slabs[i]);
	}
	CU_ASSERT_TRUE(hak_pool.kinds[KIND].peak >= SLABS);
	finish();
}

static void age_is_the_order_of_entry(void)
{
	start();
	for (unsigned i = 0; i < SLABS; i++)
		enter(slabs[i]);
	unsigned i = 0;
	for (uint32_t slab = hak_pool.age_oldest; slab != HAK_NO_SLOT; slab = hak_slot(slab)->age_next, i++)
		UNIT_EQUAL(slab, slabs[i]);
	UNIT_EQUAL(i, SLABS);
	leave(slabs[0]);
	leave(slabs[SLABS - 1]);
	leave(slabs[3]);
	UNIT_EQUAL(hak_pool.age_oldest, slabs[1]);
	UNIT_EQUAL(hak_pool.age_newest, slabs[SLABS - 2]);
	UNIT_EQUAL(hak_slot(slabs[2])->age_next, slabs[4]);
	for (i = 1; i < SLABS - 1; i++) {
		if (i != 3)
			leave(slabs[i]);
	}
	finish();
}

static void overflow_goes_to_the_bitmaps(void)
{
	uint64_t overflows = hak_stat_get(free_list_overflows);
	start();
	hak_settings.ss_free_list = 3;
	for (unsigned i = 0; i < SLABS; i++)
		enter(slabs[i]);
	UNIT_EQUAL(hak_pool.kinds[KIND].count, 3);
	UNIT_EQUAL(hak_pool.kinds[KIND].empty_slots, SLABS);
	UNIT_EQUAL(hak_stat_get(free_list_overflows) - overflows, SLABS - 3);
	uint32_t index = slabs[0] / HAK_SLOTS_PER_SS;
	CU_ASSERT_TRUE(hak_set_has(HAK_SET_EMPTY + KIND, index));
	unsigned found = 0;
	for (unsigned i = 0; i < SLABS; i++) {
		uint32_t slab = hak_empty_find(KIND);
		CU_ASSERT_TRUE_FATAL(slab != HAK_NO_SLOT);
		leave(slab);
		found |= 1u << (slab - slabs[0]);
	}
	UNIT_EQUAL(found, (1u << SLABS) - 1);
	CU_ASSERT_FALSE(hak_set_has(HAK_SET_EMPTY + KIND, index));
	finish();
}

static void no_list_at_all(void)
{
	start();
	hak_settings.ss_free_list = 0;
	enter(slabs[2]);
	UNIT_EQUAL(hak_pool.kinds[KIND].count, 0);
	UNIT_EQUAL(hak_empty_find(KIND), slabs[2]);
	leave(slabs[2]);
	finish();
}

static void reset_makes_unused(void)
{
	start();
	enter(slabs[5]);
	hak_empty_reset(slabs[5]);
	CU_ASSERT_TRUE(pool_ss(slabs[5])->unused >> pool_place(slabs[5]) & 1);
	UNIT_EQUAL(hak_slot(slabs[5])->bin, HAK_BIN_NONE);
	UNIT_EQUAL(hak_empty_find(KIND), HAK_NO_SLOT);
	hak_slots_activate(slabs[5] / HAK_SLOTS_PER_SS, pool_place(slabs[5]), 1, HAK_BIN_OF_CLASS(KIND));
	hak_slot(slabs[5])->kind = KIND;
	finish();
}

UNIT_MAIN("empty_list", UNIT(last_in_first_out), UNIT(age_is_the_order_of_entry), UNIT(overflow_goes_to_the_bitmaps),
	UNIT(no_list_at_all), UNIT(reset_makes_unused))
