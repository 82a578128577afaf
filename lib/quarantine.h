/* quarantine.h: freed blocks that are kept from being used again for a while: first in, first out, bounded in bytes.
 *
 * It notes where they are, and touches none: what is done to them when they come and go is full.c's. One lock, held for a
 * few instructions. */
#ifndef HAK_QUARANTINE_H
#define HAK_QUARANTINE_H

#include "base.h"

/* What a block keeps from being used: a block of a class's, or a large run's slots. */
struct hak_kept {
	uintptr_t block; /* an address in the heap, a multiple of HAK_ALIGNMENT */
	unsigned bin;
	size_t slots; /* of HAK_BIN_LARGE */
};

/* Puts a block behind the others. Returns false if there is no memory to note it. */
bool hak_quarantine_put(const struct hak_kept *block);

/* Takes the block out that was put in first, if all together are more than `limit` bytes. */
bool hak_quarantine_take(uint64_t limit, struct hak_kept *out);

uint64_t hak_quarantine_bytes(void);
/* Blocks of a class that are in it; and large ones, and their slots. */
uint64_t hak_quarantine_blocks(unsigned class);
uint64_t hak_quarantine_large(void);
uint64_t hak_quarantine_slots(void);

/* Takes and releases its lock around fork (thread.c calls them, in the order of lock.h). */
void hak_quarantine_fork_lock(void);
void hak_quarantine_fork_unlock(void);

#endif
