/* SP-SLOT: the order of the three stages, the free lists, the LRU cache, and what goes back to the system. */
#include "lib/shared_pool.h"

#include "tests/unit/pool.h"

#define RELEASE(slab) hak_pool_release_slab((slab), HAK_RELEASE_DRAIN)

/* The counters of one class, as differences. */
static struct hak_pool_kind counted(unsigned class, const struct hak_pool_kind *since)
{
	struct hak_pool_kind now = hak_pool.kinds[class];
	now.stage1 -= since->stage1;
	now.stage2 -= since->stage2;
	now.stage3 -= since->stage3;
	now.converted -= since->converted;
	now.from_lru -= since->from_lru;
	return now;
}

static void stages_are_tried_in_order(void)
{
	pool_start();
	const struct hak_pool_kind before = hak_pool.kinds[6];
	uint32_t first = hak_pool_acquire_slab(6);
	CU_ASSERT_TRUE_FATAL(first != HAK_NO_SLOT);
	UNIT_EQUAL(counted(6, &before).stage3, 1);
	UNIT_EQUAL(hak_slot(first)->capacity, hak_size_classes[6].capacity);
	UNIT_EQUAL(hak_slot(first)->used, 0);
	uint32_t second = hak_pool_acquire_slab(6);
	UNIT_EQUAL(counted(6, &before).stage2, 1);
	UNIT_EQUAL(second, first + 1);
	RELEASE(first);
	UNIT_EQUAL(hak_pool.kinds[6].count, 1);
	UNIT_EQUAL(hak_pool.kinds[6].empty_slots, 1);
	uint32_t again = hak_pool_acquire_slab(6);
	UNIT_EQUAL(counted(6, &before).stage1, 1);
	UNIT_EQUAL(again, first);
	UNIT_EQUAL(hak_pool.kinds[6].count, 0);
	UNIT_EQUAL(hak_pool.kinds[6].active_slabs, 2);
	RELEASE(first);
	RELEASE(second);
	UNIT_EQUAL(hak_pool.kinds[6].active_slabs, 0);
}

static void free_lists_are_last_in_first_out(void)
{
	uint32_t slabs[4];
	pool_start();
	for (int i = 0; i < 4; i++)
		slabs[i] = hak_pool_acquire_slab(2);
	for (int i = 0; i < 3; i++)
		RELEASE(slabs[i]);
	UNIT_EQUAL(hak_pool.kinds[2].count, 3);
	for (int i = 2; i >= 0; i--)
		UNIT_EQUAL(hak_pool_acquire_slab(2), slabs[i]);
	for (int i = 0; i < 4; i++)
		RELEASE(slabs[i]);
}

/* What a full list has no room for is counted, and found again. */
static void overflow_is_counted_and_never_lost(void)
{
	uint32_t slabs[9];
	uint64_t overflows = hak_stat_get(free_list_overflows);
	pool_start();
	hak_settings.ss_free_list = 3;
	for (int i = 0; i < 9; i++)
		slabs[i] = hak_pool_acquire_slab(4);
	for (int i = 0; i < 8; i++)
		RELEASE(slabs[i]);
	UNIT_EQUAL(hak_pool.kinds[4].count, 3);
	UNIT_EQUAL(hak_pool.kinds[4].empty_slots, 8);
	UNIT_EQUAL(hak_stat_get(free_list_overflows) - overflows, 5);
	const struct hak_pool_kind before = hak_pool.kinds[4];
	unsigned seen = 0;
	for (int i = 0; i < 8; i++)
		seen |= 1u << (hak_pool_acquire_slab(4) - slabs[0]);
	UNIT_EQUAL(counted(4, &before).stage1, 8);
	UNIT_EQUAL(seen, 0xff);
	UNIT_EQUAL(hak_pool.kinds[4].empty_slots, 0);
	for (int i = 0; i < 9; i++)
		RELEASE(slabs[i]);
}

static void classes_share_a_superslab(void)
{
	uint32_t slabs[HAK_CLASS_COUNT];
	pool_start();
	uint32_t in_use = hak_pool.superslabs_in_use;
	for (unsigned class = 0; class < 28; class++)
		slabs[class] = hak_pool_acquire_slab(class);
	UNIT_EQUAL(hak_pool.superslabs_in_use - in_use, 1);
	for (unsigned class = 0; class < 28; class++)
		RELEASE(slabs[class]);
	UNIT_EQUAL(hak_pool.superslabs_in_use, in_use);

	hak_settings.ss_shared = 0;
	for (unsigned class = 0; class < 28; class++)
		slabs[class] = hak_pool_acquire_slab(class);
	UNIT_EQUAL(hak_pool.superslabs_in_use - in_use, 28);
	for (unsigned class = 0; class < 28; class++)
		RELEASE(slabs[class]);
}

