#include "cache_counts.h"

#include <sched.h>

#include "mirror.h"
#include "os.h"

#define READ_TRIES 1000

static void read_bin(const struct hak_cache *cache, unsigned bin, struct hak_cache_counts *counts)
{
	const struct hak_cache_class *class = &cache->classes[bin];
	uint32_t allocs = hak_steps_taken(
		hak_load_relaxed(&class->alloc_armed), hak_load_relaxed(&cache->bins->left[bin].alloc_left));
	uint32_t frees = hak_steps_taken(
		hak_load_relaxed(&class->free_armed), hak_load_relaxed(&cache->bins->left[bin].free_left));
	int64_t length = (int64_t)hak_load_relaxed(&class->length) + frees - allocs;

	counts->allocs = hak_load_relaxed(&class->allocs) + allocs;
	counts->frees = hak_load_relaxed(&class->frees) + frees;
	/* A malloc that is seen while the free before it is not would make this negative for a moment. */
	counts->cached_blocks = hak_load_relaxed(&class->stashed) + (uint64_t)(length < 0 ? 0 : length);
}

void hak_cache_mirror(struct hak_cache *cache, unsigned bin)
{
	uint32_t generation = hak_mirror_generation();
	struct hak_cache_counts counts;

	if (!generation)
		return;
	if (cache->mirror_generation != generation) {
		/* The orphans' hot parts are no thread's. */
		cache->mirror_row = hak_mirror_row(
			cache->bins == &hak_bins ? HAK_MIRROR_THREAD : HAK_MIRROR_ORPHANS, hak_os_tid());
		cache->mirror_generation = generation;
	}
	read_bin(cache, bin, &counts);
	if (bin == HAK_BIN_LARGE)
		counts.cached_blocks = cache->runs.slots;
	hak_mirror_store_counts(cache->mirror_row, bin, counts.allocs, counts.frees, counts.cached_blocks);
}

void hak_cache_mirror_all(struct hak_cache *cache)
{
	for (unsigned bin = HAK_BIN_OF_CLASS(0); bin < HAK_BIN_COUNT; bin++) {
		if (bin == HAK_BIN_LARGE || hak_cache_class_in_use(&cache->classes[bin]))
			hak_cache_mirror(cache, bin);
	}
}

void hak_cache_leave_mirror(struct hak_cache *cache)
{
	if (cache->mirror_generation && cache->mirror_generation == hak_mirror_generation())
		hak_mirror_free_row(cache->mirror_row);
	cache->mirror_generation = 0;
}

bool hak_cache_peek(const struct hak_cache *cache, struct hak_cache_counts counts[HAK_BIN_COUNT])
{
	/* Pairs with the release store in hak_cache_end. */
	uint32_t before = hak_load_acquire(&cache->version);

	for (unsigned bin = 0; bin < HAK_BIN_COUNT; bin++)
		read_bin(cache, bin, &counts[bin]);
	counts[HAK_BIN_LARGE].cached_blocks = hak_load_relaxed(&cache->runs.slots);
	/* Pairs with the release fence in hak_cache_begin: had we read any word of a later change, we see its odd
	 * number. */
	hak_fence_acquire();
	return !(before & 1) && hak_load_relaxed(&cache->version) == before;
}

void hak_cache_read(const struct hak_cache *cache, struct hak_cache_counts counts[HAK_BIN_COUNT])
{
	/* The owner may have been interrupted in the middle: it needs the processor to get out of it. */
	for (unsigned tries = 1; !hak_cache_peek(cache, counts); tries++) {
		if (tries % READ_TRIES == 0)
			sched_yield();
	}
}
