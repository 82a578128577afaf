#include "front_cache.h"

#include "large.h"
#include "os.h"
#include "report.h"
#include "settings.h"
#include "stats.h"
#include "trace.h"

/* The batches behind a hot list hold about this at most; the hot list itself two or three batches' worth at its
 * longest. A thread may keep one more each time that it has to go to the depot, and one less when a drain finds some
 * idle: so one that only frees keeps none. */
#define CLASS_BYTES (256u << 10)

/* A hot list that is this many batches long gives one away: what stays spares a program that frees and allocates in
 * turn the slow path. README.md has the figures. */
#define HOT_BATCHES 2u
#define FIRST_FETCH_BYTES 4096u

HAK_TLS struct hak_bins hak_bins;
static uint32_t drain_epoch;

static const struct hak_size_class *class_of(unsigned bin)
{
	return &hak_size_classes[HAK_CLASS_OF_BIN(bin)];
}

static HAK_COLD void begin_class(struct hak_cache_class *class, unsigned bin);

/* Brings the counts and the length up to date with what the fast paths did. */
HAK_INLINE void settle(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];
	struct hak_countdowns *left = &cache->bins->left[bin];
	uint32_t allocs = hak_steps_taken(class->alloc_armed, left->alloc_left);
	uint32_t frees = hak_steps_taken(class->free_armed, left->free_left);

	hak_store_relaxed(&class->allocs, class->allocs + allocs);
	hak_store_relaxed(&class->frees, class->frees + frees);
	hak_store_relaxed(&class->length, class->length + frees - allocs);
	hak_store_relaxed(&class->alloc_armed, 0);
	hak_store_relaxed(&class->free_armed, 0);
	hak_store_relaxed(&left->alloc_left, 0);
	hak_store_relaxed(&left->free_left, 0);
	if (HAK_UNLIKELY(!hak_cache_class_in_use(class)))
		begin_class(class, bin);
}

/* Sets the countdowns for a list of `length`. As many mallocs as it is long can't run it dry. The frees are bounded so
 * that it grows to two batches, and always with some to spare, or a program that frees and allocates in turn would be
 * here at every call. */
HAK_INLINE void set_countdowns(
	struct hak_cache_class *class, struct hak_countdowns *left, uint32_t batch, uint32_t length)
{
	uint32_t slack = batch / 2;
	uint32_t room = length + slack < HOT_BATCHES * batch ? HOT_BATCHES * batch - length : slack;

	hak_store_relaxed(&class->length, length);
	hak_store_relaxed(&class->alloc_armed, (int32_t)length);
	hak_store_relaxed(&class->free_armed, (int32_t)room);
	hak_store_relaxed(&left->alloc_left, (int32_t)length);
	hak_store_relaxed(&left->free_left, (int32_t)room);
}

HAK_INLINE void arm(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];

	set_countdowns(class, &cache->bins->left[bin], class_of(bin)->batch, class->length);
}

static void set_head(struct hak_cache *cache, unsigned bin, struct hak_block *head, uint32_t length)
{
	cache->bins->head[bin] = head;
	hak_store_relaxed(&cache->classes[bin].length, length);
}

static void count_stashed(struct hak_cache *cache, unsigned bin, uint32_t add, uint32_t subtract)
{
	struct hak_cache_class *class = &cache->classes[bin];

	hak_store_relaxed(&class->stashed, class->stashed + add - subtract);
	cache->stashed_bytes += ((uint64_t)add - subtract) * class_of(bin)->block_bytes;
}

static uint32_t limit_max(unsigned bin)
{
	uint32_t fit = CLASS_BYTES / (class_of(bin)->batch * class_of(bin)->block_bytes);

	return fit > HAK_CACHE_BATCHES ? HAK_CACHE_BATCHES : fit;
}

/* A thread's first refill of a class: a page's worth. */
static uint8_t first_fetch(unsigned bin)
{
	uint32_t fit = FIRST_FETCH_BYTES / class_of(bin)->block_bytes;

	return (uint8_t)(fit < 1 ? 1 : fit > class_of(bin)->batch ? class_of(bin)->batch : fit);
}

/* ---- Refilling ---- */

static struct hak_batch take_batch(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];
	struct hak_batch batch = class->batch[--class->batches];

	if (class->low_water > class->batches)
		class->low_water = class->batches;
	count_stashed(cache, bin, 0, batch.length);
	return batch;
}

