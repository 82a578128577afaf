/* The reservation and the arrays beside it: what is given out, how it grows, and what an address is. */
#include "lib/arena.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "lib/stats.h"
#include "lib/superslab.h"
#include "tests/unit/unit.h"

#define RESERVE ((size_t)2 << 30)

static uint32_t take(uint32_t count, size_t alignment)
{
	uint32_t skipped, skipped_count;
	return hak_arena_take(count, alignment, &skipped, &skipped_count);
}

static void takes_rise_and_are_writable(void)
{
	CU_ASSERT_TRUE_FATAL(hak_arena_init(RESERVE));
	CU_ASSERT_TRUE(hak_arena_init(RESERVE));
	UNIT_EQUAL(hak_heap.base % HAK_SS_BYTES, 0);
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t before = hak_arena_taken();
		UNIT_EQUAL(take(1, HAK_SS_BYTES), before);
		UNIT_EQUAL(hak_arena_taken(), before + 1);
		char *memory = (char *)hak_ss_address(before);
		UNIT_EQUAL(memory[0], 0);
		memory[0] = memory[HAK_SS_BYTES - 1] = 'x';
		UNIT_EQUAL(hak_ss(before)->unused, 0xffffffff);
		UNIT_EQUAL(hak_ss(before)->zero, 0xffffffff);
	}
	UNIT_EQUAL(hak_heap.slots, hak_arena_taken() * HAK_SLOTS_PER_SS);
	CU_ASSERT_TRUE(hak_arena_committed_bytes() >= 100 * HAK_SS_BYTES);
	CU_ASSERT_TRUE(hak_arena_committed_bytes() <= hak_arena_reserved_bytes());
	CU_ASSERT_TRUE(hak_arena_metadata_bytes() >= 100 * sizeof(struct hak_superslab));
}

/* The first step is one piece of the heap and one of metadata: what the start of every program pays. */
static void the_first_step_is_two_pieces(void)
{
	CU_ASSERT_TRUE_FATAL(hak_arena_init(RESERVE));
	uint64_t maps = hak_stat_get(mmap), protects = hak_stat_get(mprotect), advice = hak_stat_get(madvise);
	UNIT_EQUAL(take(1, HAK_SS_BYTES), 0);
	UNIT_EQUAL(hak_stat_get(mmap) - maps, 0);
	UNIT_EQUAL(hak_stat_get(mprotect) - protects, 2);
	UNIT_EQUAL(hak_stat_get(madvise) - advice, 2);
}

/* 256 SuperSlabs in steps of 4, 8, 16, 32, 64, 64…: that is what keeps a run at a handful of calls. */
static void commits_come_in_growing_steps(void)
{
	CU_ASSERT_TRUE_FATAL(hak_arena_init(RESERVE));
	uint64_t before = hak_stat_get(mprotect);
	for (int i = 0; i < 128; i++)
		CU_ASSERT_TRUE_FATAL(take(1, HAK_SS_BYTES) != HAK_NO_SUPERSLAB);
	CU_ASSERT_TRUE(hak_stat_get(mprotect) - before <= 24);
}

static void alignment_skips(void)
{
	CU_ASSERT_TRUE_FATAL(hak_arena_init(RESERVE));
	uint32_t skipped, skipped_count;
	take(1, HAK_SS_BYTES);
	uint32_t before = hak_arena_taken();
	uint32_t first = hak_arena_take(3, HAK_SS_BYTES * 16, &skipped, &skipped_count);
	CU_ASSERT_TRUE_FATAL(first != HAK_NO_SUPERSLAB);
	UNIT_EQUAL(hak_ss_address(first) % (HAK_SS_BYTES * 16), 0);
	UNIT_EQUAL(skipped, before);
	UNIT_EQUAL(skipped_count, first - before);
	UNIT_EQUAL(hak_arena_taken(), first + 3);
}

