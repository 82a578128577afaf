/* The sweep: free pages of slabs in use go back when nobody touched the slab for a while, and nothing else does. The
 * clock is the tests' own. */
#include "lib/sweep.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "lib/audit.h"
#include "lib/depot.h"
#include "lib/os.h"
#include "tests/unit/pool.h"

#define CLASS HAK_CLASS_OF_1024
#define BLOCKS 64 /* of a slab */
#define DELAY 1000
#define PAGE hak_os_page_size()

static uint32_t now_ms = 1;

/* One whole pass, and time goes on until the next is due. */
static void pass(void)
{
	hak_sweep_due(now_ms, UINT32_MAX);
	now_ms += DELAY / 2 + 1;
}

static void start(void)
{
	pool_start();
	hak_settings.purge_delay_ms = DELAY;
	hak_depot_trim();
	now_ms += DELAY;
}

static void put(unsigned class, void *block)
{
	struct hak_batch batch = {.head = block, .length = 1};
	((struct hak_block *)block)->next = NULL;
	hak_depot_put(class, &batch, 1, HAK_RELEASE_DRAIN);
}

/* Takes `count` blocks of a new slab and returns the slab's address. */
static char *take(unsigned class, unsigned count)
{
	char *slab = NULL;
	while (count > 0) {
		struct hak_batch batch = hak_depot_fetch(class, count);
		CU_ASSERT_TRUE_FATAL(batch.length > 0 && batch.length <= count);
		if (!slab)
			slab = (char *)batch.head; /* the lowest: they are carved in order */
		count -= batch.length;
	}
	UNIT_EQUAL((uintptr_t)slab % HAK_SLOT_BYTES, 0);
	return slab;
}

/* Frees a slab's blocks, but those at multiples of `keep_every`. */
static void thin_out(char *slab, unsigned keep_every)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (i % keep_every != 0)
			put(CLASS, slab + 1024 * i);
	}
	hak_depot_trim();
}

/* A slab of the class, all its bytes 'x', with free blocks. */
static char *sparse_slab(unsigned keep_every)
{
	char *slab = take(CLASS, BLOCKS);
	memset(slab, 'x', HAK_SLOT_BYTES);
	thin_out(slab, keep_every);
	return slab;
}

static void release(char *slab, unsigned keep_every)
{
	for (unsigned i = 0; i < BLOCKS; i += keep_every)
		put(CLASS, slab + 1024 * i);
	hak_depot_trim();
	UNIT_EQUAL(hak_depots[CLASS].handed_out, 0);
}

static bool all(const char *bytes, size_t count, char value)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] != value)
			return false;
	}
	return true;
}

static void only_whole_free_pages_go(void)
{
	start();
	char *slab = sparse_slab(16);
	uint64_t purged = hak_stat_get(purged_bytes), calls = hak_stat_get(madvise);
	for (int i = 0; i < 3; i++)
		pass();
	for (size_t i = 0; i < HAK_SLOT_BYTES; i += PAGE) {
		bool kept = i % (16 * 1024) < 1024;
		CU_ASSERT_TRUE(all(slab + i, kept && PAGE > 1024 ? 1024 : PAGE, kept ? 'x' : 0));
	}
	UNIT_EQUAL(hak_stat_get(purged_bytes) - purged, HAK_SLOT_BYTES - 4 * PAGE);
	UNIT_EQUAL(hak_stat_get(madvise) - calls, 4); /* neighbours in one call */
	CU_ASSERT_PTR_NULL(hak_audit_depots());
	pass();
	UNIT_EQUAL(hak_stat_get(madvise) - calls, 4); /* once is enough */
	release(slab, 16);
}

/* Which of the page's blocks are in use at its edges decides; free ones in a row over several words of bits are one
 * run. */
