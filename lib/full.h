/* full.h: the level full of HAKMEM_GUARD: every block stands between zones that are verified, and is kept for a while when
 * it is freed.
 *
 * While it is on, every malloc takes the slow path, and gets a cell (cell.h) with the stack that asked for it. A guarded
 * block is known by the class map, so its free, realloc and malloc_usable_size come here whether the level is still on or
 * not; other blocks go their usual ways. When a block is freed its zones are verified, it is filled, and goes to the
 * quarantine (quarantine.h); when it leaves that, its bytes are verified. A large block's pages are inaccessible meanwhile
 * instead.
 *
 * What is found wrong is reported (report.h), put right so that it is reported once, and the call goes on. Nothing here is
 * called with a lock held; who calls lets the lines be written (hak_trace_flush) afterwards, and counts. */
#ifndef HAK_FULL_H
#define HAK_FULL_H

#include "atomic.h"
#include "base.h"
#include "cell_check.h"
#include "trace.h"

#define HAK_FULL_ANY_CLASS 255

/* Guards blocks of one size class, or HAK_FULL_ANY_CLASS: of all, and large ones; and only those whose stack comes by
 * `site`, if it is not 0. From each thread's next slow path on. Returns false, changing nothing, if there is no memory. One
 * caller at a time, when the heap works. */
bool hak_full_start(unsigned class, uintptr_t site, uint64_t seed);
/* Guards no new ones, and gives back what is in quarantine. Those that live stay guarded. */
void hak_full_stop(void);

/* Whether the heap works and the level is off: mallocs need not ask further. */
extern HAK_HIDDEN bool hak_full_plain;
HAK_INLINE bool hak_full_is_off(void)
{
	return HAK_LIKELY(hak_load_acquire(&hak_full_plain)); /* pairs with the release of who made the heap */
}

/* Whether a request of `bytes` is to be guarded, and the stack that it comes from: for hak_full_alloc. */
bool hak_full_wants(size_t bytes, uint32_t *stack);

struct hak_full_block {
	void *block;
	unsigned bin;      /* of what holds it: it is to be counted as a block of that bin */
	size_t cell_bytes; /* that it takes */
};
/* A guarded block, filled or zeroed. Returns false if memory is out. */
bool hak_full_alloc(size_t bytes, size_t alignment, bool zeroed, uint32_t stack, struct hak_full_block *out);
/* Makes it a sample too, chosen at `rate`. */
void hak_full_sample(void *block, size_t bytes, uint64_t rate);

/* Gives all back that is in quarantine, because memory is out. Returns whether that was anything. */
bool hak_full_yield(void);

enum hak_full_answer {
	HAK_FULL_OTHER,   /* not a guarded block's address: nothing was done */
	HAK_FULL_REFUSED, /* in a cell, but not the beginning of a live block: that was reported, and no more done */
	HAK_FULL_DONE,
	HAK_FULL_MOVE, /* realloc: the block is as it was, and can't become so long where it is */
};

/* Frees a block, which is to be counted in *bin then. */
enum hak_full_answer hak_full_free(void *block, unsigned *bin);

/* Makes a block `bytes` > 0 long in place. *old is how long it was. */
enum hak_full_answer hak_full_resize(void *block, size_t bytes, size_t *old);

/* Whether a guarded block that lives begins here, and how long it is. */
bool hak_full_usable(const void *block, size_t *bytes);

/* Verifies everything now. Other threads may go on. */
void hak_full_check(struct hak_cell_checked *out);

struct hak_full_counts {
	uint64_t taken, lost; /* blocks guarded so far, and those that for want of memory were not */
	uint64_t checked;     /* blocks verified, one that is verified twice counts twice */
};
void hak_full_count(struct hak_full_counts *out);

/* The guarded block that `address` or its zones belong to, freed ones included. Takes no lock, async-signal-safe. */
bool hak_full_find(uintptr_t address, struct hak_guarded *out);
/* Whether the page of `address` is inaccessible because a large block was freed; and makes that block accessible, so that
 * the program can go on. Async-signal-safe both. */
bool hak_full_is_closed(uintptr_t address);
bool hak_full_open(uintptr_t address);

#endif
