#include "thread.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cell.h"
#include "guard.h"
#include "guard_page.h"
#include "mirror.h"
#include "os.h"
#include "quarantine.h"
#include "sample_table.h"
#include "trace.h"

#define RECORD_CHUNK 4 /* thread records made at a time */

/* libc frees a few blocks of its own when a thread has run all its exit hooks. If those frees were the thread's first,
 * a record made for them would never be taken back; so a thread that starts with frees gets its record with the first
 * malloc or after this many. */
#define EARLY_FREES 8

struct hak_threads hak_threads = {.lock = HAK_LOCK_INIT(HAK_RANK_THREADS)};

enum thread_state {
	STATE_NEW, /* no slow path yet */
	STATE_LIVE,
	STATE_DEAD, /* torn down: for good */
};

static HAK_TLS uint8_t thread_state;
static HAK_TLS uint8_t early_frees; /* served by the orphans' cache before this thread got its own */

/* The cache of threads whose own is gone. Readied by the first of them: most programs have none. */
static struct hak_lock orphan_lock = HAK_LOCK_INIT(HAK_RANK_ORPHANS);
static bool orphan_ready;
static struct hak_bins orphan_bins;
static struct hak_cache orphan_cache; /* orphan_lock */

/* The first thread's record lies among the library's own data, so that a program with one thread maps no memory for it.
 */
static struct hak_thread first_record;

static pthread_key_t exit_key;
static bool exit_key_made;

/* ---- The registry ---- */

/* A zeroed record. The registry's lock is held. */
static struct hak_thread *record_get(void)
{
	struct hak_thread *record = hak_threads.spare;

	if (!record && !first_record.tid)
		return &first_record;
	if (!record) {
		record = hak_arena_metadata(RECORD_CHUNK * sizeof(*record));
		if (!record)
			return NULL;
		for (unsigned i = 0; i + 1 < RECORD_CHUNK; i++)
			record[i].next = &record[i + 1];
	}
	hak_threads.spare = record->next;
	if (record->tid) /* a dead thread's; new ones are zero, and their pages untouched */
		*record = (struct hak_thread){0};
	return record;
}

static void registry_insert(struct hak_thread *thread)
{
	thread->previous = NULL;
	thread->next = hak_threads.first;
	if (thread->next)
		thread->next->previous = thread;
	hak_threads.first = thread;
	hak_threads.count++;
}

static void registry_remove(struct hak_thread *thread)
{
	if (thread->previous)
		thread->previous->next = thread->next;
	else
		hak_threads.first = thread->next;
	if (thread->next)
		thread->next->previous = thread->previous;
	hak_threads.count--;
}

/* Adds a thread's counts to those of the dead, so that sums over all threads never lose any. The registry's lock is
 * held. */
static void registry_fold(struct hak_thread *thread)
{
	struct hak_cache_counts counts[HAK_BIN_COUNT];

	hak_cache_read(&thread->cache, counts);
	for (unsigned bin = 0; bin < HAK_BIN_COUNT; bin++) {
		hak_threads.dead[bin].allocs += counts[bin].allocs;
		hak_threads.dead[bin].frees += counts[bin].frees;
		if (hak_mirror_is_on())
			hak_mirror_store_counts(HAK_MIRROR_ROW_DEAD, bin, hak_threads.dead[bin].allocs,
				hak_threads.dead[bin].frees, 0);
	}
	hak_cache_leave_mirror(&thread->cache);
}

/* ---- Birth ---- */

static struct hak_thread *thread_birth(void)
{
	const struct hak_sink *sink = hak_trace_sink();
	struct hak_thread *thread;

	hak_lock_acquire(&hak_threads.lock);
	thread = record_get();
	if (thread) {
		hak_cache_init(&thread->cache, &hak_bins);
		thread->tid = hak_os_tid();
		registry_insert(thread);
		hak_trace_thread_birth((uint64_t)thread->tid, hak_threads.count);
	}
	hak_lock_release(&hak_threads.lock);
	if (!thread)
		return NULL;
	thread_state = STATE_LIVE;
	/* May allocate, if the program has many keys; the cache above is ready for that. */
	if (hak_load_acquire(&exit_key_made))
		pthread_setspecific(exit_key, thread);
	if (sink && sink->thread_birth)
		sink->thread_birth();
	return thread;
}

/* Meets a request for a drain, if there is one. */
HAK_INLINE void drain_if_wanted(struct hak_cache *cache)
{
	if (HAK_LIKELY(!hak_cache_drain_wanted(cache)))
		return;
	hak_cache_flush(cache, HAK_RELEASE_TRIM);
	if (hak_mirror_is_on())
		hak_cache_mirror_all(cache);
}

