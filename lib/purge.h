/* purge.h: giving memory back to the system. */
#ifndef HAK_PURGE_H
#define HAK_PURGE_H

#include "base.h"

#define HAK_PURGE_STEP 128u /* slots that are purged under one hold of the pool's lock: about a millisecond */

/* Returns what is due to the system by `now` (hak_os_clock_ms): SuperSlabs that are too old for the LRU cache, pages of
 * cached SuperSlabs and of EMPTY slots that have been idle for the purge delay. Cheap when nothing is due. Ends once
 * `slots` slots are purged, and returns whether there may be more. Takes the pool's lock if it is free: who waited for
 * it could only do what its holder does, or will. */
bool hak_purge_due(uint32_t now, unsigned slots);

/* The same in steps that hold the lock for about a millisecond each, until nothing more is due. Takes the lock. */
void hak_purge_all_due(void);

/* Returns all idle memory whatever its age: empties the LRU cache, purges EMPTY slots. Returns the bytes purged. Takes
 * the lock, in such steps too. */
size_t hak_purge_all(void);

#endif
