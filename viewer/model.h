/* model.h: a snapshot or dump as C structs, and what follows from two of them.
 *
 * The field lists below are the only place where the viewer writes the names down; parse.c reads them. */
#ifndef VIEWER_MODEL_H
#define VIEWER_MODEL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "viewer/problem.h"

#define MODEL_SLOTS 32          /* slots a SuperSlab: the width of the slot map */
#define MODEL_SLOT_COLUMNS 6
#define MODEL_CLASSES_MAX 255   /* a slot's class has to fit a byte */
#define MODEL_SUPERSLABS_MAX (1u << 21) /* 4 TiB of address space */
#define MODEL_THREADS_MAX (1u << 20)
#define MODEL_NUMBER_MAX 9007199254740992.0 /* 2^53: what a JSON number carries exactly */

/* Sections of the snapshot that hold counters only: X(field) for each that must be there, O(field) for what reads as 0
 * where it is missing. */
#define MODEL_GEOMETRY(X, O) X(superslab_bytes) X(slot_bytes) X(slots_per_superslab)
#define MODEL_MEMORY(X, O) \
	X(reserved_bytes) X(committed_bytes) X(resident_bytes) X(live_bytes) X(cached_bytes) X(slack_bytes) \
	X(large_bytes) X(metadata_bytes) O(purged_bytes) O(introspect_bytes)
#define MODEL_STAGES(X, O) X(depot) X(stage1) X(stage2) X(stage3) X(converted) X(from_lru)
#define MODEL_POOL(X, O) \
	X(superslabs) X(superslabs_created) X(releases) X(empty_slots) X(free_list_peak) X(free_list_overflows)
#define MODEL_LARGE(X, O) O(slots) O(cached_slots) O(bytes) O(allocs) O(frees)
#define MODEL_LRU(X, O) X(length) X(capacity) X(pushes) X(hits) X(evictions)
#define MODEL_DRAIN(X, O) X(interval) X(drains) X(blocks)
#define MODEL_SYSCALLS(X, O) X(mmap) X(munmap) X(madvise) X(mprotect) X(mremap)
#define MODEL_FAULTS(X, O) O(out_of_memory) O(misuse_reports)
#define MODEL_GUARD(X, O) \
	O(rate) O(slots) O(armed) O(taken) O(lost) O(quarantined_blocks) O(quarantined_bytes) O(checked) O(reports)
#define MODEL_TRACE(X, O) X(events) X(lost) O(overwritten) O(held)
#define MODEL_PROCESS(X, O) X(pid) X(ppid) X(start_time) X(threads)
#define MODEL_CLASS(X, O) \
	X(class) X(block_bytes) X(slabs) X(empty_slots) X(allocs) X(frees) X(live_blocks) X(cached_blocks) \
	X(stage1) X(stage2) X(stage3) X(free_list_peak) O(slots_per_slab) O(depot) O(converted) O(from_lru)
#define MODEL_THREAD(X, O) X(tid) X(cached_bytes) X(allocs) X(frees)

#define MODEL_SECTIONS(S) \
	S(geometry, MODEL_GEOMETRY) S(memory, MODEL_MEMORY) S(stages, MODEL_STAGES) S(pool, MODEL_POOL) \
	S(large, MODEL_LARGE) S(lru, MODEL_LRU) S(drain, MODEL_DRAIN) S(syscalls, MODEL_SYSCALLS) \
	S(faults, MODEL_FAULTS) S(guard, MODEL_GUARD)

#define MODEL_FIELD(name) uint64_t name;

enum slot_state { SLOT_UNUSED, SLOT_ACTIVE, SLOT_EMPTY, SLOT_STATES };
#define SLOT_NO_CLASS 255

struct slot {
	uint8_t state;  /* enum slot_state */
	uint8_t class;  /* SLOT_NO_CLASS for UNUSED slots and large allocations */
	int16_t lead;   /* the slot that holds this run's numbers; -1: it lies in a SuperSlab before this one */
	uint32_t used, capacity, span;
	uint64_t since_ms; /* when that state began, by the target's clock; see slot_age_ms */
};

struct superslab {
	uint64_t address;
	uint64_t index;
	bool in_lru;
	uint8_t active_slots;
	struct slot slots[MODEL_SLOTS];
	/* What follows from the slots (superslab_finish), side by side: a folded map adds up all of them. */
	uint8_t states[SLOT_STATES];  /* how many there are of each */
	uint8_t classes[MODEL_SLOTS]; /* the class of each that is ACTIVE; of others SLOT_NO_CLASS */
	double used;                 /* slots' worth of blocks that are out */
	int64_t since_ms;            /* when a state last changed */
};

struct class_row {
	MODEL_CLASS(MODEL_FIELD, MODEL_FIELD)
};

struct thread_row {
	MODEL_THREAD(MODEL_FIELD, MODEL_FIELD)
	char name[32];
	double alloc_rate, free_rate; /* per second since the snapshot before; negative: unknown */
};