static void addresses(void)
{
	int on_the_stack;
	CU_ASSERT_TRUE_FATAL(hak_arena_init(RESERVE));
	uint32_t index = take(1, HAK_SS_BYTES);
	char *memory = (char *)hak_ss_address(index);
	UNIT_EQUAL(hak_slot_of_address(memory), index * HAK_SLOTS_PER_SS);
	UNIT_EQUAL(hak_slot_of_address(memory + HAK_SLOT_BYTES * 3 - 1), index * HAK_SLOTS_PER_SS + 2);
	UNIT_EQUAL(hak_slot_address(index * HAK_SLOTS_PER_SS + 2), (uintptr_t)memory + 2 * HAK_SLOT_BYTES);
	UNIT_EQUAL(hak_bin_of_address(memory), HAK_BIN_NONE);
	hak_heap.class_map[index * HAK_SLOTS_PER_SS + 1] = 7;
	UNIT_EQUAL(hak_bin_of_address(memory + HAK_SLOT_BYTES + 5), 7);
	hak_heap.class_map[index * HAK_SLOTS_PER_SS + 1] = HAK_BIN_NONE;
	UNIT_EQUAL(hak_bin_of_address(&on_the_stack), HAK_BIN_NONE);
	UNIT_EQUAL(hak_bin_of_address(NULL), HAK_BIN_NONE);
	UNIT_EQUAL(hak_bin_of_address((void *)UINTPTR_MAX), HAK_BIN_NONE);
	UNIT_EQUAL(hak_bin_of_address((char *)hak_heap.base - 1), HAK_BIN_NONE);
	UNIT_EQUAL(hak_bin_of_address((char *)hak_slot_address((uint32_t)hak_heap.slots)), HAK_BIN_NONE);
}

static void refuses_what_it_has_not(void)
{
	CU_ASSERT_TRUE_FATAL(hak_arena_init(RESERVE));
	uint32_t before = hak_arena_taken();
	size_t slots = hak_heap.slots;
	UNIT_EQUAL(take(1u << 20, HAK_SS_BYTES), HAK_NO_SUPERSLAB);
	UNIT_EQUAL(take(UINT32_MAX, HAK_SS_BYTES), HAK_NO_SUPERSLAB);
	UNIT_EQUAL(take(1, (size_t)1 << 62), HAK_NO_SUPERSLAB);
	UNIT_EQUAL(hak_arena_taken(), before);
	UNIT_EQUAL(hak_heap.slots, slots);
	CU_ASSERT_TRUE(take(1, HAK_SS_BYTES) != HAK_NO_SUPERSLAB);
}

static void metadata_is_zero(void)
{
	uint64_t before = hak_arena_metadata_bytes();
	char *memory = hak_arena_metadata(8192);
	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	for (int i = 0; i < 8192; i++)
		CU_ASSERT_TRUE_FATAL(memory[i] == 0);
	UNIT_EQUAL(hak_arena_metadata_bytes() - before, 8192);
}

/* Under a limit the reservation starts with a quarter of it and grows while it can, then refuses, without losing what it gave. */
static void live_under_a_limit(void *megabytes)
{
	size_t limit = *(size_t *)megabytes << 20;
	uint32_t count = 0;
	setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit});
	if (!hak_arena_init((size_t)1 << 40) || hak_arena_reserved_bytes() > limit / 4)
		_exit(2);
	while (take(1, HAK_SS_BYTES) != HAK_NO_SUPERSLAB)
		*(uint32_t *)hak_ss_address(count) = count, count++;
	for (uint32_t i = 0; i < count; i++) {
		if (*(uint32_t *)hak_ss_address(i) != i)
			_exit(3);
	}
	_exit((size_t)count * HAK_SS_BYTES >= limit / 5 && (size_t)count * HAK_SS_BYTES <= limit ? 0 : 4);
}

static void grows_under_a_limit(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator ignores limits on the address space");
	UNIT_LEAVE_IF(UNIT_ASAN || UNIT_TSAN, "a sanitizer's shadow memory is beyond any limit on the address space");
	size_t megabytes[] = {256, 700, 2048};
	for (size_t i = 0; i < HAK_COUNT_OF(megabytes); i++) {
		char said[256];
		int status = unit_in_child(live_under_a_limit, &megabytes[i], said, sizeof(said));
		UNIT_EQUAL(status, 0);
	}
}

