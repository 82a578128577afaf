/* lock.h: the allocator's mutex, and the order in which locks are taken.
 *
 * A futex word rather than a pthread mutex: it needs no initialisation call before the first malloc, never allocates,
 * and can be reset in a child of fork. Ranks: a thread takes locks only in rising rank; debug builds check it. Locks of
 * one rank (the depot's, one a class) are taken together only by fork and by audits, in the order of the classes. */
#ifndef HAK_LOCK_H
#define HAK_LOCK_H

#include "base.h"

enum hak_lock_rank {
	HAK_RANK_ORPHANS, /* thread.c: the cache that serves threads whose own is gone */
	HAK_RANK_THREADS, /* thread.c: the registry of threads and the counts of dead ones */
	HAK_RANK_SAMPLES, /* sample_table.c: a part of the table of samples */
	HAK_RANK_GUARDS,  /* guard_page.c: places that are free */
	HAK_RANK_QUARANTINE, /* quarantine.c: the list of freed blocks that are kept */
	HAK_RANK_DEPOT,   /* depot.c: batches and partly used slabs of one class */
	HAK_RANK_CELLS,   /* cell.c: large cells and their records */
	HAK_RANK_POOL,    /* shared_pool.c: all slot states, SuperSlab places, the arena */
	HAK_RANK_LINES,   /* trace.c: buffers for debug lines */
	HAK_RANK_COUNT
};

struct hak_lock {
	uint32_t state; /* 0 free, 1 taken, 2 taken and somebody may be waiting */
	uint32_t rank;
};

#define HAK_LOCK_INIT(lock_rank) \
	{ \
		0, (lock_rank) \
	}

/* Takes the lock, waiting for it. Not recursive. */
void hak_lock_acquire(struct hak_lock *lock);
/* Takes the lock if it is free; returns whether it did. */
bool hak_lock_try(struct hak_lock *lock);
/* Gives it back; the caller holds it. */
void hak_lock_release(struct hak_lock *lock);
/* The same between the steps of long work: if somebody waits, gives them the time to wake up and take it, or the caller
 * would have it again before they are awake. */
void hak_lock_hand_over(struct hak_lock *lock);

/* Around fork the forking thread holds all locks of the heap, and says so: until it takes that back these functions do nothing when
 * it calls them. Other handlers of fork, which it runs meanwhile, may allocate. */
void hak_lock_hold_all(bool held);

#if HAK_DEBUG
/* Locks of `rank` that the calling thread holds. */
unsigned hak_lock_held(enum hak_lock_rank rank);
#endif

#endif