static void runs_end_where_blocks_do(void)
{
	start();
	char *slab = take(HAK_CLASS_OF_48, 1365);
	memset(slab, 'x', HAK_SLOT_BYTES);
	for (unsigned i = 0; i < 1365; i++) {
		if (i != 300 && i != 1000)
			put(HAK_CLASS_OF_48, slab + 48 * i);
	}
	hak_depot_trim();
	uint64_t calls = hak_stat_get(madvise);
	for (int i = 0; i < 3; i++)
		pass();
	UNIT_EQUAL(hak_stat_get(madvise) - calls, 3);
	const size_t first = hak_align_down(300 * 48, PAGE), second = hak_align_down(1000 * 48, PAGE);
	CU_ASSERT_TRUE(all(slab, first, 0));
	CU_ASSERT_TRUE(all(slab + 300 * 48, 48, 'x'));
	CU_ASSERT_TRUE(all(slab + first + PAGE, second - first - PAGE, 0));
	CU_ASSERT_TRUE(all(slab + 1000 * 48, 48, 'x'));
	CU_ASSERT_TRUE(
		all(slab + second + PAGE, HAK_SLOT_BYTES - second - PAGE, 0)); /* and what lies behind the last block */
	put(HAK_CLASS_OF_48, slab + 300 * 48);
	put(HAK_CLASS_OF_48, slab + 1000 * 48);
	hak_depot_trim();
}

static void a_slab_in_use_is_left_alone(void)
{
	start();
	char *slab = sparse_slab(16);
	uint64_t calls = hak_stat_get(madvise);
	for (int i = 0; i < 10; i++) {
		pass();
		pass();
		struct hak_batch batch = hak_depot_fetch(CLASS, 1); /* taken, and returned */
		CU_ASSERT_TRUE((char *)batch.head >= slab && (char *)batch.head < slab + HAK_SLOT_BYTES);
		pass();
		pass();
		hak_depot_put(CLASS, &batch, 1, HAK_RELEASE_DRAIN);
		hak_depot_trim();
	}
	UNIT_EQUAL(hak_stat_get(madvise), calls);
	for (int i = 0; i < 3; i++)
		pass();
	UNIT_EQUAL(hak_stat_get(madvise) - calls, 4);
	release(slab, 16);
}

/* Blocks that were not carved yet have pages if the slots were used before. */
static void what_is_not_carved_goes_too(void)
{
	start();
	memset(take(CLASS, BLOCKS), 'x', HAK_SLOT_BYTES);
	uint32_t used_before = hak_depots[CLASS].buckets[0];
	UNIT_EQUAL(used_before, HAK_NO_SLOT); /* it is full */
	uint64_t calls = hak_stat_get(madvise);
	for (int i = 0; i < 4; i++)
		pass();
	UNIT_EQUAL(hak_stat_get(madvise), calls);
	char *next = take(CLASS, 5);
	memset(next, 'x', HAK_SLOT_BYTES);
	put(CLASS, next);
	hak_depot_trim();
	for (int i = 0; i < 3; i++)
		pass();
	CU_ASSERT_TRUE(all(next + 1024, 4 * 1024, 'x'));
	CU_ASSERT_TRUE(all(next + hak_align_up(5 * 1024, PAGE), HAK_SLOT_BYTES - hak_align_up(5 * 1024, PAGE), 0));
	char *full = next - HAK_SLOT_BYTES;
	CU_ASSERT_TRUE(all(full, HAK_SLOT_BYTES, 'x'));
	for (unsigned i = 1; i < 5; i++)
		put(CLASS, next + 1024 * i);
	release(full, 1);
}

