#include "sample.h"

#include <errno.h>

#include "depot.h"
#include "front_cache.h"
#include "large.h"
#include "os.h"
#include "poisson.h"
#include "report.h"
#include "sample_table.h"
#include "superslab.h"

static uint64_t rate_now, seed_now, lost;

static HAK_TLS uint32_t samples_taken; /* by this thread */

/* ---- On and off ---- */

bool hak_sample_start(uint64_t rate, uint64_t seed, uint32_t wanted)
{
	if (!hak_sample_table_make(wanted))
		return false;
	hak_store_relaxed(&rate_now, rate);
	hak_store_relaxed(&seed_now, seed);
	hak_cache_request_sampling(rate, seed);
	return true;
}

void hak_sample_stop(void)
{
	hak_store_relaxed(&rate_now, 0);
	hak_cache_request_sampling(0, hak_load_relaxed(&seed_now));
}

/* ---- Places ---- */

/* The class of the slab of samples that its block lies in; HAK_SAMPLE_LARGE: it lies in none. */
static unsigned slab_class(const struct hak_sample *sample)
{
	return hak_bin_of_address((void *)sample->address) == HAK_BIN_SAMPLED ? sample->class : HAK_SAMPLE_LARGE;
}

/* A block from a slab of samples, with its place. NULL if there is no memory for one, or no place. */
static HAK_NOINLINE struct hak_sample_place *take_new(unsigned class)
{
	/* A block that is taken in vain may make a slab come and go with it. */
	void *block = hak_sample_table_is_full() ? NULL : hak_depot_take_sampled(class);
	struct hak_sample_place *place = block ? hak_sample_place_take((uintptr_t)block, class) : NULL;

	if (block && !place)
		hak_depot_return_sampled(class, block, HAK_RELEASE_DRAIN);
	return place;
}

HAK_INLINE struct hak_sample_place *take_small(unsigned class)
{
	struct hak_cache *cache = hak_cache_mine;
	uint32_t spare = cache ? hak_cache_take_spare(cache, HAK_BIN_OF_CLASS(class)) : HAK_NO_SPARE;

	return HAK_LIKELY(spare != HAK_NO_SPARE) ? hak_sample_place_at(spare) : take_new(class);
}

/* The sample is gone: its block is kept for the next one, or goes back to its slab. */
static void leave_place(struct hak_sample_place *place)
{
	unsigned class = slab_class(&place->sample);
	void *block = (void *)place->sample.address;

	if (class != HAK_SAMPLE_LARGE && hak_cache_mine &&
		hak_cache_keep_spare(hak_cache_mine, HAK_BIN_OF_CLASS(class), hak_sample_place_number(place)))
		return;
	hak_sample_place_return(place, class);
	if (class != HAK_SAMPLE_LARGE)
		hak_depot_return_sampled(class, block, HAK_RELEASE_DRAIN);
}

/* ---- The life of a sample ---- */

/* How many mallocs the calling thread has made. Where every block is a sample it suffices to count those. */
static uint32_t mallocs_made(uint64_t rate)
{
	return rate > 1 && hak_cache_mine ? (uint32_t)hak_cache_allocs(hak_cache_mine) : samples_taken;
}

/* Whether the calling thread allocated the sample, and nothing since. To count its mallocs takes longer than to see that it has taken
 * another sample meanwhile, as most have. */
static bool is_temporary(const struct hak_sample *sample)
{
	return sample->tid == (uint32_t)hak_os_tid() && sample->samples == (uint16_t)samples_taken &&
		sample->mallocs == mallocs_made(sample->rate);
}

static double weight_of(uint64_t decided, uint64_t rate)
{
	return rate > 1 ? 1 / hak_poisson_probability(decided, rate) : 1;
}

static void set_weight(struct hak_sample *sample, double weight)
{
	__atomic_store(&sample->weight, &weight, __ATOMIC_RELAXED);
}

