/* A library that is preloaded before HAKMEM: of the system calls about memory that HAKMEM makes, FAILING_CALLS=FIRST,COUNT lets so
 * many fail with ENOMEM, from the FIRST on. libc's own calls, and mappings that HAKMEM makes none of, aren't concerned. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static bool fails(void)
{
	static uint32_t calls;
	static bool read_already;
	static unsigned long first, count;
	/* The first call is the heap's initialisation: no other thread is there. */
	if (!read_already) {
		const char *text = getenv("FAILING_CALLS");
		char *rest = NULL;
		first = text != NULL ? strtoul(text, &rest, 10) : 0;
		count = rest != NULL && *rest == ',' ? strtoul(rest + 1, NULL, 10) : 0;
		read_already = true;
	}
	uint32_t call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	if (call < first || call >= first + count)
		return false;
	errno = ENOMEM;
	return true;
}

EXPORT void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
	if ((flags & MAP_NORESERVE) != 0 && fails())
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
}

EXPORT int munmap(void *address, size_t bytes)
{
	return fails() ? -1 : (int)syscall(SYS_munmap, address, bytes);
}

EXPORT int mprotect(void *address, size_t bytes, int protection)
{
	return fails() ? -1 : (int)syscall(SYS_mprotect, address, bytes, protection);
}

EXPORT int madvise(void *address, size_t bytes, int advice)
{
	return fails() ? -1 : (int)syscall(SYS_madvise, address, bytes, advice);
}

EXPORT void *mremap(void *address, size_t old_bytes, size_t bytes, int flags, ...)
{
	va_list rest;
	va_start(rest, flags);
	void *where = (flags & MREMAP_FIXED) != 0 ? va_arg(rest, void *) : NULL;
	va_end(rest);
	return fails() ? MAP_FAILED : (void *)syscall(SYS_mremap, address, old_bytes, bytes, flags, where);
}
