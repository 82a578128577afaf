/* Blocks that stand alone: where they lie, what is inaccessible, what is found when they are freed, which place is used next. */
#include "lib/guard_page.h"

#include <setjmp.h>
#include <sys/resource.h>

#include "lib/os.h"
#include "lib/report.h"
#include "lib/settings.h"
#include "lib/stats.h"
#include "tests/unit/reports.h"
#include "tests/unit/unit.h"

#define PLACES 16

static char ordinary[64][16];

static void start(void)
{
	static const struct hak_sink sink = {.event = ignore_event, .report = keep_report};
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	hak_trace_set_sink(&sink);
	reported = 0;
	CU_ASSERT_TRUE_FATAL(hak_guard_page_start(PLACES, 42));
}

static struct hak_guard_page_counts counts(void)
{
	struct hak_guard_page_counts out;
	hak_guard_page_count(&out);
	return out;
}

static char *take(size_t bytes, unsigned align_shift)
{
	struct hak_guarded wanted = {.bytes = bytes, .align_shift = (uint8_t)align_shift, .class = 7, .alloc_stack = 77};
	return hak_guard_page_take(&wanted, ordinary[0]);
}

static void release(char *block)
{
	void *freed_too = NULL;
	CU_ASSERT_TRUE(hak_guard_page_free(block, 88, &freed_too));
	CU_ASSERT_PTR_EQUAL(freed_too, ordinary[0]);
	hak_trace_flush();
}

static sigjmp_buf after_fault;

/* NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c): the fault is in this thread's own code */
static void on_fault(int signal)
{
	siglongjmp(after_fault, signal);
}

/* Whether the processor refuses to read the byte. */
static bool faults(const volatile char *at)
{
	struct sigaction action = {.sa_handler = on_fault}, before;
	volatile bool refused = false;
	sigaction(SIGSEGV, &action, &before);
	if (sigsetjmp(after_fault, 1) == 0)
		(void)*at;
	else
		refused = true;
	sigaction(SIGSEGV, &before, NULL);
	return refused;
}

static void all_of_it_is_accessible_and_nothing_beside(void)
{
	static const size_t sizes[] = {1, 16, 100, 4095, 4096, 4097, 20000, 32768};
	size_t page = hak_os_page_size();
	unsigned ends = 0, beginnings = 0;
	start();
	for (int round = 0; round < 8; round++) {
		for (size_t i = 0; i < HAK_COUNT_OF(sizes); i++) {
			char *block = take(sizes[i], 4);
			CU_ASSERT_PTR_NOT_NULL_FATAL(block);
			CU_ASSERT_TRUE(hak_guard_page_holds(block) && hak_guard_page_holds(block + sizes[i] - 1));
			UNIT_EQUAL((uintptr_t)block % 16, 0);
			memset(block, 'x', sizes[i]);
			uintptr_t first = hak_align_down((uintptr_t)block, page), end = hak_align_up((uintptr_t)block + sizes[i], page);
			CU_ASSERT_TRUE(faults((char *)first - 1));
			CU_ASSERT_TRUE(faults((char *)end));
			ends += end - ((uintptr_t)block + sizes[i]) < 16;
			beginnings += (uintptr_t)block == first;
			UNIT_EQUAL(hak_guard_page_usable(block), sizes[i]);
			UNIT_EQUAL(hak_guard_page_usable(block + 1), 0);
			release(block);
			CU_ASSERT_TRUE(faults(block) && faults(block + sizes[i] - 1));
			UNIT_EQUAL(hak_guard_page_usable(block), 0);
		}
	}
	/* Each has its chance; blocks of whole pages are at both. */
	CU_ASSERT_TRUE(ends > 20 && beginnings > 20);
	UNIT_EQUAL(reported, 0);
	UNIT_EQUAL(counts().live, 0);
}

