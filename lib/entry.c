#include "entry.h"

#include <errno.h>
#include <string.h>

#include "cache_counts.h"
#include "cache_large.h"
#include "init.h"
#include "large.h"
#include "mirror.h"
#include "os.h"
#include "purge.h"
#include "report.h"
#include "sample.h"
#include "stats.h"
#include "straddle.h"
#include "sweep.h"
#include "thread.h"
#include "trace.h"

#define SWEEP_WORK 2000 /* half microseconds of sweeping that one slow path may do for the others */

/* The slow paths of a thread between two looks at the clock, by weight: a large block's every call is one. */
#define LOOK_INTERVAL 32
#define WEIGHT_SMALL 4
#define WEIGHT_LARGE 1

/* Blocks longer than this get no room to grow when realloc moves them: they can often grow in place. */
#define ROOM_MAX ((size_t)512 << 10)

/* Of a block that realloc makes smaller this much may lie idle, or it moves. */
#define SPARE_MAX(bytes) ((bytes) / 2)

static HAK_COLD void *out_of_memory(size_t bytes)
{
	const struct hak_sink *sink = hak_trace_sink();

	hak_stat_add(out_of_memory, 1);
	hak_trace_out_of_memory(bytes, hak_arena_committed_bytes());
	hak_trace_flush();
	if (sink && sink->out_of_memory)
		sink->out_of_memory(bytes);
	errno = ENOMEM;
	return NULL;
}

/* The bins of no class are at their countdowns' end for ever; the fast path has moved the word below it. */
static void rest_none(void)
{
	hak_store_relaxed(&hak_bins.left[HAK_BIN_NONE].alloc_left, 0);
	hak_store_relaxed(&hak_bins.left[HAK_BIN_NONE].free_left, 0);
}

/* The weight of this thread's slow paths since it last looked at the clock, the short ones' too: at LOOK_INTERVAL the
 * next goes the long way and looks after what is due. They are of either kind, for a program that allocates and frees
 * in turn may come by one kind only. */
static HAK_TLS uint8_t slow_paths;

/* The cache for a short slow path, NULL where the long one is to be taken. */
HAK_INLINE struct hak_cache *short_path(unsigned weight)
{
	struct hak_thread *thread = hak_thread_mine;

	slow_paths = (uint8_t)(slow_paths + weight);
	return HAK_LIKELY(thread && slow_paths < LOOK_INTERVAL) ? &thread->cache : NULL;
}

/* What a slow path returned, for a request of `bytes`: if it is to be a sample, another block may take its place. */
HAK_INLINE void *or_sample(void *block, size_t bytes)
{
	return HAK_LIKELY(!hak_sample_due) ? block : hak_sample_take(block, bytes);
}

/* Idle memory goes back to the system from slow paths. A busy thread finds that the clock hasn't moved on since it
 * looked. */
static void purge_now_and_then(void)
{
	static HAK_TLS uint32_t looked_ms;
	uint32_t now;

	if (slow_paths < LOOK_INTERVAL)
		return;
	slow_paths = 0;
	now = hak_os_clock_ms();
	if (HAK_LIKELY(now == looked_ms))
		return;
	looked_ms = now;
	hak_purge_due(now, HAK_PURGE_STEP);
	hak_sweep_due(now, SWEEP_WORK);
}

/* Ends a slow path that served `bin`. */
static void leave(struct hak_cache *cache, unsigned bin)
{
	if (hak_mirror_is_on())
		hak_cache_mirror(cache, bin);
	hak_thread_leave(cache);
}

static void *alloc_small(unsigned bin)
{
	struct hak_cache *cache = hak_thread_enter(false);
	void *block = hak_cache_alloc(cache, bin);

	/* An orphan's own bins are not the orphans' cache's: they must go on leading here. */
	if (HAK_UNLIKELY(cache->bins != &hak_bins))
		hak_store_relaxed(&hak_bins.left[bin].alloc_left, 0);
	purge_now_and_then();
	leave(cache, bin);
	return block;
}

