/* What is asked of the kernel: it does what its name says, is counted, and keeps errno. */
#include "lib/os.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "lib/stats.h"
#include "tests/unit/unit.h"

#define BYTES ((size_t)4 << 20)

/* Whether `address` can be written: decided by the kernel, so that a refusal is a return value. */
static bool writable(uintptr_t address)
{
	int ends[2];
	char byte = 'x';
	if (pipe(ends) != 0 || write(ends[1], &byte, 1) != 1)
		return false;
	bool ok = read(ends[0], (void *)address, 1) == 1;
	close(ends[0]);
	close(ends[1]);
	return ok;
}

static void reserve_and_commit(void)
{
	uint64_t maps = hak_stat_get(mmap), protects = hak_stat_get(mprotect);
	errno = 4711;
	uintptr_t base = hak_os_reserve(0, BYTES, false);
	CU_ASSERT_TRUE_FATAL(base != 0);
	CU_ASSERT_FALSE(writable(base));
	errno = 4711;
	CU_ASSERT_TRUE(hak_os_commit(base, BYTES / 2));
	UNIT_EQUAL(errno, 4711);
	CU_ASSERT_TRUE(writable(base));
	CU_ASSERT_TRUE(writable(base + BYTES / 2 - 1));
	CU_ASSERT_FALSE(writable(base + BYTES / 2));
	UNIT_EQUAL(hak_stat_get(mmap) - maps, 1);
	UNIT_EQUAL(hak_stat_get(mprotect) - protects, 1);
	hak_os_unmap((void *)base, BYTES);
	CU_ASSERT_FALSE(writable(base));
}

static void exact_reservation(void)
{
	uintptr_t base = hak_os_reserve(0, BYTES, false);
	CU_ASSERT_TRUE_FATAL(base != 0);
	hak_os_unmap((void *)(base + BYTES / 2), BYTES / 2);
	errno = 4711;
	UNIT_EQUAL(hak_os_reserve(base, BYTES / 2, true), 0);
	UNIT_EQUAL(errno, 4711);
	UNIT_EQUAL(hak_os_reserve(base + BYTES / 2, BYTES / 2, true), base + BYTES / 2);
	hak_os_unmap((void *)base, BYTES);
}

static void map_at_an_address(void)
{
	uintptr_t base = hak_os_reserve(0, BYTES, false);
	CU_ASSERT_TRUE_FATAL(base != 0);
	UNIT_EQUAL(hak_os_map_at(base, BYTES / 2), EEXIST);
	CU_ASSERT_TRUE(hak_os_unmap((void *)base, BYTES / 2));
	UNIT_EQUAL(hak_os_map_at(base, BYTES / 2), 0);
	UNIT_EQUAL(*(char *)base, 0);
	CU_ASSERT_TRUE(writable(base + BYTES / 2 - 1));
	CU_ASSERT_FALSE(writable(base + BYTES / 2));
	errno = 4711;
	hak_os_unmap((void *)base, BYTES);
	UNIT_EQUAL(hak_os_map_at(base, (size_t)1 << 62), ENOMEM);
	CU_ASSERT_FALSE(hak_os_unmap((void *)(base + 1), BYTES));
	UNIT_EQUAL(errno, 4711);
}

/* What /proc/self/smaps says of the mapping at `address`. */
static bool is_dumped(uintptr_t address)
{
	char line[512], start[32];
	bool here = false, dumped = false;
	FILE *file = fopen("/proc/self/smaps", "r");
	snprintf(start, sizeof(start), "%lx-", (unsigned long)address);
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		here |= strncmp(line, start, strlen(start)) == 0;
		if (here && strncmp(line, "VmFlags:", 8) == 0) {
			dumped = strstr(line, " dd") == NULL;
			break;
		}
	}
	if (file != NULL)
		fclose(file);
	return here && dumped;
}

static void what_is_dumped(void)
{
	uintptr_t base = hak_os_reserve(0, BYTES, false);
	CU_ASSERT_TRUE_FATAL(base != 0);
	UNIT_LEAVE_IF(is_dumped(base), "/proc/self/smaps has no flags here");
	CU_ASSERT_TRUE(hak_os_commit(base, BYTES / 2));
	CU_ASSERT_TRUE(is_dumped(base));
	CU_ASSERT_FALSE(is_dumped(base + BYTES / 2));
	hak_os_dump(base + BYTES / 2, BYTES / 2);
	CU_ASSERT_TRUE(is_dumped(base + BYTES / 2));
	hak_os_unmap((void *)base, BYTES);
}

