/* Snapshots: the arrays grow with the heap, the facts are those of this process, threads have their names. */
#include "introspect/snapshot.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "lib/hakmem.h"
#include "tests/unit/unit.h"

#define BLOCKS 3000
#define BLOCK_BYTES 32768

static struct hak_snapshot snapshot;

static void facts(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator leaves out most of /proc/self/stat");
	hak_snapshot_set_start(hak_snapshot_clock_us(CLOCK_MONOTONIC));
	hak_snapshot_init(&snapshot);
	CU_ASSERT_TRUE_FATAL(hak_snapshot_take(&snapshot));
	uint64_t seq = snapshot.seq, time_us = snapshot.time_us;
	UNIT_EQUAL(snapshot.pid, getpid());
	UNIT_EQUAL(snapshot.ppid, getppid());
	CU_ASSERT_TRUE(snapshot.resident_bytes > 4096);
	CU_ASSERT_TRUE(snapshot.stat.threads >= 1);
	CU_ASSERT_TRUE(snapshot.uptime_us < 60u * 1000000);
	CU_ASSERT_TRUE(snapshot.realtime_us > 1600000000ull * 1000000);
	UNIT_EQUAL(snapshot.own_bytes, hak_memory_mapped());
	CU_ASSERT_PTR_NOT_NULL(strstr(snapshot.exe, program_invocation_short_name));
	CU_ASSERT_TRUE(hak_snapshot_take(&snapshot));
	UNIT_EQUAL(snapshot.seq, seq + 1);
	CU_ASSERT_TRUE(snapshot.time_us >= time_us);
	hak_snapshot_free(&snapshot);
}

/* A heap of many more SuperSlabs than the arrays begin with. */
static void the_arrays_grow(void)
{
	static void *blocks[BLOCKS];
	uint64_t before = hak_memory_mapped();
	hak_snapshot_init(&snapshot);
	CU_ASSERT_TRUE_FATAL(hak_snapshot_take(&snapshot));
	struct hak_inspect *heap = &snapshot.heap;
	uint64_t allocs = heap->classes[HAK_CLASS_OF_32768].allocs;
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = hak_malloc(BLOCK_BYTES);
	CU_ASSERT_TRUE_FATAL(hak_snapshot_take(&snapshot));
	UNIT_EQUAL(heap->classes[HAK_CLASS_OF_32768].allocs - allocs, BLOCKS);
	CU_ASSERT_TRUE(heap->superslab_count >= (size_t)BLOCKS * BLOCK_BYTES / HAK_SS_BYTES);
	CU_ASSERT_TRUE(heap->superslab_count <= heap->superslab_capacity);
	uint64_t used = 0;
	for (size_t i = 0; i < heap->superslab_count; i++) {
		for (unsigned slot = 0; slot < HAK_SLOTS_PER_SS; slot++) {
			const struct hak_slot_info *info = &heap->superslabs[i].slots[slot];
			if (info->state == HAK_SLOT_ACTIVE && info->class == HAK_CLASS_OF_32768)
				used += info->used;
		}
	}
	CU_ASSERT_TRUE(used >= BLOCKS);
	for (int i = 0; i < BLOCKS; i++)
		hak_free(blocks[i]);
	CU_ASSERT_TRUE(hak_snapshot_take(&snapshot));
	UNIT_EQUAL(heap->classes[HAK_CLASS_OF_32768].frees, heap->classes[HAK_CLASS_OF_32768].allocs);
	hak_snapshot_free(&snapshot);
	UNIT_EQUAL(hak_memory_mapped(), before);
}

#define THREADS 50

static pthread_barrier_t barrier;
static pid_t tids[THREADS];

static void *allocate_and_wait(void *argument)
{
	uintptr_t index = (uintptr_t)argument;
	char name[16];
	snprintf(name, sizeof(name), "worker %d", (int)index);
	prctl(PR_SET_NAME, name);
	tids[index] = (pid_t)syscall(SYS_gettid);
	hak_free(hak_malloc(100));
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void threads_have_names(void)
{
	pthread_t threads[THREADS];
	hak_snapshot_init(&snapshot);
	CU_ASSERT_TRUE_FATAL(hak_snapshot_take(&snapshot));
	size_t before = snapshot.heap.thread_count;
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, allocate_and_wait, (void *)i);
	pthread_barrier_wait(&barrier);
	CU_ASSERT_TRUE(hak_snapshot_take(&snapshot));
	UNIT_EQUAL(snapshot.heap.thread_count, before + THREADS);
	UNIT_EQUAL(snapshot.name_count, snapshot.heap.thread_count);
	const struct hak_snapshot_name *names = snapshot.names.data;
	unsigned found = 0;
	for (size_t row = 0; row < snapshot.heap.thread_count; row++) {
		UNIT_EQUAL(names[row].tid, snapshot.heap.threads[row].tid);
		for (int i = 0; i < THREADS; i++) {
			char expected[16];
			if (names[row].tid != tids[i])
				continue;
			snprintf(expected, sizeof(expected), "worker %d", i);
			UNIT_STRING(names[row].name, expected);
			found++;
		}
	}
	UNIT_EQUAL(found, THREADS);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_TRUE(hak_snapshot_take(&snapshot));
	UNIT_EQUAL(snapshot.heap.thread_count, before);
	hak_snapshot_free(&snapshot);
	pthread_barrier_destroy(&barrier);
}

UNIT_MAIN("snapshot", UNIT(facts), UNIT(the_arrays_grow), UNIT(threads_have_names))
