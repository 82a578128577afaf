/* All the names that libc and libstdc++ have too, in this one object: a static program that pulls in any of them gets
 * them all from here, and libc's own malloc stays out.
 *
 * The C++ operators are defined here under their mangled names, so that no libstdc++ is needed. Where they must throw
 * or call the new-handler, they reach libstdc++ through weak references: a program that has operator new in use has it
 * loaded. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "entry.h"
#include "hakmem.h"
#include "init.h"
#include "inspect.h"
#include "new_handler.h"
#include "os.h"
#include "realloc.h"

#define EXPORT HAK_EXPORT __attribute__((used))
/* The fast paths take 64 bytes each: in a cache line of its own each is fetched at once. */
#define HAK_ONE_LINE __attribute__((aligned(64)))
#if __has_attribute(copy) /* gcc warns where an alias promises less than its target */
#define ALIAS_OF(name) __attribute__((alias(#name), copy(name), used))
#else
#define ALIAS_OF(name) __attribute__((alias(#name), used))
#endif
#define ALIAS(name) HAK_EXPORT ALIAS_OF(name)

/* ---- The C family ---- */

EXPORT HAK_ONE_LINE void *malloc(size_t bytes)
{
	return hak_entry_malloc(bytes);
}

EXPORT HAK_ONE_LINE void free(void *block)
{
	hak_entry_free(block);
}

EXPORT void *calloc(size_t count, size_t bytes)
{
	return hak_entry_calloc(count, bytes);
}

EXPORT void *realloc(void *block, size_t bytes)
{
	return hak_entry_realloc(block, bytes);
}

