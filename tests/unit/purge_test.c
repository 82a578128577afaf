/* Giving memory back: when it is due, how much at a time, and that it reads as zero afterwards. */
#include "lib/purge.h"

#include "lib/large.h"
#include "lib/os.h"
#include "tests/unit/pool.h"

#define RELEASE(slab) hak_pool_release_slab((slab), HAK_RELEASE_DRAIN)

static void age_evicts(void)
{
	pool_start();
	uint32_t slab = hak_pool_acquire_slab(5);
	RELEASE(slab);
	hak_settings.purge_delay_ms = 0;
	hak_pool.next_purge_ms = 0;
	hak_purge_due(hak_os_clock_ms(), 16);
	UNIT_EQUAL(hak_pool.lru_length, 1);
	hak_settings.ss_lru_age_ms = 0;
	hak_pool.next_purge_ms = 0;
	uint64_t evictions = hak_stat_get(lru_evictions);
	hak_purge_due(hak_os_clock_ms(), 16);
	UNIT_EQUAL(hak_pool.lru_length, 0);
	UNIT_EQUAL(hak_stat_get(lru_evictions) - evictions, 1);
}

static void due_memory_is_purged_and_zero(void)
{
	pool_start();
	uint32_t keep = hak_pool_acquire_slab(7), idle = hak_pool_acquire_slab(7);
	char *memory = (char *)hak_slot_address(idle);
	memset(memory, 'x', HAK_SLOT_BYTES);
	RELEASE(idle);
	uint64_t purged = hak_stat_get(purged_bytes);
	hak_pool.next_purge_ms = 0;
	hak_purge_due(hak_os_clock_ms(), 16); /* the delay is a day here */
	UNIT_EQUAL(hak_stat_get(purged_bytes), purged);
	UNIT_EQUAL(memory[5], 'x');
	hak_settings.purge_delay_ms = 0;
	hak_pool.next_purge_ms = 0;
	hak_purge_due(hak_os_clock_ms(), 0); /* no calls allowed */
	UNIT_EQUAL(memory[5], 'x');
	hak_pool.next_purge_ms = 0;
	hak_purge_due(hak_os_clock_ms(), 16);
	CU_ASSERT_TRUE(hak_stat_get(purged_bytes) - purged >= HAK_SLOT_BYTES);
	UNIT_EQUAL(memory[5], 0);
	CU_ASSERT_TRUE(pool_ss(idle)->zero >> pool_place(idle) & 1);
	UNIT_EQUAL(hak_pool.kinds[7].count, 1); /* EMPTY still, and to be reused by stage 1 */
	UNIT_EQUAL(hak_pool_acquire_slab(7), idle);
	CU_ASSERT_FALSE(pool_ss(idle)->zero >> pool_place(idle) & 1);
	RELEASE(idle);
	RELEASE(keep);
}

static void trim_gives_everything_back(void)
{
	pool_start();
	uint32_t slab = hak_pool_acquire_slab(7);
	memset((char *)hak_slot_address(slab), 'x', HAK_SLOT_BYTES);
	RELEASE(slab);
	UNIT_EQUAL(hak_pool.lru_length, 1);
	CU_ASSERT_TRUE(hak_purge_all() >= HAK_SLOT_BYTES);
	UNIT_EQUAL(hak_pool.lru_length, 0);
	UNIT_EQUAL(hak_purge_all(), 0);
}

/* A pass that may make fewer calls than there is work goes on where it stopped, the next time. */
static void calls_are_bounded_and_nothing_is_forgotten(void)
{
	uint32_t slabs[20];
	pool_start();
	for (int i = 0; i < 20; i++) {
		slabs[i] = hak_pool_acquire_slab(7);
		memset((char *)hak_slot_address(slabs[i]), 'x', HAK_SLOT_BYTES);
	}
	for (int i = 0; i < 20; i += 2) /* no two are neighbours, so each needs a call of its own */
		RELEASE(slabs[i]);
	hak_settings.purge_delay_ms = 0;
	uint64_t calls = hak_stat_get(madvise);
	for (int pass = 0; pass < 4; pass++) {
		hak_pool.next_purge_ms = 0;
		hak_purge_due(hak_os_clock_ms(), 3);
		CU_ASSERT_TRUE(hak_stat_get(madvise) - calls <= 3u * (unsigned)(pass + 1));
	}
	UNIT_EQUAL(hak_stat_get(madvise) - calls, 10);
	for (int i = 0; i < 20; i += 2)
		UNIT_EQUAL(*(char *)hak_slot_address(slabs[i]), 0);
	for (int i = 1; i < 20; i += 2) {
		UNIT_EQUAL(*(char *)hak_slot_address(slabs[i]), 'x');
		RELEASE(slabs[i]);
	}
}

/* What a call may purge is counted in slots, for a call's time goes with its length. */
static void runs_count_by_their_slots(void)
{
	bool zero;
	char *runs[4];
	pool_start();
	for (int i = 0; i < 4; i++)
		runs[i] = memset(hak_large_alloc(3 * HAK_SLOT_BYTES, 16, &zero), 'x', 3 * HAK_SLOT_BYTES);
	hak_large_free(runs[0]);
	hak_large_free(runs[2]);
	hak_settings.purge_delay_ms = 0;
	hak_pool.next_purge_ms = 0;
	hak_purge_due(hak_os_clock_ms(), 3);
	UNIT_EQUAL((runs[0][0] == 0) + (runs[2][0] == 0), 1);
	hak_purge_due(hak_os_clock_ms(), 3); /* there was more to do */
	UNIT_EQUAL((runs[0][0] == 0) + (runs[2][0] == 0), 2);
	hak_large_free(runs[1]);
	hak_large_free(runs[3]);
}