static bool maps(uintptr_t address, size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (address ? MAP_FIXED : 0);
	return mmap((void *)address, bytes, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
}

#define CHILD_CHECK(condition) ((condition) ? (void)0 : (fprintf(stderr, "line %d: %s\n", __LINE__, #condition), _exit(5)))

/* What is given back serves others while they have it, is foreign meanwhile, and comes back zeroed. */
static void give_back_under_a_limit(void *unused)
{
	size_t limit = (size_t)512 << 20, bytes = 8 * HAK_SS_BYTES;
	uint32_t count = 0;
	(void)unused;
	setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit});
	CHILD_CHECK(hak_arena_init((size_t)1 << 40));
	UNIT_EQUAL(hak_arena_idle_max(), 4);
	while (take(1, HAK_SS_BYTES) != HAK_NO_SUPERSLAB)
		*(char *)hak_ss_address(count++) = 'x';
	uint64_t committed = hak_arena_committed_bytes(), reserved = hak_arena_reserved_bytes();
	CHILD_CHECK(!maps(0, bytes));
	CHILD_CHECK(hak_arena_give_back(10, 8));
	CHILD_CHECK(hak_arena_committed_bytes() == committed - bytes && hak_arena_reserved_bytes() == reserved - bytes);
	CHILD_CHECK(maps(0, bytes));
	CHILD_CHECK(hak_arena_get_back(9, 9) == ENOMEM);
	CHILD_CHECK(hak_arena_give_back(20, 8));
	CHILD_CHECK(maps(hak_ss_address(21), HAK_SS_BYTES));
	CHILD_CHECK(hak_bin_of_address((char *)hak_ss_address(21)) == HAK_BIN_NONE);
	CHILD_CHECK(hak_arena_get_back(20, 1) == 0);
	CHILD_CHECK(hak_arena_get_back(20, 3) == EEXIST);
	munmap((void *)hak_ss_address(21), HAK_SS_BYTES);
	CHILD_CHECK(hak_arena_get_back(20, 8) == 0);
	CHILD_CHECK(hak_arena_committed_bytes() == committed - bytes);
	for (uint32_t i = 20; i < 28; i++) {
		CHILD_CHECK(*(char *)hak_ss_address(i) == 0 && !hak_ss(i)->away);
		*(char *)hak_ss_address(i) = 'x';
	}
	CHILD_CHECK(*(char *)hak_ss_address(19) == 'x' && *(char *)hak_ss_address(28) == 'x');
	/* The first share is kept, and none of it given back. */
	while (hak_arena_reserved_bytes() > limit / 4)
		CHILD_CHECK(hak_arena_give_back(--count, 1));
	CHILD_CHECK(!hak_arena_give_back(--count, 1));
	CHILD_CHECK(hak_arena_reserved_bytes() > limit / 4 - HAK_SS_BYTES);
}

static void gives_back_under_a_limit(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator ignores limits on the address space");
	char said[512];
	UNIT_LEAVE_IF(UNIT_ASAN || UNIT_TSAN, "a sanitizer's shadow memory is beyond any limit on the address space");
	UNIT_EQUAL(unit_in_child(give_back_under_a_limit, NULL, said, sizeof(said)), 0);
	UNIT_STRING(said, "");
}

/* An address space that is smaller than what is asked for, as 39 bits are for 1 TiB: half as much is tried, and so on. */
static void start_with_less(void *unused)
{
	size_t asked = (size_t)1 << 47;
	(void)unused;
	CHILD_CHECK(hak_arena_init(asked));
	CHILD_CHECK(hak_arena_reserved_bytes() >= asked / 64 && hak_arena_reserved_bytes() <= asked / 2);
	uint32_t index = take(1, HAK_SS_BYTES);
	CHILD_CHECK(index == 0);
	*(char *)hak_ss_address(index) = 'x';
}

static void asks_for_less_where_little_fits(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator keeps a record of each page");
	UNIT_LEAVE_IF(UNIT_ASAN || UNIT_TSAN, "a sanitizer takes most of the address space");
	char said[512];
	UNIT_EQUAL(unit_in_child(start_with_less, NULL, said, sizeof(said)), 0);
	UNIT_STRING(said, "");
}

static void keeps_what_is_not_limited(void)
{
	CU_ASSERT_TRUE_FATAL(hak_arena_init(RESERVE));
	UNIT_EQUAL(hak_arena_idle_max(), UINT32_MAX);
	CU_ASSERT_FALSE(hak_arena_give_back(take(1, HAK_SS_BYTES), 1));
}

/* The cases under a limit stand first: their children must start without a reservation. */
UNIT_MAIN("arena", UNIT(grows_under_a_limit), UNIT(gives_back_under_a_limit), UNIT(asks_for_less_where_little_fits),
	UNIT(the_first_step_is_two_pieces), UNIT(takes_rise_and_are_writable),
	UNIT(commits_come_in_growing_steps), UNIT(alignment_skips), UNIT(addresses), UNIT(refuses_what_it_has_not),
	UNIT(metadata_is_zero), UNIT(keeps_what_is_not_limited))
