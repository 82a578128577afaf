/* sample_table.h: what is known of each sample, found by its address.
 *
 * A place holds one sample after another. It belongs to the block at its address from the moment that the block becomes a sample
 * until it goes back to its slab: a thread that keeps a block for its next sample (front_cache.h) keeps it with its place, and
 * then neither malloc nor free of a sample changes the table. They change the place alone, which is their block's owner's, as the
 * block is: no lock is taken, and no atomic read-modify-write is made. Others read it by a seqlock.
 *
 * The table is bounded. It is never unmapped, so that a search which needs no lock may go astray in it, but not out of it. */
#ifndef HAK_SAMPLE_TABLE_H
#define HAK_SAMPLE_TABLE_H

#include "atomic.h"
#include "base.h"
#include "size_class.h"
#include "trace.h"

struct hak_sample_place {
	struct hak_sample sample; /* address 0: the place is free. Its other words are written between untell and tell. */
	uint64_t told;            /* its seqlock: in the lower half the stack's number plus 1; 0: there is no sample. In the
				   * upper half another number each time. */
	uint64_t lives;           /* samples so far */
	uint32_t next;            /* in its chain, or in its part's list of free places; places plus 1 */
};

/* Makes the table, of `wanted` places or as many as memory is to be had for. Returns false if there is none for the smallest.
 * Once it is there it stays as it is. One caller at a time. */
bool hak_sample_table_make(uint32_t wanted);
/* How many places there are at most; 0: no table. */
uint32_t hak_sample_table_capacity(void);
/* Places that have been used are numbered below this. */
uint32_t hak_sample_table_used(void);
/* The place of a number. */
struct hak_sample_place *hak_sample_place_at(uint32_t number);
uint32_t hak_sample_place_number(const struct hak_sample_place *place);

/* A place for the block at `address`, which has none; NULL if none is free. `class` is that of the slab of samples in which the
 * block lies, HAK_SAMPLE_LARGE if it lies in none. Takes a lock, as the next one does, for a few instructions. */
struct hak_sample_place *hak_sample_place_take(uintptr_t address, unsigned class);
/* Its block is no sample's any more. `class` is the same. */
void hak_sample_place_return(struct hak_sample_place *place, unsigned class);

/* Reserves places for `count` blocks that a thread keeps, and gives them up. Of all places these are an eighth at most: what a thread
 * keeps nobody else can have, and the table is there for samples. Returns false if there are no more. */
bool hak_sample_table_reserve(uint32_t count);
void hak_sample_table_unreserve(uint32_t count);

/* Whether no place was free when one was looked for last: the next search would find none either. */
bool hak_sample_table_is_full(void);

/* The place of the block at `address`; NULL if it has none. For the block's owner: who has it from malloc, or keeps it. */
struct hak_sample_place *hak_sample_place_find(uintptr_t address);

/* Blocks in slabs of samples that have a place: those of samples that live, and those that are kept for others. */
uint64_t hak_sample_table_held(unsigned class);

/* Whether there is a sample in the place, for its block's owner. */
HAK_INLINE bool hak_sample_place_is_told(const struct hak_sample_place *place)
{
	return (uint32_t)hak_load_relaxed(&place->told) != 0;
}

/* There is no sample in the place from here on, and its words may be written. The fence keeps them from being seen before that
 * is. Pairs with the one in hak_sample_place_read. */
HAK_INLINE void hak_sample_place_untell(struct hak_sample_place *place)
{
	hak_store_relaxed(&place->told, ((place->told >> 32) + 1) << 32);
	hak_fence_release();
}

/* There is one, and its stack is known, so that others may look at it. */
HAK_INLINE void hak_sample_place_tell(struct hak_sample_place *place, uint32_t stack)
{
	/* Pairs with the acquire in hak_sample_place_read: its words are there, and the stack. */
	hak_store_release(&place->told, (place->told & ~(uint64_t)UINT32_MAX) | ((uint64_t)stack + 1));
}

/* Copies the sample of a place, as any thread may. Returns false if there is none, or it has just come or gone. */
bool hak_sample_place_read(const struct hak_sample_place *place, struct hak_sample *out);

/* Takes and releases all locks around fork. */
void hak_sample_table_fork_lock(void);
void hak_sample_table_fork_unlock(void);

#endif