/* What caches hold may make whole slots free. Not worth it for what is served by whole SuperSlabs. */
static HAK_COLD bool give_caches_back(size_t bytes)
{
	if (bytes > HAK_SS_BYTES / 2 && (!hak_straddle_wanted() || bytes >> HAK_SS_SHIFT >= hak_arena_extent()))
		return false;
	hak_thread_drain();
	hak_depot_trim();
	return true;
}

static void *alloc_large_once(size_t bytes, size_t alignment, bool *zero)
{
	struct hak_cache *cache = hak_thread_enter(false);
	void *block = hak_cache_alloc_large(cache, bytes, alignment, zero);

	if (bytes > HAK_LARGE_RUN_MAX * HAK_SLOT_BYTES)
		slow_paths = LOOK_INTERVAL; /* few, and never short: each looks */
	purge_now_and_then();
	leave(cache, HAK_BIN_LARGE);
	return block;
}

static void *alloc_large(size_t bytes, size_t alignment, bool *zero)
{
	unsigned bin = HAK_BIN_LARGE;
	void *block;

	*zero = false;
	if (alignment == HAK_ALIGNMENT && HAK_UNLIKELY(hak_straddle_wanted()))
		bin = hak_bin_of_packed(bytes);
	block = bin == HAK_BIN_LARGE ? alloc_large_once(bytes, alignment, zero) : alloc_small(bin);
	if (HAK_UNLIKELY(!block) && give_caches_back(bytes))
		block = bin == HAK_BIN_LARGE ? alloc_large_once(bytes, alignment, zero) : alloc_small(bin);
	return block;
}

/* A block of `bytes` for a program that asked for `requested`. */
static HAK_NOINLINE void *malloc_long(size_t bytes, size_t requested)
{
	void *block;
	bool zero;

	if (HAK_UNLIKELY(!hak_init()))
		return out_of_memory(bytes);
	rest_none();
	if (bytes > HAK_MAX_SMALL) {
		block = alloc_large(bytes, HAK_ALIGNMENT, &zero);
	} else {
		block = alloc_small(hak_bin_of_size(bytes));
		if (HAK_UNLIKELY(!block) && give_caches_back(bytes))
			block = alloc_small(hak_bin_of_size(bytes));
	}
	return HAK_LIKELY(block != NULL) ? or_sample(block, requested) : out_of_memory(bytes);
}

HAK_INLINE void *malloc_slow(size_t bytes, size_t requested)
{
	struct hak_cache *cache;
	void *block = NULL;

	if (bytes <= HAK_MAX_SMALL) {
		cache = short_path(WEIGHT_SMALL);
		if (HAK_LIKELY(cache != NULL))
			block = hak_cache_alloc_short(cache, hak_bin_of_size(bytes));
	} else if (bytes <= HAK_LARGE_RUN_MAX * HAK_SLOT_BYTES) {
		cache = short_path(WEIGHT_LARGE);
		if (HAK_LIKELY(cache != NULL))
			block = hak_cache_alloc_large_short(cache, bytes);
	}
	return HAK_LIKELY(block != NULL) ? block : malloc_long(bytes, requested);
}

void *hak_malloc_slow(size_t bytes)
{
	return malloc_slow(bytes, bytes);
}

/* What hak_entry_malloc does, for a program that asked for less: a sample says what was asked for. */
static HAK_NOINLINE void *malloc_as(size_t bytes, size_t requested)
{
	void *block = hak_cache_pop(bytes);

	return HAK_LIKELY(block != NULL) ? block : malloc_slow(bytes, requested);
}

