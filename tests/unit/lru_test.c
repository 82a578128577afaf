/* The cache of idle SuperSlabs: newest first out, oldest first evicted, and what retiring means. */
#include "lib/lru.h"

#include "tests/unit/pool.h"

#define COUNT 6

static uint32_t first;

/* Takes COUNT SuperSlabs, once, and dirties their first bytes. The pool's lock is not needed: there is one thread. */
static void start(void)
{
	uint32_t skipped, skipped_count;
	bool fresh = hak_arena_taken() == 0;
	pool_start();
	if (fresh)
		first = hak_arena_take(COUNT, HAK_SS_BYTES, &skipped, &skipped_count);
	CU_ASSERT_TRUE_FATAL(first != HAK_NO_SUPERSLAB);
	for (uint32_t i = 0; i < COUNT; i++) {
		*(char *)hak_ss_address(first + i) = 'x';
		hak_ss(first + i)->zero = 0;
	}
}

static char content(uint32_t i)
{
	return *(char *)hak_ss_address(first + i);
}

static void oldest_are_evicted_first(void)
{
	uint64_t pushes = hak_stat_get(lru_pushes), evictions = hak_stat_get(lru_evictions);
	start();
	hak_settings.ss_lru = 3;
	for (uint32_t i = 0; i < 5; i++)
		hak_lru_push(first + i);
	UNIT_EQUAL(hak_pool.lru_length, 3);
	UNIT_EQUAL(hak_stat_get(lru_pushes) - pushes, 5);
	UNIT_EQUAL(hak_stat_get(lru_evictions) - evictions, 2);
	UNIT_EQUAL(hak_pool.lru_oldest, first + 2);
	UNIT_EQUAL(hak_pool.lru_newest, first + 4);
	for (uint32_t i = 0; i < 5; i++)
		UNIT_EQUAL(hak_ss(first + i)->place, i < 2 ? HAK_PLACE_RETIRED : HAK_PLACE_LRU);
	UNIT_EQUAL(content(0), 0); /* retired: the pages went back */
	UNIT_EQUAL(content(2), 'x');
}

static void any_can_be_taken(void)
{
	uint64_t hits = hak_stat_get(lru_hits);
	start();
	for (uint32_t i = 0; i < 4; i++)
		hak_lru_push(first + i);
	hak_lru_take(first + 1); /* from the middle, then both ends */
	hak_lru_take(first + 3);
	UNIT_EQUAL(hak_pool.lru_newest, first + 2);
	hak_lru_take(first);
	UNIT_EQUAL(hak_pool.lru_oldest, first + 2);
	hak_lru_take(first + 2);
	UNIT_EQUAL(hak_pool.lru_length, 0);
	UNIT_EQUAL(hak_pool.lru_oldest, HAK_NO_SUPERSLAB);
	UNIT_EQUAL(hak_pool.lru_newest, HAK_NO_SUPERSLAB);
	UNIT_EQUAL(hak_stat_get(lru_hits) - hits, 4);
	for (uint32_t i = 0; i < 4; i++)
		hak_ss_set_place(first + i, HAK_PLACE_RETIRED);
}

static void without_a_cache_they_retire(void)
{
	uint64_t pushes = hak_stat_get(lru_pushes);
	start();
	hak_settings.ss_lru = 0;
	hak_lru_push(first);
	UNIT_EQUAL(hak_pool.lru_length, 0);
	UNIT_EQUAL(hak_stat_get(lru_pushes), pushes);
	UNIT_EQUAL(hak_ss(first)->place, HAK_PLACE_RETIRED);
	UNIT_EQUAL(content(0), 0);
}

static void purging_marks_what_is_zero(void)
{
	start();
	char *memory = (char *)hak_ss_address(first);
	memset(memory, 'x', 5 * HAK_SLOT_BYTES);
	CU_ASSERT_TRUE(hak_ss_purge(first, 1, 3));
	UNIT_EQUAL(hak_ss(first)->zero, 0x0e);
	UNIT_EQUAL(memory[HAK_SLOT_BYTES - 1], 'x');
	UNIT_EQUAL(memory[HAK_SLOT_BYTES], 0);
	UNIT_EQUAL(memory[4 * HAK_SLOT_BYTES - 1], 0);
	UNIT_EQUAL(memory[4 * HAK_SLOT_BYTES], 'x');
}

UNIT_MAIN("lru", UNIT(oldest_are_evicted_first), UNIT(any_can_be_taken), UNIT(without_a_cache_they_retire),
	UNIT(purging_marks_what_is_zero))
