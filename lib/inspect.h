/* inspect.h: the read-only view of the heap, all that introspect knows of it.
 *
 * hak_inspect copies the allocator's state into memory that the caller brings, so that nothing is allocated and no lock
 * is held while the copy is looked at. */
#ifndef HAK_INSPECT_H
#define HAK_INSPECT_H

#include "base.h"
#include "mirror.h"
#include "size_class.h"
#include "stats.h"

struct hak_slot_info {
	uint8_t state; /* enum hak_slot_state */
	uint8_t class; /* size class, or HAK_NO_CLASS for UNUSED slots and large allocations */
	uint16_t
		used; /* blocks handed out, cached ones included; in the first slot of a slab or run, 0 in the others */
	uint16_t capacity; /* likewise: blocks the slab holds, 1 for a large run */
	uint32_t span;     /* slots of the slab or run in its first slot, 0 in the others and in UNUSED slots */
	uint32_t age_ms;   /* since the slot's state last changed */
};

struct hak_superslab_info {
	uintptr_t address; /* hak_inspect_changes: 0 where there is no SuperSlab in use or in the LRU cache */
	uint32_t index; /* place in the reservation */
	bool in_lru;    /* false: in use */
	uint8_t active_slots;
	uint32_t taken_ms; /* when the slots' ages were as they stand here, on the clock of hak_inspect.taken_ms */
	struct hak_slot_info slots[HAK_SLOTS_PER_SS];
};

struct hak_thread_info {
	int32_t tid;
	uint64_t cached_bytes;
	uint64_t allocs; /* of all classes and large ones, by this thread */
	uint64_t frees;
};

struct hak_class_info {
	uint32_t block_bytes;
	uint32_t slots_per_slab;
	uint64_t slabs;         /* ACTIVE slabs */
	uint64_t empty_slots;   /* EMPTY slots that remember this class */
	uint64_t allocs, frees; /* of all threads, dead ones included */
	uint64_t live_blocks;   /* allocs - frees */
	/* free, but still in a thread's lists or in the depot's batches, or a sample's stand-in */
	uint64_t cached_blocks;
	uint64_t depot;         /* refills served without acquire_slab */
	uint64_t stage1, stage2, stage3;
	uint64_t converted;      /* of stage2 */
	uint64_t from_lru;       /* of stage3 */
	uint64_t free_list_peak; /* most EMPTY slabs its list has held */
};

/* Everything but the arrays is filled in by hak_inspect. The arrays and their capacities are the caller's. */
struct hak_inspect {
	struct hak_superslab_info *superslabs;
	size_t superslab_capacity;
	struct hak_thread_info *threads;
	size_t thread_capacity;

	size_t superslab_count; /* rows that exist: in use, then in the LRU cache, by address within each */
	size_t thread_count;
	uint32_t taken_ms;
	struct hak_class_info classes[HAK_CLASS_COUNT];
	struct hak_stats stats;

	uint64_t reserved_bytes, committed_bytes, metadata_bytes;
	uint64_t live_bytes;   /* Σ live_blocks * block_bytes + large_bytes */
	uint64_t cached_bytes; /* Σ cached_blocks * block_bytes + large_cached_slots' bytes */
	uint64_t slack_bytes;  /* ACTIVE slots' bytes - live_bytes - cached_bytes */
	uint64_t large_bytes;  /* ACTIVE slots' bytes of large allocations that are live */
	uint64_t large_slots;  /* ACTIVE slots of large allocations, freed ones in caches included */
	uint64_t large_cached_slots;
	uint64_t large_allocs, large_frees;
	uint64_t superslabs_in_use;
	uint64_t empty_slots;    /* all EMPTY slots: of the classes, and of large runs that were freed */
	uint64_t free_list_peak; /* the highest of the classes' peaks */
	uint64_t lru_length, lru_capacity;
	uint64_t drain_interval;
};

