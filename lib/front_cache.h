/* front_cache.h: a thread's lists of ready blocks, and the fast paths of malloc and free.
 *
 * The fast paths know no features. malloc counts down and pops, free counts down and pushes; when a countdown ends, the
 * slow path sees to everything else: refilling, statistics, draining, first use. The countdowns are set so that the
 * list can neither run dry nor overflow before one ends, which is why the fast paths don't look at the list before they
 * use it; and what is left of them tells exactly how many mallocs and frees there have been, and how long the list is,
 * without further cost.
 *
 * The words of a bin are written by their thread only. Others read the countdowns with relaxed loads, and the rest
 * under a seqlock (struct hak_cache). */
#ifndef HAK_FRONT_CACHE_H
#define HAK_FRONT_CACHE_H

#include "arena.h"
#include "atomic.h"
#include "base.h"
#include "depot.h"
#include "run_cache.h"
#include "sampler.h"
#include "size_class.h"

struct hak_countdowns {
	int32_t alloc_left; /* mallocs until the slow path; never more than the list is long, or come before a chosen one */
	int32_t free_left;  /* frees until the slow path */
};

/* The hot parts of a thread's caches, by bin. Two arrays of 8 bytes an element, because the hardware's addressing
 * scales an index by that: the fast paths reach both without computing an address. All zero it sends both to the slow
 * one. */
struct hak_bins {
	struct hak_block *head[HAK_MAP_BINS];
	struct hak_countdowns left[HAK_MAP_BINS];
};

extern HAK_HIDDEN HAK_TLS struct hak_bins hak_bins;

/* A bin's element of the first array, with that of the second as far behind it as the array is long. */
struct hak_bin {
	struct hak_block *head;
	struct hak_block *others[HAK_MAP_BINS - 1];
	struct hak_countdowns left;
} __attribute__((may_alias)); /* the slow paths go by struct hak_bins */
_Static_assert(offsetof(struct hak_bin, left) == offsetof(struct hak_bins, left) &&
		sizeof(struct hak_countdowns) == sizeof(struct hak_block *),
	"an element's countdowns are as far behind its head as the first one's");

/* The calling thread's bin, at an address that is one register. Where an address is the sum of two, as the compiler
 * would have it, Intel's processors since Golden Cove don't forward what was just stored there to the next load any
 * faster than their cache would: README.md has the figures. The register holds the distance from the thread's base
 * (__seg_fs), so that the base need not be read. The countdown is assembly because both compilers make more of it than
 * the two instructions that it takes, with the branch; the address space is spelt out in it because clang forgets it
 * there. The sanitizers don't know such addresses. */
#if defined(__x86_64__) && !HAK_TSAN && !HAK_ASAN
typedef __seg_fs struct hak_bin *hak_bin_address;

HAK_INLINE hak_bin_address hak_my_bin(size_t bin)
{
	uintptr_t at;

	__asm__("mov hak_bins@gottpoff(%%rip), %0" : "=r"(at));
	at += bin * sizeof(struct hak_block *);
	__asm__("" : "+r"(at));
	return (hak_bin_address)at;
}

#define hak_my_countdown_ends(bin, which) \
	__extension__({ \
		bool negative_; \
		__asm__ volatile("subl $1, %%fs:%c2(%1)" \
				 : "=@ccs"(negative_) \
				 : "r"((uintptr_t)(bin)), "i"(offsetof(struct hak_bin, left.which)) \
				 : "memory"); \
		negative_; \
	})
#else
typedef struct hak_bin *hak_bin_address;

HAK_INLINE hak_bin_address hak_my_bin(size_t bin)
{
	return (hak_bin_address)&hak_bins.head[bin];
}

#define hak_my_countdown_ends(bin, which) hak_countdown_ends(&(bin)->left.which)
#endif

/* Pops a block for a request of `bytes`, or returns NULL when the slow path must serve it. */
HAK_INLINE void *hak_cache_pop(size_t bytes)
{
	struct hak_block *block;
	hak_bin_address bin;

	if (HAK_UNLIKELY(bytes > HAK_MAX_SMALL))
		return NULL;
	bin = hak_my_bin(hak_bin_of_size(bytes));
	if (HAK_UNLIKELY(hak_my_countdown_ends(bin, alloc_left)))
		return NULL;
	block = bin->head;
	bin->head = block->next;
	return block;
}

/* Debug builds: whether a block that is freed is the one that was freed last, or the slow path is to find that out. */
HAK_INLINE bool hak_cache_freed_last(unsigned bin, const void *block)
{
	return HAK_DEBUG && HAK_UNLIKELY(block == hak_bins.head[bin]);
}

/* Pushes a block, or returns false when the slow path must see to it: a countdown that ended, a large block, a pointer
 * that isn't ours. The bins of those have countdowns that are always at their end, so that this takes no further test.
 */
