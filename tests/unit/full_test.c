/* The level full: every call of the family on guarded blocks, what is reported, and what the sums say meanwhile. */
#include "lib/full.h"

#include <errno.h>
#include <pthread.h>

#include "lib/audit.h"
#include "lib/entry.h"
#include "lib/quarantine.h"
#include "lib/report.h"
#include "lib/sample.h"
#include "lib/settings.h"
#include "lib/zone.h"
#include "tests/unit/heap.h"

#define MANY 2000

static char *blocks[MANY];
static char said[8192];
static uint32_t stacks; /* numbers given to stacks so far */

static uint32_t on_capture(void)
{
	return ++stacks;
}

/* Odd stacks come by address 7. */
static bool on_stack_has(uint32_t stack, uintptr_t address)
{
	return address == 7 && stack % 2;
}

static const char *const kinds[] = {
#define X(name, text) #name,
	HAK_REPORTS(X)
#undef X
};

static void on_report(const struct hak_report_details *details)
{
	fprintf(stderr, "%s", kinds[details->kind]);
	if (details->block.address)
		fprintf(stderr, " %d of %zu %s", (int)(details->address - details->block.address), details->block.bytes,
			details->block.state == HAK_GUARDED_LIVE ? "live" : "freed");
	if (details->damage)
		fprintf(stderr, " damage %zu", details->damage);
	if (details->block.address && (!details->block.alloc_stack || !details->block.alloc_tid))
		fprintf(stderr, " by nobody");
	if (details->block.state == HAK_GUARDED_FREED && (!details->block.free_stack || !details->block.free_tid))
		fprintf(stderr, " freed by nobody");
	fprintf(stderr, "\n");
}

static const struct hak_sink sink = {.capture = on_capture, .stack_has = on_stack_has, .report = on_report};

static void start(unsigned class, uintptr_t site)
{
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	hak_trace_set_sink(&sink);
	hak_free(hak_malloc(1));
	CU_ASSERT_TRUE_FATAL(hak_full_start(class, site, 1));
	CU_ASSERT_FALSE(hak_full_is_off());
	hak_inspect_request_drain(); /* this thread hears of it now */
}

