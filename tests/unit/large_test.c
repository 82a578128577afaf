/* Large allocations: runs of slots and whole SuperSlabs, their reuse, growing and shrinking in place, and addresses
 * that are none. */
#include "lib/large.h"

#include "tests/unit/pool.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static void *alloc(size_t bytes, size_t alignment, bool *zero)
{
	bool ignored;
	void *block = hak_large_alloc(bytes, alignment, zero != NULL ? zero : &ignored);
	CU_ASSERT_PTR_NOT_NULL_FATAL(block);
	return block;
}

static void sizes_are_rounded_to_slots(void)
{
	static const size_t sizes[] = {
		0, 1, 33 * KIB, 64 * KIB, 64 * KIB + 1, 500 * KIB, MIB, MIB + 1, 2 * MIB, 5 * MIB, 40 * MIB};
	void *blocks[HAK_COUNT_OF(sizes)];
	pool_start();
	for (size_t i = 0; i < HAK_COUNT_OF(sizes); i++) {
		blocks[i] = alloc(sizes[i], 16, NULL);
		size_t slots = sizes[i] ? (sizes[i] + HAK_SLOT_BYTES - 1) / HAK_SLOT_BYTES : 1;
		size_t whole = slots > HAK_LARGE_RUN_MAX ? hak_align_up(slots, HAK_SLOTS_PER_SS) : slots;
		UNIT_EQUAL(hak_large_usable(blocks[i]), whole * HAK_SLOT_BYTES);
		UNIT_EQUAL((uintptr_t)blocks[i] % HAK_SLOT_BYTES, 0);
		memset(blocks[i], (int)i + 1, hak_large_usable(blocks[i]));
	}
	for (size_t i = 0; i < HAK_COUNT_OF(sizes); i++) {
		char *content = blocks[i];
		UNIT_EQUAL(content[0], i + 1);
		UNIT_EQUAL(content[hak_large_usable(content) - 1], i + 1);
		CU_ASSERT_TRUE(hak_large_free(content));
	}
	UNIT_EQUAL(hak_pool.large_slots, 0);
	UNIT_EQUAL(hak_pool.large_allocs, hak_pool.large_frees);
	UNIT_EQUAL(hak_pool.superslabs_in_use, 0);
}

static void alignments(void)
{
	pool_start();
	for (size_t alignment = HAK_SLOT_BYTES; alignment <= 32 * MIB; alignment *= 2) {
		static const size_t sizes[] = {1, 100 * KIB, MIB, 3 * MIB};
		for (size_t i = 0; i < HAK_COUNT_OF(sizes); i++) {
			void *block = alloc(sizes[i], alignment, NULL);
			UNIT_EQUAL((uintptr_t)block % alignment, 0);
			CU_ASSERT_TRUE(hak_large_usable(block) >= sizes[i]);
			CU_ASSERT_TRUE(hak_large_free(block));
		}
	}
}

/* "Zero" may only be said of memory that is: fresh, or purged since it was used. */
static void zero_is_true(void)
{
	static const size_t sizes[] = {100 * KIB, 300 * KIB, MIB, 2 * MIB, 6 * MIB};
	pool_start();
	for (int round = 0; round < 40; round++) {
		size_t bytes = sizes[round % (int)HAK_COUNT_OF(sizes)];
		bool zero;
		unsigned char *block = alloc(bytes, 16, &zero);
		unsigned dirt = 0;
		for (size_t i = 0; zero && i < bytes; i++)
			dirt += block[i] != 0;
		UNIT_EQUAL(dirt, 0);
		memset(block, 0xff, hak_large_usable(block));
		if (round % 3 == 1)
			hak_large_resize(block, bytes / 2);
		CU_ASSERT_TRUE(hak_large_free(block));
		if (round % 7 == 6)
			hak_purge_all();
	}
	hak_purge_all();
	bool zero = false;
	void *block = alloc(MIB, 16, &zero);
	CU_ASSERT_TRUE(zero);
	hak_large_free(block);
}

static void freed_runs_are_reused(void)
{
	pool_start();
	void *keep = alloc(100 * KIB, 16, NULL);
	void *first = alloc(200 * KIB, 16, NULL);
	hak_large_free(first);
	UNIT_EQUAL(hak_pool.large_empty_slots, 4);
	void *same = alloc(250 * KIB, 16, NULL);
	CU_ASSERT_PTR_EQUAL(same, first);
	hak_large_free(same);
	void *shorter = alloc(100 * KIB, 16, NULL); /* cut from the freed run */
	CU_ASSERT_PTR_EQUAL(shorter, first);
	/* The rest has pages, and stays where purging finds it. */
	UNIT_EQUAL(hak_pool.large_empty_slots, 2);
	UNIT_EQUAL(hak_pool.kinds[HAK_KIND_OF_RUN(2)].count, 1);
	hak_large_free(shorter);
	hak_large_free(keep);
}