/* Of two SuperSlabs with room the one that has slots of the class is taken. */
static void affinity(void)
{
	uint32_t filler[31], lone, near;
	pool_start();
	hak_settings.purge_delay_ms = 86400000;
	for (int i = 0; i < 31; i++)
		filler[i] = hak_pool_acquire_slab(1);
	uint32_t last = hak_pool_acquire_slab(1); /* the first SuperSlab is full now */
	lone = hak_pool_acquire_slab(9);          /* so this starts the second */
	CU_ASSERT_TRUE_FATAL(lone / HAK_SLOTS_PER_SS != last / HAK_SLOTS_PER_SS);
	RELEASE(filler[5]);
	hak_purge_all();
	near = hak_pool_acquire_slab(9);
	UNIT_EQUAL(near / HAK_SLOTS_PER_SS, lone / HAK_SLOTS_PER_SS);
	RELEASE(near);
	RELEASE(lone);
	RELEASE(last);
	for (int i = 0; i < 31; i++) {
		if (i != 5)
			RELEASE(filler[i]);
	}
}

/* An EMPTY slot of another class is converted once it has been idle for the purge delay, not before. */
static void conversion_waits_for_the_delay(void)
{
	uint32_t slabs[32];
	pool_start();
	for (int i = 0; i < 32; i++)
		slabs[i] = hak_pool_acquire_slab(3);
	RELEASE(slabs[12]);
	const struct hak_pool_kind before = hak_pool.kinds[8];
	uint32_t fresh = hak_pool_acquire_slab(8);
	UNIT_EQUAL(counted(8, &before).stage3, 1);
	UNIT_EQUAL(counted(8, &before).converted, 0);
	RELEASE(fresh);
	hak_settings.purge_delay_ms = 0;
	uint32_t converted = hak_pool_acquire_slab(8);
	UNIT_EQUAL(converted, slabs[12]);
	UNIT_EQUAL(counted(8, &before).converted, 1);
	UNIT_EQUAL(counted(8, &before).stage2, 1);
	UNIT_EQUAL(hak_slot(converted)->bin, HAK_BIN_OF_CLASS(8));
	UNIT_EQUAL(hak_pool.kinds[3].empty_slots, 0);
	RELEASE(converted);
	for (int i = 0; i < 32; i++) {
		if (i != 12)
			RELEASE(slabs[i]);
	}
}

/* Several EMPTY slots of different classes side by side become one slab of a class that needs more. */
static void conversion_joins_neighbours(void)
{
	uint32_t slabs[32];
	pool_start();
	for (int i = 0; i < 32; i++)
		slabs[i] = hak_pool_acquire_slab((unsigned)i % 4);
	for (int i = 10; i < 14; i++)
		RELEASE(slabs[i]);
	hak_settings.purge_delay_ms = 0;
	uint32_t wide = hak_pool_acquire_slab(HAK_CLASS_OF_5120);
	UNIT_EQUAL(hak_size_classes[HAK_CLASS_OF_5120].slots_per_slab, 4);
	UNIT_EQUAL(wide, slabs[10]);
	UNIT_EQUAL(hak_slot(wide)->span, 4);
	RELEASE(wide);
	for (int i = 0; i < 32; i++) {
		if (i < 10 || i >= 14)
			RELEASE(slabs[i]);
	}
}

static void idle_superslabs_go_through_the_lru(void)
{
	pool_start();
	uint64_t pushes = hak_stat_get(lru_pushes), hits = hak_stat_get(lru_hits), made = hak_stat_get(superslabs_created);
	uint32_t slab = hak_pool_acquire_slab(5);
	made = hak_stat_get(superslabs_created) - made;
	UNIT_EQUAL(made, 1);
	RELEASE(slab);
	UNIT_EQUAL(hak_pool.lru_length, 1);
	UNIT_EQUAL(pool_ss(slab)->place, HAK_PLACE_LRU);
	UNIT_EQUAL(pool_ss(slab)->unused, 0xffffffff);
	UNIT_EQUAL(hak_pool.kinds[5].count, 0);
	UNIT_EQUAL(hak_pool.kinds[5].empty_slots, 0);
	UNIT_EQUAL(hak_stat_get(lru_pushes) - pushes, 1);
	const struct hak_pool_kind before = hak_pool.kinds[9];
	uint32_t other = hak_pool_acquire_slab(9);
	UNIT_EQUAL(other / HAK_SLOTS_PER_SS, slab / HAK_SLOTS_PER_SS);
	UNIT_EQUAL(counted(9, &before).stage3, 1);
	UNIT_EQUAL(counted(9, &before).from_lru, 1);
	UNIT_EQUAL(hak_stat_get(lru_hits) - hits, 1);
	UNIT_EQUAL(hak_pool.lru_length, 0);
	RELEASE(other);
}

