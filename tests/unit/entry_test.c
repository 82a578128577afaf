/* The entry points' slow sides: alignments, zeroing, misuse, errno. */
#include "lib/entry.h"

#include <errno.h>

#include "lib/hakmem.h"
#include "lib/inspect.h"
#include "lib/os.h"
#include "lib/settings.h"
#include "lib/shared_pool.h"
#include "lib/stats.h"
#include "lib/thread.h"
#include "tests/unit/unit.h"

static void alignments_of_small_blocks(void)
{
	static const size_t sizes[] = {0, 1, 17, 100, 500, 3000, 9000, 30000, 32768};
	for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
		for (size_t i = 0; i < HAK_COUNT_OF(sizes); i++) {
			void *blocks[20];
			for (int n = 0; n < 20; n++) { /* several, so that not only the first of a slab is seen */
				blocks[n] = hak_memalign(alignment, sizes[i]);
				CU_ASSERT_PTR_NOT_NULL_FATAL(blocks[n]);
				UNIT_EQUAL((uintptr_t)blocks[n] % alignment, 0);
				CU_ASSERT_TRUE(hak_usable_size(blocks[n]) >= sizes[i]);
			}
			for (int n = 0; n < 20; n++)
				hak_free(blocks[n]);
		}
	}
	errno = 0;
	CU_ASSERT_PTR_NULL(hak_memalign(24, 10));
	UNIT_EQUAL(errno, EINVAL);
	errno = 0;
	CU_ASSERT_PTR_NULL(hak_memalign(0, 10));
	UNIT_EQUAL(errno, EINVAL);
	errno = 0;
	CU_ASSERT_PTR_NULL(hak_memalign((size_t)1 << 63, 10));
	UNIT_EQUAL(errno, ENOMEM);
}

static void calloc_zeroes_used_blocks(void)
{
	static const size_t sizes[] = {1, 16, 700, 32768, 32769, 500000, 5000000};
	for (size_t i = 0; i < HAK_COUNT_OF(sizes); i++) {
		unsigned dirt = 0;
		for (int round = 0; round < 20; round++) {
			unsigned char *block = hak_calloc(1, sizes[i]);
			CU_ASSERT_PTR_NOT_NULL_FATAL(block);
			for (size_t at = 0; at < sizes[i]; at++)
				dirt += block[at] != 0;
			memset(block, 0xff, sizes[i]);
			hak_free(block);
		}
		UNIT_EQUAL(dirt, 0);
	}
	errno = 0;
	CU_ASSERT_PTR_NULL(hak_calloc(SIZE_MAX / 4, 5));
	UNIT_EQUAL(errno, ENOMEM);
	uint64_t refused = hak_stat_get(out_of_memory);
	CU_ASSERT_PTR_NULL(hak_calloc(2, SIZE_MAX / 2));
	UNIT_EQUAL(hak_stat_get(out_of_memory) - refused, 1);
}

static void errno_is_kept(void)
{
	void *blocks[200];
	errno = 4711;
	for (size_t i = 0; i < 200; i++)
		blocks[i] = hak_malloc(i * 1000);
	UNIT_EQUAL(errno, 4711);
	for (size_t i = 0; i < 200; i++)
		hak_free(blocks[i]);
	hak_free(NULL);
	hak_trim();
	UNIT_EQUAL(errno, 4711);
}

static void misuse(void *ignored)
{
	int on_the_stack[8];
	char *block = hak_malloc(200), *large = hak_malloc(100000);
	(void)ignored;
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	errno = 4711;
	hak_free(on_the_stack);
	if (errno != 4711)
		_exit(2);
	hak_free(large + 65536);
	hak_free(large + 16);
	if (hak_usable_size(block + 16) != 0 || hak_realloc(block + 16, 500) != NULL || errno != EINVAL)
		_exit(3);
	if (hak_realloc(on_the_stack, 500) != NULL || hak_usable_size(on_the_stack) != 0)
		_exit(4);
	_exit(hak_stat_get(misuse_reports) == 7 ? 0 : 5);
}

/* Each kind of misuse is reported by its own line, the block is left alone, and the program runs on. */
static void misuse_is_reported(void)
{
	static const char foreign_free[] = "free of an address that is not HAKMEM's (address=0x";
	static const char invalid_free[] = "free of an address that is not the start of a live block (address=0x";
	static const char *const expected[] = {foreign_free, invalid_free, invalid_free,
		"malloc_usable_size of an address that is not the start", "realloc of an address that is not the start",
		"realloc of an address that is not HAKMEM's", "malloc_usable_size of an address that is not HAKMEM's"};
	char said[4096];
	UNIT_EQUAL(unit_in_child(misuse, NULL, said, sizeof(said)), 0);
	char *line = strtok(said, "\n");
	for (size_t i = 0; i < HAK_COUNT_OF(expected); i++, line = strtok(NULL, "\n")) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(line);
		CU_ASSERT_TRUE(
			strncmp(line, "hakmem: ", 8) == 0 && strncmp(line + 8, expected[i], strlen(expected[i])) == 0);
	}
	CU_ASSERT_PTR_NULL(line);
}

