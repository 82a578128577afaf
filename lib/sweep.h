/* sweep.h: whole free pages inside slabs that are in use go back to the system.
 *
 * A sweep passes over the heap twice within HAKMEM_PURGE_DELAY_MS, a few SuperSlabs at a time, and counts in each
 * slab's record how often it found the slab untouched (record.h: idle). One that nobody took a block from or returned
 * one to for about that delay gives up the pages that its free blocks cover, once until it is touched again. */
#ifndef HAK_SWEEP_H
#define HAK_SWEEP_H

#include "base.h"

/* Goes on with the sweep if it is time for that by `now` (hak_os_clock_ms). Takes about a sixteenth of the time since
 * the last step, but not much longer than `most` times half a microsecond: it ends with a whole SuperSlab. Takes the
 * locks of depots, one at a time. Any number of threads may call it. */
void hak_sweep_due(uint32_t now, unsigned most);

/* Purges all such pages now, however short they have been free. Returns the bytes purged. Takes the same locks. */
size_t hak_sweep_all(void);

#endif