/* Fills `count` SuperSlabs with one slab each, by taking whole ones for class 0 in between. */
static void make_superslabs(uint32_t (*slabs)[32], unsigned count)
{
	for (unsigned s = 0; s < count; s++) {
		for (int i = 0; i < 32; i++)
			slabs[s][i] = hak_pool_acquire_slab(0);
	}
}

static void release_superslab(uint32_t *slabs)
{
	for (int i = 0; i < 32; i++)
		RELEASE(slabs[i]);
}

static void capacity_evicts_the_oldest(void)
{
	uint32_t slabs[4][32];
	pool_start();
	hak_settings.ss_lru = 2;
	make_superslabs(slabs, 4);
	uint64_t evictions = hak_stat_get(lru_evictions);
	for (int s = 0; s < 4; s++)
		release_superslab(slabs[s]);
	UNIT_EQUAL(hak_pool.lru_length, 2);
	UNIT_EQUAL(hak_stat_get(lru_evictions) - evictions, 2);
	UNIT_EQUAL(pool_ss(slabs[0][0])->place, HAK_PLACE_RETIRED);
	UNIT_EQUAL(pool_ss(slabs[1][0])->place, HAK_PLACE_RETIRED);
	UNIT_EQUAL(pool_ss(slabs[2][0])->place, HAK_PLACE_LRU);
	UNIT_EQUAL(pool_ss(slabs[3][0])->place, HAK_PLACE_LRU);
	/* A retired range is used again before the heap grows, and counts as made. */
	uint64_t made = hak_stat_get(superslabs_created);
	uint32_t taken = hak_arena_taken();
	make_superslabs(slabs, 4);
	UNIT_EQUAL(hak_arena_taken(), taken);
	UNIT_EQUAL(hak_stat_get(superslabs_created) - made, 2);
	for (int s = 0; s < 4; s++)
		release_superslab(slabs[s]);
}

static void no_lru_at_all(void)
{
	pool_start();
	hak_settings.ss_lru = 0;
	uint64_t pushes = hak_stat_get(lru_pushes);
	uint32_t slab = hak_pool_acquire_slab(5);
	RELEASE(slab);
	UNIT_EQUAL(hak_pool.lru_length, 0);
	UNIT_EQUAL(hak_stat_get(lru_pushes), pushes);
	UNIT_EQUAL(pool_ss(slab)->place, HAK_PLACE_RETIRED);
}

static void prewarm_in_child(void *ignored)
{
	(void)ignored;
	hak_settings.ss_prewarm = 5;
	hak_settings.ss_lru = 3;
	if (!hak_arena_init((size_t)1 << 30))
		_exit(2);
	hak_pool_init();
	if (hak_pool.lru_length != 3 || hak_stat_get(superslabs_created) != 3)
		_exit(3);
	hak_pool_acquire_slab(0);
	_exit(hak_pool.lru_length == 2 && hak_pool.kinds[0].from_lru == 1 ? 0 : 4);
}

static void prewarm(void)
{
	char said[256];
	UNIT_EQUAL(unit_in_child(prewarm_in_child, NULL, said, sizeof(said)), 0);
}

/* When the arena has nothing left, EMPTY slots of any age serve; then memory is out, and comes back with the next release. */
static void exhaust_in_child(void *ignored)
{
	uint32_t slab, last = HAK_NO_SLOT;
	(void)ignored;
	if (!hak_arena_init(HAK_SS_BYTES * 4))
		_exit(2);
	hak_settings.purge_delay_ms = 86400000;
	while ((slab = hak_pool_acquire_slab(1)) != HAK_NO_SLOT)
		last = slab;
	if (last == HAK_NO_SLOT || hak_pool_acquire_slab(2) != HAK_NO_SLOT)
		_exit(3);
	RELEASE(last);
	if (hak_pool_acquire_slab(2) != last || hak_pool.kinds[2].converted != 1)
		_exit(4);
	_exit(hak_pool_acquire_slab(2) == HAK_NO_SLOT ? 0 : 5);
}

static void out_of_memory(void)
{
	char said[256];
	UNIT_EQUAL(unit_in_child(exhaust_in_child, NULL, said, sizeof(said)), 0);
}

/* prewarm and out_of_memory stand first: their children must start without an arena. */
UNIT_MAIN("shared_pool", UNIT(prewarm), UNIT(out_of_memory), UNIT(stages_are_tried_in_order),
	UNIT(free_lists_are_last_in_first_out), UNIT(overflow_is_counted_and_never_lost), UNIT(classes_share_a_superslab),
	UNIT(affinity), UNIT(conversion_waits_for_the_delay), UNIT(conversion_joins_neighbours),
	UNIT(idle_superslabs_go_through_the_lru), UNIT(capacity_evicts_the_oldest), UNIT(no_lru_at_all))
