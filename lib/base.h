/* base.h: the constants and compiler words that every other file uses.
 *
 * It is the bottom of the layer order (lib/README.md) and includes nothing of ours. */
#ifndef HAK_BASE_H
#define HAK_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The geometry. A SuperSlab is 2 MiB, aligned to its size, because that is what the hardware can back with one huge
 * page; 32 slots let one machine word hold a bit for each of them. */
#define HAK_SLOT_SHIFT 16
#define HAK_SLOT_BYTES ((size_t)1 << HAK_SLOT_SHIFT)
#define HAK_SS_SHIFT 21
#define HAK_SS_BYTES ((size_t)1 << HAK_SS_SHIFT)
#define HAK_SLOTS_PER_SS 32u
#define HAK_ALIGNMENT 16u

/* The largest request that libc allows: anything above PTRDIFF_MAX is refused with ENOMEM. */
#define HAK_MAX_REQUEST ((size_t)PTRDIFF_MAX)

#define HAK_LIKELY(x) __builtin_expect(!!(x), 1)
#define HAK_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define HAK_EXPORT __attribute__((visibility("default")))
/* For declarations of data: without it the compiler would look up where ours lies, as if another library could bring it. */
#define HAK_HIDDEN __attribute__((visibility("hidden")))
#define HAK_INLINE static inline __attribute__((always_inline))
#define HAK_NOINLINE __attribute__((noinline))
#define HAK_COLD __attribute__((cold, noinline))
#define HAK_TLS _Thread_local __attribute__((tls_model("initial-exec")))
#define HAK_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__SANITIZE_THREAD__)
#define HAK_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define HAK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAK_TSAN 1
#elif __has_feature(address_sanitizer)
#define HAK_ASAN 1
#endif
#endif
#ifndef HAK_TSAN
#define HAK_TSAN 0
#endif
#ifndef HAK_ASAN
#define HAK_ASAN 0
#endif

/* HAK_DEBUG switches on assertions and lock-rank checks; the build sets it (Debug builds and the test core). */
#ifndef HAK_DEBUG
#define HAK_DEBUG 0
#endif
#if HAK_DEBUG
#define HAK_ASSERT(condition) ((condition) ? (void)0 : hak_assert_fail(#condition, __FILE__, __LINE__))
#else
#define HAK_ASSERT(condition) ((void)sizeof(condition))
#endif

/* Prints the failed condition with its place on stderr and aborts. Defined in log.c. */
_Noreturn void hak_assert_fail(const char *condition, const char *file, int line);

HAK_INLINE uintptr_t hak_align_up(uintptr_t value, uintptr_t alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

HAK_INLINE uintptr_t hak_align_down(uintptr_t value, uintptr_t alignment)
{
	return value & ~(alignment - 1);
}

#endif