static void alignments(void)
{
	start();
	for (unsigned shift = 4; shift <= 15; shift++) {
		for (size_t bytes = 1; bytes <= 32768; bytes = bytes * 3 + 5) {
			for (int round = 0; round < 4; round++) {
				char *block = take(bytes, shift);
				if (block == NULL) {
					/* The highest are not to be had where a place doesn't begin at one. */
					CU_ASSERT_TRUE(shift > 12 && bytes > 100);
					continue;
				}
				UNIT_EQUAL((uintptr_t)block & (((uintptr_t)1 << shift) - 1), 0);
				memset(block, 'x', bytes);
				release(block);
			}
		}
	}
	UNIT_EQUAL(reported, 0);
}

static void no_bytes_have_an_address(void)
{
	struct hak_guarded found;
	start();
	for (int i = 0; i < 8; i++) {
		char *block = take(0, 4);
		CU_ASSERT_PTR_NOT_NULL_FATAL(block);
		UNIT_EQUAL(hak_guard_page_usable(block), 1);
		*block = 'x';
		CU_ASSERT_TRUE(hak_guard_page_find((uintptr_t)block, &found));
		UNIT_EQUAL(found.bytes, 0);
		release(block);
	}
	UNIT_EQUAL(reported, 0);
}

/* Places are of 32 KiB, or of a page where those are longer, with a gap as long before each. */
static size_t place_of(const char *block)
{
	size_t bytes = hak_os_page_size() > 32768 ? hak_os_page_size() : 32768;
	return ((uintptr_t)block - hak_guard_pages.start - bytes) / (2 * bytes);
}

/* A place is used again when all others that are free have been. */
static void the_longest_freed_is_next(void)
{
	char *blocks[PLACES], *again[PLACES];
	start();
	uint64_t lost = counts().lost;
	for (int i = 0; i < PLACES; i++)
		CU_ASSERT_PTR_NOT_NULL_FATAL(blocks[i] = take(64, 4));
	CU_ASSERT_PTR_NULL(take(64, 4));
	UNIT_EQUAL(counts().lost, lost + 1);
	UNIT_EQUAL(counts().live, PLACES);
	UNIT_EQUAL(counts().freed, 0);
	CU_ASSERT_PTR_NULL(take(40000 + hak_os_page_size(), 4)); /* never: it isn't lost */
	UNIT_EQUAL(counts().lost, lost + 1);
	for (int i = 0; i < PLACES; i++) /* 5 is odd: each once */
		release(blocks[i * 5 % PLACES]);
	UNIT_EQUAL(counts().freed, PLACES);
	UNIT_EQUAL(counts().freed_bytes, PLACES * 64);
	for (int i = 0; i < PLACES; i++) {
		again[i] = take(64, 4);
		UNIT_EQUAL(place_of(again[i]), place_of(blocks[i * 5 % PLACES]));
	}
	for (int i = 0; i < PLACES; i++)
		release(again[i]);
}

/* One write before each block, and one behind each, for all sizes up to some pages. */
static void writes_beside_it_are_found(void)
{
	uint64_t checked;
	unsigned faulted = 0, found = 0;
	start();
	checked = counts().checked;
	for (size_t bytes = 1; bytes < 10000; bytes += bytes / 3 + 1) {
		for (int before = 0; before < 2; before++) {
			for (int round = 0; round < 3; round++) {
				char *block = take(bytes, 4);
				volatile char *at = before ? block - 3 : block + bytes;
				if (faults(at)) {
					faulted++;
					release(block);
					continue;
				}
				reported = 0;
				at[0] = 'x';
				if (before)
					at[2] = 0;
				release(block);
				/* Of each kind the first eight are told, all are counted. */
				found++;
				if (reported == 0)
					continue;
				UNIT_EQUAL(reports[0].kind, before ? HAK_REPORT_UNDERFLOW : HAK_REPORT_OVERFLOW);
				UNIT_EQUAL(reports[0].address, at);
				UNIT_EQUAL(reports[0].damage, before ? 3 : 1);
				UNIT_EQUAL(reports[0].block.address, block);
				UNIT_EQUAL(reports[0].block.bytes, bytes);
				UNIT_EQUAL(reports[0].block.alloc_stack, 77);
				UNIT_EQUAL(reports[0].block.free_stack, 88);
				UNIT_EQUAL(reports[0].block.free_tid, getpid());
			}
		}
	}
	CU_ASSERT_TRUE(faulted > 5 && found > 20);
	UNIT_EQUAL(hak_stat_get(misuse_reports), found);
	UNIT_EQUAL(counts().checked - checked, found + faulted);
}