/* Hangs `batch` behind the hot list, which is short here, at most a quarter of a batch. */
static void append(struct hak_cache *cache, unsigned bin, struct hak_batch batch)
{
	struct hak_batch hot = {.head = cache->bins->head[bin], .length = cache->classes[bin].length};

	cache->classes[bin].seam = NULL;
	hot = hak_list_join(bin, hot, batch, hak_list_look_at_refill(class_of(bin)));
	set_head(cache, bin, hot.head, hot.length);
}

static bool refill_once(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];
	struct hak_batch batch;

	if (class->batches) {
		batch = take_batch(cache, bin);
	} else {
		/* Every block of a batch is written to, so a thread that wants a few must not pay for a whole one. */
		batch = hak_depot_fetch(HAK_CLASS_OF_BIN(bin), class->fetch);
		class->fetch = (uint8_t)(class->fetch * 2u < class_of(bin)->batch ? class->fetch * 2u
										  : class_of(bin)->batch);
		/* A cache that has to go to the depot is too small for its thread's swings. */
		if (class->limit < limit_max(bin))
			class->limit++;
	}
	if (batch.length)
		append(cache, bin, batch);
	return batch.length != 0;
}

/* Of a damaged batch nothing may be left. Memory is out only when refill_once says that there was none. */
HAK_INLINE void refill(struct hak_cache *cache, unsigned bin)
{
	while (refill_once(cache, bin) && HAK_UNLIKELY(cache->classes[bin].length == 0))
		continue;
}

/* Both slow paths ask, because a program that allocates and frees in turn may only ever come by one of them: each sets
 * both countdowns anew. */
static void drain_if_due(struct hak_cache *cache, unsigned bin);

void *hak_cache_alloc(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];
	struct hak_block **head = &cache->bins->head[bin];
	struct hak_block *block;

	settle(cache, bin);
	if (class->length <= class_of(bin)->batch / 4)
		refill(cache, bin);
	block = class->length ? *head : NULL;
	if (block) {
		set_head(cache, bin, block->next, class->length - 1);
		hak_store_relaxed(&class->allocs, class->allocs + 1);
	}
	drain_if_due(cache, bin);
	arm(cache, bin);
	return block;
}

/* ---- The short slow paths ----
 *
 * The programs whose blocks are big, so that lists of them are short, are here at every few calls, so what settle and
 * arm do is done in one go. */

/* Whether all threads were asked for a drain that this one has not met: the long way does. */
static bool drain_is_requested(const struct hak_cache *cache)
{
	return HAK_UNLIKELY(cache->drain_epoch != hak_load_relaxed(&drain_epoch));
}

static bool drain_is_due(const struct hak_cache_class *class)
{
	return class->frees >= class->drain_at;
}

/* The counts, with the `allocs` and `frees` since they were last set and the call that is served now; then the
 * countdowns for the `length` of the list after it. */
HAK_INLINE void count_and_arm(struct hak_cache_class *class, struct hak_countdowns *left, uint32_t batch,
	uint32_t allocs, uint32_t frees, uint32_t length)
{
	hak_store_relaxed(&class->allocs, class->allocs + allocs);
	hak_store_relaxed(&class->frees, class->frees + frees);
	set_countdowns(class, left, batch, length);
}

void *hak_cache_alloc_short(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];
	struct hak_countdowns *left = &cache->bins->left[bin];
	struct hak_block *block = cache->bins->head[bin];
	uint32_t allocs = hak_steps_taken(class->alloc_armed, left->alloc_left);
	uint32_t frees = hak_steps_taken(class->free_armed, left->free_left);
	uint32_t length = class->length + frees - allocs;
	uint32_t batch = class_of(bin)->batch;

	if (length <= batch / 4 || drain_is_due(class) || drain_is_requested(cache))
		return NULL;
	hak_cache_begin(cache);
	cache->bins->head[bin] = block->next;
	count_and_arm(class, left, batch, allocs + 1, frees, length - 1);
	hak_cache_end(cache);
	return block;
}

bool hak_cache_free_short(struct hak_cache *cache, unsigned bin, void *p)
{
	struct hak_cache_class *class = &cache->classes[bin];
	struct hak_countdowns *left = &cache->bins->left[bin];
	struct hak_block *block = p;
	uint32_t allocs = hak_steps_taken(class->alloc_armed, left->alloc_left);
	uint32_t frees = hak_steps_taken(class->free_armed, left->free_left);
	uint32_t length = class->length + frees - allocs;
	uint32_t batch = class_of(bin)->batch;

	if (length >= HOT_BATCHES * batch || drain_is_due(class) || drain_is_requested(cache) ||
		hak_cache_freed_last(bin, block))
		return false;
	hak_cache_begin(cache);
	block->next = cache->bins->head[bin];
	cache->bins->head[bin] = block;
	count_and_arm(class, left, batch, allocs, frees + 1, length + 1);
	hak_cache_end(cache);
	return true;
}