static struct hak_cache *orphan_enter(void)
{
	hak_lock_acquire(&orphan_lock);
	if (!orphan_ready) {
		hak_cache_init(&orphan_cache, &orphan_bins);
		hak_store_release(&orphan_ready, true); /* pairs with the acquire in hak_thread_read_orphans */
	}
	hak_cache_begin(&orphan_cache);
	drain_if_wanted(&orphan_cache);
	return &orphan_cache;
}

struct hak_cache *hak_thread_enter(bool freeing)
{
	if (HAK_UNLIKELY(!hak_cache_mine)) {
		if (thread_state == STATE_DEAD || (freeing && ++early_frees < EARLY_FREES) || !thread_birth())
			return orphan_enter();
	}
	hak_cache_begin(hak_cache_mine);
	drain_if_wanted(hak_cache_mine);
	return hak_cache_mine;
}

void hak_thread_leave(struct hak_cache *cache)
{
	hak_cache_end(cache);
	if (HAK_UNLIKELY(cache == &orphan_cache))
		hak_lock_release(&orphan_lock);
	hak_trace_flush();
}

void hak_thread_drain(void)
{
	hak_cache_request_drain();
	hak_thread_leave(hak_thread_enter(true));
	hak_thread_leave(orphan_enter());
}

/* ---- Death ---- */

/* Makes every countdown end at once again, so that whatever this thread still does comes to the slow path. */
static void disarm(struct hak_bins *bins)
{
	for (unsigned bin = 0; bin < HAK_BIN_COUNT; bin++) {
		bins->head[bin] = NULL;
		hak_store_relaxed(&bins->left[bin].alloc_left, 0);
		hak_store_relaxed(&bins->left[bin].free_left, 0);
	}
}

static void thread_death(struct hak_thread *thread)
{
	const struct hak_sink *sink = hak_trace_sink();

	hak_cache_mine = NULL;
	thread_state = STATE_DEAD;
	hak_cache_begin(&thread->cache);
	hak_cache_flush(&thread->cache, HAK_RELEASE_THREAD_EXIT);
	hak_cache_end(&thread->cache);
	hak_lock_acquire(&hak_threads.lock);
	registry_fold(thread);
	registry_remove(thread);
	hak_trace_thread_death((uint64_t)thread->tid, hak_threads.count);
	disarm(&hak_bins);
	thread->next = hak_threads.spare;
	hak_threads.spare = thread;
	hak_lock_release(&hak_threads.lock);
	if (sink && sink->thread_death)
		sink->thread_death();
	hak_trace_flush();
}

static void thread_exit(void *value)
{
	(void)value;
	if (hak_cache_mine)
		thread_death(hak_thread_mine());
}

bool hak_thread_is_gone(const struct hak_thread *thread)
{
	int kept = errno;
	bool gone = thread != hak_thread_mine() && syscall(SYS_tgkill, getpid(), thread->tid, 0) != 0 && errno == ESRCH;

	errno = kept;
	return gone;
}

/* A thread whose first malloc came in the last round of exit hooks is gone without a word, and its hot parts with it:
 * what the record itself says is folded, the runs and the blocks for samples that it names go back, and the few other blocks
 * it cached stay out of use. */
void hak_thread_reap(void)
{
	struct hak_thread *next;

	/* A child of vfork shares this memory, but asks about threads of its own process. */
	if (getpid() != hak_threads.process)
		return;
	for (struct hak_thread *thread = hak_threads.first; thread; thread = next) {
		next = thread->next;
		if (!hak_thread_is_gone(thread))
			continue;
		for (unsigned bin = 0; bin < HAK_BIN_COUNT; bin++) {
			hak_threads.dead[bin].allocs += thread->cache.classes[bin].allocs;
			hak_threads.dead[bin].frees += thread->cache.classes[bin].frees;
		}
		hak_run_cache_flush(&thread->cache.runs);
		hak_cache_flush_spares(&thread->cache, HAK_RELEASE_THREAD_EXIT);
		hak_cache_leave_mirror(&thread->cache);
		registry_remove(thread);
		thread->next = hak_threads.spare;
		hak_threads.spare = thread;
	}
}

void hak_thread_read_orphans(struct hak_cache_counts counts[HAK_BIN_COUNT])
{
	if (hak_load_acquire(&orphan_ready))
		hak_cache_read(&orphan_cache, counts);
	else
		memset(counts, 0, HAK_BIN_COUNT * sizeof(*counts));
}