/* Freed neighbours become one run, whichever goes first, or memory would fall to pieces. */
static void freed_neighbours_are_joined(void)
{
	static const unsigned orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {2, 1, 0}};
	for (size_t i = 0; i < HAK_COUNT_OF(orders); i++) {
		pool_start();
		void *keep = alloc(100 * KIB, 16, NULL);
		char *runs[] = {alloc(128 * KIB, 16, NULL), alloc(192 * KIB, 16, NULL), alloc(64 * KIB, 16, NULL)};
		void *end = alloc(64 * KIB, 16, NULL);
		for (unsigned n = 0; n < 3; n++)
			CU_ASSERT_TRUE(hak_large_free(runs[orders[i][n]]));
		UNIT_EQUAL(hak_pool.large_empty_slots, 6);
		UNIT_EQUAL(hak_pool.kinds[HAK_KIND_OF_RUN(6)].count, 1);
		void *all = alloc(384 * KIB, 16, NULL);
		CU_ASSERT_PTR_EQUAL(all, runs[0]);
		hak_large_free(all);
		hak_large_free(keep);
		hak_large_free(end);
		UNIT_EQUAL(hak_pool.superslabs_in_use, 0);
	}
}

/* A run grows into what was freed behind it. */
static void a_run_grows_into_a_freed_one(void)
{
	pool_start();
	char *run = alloc(128 * KIB, 16, NULL), *next = alloc(256 * KIB, 16, NULL), *end = alloc(64 * KIB, 16, NULL);
	memset(run, 'r', 128 * KIB);
	CU_ASSERT_FALSE(hak_large_resize(run, 192 * KIB));
	hak_large_free(next);
	CU_ASSERT_TRUE(hak_large_resize(run, 192 * KIB));
	UNIT_EQUAL(hak_pool.large_empty_slots, 3);
	UNIT_EQUAL(hak_pool.kinds[HAK_KIND_OF_RUN(3)].count, 1);
	CU_ASSERT_FALSE(hak_large_resize(run, 448 * KIB)); /* the last one is in the way */
	UNIT_EQUAL(hak_pool.large_empty_slots, 3);
	CU_ASSERT_TRUE(hak_large_resize(run, 384 * KIB));
	UNIT_EQUAL(hak_pool.large_empty_slots, 0);
	UNIT_EQUAL(hak_large_usable(run), 384 * KIB);
	UNIT_EQUAL(run[128 * KIB - 1], 'r');
	hak_large_free(end);
	CU_ASSERT_TRUE(hak_large_resize(run, 500 * KIB)); /* what was freed, and what was never used */
	hak_large_free(run);
	UNIT_EQUAL(hak_pool.large_slots, 0);
}

/* Growth in place ends at the SuperSlab's edge for a run within one, however much more is asked for. */
static void a_run_does_not_grow_over_the_edge(void)
{
	pool_start();
	void *run = alloc(900 * KIB, 16, NULL);
	CU_ASSERT_TRUE(hak_large_resize(run, 2 * MIB));
	UNIT_EQUAL(hak_large_usable(run), 2 * MIB);
	CU_ASSERT_TRUE(hak_large_resize(run, 900 * KIB));
	CU_ASSERT_FALSE(hak_large_resize(run, 2 * MIB + 1));
	CU_ASSERT_FALSE(hak_large_resize(run, 9 * MIB));
	UNIT_EQUAL(hak_large_usable(run), 15 * HAK_SLOT_BYTES);
	CU_ASSERT_TRUE(hak_large_free(run));
}

static void other_addresses_are_refused(void)
{
	pool_start();
	int on_the_stack;
	char *run = alloc(300 * KIB, 16, NULL), *whole = alloc(5 * MIB, 16, NULL);
	char *bad[] = {NULL, (char *)&on_the_stack, run + 16, run + HAK_SLOT_BYTES, run - HAK_SLOT_BYTES,
		whole + HAK_SS_BYTES, whole + HAK_SLOT_BYTES, whole + 1, (char *)UINTPTR_MAX};
	for (size_t i = 0; i < HAK_COUNT_OF(bad); i++) {
		CU_ASSERT_FALSE(hak_large_free(bad[i]));
		UNIT_EQUAL(hak_large_usable(bad[i]), 0);
		CU_ASSERT_FALSE(hak_large_resize(bad[i], 100));
	}
	CU_ASSERT_TRUE(hak_large_free(run));
	CU_ASSERT_FALSE(hak_large_free(run));
	CU_ASSERT_TRUE(hak_large_free(whole));
	CU_ASSERT_FALSE(hak_large_free(whole));
}