/* Takes the state. Rows beyond a capacity are left out, so call it again with more room while a count exceeds its
 * capacity. The slot map and the pool's counters are of one moment (taken under the pool's lock, which is held for
 * about 100 ns a SuperSlab); the counts of threads are read without stopping them: exact at rest, otherwise within the
 * operations under way, and never running backwards. Any thread may call it, not a signal handler. */
void hak_inspect(struct hak_inspect *out);

/* The same for one who may take no lock and wait for nobody: a signal handler, in a program that has crashed perhaps
 * inside the allocator. Nothing is waited for, and nothing is written but what is handed in. What these read may be in
 * the midst of a change. An all-zero *out gets the threads first, then the figures, which make the sums; the SuperSlabs
 * are given out one by one, and superslabs stays as it is. */

/* The counts and rows of threads. Returns whether each thread's are of one moment. */
bool hak_inspect_threads(struct hak_inspect *out);
/* Everything else but the rows. */
void hak_inspect_figures(struct hak_inspect *out);
/* SuperSlabs that there have ever been. */
uint32_t hak_inspect_superslabs(void);
/* The row of one of them, index < hak_inspect_superslabs(). Returns false if it is neither in use nor in the LRU cache.
 * *in_motion says that the record was changing, or was left in the midst of a change: it differs from one look to the
 * next, or its parts disagree. */
bool hak_inspect_superslab(uint32_t index, struct hak_superslab_info *info, bool *in_motion);

/* Notes from now on which SuperSlabs change (true), or no longer: a slow path then makes a store more for each slab that
 * it takes blocks from or gives them to. One at a time follows. */
void hak_inspect_follow(bool on);

/* The same as hak_inspect for one who follows: superslabs[i] is the row of SuperSlab number i, kept by the caller from
 * one call to the next, and only those rows are written that have changed since; versions[i], of as many elements, is
 * set to `version` with them. `all` writes every row: the first time. superslab_count is the number of rows, those
 * without a SuperSlab included; if it exceeds the capacity the result is false, nothing is written to the rows, and no
 * change is forgotten. The pool's lock is held for about 5 ns a SuperSlab, and 100 ns for each that changed. */
bool hak_inspect_changes(struct hak_inspect *out, uint64_t *versions, uint64_t version, bool all);

/* What the slot map says of an address: fills `slot` and returns true if it lies in a SuperSlab in use or in the LRU
 * cache. *superslab is set to the SuperSlab's address, *index to the slot. */
bool hak_inspect_address(const void *address, uintptr_t *superslab, unsigned *index, struct hak_slot_info *slot);

/* Keeps a copy of the slot map and the counters in `mirror` from now on (mirror.h), or, with NULL, no longer. What it
 * points to must stay as long as any thread may be in a slow path. Takes all locks of the pool and the depots. */
void hak_inspect_mirror(struct hak_mirror *mirror);

/* Makes every thread give its cached blocks back: the caller's at once, the others' at their next slow path. Returns how
 * many threads there are. */
size_t hak_inspect_request_drain(void);

/* Settings that may change while the program runs; which rows of env.def they are is in inspect.c. */
enum hak_setting { HAK_SETTING_DRAIN_INTERVAL, HAK_SETTING_PURGE_DELAY_MS, HAK_SETTING_COUNT };
uint64_t hak_inspect_setting(enum hak_setting setting);
/* What env.def allows. */
void hak_inspect_setting_range(enum hak_setting setting, uint64_t *minimum, uint64_t *maximum);
/* Returns false, changing nothing, if it doesn't allow `value`. Any thread; each slow path goes by what it finds. A new
 * drain interval begins with a drain of all threads. */
bool hak_inspect_set(enum hak_setting setting, uint64_t value);

/* Returns idle memory to the system now, whatever its age (malloc_trim's work). Returns the bytes purged. */
size_t hak_inspect_purge(void);

/* Purges what HAKMEM_PURGE_DELAY_MS and HAKMEM_SS_LRU_AGE_MS say is due. For the endpoint's thread: a program that is
 * idle runs no slow path that would. */
void hak_inspect_purge_due(void);

#endif