static void it_waits_for_its_time(void)
{
	start();
	char *slab = sparse_slab(16);
	hak_slot((uint32_t)hak_slot_of_address(slab))->idle = 0;
	hak_sweep_due(now_ms, UINT32_MAX);
	for (int i = 1; i <= DELAY / 2; i++)
		hak_sweep_due(now_ms + (uint32_t)i, UINT32_MAX);
	UNIT_EQUAL(hak_slot((uint32_t)hak_slot_of_address(slab))->idle, 1);
	hak_sweep_due(now_ms + DELAY / 2 + 1, UINT32_MAX);
	UNIT_EQUAL(hak_slot((uint32_t)hak_slot_of_address(slab))->idle, 2);
	hak_sweep_due(now_ms + DELAY / 2 + 1, UINT32_MAX); /* at the same time again */
	UNIT_EQUAL(hak_slot((uint32_t)hak_slot_of_address(slab))->idle, 2);
	now_ms += DELAY;
	release(slab, 16);
}

/* A step that may do less than there is goes on where it stopped, the next time. */
static void steps_are_bounded_and_nothing_is_forgotten(void)
{
	static char *slabs[100];
	start();
	for (int i = 0; i < 100; i++) /* over several SuperSlabs */
		slabs[i] = memset(take(CLASS, BLOCKS), 'x', HAK_SLOT_BYTES);
	for (int i = 0; i < 100; i++)
		thin_out(slabs[i], 16);
	pass();
	pass();
	uint64_t calls = hak_stat_get(madvise);
	unsigned steps = 0;
	for (; hak_stat_get(madvise) - calls < 400 && steps < 1000; steps++) {
		uint64_t before = hak_stat_get(madvise);
		hak_sweep_due(now_ms, 50);
		now_ms++;
		CU_ASSERT_TRUE(
			hak_stat_get(madvise) - before <= 50 + HAK_SLOTS_PER_SS * 4); /* it ends with a SuperSlab */
	}
	CU_ASSERT_TRUE(steps >= 3 && steps < 1000);
	for (int i = 0; i < 100; i++) {
		CU_ASSERT_TRUE(all(slabs[i] + PAGE, 16 * 1024 - PAGE, 0));
		for (unsigned block = 0; block < BLOCKS; block += 16)
			put(CLASS, slabs[i] + 1024 * block);
	}
	hak_depot_trim();
	UNIT_EQUAL(hak_depots[CLASS].handed_out, 0);
}

static void a_trim_does_not_wait(void)
{
	start();
	char *slab = sparse_slab(16);
	UNIT_EQUAL(hak_sweep_all(), HAK_SLOT_BYTES - 4 * PAGE);
	CU_ASSERT_TRUE(all(slab + PAGE, 16 * 1024 - PAGE, 0));
	UNIT_EQUAL(slab[0], 'x');
	UNIT_EQUAL(hak_sweep_all(), 0);
	release(slab, 16);
}

/* What the program locked stays, doesn't count as purged, and is not tried over and over. */
static void locked_pages_are_tried_once(void)
{
	start();
	char *slab = sparse_slab(16);
	/* Sanitizers make mlock() do nothing. */
	if (syscall(SYS_mlock, slab, HAK_SLOT_BYTES) != 0) {
		puts("left out: no memory may be locked here");
		release(slab, 16);
		return;
	}
	uint64_t calls = hak_stat_get(madvise), purged = hak_stat_get(purged_bytes);
	for (int i = 0; i < 9; i++)
		pass();
	UNIT_EQUAL(hak_stat_get(madvise) - calls, 1);
	UNIT_EQUAL(hak_stat_get(purged_bytes), purged);
	UNIT_EQUAL(slab[5000], 'x');
	syscall(SYS_munlock, slab, HAK_SLOT_BYTES);
	release(slab, 16);
}

UNIT_MAIN("sweep", UNIT(only_whole_free_pages_go), UNIT(runs_end_where_blocks_do), UNIT(a_slab_in_use_is_left_alone),
	UNIT(what_is_not_carved_goes_too), UNIT(it_waits_for_its_time),
	UNIT(steps_are_bounded_and_nothing_is_forgotten), UNIT(a_trim_does_not_wait), UNIT(locked_pages_are_tried_once))
