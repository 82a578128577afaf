/* snapshot.h: the state of the heap and the facts about its process, copied at one moment. */
#ifndef HAK_SNAPSHOT_H
#define HAK_SNAPSHOT_H

#include "introspect/memory.h"
#include "introspect/proc.h"
#include "introspect/ring.h"
#include "lib/guard.h"
#include "lib/inspect.h"

struct hak_snapshot_name {
	int32_t tid;
	char name[HAK_PROC_NAME_MAX];
};

struct hak_snapshot {
	struct hak_inspect heap; /* its arrays lie in the two mappings below */
	struct hak_array superslabs, threads;
	/* hak_snapshot_follow: of each row of heap.superslabs, uint64_t, the seq of the snapshot in which it changed. */
	struct hak_array versions;
	bool following, whole;    /* whole: the next snapshot writes every row */
	struct hak_array names;   /* struct hak_snapshot_name; row i belongs to heap.threads[i] */
	size_t name_count;
	uint64_t names_time_us;   /* when the names were read */

	uint64_t seq;         /* counts the snapshots of this process, from 1 */
	uint64_t time_us;     /* CLOCK_MONOTONIC */
	uint64_t realtime_us; /* CLOCK_REALTIME */
	uint64_t uptime_us;   /* since hak_snapshot_set_start */
	int32_t pid, ppid;
	uint64_t resident_bytes;
	struct hak_proc_stat stat;
	struct hak_ring_totals trace;
	uint32_t trace_groups; /* bits of enum hak_trace_group */
	uint64_t own_bytes;    /* mapped by introspect */
	struct hak_guard_counts guard;
	char exe[HAK_PROC_TEXT_MAX];
	char cmdline[HAK_PROC_TEXT_MAX];
};

/* Prepares a snapshot for its first hak_snapshot_take. Maps nothing yet. */
void hak_snapshot_init(struct hak_snapshot *snapshot);

/* Takes the state. The mappings are kept for the next time. Returns false if memory for the rows is refused. Not in a
 * signal handler; one thread at a time for one snapshot, several threads with their own ones. */
bool hak_snapshot_take(struct hak_snapshot *snapshot);

/* Takes all but the heap's state, of whose threads the names are read. Returns false if memory for these is refused; none
 * is asked for if names.capacity suffices, and then this may run in a signal handler. */
bool hak_snapshot_facts(struct hak_snapshot *snapshot);

/* From now on each snapshot looks only at what has changed of the slot map since the one before, which a heap of many
 * SuperSlabs hardly notices; the rows stand by SuperSlab number then, with gaps (hak_inspect_changes). false ends this.
 * One snapshot of a process at a time follows. */
void hak_snapshot_follow(struct hak_snapshot *snapshot, bool on);

/* Gives the mappings back. */
void hak_snapshot_free(struct hak_snapshot *snapshot);

/* The moment from which uptime_us counts: when HAKMEM was attached to this process. Before other threads take
 * snapshots. */
void hak_snapshot_set_start(uint64_t time_us);

/* The present time of `clock` in microseconds. */
uint64_t hak_snapshot_clock_us(int clock);

/* The present time of CLOCK_MONOTONIC in microseconds, which is what messages count in. */
uint64_t hak_snapshot_now_us(void);

#endif