HAK_INLINE bool hak_cache_push(void *p)
{
	size_t slot = hak_slot_of_address(p);
	struct hak_block *block = p;
	hak_bin_address bin;

	if (HAK_UNLIKELY(slot >= hak_load_word(&hak_heap.slots)))
		return false;
	bin = hak_my_bin(hak_load_word(&hak_heap.class_map[slot]));
	if (HAK_DEBUG && HAK_UNLIKELY(block == bin->head))
		return false;
	if (HAK_UNLIKELY(hak_my_countdown_ends(bin, free_left)))
		return false;
	block->next = bin->head;
	bin->head = block;
	return true;
}

#define HAK_CACHE_BATCHES 4 /* batches behind the hot list, most a class */
#define HAK_CACHE_SPARES 16 /* blocks for samples, most a class, and a batch of it at most */
#define HAK_NO_SPARE UINT32_MAX

/* The cold part of a class's cache. */
struct hak_cache_class {
	uint64_t allocs, frees;          /* when the countdowns were last set */
	int32_t alloc_armed, free_armed; /* what they were set to */
	uint32_t length;                 /* of the hot list at that moment */
	uint32_t stashed;                /* blocks in the batches */
	uint64_t drain_at;               /* the count of frees at which to drain next */
	uint64_t allocs_at_stash;        /* the count of mallocs when the list last gave a batch away */
	struct hak_block *seam;          /* what was pushed then, on a list one batch long; NULL: not known */
	struct hak_block *below_seam;    /* what it was pushed on */
	struct hak_drawn drawn;          /* what the count of mallocs is with the next that is chosen */
	uint8_t batches;
	uint8_t low_water; /* fewest batches since the last drain */
	uint8_t limit;     /* batches this thread may keep: grows with demand */
	uint8_t fetch;     /* blocks to ask the depot for next: grows with demand up to a batch */
	struct hak_batch batch[HAK_CACHE_BATCHES]; /* a stack: the coldest first */
	uint32_t spares, spare_room; /* at most so many: what was reserved of the table's places */
	uint32_t spare[HAK_CACHE_SPARES]; /* a stack of blocks for samples, that were such before: their places in sample_table.h */
};

/* How many of the `armed` steps were taken. A countdown that fired stands at -1: the step that made it fire is not
 * taken yet. */
HAK_INLINE uint32_t hak_steps_taken(int32_t armed, int32_t left)
{
	return (uint32_t)(armed - (left < 0 ? 0 : left));
}

/* A thread's cache. `version` is its seqlock: odd while the owner's slow path changes the cold parts, so a reader that
 * sees the same even number before and after has a consistent copy (cache_counts.h). */
struct hak_cache {
	uint32_t version;
	uint32_t epoch; /* the last request to all threads that this one has met; with bits for what its sampler does */
	struct hak_sampler sampler;
	uint64_t stashed_bytes;
	uint32_t mirror_row, mirror_generation; /* where mirror.h shows the counts, and in which mirror */
	struct hak_bins *bins;                  /* the owner's hot parts */
	struct hak_run_cache runs;
	struct hak_cache_class classes[HAK_BIN_COUNT];
};

/* The calling thread's, from hak_cache_init with its hot parts on; NULL again when it ends. */
extern HAK_HIDDEN HAK_TLS struct hak_cache *hak_cache_mine;

/* A class's record is written to from the class's first slow path on: most threads use few classes, and the pages of
 * the others' records stay untouched. */
HAK_INLINE bool hak_cache_class_in_use(const struct hak_cache_class *class)
{
	return class->fetch != 0;
}

/* Requests to all threads so far, times four: the lowest bits are for caches to say that their sampler is on, and that it
 * is at level full. */
#define HAK_EPOCH_SAMPLING 1u
#define HAK_EPOCH_FULL 2u
#define HAK_EPOCH_STEP 4u
extern HAK_HIDDEN uint32_t hak_cache_epoch;

/* Whether all threads were asked for something that this one has not met: the long slow paths do. Of one that samples it
 * is always true, unless it is asked for as `sampling`; at level full always, for it may not take the short ones. */
HAK_INLINE bool hak_cache_is_asked(const struct hak_cache *cache, bool sampling)
{
	return HAK_UNLIKELY(
		cache->epoch - (sampling ? HAK_EPOCH_SAMPLING : 0) != hak_load_relaxed(&hak_cache_epoch));
}

HAK_INLINE bool hak_cache_drain_is_due(const struct hak_cache_class *class)
{
	return class->frees >= class->drain_at;
}

/* Frees between drains: as set, fewer where a block is above 1 KiB, so that the memory that waits is about the same. */
uint64_t hak_cache_drain_interval(size_t block_bytes);

