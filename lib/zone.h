/* zone.h: the patterns that guarded blocks are surrounded by and filled with, and what is left of one.
 *
 * As pointers the patterns are addresses that no program has, so that one that is followed stops there. Pure. */
#ifndef HAK_ZONE_H
#define HAK_ZONE_H

#include "base.h"

#define HAK_ZONE_BYTE 0xf5  /* before and behind a block */
#define HAK_NEW_BYTE 0xcb   /* in a block that was just handed out */
#define HAK_FREED_BYTE 0xd9 /* in a block that was freed */

void hak_zone_fill_long(uintptr_t start, size_t bytes, uint8_t pattern);
/* Most are short. */
HAK_INLINE void hak_zone_fill(uintptr_t start, size_t bytes, uint8_t pattern)
{
	uint64_t whole = pattern * 0x0101010101010101u;
	uintptr_t end = start + bytes;

	if (bytes > 64) {
		hak_zone_fill_long(start, bytes, pattern);
		return;
	}
	for (; start + sizeof(whole) <= end; start += sizeof(whole))
		__builtin_memcpy((void *)start, &whole, sizeof(whole));
	for (; start < end; start++)
		*(uint8_t *)start = pattern;
}

/* Whether all is as it was filled. */
HAK_INLINE bool hak_zone_is_whole(uintptr_t start, size_t bytes, uint8_t pattern)
{
	uint64_t whole = pattern * 0x0101010101010101u, word;
	uintptr_t end = start + bytes;

	for (; start + sizeof(word) <= end; start += sizeof(word)) {
		__builtin_memcpy(&word, (const void *)start, sizeof(word));
		if (HAK_UNLIKELY(word != whole))
			return false;
	}
	for (; start < end; start++) {
		if (HAK_UNLIKELY(*(const uint8_t *)start != pattern))
			return false;
	}
	return true;
}

/* What was written over in a zone. */
struct hak_damage {
	uintptr_t first; /* the first byte that is not as it was filled; 0: all are */
	size_t bytes;    /* from there to the last such */
};
struct hak_damage hak_zone_look(uintptr_t start, size_t bytes, uint8_t pattern);

#endif
