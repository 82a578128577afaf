/* Threads: they enter and leave the registry, their counts outlive them, and their blocks and caches are nobody's loss. */
#include "lib/thread.h"

#include <pthread.h>
#include <sys/syscall.h>

#include "lib/atomic.h"
#include "lib/shared_pool.h"
#include "tests/unit/heap.h"

#define BLOCKS 2000

static void *blocks[BLOCKS];
static pthread_barrier_t barrier;

static void run(void *(*function)(void *), void *argument)
{
	pthread_t thread;
	CU_ASSERT_TRUE_FATAL(pthread_create(&thread, NULL, function, argument) == 0);
	pthread_join(thread, NULL);
}

static void *allocate_blocks(void *ignored)
{
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = hak_malloc(48);
	return ignored;
}

static void *free_blocks(void *ignored)
{
	for (int i = 0; i < BLOCKS; i++)
		hak_free(blocks[i]);
	return ignored;
}

static void *wait_twice(void *tid)
{
	hak_free(hak_malloc(100));
	*(int32_t *)tid = (int32_t)syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void threads_are_listed_while_they_live(void)
{
	pthread_t thread;
	int32_t tid = 0;
	unsigned found = 0;
	hak_free(hak_malloc(1));
	size_t before = heap_look().thread_count;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, wait_twice, &tid);
	pthread_barrier_wait(&barrier);
	struct hak_inspect heap = heap_look();
	UNIT_EQUAL(heap.thread_count, before + 1);
	for (size_t i = 0; i < heap.thread_count; i++) {
		if (heap.threads[i].tid == tid) {
			found++;
			UNIT_EQUAL(heap.threads[i].allocs, 1);
			UNIT_EQUAL(heap.threads[i].frees, 1);
			CU_ASSERT_TRUE(heap.threads[i].cached_bytes >= 112);
		}
	}
	UNIT_EQUAL(found, 1);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	UNIT_EQUAL(heap_look().thread_count, before);
	pthread_barrier_destroy(&barrier);
}

static void counts_and_blocks_outlive_the_thread(void)
{
	struct hak_inspect before = heap_look();
	run(allocate_blocks, NULL);
	struct hak_inspect held = heap_look();
	UNIT_EQUAL(held.classes[2].allocs - before.classes[2].allocs, BLOCKS);
	UNIT_EQUAL(heap_live(&held) - heap_live(&before), BLOCKS);
	run(free_blocks, NULL);
	struct hak_inspect after = heap_look();
	UNIT_EQUAL(after.classes[2].frees - before.classes[2].frees, BLOCKS);
	UNIT_EQUAL(heap_live(&after), heap_live(&before));
	hak_trim();
	/* What the threads cached went to the depot, and the trim took it apart. Only the first few frees of a thread that starts with
	 * frees wait elsewhere, and are counted. */
	after = heap_look();
	CU_ASSERT_TRUE(after.classes[2].cached_blocks < 8);
	UNIT_EQUAL(hak_depots[2].handed_out, after.classes[2].live_blocks + after.classes[2].cached_blocks);
}

/* Generation after generation of threads uses the same records and the same memory. */
static void many_threads_cost_no_more_than_few(void)
{
	for (int i = 0; i < 20; i++) {
		run(allocate_blocks, NULL);
		run(free_blocks, NULL);
	}
	struct hak_inspect before = heap_look();
	for (int i = 0; i < 200; i++) {
		run(allocate_blocks, NULL);
		run(free_blocks, NULL);
	}
	struct hak_inspect after = heap_look();
	UNIT_EQUAL(after.metadata_bytes, before.metadata_bytes);
	UNIT_EQUAL(after.committed_bytes, before.committed_bytes);
	UNIT_EQUAL(after.thread_count, before.thread_count);
}

static pthread_key_t key;
static unsigned caches_after_the_end; /* that a thread has as its own */

/* Runs in every round of exit hooks that libc allows, so also after the thread's cache has gone. */
static void late_destructor(void *value)
{
	void *more[40];
	uintptr_t round = (uintptr_t)value;
	for (int i = 0; i < 40; i++)
		more[i] = hak_malloc((size_t)i * 40 + 8);
	for (int i = 0; i < 40; i++)
		hak_free(more[i]);
	if (hak_cache_mine && round > 1)
		hak_add_relaxed(&caches_after_the_end, 1u);
	if (round < 4)
		pthread_setspecific(key, (void *)(round + 1));
}

