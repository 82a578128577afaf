/* shared_pool.h: SP-SLOT, the pool of SuperSlabs whose slots all size classes share.
 *
 * A slab is acquired in three stages and released into its class's free list:
 *
 *   stage 1  an EMPTY slab of the same class
 *   stage 2  an UNUSED run of slots in a SuperSlab in use, then an EMPTY one of another class that has been idle (converted)
 *   stage 3  a new SuperSlab: out of the LRU cache, of a retired range, or from the arena
 *
 * A SuperSlab none of whose slots is ACTIVE any more goes to the LRU cache; capacity, age or a trim retires it from there.
 *
 * One lock, the pool's, guards all of it, the slot states, the sets and the arena. It is taken once a slab, not once a block. */
#ifndef HAK_SHARED_POOL_H
#define HAK_SHARED_POOL_H

#include "lock.h"
#include "superslab.h"

enum hak_release_cause { HAK_RELEASE_DRAIN, HAK_RELEASE_OVERFLOW, HAK_RELEASE_THREAD_EXIT, HAK_RELEASE_TRIM, HAK_RELEASE_LARGE };

/* What the pool knows of a kind (superslab.h): its free list of EMPTY slabs, last in first out, and its counters. */
struct hak_pool_kind {
	uint32_t head;  /* slot number of the slab pushed last, HAK_NO_SLOT if none */
	uint32_t count; /* slabs on the list */
	uint32_t peak;  /* most there have been */
	uint32_t empty_slots;  /* EMPTY slots of the kind, listed or not */
	uint32_t active_slabs;
	uint64_t stage1, stage2, stage3;
	uint64_t converted; /* of stage2 */
	uint64_t from_lru;  /* of stage3 */
};

struct hak_pool {
	struct hak_lock lock;
	uint32_t lru_newest, lru_oldest, lru_length;
	uint32_t age_oldest, age_newest; /* EMPTY slabs by the time they became so */
	uint32_t purge_next;             /* on that list: the oldest slab whose pages have not been asked back */
	uint32_t superslabs_in_use;
	uint32_t large_empty_slots; /* EMPTY slots of large runs */
	uint32_t large_slots;       /* ACTIVE slots of large allocations */
	uint64_t large_allocs, large_frees;
	uint32_t next_purge_ms; /* when the clock says to look for idle memory again; read without the lock */
	struct hak_pool_kind kinds[HAK_KIND_COUNT];
};
extern struct hak_pool hak_pool;

/* Puts HAKMEM_SS_PREWARM SuperSlabs into the LRU cache. Once, at initialisation. */
void hak_pool_init(void);

/* Acquires a slab for size class `class`: its first slot's record says how many slots and blocks it has; none is carved. Returns the number
 * of its first slot, HAK_NO_SLOT if memory is out. Takes the pool's lock. The slab belongs to the caller. */
uint32_t hak_pool_acquire_slab(unsigned class);

/* Takes back a slab none of whose blocks is handed out, and which is on no list. Takes the pool's lock. */
void hak_pool_release_slab(uint32_t slab, enum hak_release_cause cause);

/* A run of `slots` <= HAK_LARGE_RUN_MAX slots in one SuperSlab, its address a multiple of `alignment` bytes (a power of two of at most
 * HAK_SS_BYTES / 2). *zero says whether its bytes are known to be zero. HAK_NO_SLOT if memory is out. The pool's lock is held. */
uint32_t hak_pool_acquire_run(unsigned slots, size_t alignment, bool *zero);

/* `count` whole SuperSlabs side by side for one large allocation of `slots` slots. Likewise. */
uint32_t hak_pool_acquire_superslabs(uint32_t count, uint32_t slots, size_t alignment, bool *zero);

/* Takes a large run of either form back. The pool's lock is held. */
void hak_pool_release_run(uint32_t run);

/* Gives up the last slots of a large run, so that `slots` remain. The pool's lock is held. */
void hak_pool_shrink_run(uint32_t run, uint32_t slots);

/* Makes a large run longer in place; returns false, changing nothing, where the slots behind it are taken. The pool's lock is held. */
bool hak_pool_extend_run(uint32_t run, uint32_t slots);

/* Returns what is due to the system: SuperSlabs that are too old for the LRU cache, pages of cached SuperSlabs and of EMPTY slots that have been
 * idle for the purge delay. Cheap when nothing is due. Takes the pool's lock. Not more than `calls` purging system calls. */
void hak_pool_purge_due(unsigned calls);

/* Returns all idle memory whatever its age: empties the LRU cache, purges EMPTY slots. Returns the bytes purged. Takes the lock. */
size_t hak_pool_trim(void);

#endif
