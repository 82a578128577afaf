/* Large runs over SuperSlabs' borders, where address space is limited: they fill it, grow and shrink in it, leave the rest of
 * their SuperSlabs to others, and go back. */
#include "lib/straddle.h"

#include "lib/audit.h"
#include "lib/large.h"
#include "lib/postmortem.h"
#include "tests/unit/pool.h"

#define RESERVE ((size_t)256 << 20)
#define SLOTS(count) ((count) * HAK_SLOT_BYTES)
#define RUNS_MAX 200

static void tight_start(void)
{
	if (!hak_arena_init(RESERVE))
		abort();
	pool_start();
	CU_ASSERT_TRUE_FATAL(hak_straddle_wanted());
}

/* Marks both ends of a block, so that others that lie over it are seen. */
static void mark(char *block, char with)
{
	block[0] = block[hak_large_usable(block) - 1] = with;
}

static bool is_marked(const char *block, char with)
{
	return block[0] == with && block[hak_large_usable(block) - 1] == with;
}

static void audit(void)
{
	UNIT_STRING(hak_audit_superslabs() ? hak_audit_superslabs() : "", "");
	UNIT_STRING(hak_audit_sets() ? hak_audit_sets() : "", "");
	UNIT_STRING(hak_audit_pool() ? hak_audit_pool() : "", "");
}

static void plenty(void *ignored)
{
	(void)ignored;
	bool zero;
	pool_start();
	void *block = hak_large_alloc(SLOTS(33), 16, &zero);
	_exit(block && !hak_straddle_wanted() && hak_large_usable(block) == 2 * HAK_SS_BYTES ? 0 : 1);
}

static void whole_superslabs_where_there_is_plenty(void)
{
	char said[256];
	UNIT_EQUAL(unit_in_child(plenty, NULL, said, sizeof(said)), 0);
}

/* Runs of any length fill all there is but for less than one of them, and nothing is left of them afterwards. */
static void runs_fill_the_heap(void)
{
	static const unsigned lengths[] = {5, 7, 11, 16, 17, 25, 31, 32, 33, 46, 63, 64, 65, 100};
	char *runs[RUNS_MAX * 5];
	bool zero;
	tight_start();
	for (size_t l = 0; l < HAK_COUNT_OF(lengths); l++) {
		size_t count = 0;
		while ((runs[count] = hak_large_alloc(SLOTS(lengths[l]), 16, &zero)) != NULL) {
			UNIT_EQUAL(hak_large_usable(runs[count]), SLOTS(lengths[l]));
			CU_ASSERT_TRUE(!zero || (runs[count][0] == 0 && runs[count][SLOTS(lengths[l]) - 1] == 0));
			mark(runs[count], (char)('a' + count % 23));
			count++;
		}
		CU_ASSERT_TRUE((count + 1) * SLOTS(lengths[l]) > RESERVE);
		UNIT_EQUAL(hak_pool.large_slots, count * lengths[l]);
		audit();
		/* Every third first, so that runs go whose neighbours stay. */
		for (unsigned turn = 0; turn < 3; turn++) {
			for (size_t i = turn; i < count; i += 3) {
				CU_ASSERT_TRUE(is_marked(runs[i], (char)('a' + i % 23)));
				CU_ASSERT_TRUE(hak_large_free(runs[i]));
				CU_ASSERT_FALSE(hak_large_free(runs[i]));
			}
			audit();
		}
		UNIT_EQUAL(hak_pool.large_slots, 0);
		UNIT_EQUAL(hak_pool.superslabs_in_use, 0);
	}
}

static void the_rest_of_a_superslab_serves_others(void)
{
	bool zero;
	tight_start();
	char *run = hak_large_alloc(SLOTS(40), 16, &zero);
	uint32_t slab = hak_pool_acquire_slab(0);
	UNIT_EQUAL(hak_slot_address(slab), (uintptr_t)run + SLOTS(40));
	char *next = hak_large_alloc(SLOTS(50), 16, &zero);
	CU_ASSERT_PTR_EQUAL(next, run + SLOTS(41));
	/* The SuperSlab between them stays in use for the slab alone. */
	hak_large_free(run);
	hak_large_free(next);
	UNIT_EQUAL(hak_pool.superslabs_in_use, 1);
	audit();
	hak_pool_release_slab(slab, HAK_RELEASE_DRAIN);
	UNIT_EQUAL(hak_pool.superslabs_in_use, 0);
}

