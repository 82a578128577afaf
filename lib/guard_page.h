/* guard_page.h: blocks that stand alone in pages of their own (HAKMEM_GUARD=sample).
 *
 * They lie in places of equal length, with as much inaccessible address space between them, in one mapping outside the heap's
 * range: so free's range test sends them to its slow path without knowing of them. Chance puts a block at the end of its
 * pages or at their beginning. What the pages hold besides it is a pattern, which is verified when it is freed; then its pages
 * become inaccessible, and stay as they are until all places that are free have had their turn.
 *
 * A guarded block takes the place of an ordinary one, which stays allocated for as long and is freed with it, so that the
 * heap's counts need not know of it. */
#ifndef HAK_GUARD_PAGE_H
#define HAK_GUARD_PAGE_H

#include "atomic.h"
#include "base.h"
#include "trace.h"

/* Makes the mapping, of `places` > 0, or half as many as often as the system refuses; that happens once, later calls keep it.
 * Chance begins with `seed`. Returns false if there is none. One caller at a time. */
bool hak_guard_page_start(uint32_t places, uint64_t seed);

/* Chance begins anew with `seed`: in a child of fork. */
void hak_guard_page_shuffle(uint64_t seed);

/* The mapping: written once, before any block of it is handed out. */
struct hak_guard_pages {
	uintptr_t start;
	size_t bytes; /* 0: there is none */
};
extern HAK_HIDDEN struct hak_guard_pages hak_guard_pages;

/* Whether `address` lies in it. */
HAK_INLINE bool hak_guard_page_holds(const void *address)
{
	return (uintptr_t)address - hak_load_relaxed(&hak_guard_pages.start) < hak_load_relaxed(&hak_guard_pages.bytes);
}

/* A guarded block for a request that `ordinary` was taken for: of `wanted` its bytes, align_shift, class and the malloc's stack
 * are read. Returns NULL if it is too long for a place, or no place is free; the latter is counted as lost. */
void *hak_guard_page_take(const struct hak_guarded *wanted, void *ordinary);

/* Bytes that may be used of the live block at this very address; 0 if there is none. */
size_t hak_guard_page_usable(const void *block);

/* Frees the block that begins at `block`, an address in the mapping. `stack` is that of the call. Writes outside of it are
 * reported. Returns false, having done nothing, if there is no live one. *ordinary is the block to be freed with it. */
bool hak_guard_page_free(void *block, uint32_t stack, void **ordinary);

/* The block that is in the place of `address`, or was there before it if that one held the address, far from this one; or the nearest in the
 * places beside it. Returns false if there has been none, or the address is not in the mapping. No lock; async-signal-safe. */
bool hak_guard_page_find(uintptr_t address, struct hak_guarded *out);
/* Whether an address in the mapping lies between places: where no block has ever been. */
bool hak_guard_page_is_gap(uintptr_t address);

/* Makes the page of `address`, an address in the mapping, accessible until its place is used next. */
bool hak_guard_page_open(uintptr_t address);

struct hak_guard_page_counts {
	uint64_t places;
	uint64_t live, freed; /* places whose block lives, or was freed */
	uint64_t freed_bytes; /* those blocks' */
	uint64_t taken, lost; /* ever */
	uint64_t checked;     /* blocks whose surroundings were verified */
};
void hak_guard_page_count(struct hak_guard_page_counts *out);

/* Takes and releases the lock around fork (thread.c calls them, in the order of lock.h). */
void hak_guard_page_fork_lock(void);
void hak_guard_page_fork_unlock(void);

#endif
