#include "front_cache.h"

#include "os.h"
#include "report.h"
#include "sample_table.h"
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
HAK_TLS struct hak_cache *hak_cache_mine;

uint32_t hak_cache_epoch;
static uint32_t caches; /* so far: the next one's number */

static const struct hak_size_class *class_of(unsigned bin)
{
	return &hak_size_classes[HAK_CLASS_OF_BIN(bin)];
}

static HAK_COLD void begin_class(struct hak_cache *cache, unsigned bin);

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
		begin_class(cache, bin);
}

/* The mallocs that the fast path may serve from a list of `length`: the one that is chosen comes here. */
HAK_INLINE uint32_t mallocs_before_chosen(const struct hak_cache_class *class, uint32_t length)
{
	uint64_t until = class->drawn.next - class->allocs;

	return HAK_LIKELY(until > length) ? length : (uint32_t)until - 1;
}

/* Sets the countdowns for a list of `length`, and at most so many `mallocs`: as many as it is long can't run it dry. The
 * frees are bounded so that it grows to two batches, and always with some to spare, or a program that frees and allocates
 * in turn would be here at every call. */
HAK_INLINE void set_countdowns(
	struct hak_cache_class *class, struct hak_countdowns *left, uint32_t batch, uint32_t length, uint32_t mallocs)
{
	uint32_t slack = batch / 2;
	uint32_t room = length + slack < HOT_BATCHES * batch ? HOT_BATCHES * batch - length : slack;

	hak_store_relaxed(&class->length, length);
	hak_store_relaxed(&class->alloc_armed, (int32_t)mallocs);
	hak_store_relaxed(&class->free_armed, (int32_t)room);
	hak_store_relaxed(&left->alloc_left, (int32_t)mallocs);
	hak_store_relaxed(&left->free_left, (int32_t)room);
}

HAK_INLINE void arm(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];

	set_countdowns(class, &cache->bins->left[bin], class_of(bin)->batch, class->length,
		mallocs_before_chosen(class, class->length));
}

/* After a malloc that was counted. */
HAK_INLINE void choose_if_due(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];

	if (HAK_UNLIKELY(class->allocs == class->drawn.next))
		hak_sampler_choose(&cache->sampler, &class->drawn, HAK_CLASS_OF_BIN(bin));
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
		choose_if_due(cache, bin);
	}
	drain_if_due(cache, bin);
	arm(cache, bin);
	return block;
}

/* ---- The short slow paths ----
 *
 * The programs whose blocks are big, so that lists of them are short, are here at every few calls, so what settle and
 * arm do is done in one go. */

/* The counts, with the `allocs` and `frees` since they were last set and the call that is served now; then the
 * countdowns for the `length` of the list after it. */
HAK_INLINE void count_and_arm(struct hak_cache *cache, unsigned bin, uint32_t allocs, uint32_t frees, uint32_t length,
	bool sampling)
{
	struct hak_cache_class *class = &cache->classes[bin];

	hak_store_relaxed(&class->allocs, class->allocs + allocs);
	hak_store_relaxed(&class->frees, class->frees + frees);
	set_countdowns(class, &cache->bins->left[bin], class_of(bin)->batch, length,
		sampling ? mallocs_before_chosen(class, length) : length);
}

HAK_INLINE void *alloc_short(struct hak_cache *cache, unsigned bin, bool sampling)
{
	struct hak_cache_class *class = &cache->classes[bin];
	struct hak_countdowns *left = &cache->bins->left[bin];
	struct hak_block *block = cache->bins->head[bin];
	uint32_t allocs = hak_steps_taken(class->alloc_armed, left->alloc_left);
	uint32_t frees = hak_steps_taken(class->free_armed, left->free_left);
	uint32_t length = class->length + frees - allocs;
	uint32_t batch = class_of(bin)->batch;

	if (length <= batch / 4 || hak_cache_drain_is_due(class) || (sampling && class->drawn.next == class->allocs + allocs + 1))
		return NULL;
	hak_cache_begin(cache);
	cache->bins->head[bin] = block->next;
	count_and_arm(cache, bin, allocs + 1, frees, length - 1, sampling);
	hak_cache_end(cache);
	return block;
}

HAK_INLINE bool free_short(struct hak_cache *cache, unsigned bin, void *p, bool sampling)
{
	struct hak_cache_class *class = &cache->classes[bin];
	struct hak_countdowns *left = &cache->bins->left[bin];
	struct hak_block *block = p;
	uint32_t allocs = hak_steps_taken(class->alloc_armed, left->alloc_left);
	uint32_t frees = hak_steps_taken(class->free_armed, left->free_left);
	uint32_t length = class->length + frees - allocs;
	uint32_t batch = class_of(bin)->batch;

	if (length >= HOT_BATCHES * batch || hak_cache_drain_is_due(class) || hak_cache_freed_last(bin, block))
		return false;
	hak_cache_begin(cache);
	block->next = cache->bins->head[bin];
	cache->bins->head[bin] = block;
	count_and_arm(cache, bin, allocs, frees + 1, length + 1, sampling);
	hak_cache_end(cache);
	return true;
}

/* Those of a thread that samples, or is asked for something: the block that is to be a sample is left to the long way. */
static HAK_NOINLINE void *alloc_short_sampling(struct hak_cache *cache, unsigned bin)
{
	return hak_cache_is_asked(cache, true) ? NULL : alloc_short(cache, bin, true);
}

static HAK_NOINLINE bool free_short_sampling(struct hak_cache *cache, unsigned bin, void *block)
{
	return !hak_cache_is_asked(cache, true) && free_short(cache, bin, block, true);
}

