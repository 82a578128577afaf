/* shared_pool.h: SP-SLOT, the pool of SuperSlabs whose slots all size classes share.
 *
 * A slab is acquired in three stages and released into its class's free list:
 *
 *   stage 1  an EMPTY slab of the same class
 *   stage 2  an UNUSED run of slots in a SuperSlab in use, then an EMPTY one of another class that has been idle
 * (converted) stage 3  a new SuperSlab: out of the LRU cache, of a retired range, or from the arena
 *
 * A SuperSlab none of whose slots is ACTIVE any more goes to the LRU cache; capacity, age or a trim retires it from
 * there.
 *
 * One lock, the pool's, guards all of it, the slot states, the sets and the arena. It is taken once a slab, not once a
 * block. */
#ifndef HAK_SHARED_POOL_H
#define HAK_SHARED_POOL_H

#include "pool.h"
#include "superslab.h"

enum hak_release_cause {
	HAK_RELEASE_DRAIN,
	HAK_RELEASE_OVERFLOW,
	HAK_RELEASE_THREAD_EXIT,
	HAK_RELEASE_TRIM,
	HAK_RELEASE_LARGE
};

/* Puts HAKMEM_SS_PREWARM SuperSlabs into the LRU cache. Once, at initialisation. */
void hak_pool_init(void);

/* Acquires a slab for size class `class`: its first slot's record says how many slots and blocks it has; none is
 * carved. Returns the number of its first slot, HAK_NO_SLOT if memory is out. Takes the pool's lock. The slab belongs
 * to the caller. */
uint32_t hak_pool_acquire_slab(unsigned class);

/* Takes back a slab none of whose blocks is handed out, and which is on no list. Takes the pool's lock. */
void hak_pool_release_slab(uint32_t slab, enum hak_release_cause cause);

/* For the modules that share the pool's lock, which the caller of these holds: */

/* Acquires `slots` slots for `kind` by the three stages, at a multiple of `alignment` slots. Returns the first,
 * HAK_NO_SLOT if memory is out. */
uint32_t hak_pool_acquire(unsigned kind, unsigned slots, unsigned alignment);

/* A SuperSlab comes into use; its slots are all UNUSED still. */
void hak_pool_enter_use(uint32_t index);

/* After a release: a SuperSlab without an ACTIVE slot leaves use for the LRU cache; its EMPTY slabs leave their lists
 * and become UNUSED. */
void hak_pool_leave_if_idle(uint32_t index);

/* Slots of SuperSlab `index` that nobody needs: the UNUSED ones, and the EMPTY ones that have been so for `idle_ms`. */
uint32_t hak_pool_convertible(uint32_t index, uint32_t now, uint32_t idle_ms);

/* Says whether the slots' bytes are known to be zero, and forgets it: they are about to be used. */
bool hak_pool_take_zero(uint32_t run, unsigned slots);

#endif