/* Brackets every change of a cache by its owner. The release fence keeps the changes from being seen before the odd
 * number, the release store from being seen after the even one; hak_cache_peek has their partners. */
HAK_INLINE void hak_cache_begin(struct hak_cache *cache)
{
	hak_store_relaxed(&cache->version, cache->version + 1);
	hak_fence_release();
}

HAK_INLINE void hak_cache_end(struct hak_cache *cache)
{
	hak_store_release(&cache->version, cache->version + 1);
}

/* The short slow paths, for the owner, not between begin and end: a countdown ended although the list is neither short
 * nor long, because it can't see what the other one's fast path did. They count, set the countdowns anew and serve the
 * call. Where there is more to do, or a sample is due, they change nothing and return NULL or false. */
void *hak_cache_alloc_short(struct hak_cache *cache, unsigned bin);
bool hak_cache_free_short(struct hak_cache *cache, unsigned bin, void *block);

/* Whether any mallocs of the cache's owner are chosen. For the owner. */
HAK_INLINE bool hak_cache_samples(const struct hak_cache *cache)
{
	return (cache->epoch & HAK_EPOCH_SAMPLING) != 0;
}

/* Counts blocks of the bin that came or went by other ways than the cache's. The owner, between begin and end. */
HAK_INLINE void hak_cache_count(struct hak_cache *cache, unsigned bin, unsigned allocs, unsigned frees)
{
	struct hak_cache_class *class = &cache->classes[bin];

	hak_store_relaxed(&class->allocs, class->allocs + allocs);
	hak_store_relaxed(&class->frees, class->frees + frees);
	/* What is chosen next of those that come by the cache is as far off as before. */
	hak_drawn_shift(&class->drawn, allocs);
}

/* Blocks that the owner has allocated so far, of all bins. For the owner. */
uint64_t hak_cache_allocs(const struct hak_cache *cache);

/* Blocks for samples lie in slabs of their own (depot.h). Without those that the cache keeps every sample would take its class's
 * lock twice, and its slab might come and go with it. They count as held by the table of samples, in which they have their places:
 * nobody but the owner need know of them. Returns the place of one, HAK_NO_SPARE if there is none. */
HAK_INLINE uint32_t hak_cache_take_spare(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];

	if (HAK_UNLIKELY(!class->spares))
		return HAK_NO_SPARE;
	hak_store_relaxed(&class->spares, class->spares - 1);
	return class->spare[class->spares];
}

/* Makes room for more. Returns false if there is none to be had, or there are enough of them. */
bool hak_cache_make_spare_room(struct hak_cache *cache, unsigned bin);

/* Keeps one. Returns false if there is no room for it. */
HAK_INLINE bool hak_cache_keep_spare(struct hak_cache *cache, unsigned bin, uint32_t place)
{
	struct hak_cache_class *class = &cache->classes[bin];

	if (HAK_UNLIKELY(class->spares == class->spare_room) && !hak_cache_make_spare_room(cache, bin))
		return false;
	class->spare[class->spares] = place;
	/* A child of fork takes over what other threads kept, and may find this one between two stores: it must not find the count
	 * without the place. */
	hak_store_release(&class->spares, class->spares + 1);
	return true;
}

/* The slow paths of the owner. All are called between begin and end. They may set hak_sample_due. */

/* A block of bin's class: refills the list when it is short. NULL if memory is out. */
void *hak_cache_alloc(struct hak_cache *cache, unsigned bin);
/* Takes a block of bin's class back. */
void hak_cache_free(struct hak_cache *cache, unsigned bin, void *block);
/* Gives the blocks for samples back alone, of a cache whose owner is gone. */
void hak_cache_flush_spares(struct hak_cache *cache, enum hak_release_cause cause);
/* Gives every block to the depot. */
void hak_cache_flush(struct hak_cache *cache, enum hak_release_cause cause);
/* Counts the hot lists of a cache whose owner vanished, perhaps between a countdown and the push or pop that follows
 * it, so that their lengths can be relied on again. */
void hak_cache_recount(struct hak_cache *cache);
/* Readies an all-zero cache whose hot parts are `bins`. */
void hak_cache_init(struct hak_cache *cache, struct hak_bins *bins);

/* Asks all threads to flush their caches at their next slow path. */
void hak_cache_request_drain(void);

/* The same, and makes them take samples, or blocks to be guarded, from then on (sampler.h). If anything is another than before,
 * random numbers begin anew. One caller at a time. */
void hak_cache_request_sampling(uint64_t rate, uint64_t seed);
void hak_cache_request_guards(const struct hak_guarding *guarding);

/* Whether such a request is new to this cache; answers true once for each. The owner calls it at the start of its slow
 * paths, between begin and end. */
bool hak_cache_drain_wanted(struct hak_cache *cache);

#endif