/* ---- Overflowing and draining ---- */

/* Gives the `count` coldest batches to the depot. Returns the blocks given. */
static uint32_t give_coldest(struct hak_cache *cache, unsigned bin, unsigned count, enum hak_release_cause cause)
{
	struct hak_cache_class *class = &cache->classes[bin];
	uint32_t blocks = 0;

	if (!count)
		return 0;
	for (unsigned i = 0; i < count; i++)
		blocks += class->batch[i].length;
	hak_depot_put(HAK_CLASS_OF_BIN(bin), class->batch, count, cause);
	class->batches = (uint8_t)(class->batches - count);
	for (unsigned i = 0; i < class->batches; i++)
		class->batch[i] = class->batch[i + count];
	if (class->low_water > class->batches)
		class->low_water = class->batches;
	count_stashed(cache, bin, 0, blocks);
	return blocks;
}

/* The part of the hot list that stays when its end is cut off, `keep` blocks. If the thread has only pushed since the
 * last cut, that is all above the seam, and need not be walked over. A seam that was freed once more meanwhile has
 * another block below it. */
static struct hak_list part_to_keep(const struct hak_cache *cache, unsigned bin, size_t keep)
{
	const struct hak_cache_class *class = &cache->classes[bin];
	struct hak_block *head = cache->bins->head[bin];

	if (hak_list_look_always())
		return hak_list_walk(bin, head, keep);
	if (class->seam && class->allocs == class->allocs_at_stash && class->seam->next == class->below_seam &&
		keep == class_of(bin)->batch)
		return (struct hak_list){class->seam, keep};
	return hak_list_unwind(head, keep);
}

/* Takes a batch off the hot list: the blocks freed longest ago. Those freed last stay, and walking over them costs
 * little, because they were used a moment ago. Returns none if the list is damaged. */
static struct hak_batch cut_batch(struct hak_cache *cache, unsigned bin)
{
	struct hak_block *head = cache->bins->head[bin];
	size_t keep = cache->classes[bin].length - class_of(bin)->batch;
	struct hak_list list = part_to_keep(cache, bin, keep);
	struct hak_batch batch = {.length = 0};

	if (HAK_UNLIKELY(list.length != keep)) {
		set_head(cache, bin, list.last ? head : NULL, (uint32_t)list.length);
		return batch;
	}
	batch = (struct hak_batch){.head = list.last->next, .length = class_of(bin)->batch};
	list.last->next = NULL;
	set_head(cache, bin, head, (uint32_t)keep);
	return batch;
}

/* Gives `batch` and, as another, the rest of the hot list, for which a thread that only frees has no use either. */
static void give_for_others(struct hak_cache *cache, unsigned bin, struct hak_batch batch)
{
	struct hak_batch rest = {.head = cache->bins->head[bin], .length = cache->classes[bin].length};

	set_head(cache, bin, NULL, 0);
	hak_depot_put_for_others(HAK_CLASS_OF_BIN(bin), batch, HAK_RELEASE_OVERFLOW);
	hak_depot_put_for_others(HAK_CLASS_OF_BIN(bin), rest, HAK_RELEASE_OVERFLOW);
}

/* A part of the hot list becomes a batch. If this class or this thread has enough of them, the coldest go. */
static void stash(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];
	struct hak_batch batch = cut_batch(cache, bin);
	uint64_t bytes = (uint64_t)batch.length * class_of(bin)->block_bytes;
	bool only_frees = class->allocs == class->allocs_at_stash;
	unsigned limit = class->limit;
	uint8_t low_water;

	if (HAK_UNLIKELY(!batch.length))
		return;
	class->allocs_at_stash = class->allocs;
	low_water = class->low_water;
	if (cache->stashed_bytes + bytes > hak_settings.cache_bytes)
		limit = 0;
	if (class->batches + 1u > limit)
		give_coldest(cache, bin, limit ? class->batches + 1u - limit : class->batches, HAK_RELEASE_OVERFLOW);
	if (!limit) {
		if (only_frees)
			give_for_others(cache, bin, batch);
		else
			hak_depot_put(HAK_CLASS_OF_BIN(bin), &batch, 1, HAK_RELEASE_OVERFLOW);
		return;
	}
	class->batch[class->batches++] = batch;
	/* A batch that takes another's place leaves as many as there were: nobody needed the other. */
	class->low_water = low_water < class->batches ? low_water : class->batches;
	count_stashed(cache, bin, batch.length, 0);
}