EXPORT void *reallocarray(void *block, size_t count, size_t bytes)
{
	size_t total;

	if (__builtin_mul_overflow(count, bytes, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	return hak_entry_realloc(block, total);
}

EXPORT void *memalign(size_t alignment, size_t bytes)
{
	return hak_entry_memalign(alignment, bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
	return hak_entry_memalign(alignment, bytes);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t bytes)
{
	int saved = errno;
	void *block;

	if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
		return EINVAL;
	block = hak_entry_memalign(alignment, bytes);
	errno = saved; /* the error is returned, not stored */
	if (!block)
		return ENOMEM;
	*out = block;
	return 0;
}

EXPORT void *valloc(size_t bytes)
{
	return hak_entry_memalign(hak_os_page_size(), bytes);
}

EXPORT void *pvalloc(size_t bytes)
{
	size_t page = hak_os_page_size();

	if (bytes > HAK_MAX_REQUEST) {
		errno = ENOMEM;
		return NULL;
	}
	return hak_entry_memalign(page, bytes ? hak_align_up(bytes, page) : page);
}

EXPORT size_t malloc_usable_size(void *block)
{
	return hak_entry_usable_size(block);
}

/* C23. */
void free_sized(void *block, size_t bytes);
void free_aligned_sized(void *block, size_t alignment, size_t bytes);

EXPORT void free_sized(void *block, size_t bytes)
{
	hak_entry_free_sized(block, bytes, HAK_ALIGNMENT);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t bytes)
{
	hak_entry_free_sized(block, bytes, alignment);
}

void cfree(void *block);
ALIAS(free) void cfree(void *block);

/* NOLINTBEGIN(bugprone-reserved-identifier): names of libc and its relatives */
void *__libc_malloc(size_t bytes);
void __libc_free(void *block);
void __libc_cfree(void *block);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void *__libc_reallocarray(void *block, size_t count, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void *__libc_valloc(size_t bytes);
void *__libc_pvalloc(size_t bytes);
int __posix_memalign(void **out, size_t alignment, size_t bytes);
ALIAS(malloc) void *__libc_malloc(size_t bytes);
ALIAS(free) void __libc_free(void *block);
ALIAS(free) void __libc_cfree(void *block);
ALIAS(calloc) void *__libc_calloc(size_t count, size_t bytes);
ALIAS(realloc) void *__libc_realloc(void *block, size_t bytes);
ALIAS(reallocarray) void *__libc_reallocarray(void *block, size_t count, size_t bytes);
ALIAS(memalign) void *__libc_memalign(size_t alignment, size_t bytes);
ALIAS(valloc) void *__libc_valloc(size_t bytes);
ALIAS(pvalloc) void *__libc_pvalloc(size_t bytes);
ALIAS(posix_memalign) int __posix_memalign(void **out, size_t alignment, size_t bytes);
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- Sanitizers ---- */

/* NOLINTBEGIN(bugprone-reserved-identifier): theirs */
__attribute__((weak)) void __asan_init(void);
__attribute__((weak)) void __lsan_init(void);
__attribute__((weak)) void __msan_init(void);
__attribute__((weak)) void __tsan_init(void);
/* NOLINTEND(bugprone-reserved-identifier) */
/* malloc under a name that no other object can take over. */
static ALIAS_OF(malloc) void *own_malloc(size_t bytes);

void hak_refuse_sanitizers(void)
{
	static const char line[] = "hakmem: this program is built with a sanitizer, which needs malloc for itself; "
				   "run it without libhakmem\n";

	/* A sanitizer that is linked into the program itself has its malloc before ours: then ours is not in use. */
	if ((!__asan_init && !__lsan_init && !__msan_init && !__tsan_init) || (void *)&malloc != (void *)&own_malloc)
		return;
	/* Raw calls: write and _exit are the sanitizer's by now, and it is not ready. */
	syscall(SYS_write, STDERR_FILENO, line, sizeof(line) - 1);
	syscall(SYS_exit_group, 1);
}

/* ---- glibc's extras ---- */

EXPORT int malloc_trim(size_t pad)
{
	(void)pad;
	return hak_trim();
}

/* glibc's tunables mean nothing here; accepting them is what programs expect. */
EXPORT int mallopt(int parameter, int value)
{
	(void)parameter;
	(void)value;
	return 1;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
	struct hak_inspect now = {.superslabs = NULL};
	struct mallinfo2 info = {.arena = 0};

	hak_inspect(&now);
	info.arena = now.committed_bytes - now.large_bytes;
	info.hblks = now.large_allocs - now.large_frees;
	info.hblkhd = now.large_bytes;
	info.uordblks = now.live_bytes - now.large_bytes;
	info.fsmblks = now.cached_bytes;
	info.fordblks = info.arena - info.uordblks;
	info.keepcost = now.lru_length * HAK_SS_BYTES;
	return info;
}

static int clamp_to_int(size_t value)
{
	return value > INT32_MAX ? INT32_MAX : (int)value;
}

EXPORT struct mallinfo mallinfo(void)
{
	struct mallinfo2 wide = mallinfo2();
	struct mallinfo info = {
		.arena = clamp_to_int(wide.arena),
		.hblks = clamp_to_int(wide.hblks),
		.hblkhd = clamp_to_int(wide.hblkhd),
		.fsmblks = clamp_to_int(wide.fsmblks),
		.uordblks = clamp_to_int(wide.uordblks),
		.fordblks = clamp_to_int(wide.fordblks),
		.keepcost = clamp_to_int(wide.keepcost),
	};

	return info;
}

EXPORT void malloc_stats(void)
{
	struct hak_inspect now = {.superslabs = NULL};

	hak_inspect(&now);
	fprintf(stderr,
		"hakmem %s\n"
		"live      %12llu bytes\ncached    %12llu\nslack     %12llu\nlarge     %12llu\ncommitted "
		"%12llu\nmetadata  %12llu\n"
		"SuperSlabs in use %llu, in the LRU cache %llu\n",
		hak_version(), (unsigned long long)now.live_bytes, (unsigned long long)now.cached_bytes,
		(unsigned long long)now.slack_bytes, (unsigned long long)now.large_bytes,
		(unsigned long long)now.committed_bytes, (unsigned long long)now.metadata_bytes,
		(unsigned long long)now.superslabs_in_use, (unsigned long long)now.lru_length);
}

EXPORT int malloc_info(int options, FILE *out)
{
	struct hak_inspect now = {.superslabs = NULL};

	if (options != 0)
		return EINVAL;
	hak_inspect(&now);
	fprintf(out, "<malloc version=\"hakmem-%s\">\n<sizes>\n", hak_version());
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		fprintf(out, "<size from=\"%u\" to=\"%u\" live=\"%llu\" cached=\"%llu\" slabs=\"%llu\"/>\n",
			class ? now.classes[class - 1].block_bytes + 1 : 1, now.classes[class].block_bytes,
			(unsigned long long)now.classes[class].live_blocks,
			(unsigned long long)now.classes[class].cached_blocks,
			(unsigned long long)now.classes[class].slabs);
	}
	fprintf(out, "</sizes>\n<total type=\"live\" size=\"%llu\"/>\n<total type=\"large\" size=\"%llu\"/>\n",
		(unsigned long long)now.live_bytes, (unsigned long long)now.large_bytes);
	fprintf(out, "<system type=\"current\" size=\"%llu\"/>\n</malloc>\n", (unsigned long long)now.committed_bytes);
	return 0;
}

/* ---- C++ ---- */

typedef void (*new_handler)(void);
/* std::get_new_handler() and std::__throw_bad_alloc() of libstdc++. */
/* NOLINTBEGIN(bugprone-reserved-identifier): theirs */
__attribute__((weak)) new_handler _ZSt15get_new_handlerv(void);
__attribute__((weak)) void _ZSt17__throw_bad_allocv(void);
/* NOLINTEND(bugprone-reserved-identifier) */

/* What C++ asks of a failed operator new: the new-handler is called until it helps, throws or is gone; then bad_alloc
 * is thrown, or NULL is returned by the nothrow forms. */
static HAK_COLD void *new_failed(size_t bytes, size_t alignment, bool nothrow)
{
	for (;;) {
		new_handler handler = _ZSt15get_new_handlerv ? _ZSt15get_new_handlerv() : NULL;
		void *block;

		if (!handler)
			break;
		if (!nothrow)
			handler();
		else if (!hak_call_new_handler(handler))
			return NULL;
		block = hak_entry_memalign(alignment, bytes);
		if (block)
			return block;
	}
	if (!nothrow) {
		if (_ZSt17__throw_bad_allocv)
			_ZSt17__throw_bad_allocv();
		abort(); /* an operator new that may not return NULL, and nobody there to throw */
	}
	return NULL;
}

HAK_INLINE void *new_block(size_t bytes, bool nothrow)
{
	void *block = hak_entry_malloc(bytes);

	return HAK_LIKELY(block != NULL) ? block : new_failed(bytes, HAK_ALIGNMENT, nothrow);
}

HAK_INLINE void *new_aligned(size_t bytes, size_t alignment, bool nothrow)
{
	void *block = hak_entry_memalign(alignment, bytes);

	return HAK_LIKELY(block != NULL) ? block : new_failed(bytes, alignment, nothrow);
}

/* m is size_t's mangled letter, St11align_val_t std::align_val_t, RKSt9nothrow_t const std::nothrow_t &. Each comes
 * plain and for arrays. */
#define NEW(mangled_suffix, parameters, body) \
	void *_Znw##mangled_suffix parameters; \
	void *_Zna##mangled_suffix parameters; \
	EXPORT void *_Znw##mangled_suffix parameters{body} EXPORT void *_Zna##mangled_suffix parameters \
	{ \
		body \
	}
#define DELETE(mangled_suffix, parameters, bytes, alignment) \
	void _Zdl##mangled_suffix parameters; \
	void _Zda##mangled_suffix parameters; \
	EXPORT void _Zdl##mangled_suffix parameters \
	{ \
		hak_entry_free_sized(block, bytes, alignment); \
	} \
	EXPORT void _Zda##mangled_suffix parameters \
	{ \
		hak_entry_free_sized(block, bytes, alignment); \
	}
#define UNUSED __attribute__((unused))

NEW(m, (size_t bytes), return new_block(bytes, false);)
NEW(mRKSt9nothrow_t, (size_t bytes, UNUSED const void *tag), return new_block(bytes, true);)
NEW(mSt11align_val_t, (size_t bytes, size_t alignment), return new_aligned(bytes, alignment, false);)
NEW(mSt11align_val_tRKSt9nothrow_t, (size_t bytes, size_t alignment, UNUSED const void *tag),
	return new_aligned(bytes, alignment, true);)

DELETE(Pv, (void *block), 0, HAK_ALIGNMENT)
DELETE(PvRKSt9nothrow_t, (void *block, UNUSED const void *tag), 0, HAK_ALIGNMENT)
DELETE(Pvm, (void *block, size_t bytes), bytes, HAK_ALIGNMENT)
DELETE(PvSt11align_val_t, (void *block, size_t alignment), 0, alignment)
DELETE(PvSt11align_val_tRKSt9nothrow_t, (void *block, size_t alignment, UNUSED const void *tag), 0, alignment)
DELETE(PvmSt11align_val_t, (void *block, size_t bytes, size_t alignment), bytes, alignment)