static HAK_NOINLINE void free_long(void *block)
{
	unsigned bin = hak_bin_of_address(block);
	struct hak_cache *cache;
	bool ok = true;
	int saved = errno;

	rest_none();
	if (!block)
		return;
	if (bin == HAK_BIN_NONE) {
		hak_report(HAK_REPORT_INVALID_FREE, block);
		hak_trace_flush();
		errno = saved;
		return;
	}
	cache = hak_thread_enter(true);
	if (bin == HAK_BIN_LARGE) {
		ok = hak_cache_free_large(cache, block);
		hak_store_relaxed(&hak_bins.left[bin].free_left, 0);
	} else {
		hak_cache_free(cache, bin, block);
		if (HAK_UNLIKELY(cache->bins != &hak_bins))
			hak_store_relaxed(&hak_bins.left[bin].free_left, 0);
	}
	purge_now_and_then();
	if (!ok)
		hak_report(HAK_REPORT_INVALID_FREE, block);
	leave(cache, bin);
	errno = saved;
}

/* A sample goes, and then the block that stood for it, or the large block that it was. */
static HAK_COLD void free_sampled(void *block)
{
	void *ordinary;
	int saved = errno;

	/* The fast path has moved the word below its end. */
	hak_store_relaxed(&hak_bins.left[HAK_BIN_SAMPLED].free_left, 0);
	if (hak_sample_free(block, &ordinary)) {
		if (!hak_cache_push(ordinary))
			free_long(ordinary);
	} else {
		hak_report(hak_sample_was_freed(block) ? HAK_REPORT_DOUBLE_FREE : HAK_REPORT_INVALID_FREE, block);
		hak_trace_flush();
	}
	errno = saved;
}

void hak_free_slow(void *block)
{
	unsigned bin = hak_bin_of_address(block);
	struct hak_cache *cache;
	bool done = false;

	if (bin >= HAK_BIN_LARGE) {
		if (HAK_UNLIKELY(bin == HAK_BIN_SAMPLED)) {
			free_sampled(block);
			return;
		}
		cache = short_path(WEIGHT_LARGE);
		done = HAK_LIKELY(cache != NULL) && hak_cache_free_large_short(cache, block);
	} else if (bin != HAK_BIN_NONE) {
		cache = short_path(WEIGHT_SMALL);
		done = HAK_LIKELY(cache != NULL) && hak_cache_free_short(cache, bin, block);
	}
	if (HAK_UNLIKELY(!done))
		free_long(block);
}

void *hak_entry_calloc(size_t count, size_t bytes)
{
	size_t total;
	bool zero = false;
	void *block;

	if (HAK_UNLIKELY(__builtin_mul_overflow(count, bytes, &total)))
		return out_of_memory(SIZE_MAX);
	if (total > HAK_MAX_SMALL && hak_init()) {
		rest_none();
		block = alloc_large(total, HAK_ALIGNMENT, &zero);
		if (!block)
			return out_of_memory(total);
		block = or_sample(block, total);
	} else {
		block = hak_entry_malloc(total);
	}
	if (block && !zero)
		memset(block, 0, total);
	return block;
}

/* Alignments up to a class's block size come free where the block size is a multiple of them: slabs start at multiples
 * of 64 KiB. */
static unsigned bin_for_alignment(size_t alignment, size_t bytes)
{
	unsigned bin = hak_bin_of_size(bytes < alignment ? alignment : bytes);

	while (bin < HAK_BIN_LARGE && (hak_size_classes[HAK_CLASS_OF_BIN(bin)].block_bytes & (alignment - 1)) != 0)
		bin++;
	return bin;
}

void *hak_entry_memalign(size_t alignment, size_t bytes)
{
	unsigned bin = HAK_BIN_LARGE;
	bool zero;
	void *block;

	if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
		errno = EINVAL;
		return NULL;
	}
	if (alignment <= HAK_ALIGNMENT)
		return hak_entry_malloc(bytes);
	if (HAK_UNLIKELY(!hak_init()))
		return out_of_memory(bytes);
	if (bytes <= HAK_MAX_SMALL && alignment <= HAK_MAX_SMALL)
		bin = bin_for_alignment(alignment, bytes);
	if (bin < HAK_BIN_LARGE) /* a class's block size is what makes the fast path choose that class */
		return malloc_as(hak_size_classes[HAK_CLASS_OF_BIN(bin)].block_bytes, bytes);
	block = alloc_large(bytes, alignment, &zero);
	return block ? or_sample(block, bytes) : out_of_memory(bytes);
}