/* Writes what is known of a new sample into its place, but for the stack, and the address, which is there. */
HAK_INLINE void describe(struct hak_sample *sample, size_t bytes, unsigned class, size_t decided, uint64_t rate, uintptr_t stand_in)
{
	samples_taken++;
	hak_store_relaxed(&sample->bytes, bytes);
	hak_store_relaxed(&sample->decided, decided);
	hak_store_relaxed(&sample->rate, rate);
	set_weight(sample, weight_of(decided, rate));
	hak_store_relaxed(&sample->stand_in, stand_in);
	hak_store_relaxed(&sample->time_ns, hak_os_clock_near_ns());
	hak_store_relaxed(&sample->tid, (uint32_t)hak_os_tid());
	hak_store_relaxed(&sample->mallocs, mallocs_made(rate));
	hak_store_relaxed(&sample->samples, (uint16_t)samples_taken);
	hak_store_relaxed(&sample->stack, 0);
	hak_store_relaxed(&sample->class, (uint8_t)class);
}

/* Asks who allocated it, and then lets others look at it. A part of its callers: each function between malloc and the walk is one
 * more frame to walk over. */
HAK_INLINE void tell(struct hak_sample_place *place)
{
	const struct hak_sink *sink = hak_trace_sink();

	if (sink && sink->sample)
		hak_store_relaxed(&place->sample.stack, sink->sample(&place->sample));
	hak_single_writer_add(&place->lives, 1);
	hak_sample_place_tell(place, place->sample.stack);
}

static struct hak_sample_place *take_large(void *block, size_t bytes, uint64_t rate)
{
	struct hak_sample_place *place = hak_sample_place_take((uintptr_t)block, HAK_SAMPLE_LARGE);

	if (!place)
		return NULL;
	describe(&place->sample, bytes, HAK_SAMPLE_LARGE, hak_large_usable(block), rate, 0);
	hak_sample_uncover(block, false);
	return place;
}

void *hak_sample_take(void *block, size_t bytes, uint64_t rate, void *guarded)
{
	unsigned bin = hak_bin_of_address(block), class = HAK_CLASS_OF_BIN(bin);
	struct hak_sample_place *place;
	int saved = errno;

	hak_trace_busy = true;
	if (hak_bin_is_class(bin)) {
		place = guarded ? hak_sample_place_take((uintptr_t)guarded, HAK_SAMPLE_LARGE) : take_small(class);
		if (HAK_LIKELY(place != NULL))
			describe(&place->sample, bytes, class, hak_size_classes[class].block_bytes, rate, (uintptr_t)block);
	} else {
		place = take_large(block, bytes, rate);
	}
	if (HAK_LIKELY(place != NULL))
		tell(place);
	hak_trace_busy = false;
	hak_trace_flush();
	errno = saved;
	if (HAK_LIKELY(place != NULL))
		return (void *)place->sample.address;
	hak_add_relaxed(&lost, 1u);
	return guarded ? guarded : block;
}

bool hak_sample_note(void *block, size_t bytes, unsigned class, size_t decided, uint64_t rate)
{
	struct hak_sample_place *place = NULL;

	if (!hak_trace_busy && hak_sample_table_capacity())
		place = hak_sample_place_take((uintptr_t)block, HAK_SAMPLE_LARGE);
	if (!place) {
		hak_add_relaxed(&lost, 1u);
		return false;
	}
	hak_trace_busy = true;
	describe(&place->sample, bytes, class, decided, rate, 0);
	tell(place);
	hak_trace_busy = false;
	return true;
}

size_t hak_sample_usable(const void *block)
{
	const struct hak_sample_place *place = hak_sample_place_find((uintptr_t)block);
	uint8_t class;

	if (!place || !hak_sample_place_is_told(place))
		return 0;
	class = place->sample.class;
	return class == HAK_SAMPLE_LARGE ? (size_t)hak_slot((uint32_t)hak_slot_of_address(block))->span * HAK_SLOT_BYTES
					 : hak_size_classes[class].block_bytes;
}

/* Nothing where the clock, which may be some microseconds behind, is behind that of the thread that allocated it. */
static uint64_t lived_ns(const struct hak_sample *sample)
{
	uint64_t now = hak_os_clock_near_ns();

	return now > sample->time_ns ? now - sample->time_ns : 0;
}

/* Ends the sample at `block`, and tells the sink. Returns its place, which is the caller's now; NULL if there is none. Of two threads
 * that free one block at the same moment both may come here, as with any other block: a word that lets one pass would cost a
 * tenth of all that a sample costs. */