/* The clock is asked first: until the next look is due a call does nothing, whatever there is to purge. */
static void too_early_is_nothing(void)
{
	pool_start();
	uint32_t keep = hak_pool_acquire_slab(7), idle = hak_pool_acquire_slab(7);
	RELEASE(idle);
	hak_settings.purge_delay_ms = 40000; /* a look every ten seconds */
	hak_slot(idle)->since_ms = hak_os_clock_ms() - 50000;
	hak_pool.next_purge_ms = hak_os_clock_ms() + 5000;
	uint64_t calls = hak_stat_get(madvise);
	hak_purge_due(hak_os_clock_ms(), 16);
	UNIT_EQUAL(hak_stat_get(madvise), calls);
	hak_pool.next_purge_ms = hak_os_clock_ms() - 1;
	hak_purge_due(hak_os_clock_ms(), 16);
	UNIT_EQUAL(hak_stat_get(madvise), calls + 1);
	RELEASE(keep);
}

/* A freed run that is cut for a shorter one leaves a rest with pages: those go back too, when their time has come. */
static void rest_of_a_cut_run_is_purged(void)
{
	bool zero;
	pool_start();
	char *keep = hak_large_alloc(HAK_SLOT_BYTES, 16, &zero), *run = hak_large_alloc(6 * HAK_SLOT_BYTES, 16, &zero);
	CU_ASSERT_TRUE_FATAL(keep != NULL && run != NULL);
	memset(run, 'x', 6 * HAK_SLOT_BYTES);
	hak_large_free(run);
	char *cut = hak_large_alloc(2 * HAK_SLOT_BYTES, 16, &zero);
	CU_ASSERT_PTR_EQUAL(cut, run);
	UNIT_EQUAL(run[2 * HAK_SLOT_BYTES], 'x');
	hak_settings.purge_delay_ms = 0;
	hak_pool.next_purge_ms = 0;
	hak_purge_due(hak_os_clock_ms(), 16);
	UNIT_EQUAL(run[2 * HAK_SLOT_BYTES - 1], 'x');
	UNIT_EQUAL(run[2 * HAK_SLOT_BYTES], 0);
	UNIT_EQUAL(run[6 * HAK_SLOT_BYTES - 1], 0);
	hak_large_free(cut);
	hak_large_free(keep);
}

/* Idle memory is looked for within the shorter of the two delays: a long one must not put the other off. */
static void the_shorter_delay_counts(void)
{
	static const struct {
		uint64_t purge_ms, age_ms;
		uint32_t most_ms;
	} cases[] = {{86400000, 400, 100}, {400, 86400000, 100}, {2000, 1000, 250}};
	pool_start();
	for (size_t i = 0; i < HAK_COUNT_OF(cases); i++) {
		hak_settings.purge_delay_ms = cases[i].purge_ms;
		hak_settings.ss_lru_age_ms = cases[i].age_ms;
		hak_pool.next_purge_ms = hak_os_clock_ms();
		hak_purge_due(hak_os_clock_ms(), 16);
		uint32_t ahead_ms = hak_pool.next_purge_ms - hak_os_clock_ms();
		CU_ASSERT_TRUE((int32_t)ahead_ms <= (int32_t)cases[i].most_ms);
	}
}

/* Who finds the pool's lock taken leaves the purge to others; in steps, all that is due goes. */
static void steps_let_others_in(void)
{
	bool zero;
	static char *runs[40];
	pool_start();
	for (unsigned i = 0; i < HAK_COUNT_OF(runs); i++)
		runs[i] = memset(hak_large_alloc(16 * HAK_SLOT_BYTES, 16, &zero), 'x', 16 * HAK_SLOT_BYTES);
	for (unsigned i = 0; i < HAK_COUNT_OF(runs); i += 2)
		hak_large_free(runs[i]);
	hak_settings.purge_delay_ms = 0;
	hak_pool.next_purge_ms = 0;
	hak_lock_acquire(&hak_pool.lock);
	CU_ASSERT_FALSE(hak_purge_due(hak_os_clock_ms(), 16));
	hak_lock_release(&hak_pool.lock);
	UNIT_EQUAL(runs[0][0], 'x');
	CU_ASSERT_TRUE(hak_purge_due(hak_os_clock_ms(), 16));
	UNIT_EQUAL(runs[0][0], 0);
	UNIT_EQUAL(runs[38][0], 'x');
	hak_purge_all_due();
	UNIT_EQUAL(runs[38][0], 0);
	CU_ASSERT_FALSE(hak_purge_due(hak_os_clock_ms(), 16));
	for (unsigned i = 1; i < HAK_COUNT_OF(runs); i += 2)
		hak_large_free(runs[i]);
}

UNIT_MAIN("purge", UNIT(steps_let_others_in), UNIT(age_evicts), UNIT(due_memory_is_purged_and_zero),
	UNIT(trim_gives_everything_back), UNIT(calls_are_bounded_and_nothing_is_forgotten),
	UNIT(runs_count_by_their_slots), UNIT(too_early_is_nothing), UNIT(rest_of_a_cut_run_is_purged),
	UNIT(the_shorter_delay_counts))