#define TIMES 200 /* a slow path is among so many frees of a class in a row */

/* Frees that say a size and an alignment. Those that can't be so are reported when they come by the slow path, in debug builds
 * always. */
static void free_with_sizes(void *ignored)
{
	static const struct {
		size_t bytes, said_bytes, said_alignment;
		bool wrong;
	} frees[] = {{100, 100, 16, false}, {100, 112, 16, false}, {100, 0, 16, false}, {100, 1, 16, false}, {50000, 65536, 64, false},
		{100, 113, 16, true}, {50000, 65537, 64, true}, {100, 100, (size_t)1 << 46, true}, {100, 100, 0, true},
		{3000000, 5000000, 16, true}};
	(void)ignored;
	for (size_t i = 0; i < HAK_COUNT_OF(frees); i++) {
		uint64_t before = hak_stat_get(misuse_reports);
		void *blocks[TIMES];
		for (int n = 0; n < TIMES; n++)
			blocks[n] = hak_malloc(frees[i].bytes);
		for (int n = 0; n < TIMES; n++)
			hak_entry_free_sized(blocks[n], frees[i].said_bytes, frees[i].said_alignment);
		uint64_t reported = hak_stat_get(misuse_reports) - before;
		if (frees[i].wrong ? reported != TIMES : reported != 0)
			_exit((int)i + 10);
	}
	hak_entry_free_sized(NULL, 5, 16);
	struct hak_inspect now = {.superslabs = NULL};
	hak_inspect(&now);
	_exit(now.live_bytes != 0 ? 9 : 0);
}

/* A size that is wrong does no harm: the block is freed all the same. That it is too small can be right. */
static void sized_frees_are_looked_at(void)
{
	static const char line[] = "hakmem: block freed with a size or an alignment that it can't have";
	char said[4096];
	unsigned lines = 0;
	UNIT_EQUAL(unit_in_child(free_with_sizes, NULL, said, sizeof(said)), 0);
	for (const char *p = said; (p = strstr(p, line)) != NULL; p++)
		lines++;
	UNIT_EQUAL(lines, 8);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, " said_bytes=113 said_alignment=16)\n"));
}

/* A program that ticks over, allocating and freeing in turn, gives back what it freed before: all of it is due at once
 * here, and each of the two slow paths alone may have to do it. */
static void ticking_over_returns_idle_memory(void)
{
	static void *blocks[64];
	hak_settings.purge_delay_ms = 86400000;
	for (int i = 0; i < 64; i++) {
		blocks[i] = hak_malloc(1 << 20);
		memset(blocks[i], 1, 1 << 20);
	}
	for (int i = 0; i < 64; i++)
		hak_free(blocks[i]);
	uint64_t before = hak_stat_get(purged_bytes);
	hak_settings.purge_delay_ms = 0;
	hak_pool.next_purge_ms = hak_os_clock_ms();
	uint64_t deadline = hak_os_clock_ns() + 60000000000u;
	while (hak_stat_get(purged_bytes) - before < 32u << 20 && hak_os_clock_ns() < deadline)
		hak_free(hak_malloc(3000)); /* a class that nothing here used before */
	CU_ASSERT_TRUE(hak_stat_get(purged_bytes) - before >= 32u << 20);
	hak_settings.purge_delay_ms = 1000;
}

/* The same for free pages between blocks that are in use. The sweep that finds them moves on with the clock. */
static void ticking_over_returns_free_pages(void)
{
	static char *blocks[160]; /* three slabs at least */
	const unsigned count = HAK_COUNT_OF(blocks);
	hak_settings.purge_delay_ms = 0;
	for (unsigned i = 0; i < count; i++)
		blocks[i] = memset(hak_malloc(1280), 'x', 1280);
	for (unsigned i = 0; i < count; i++) {
		if (i % 40 != 0)
			hak_free(blocks[i]);
	}
	hak_thread_drain();
	hak_depot_trim();
	const volatile char *page = (char *)hak_align_up((uintptr_t)blocks[1], hak_os_page_size());
	uint64_t deadline = hak_os_clock_ns() + 60000000000u;
	while (*page == 'x' && hak_os_clock_ns() < deadline)
		hak_free(hak_malloc(3000));
	UNIT_EQUAL(*page, 0);
	for (unsigned i = 0; i < count; i += 40) {
		UNIT_EQUAL(blocks[i][1279], 'x');
		hak_free(blocks[i]);
	}
	hak_settings.purge_delay_ms = 1000;
}

UNIT_MAIN("entry", UNIT(ticking_over_returns_idle_memory), UNIT(ticking_over_returns_free_pages),
	UNIT(alignments_of_small_blocks), UNIT(calloc_zeroes_used_blocks), UNIT(errno_is_kept),
	UNIT(misuse_is_reported), UNIT(sized_frees_are_looked_at))