static void what_is_free_is_not_freed(void)
{
	void *freed_too = NULL;
	start();
	char *block = take(100, 4);
	CU_ASSERT_FALSE(hak_guard_page_free(block + 16, 1, &freed_too));
	CU_ASSERT_FALSE(hak_guard_page_free((void *)hak_guard_pages.start, 1, &freed_too));
	CU_ASSERT_FALSE(hak_guard_page_free((char *)hak_guard_pages.start + hak_guard_pages.bytes - 1, 1, &freed_too));
	release(block);
	CU_ASSERT_FALSE(hak_guard_page_free(block, 1, &freed_too));
	CU_ASSERT_PTR_NULL(freed_too);
	CU_ASSERT_FALSE(hak_guard_page_holds(ordinary));
	CU_ASSERT_FALSE(hak_guard_page_holds((char *)hak_guard_pages.start + hak_guard_pages.bytes));
}

static void addresses_are_told(void)
{
	struct hak_guarded found;
	char *blocks[PLACES];
	start();
	for (int i = 0; i < PLACES; i++)
		blocks[i] = take((size_t)i * 100 + 1, 4);
	for (int i = 0; i < PLACES; i++) {
		const uintptr_t at = (uintptr_t)blocks[i], end = at + (uintptr_t)i * 100 + 1;
		const uintptr_t look[] = {at, end - 1, end, end + 3000, at - 1, at - 3000};
		for (size_t n = 0; n < HAK_COUNT_OF(look); n++) {
			CU_ASSERT_TRUE(hak_guard_page_find(look[n], &found));
			UNIT_EQUAL(found.address, at);
			UNIT_EQUAL(found.bytes, (size_t)i * 100 + 1);
			UNIT_EQUAL(found.state, HAK_GUARDED_LIVE);
			UNIT_EQUAL(found.level, HAK_GUARD_SAMPLE);
			UNIT_EQUAL(found.class, 7);
			UNIT_EQUAL(found.alloc_tid, getpid());
			UNIT_EQUAL(found.free_tid, 0);
		}
	}
	CU_ASSERT_TRUE(hak_guard_page_find(hak_guard_pages.start, &found));
	CU_ASSERT_TRUE(hak_guard_page_find(hak_guard_pages.start + hak_guard_pages.bytes - 1, &found));
	CU_ASSERT_FALSE(hak_guard_page_find(hak_guard_pages.start - 1, &found));
	CU_ASSERT_FALSE(hak_guard_page_find(hak_guard_pages.start + hak_guard_pages.bytes, &found));
	UNIT_EQUAL(found.address, 0);
	for (int i = 0; i < PLACES; i++)
		release(blocks[i]);
	CU_ASSERT_TRUE(hak_guard_page_find((uintptr_t)blocks[3] + 7, &found));
	UNIT_EQUAL(found.state, HAK_GUARDED_FREED);
	UNIT_EQUAL(found.free_tid, getpid());
	CU_ASSERT_TRUE(found.free_ns >= found.alloc_ns);
}