struct snapshot {
	bool is_dump;
	char reason[64]; /* of a dump, may be empty */
	uint64_t protocol, seq, time_us, uptime_us;
	uint64_t realtime_us; /* of the target's clock, 0: not said */
	char version[32];     /* of the target's library, may be empty */
	char guard_level[12]; /* guard.level: off, sample, full; may be empty */
	struct {
		MODEL_PROCESS(MODEL_FIELD, MODEL_FIELD)
		char exe[256], cmdline[512];
	} process;
#define MODEL_SECTION(name, fields) \
	struct { \
		fields(MODEL_FIELD, MODEL_FIELD) \
	} name; /* NOLINT(bugprone-macro-parentheses): it is declared here */
	MODEL_SECTIONS(MODEL_SECTION)
#undef MODEL_SECTION
	struct {
		MODEL_TRACE(MODEL_FIELD, MODEL_FIELD)
		char groups[128];
	} trace;
	struct class_row *classes;
	struct thread_row *threads;
	struct superslab *superslabs;
	size_t class_count, thread_count, superslab_count;
	int slot_place[MODEL_SLOT_COLUMNS]; /* parse.c: where the columns stand in a slot's row */
};

/* Sums that several panels show. */
struct totals {
	uint64_t allocs, frees; /* small ones, over all classes */
	uint64_t acquires;      /* stage 1 to 3 */
	uint64_t idle_bytes;    /* committed, but neither live, cached nor slack */
	uint64_t syscalls;
	double fragmentation;   /* of the bytes in slabs, the share that isn't live: 0 to 1 */
};

/* Counters whose rates are known: X(name, its value in snapshot `s` with totals `t`). */
#define MODEL_RATES(X) \
	X(allocs, t->allocs) X(frees, t->frees) X(acquires, t->acquires) X(depot, s->stages.depot) \
	X(stage1, s->stages.stage1) X(stage2, s->stages.stage2) X(stage3, s->stages.stage3) \
	X(releases, s->pool.releases) X(drains, s->drain.drains) X(drained, s->drain.blocks) \
	X(pushes, s->lru.pushes) X(hits, s->lru.hits) X(evictions, s->lru.evictions) X(syscalls, t->syscalls)
#define MODEL_RATE(name, value) double name;

/* What changed between two snapshots, per second. `known` is false until there are two. */
struct rates {
	bool known;
	double seconds;
	MODEL_RATES(MODEL_RATE)
	double class_allocs[MODEL_CLASSES_MAX], class_frees[MODEL_CLASSES_MAX];
};

/* Frees what parse.h made; NULL is nothing. */
void snapshot_free(struct snapshot *snapshot);

struct totals snapshot_totals(const struct snapshot *snapshot);
/* Rates between `before` (may be NULL) and `after`. Nothing is known where they are of two processes or not in order;
 * the rate of a counter that ran backwards is NaN. */
void rates_between(struct rates *rates, const struct snapshot *before, const struct snapshot *after);
/* The mean since the program's start: what a first frame can show. */
void rates_since_start(struct rates *rates, const struct snapshot *snapshot);
/* What the program goes by: the first word of its command line where that is another plain name than its file's, as
 * redis-server is a link to redis-check-rdb, and sh one to dash; else its file's. */
#define MODEL_NAME_MAX 64
const char *snapshot_name(const struct snapshot *snapshot, char out[MODEL_NAME_MAX]);
/* Fills in the rates of `after`'s threads. */
void rates_of_threads(const struct snapshot *before, struct snapshot *after);
/* Bytes of a class's slabs that are neither live nor cached. */
uint64_t class_slack(const struct snapshot *snapshot, const struct class_row *class);

/* A class's letter in the slot map: 0-9, a-z, A-Z, then '+'; '@' for large allocations. */
char class_symbol(unsigned class);
/* How long a slot has been in its state. What is kept is when that began, so that rows stay as they are while time goes on.
 * Both sums are modulo 2^64: an age beyond the clock's beginning, as a dump may claim, comes out as it went in. */
static inline uint64_t slot_since_ms(const struct snapshot *snapshot, uint64_t age_ms)
{
	return snapshot->time_us / 1000 - age_ms;
}

static inline uint64_t slot_age_ms(const struct snapshot *snapshot, const struct slot *slot)
{
	return snapshot->time_us / 1000 - slot->since_ms;
}

/* Works out what follows from the slots: the number of each run's first one (`lead`), and their sums. */
void superslab_finish(struct superslab *superslab);
/* How full the run that a slot belongs to is: 0 to 1. */
double slot_fill(const struct superslab *superslab, unsigned slot);

/* Reads a JSON integer from 0 to 2^53. Returns false if it is anything else. */
bool model_number(const cJSON *item, uint64_t *value);

#endif