/* Bytes of the live block at `block`, 0 if none starts there, or a sample does. That a small block is live, only its slab
 * could say; that it begins where one can, its slot's record does. */
HAK_INLINE size_t usable(const void *block)
{
	unsigned bin = hak_bin_of_address(block);
	const struct hak_size_class *class;
	uint32_t slot, slab, offset;

	if (bin == HAK_BIN_LARGE)
		return hak_large_usable(block);
	if (!hak_bin_is_class(bin))
		return 0;
	class = &hak_size_classes[HAK_CLASS_OF_BIN(bin)];
	slot = (uint32_t)hak_slot_of_address(block);
	slab = class->slots_per_slab == 1 ? slot : slot - hak_slot(slot)->distance;
	offset = (uint32_t)((uintptr_t)block - hak_slot_address(slab));
	return hak_block_of_offset(class, offset) * class->block_bytes == offset ? class->block_bytes : 0;
}

/* The same of a sample too. */
static size_t usable_of_any(const void *block)
{
	return hak_bin_of_address(block) == HAK_BIN_SAMPLED ? hak_sample_usable(block) : usable(block);
}

size_t hak_entry_usable_size(const void *block)
{
	size_t bytes;

	if (!block)
		return 0;
	bytes = usable_of_any(block);
	if (!bytes) {
		hak_report(HAK_REPORT_INVALID_USABLE, block);
		hak_trace_flush();
	}
	return bytes;
}

void hak_check_sized_free(const void *block, size_t bytes, size_t alignment)
{
	size_t room = block ? usable_of_any(block) : 0;

	/* An address that is no block's is for free to report. */
	if (!room || (bytes <= room && (uintptr_t)block % alignment == 0))
		return;
	hak_report_size(block, bytes, alignment, NULL);
	hak_trace_flush();
}

/* Whether a large block that has a slot or more to spare keeps that. What realloc gave as room, rounded up to a slot,
 * is not taken back at the next step; what is longer loses every slot that it can, or every SuperSlab where what stays is
 * a number of whole ones. */
static bool keeps(size_t old, size_t spare)
{
	if (old > 2 * HAK_SLOT_BYTES && old <= ROOM_MAX + ROOM_MAX / 2)
		return spare <= old / 3 + HAK_SLOT_BYTES;
	return old - spare > HAK_SS_BYTES && spare < HAK_SS_BYTES && !hak_straddle_wanted();
}

/* Whether a live block of `old` bytes has room for `bytes` where it is, and not too much. */
HAK_INLINE bool fits_in(size_t old, size_t bytes)
{
	size_t spare = old - bytes;

	if (bytes > old || bytes == 0)
		return false;
	if (old <= HAK_MAX_SMALL)
		return spare <= SPARE_MAX(old);
	return HAK_LIKELY(spare < HAK_SLOT_BYTES) || keeps(old, spare);
}

/* What to ask for when a block of `old` bytes must move to grow to `bytes`. One that grows by small steps is appended
 * to, and gets room for more of that: half as much again, or it would move at every size class. Up to a slot no more
 * than that: most such blocks end before, and a second slot would be half empty. */
static size_t with_room(size_t old, size_t bytes)
{
	bool small_step = bytes > old && bytes - old < old / 8;
	size_t room = bytes + bytes / 2;

	if (!small_step || bytes > ROOM_MAX)
		return bytes;
	return bytes <= HAK_SLOT_BYTES && room > HAK_SLOT_BYTES ? HAK_SLOT_BYTES : room;
}

