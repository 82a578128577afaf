/* empty_list.h: where EMPTY slabs are kept: each on its kind's free list, or, when that is full, found through the slot
 * bitmaps; and all of them on one list by age, which purging and conversion follow. The pool's lock is held for all of
 * it. */
#ifndef HAK_EMPTY_LIST_H
#define HAK_EMPTY_LIST_H

#include "superslab.h"

/* Enters a slab that has just become EMPTY; its record's kind says where. */
void hak_empty_insert(uint32_t slab);

/* Takes it out of wherever it is. Its slots are still EMPTY. */
void hak_empty_remove(uint32_t slab);

/* Takes it out and makes its slots UNUSED. */
void hak_empty_reset(uint32_t slab);

/* An EMPTY slab of `kind`: the one freed last, whose memory is the likeliest to be warm, or one that its free list had
 * no room for. HAK_NO_SLOT if there is none. It stays where it is. */
uint32_t hak_empty_find(unsigned kind);

#endif