/* `block` is pushed on what stash left. */
static void note_seam(struct hak_cache_class *class, struct hak_block *block, struct hak_block *below, uint32_t batch)
{
	class->seam = class->length == batch ? block : NULL;
	class->below_seam = below;
}

/* Frees between drains: as set, fewer where a block is above 1 KiB, so that the memory that waits is about the same. */
static uint64_t drain_interval(size_t block_bytes)
{
	uint64_t interval = hak_load_relaxed(&hak_settings.drain_interval);

	if (block_bytes > 1024)
		interval = interval * 1024 / block_bytes;
	return interval < 16 ? 16 : interval;
}

/* Gives back what was not needed since the last drain: the batches that lay below the lowest level of the stack.
 * Nothing is walked, and what the program uses in turn stays. */
static void drain(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];
	unsigned idle = class->low_water;
	uint32_t blocks = give_coldest(cache, bin, idle, HAK_RELEASE_DRAIN);

	class->drain_at = class->frees + drain_interval(class_of(bin)->block_bytes);
	class->low_water = class->batches;
	if (blocks) {
		if (class->limit)
			class->limit--;
		hak_stat_add(drains, 1);
		hak_stat_add(drained_blocks, blocks);
		hak_trace_drain(HAK_CLASS_OF_BIN(bin), blocks, class->length + class->stashed);
	}
	hak_depot_tick(HAK_CLASS_OF_BIN(bin));
}

static void drain_if_due(struct hak_cache *cache, unsigned bin)
{
	if (drain_is_due(&cache->classes[bin]))
		drain(cache, bin);
}

void hak_cache_free(struct hak_cache *cache, unsigned bin, void *p)
{
	struct hak_cache_class *class = &cache->classes[bin];
	struct hak_block **head = &cache->bins->head[bin];
	uint32_t batch = class_of(bin)->batch;
	struct hak_block *block = p;

	settle(cache, bin);
	if (HAK_DEBUG && block == *head) {
		hak_report(HAK_REPORT_DOUBLE_FREE, block);
	} else {
		if (class->length >= HOT_BATCHES * batch) {
			stash(cache, bin);
			note_seam(class, block, *head, batch);
		}
		block->next = *head;
		set_head(cache, bin, block, class->length + 1);
		hak_store_relaxed(&class->frees, class->frees + 1);
	}
	drain_if_due(cache, bin);
	arm(cache, bin);
}

/* ---- Large blocks ---- */

/* Slots of freed runs that a thread may keep: of its share of memory half at most. */
static uint32_t run_limit(void)
{
	size_t slots = hak_settings.cache_bytes / 2 >> HAK_SLOT_SHIFT;

	return slots < HAK_RUN_CACHE_SLOTS ? (uint32_t)slots : HAK_RUN_CACHE_SLOTS;
}

/* A run that this thread freed lately. */
static void *alloc_cached_run(struct hak_cache *cache, size_t bytes)
{
	uint32_t run = hak_run_cache_take(&cache->runs, hak_large_slots(bytes));

	return run == HAK_NO_SLOT ? NULL : (void *)hak_slot_address(run);
}

static void count_large_alloc(struct hak_cache *cache)
{
	struct hak_cache_class *class = &cache->classes[HAK_BIN_LARGE];

	hak_store_relaxed(&class->allocs, class->allocs + 1);
}

static void count_large_free(struct hak_cache *cache)
{
	struct hak_cache_class *class = &cache->classes[HAK_BIN_LARGE];

	/* This bin's countdowns stay at their end; the fast path that found it so has moved the word to -1. */
	hak_store_relaxed(&cache->bins->left[HAK_BIN_LARGE].free_left, 0);
	hak_store_relaxed(&class->frees, class->frees + 1);
	if (drain_is_due(class)) {
		class->drain_at = class->frees + drain_interval(HAK_SLOT_BYTES);
		hak_run_cache_drain(&cache->runs);
	}
}