void *hak_cache_alloc_short(struct hak_cache *cache, unsigned bin)
{
	return hak_cache_is_asked(cache, false) ? alloc_short_sampling(cache, bin) : alloc_short(cache, bin, false);
}

bool hak_cache_free_short(struct hak_cache *cache, unsigned bin, void *block)
{
	return hak_cache_is_asked(cache, false) ? free_short_sampling(cache, bin, block) : free_short(cache, bin, block, false);
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

uint64_t hak_cache_drain_interval(size_t block_bytes)
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

	class->drain_at = class->frees + hak_cache_drain_interval(class_of(bin)->block_bytes);
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
	if (hak_cache_drain_is_due(&cache->classes[bin]))
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

uint64_t hak_cache_allocs(const struct hak_cache *cache)
{
	uint64_t allocs = 0;

	for (unsigned bin = 0; bin < HAK_BIN_COUNT; bin++)
		allocs += cache->classes[bin].allocs +
			hak_steps_taken(cache->classes[bin].alloc_armed, cache->bins->left[bin].alloc_left);
	return allocs;
}

/* A thread that has never allocated of the class, or takes no samples now, has no use for them, and might never give them back. */
bool hak_cache_make_spare_room(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];
	uint32_t wanted = class_of(bin)->batch < HAK_CACHE_SPARES ? class_of(bin)->batch : HAK_CACHE_SPARES;

	if (class->spare_room || !hak_cache_class_in_use(class) || !cache->sampler.rate || !hak_sample_table_reserve(wanted))
		return false;
	class->spare_room = wanted;
	return true;
}

static void flush_spares(struct hak_cache_class *class, unsigned bin, enum hak_release_cause cause)
{
	while (class->spares) {
		struct hak_sample_place *place = hak_sample_place_at(class->spare[--class->spares]);
		void *block = (void *)place->sample.address;

		hak_sample_place_return(place, HAK_CLASS_OF_BIN(bin));
		hak_depot_return_sampled(HAK_CLASS_OF_BIN(bin), block, cause);
	}
	if (class->spare_room)
		hak_sample_table_unreserve(class->spare_room);
	class->spare_room = 0;
}

void hak_cache_flush_spares(struct hak_cache *cache, enum hak_release_cause cause)
{
	for (unsigned bin = HAK_BIN_OF_CLASS(0); bin < HAK_BIN_LARGE; bin++)
		flush_spares(&cache->classes[bin], bin, cause);
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
	flush_spares(class, bin, cause);
	class->drain_at = class->frees + hak_cache_drain_interval(class_of(bin)->block_bytes);
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
	cache->classes[HAK_BIN_LARGE].drain_at = cache->classes[HAK_BIN_LARGE].frees + hak_cache_drain_interval(HAK_SLOT_BYTES);
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

static HAK_COLD void begin_class(struct hak_cache *cache, unsigned bin)
{
	struct hak_cache_class *class = &cache->classes[bin];

	hak_sampler_draw(&cache->sampler, &class->drawn, HAK_CLASS_OF_BIN(bin), class->allocs,
		HAK_SAMPLER_SAMPLES | HAK_SAMPLER_GUARDS);
	class->fetch = first_fetch(bin);
	class->drain_at = hak_cache_drain_interval(class_of(bin)->block_bytes);
}

/* ---- What all threads are asked for ---- */

static void meet_sampling(struct hak_cache *cache)
{
	unsigned changed = hak_sampler_meet(&cache->sampler);

	for (unsigned bin = HAK_BIN_OF_CLASS(0); changed && bin < HAK_BIN_LARGE; bin++) {
		struct hak_cache_class *class = &cache->classes[bin];

		if (!hak_cache_class_in_use(class))
			continue;
		settle(cache, bin);
		hak_sampler_draw(&cache->sampler, &class->drawn, HAK_CLASS_OF_BIN(bin), class->allocs, changed);
		arm(cache, bin);
	}
}

static HAK_NOINLINE bool meet(struct hak_cache *cache, uint32_t asked)
{
	if ((cache->epoch & ~(HAK_EPOCH_STEP - 1)) == asked)
		return false;
	hak_fence_acquire(); /* pairs with the release in hak_cache_request_sampling and …_guards */
	meet_sampling(cache);
	cache->epoch = asked + (hak_sampler_is_on(&cache->sampler) ? HAK_EPOCH_SAMPLING : 0) +
		(cache->sampler.guarding.level == HAK_GUARD_FULL ? HAK_EPOCH_FULL : 0);
	return true;
}

void hak_cache_init(struct hak_cache *cache, struct hak_bins *bins)
{
	cache->bins = bins;
	if (bins == &hak_bins)
		hak_cache_mine = cache;
	cache->sampler.number = hak_add_relaxed(&caches, 1u);
	cache->epoch = UINT32_MAX; /* of no request */
	meet(cache, hak_load_relaxed(&hak_cache_epoch));
}

void hak_cache_request_drain(void)
{
	hak_add_relaxed(&hak_cache_epoch, HAK_EPOCH_STEP);
}

void hak_cache_request_sampling(uint64_t rate, uint64_t seed)
{
	hak_sampler_ask_samples(&(struct hak_sampling){rate, seed});
	hak_fence_release(); /* who meets the request finds it */
	hak_cache_request_drain();
}

void hak_cache_request_guards(const struct hak_guarding *guarding)
{
	hak_sampler_ask_guards(guarding);
	hak_fence_release(); /* the same */
	hak_cache_request_drain();
}

bool hak_cache_drain_wanted(struct hak_cache *cache)
{
	uint32_t asked = hak_load_relaxed(&hak_cache_epoch);

	return HAK_UNLIKELY(cache->epoch != asked) && meet(cache, asked);
}