static void stop(void)
{
	hak_full_stop();
	CU_ASSERT_TRUE(hak_full_is_off());
	UNIT_EQUAL(hak_quarantine_bytes(), 0);
	hak_inspect_request_drain();
	hak_trace_set_sink(NULL);
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

static bool is_guarded(const void *block, size_t bytes)
{
	struct hak_guarded found;
	size_t usable = 0;

	return hak_full_find((uintptr_t)block, &found) && found.address == (uintptr_t)block && found.bytes == bytes &&
		found.state == HAK_GUARDED_LIVE && hak_full_usable(block, &usable) && usable == bytes;
}

static bool holds(const void *block, size_t bytes, uint8_t byte)
{
	for (size_t i = 0; i < bytes; i++) {
		if (((const uint8_t *)block)[i] != byte)
			return false;
	}
	return true;
}

/* ---- The family ---- */

static void every_size_and_alignment(void)
{
	static const size_t sizes[] = {0, 1, 7, 8, 16, 24, 100, 1000, 5000, 32000, 32744, 32745, 32768, 65000, 65536, 300000, 3 << 20};
	start(HAK_FULL_ANY_CLASS, 0);
	for (unsigned i = 0; i < HAK_COUNT_OF(sizes); i++) {
		char *block = hak_malloc(sizes[i]);
		CU_ASSERT_TRUE(is_guarded(block, sizes[i]));
		UNIT_EQUAL(hak_usable_size(block), sizes[i]);
		UNIT_EQUAL((uintptr_t)block % 16, 0);
		memset(block, 1, sizes[i]);
		hak_free(block);
		for (size_t alignment = 8; alignment <= 4 << 20; alignment *= 2) {
			block = hak_memalign(alignment, sizes[i]);
			CU_ASSERT_TRUE(is_guarded(block, sizes[i]));
			UNIT_EQUAL((uintptr_t)block % alignment, 0);
			memset(block, 1, sizes[i]);
			hak_free(block);
		}
		block = hak_calloc(1, sizes[i]);
		CU_ASSERT_TRUE(is_guarded(block, sizes[i]));
		CU_ASSERT_TRUE(holds(block, sizes[i], 0));
		hak_free(block);
	}
	UNIT_EQUAL(hak_stat_get(misuse_reports), 0);
	stop();
}

static void reallocs_keep_what_was_there(void)
{
	char *block;
	start(HAK_FULL_ANY_CLASS, 0);
	block = hak_malloc(10);
	memset(block, 0x42, 10);
	for (size_t bytes = 10; bytes < 2 << 20; bytes = bytes * 5 / 4 + 1) {
		char *moved = hak_realloc(block, bytes);
		CU_ASSERT_TRUE_FATAL(is_guarded(moved, bytes));
		CU_ASSERT_TRUE(holds(moved, 10, 0x42));
		memset(moved, 0x42, bytes);
		block = moved;
		CU_ASSERT_PTR_EQUAL(hak_realloc(block, bytes), block); /* as it is */
	}
	/* A large block stays where it is while its slots do. */
	block = hak_realloc(block, 100000);
	CU_ASSERT_PTR_EQUAL(hak_realloc(block, 100100), block);
	CU_ASSERT_TRUE(is_guarded(block, 100100));
	CU_ASSERT_TRUE(holds(block, 100000, 0x42));
	for (size_t bytes = 100000; bytes; bytes /= 3) {
		block = hak_realloc(block, bytes);
		CU_ASSERT_TRUE(is_guarded(block, bytes) && holds(block, bytes, 0x42));
	}
	CU_ASSERT_PTR_NULL(hak_realloc(block, 0));
	block = hak_malloc(10);
	CU_ASSERT_PTR_NULL(hak_realloc(block, SIZE_MAX));
	UNIT_EQUAL(errno, ENOMEM);
	hak_free(block);
	UNIT_EQUAL(hak_stat_get(misuse_reports), 0);
	stop();
}

/* New blocks are filled with one pattern, freed ones with another, as HAKMEM_FILL has it; calloc's are zero. */
static void fills(void)
{
	for (unsigned fill = HAK_FILL_BOTH; fill <= HAK_FILL_NONE; fill++) {
		struct hak_guarded found;
		char *block;
		start(HAK_FULL_ANY_CLASS, 0);
		hak_settings.fill = fill;
		block = hak_malloc(200);
		UNIT_EQUAL(holds(block, 200, HAK_NEW_BYTE), fill == HAK_FILL_BOTH || fill == HAK_FILL_ALLOC);
		memset(block, 3, 200);
		hak_free(block);
		UNIT_EQUAL(holds(block, 200, HAK_FREED_BYTE), fill == HAK_FILL_BOTH || fill == HAK_FILL_FREE);
		UNIT_EQUAL(holds(block, 200, 3), fill == HAK_FILL_ALLOC || fill == HAK_FILL_NONE);
		CU_ASSERT_TRUE(hak_full_find((uintptr_t)block + 5, &found));
		UNIT_EQUAL(found.state, HAK_GUARDED_FREED);
		stop();
	}
	hak_settings.fill = HAK_FILL_BOTH;
}

/* ---- Sums ---- */

static void counts_are_sound(void)
{
	struct hak_inspect before, now;
	uint64_t kept;
	start(HAK_FULL_ANY_CLASS, 0);
	before = heap_look();
	for (unsigned i = 0; i < MANY; i++)
		blocks[i] = hak_malloc(i * i % 50000);
	now = heap_look();
	UNIT_EQUAL(heap_live(&now) - heap_live(&before), MANY);
	CU_ASSERT_PTR_NULL(hak_audit_all());
	for (unsigned i = 0; i < MANY; i += 2)
		hak_free(blocks[i]);
	now = heap_look();
	UNIT_EQUAL(heap_live(&now) - heap_live(&before), MANY / 2);
	kept = hak_quarantine_bytes();
	CU_ASSERT_TRUE(kept > 0 && kept <= hak_settings.quarantine_bytes);
	CU_ASSERT_TRUE(now.cached_bytes >= kept);
	CU_ASSERT_PTR_NULL(hak_audit_all());
	for (unsigned i = 1; i < MANY; i += 2)
		hak_free(blocks[i]);
	now = heap_look();
	UNIT_EQUAL(heap_live(&now), heap_live(&before));
	stop();
	now = heap_look();
	UNIT_EQUAL(now.large_cached_slots, 0);
}

static void quarantine_is_bounded(void)
{
	start(HAK_FULL_ANY_CLASS, 0);
	hak_settings.quarantine_bytes = 100000;
	for (unsigned i = 0; i < MANY; i++) {
		hak_free(hak_malloc(i));
		CU_ASSERT_TRUE(hak_quarantine_bytes() <= 100000);
	}
	CU_ASSERT_TRUE(hak_quarantine_bytes() > 90000);
	hak_free(hak_malloc(200000)); /* longer than all of it */
	UNIT_EQUAL(hak_quarantine_large(), 0);
	hak_settings.quarantine_bytes = 0;
	hak_free(hak_malloc(10));
	UNIT_EQUAL(hak_quarantine_bytes(), 0);
	hak_settings.quarantine_bytes = 16 << 20;
	stop();
}

/* ---- On and off ---- */

static void blocks_of_before_and_after(void)
{
	char *before[3] = {hak_malloc(100), hak_malloc(5000), hak_malloc(200000)}, *during[3], *after;
	start(HAK_FULL_ANY_CLASS, 0);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_FALSE(is_guarded(before[i], 100));
		during[i] = hak_malloc(100 + i * 40000);
	}
	CU_ASSERT_TRUE(hak_usable_size(before[0]) >= 100);
	hak_free(before[0]);
	before[1] = hak_realloc(before[1], 9000); /* moves, and is guarded then */
	CU_ASSERT_TRUE(is_guarded(before[1], 9000));
	before[2] = hak_realloc(before[2], 200001); /* doesn't, and isn't */
	CU_ASSERT_FALSE(is_guarded(before[2], 200001));
	hak_full_stop();
	after = hak_malloc(100);
	CU_ASSERT_FALSE(is_guarded(after, 100));
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_TRUE(is_guarded(during[i], 100 + i * 40000));
	during[1] = hak_realloc(during[1], 100);
	CU_ASSERT_FALSE(is_guarded(during[1], 100));
	for (unsigned i = 0; i < 3; i++)
		hak_free(during[i]);
	hak_free(before[1]);
	hak_free(before[2]);
	hak_free(after);
	UNIT_EQUAL(hak_quarantine_bytes(), 0);
	stop();
}

