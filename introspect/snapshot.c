/* snapshot.c: everything a snapshot message says, gathered before a byte of it is written, so that no lock and no file
 * is held while it is encoded and sent. */
#include "introspect/snapshot.h"

#include <time.h>
#include <unistd.h>

#include "lib/atomic.h"
#include "lib/trace.h"

#define ATTEMPTS 8            /* at growing the arrays before rows are left out: the heap may grow meanwhile */
#define NAMES_LIFE_US 1000000 /* thread names cost four system calls each: they are read anew after this */

static uint64_t start_us;  /* written before there are readers */
static uint64_t last_seq;  /* relaxed: only its uniqueness matters */

uint64_t hak_snapshot_clock_us(int clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t hak_snapshot_now_us(void)
{
	return hak_snapshot_clock_us(CLOCK_MONOTONIC);
}

void hak_snapshot_set_start(uint64_t time_us)
{
	start_us = time_us;
}

void hak_snapshot_init(struct hak_snapshot *snapshot)
{
	*snapshot = (struct hak_snapshot){0};
	snapshot->superslabs.element = sizeof(struct hak_superslab_info);
	snapshot->threads.element = sizeof(struct hak_thread_info);
	snapshot->versions.element = sizeof(uint64_t);
	snapshot->names.element = sizeof(struct hak_snapshot_name);
}

void hak_snapshot_free(struct hak_snapshot *snapshot)
{
	hak_array_free(&snapshot->superslabs);
	hak_array_free(&snapshot->threads);
	hak_array_free(&snapshot->versions);
	hak_array_free(&snapshot->names);
}

void hak_snapshot_follow(struct hak_snapshot *snapshot, bool on)
{
	hak_inspect_follow(on);
	snapshot->following = snapshot->whole = on;
}

/* Makes room for the rows of so many SuperSlabs and threads. */
static bool reserve(struct hak_snapshot *snapshot, size_t superslabs, size_t threads)
{
	struct hak_inspect *heap = &snapshot->heap;

	if (!hak_array_reserve(&snapshot->superslabs, superslabs) || !hak_array_reserve(&snapshot->threads, threads))
		return false;
	if (snapshot->following && !hak_array_reserve(&snapshot->versions, snapshot->superslabs.capacity))
		return false;
	heap->superslabs = snapshot->superslabs.data;
	heap->superslab_capacity = snapshot->superslabs.capacity;
	heap->threads = snapshot->threads.data;
	heap->thread_capacity = snapshot->threads.capacity;
	return true;
}

/* Looks at the heap once. Returns whether every row had its place. */
static bool look(struct hak_snapshot *snapshot)
{
	struct hak_inspect *heap = &snapshot->heap;

	if (!snapshot->following)
		hak_inspect(heap);
	else if (hak_inspect_changes(heap, snapshot->versions.data, snapshot->seq, snapshot->whole))
		snapshot->whole = false;
	return heap->superslab_count <= heap->superslab_capacity && heap->thread_count <= heap->thread_capacity;
}

/* Copies the heap's state; the arrays grow until everything fits. */
static bool take_heap(struct hak_snapshot *snapshot)
{
	struct hak_inspect *heap = &snapshot->heap;
	size_t superslabs = 32, threads = 32;

	for (int i = 0; i < ATTEMPTS; i++) {
		if (!reserve(snapshot, superslabs, threads))
			return false;
		if (look(snapshot))
			return true;
		/* Some more than were seen, as the next look comes later. */
		superslabs = heap->superslab_count + heap->superslab_count / 4;
		threads = heap->thread_count + heap->thread_count / 4;
	}
	/* A heap that outgrows every attempt is shown without its last rows; to one who follows, not at all. */
	if (snapshot->following && heap->superslab_count > heap->superslab_capacity)
		return false;
	if (heap->superslab_count > heap->superslab_capacity)
		heap->superslab_count = heap->superslab_capacity;
	if (heap->thread_count > heap->thread_capacity)
		heap->thread_count = heap->thread_capacity;
	return true;
}

/* Names the threads of heap.threads. Names are kept for a while as long as the same thread stands in the same row. */
static bool take_names(struct hak_snapshot *snapshot)
{
	bool expired = snapshot->time_us - snapshot->names_time_us >= NAMES_LIFE_US;
	struct hak_snapshot_name *names;

	if (!hak_array_reserve(&snapshot->names, snapshot->heap.thread_count))
		return false;
	names = snapshot->names.data;
	for (size_t i = 0; i < snapshot->heap.thread_count; i++) {
		int32_t tid = snapshot->heap.threads[i].tid;

		if (!expired && i < snapshot->name_count && names[i].tid == tid)
			continue;
		names[i].tid = tid;
		hak_proc_thread_name(tid, names[i].name);
	}
	snapshot->name_count = snapshot->heap.thread_count;
	if (expired)
		snapshot->names_time_us = snapshot->time_us;
	return true;
}

/* Everything but the heap. Program and arguments are `known` from an earlier snapshot. */
static bool take_facts(struct hak_snapshot *snapshot, bool known)
{
	snapshot->time_us = hak_snapshot_now_us();
	snapshot->realtime_us = hak_snapshot_clock_us(CLOCK_REALTIME);
	snapshot->uptime_us = snapshot->time_us - start_us;
	snapshot->pid = getpid();
	snapshot->ppid = getppid();
	/* They don't change while this process lasts, and cost as much as all the rest. */
	if (!known) {
		hak_proc_exe(snapshot->exe, sizeof(snapshot->exe));
		hak_proc_cmdline(snapshot->cmdline, sizeof(snapshot->cmdline));
	}
	hak_proc_stat(&snapshot->stat);
	if (snapshot->stat.threads == 0)
		snapshot->stat.threads = snapshot->heap.thread_count;
	snapshot->resident_bytes = hak_proc_resident();
	hak_ring_totals(&snapshot->trace);
	snapshot->trace_groups = hak_trace_groups();
	snapshot->own_bytes = hak_memory_mapped();
	hak_guard_count(&snapshot->guard);
	return take_names(snapshot);
}

bool hak_snapshot_take(struct hak_snapshot *snapshot)
{
	bool known = snapshot->following && snapshot->seq && snapshot->pid == getpid();

	snapshot->seq = hak_add_relaxed(&last_seq, 1) + 1;
	return take_heap(snapshot) && take_facts(snapshot, known);
}

bool hak_snapshot_facts(struct hak_snapshot *snapshot)
{
	snapshot->seq = hak_add_relaxed(&last_seq, 1) + 1;
	return take_facts(snapshot, false);
}
