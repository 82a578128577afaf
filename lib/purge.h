/* purge.h: giving memory back to the system. */
#ifndef HAK_PURGE_H
#define HAK_PURGE_H

#include "base.h"

/* Returns what is due to the system by `now` (hak_os_clock_ms): SuperSlabs that are too old for the LRU cache, pages of
 * cached SuperSlabs and of EMPTY slots that have been idle for the purge delay. Cheap when nothing is due. Takes the
 * pool's lock. Ends once `slots` slots are purged. */
void hak_purge_due(uint32_t now, unsigned slots);

/* Returns all idle memory whatever its age: empties the LRU cache, purges EMPTY slots. Returns the bytes purged. Takes
 * the lock. */
size_t hak_purge_all(void);

#endif