static void one_class_or_one_site(void)
{
	unsigned guarded = 0;
	start(HAK_CLASS_OF_BIN(hak_bin_of_size(100)), 0);
	for (size_t bytes = 0; bytes < 40000; bytes = bytes * 9 / 8 + 1) {
		char *block = hak_malloc(bytes);
		UNIT_EQUAL(is_guarded(block, bytes), bytes > 96 && bytes <= 112);
		hak_free(block);
	}
	stop();
	start(HAK_FULL_ANY_CLASS, 7);
	for (unsigned i = 0; i < 100; i++) {
		blocks[i] = hak_malloc(50);
		guarded += is_guarded(blocks[i], 50);
	}
	UNIT_EQUAL(guarded, 50);
	for (unsigned i = 0; i < 100; i++)
		hak_free(blocks[i]);
	stop();
}

/* Another thread is guarded from its first malloc on, frees what is others', and ends. */
static void *other_thread(void *argument)
{
	char **exchanged = argument;

	hak_free(*exchanged);
	*exchanged = hak_malloc(77);
	return is_guarded(*exchanged, 77) ? argument : NULL;
}

static void other_threads(void)
{
	start(HAK_FULL_ANY_CLASS, 0);
	for (unsigned i = 0; i < 50; i++) {
		pthread_t thread;
		char *exchanged = hak_malloc(33);
		void *result;
		pthread_create(&thread, NULL, other_thread, &exchanged);
		pthread_join(thread, &result);
		CU_ASSERT_PTR_NOT_NULL(result);
		hak_free(exchanged);
	}
	stop();
}

/* ---- Together with the profiler ---- */

