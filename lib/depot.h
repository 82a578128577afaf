/* depot.h: what all threads share of one class: batches of blocks in transit, and the partly used slabs.
 *
 * One lock a class. Batches go in and out whole, without being walked. A slab belongs to nobody: a thread that dies
 * hands its batches in, and there is nothing to adopt. A slab's free blocks are bits outside the heap, so a program's
 * stray writes can't reach them and a block that comes back twice is seen. */
#ifndef HAK_DEPOT_H
#define HAK_DEPOT_H

#include "lock.h"
#include "shared_pool.h"

/* A free block. The link is the only thing that HAKMEM stores in memory a program has used. */
struct hak_block {
	struct hak_block *next;
};

/* A chain of free blocks of one class. */
struct hak_batch {
	struct hak_block *head;
	uint32_t length;
};

#define HAK_DEPOT_BATCHES 16 /* most batches in transit a class */
#define HAK_DEPOT_BUCKETS 8  /* partly used slabs are sorted by eighths of their capacity in use */

struct hak_depot {
	struct hak_lock lock;
	uint32_t batches;                          /* in transit */
	uint32_t idle_batches;                     /* fewest there have been since the last tick: nobody needed those */
	uint32_t idle_before;                      /* the same for the tick before */
	uint64_t handed_out;                       /* Σ used over the class's slabs: blocks live or in some cache */
	uint32_t buckets[HAK_DEPOT_BUCKETS];       /* slot numbers of the partly used slabs, fullest bucket last */
	uint64_t hits;                             /* refills served without a new slab */
	struct hak_batch batch[HAK_DEPOT_BATCHES]; /* a stack: the coldest first */
} __attribute__((aligned(64)));
extern struct hak_depot hak_depots[HAK_CLASS_COUNT];

/* Fetches blocks for a thread's cache: a batch in transit; if there is none or it is short, up to `want` from partly
 * used slabs, the fullest first; if that gave none, from a new slab. Returns an empty batch if memory is out. */
struct hak_batch hak_depot_fetch(unsigned class, uint32_t want);

/* Hands batches in. One that finds no room pushes the coldest out: its blocks go back to their slabs. `cause` is named
 * in the events of slabs that become EMPTY thereby. */
void hak_depot_put(unsigned class, const struct hak_batch *batches, unsigned count, enum hak_release_cause cause);

/* Called at each drain of the class: batches that nobody fetched for two of these are taken apart. */
void hak_depot_tick(unsigned class);

/* Takes all batches of all classes apart. The caller holds no lock. */
void hak_depot_trim(void);

/* Blocks in transit, of one class. Takes its lock. */
uint64_t hak_depot_cached_blocks(unsigned class);

#endif
