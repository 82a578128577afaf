/* lru.h: the cache of SuperSlabs that nobody uses, and what retires them from it. The pool's lock is held for all of
 * it. */
#ifndef HAK_LRU_H
#define HAK_LRU_H

#include "superslab.h"

/* A SuperSlab all of whose slots are UNUSED goes into the cache; if that is full, its oldest goes out. With
 * HAKMEM_SS_LRU=0 it is retired. */
void hak_lru_push(uint32_t index);

/* Takes a SuperSlab out of the cache, to be used. */
void hak_lru_take(uint32_t index);

/* Takes one out to be retired: its pages go back, its address range waits to be used again. */
void hak_lru_evict(uint32_t index, uint32_t now);

/* Asks the system to take the pages of `count` slots back. Only a successful call makes them count as zero: pages that
 * a program locked keep their contents. Returns whether it was. */
bool hak_ss_purge(uint32_t index, unsigned first, unsigned count);

#endif