static void grows_and_shrinks_over_borders(void)
{
	bool zero;
	tight_start();
	char *run = hak_large_alloc(SLOTS(20), 16, &zero), *other = NULL;
	mark(run, 'r');
	CU_ASSERT_TRUE(hak_large_resize(run, SLOTS(30)));
	CU_ASSERT_TRUE(hak_large_resize(run, SLOTS(100)));
	UNIT_EQUAL(hak_large_usable(run), SLOTS(100));
	UNIT_EQUAL(run[0], 'r');
	UNIT_EQUAL(run[SLOTS(20) - 1], 'r');
	mark(run, 's');
	audit();
	other = hak_large_alloc(SLOTS(20), 16, &zero);
	CU_ASSERT_PTR_EQUAL(other, run + SLOTS(100));
	CU_ASSERT_FALSE(hak_large_resize(run, SLOTS(101)));
	for (unsigned slots = 99; slots < 100; slots -= 7) {
		CU_ASSERT_TRUE(hak_large_resize(run, SLOTS(slots)));
		UNIT_EQUAL(hak_large_usable(run), SLOTS(slots));
		UNIT_EQUAL(hak_pool.large_slots, slots + 20);
		audit();
	}
	UNIT_EQUAL(run[0], 's');
	/* What it lost begins with pages of zeros. */
	CU_ASSERT_TRUE(hak_large_resize(run, SLOTS(100)));
	UNIT_EQUAL(run[SLOTS(100) - 1], 0);
	hak_large_free(run);
	hak_large_free(other);
	UNIT_EQUAL(hak_pool.superslabs_in_use, 0);
	audit();
}

/* EMPTY slabs behind a run make way for it, over a border too; not for a run that can't grow all the same. */
static void grows_over_empty_slabs(void)
{
	uint32_t slabs[5];
	bool zero;
	tight_start();
	char *run = hak_large_alloc(SLOTS(20), 16, &zero), *other = hak_large_alloc(SLOTS(10), 16, &zero);
	CU_ASSERT_PTR_EQUAL_FATAL(other, run + SLOTS(20));
	for (size_t i = 0; i < HAK_COUNT_OF(slabs); i++) {
		slabs[i] = hak_pool_acquire_slab(0);
		CU_ASSERT_EQUAL_FATAL(hak_slot_address(slabs[i]), (uintptr_t)run + SLOTS(30 + i));
		memset((void *)hak_slot_address(slabs[i]), 'e', HAK_SLOT_BYTES);
	}
	mark(run, 'r');
	hak_large_free(other);
	for (size_t i = 0; i < 4; i++)
		hak_pool_release_slab(slabs[i], HAK_RELEASE_DRAIN);
	UNIT_EQUAL(hak_pool.kinds[0].empty_slots, 4);
	UNIT_EQUAL(hak_pool.large_empty_slots, 10);
	CU_ASSERT_FALSE(hak_large_resize(run, SLOTS(35)));
	UNIT_EQUAL(hak_pool.kinds[0].empty_slots, 4);
	CU_ASSERT_TRUE(hak_large_resize(run, SLOTS(33)));
	UNIT_EQUAL(hak_pool.kinds[0].empty_slots, 1);
	UNIT_EQUAL(hak_pool.large_empty_slots, 0);
	UNIT_EQUAL(run[0], 'r');
	UNIT_EQUAL(run[SLOTS(33) - 1], 0);
	audit();
	/* The last EMPTY slab is longer than what is taken of it. */
	hak_pool_release_slab(slabs[4], HAK_RELEASE_DRAIN);
	CU_ASSERT_TRUE(hak_large_resize(run, SLOTS(20)));
	hak_large_free(run);
	UNIT_EQUAL(hak_pool.superslabs_in_use, 0);
	audit();
}

/* A run that is zero but for a few slots that were used before is made so; one that was mostly used is taken as it is. */
static void few_used_slots_are_purged(void)
{
	bool zero;
	tight_start();
	hak_purge_all();
	char *run = hak_large_alloc(SLOTS(100), 16, &zero);
	CU_ASSERT_TRUE(zero);
	memset(run, 'd', SLOTS(100));
	hak_large_free(run);
	char *most = hak_large_alloc(SLOTS(140), 16, &zero);
	CU_ASSERT_FALSE(zero);
	UNIT_EQUAL(most[SLOTS(50)], 'd');
	hak_large_free(most);
	run = hak_large_alloc(SLOTS(800), 16, &zero);
	CU_ASSERT_PTR_EQUAL(run, most);
	CU_ASSERT_TRUE(zero);
	for (unsigned slot = 0; slot < 800; slot++)
		CU_ASSERT_TRUE(run[SLOTS(slot)] == 0 && run[SLOTS(slot + 1) - 1] == 0);
	hak_large_free(run);
}

