/* straddle.h: places for large runs that begin at any slot and go on over SuperSlabs' borders.
 *
 * Runs that keep to whole SuperSlabs are simple and quick, and cost a program nothing where address space is plenty:
 * memory that is never touched is none. Where it is limited to little, a block of 2.1 MiB would take 4 MiB of it. There
 * the slots behind a run's end, and those that no run fits into, serve others. The pool's lock is held for all of it.
 */
#ifndef HAK_STRADDLE_H
#define HAK_STRADDLE_H

#include "superslab.h"

/* Whether runs are placed so: the first initialisation settles it for the process's life. Any thread, without the lock. */
bool hak_straddle_wanted(void);

/* The lowest place with `slots` neighbouring slots that are UNUSED, in SuperSlabs in use or not, and accessible now; at
 * the heap's end it grows. HAK_NO_SLOT if there is none. A SuperSlab that is not in use stays so: that is the caller's
 * to change. The search goes over all SuperSlabs, which are few (arena.h). */
uint32_t hak_straddle_find(uint32_t slots);

/* Makes EMPTY slabs among the `count` slots from number `slot` on UNUSED, for a run that ends before them to grow there.
 * Returns false, changing nothing, if some of the slots are ACTIVE. */
bool hak_straddle_clear(uint32_t slot, uint32_t count);

/* Makes the `count` slots from number `slot` on accessible. Returns false if they are not all UNUSED, or address space
 * is out. */
bool hak_straddle_reach(uint32_t slot, uint32_t count);

#endif
