/* thread.h: the threads that use the heap: their birth, their death, and fork.
 *
 * A thread is known from its first slow path on. When it ends, its cache goes to the depot and its counts to the
 * registry; destructors that run after ours, and libc's own clean-up after those, still allocate and free: they are
 * served by one cache that all such "orphans" share under a lock. No thread state is created a second time. */
#ifndef HAK_THREAD_H
#define HAK_THREAD_H

#include "cache_counts.h"
#include "lock.h"

struct hak_thread {
	struct hak_thread *next, *previous; /* in the registry, or next in the list of records to use again */
	int32_t tid;
	struct hak_cache cache; /* last: it is large, and little of it is in use */
};

/* The registry: lock order and fields for those who read all threads (inspect.c). */
struct hak_threads {
	struct hak_lock lock;
	struct hak_thread *first; /* living ones, the youngest first */
	struct hak_thread *spare; /* records of dead ones */
	uint32_t count;
	int32_t process;                             /* whose threads these are */
	struct hak_cache_counts dead[HAK_BIN_COUNT]; /* what dead threads did; cached_blocks stays 0 */
};
extern HAK_HIDDEN struct hak_threads hak_threads;

/* The calling thread's record, NULL before its first slow path and from its end on. */
HAK_INLINE struct hak_thread *hak_thread_mine(void)
{
	return hak_cache_mine ? (struct hak_thread *)((uintptr_t)hak_cache_mine - offsetof(struct hak_thread, cache)) : NULL;
}

/* The cache to use for a slow path, already begun (hak_cache_begin): the thread's own, made on its first call, or the
 * orphans' for a thread that has ended, or has only begun to free (`freeing`), or for whose record there is no memory.
 */
struct hak_cache *hak_thread_enter(bool freeing);
/* Ends the slow path: the cache, then its lock if it has one, then the lines and ticks that waited for this. */
void hak_thread_leave(struct hak_cache *cache);

/* Makes every thread give its cache back: the caller's and the orphans' at once, the others' at their next slow path.
 */
void hak_thread_drain(void);

/* Readies the orphans' cache. Once, at initialisation. */
void hak_thread_init(void);
/* Registers the thread-exit hook and the fork handlers. Once, after the heap works: either may allocate. */
void hak_thread_init_hooks(void);

/* Whether a thread of the registry ended unnoticed: its hot parts (cache.bins) may be gone. Keeps errno. */
bool hak_thread_is_gone(const struct hak_thread *thread);

/* Takes threads out of the registry that ended unnoticed. The registry's lock is held. */
void hak_thread_reap(void);

/* Copies the orphans' counts, which are no thread's. The registry's lock may be held. */
void hak_thread_read_orphans(struct hak_cache_counts counts[HAK_BIN_COUNT]);
/* The same without waiting, as hak_cache_peek reads. */
bool hak_thread_peek_orphans(struct hak_cache_counts counts[HAK_BIN_COUNT]);

#endif