static unsigned sampled, sampled_freed;

static uint32_t on_sample(const struct hak_sample *sample)
{
	sampled++;
	return (uint32_t)sample->bytes;
}

static void on_sample_freed(const struct hak_sample *sample, uint64_t lived_ns, bool temporary)
{
	(void)lived_ns;
	(void)temporary;
	sampled_freed += sample->stack == sample->bytes;
}

/* One in 10,000 bytes of what guarded blocks take is sampled, as others' are; the sample is the guarded block itself. */
static void samples_are_guarded_blocks(void)
{
	static const struct hak_sink both = {.sample = on_sample, .sample_freed = on_sample_freed};
	struct hak_sample_counts counts;
	start(HAK_FULL_ANY_CLASS, 0);
	hak_trace_set_sink(&both);
	CU_ASSERT_TRUE_FATAL(hak_sample_start(10000, 1, 20000));
	hak_inspect_request_drain();
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < MANY; i++)
			blocks[i] = hak_malloc(100); /* 128 bytes with its zones */
		hak_sample_count(&counts);
		CU_ASSERT_TRUE(counts.live > 0);
		for (unsigned i = 0; i < MANY; i++) {
			CU_ASSERT_TRUE(is_guarded(blocks[i], 100));
			hak_free(blocks[i]);
		}
	}
	/* 20 * 2000 * 128 / 10000 = 512, within four deviations. */
	CU_ASSERT_TRUE(sampled > 512 - 91 && sampled < 512 + 91);
	UNIT_EQUAL(sampled_freed, sampled);
	hak_sample_count(&counts);
	UNIT_EQUAL(counts.live, 0);
	hak_sample_stop();
	stop();
}

/* ---- Fork ---- */

static void forks(void)
{
	start(HAK_FULL_ANY_CLASS, 0);
	for (unsigned i = 0; i < MANY; i++)
		blocks[i] = hak_malloc(i);
	hak_free(blocks[0]);
	for (unsigned i = 0; i < 5; i++) {
		pid_t child = fork();
		int status;
		if (child == 0) {
			for (unsigned j = 1; j < MANY; j++)
				hak_free(blocks[j]);
			char *own = hak_malloc(100);
			_exit(is_guarded(own, 100) && hak_stat_get(misuse_reports) == 0 ? 0 : 1);
		}
		waitpid(child, &status, 0);
		UNIT_EQUAL(status, 0);
	}
	for (unsigned i = 1; i < MANY; i++)
		hak_free(blocks[i]);
	stop();
}

/* ---- Misuse ---- */

static void misuse_small(int what, char *block)
{
	switch (what) {
	case 0:
		block[100] = 1;
		hak_free(block);
		break;
	case 1:
		block[-3] = 1;
		hak_free(block);
		break;
	case 2:
		hak_free(block);
		block[50] = 1;
		hak_full_yield();
		break;
	case 3:
		hak_free(block);
		hak_free(block);
		break;
	case 4:
		hak_free(block);
		hak_full_yield();
		hak_free(block); /* long gone, but not used again */
		break;
	case 5:
		hak_free(block + 16);
		break;
	case 6:
		hak_free(block);
		if (hak_realloc(block, 10) || errno != EINVAL)
			_exit(5);
		break;
	case 7:
		hak_realloc(block + 1, 10);
		break;
	case 8:
		hak_entry_free_sized(block, 104, 16);
		break;
	case 9:
		hak_entry_free_sized(block, 100, (size_t)1 << 40);
		break;
	case 10: /* moved, and used by its old address */
		hak_realloc(block, 101);
		block[0] = 1;
		hak_full_yield();
		break;
	case 11:
		if (hak_usable_size(block + 8) != 0)
			_exit(5);
		break;
	default:
		_exit(7);
	}
}