static void purged_pages_are_zero(void)
{
	char *memory = hak_os_map(BYTES);
	uint64_t purged = hak_stat_get(purged_bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	UNIT_EQUAL(memory[BYTES - 1], 0);
	memset(memory, 'x', BYTES);
	CU_ASSERT_TRUE(hak_os_purge((uintptr_t)memory, BYTES / 2));
	UNIT_EQUAL(hak_stat_get(purged_bytes) - purged, BYTES / 2);
	UNIT_EQUAL(memory[0], 0);
	UNIT_EQUAL(memory[BYTES / 2], 'x');
	hak_os_unmap(memory, BYTES);
}

/* madvise refuses locked pages; their contents stay, so they must not count as zero. (Sanitizers make libc's mlock do nothing.) */
static void locked_pages_are_not_purged(void)
{
	size_t page = hak_os_page_size();
	char *memory = hak_os_map(page);
	uint64_t purged = hak_stat_get(purged_bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	memory[0] = 'x';
	UNIT_LEAVE_IF(syscall(SYS_mlock, memory, page) != 0, "no memory may be locked here");
	errno = 4711;
	CU_ASSERT_FALSE(hak_os_purge((uintptr_t)memory, page));
	UNIT_EQUAL(errno, 4711);
	UNIT_EQUAL(memory[0], 'x');
	UNIT_EQUAL(hak_stat_get(purged_bytes), purged);
	hak_os_unmap(memory, page);
}

static void refusals_are_told(void)
{
	errno = 4711;
	CU_ASSERT_PTR_NULL(hak_os_map((size_t)1 << 62));
	UNIT_EQUAL(hak_os_reserve(0, (size_t)1 << 62, false), 0);
	CU_ASSERT_FALSE(hak_os_commit(hak_os_page_size(), hak_os_page_size()));
	UNIT_EQUAL(errno, 4711);
}

static void facts(void)
{
	struct rlimit limit;
	UNIT_EQUAL(hak_os_page_size(), sysconf(_SC_PAGESIZE));
	UNIT_EQUAL(hak_os_tid(), syscall(SYS_gettid));
	getrlimit(RLIMIT_AS, &limit);
	UNIT_EQUAL(hak_os_address_space_limit(), limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : limit.rlim_cur);
	uint64_t first = hak_os_random(), same = 0;
	for (int i = 0; i < 16; i++)
		same += hak_os_random() == first;
	CU_ASSERT_TRUE(same < 16); /* the clock goes on */
}

static void clocks(void)
{
	struct timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	uint64_t ns = hak_os_clock_ns();
	uint32_t ms = hak_os_clock_ms();
	uint64_t near_ns = hak_os_clock_near_ns();
	clock_gettime(CLOCK_MONOTONIC, &after);
	CU_ASSERT_TRUE(ns >= (uint64_t)before.tv_sec * 1000000000 + (uint64_t)before.tv_nsec);
	CU_ASSERT_TRUE(ns <= (uint64_t)after.tv_sec * 1000000000 + (uint64_t)after.tv_nsec);
	CU_ASSERT_TRUE(near_ns >= ns); /* it was asked for the first time */
	CU_ASSERT_TRUE(near_ns <= (uint64_t)after.tv_sec * 1000000000 + (uint64_t)after.tv_nsec);
	for (unsigned i = 0; i < 100000000 && hak_os_clock_near_ns() == near_ns; i++)
		;
	CU_ASSERT_TRUE(hak_os_clock_near_ns() > near_ns);
	/* The coarse clock lags by a tick, which is 10 ms at most. */
	CU_ASSERT_TRUE((uint32_t)(ns / 1000000) - ms <= 20 || ms - (uint32_t)(ns / 1000000) <= 1000);
}

UNIT_MAIN("os", UNIT(reserve_and_commit), UNIT(exact_reservation), UNIT(map_at_an_address),
	UNIT(what_is_dumped), UNIT(purged_pages_are_zero),
	UNIT(locked_pages_are_not_purged), UNIT(refusals_are_told), UNIT(facts), UNIT(clocks))
