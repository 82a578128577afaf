/* purge.h: giving memory back to the system. */
#ifndef HAK_PURGE_H
#define HAK_PURGE_H

#include "base.h"

/* Returns what is due to the system: SuperSlabs that are too old for the LRU cache, pages of cached SuperSlabs and of
 * EMPTY slots that have been idle for the purge delay. Cheap when nothing is due. Takes the pool's lock. Not more than
 * `calls` purging system calls. */
void hak_purge_due(unsigned calls);

/* Returns all idle memory whatever its age: empties the LRU cache, purges EMPTY slots. Returns the bytes purged. Takes
 * the lock. */
size_t hak_purge_all(void);

#endif
