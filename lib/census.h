/* census.h: in which slabs the free blocks lie that only caches hold.
 *
 * A slab knows how many of its blocks were handed out, not which of these wait in some thread's list or in the depot. For
 * those who ask what keeps a slab from going back, the lists are walked: the depot's under its locks, the threads' without
 * stopping them, as each link is looked at before it is followed. The result is exact at rest, and for threads that are. */
#ifndef HAK_CENSUS_H
#define HAK_CENSUS_H

#include "base.h"

/* Slots of the heap so far, which is how many elements hak_census_take wants. */
size_t hak_census_slots(void);

/* Adds to cached[slab], by the number of its first slot, how many of its blocks lie in caches: of classes only. Slots at or
 * above `slots` are left out. Takes the locks of the registry, the depots and the pool, one after the other. Any thread, not
 * a signal handler. */
void hak_census_take(uint16_t *cached, size_t slots);

struct hak_census_slab {
	uint32_t slab;        /* number of its first slot */
	uint32_t used;        /* blocks handed out, those in caches included */
	uint32_t capacity;    /* blocks */
	uint32_t block_bytes;
	uint64_t bytes;       /* of its slots */
};
/* The slab that a live block of a size class lies in. Returns false if the address is none's. Takes its depot's lock. */
bool hak_census_slab(uintptr_t block, struct hak_census_slab *out);

#endif
