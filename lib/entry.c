#include "entry.h"

#include <errno.h>
#include <string.h>

#include "cache_counts.h"
#include "cache_large.h"
#include "full.h"
#include "guard_page.h"
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

void *hak_out_of_memory(size_t bytes)
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
	slow_paths = (uint8_t)(slow_paths + weight);
	return HAK_LIKELY(slow_paths < LOOK_INTERVAL) ? hak_cache_mine : NULL;
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

/* A guarded block, counted as one of the bin of what holds it. */
static void *alloc_guarded(size_t bytes, size_t alignment, bool zeroed, uint32_t stack)
{
	struct hak_full_block made;
	struct hak_cache *cache;
	uint64_t rate;

	while (HAK_UNLIKELY(!hak_full_alloc(bytes, alignment, zeroed, stack, &made))) {
		if (!hak_full_yield())
			return NULL;
	}
	cache = hak_thread_enter(false);
	if (bytes <= HAK_MAX_SMALL) /* the fast path has moved the word below its end */
		hak_store_relaxed(&hak_bins.left[hak_bin_of_size(bytes)].alloc_left, 0);
	hak_cache_count(cache, made.bin, 1, 0);
	hak_sampler_count(&cache->sampler, made.cell_bytes);
	slow_paths = (uint8_t)(slow_paths + WEIGHT_SMALL);
	purge_now_and_then();
	leave(cache, made.bin);
	rate = hak_sample_due;
	hak_sample_due = 0;
	if (HAK_UNLIKELY(rate))
		hak_full_sample(made.block, bytes, rate);
	return made.block;
}

/* A guarded block, if the request is to be guarded and there is memory for that, else NULL. */
static HAK_COLD void *guard(size_t bytes, size_t alignment, bool zeroed)
{
	int saved = errno;
	uint32_t stack;
	void *block = NULL;

	if (hak_init() && hak_full_wants(bytes, &stack))
		block = alloc_guarded(bytes, alignment, zeroed, stack);
	errno = saved;
	return block;
}

/* An ordinary block of `bytes` for a program that asked for `requested`. */
HAK_INLINE void *malloc_ordinary(size_t bytes, size_t requested)
{
	void *block;
	bool zero;

	rest_none();
	if (bytes > HAK_MAX_SMALL) {
		block = alloc_large(bytes, HAK_ALIGNMENT, &zero);
	} else {
		block = alloc_small(hak_bin_of_size(bytes));
		if (HAK_UNLIKELY(!block) && give_caches_back(bytes))
			block = alloc_small(hak_bin_of_size(bytes));
	}
	return HAK_LIKELY(block != NULL) ? hak_or_chosen(block, requested) : hak_out_of_memory(bytes);
}

static HAK_COLD void *malloc_unguarded(size_t bytes, size_t requested)
{
	return malloc_ordinary(bytes, requested);
}

static HAK_COLD void *malloc_guarded(size_t bytes, size_t requested)
{
	void *block = guard(requested, hak_guard_alignment ? hak_guard_alignment : HAK_ALIGNMENT, false);

	if (block)
		return block;
	return hak_init() ? malloc_unguarded(bytes, requested) : hak_out_of_memory(bytes);
}