static void misuse_large(int what, char *block, char *large)
{
	struct hak_cell_checked sums;

	switch (what) {
	case 12:
		large[100000] = 1;
		hak_free(large);
		break;
	case 13:
		large[-16] = 1;
		hak_free(large);
		break;
	case 14:
		hak_free(large);
		hak_free(large);
		break;
	case 15:
		hak_free(large + 65536);
		break;
	case 16: /* on request */
		block[101] = 1;
		hak_full_check(&sums);
		if (sums.live != 3 || sums.damaged != 1)
			_exit(5);
		hak_full_check(&sums);
		hak_free(block);
		hak_free(large);
		if (sums.damaged)
			_exit(6);
		break;
	case 17:
		large[100001] = 1;
		hak_full_check(&sums);
		if (sums.damaged != 1)
			_exit(5);
		hak_free(large);
		break;
	case 18: /* all that is allowed */
		hak_entry_free_sized(block, 100, 16);
		hak_entry_free_sized(large, 0, 0);
		break;
	default:
		_exit(7);
	}
}

static void misuse(void *argument)
{
	int what = *(int *)argument;
	char *block, *large;

	start(HAK_FULL_ANY_CLASS, 0);
	hak_malloc(101); /* keeps its slab in use */
	block = hak_malloc(100);
	large = hak_malloc(100000);
	if (what < 12)
		misuse_small(what, block);
	else
		misuse_large(what, block, large);
	_exit(0);
}

static void misuse_is_reported(void)
{
	static const char *const reports[] = {
		"OVERFLOW 100 of 100 live damage 1\n",
		"UNDERFLOW -3 of 100 live damage 1\n",
		"USE_AFTER_FREE 50 of 100 freed damage 1\n",
		"DOUBLE_FREE 0 of 100 freed\n",
		"DOUBLE_FREE 0 of 100 freed\n",
		"INVALID_FREE 16 of 100 live\n",
		"REALLOC_OF_FREED 0 of 100 freed\n",
		"INVALID_REALLOC 1 of 100 live\n",
		"WRONG_SIZE 0 of 100 live\n",
		"WRONG_SIZE 0 of 100 live\n",
		"USE_AFTER_FREE 0 of 100 freed damage 1\n",
		"INVALID_USABLE 8 of 100 live\n",
		"OVERFLOW 100000 of 100000 live damage 1\n",
		"UNDERFLOW -16 of 100000 live damage 1\n",
		"DOUBLE_FREE 0 of 100000 freed\n",
		"INVALID_FREE\n",
		"OVERFLOW 101 of 100 live damage 1\n",
		"OVERFLOW 100001 of 100000 live damage 1\n",
		"",
	};

	for (int i = 0; i < (int)HAK_COUNT_OF(reports); i++) {
		int status = unit_in_child(misuse, &i, said, sizeof(said));
		if (status || strcmp(said, reports[i]) != 0)
			fprintf(stderr, "\n    misuse %d:", i);
		UNIT_EQUAL(status, 0);
		UNIT_STRING(said, reports[i]);
	}
}

static void touch_freed_large(void *argument)
{
	char *block;

	start(HAK_FULL_ANY_CLASS, 0);
	block = hak_malloc(200000);
	hak_free(block);
	if (!hak_full_is_closed((uintptr_t)block + 100000) || hak_full_is_closed((uintptr_t)said))
		_exit(5);
	if (*(int *)argument && !hak_full_open((uintptr_t)block))
		_exit(6);
	block[100000] = 1;
	hak_full_yield();
	_exit(0);
}

/* Whoever touches a large block that was freed is stopped there, unless it was opened. */
static void freed_large_blocks_are_closed(void)
{
	int opened = 0, status;
	UNIT_LEAVE_IF(UNIT_ASAN || UNIT_TSAN, "a sanitizer has its own handler of faults");
	status = unit_in_child(touch_freed_large, &opened, said, sizeof(said));
	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	opened = 1;
	UNIT_EQUAL(unit_in_child(touch_freed_large, &opened, said, sizeof(said)), 0);
}

UNIT_MAIN("full", UNIT(every_size_and_alignment), UNIT(reallocs_keep_what_was_there), UNIT(fills), UNIT(counts_are_sound),
	UNIT(quarantine_is_bounded), UNIT(blocks_of_before_and_after), UNIT(one_class_or_one_site), UNIT(other_threads),
	UNIT(samples_are_guarded_blocks), UNIT(forks), UNIT(misuse_is_reported), UNIT(freed_large_blocks_are_closed))