static void *move(void *block, size_t old, size_t bytes)
{
	int saved = errno;
	void *moved = malloc_as(with_room(old, bytes), bytes);

	if (!moved && with_room(old, bytes) != bytes)
		moved = hak_entry_malloc(bytes);
	if (!moved && bytes <= old) {
		/* Where there is no smaller block to be had, the big one does. */
		errno = saved;
		return block;
	}
	if (moved) {
		errno = saved; /* the attempt with room may have failed */
		memcpy(moved, block, old < bytes ? old : bytes);
		hak_entry_free(block);
	}
	return moved;
}

/* A large block that is no sample has grown in place: what it grew by may make it one. */
static void grew(void *block, size_t old, size_t bytes)
{
	struct hak_thread *thread = hak_thread_mine;
	size_t now = hak_large_slots(bytes) * HAK_SLOT_BYTES;

	if (now <= old || !thread || HAK_LIKELY(!hak_cache_samples(&thread->cache)))
		return;
	hak_cache_large_grew(&thread->cache, now - old);
	or_sample(block, bytes);
}

static bool resize_sampled(void *block, size_t bytes)
{
	bool done;

	hak_sample_uncover(block, true);
	done = hak_large_resize(block, bytes);
	hak_sample_uncover(block, false);
	return done;
}

/* realloc of a sample, by the same rules as of any block. */
static HAK_COLD void *realloc_sampled(void *block, size_t bytes)
{
	size_t old = hak_sample_usable(block);
	bool small = hak_bin_is_class(hak_slot((uint32_t)hak_slot_of_address(block))->bin);
	bool stays = old && fits_in(old, bytes);

	if (!old) {
		hak_report(HAK_REPORT_INVALID_REALLOC, block);
		hak_trace_flush();
		errno = EINVAL;
		return NULL;
	}
	if (bytes > HAK_MAX_REQUEST)
		return out_of_memory(bytes);
	if (!stays && small)
		stays = bytes <= HAK_MAX_SMALL &&
			hak_size_classes[HAK_CLASS_OF_BIN(hak_bin_of_size(bytes))].block_bytes == old;
	else if (!stays)
		stays = bytes > HAK_MAX_SMALL && resize_sampled(block, bytes);
	if (!stays)
		return move(block, old, bytes);
	hak_sample_resize(block, bytes);
	return block;
}

static HAK_NOINLINE void *realloc_slow(void *block, size_t bytes)
{
	size_t old;

	if (!block)
		return hak_entry_malloc(bytes);
	if (bytes == 0) {
		hak_entry_free(block);
		return NULL;
	}
	if (HAK_UNLIKELY(hak_bin_of_address(block) == HAK_BIN_SAMPLED))
		return realloc_sampled(block, bytes);
	old = usable(block);
	if (!old) {
		hak_report(HAK_REPORT_INVALID_REALLOC, block);
		hak_trace_flush();
		errno = EINVAL;
		return NULL;
	}
	if (bytes > HAK_MAX_REQUEST)
		return out_of_memory(bytes);
	if (old <= HAK_MAX_SMALL) {
		/* The smallest class serves less than half of its size too. */
		if (bytes <= HAK_MAX_SMALL &&
			hak_size_classes[HAK_CLASS_OF_BIN(hak_bin_of_size(bytes))].block_bytes == old)
			return block;
	} else if (bytes > HAK_MAX_SMALL && hak_bin_of_address(block) == HAK_BIN_LARGE && hak_large_resize(block, bytes)) {
		grew(block, old, bytes);
		return block;
	}
	return move(block, old, bytes);
}

/* Most calls of programs that append leave the block where it is: those take the short way, without a frame. */
void *hak_entry_realloc(void *block, size_t bytes)
{
	/* usable is 0 for NULL, and then nothing fits. */
	return HAK_LIKELY(fits_in(usable(block), bytes)) ? block : realloc_slow(block, bytes);
}