/* The block that had the place before is known where the one that has it now didn't lie. */
static void the_block_before_is_told(void)
{
	struct hak_guarded found;
	char *first = NULL, *second = NULL;
	unsigned seen = 0;
	start();
	for (int round = 0; round < 20; round++) {
		first = take(100, 4);
		release(first);
		for (int i = 1; i < PLACES; i++)
			release(take(100, 4));
		second = take(200, 4); /* where the first was */
		UNIT_EQUAL(place_of(first), place_of(second));
		if (labs(first - second) > 8192) {
			CU_ASSERT_TRUE(hak_guard_page_find((uintptr_t)first + 50, &found));
			UNIT_EQUAL(found.address, first);
			UNIT_EQUAL(found.state, HAK_GUARDED_FREED);
			seen++;
		}
		CU_ASSERT_TRUE(hak_guard_page_find((uintptr_t)second + 150, &found));
		UNIT_EQUAL(found.address, second);
		CU_ASSERT_FALSE(hak_guard_page_is_gap((uintptr_t)second));
		CU_ASSERT_TRUE(hak_guard_page_is_gap((uintptr_t)second - (hak_os_page_size() > 32768 ? hak_os_page_size() : 32768)));
		release(second);
	}
	CU_ASSERT_TRUE(seen > 2);
}

/* After a fault the program may go on: what was written before is there, and the place is closed when it is used again. */
static void a_page_opens_until_its_place_is_used(void)
{
	size_t page = hak_os_page_size();
	start();
	char *block = take(100, 4), *beside, *again;
	memset(block, 'k', 100);
	release(block);
	CU_ASSERT_TRUE(faults(block));
	CU_ASSERT_TRUE(hak_guard_page_open((uintptr_t)block));
	CU_ASSERT_FALSE(faults(block));
	UNIT_EQUAL(block[99], 'k');
	for (int i = 0; i < PLACES; i++)
		release(take(100, 4));
	CU_ASSERT_TRUE(faults(block));
	/* What was written beyond a live block's pages was reported then. */
	again = take(100, 4);
	beside = (char *)hak_align_up((uintptr_t)again + 100, page);
	CU_ASSERT_TRUE(faults(beside));
	CU_ASSERT_TRUE(hak_guard_page_open((uintptr_t)beside));
	memset(again, 'x', (size_t)(beside - again) + 1);
	uint64_t reports_before = hak_stat_get(misuse_reports);
	release(again);
	UNIT_EQUAL(hak_stat_get(misuse_reports), reports_before);
	CU_ASSERT_TRUE(faults(beside) && faults(again));
}

/* Where address space is short there are fewer places, and where none is to be had, no guarded blocks. */
static void start_with_little(void *ignored)
{
	struct rlimit limit = {(rlim_t)256 << 20, (rlim_t)256 << 20};
	bool made;
	(void)ignored;
	setrlimit(RLIMIT_AS, &limit);
	made = hak_guard_page_start(8192, 1);
	_exit(made && counts().places < 8192 && counts().places >= 1024 && take(100, 4) != NULL ? 0 : 1);
}

static void start_with_nothing(void *ignored)
{
	struct rlimit limit = {1 << 20, 1 << 20};
	(void)ignored;
	setrlimit(RLIMIT_AS, &limit);
	_exit(!hak_guard_page_start(8192, 1) && take(100, 4) == NULL && counts().places == 0 ? 0 : 1);
}

static void little_address_space(void)
{
	char said[1024];
	UNIT_LEAVE_IF(UNIT_ASAN || UNIT_TSAN, "a sanitizer needs the address space");
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator ignores limits on the address space");
	UNIT_EQUAL(unit_in_child(start_with_little, NULL, said, sizeof(said)), 0);
	UNIT_EQUAL(unit_in_child(start_with_nothing, NULL, said, sizeof(said)), 0);
}

UNIT_MAIN("guard_page", UNIT(little_address_space), UNIT(all_of_it_is_accessible_and_nothing_beside), UNIT(alignments), UNIT(no_bytes_have_an_address),
	UNIT(the_longest_freed_is_next), UNIT(writes_beside_it_are_found), UNIT(what_is_free_is_not_freed), UNIT(addresses_are_told), UNIT(the_block_before_is_told),
	UNIT(a_page_opens_until_its_place_is_used))