static void resize_within_a_superslab(void)
{
	pool_start();
	char *block = alloc(100 * KIB, 16, NULL);
	memset(block, 'a', 100 * KIB);
	CU_ASSERT_TRUE(hak_large_resize(block, 500 * KIB));
	UNIT_EQUAL(hak_large_usable(block), 512 * KIB);
	UNIT_EQUAL(block[100 * KIB - 1], 'a');
	memset(block, 'b', 500 * KIB);
	char *behind = alloc(64 * KIB, 16, NULL);
	CU_ASSERT_PTR_EQUAL(behind, block + 512 * KIB);
	CU_ASSERT_FALSE(hak_large_resize(block, 600 * KIB)); /* a neighbour is in the way */
	UNIT_EQUAL(hak_large_usable(block), 512 * KIB);
	CU_ASSERT_TRUE(hak_large_resize(block, 65 * KIB));
	UNIT_EQUAL(hak_large_usable(block), 128 * KIB);
	UNIT_EQUAL(block[65 * KIB], 'b');
	UNIT_EQUAL(hak_pool.large_slots, 3);
	char *between = alloc(300 * KIB, 16, NULL);
	CU_ASSERT_PTR_EQUAL(between, block + 128 * KIB);
	CU_ASSERT_TRUE(hak_large_free(between));
	CU_ASSERT_TRUE(hak_large_free(block));
	CU_ASSERT_TRUE(hak_large_free(behind));
	UNIT_EQUAL(hak_pool.large_slots, 0);
}

static void resize_over_superslabs(void)
{
	pool_start();
	char *block = alloc(3 * MIB, 16, NULL);
	block[3 * MIB - 1] = 'c';
	CU_ASSERT_TRUE(hak_large_resize(block, 9 * MIB));
	UNIT_EQUAL(hak_large_usable(block), 10 * MIB);
	block[10 * MIB - 1] = 'd';
	UNIT_EQUAL(block[3 * MIB - 1], 'c');
	UNIT_EQUAL(hak_pool.superslabs_in_use, 5);
	CU_ASSERT_TRUE(hak_large_resize(block, 4 * MIB));
	UNIT_EQUAL(hak_large_usable(block), 4 * MIB);
	UNIT_EQUAL(hak_pool.superslabs_in_use, 2);
	CU_ASSERT_TRUE(hak_large_resize(block, 500 * KIB));
	UNIT_EQUAL(hak_large_usable(block), 512 * KIB);
	UNIT_EQUAL(hak_pool.superslabs_in_use, 1);
	UNIT_EQUAL(hak_pool.large_slots, 8);
	CU_ASSERT_TRUE(hak_large_free(block));
	UNIT_EQUAL(hak_pool.superslabs_in_use, 0);
	UNIT_EQUAL(hak_pool.large_slots, 0);
}

/* However long a block was, and however many idle SuperSlabs lie before it in ones and twos, it is found again: the heap
 * must not take new addresses for each. */
static void a_very_long_block_is_reused(void)
{
	static void *scattered[2400];
	pool_start();
	for (size_t i = 0; i < HAK_COUNT_OF(scattered); i++)
		scattered[i] = alloc(2 * MIB, 16, NULL);
	char *block = alloc(5000 * MIB, 16, NULL);
	block[0] = block[5000 * MIB - 1] = 'x';
	for (size_t i = 0; i < HAK_COUNT_OF(scattered); i += 2)
		CU_ASSERT_TRUE(hak_large_free(scattered[i]));
	CU_ASSERT_TRUE(hak_large_free(block));
	bool zero = false;
	CU_ASSERT_PTR_EQUAL(alloc(5000 * MIB, 16, &zero), block);
	CU_ASSERT_TRUE(zero);
	UNIT_EQUAL(block[0] + block[5000 * MIB - 1], 0);
	CU_ASSERT_PTR_EQUAL(alloc(2 * MIB, 16, NULL), scattered[0]);
	CU_ASSERT_TRUE(hak_large_free(block));
	for (size_t i = 0; i < HAK_COUNT_OF(scattered); i++) {
		if (i % 2 || i == 0)
			CU_ASSERT_TRUE(hak_large_free(scattered[i]));
	}
	UNIT_EQUAL(hak_pool.large_slots, 0);
}

static void impossible_sizes(void)
{
	bool zero;
	pool_start();
	CU_ASSERT_PTR_NULL(hak_large_alloc(SIZE_MAX, 16, &zero));
	CU_ASSERT_PTR_NULL(hak_large_alloc(PTRDIFF_MAX, 16, &zero));
	CU_ASSERT_PTR_NULL(hak_large_alloc((size_t)17 << 30, 16, &zero)); /* beyond this test's reservation */
	CU_ASSERT_PTR_NULL(hak_large_alloc(1, (size_t)1 << 62, &zero));
	CU_ASSERT_PTR_NULL(hak_large_alloc(1, (size_t)1 << 63, &zero));
	void *block = alloc(MIB, 16, NULL);
	CU_ASSERT_FALSE(hak_large_resize(block, SIZE_MAX / 2));
	UNIT_EQUAL(hak_large_usable(block), MIB);
	CU_ASSERT_TRUE(hak_large_free(block));
}

UNIT_MAIN("large", UNIT(sizes_are_rounded_to_slots), UNIT(alignments), UNIT(zero_is_true), UNIT(freed_runs_are_reused), UNIT(freed_neighbours_are_joined), UNIT(a_run_grows_into_a_freed_one),
	UNIT(a_run_does_not_grow_over_the_edge), UNIT(other_addresses_are_refused), UNIT(resize_within_a_superslab),
	UNIT(resize_over_superslabs), UNIT(a_very_long_block_is_reused), UNIT(impossible_sizes))