/* EMPTY slots become room for a long run when there is no other. */
static void empty_slots_are_the_last_resort(void)
{
	char *runs[RUNS_MAX * 10];
	size_t count = 0;
	bool zero;
	tight_start();
	while ((runs[count] = hak_large_alloc(SLOTS(3), 16, &zero)) != NULL)
		mark(runs[count++], 'x');
	/* One in each SuperSlab stays: so the rest remain EMPTY. */
	for (size_t i = 0; i < count; i++)
		if (i % 20 != 0)
			CU_ASSERT_TRUE(hak_large_free(runs[i]));
	CU_ASSERT_TRUE(hak_pool.large_empty_slots > 0);
	char *run = hak_large_alloc(SLOTS(50), 16, &zero);
	CU_ASSERT_PTR_NOT_NULL_FATAL(run);
	CU_ASSERT_TRUE(!zero || run[SLOTS(1)] == 0);
	audit();
	hak_large_free(run);
	for (size_t i = 0; i < count; i += 20) {
		CU_ASSERT_TRUE(is_marked(runs[i], 'x'));
		hak_large_free(runs[i]);
	}
	UNIT_EQUAL(hak_pool.superslabs_in_use, 0);
}

/* Of an address in any of its SuperSlabs the run is known. */
static void addresses_inside_lead_to_the_run(void)
{
	bool zero;
	tight_start();
	char *first = hak_large_alloc(SLOTS(50), 16, &zero);
	char *run = hak_large_alloc(SLOTS(90), 16, &zero);
	CU_ASSERT_PTR_EQUAL(run, first + SLOTS(50));
	for (unsigned slot = 0; slot < 140; slot++) {
		struct hak_whereabouts at;
		char *start = slot < 50 ? first : run;
		hak_postmortem_find((uintptr_t)first + SLOTS(slot) + 99, &at);
		UNIT_EQUAL(at.kind, HAK_AT_live);
		UNIT_EQUAL(at.block, (uintptr_t)start);
		UNIT_EQUAL(at.block_bytes, hak_large_usable(start));
		UNIT_EQUAL(hak_large_find(first + SLOTS(slot)) != HAK_NO_SLOT, slot == 0 || slot == 50);
	}
	hak_large_free(first);
	hak_large_free(run);
}

/* Blocks of random lengths that come, grow, shrink and go: each keeps its marks, and the records agree. */
static void random_runs(void)
{
	char *runs[RUNS_MAX] = {NULL};
	uint32_t random = 77;
	bool zero;
	tight_start();
	for (unsigned turn = 0; turn < 20000; turn++) {
		random ^= random << 13, random ^= random >> 17, random ^= random << 5;
		char **place = &runs[random / 64 % RUNS_MAX], with = (char)('A' + (place - runs) % 26);
		unsigned slots = 1 + random / 16384 % (random % 8 == 0 ? 150 : 24);
		CU_ASSERT_TRUE(*place == NULL || is_marked(*place, with));
		if (*place == NULL) {
			*place = hak_large_alloc(SLOTS(slots), random % 64 < 60 ? 16 : SLOTS(1 + random % 2), &zero);
		} else if (random % 3 == 0) {
			hak_large_resize(*place, SLOTS(slots));
		} else {
			CU_ASSERT_TRUE(hak_large_free(*place));
			*place = NULL;
		}
		if (*place != NULL)
			mark(*place, with);
		if (turn % 500 == 0)
			audit();
	}
	for (size_t i = 0; i < RUNS_MAX; i++)
		CU_ASSERT_TRUE(runs[i] == NULL || hak_large_free(runs[i]));
	UNIT_EQUAL(hak_pool.large_slots, 0);
	UNIT_EQUAL(hak_pool.superslabs_in_use, 0);
}

/* The first case's child must start without a reservation. */
UNIT_MAIN("straddle", UNIT(whole_superslabs_where_there_is_plenty), UNIT(runs_fill_the_heap),
	UNIT(the_rest_of_a_superslab_serves_others), UNIT(grows_and_shrinks_over_borders),
	UNIT(grows_over_empty_slabs),
	UNIT(few_used_slots_are_purged), UNIT(empty_slots_are_the_last_resort), UNIT(addresses_inside_lead_to_the_run), UNIT(random_runs))