static void *use_key(void *ignored)
{
	pthread_setspecific(key, (void *)1);
	hak_free(hak_malloc(48));
	return ignored;
}

static void exit_hooks_may_allocate(void)
{
	pthread_key_create(&key, late_destructor);
	struct hak_inspect before = heap_look();
	for (int i = 0; i < 50; i++)
		run(use_key, NULL);
	struct hak_inspect after = heap_look();
	UNIT_EQUAL(HEAP_SUM(&after, allocs) - HEAP_SUM(&before, allocs), 50 * (1 + 4 * 40));
	UNIT_EQUAL(HEAP_SUM(&after, frees) - HEAP_SUM(&before, frees), 50 * (1 + 4 * 40));
	UNIT_EQUAL(heap_live(&after), heap_live(&before));
	UNIT_EQUAL(after.thread_count, before.thread_count);
	UNIT_EQUAL(caches_after_the_end, 0);
	pthread_key_delete(key);
}

static void *free_five(void *ignored)
{
	for (int i = 0; i < 5; i++)
		hak_free(blocks[i]);
	return ignored;
}

/* A thread that frees a handful and nothing else leaves no record behind, and nothing uncounted. */
static void a_few_frees_make_no_record(void)
{
	for (int i = 0; i < 5; i++)
		blocks[i] = hak_malloc(48);
	struct hak_inspect before = heap_look();
	run(free_five, NULL);
	struct hak_inspect after = heap_look();
	UNIT_EQUAL(after.thread_count, before.thread_count);
	UNIT_EQUAL(after.classes[2].frees - before.classes[2].frees, 5);
}

static void *free_many(void *ignored)
{
	for (int i = 0; i < BLOCKS; i++)
		hak_free(blocks[i]);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return ignored;
}

/* But one that goes on freeing gets a cache of its own without ever having allocated: the orphans' lock is for few. */
static void who_only_frees_gets_a_record(void)
{
	pthread_t thread;
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = hak_malloc(48);
	size_t before = heap_look().thread_count;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, free_many, NULL);
	pthread_barrier_wait(&barrier);
	UNIT_EQUAL(heap_look().thread_count, before + 1);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	UNIT_EQUAL(heap_look().thread_count, before);
	pthread_barrier_destroy(&barrier);
}

static uint32_t stop;

static void *churn(void *ignored)
{
	while (!hak_load_acquire(&stop)) {
		void *mine[100];
		for (int i = 0; i < 100; i++)
			mine[i] = hak_malloc((size_t)i * 11 + 1);
		for (int i = 0; i < 100; i++)
			hak_free(mine[i]);
	}
	return ignored;
}

static void child_of_fork(void *ignored)
{
	(void)ignored;
	struct hak_inspect heap = heap_look();
	if (heap.thread_count != 1 || heap.threads[0].tid != getpid())
		_exit(2);
	for (int round = 0; round < 30; round++) {
		void *mine[300];
		for (size_t i = 0; i < 300; i++) {
			mine[i] = hak_malloc(i * 7 + 1);
			memset(mine[i], 1, i * 7 + 1);
		}
		for (size_t i = 0; i < 300; i++)
			hak_free(mine[i]);
	}
	hak_trim();
	_exit(0);
}

static void fork_leaves_the_other_threads_behind(void)
{
	UNIT_LEAVE_IF(UNIT_TSAN, "ThreadSanitizer can't follow a fork of a process with threads");
	pthread_t threads[3];
	hak_free(hak_malloc(1)); /* so that the forking thread is known */
	hak_store_release(&stop, 0u);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, churn, NULL);
	for (int i = 0; i < 200; i++) {
		char said[512];
		int status = unit_in_child(child_of_fork, NULL, said, sizeof(said));
		UNIT_EQUAL(status, 0);
		UNIT_STRING(said, "");
	}
	hak_store_release(&stop, 1u);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

UNIT_MAIN("thread", UNIT(threads_are_listed_while_they_live), UNIT(counts_and_blocks_outlive_the_thread),
	UNIT(many_threads_cost_no_more_than_few), UNIT(exit_hooks_may_allocate), UNIT(a_few_frees_make_no_record),
	UNIT(who_only_frees_gets_a_record), UNIT(fork_leaves_the_other_threads_behind))