void *hak_cache_alloc_large(struct hak_cache *cache, size_t bytes, size_t alignment, bool *zero)
{
	void *block = NULL;

	*zero = false;
	if (bytes <= HAK_LARGE_RUN_MAX * HAK_SLOT_BYTES && alignment <= HAK_SLOT_BYTES)
		block = alloc_cached_run(cache, bytes);
	if (!block)
		block = hak_large_alloc(bytes, alignment, zero);
	if (block)
		count_large_alloc(cache);
	return block;
}

bool hak_cache_free_large(struct hak_cache *cache, void *block)
{
	uint32_t run = hak_large_find(block);

	if (run == HAK_NO_SLOT || (!hak_run_cache_put(&cache->runs, run, run_limit()) && !hak_large_free(block)))
		return false;
	count_large_free(cache);
	return true;
}

void *hak_cache_alloc_large_short(struct hak_cache *cache, size_t bytes)
{
	void *block;

	if (drain_is_requested(cache))
		return NULL;
	hak_cache_begin(cache);
	block = alloc_cached_run(cache, bytes);
	if (block)
		count_large_alloc(cache);
	hak_cache_end(cache);
	return block;
}

bool hak_cache_free_large_short(struct hak_cache *cache, void *block)
{
	uint32_t run = hak_large_find(block);
	bool kept;

	/* Only where nothing has to go to the pool: what that says in debug lines is written on the long way. A drain
	 * that finds no idle run has nothing to give. */
	if (run == HAK_NO_SLOT || (drain_is_due(&cache->classes[HAK_BIN_LARGE]) && cache->runs.low_water) ||
		drain_is_requested(cache))
		return false;
	hak_cache_begin(cache);
	kept = hak_run_cache_keep(&cache->runs, run, run_limit());
	if (kept)
		count_large_free(cache);
	hak_cache_end(cache);
	return kept;
}

static void flush_bin(struct hak_cache *cache, unsigned bin, enum hak_release_cause cause)
{
	struct hak_cache_class *class = &cache->classes[bin];
	uint32_t blocks = 0;

	if (!hak_cache_class_in_use(class))
		return;
	settle(cache, bin);
	class->seam = NULL;
	if (class->length) {
		struct hak_batch batch = {.head = cache->bins->head[bin], .length = class->length};

		blocks = class->length;
		hak_depot_put(HAK_CLASS_OF_BIN(bin), &batch, 1, cause);
		set_head(cache, bin, NULL, 0);
	}
	blocks += give_coldest(cache, bin, class->batches, cause);
	class->drain_at = class->frees + drain_interval(class_of(bin)->block_bytes);
	if (blocks && cause != HAK_RELEASE_THREAD_EXIT) {
		hak_stat_add(drains, 1);
		hak_stat_add(drained_blocks, blocks);
		hak_trace_drain(HAK_CLASS_OF_BIN(bin), blocks, 0);
	}
	arm(cache, bin);
}

void hak_cache_flush(struct hak_cache *cache, enum hak_release_cause cause)
{
	for (unsigned bin = HAK_BIN_OF_CLASS(0); bin < HAK_BIN_LARGE; bin++)
		flush_bin(cache, bin, cause);
	cache->classes[HAK_BIN_LARGE].drain_at = cache->classes[HAK_BIN_LARGE].frees + drain_interval(HAK_SLOT_BYTES);
	hak_run_cache_flush(&cache->runs);
}

void hak_cache_recount(struct hak_cache *cache)
{
	for (unsigned bin = HAK_BIN_OF_CLASS(0); bin < HAK_BIN_LARGE; bin++) {
		if (!hak_cache_class_in_use(&cache->classes[bin]))
			continue;
		settle(cache, bin);
		cache->classes[bin].seam = NULL;
		hak_store_relaxed(&cache->classes[bin].length,
			hak_list_recount(bin, cache->bins->head[bin], cache->classes[bin].length));
	}
}

static HAK_COLD void begin_class(struct hak_cache_class *class, unsigned bin)
{
	class->fetch = first_fetch(bin);
	class->drain_at = drain_interval(class_of(bin)->block_bytes);
}

void hak_cache_init(struct hak_cache *cache, struct hak_bins *bins)
{
	cache->bins = bins;
	cache->drain_epoch = hak_load_relaxed(&drain_epoch);
}

void hak_cache_request_drain(void)
{
	hak_add_relaxed(&drain_epoch, 1u);
}

bool hak_cache_drain_wanted(struct hak_cache *cache)
{
	uint32_t epoch = hak_load_relaxed(&drain_epoch);

	if (HAK_LIKELY(cache->drain_epoch == epoch))
		return false;
	cache->drain_epoch = epoch;
	return true;
}
