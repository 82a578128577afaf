/* pool.h: what the pool's lock guards besides the SuperSlabs' records: the data alone. shared_pool.c defines it; its
 * modules are lru, empty_list, shared_pool, large and purge. */
#ifndef HAK_POOL_H
#define HAK_POOL_H

#include "base.h"
#include "lock.h"
#include "record.h"

/* What the pool knows of a kind (superslab.h): its free list of EMPTY slabs, last in first out, and its counters. */
struct hak_pool_kind {
	uint32_t head;        /* slot number of the slab pushed last, HAK_NO_SLOT if none */
	uint32_t count;       /* slabs on the list */
	uint32_t peak;        /* most there have been */
	uint32_t empty_slots; /* EMPTY slots of the kind, listed or not */
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
extern HAK_HIDDEN struct hak_pool hak_pool;

#endif
