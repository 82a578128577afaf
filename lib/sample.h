/* sample.h: blocks that are chosen by chance, and what is known of each while it lives.
 *
 * The slow paths of malloc notice that a block is to be a sample (front_cache.h); poisson.h has the chances. A sample of a
 * size class gets a block in a slab that holds samples only (but for one that is guarded, which has a place of its own), so that free, realloc and malloc_usable_size recognise it by
 * the class map's byte, at no cost to other blocks. The ordinary block that it would have been is its stand-in: taken, and
 * freed together with it, so that the slab in which it lies can tell what the sample's kind of blocks keep there. A large
 * block stays where it is, and its first slot's byte changes.
 *
 * The table of samples (sample_table.h) is bounded. Where it is full, or memory is out, the block stays an ordinary one and is
 * counted as lost. No lock is held while the sink is called. */
#ifndef HAK_SAMPLE_H
#define HAK_SAMPLE_H

#include "base.h"
#include "trace.h"

/* Makes threads take samples from their next slow path on: one block in `rate` bytes on the average (1: every block). Their
 * random numbers come from `seed` and the number of each thread's cache. The first call makes the table, of `capacity` > 0
 * samples or as many as memory is to be had for; later ones keep it. Returns false if there is none for the smallest. One
 * caller at a time. */
bool hak_sample_start(uint64_t rate, uint64_t seed, uint32_t capacity);
/* Makes them take none any more. Those that live go on being followed. */
void hak_sample_stop(void);

struct hak_sample_counts {
	uint64_t rate; /* 0: off */
	uint64_t seed;
	uint64_t taken; /* ever */
	uint64_t live;
	uint64_t lost;
	uint64_t capacity;
};
/* Looks at all places of the table that were ever in use. */
void hak_sample_count(struct hak_sample_counts *out);

/* The rate of those counts alone. */
uint64_t hak_sample_rate(void);

/* Live samples are numbered below this; while one lives it keeps its number. No lock is taken, as in the next one: both are for the
 * handler of a crash too. */
uint32_t hak_sample_end(void);
/* Copies the sample of this number. Returns false if there is none, or it is just coming or going. */
bool hak_sample_look(uint32_t number, struct hak_sample *out);

/* For entry.c, with no lock held. */

/* `block` was chosen at `rate`, for a request of `bytes`. Makes it a sample, and returns the block to give to the program. If
 * that is guarded too it is `guarded` (guard_page.h), which the sample is known by then; else that is NULL. */
void *hak_sample_take(void *block, size_t bytes, uint64_t rate, void *guarded);
/* The same of a guarded block of full.h, which stays where it is and what it is: chosen for its cell, of `decided` bytes and of
 * size class `class` or HAK_SAMPLE_LARGE. Returns whether it is a sample now; hak_sample_forget ends that. */
bool hak_sample_note(void *block, size_t bytes, unsigned class, size_t decided, uint64_t rate);
void hak_sample_forget(void *block);
/* Bytes that may be used of a block of HAK_BIN_SAMPLED; 0 if there is no sample at this address. */
size_t hak_sample_usable(const void *block);
/* Takes a sample out of the table. A block of a class goes back to its slab; *ordinary is the block to be freed now, as any
 * other. Returns false, changing nothing, if there is no sample at this address. */
bool hak_sample_free(void *block, void **ordinary);
/* Whether a block that is no sample begins at this address of a slab of samples: one that was freed. */
bool hak_sample_was_freed(const void *block);
/* A sample is `bytes` long from now on, in place. */
void hak_sample_resize(void *block, size_t bytes);
/* Makes a large sample look like any large block, for changes to it, and back. It stays in the table. */
void hak_sample_uncover(void *block, bool uncovered);

#endif
