#include "os.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "atomic.h"
#include "stats.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

size_t hak_os_page_size(void)
{
	static size_t cached; /* every writer stores the same value, so relaxed access is enough */
	size_t size = hak_load_relaxed(&cached);

	if (!size) {
		size = getauxval(AT_PAGESZ);
		hak_store_relaxed(&cached, size);
	}
	return size;
}

uintptr_t hak_os_reserve(uintptr_t hint, size_t bytes, bool exact)
{
	int saved = errno;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (exact ? MAP_FIXED_NOREPLACE : 0);
	void *p = mmap((void *)hint, bytes, PROT_NONE, flags, -1, 0);

	hak_stat_add(mmap, 1);
	if (p != MAP_FAILED && exact && (uintptr_t)p != hint) {
		/* Kernels before 4.17 take the flag for a hint. */
		hak_os_unmap(p, bytes);
		p = MAP_FAILED;
	}
	if (p != MAP_FAILED) {
		madvise(p, bytes, MADV_DONTDUMP);
		hak_stat_add(madvise, 1);
	}
	errno = saved;
	return p == MAP_FAILED ? 0 : (uintptr_t)p;
}

void *hak_os_map(size_t bytes)
{
	int saved = errno;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	hak_stat_add(mmap, 1);
	errno = saved;
	return p == MAP_FAILED ? NULL : p;
}

int hak_os_map_at(uintptr_t address, size_t bytes)
{
	int saved = errno;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	void *p = mmap((void *)address, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	int error = p == MAP_FAILED ? errno : 0;

	hak_stat_add(mmap, 1);
	if (!error && (uintptr_t)p != address) {
		hak_os_unmap(p, bytes);
		error = EEXIST;
	}
	errno = saved;
	return error;
}

bool hak_os_unmap(void *address, size_t bytes)
{
	int saved = errno;
	bool ok = munmap(address, bytes) == 0;

	hak_stat_add(munmap, 1);
	errno = saved;
	return ok;
}

bool hak_os_commit(uintptr_t address, size_t bytes)
{
	int saved = errno;
	bool ok = mprotect((void *)address, bytes, PROT_READ | PROT_WRITE) == 0;

	hak_stat_add(mprotect, 1);
	if (ok) {
		madvise((void *)address, bytes, MADV_DODUMP);
		hak_stat_add(madvise, 1);
	}
	errno = saved;
	return ok;
}

bool hak_os_protect(uintptr_t address, size_t bytes, bool accessible)
{
	int saved = errno;
	bool ok = mprotect((void *)address, bytes, accessible ? PROT_READ | PROT_WRITE : PROT_NONE) == 0;

	hak_stat_add(mprotect, 1);
	errno = saved;
	return ok;
}

void hak_os_dump(uintptr_t address, size_t bytes)
{
	int saved = errno;

	madvise((void *)address, bytes, MADV_DODUMP);
	hak_stat_add(madvise, 1);
	errno = saved;
}

bool hak_os_purge(uintptr_t address, size_t bytes)
{
	int saved = errno;
	bool ok = madvise((void *)address, bytes, MADV_DONTNEED) == 0;

	hak_stat_add(madvise, 1);
	if (ok)
		hak_stat_add(purged_bytes, bytes);
	errno = saved;
	return ok;
}

void hak_os_no_huge_pages(uintptr_t address, size_t bytes)
{
	int saved = errno;

	madvise((void *)address, bytes,
		MADV_NOHUGEPAGE); /* a kernel without huge pages refuses, and has none to avoid */
	hak_stat_add(madvise, 1);
	errno = saved;
}

size_t hak_os_address_space_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	return limit.rlim_cur;
}

uint32_t hak_os_clock_ms(void)
{
	struct timespec now = {0, 0};

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

uint64_t hak_os_clock_ns(void)
{
	struct timespec now = {0, 0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t hak_os_clock_near_ns(void)
{
#if defined(__x86_64__)
	/* What the processor counted since the clock was read says no more than that it was a moment ago: 16384 cycles are 8
	 * microseconds at 2 GHz. On another processor it may have counted anything, and the clock is read again. */
	static HAK_TLS uint64_t cycles, ns;
	uint64_t now = __builtin_ia32_rdtsc();

	if (now - cycles >= 16384) {
		ns = hak_os_clock_ns();
		cycles = now;
	}
	return ns;
#else
	return hak_os_clock_ns();
#endif
}

static HAK_TLS int32_t tid_mine;

int32_t hak_os_tid(void)
{
	if (!tid_mine)
		tid_mine = (int32_t)syscall(SYS_gettid);
	return tid_mine;
}

void hak_os_fork_child(void)
{
	tid_mine = 0;
}

uint64_t hak_os_random(void)
{
	struct timespec now = {0};
	uint64_t value;

	clock_gettime(CLOCK_MONOTONIC, &now);
	value = (uintptr_t)&now ^ (uint64_t)getauxval(AT_SYSINFO_EHDR) << 20 ^ (uint64_t)now.tv_nsec;
	value *= 0x9e3779b97f4a7c15ull; /* 2^64 over the golden ratio: every bit of it reaches the high ones */
	return value >> 32;
}
