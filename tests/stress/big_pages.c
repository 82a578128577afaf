/* The load of phases.c on a system whose pages are 64 KiB, as on some aarch64 machines: the size is what the kernel says, and calls about
 * memory that such a kernel would refuse, or would widen to whole pages, end the test. The linker puts these functions in their place. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>

int phases_main(void);
#define main phases_main
#include "phases.c"
#undef main

#define PAGE ((size_t)65536)

/* NOLINTBEGIN(bugprone-reserved-identifier): names by the linker's rule */
unsigned long __real_getauxval(unsigned long type);
void *__real_mmap(void *hint, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_mprotect(void *address, size_t bytes, int protection);
int __real_madvise(void *address, size_t bytes, int advice);
unsigned long __wrap_getauxval(unsigned long type);
void *__wrap_mmap(void *hint, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_mprotect(void *address, size_t bytes, int protection);
int __wrap_madvise(void *address, size_t bytes, int advice);
/* NOLINTEND(bugprone-reserved-identifier) */

static uint32_t calls;

static void whole_pages(const char *call, const void *address, size_t bytes)
{
	__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
	if ((uintptr_t)address % PAGE == 0 && bytes % PAGE == 0)
		return;
	fprintf(stderr, "%s(%p, %zu) is not about whole pages of 64 KiB\n", call, address, bytes);
	abort();
}

unsigned long __wrap_getauxval(unsigned long type)
{
	return type == AT_PAGESZ ? PAGE : __real_getauxval(type);
}

/* Such a kernel maps at multiples of its pages. */
void *__wrap_mmap(void *hint, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	char *start = __real_mmap(hint, bytes + PAGE, protection, flags, fd, offset);
	if (start == MAP_FAILED)
		return start;
	size_t before = (PAGE - (uintptr_t)start % PAGE) % PAGE;
	if (before > 0)
		munmap(start, before);
	munmap(start + before + bytes, PAGE - before);
	return start + before;
}

int __wrap_mprotect(void *address, size_t bytes, int protection)
{
	whole_pages("mprotect", address, bytes);
	return __real_mprotect(address, bytes, protection);
}

int __wrap_madvise(void *address, size_t bytes, int advice)
{
	whole_pages("madvise", address, bytes);
	return __real_madvise(address, bytes, advice);
}

int main(void)
{
	int status = phases_main();
	if (calls == 0) {
		fputs("no call about memory was seen\n", stderr);
		return 1;
	}
	return status;
}