bool hak_thread_peek_orphans(struct hak_cache_counts counts[HAK_BIN_COUNT])
{
	memset(counts, 0, HAK_BIN_COUNT * sizeof(*counts));
	return !hak_load_acquire(&orphan_ready) || hak_cache_peek(&orphan_cache, counts);
}

/* ---- Fork ---- */

static void fork_prepare(void)
{
	const struct hak_sink *sink = hak_trace_sink();

	if (sink && sink->fork_prepare)
		sink->fork_prepare();
	hak_lock_acquire(&orphan_lock);
	hak_lock_acquire(&hak_threads.lock);
	/* The child will read the hot parts of all threads in the registry: they must be there. */
	hak_thread_reap();
	hak_sample_table_fork_lock();
	hak_guard_page_fork_lock();
	hak_quarantine_fork_lock();
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++)
		hak_lock_acquire(&hak_depots[class].lock);
	hak_cell_fork_lock();
	hak_lock_acquire(&hak_pool.lock);
	hak_trace_fork_lock();
	/* Handlers that were registered before ours, by a library's constructor, run between this and the fork, and after it before
	 * ours: they may allocate, and this thread alone may. */
	hak_lock_hold_all(true);
}

static void fork_unlock(void)
{
	hak_lock_hold_all(false);
	hak_trace_fork_unlock();
	hak_lock_release(&hak_pool.lock);
	hak_cell_fork_unlock();
	for (unsigned class = HAK_CLASS_COUNT; class -- > 0;)
		hak_lock_release(&hak_depots[class].lock);
	hak_quarantine_fork_unlock();
	hak_guard_page_fork_unlock();
	hak_sample_table_fork_unlock();
	hak_lock_release(&hak_threads.lock);
	hak_lock_release(&orphan_lock);
}

static void fork_parent(void)
{
	const struct hak_sink *sink = hak_trace_sink();

	fork_unlock();
	if (sink && sink->fork_parent)
		sink->fork_parent();
}

/* A thread that doesn't exist in the child. The blocks in its cache are taken over unless it was in the middle of a
 * slow path, where its lists may be half changed: those blocks stay out of use in this child. Its hot parts lie in its
 * thread-local memory, which fork copied and nobody has used again yet. */
static void adopt_vanished(struct hak_thread *thread)
{
	bool halfway = thread->cache.version & 1;

	if (halfway)
		hak_cache_end(&thread->cache);
	hak_lock_acquire(&hak_threads.lock);
	registry_fold(thread);
	registry_remove(thread);
	hak_lock_release(&hak_threads.lock);
	if (!halfway) {
		hak_cache_begin(&thread->cache);
		hak_cache_recount(&thread->cache);
		hak_cache_flush(&thread->cache, HAK_RELEASE_THREAD_EXIT);
		hak_cache_end(&thread->cache);
	}
	hak_lock_acquire(&hak_threads.lock);
	thread->next = hak_threads.spare;
	hak_threads.spare = thread;
	hak_lock_release(&hak_threads.lock);
}

static void fork_child(void)
{
	const struct hak_sink *sink = hak_trace_sink();
	struct hak_thread *thread, *next;

	fork_unlock();
	hak_os_fork_child();
	hak_threads.process = getpid();
	for (thread = hak_threads.first; thread; thread = next) {
		next = thread->next;
		/* Ours is known by its hot parts: in the midst of its end, should a handler of a signal fork there, a thread has no cache
		 * of its own any more. */
		if (thread->cache.bins == &hak_bins)
			thread->tid = hak_os_tid();
		else
			adopt_vanished(thread);
	}
	hak_guard_fork_child();
	/* The registry is right again, should the sink look at it. */
	if (sink && sink->fork_child)
		sink->fork_child();
	hak_trace_fork_child((uint64_t)getppid(), (uint64_t)getpid());
	hak_trace_flush();
}

void hak_thread_init(void)
{
	hak_threads.process = getpid();
}

void hak_thread_init_hooks(void)
{
	if (pthread_key_create(&exit_key, thread_exit) == 0)
		hak_store_release(&exit_key_made, true); /* pairs with the acquire in thread_birth */
	pthread_atfork(fork_prepare, fork_parent, fork_child);
	/* The initialising thread was born before the key was there. */
	if (exit_key_made && hak_cache_mine)
		pthread_setspecific(exit_key, hak_thread_mine());
}
