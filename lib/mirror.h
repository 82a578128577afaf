/* mirror.h: a copy of the slot map and the counters in memory that somebody else brings, for a look at the heap after
 * the process is gone: that memory may be a shared file.
 *
 * Nothing here is ever read back by the allocator. Each change of a slot notes its SuperSlab under the pool's lock: the
 * SuperSlab's sequence word becomes odd, the pool's likewise. Before the lock is given back the copies are brought up to
 * date, and the words become even again. So a process may end anywhere: what stands under an even word is whole, and
 * the odd ones name what was in motion; with the pool's word even, all of it is of one moment.
 *
 * While there is no mirror, each of the calls is a load, a test and a branch. The control record is wiped in a child
 * that was forked without our handlers (MADV_WIPEONFORK), which thereby has no mirror. */
#ifndef HAK_MIRROR_H
#define HAK_MIRROR_H

#include "atomic.h"
#include "base.h"
#include "lock.h"
#include "pool.h"
#include "size_class.h"
#include "stats.h"

#define HAK_NO_CLASS 255 /* of UNUSED slots and of large allocations */

/* A slot, as struct hak_slot_info (inspect.h) has it. */
struct hak_mirror_slot {
	uint8_t state; /* enum hak_slot_state */
	uint8_t class;
	uint16_t capacity;
	uint32_t span;
	uint32_t since_ms; /* when its state last changed, as hak_mirror_pool.clock_ms */
	uint16_t used;     /* stored under the depot's lock; of slots that are not ACTIVE under the pool's */
	uint16_t reserved;
};

struct hak_mirror_superslab {
	uint32_t sequence; /* odd while it changes */
	uint8_t place;     /* enum hak_place */
	uint8_t active_slots;
	uint16_t reserved;
	struct hak_mirror_slot slots[HAK_SLOTS_PER_SS];
};

struct hak_mirror_class {
	uint64_t block_bytes, slots_per_slab, slabs, empty_slots, stage1, stage2, stage3, converted, from_lru, free_list_peak;
	uint64_t depot; /* stored under the depot's lock */
};

struct hak_mirror_pool {
	uint32_t sequence; /* odd while any SuperSlab, a class or this changes */
	uint32_t clock_ms; /* when it last did */
	uint64_t heap_base, reserved_bytes, committed_bytes, metadata_bytes;
	uint64_t superslabs_taken; /* numbers below this were ever in use; those without a row are not shown */
	uint64_t superslabs_in_use, lru_length, large_slots, empty_slots;
	uint64_t lru_capacity, drain_interval;
	uint64_t threads_beyond; /* threads that found no row */
	struct hak_stats stats;
};

/* What a row of threads is about. */
#define HAK_MIRROR_ROW_DEAD 0 /* of all threads that have ended */
enum hak_mirror_row { HAK_MIRROR_FREE, HAK_MIRROR_THREAD, HAK_MIRROR_ORPHANS, HAK_MIRROR_DEAD };

struct hak_mirror_counts {
	uint64_t allocs, frees, cached_blocks;
};

/* The counts of a thread, of each bin as of its last slow path there. Row 0 is that of the dead. */
struct hak_mirror_thread {
	uint32_t kind; /* enum hak_mirror_row */
	int32_t tid;
	struct hak_mirror_counts bins[HAK_BIN_COUNT];
};

/* The control record. Its maker fills in the first part; all memory is zero. */
struct hak_mirror {
	struct hak_mirror_superslab *superslabs; /* NULL in a child that has no mirror */
	struct hak_mirror_class *classes;        /* HAK_CLASS_COUNT */
	struct hak_mirror_pool *pool;
	struct hak_mirror_thread *threads;
	uint32_t *moving; /* room for superslab_count numbers; not part of the copy */
	uint32_t superslab_count, thread_count;

	uint32_t generation;   /* unlike any earlier mirror's: a thread's row is one of this mirror */
	uint32_t moving_count; /* pool's lock, like `bins` */
	uint64_t bins;         /* bins whose class's counters change */
};

/* The mirror there is, or NULL. hak_inspect_mirror (inspect.h) sets it. */
extern HAK_HIDDEN struct hak_mirror *hak_mirror;

/* The cold parts of the calls below. */
void hak_mirror_note(uint32_t index, unsigned bin);
void hak_mirror_settle(void);
void hak_mirror_store_used(uint32_t slab, uint16_t used);
void hak_mirror_store_depot(unsigned class, uint64_t hits);

/* Brings everything up to date; the pool's lock and all depots' are held. */
void hak_mirror_fill(struct hak_mirror *mirror, uint64_t lru_capacity, uint64_t drain_interval);

/* The present mirror's number, 0 if there is none. */
uint32_t hak_mirror_generation(void);
/* A row for a thread (a kind and its id), or UINT32_MAX. Any thread. */
uint32_t hak_mirror_row(enum hak_mirror_row kind, int32_t tid);
/* Stores a bin's counts into a row. */
void hak_mirror_store_counts(uint32_t row, unsigned bin, uint64_t allocs, uint64_t frees, uint64_t cached_blocks);
/* A thread ends: its row (UINT32_MAX: it has none) becomes free. */
void hak_mirror_free_row(uint32_t row);

HAK_INLINE bool hak_mirror_is_on(void)
{
	return HAK_UNLIKELY(hak_load_relaxed(&hak_mirror) != NULL);
}

/* A slot of SuperSlab `index` is about to change, or its place, and perhaps counters of `bin` (HAK_BIN_NONE: of none).
 * The pool's lock is held. */
HAK_INLINE void hak_mirror_moves(uint32_t index, unsigned bin)
{
	if (hak_mirror_is_on())
		hak_mirror_note(index, bin);
}

/* The slab's blocks handed out have become `used`. Its depot's lock is held. */
HAK_INLINE void hak_mirror_used(uint32_t slab, uint16_t used)
{
	if (hak_mirror_is_on())
		hak_mirror_store_used(slab, used);
}

HAK_INLINE void hak_mirror_depot(unsigned class, uint64_t hits)
{
	if (hak_mirror_is_on())
		hak_mirror_store_depot(class, hits);
}

/* Gives the pool's lock back after changes. */
HAK_INLINE void hak_pool_unlock(void)
{
	if (hak_mirror_is_on())
		hak_mirror_settle();
	hak_lock_release(&hak_pool.lock);
}

/* The same between the steps of long work: hak_lock_hand_over. */
HAK_INLINE void hak_pool_hand_over(void)
{
	if (hak_mirror_is_on())
		hak_mirror_settle();
	hak_lock_hand_over(&hak_pool.lock);
}

#endif