HAK_INLINE struct hak_sample_place *forget(void *block)
{
	struct hak_sample_place *place = hak_sample_place_find((uintptr_t)block);
	const struct hak_sink *sink = hak_trace_sink();
	const struct hak_sample *sample;
	bool nested = hak_trace_busy;

	if (HAK_UNLIKELY(!place || !hak_sample_place_is_told(place)))
		return NULL;
	sample = &place->sample;
	hak_sample_place_untell(place);
	hak_trace_busy = true;
	if (sink && sink->sample_freed && !nested)
		sink->sample_freed(sample, lived_ns(sample), is_temporary(sample));
	hak_trace_busy = nested;
	return place;
}

void hak_sample_forget(void *block)
{
	struct hak_sample_place *place = forget(block);

	if (place)
		hak_sample_place_return(place, HAK_SAMPLE_LARGE);
}

bool hak_sample_free(void *block, void **ordinary)
{
	struct hak_sample_place *place = forget(block);
	uintptr_t stand_in;

	if (HAK_UNLIKELY(!place))
		return false;
	stand_in = place->sample.stand_in;
	if (!stand_in)
		hak_sample_uncover(block, true);
	leave_place(place);
	*ordinary = stand_in ? (void *)stand_in : block;
	hak_trace_flush();
	return true;
}

bool hak_sample_was_freed(const void *block)
{
	uint32_t slot = (uint32_t)hak_slot_of_address(block), slab = slot - hak_slot(slot)->distance;
	uint32_t offset = (uint32_t)((uintptr_t)block - hak_slot_address(slab));
	const struct hak_size_class *class;

	if (!hak_bin_is_class(hak_slot(slab)->bin))
		return false;
	class = &hak_size_classes[HAK_CLASS_OF_BIN(hak_slot(slab)->bin)];
	return offset % class->block_bytes == 0 && offset / class->block_bytes < hak_slot(slab)->carved;
}

void hak_sample_resize(void *block, size_t bytes)
{
	struct hak_sample_place *place = hak_sample_place_find((uintptr_t)block);
	size_t slots = hak_large_slots(bytes) * HAK_SLOT_BYTES;
	struct hak_sample *sample;

	if (!place || !hak_sample_place_is_told(place))
		return;
	sample = &place->sample;
	hak_sample_place_untell(place);
	hak_store_relaxed(&sample->bytes, bytes);
	/* Each slot that a large block grows by has had its chance. */
	if (sample->class == HAK_SAMPLE_LARGE && slots > sample->decided) {
		hak_store_relaxed(&sample->decided, slots);
		set_weight(sample, weight_of(slots, sample->rate));
	}
	hak_sample_place_tell(place, sample->stack);
}

void hak_sample_uncover(void *block, bool uncovered)
{
	uint32_t run = (uint32_t)hak_slot_of_address(block);

	hak_lock_acquire(&hak_pool.lock);
	hak_slots_sample(hak_slot_ss(run), hak_slot_place(run), 1, uncovered ? HAK_SLOT_ORDINARY : HAK_SLOT_SAMPLED);
	hak_lock_release(&hak_pool.lock);
}

/* ---- Looking at it ---- */

void hak_sample_count(struct hak_sample_counts *out)
{
	uint32_t end = hak_sample_table_used();

	*out = (struct hak_sample_counts){
		.rate = hak_load_relaxed(&rate_now),
		.seed = hak_load_relaxed(&seed_now),
		.lost = hak_load_relaxed(&lost),
		.capacity = hak_sample_table_capacity(),
	};
	for (uint32_t i = 0; i < end; i++) {
		const struct hak_sample_place *place = hak_sample_place_at(i);

		out->taken += hak_load_relaxed(&place->lives);
		out->live += hak_sample_place_is_told(place);
	}
}

uint64_t hak_sample_rate(void)
{
	return hak_load_relaxed(&rate_now);
}

uint32_t hak_sample_end(void)
{
	return hak_sample_table_used();
}

bool hak_sample_look(uint32_t number, struct hak_sample *out)
{
	return hak_sample_place_read(hak_sample_place_at(number), out);
}