/* What brought a call here otherwise is that the heap has to be made, or that the request may have to be guarded. */
static HAK_NOINLINE void *malloc_long(size_t bytes, size_t requested)
{
	return hak_full_is_off() ? malloc_ordinary(bytes, requested) : malloc_guarded(bytes, requested);
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

HAK_NOINLINE void *hak_malloc_as(size_t bytes, size_t requested, size_t alignment)
{
	void *block = hak_cache_pop(bytes);

	if (HAK_LIKELY(block != NULL))
		return block;
	hak_guard_alignment = alignment;
	block = malloc_slow(bytes, requested);
	hak_guard_alignment = 0;
	return block;
}

/* A guarded block goes: returns the one whose place it took, which is to be freed now. Or it is a mistake: NULL. */
static HAK_COLD void *free_none(void *block)
{
	void *ordinary = NULL;

	if (!hak_guard_page_holds(block))
		hak_report(HAK_REPORT_INVALID_FREE, block);
	else if (!hak_guard_free(block, &ordinary))
		ordinary = NULL;
	hak_trace_flush();
	return ordinary;
}

static HAK_NOINLINE void free_long(void *block)
{
	unsigned bin = hak_bin_of_address(block);
	struct hak_cache *cache;
	bool ok = true;
	int saved = errno;

	rest_none();
	if (bin == HAK_BIN_NONE) {
		block = block ? free_none(block) : NULL;
		bin = hak_bin_of_address(block);
		if (!block) {
			errno = saved;
			return;
		}
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

static void free_guarded(unsigned bin)
{
	struct hak_cache *cache = hak_thread_enter(true);

	hak_cache_count(cache, bin, 0, 1);
	slow_paths = (uint8_t)(slow_paths + WEIGHT_SMALL);
	purge_now_and_then();
	leave(cache, bin);
}

/* A guarded block goes to its quarantine; a sample goes, and then the block that stood for it, or the large block that it was. */
static HAK_COLD void free_sampled(void *block)
{
	enum hak_full_answer answer;
	void *ordinary;
	unsigned bin;
	int saved = errno;

	/* The fast path has moved the word below its end. */
	hak_store_relaxed(&hak_bins.left[HAK_BIN_SAMPLED].free_left, 0);
	answer = hak_full_free(block, &bin);
	if (answer == HAK_FULL_DONE) {
		free_guarded(bin);
	} else if (answer == HAK_FULL_REFUSED) {
		hak_trace_flush();
	} else if (hak_sample_free(block, &ordinary)) {
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
		return hak_out_of_memory(SIZE_MAX);
	if (total > HAK_MAX_SMALL && hak_init()) {
		block = HAK_LIKELY(hak_full_is_off()) ? NULL : guard(total, HAK_ALIGNMENT, true);
		if (HAK_UNLIKELY(block != NULL))
			return block;
		rest_none();
		block = alloc_large(total, HAK_ALIGNMENT, &zero);
		if (!block)
			return hak_out_of_memory(total);
		block = hak_or_chosen(block, total);
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
		return hak_out_of_memory(bytes);
	block = HAK_LIKELY(hak_full_is_off()) ? NULL : guard(bytes, alignment, false);
	if (HAK_UNLIKELY(block != NULL))
		return block;
	if (bytes <= HAK_MAX_SMALL && alignment <= HAK_MAX_SMALL)
		bin = bin_for_alignment(alignment, bytes);
	if (bin < HAK_BIN_LARGE) /* a class's block size is what makes the fast path choose that class */
		return hak_malloc_as(hak_size_classes[HAK_CLASS_OF_BIN(bin)].block_bytes, bytes, alignment);
	block = alloc_large(bytes, alignment, &zero);
	return block ? hak_or_chosen(block, bytes) : hak_out_of_memory(bytes);
}

/* The same as hak_usable, of a sample or a guarded block too. */
static size_t usable_of_any(const void *block)
{
	unsigned bin = hak_bin_of_address(block);

	if (bin == HAK_BIN_SAMPLED)
		return hak_sample_usable(block);
	return bin == HAK_BIN_NONE ? hak_guard_usable(block) : hak_usable(block);
}

size_t hak_entry_usable_size(const void *block)
{
	size_t bytes;

	if (!block)
		return 0;
	if (hak_full_usable(block, &bytes))
		return bytes;
	bytes = usable_of_any(block);
	if (!bytes) {
		hak_guard_misuse(HAK_REPORT_INVALID_USABLE, block);
		hak_trace_flush();
	}
	return bytes;
}

/* Of an ordinary block that it is longer may be right: an alignment or realloc made it so. */
static HAK_NOINLINE void check_size(const void *block, size_t bytes, size_t alignment)
{
	size_t room = usable_of_any(block), exact;

	/* An address that is no block's is for free to report. */
	if (hak_guard_page_holds(block) || hak_full_usable(block, &exact))
		hak_guard_check_size(block, bytes, alignment);
	else if (room && (bytes > room || ((uintptr_t)block & (alignment - 1)) != 0))
		hak_report_size(block, bytes, alignment, NULL);
	hak_trace_flush();
}

void hak_check_sized_free(const void *block, size_t bytes, size_t alignment)
{
	unsigned bin = hak_bin_of_address(block);

	if (!block || (hak_bin_is_class(bin) && bytes <= hak_size_classes[HAK_CLASS_OF_BIN(bin)].block_bytes &&
		((uintptr_t)block & (alignment - 1)) == 0))
		return;
	check_size(block, bytes, alignment);
}

void hak_free_sized_slow(void *block, size_t bytes, size_t alignment)
{
	hak_check_sized_free(block, bytes, alignment);
	hak_free_slow(block);
}
