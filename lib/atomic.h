/* atomic.h: the atomic operations in use, each with its memory order in its name.
 *
 * Only these are used in lib, so that the set of orders the allocator relies on can be seen here. */
#ifndef HAK_ATOMIC_H
#define HAK_ATOMIC_H

#include "base.h"

#define hak_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define hak_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define hak_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define hak_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define hak_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define hak_or_relaxed(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define hak_and_relaxed(p, v) __atomic_fetch_and((p), (v), __ATOMIC_RELAXED)
#define hak_exchange_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define hak_exchange_release(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)
/* TSan doesn't model fences, and gcc warns of each; what they order are relaxed atomics, which it does not report. In
 * its builds they only keep the compiler in order. */
#if HAK_TSAN
#define hak_fence_acquire() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define hak_fence_release() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#else
#define hak_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define hak_fence_release() __atomic_thread_fence(__ATOMIC_RELEASE)
#endif

/* Strong compare-and-swap, acquire on success: takes a lock or claims a once-only duty. */
HAK_INLINE bool hak_cas_acquire_u32(uint32_t *p, uint32_t *expected, uint32_t desired)
{
	return __atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* The same of a byte. */
HAK_INLINE bool hak_cas_acquire_u8(uint8_t *p, uint8_t *expected, uint8_t desired)
{
	return __atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Lowers a 32-bit counter with a single writer, read by others, and tells whether it is below 0 then. The writer's
 * plain read-modify-write compiles to one instruction on memory, which an atomic load and store pair would not; TSan
 * builds use that pair, because the tool can't know that the hardware's aligned word store is whole. Readers use
 * hak_load_relaxed. */
#if HAK_TSAN
#define hak_countdown_ends(p) \
	__extension__({ \
		__typeof__(*(p)) value_ = hak_load_relaxed(p) - 1; \
		hak_store_relaxed((p), value_); \
		value_ < 0; \
	})
#else
#define hak_countdown_ends(p) (--*(p) < 0)
#endif

/* Reads a word that the fast path needs and that another thread may be writing, where any value it ever had will do.
 * Plain for the same reason: compilers don't fold an atomic load into the instruction that uses it. */
#if HAK_TSAN
#define hak_load_word(p) hak_load_relaxed(p)
#else
#define hak_load_word(p) (*(p))
#endif

/* Adds to a counter that is written under a lock (or by one thread) and read without: no locked instruction needed. */
#define hak_single_writer_add(p, v) hak_store_relaxed((p), hak_load_relaxed(p) + (v))

#endif
