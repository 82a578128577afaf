/* The table: places in one array, numbered; those in use hang in chains by a hash of their address. Both are parted, each
 * part with a lock of its own. A part takes free places from its own list, else from the array's end that no part has had. */
#include "sample.h"

#include <errno.h>

#include "depot.h"
#include "front_cache.h"
#include "large.h"
#include "lock.h"
#include "os.h"
#include "poisson.h"
#include "report.h"
#include "superslab.h"

#define PARTS 64u
#define SMALLEST 1024u
#define NO_PLACE UINT32_MAX
#define NO_STACK_YET UINT32_MAX

struct place {
	struct hak_sample sample; /* address 0: free */
	uint32_t next;            /* in its chain, or in its part's list of free places */
	uint32_t stack;           /* the sample's, which is known last; until then nobody is told of it */
};

struct part {
	struct hak_lock lock;
	uint32_t free; /* places plus 1 */
	uint64_t live, taken;
	uint32_t stand_ins[HAK_CLASS_COUNT];
} __attribute__((aligned(64)));

static struct part parts[PARTS] = {[0 ... PARTS - 1] = {.lock = HAK_LOCK_INIT(HAK_RANK_SAMPLES)}};
static struct place *places; /* set once, before anybody samples */
static uint32_t *chains;     /* places plus 1, by hash */
static uint32_t chain_count; /* a power of two */
static uint32_t capacity, used; /* places that there are, and that some part has had */
static uint64_t rate_now, seed_now, lost;

static HAK_TLS uint32_t serial; /* of the thread's last sample of those that every block is */

/* ---- The table ---- */

static uint32_t hash_of(uintptr_t address)
{
	return (uint32_t)((address >> 4) * 0x9e3779b97f4a7c15u >> 32);
}

static struct part *part_of(uintptr_t address)
{
	return &parts[hash_of(address) % PARTS];
}

static uint32_t *chain_of(uintptr_t address)
{
	return &chains[hash_of(address) / PARTS % chain_count * PARTS + hash_of(address) % PARTS];
}

/* The link that leads to the place of `address`, or the chain's last. The part's lock is held. */
static uint32_t *find(uintptr_t address)
{
	uint32_t *link = chain_of(address);

	while (*link && places[*link - 1].sample.address != address)
		link = &places[*link - 1].next;
	return link;
}

/* A free place; NO_PLACE if there is none. The part's lock is held. */
static uint32_t take_place(struct part *part)
{
	uint32_t number;

	if (part->free) {
		number = part->free - 1;
		part->free = places[number].next;
		return number;
	}
	if (hak_load_relaxed(&used) >= capacity)
		return NO_PLACE;
	number = hak_add_relaxed(&used, 1u);
	if (number < capacity)
		return number;
	hak_add_relaxed(&used, -1u);
	return NO_PLACE;
}

/* Whether it lies in a slab of samples, so that its stand-in is neither live nor in a cache. */
static bool has_slab(const struct hak_sample *sample)
{
	return sample->stand_in && hak_bin_of_address((void *)sample->address) == HAK_BIN_SAMPLED;
}

/* Blocks for samples, by the calling thread's cache if it has one. */
static void *take_block(unsigned class)
{
	struct hak_cache *cache = hak_cache_mine;
	void *block;

	if (!cache)
		return hak_depot_take_sampled(class);
	hak_cache_begin(cache);
	block = hak_cache_alloc_sampled(cache, HAK_BIN_OF_CLASS(class));
	hak_cache_end(cache);
	return block;
}

static void return_block(unsigned class, void *block)
{
	struct hak_cache *cache = hak_cache_mine;

	if (!cache) {
		hak_depot_return_sampled(class, block, HAK_RELEASE_DRAIN);
		return;
	}
	hak_cache_begin(cache);
	hak_cache_free_sampled(cache, HAK_BIN_OF_CLASS(class), block);
	hak_cache_end(cache);
}

/* Puts a sample into the table, without its stack. Returns its place, NULL if there is none. */
static struct place *insert(const struct hak_sample *sample)
{
	struct part *part = part_of(sample->address);
	uint32_t *chain = chain_of(sample->address), number;
	struct place *place = NULL;

	hak_lock_acquire(&part->lock);
	number = take_place(part);
	if (number != NO_PLACE) {
		place = &places[number];
		place->sample = *sample;
		place->next = *chain;
		hak_store_relaxed(&place->stack, NO_STACK_YET);
		hak_store_relaxed(chain, number + 1);
		hak_single_writer_add(&part->live, 1);
		hak_single_writer_add(&part->taken, 1);
		if (has_slab(sample))
			hak_single_writer_add(&part->stand_ins[sample->class], 1);
	}
	hak_lock_release(&part->lock);
	return place;
}

/* Copies what a place holds. Returns false if its stack isn't known yet. */
static bool copy(const struct place *place, struct hak_sample *out)
{
	uint32_t stack = hak_load_acquire(&place->stack); /* pairs with the release in ask_for_stack: the stack is there */

	*out = place->sample;
	out->stack = stack;
	return stack != NO_STACK_YET;
}

static bool remove_sample(uintptr_t address, struct hak_sample *out)
{
	struct part *part = part_of(address);
	uint32_t *link, number;

	hak_lock_acquire(&part->lock);
	link = find(address);
	number = *link;
	if (number) {
		struct place *place = &places[number - 1];

		copy(place, out);
		hak_store_relaxed(link, place->next);
		place->sample.address = 0;
		place->next = part->free;
		part->free = number;
		hak_single_writer_add(&part->live, -1);
		if (has_slab(out))
			hak_single_writer_add(&part->stand_ins[out->class], -1);
	}
	hak_lock_release(&part->lock);
	return number != 0;
}

/* ---- On and off ---- */

static bool make_table(uint32_t wanted)
{
	for (; wanted >= SMALLEST; wanted /= 2) {
		uint32_t count = PARTS;
		struct place *made = hak_os_map((size_t)wanted * sizeof(*made));

		while (count < wanted / 2)
			count *= 2;
		chains = made ? hak_os_map(count * sizeof(*chains)) : NULL;
		if (chains) {
			chain_count = count / PARTS;
			capacity = wanted;
			hak_store_release(&places, made); /* pairs with the acquire in hak_sample_places */
			return true;
		}
		if (made)
			hak_os_unmap(made, (size_t)wanted * sizeof(*made));
	}
	return false;
}

bool hak_sample_start(uint64_t rate, uint64_t seed, uint32_t wanted)
{
	if (!places && !make_table(wanted < SMALLEST ? SMALLEST : wanted))
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

/* ---- The life of a sample ---- */

/* The number of the malloc that the calling thread made last. Where every block is a sample it suffices to count those, which takes
 * no time. */
static uint32_t last_malloc(uint64_t rate)
{
	return rate > 1 && hak_cache_mine ? (uint32_t)hak_cache_allocs(hak_cache_mine) : serial;
}

static struct hak_sample describe(void *block, size_t bytes, uint8_t class, size_t decided, uint64_t rate)
{
	serial++;
	return (struct hak_sample){
		.address = (uintptr_t)block,
		.bytes = bytes,
		.class = class,
		.decided = decided,
		.rate = rate,
		.weight = 1 / hak_poisson_probability(decided, rate),
		.time_ns = hak_os_clock_near_ns(),
		.tid = (uint32_t)hak_os_tid(),
		.serial = last_malloc(rate),
	};
}

static struct hak_sample describe_ordinary(void *block, size_t bytes, uint64_t rate)
{
	unsigned bin = hak_bin_of_address(block);
	uint8_t class = hak_bin_is_class(bin) ? (uint8_t)HAK_CLASS_OF_BIN(bin) : HAK_SAMPLE_LARGE;
	size_t decided = class == HAK_SAMPLE_LARGE ? hak_large_usable(block) : hak_size_classes[class].block_bytes;

	return describe(block, bytes, class, decided, rate);
}

/* Gives the sample the address under which free will recognise it: that of the guarded block, if it is one. */
static bool settle_down(struct hak_sample *sample, void *guarded)
{
	void *block = guarded;

	if (sample->class == HAK_SAMPLE_LARGE)
		return true;
	if (!block)
		block = take_block(sample->class);
	if (!block)
		return false;
	sample->stand_in = sample->address;
	sample->address = (uintptr_t)block;
	return true;
}

/* A part of its callers: each function between malloc and the walk is one more frame to walk over. */
HAK_INLINE void ask_for_stack(struct place *place, struct hak_sample *sample)
{
	const struct hak_sink *sink = hak_trace_sink();

	if (sink && sink->sample)
		sample->stack = sink->sample(sample);
	hak_store_release(&place->stack, sample->stack);
}

static bool try_to_take(struct hak_sample *sample, void *guarded)
{
	struct place *place;

	if (!settle_down(sample, guarded))
		return false;
	place = insert(sample);
	if (!place) {
		if (has_slab(sample))
			return_block(sample->class, (void *)sample->address);
		return false;
	}
	if (!sample->stand_in)
		hak_sample_uncover((void *)sample->address, false);
	ask_for_stack(place, sample);
	return true;
}

void *hak_sample_take(void *block, size_t bytes, uint64_t rate, void *guarded)
{
	struct hak_sample sample;
	int saved = errno;
	bool taken;

	hak_trace_busy = true;
	sample = describe_ordinary(block, bytes, rate);
	taken = try_to_take(&sample, guarded);
	hak_trace_busy = false;
	hak_trace_flush();
	errno = saved;
	if (taken)
		return (void *)sample.address;
	hak_add_relaxed(&lost, 1u);
	return guarded ? guarded : block;
}

bool hak_sample_note(void *block, size_t bytes, unsigned class, size_t decided, uint64_t rate)
{
	struct hak_sample sample = describe(block, bytes, (uint8_t)class, decided, rate);
	struct place *place = hak_trace_busy || !hak_load_acquire(&places) ? NULL : insert(&sample);

	if (!place) {
		hak_add_relaxed(&lost, 1u);
		return false;
	}
	hak_trace_busy = true;
	ask_for_stack(place, &sample);
	hak_trace_busy = false;
	return true;
}

static bool look_up(uintptr_t address, struct hak_sample *out)
{
	struct part *part = part_of(address);
	uint32_t number;

	if (!hak_sample_places())
		return false;
	hak_lock_acquire(&part->lock);
	number = *find(address);
	if (number)
		copy(&places[number - 1], out);
	hak_lock_release(&part->lock);
	return number != 0;
}

size_t hak_sample_usable(const void *block)
{
	struct hak_sample sample;

	if (!look_up((uintptr_t)block, &sample))
		return 0;
	return sample.class == HAK_SAMPLE_LARGE ? (size_t)hak_slot((uint32_t)hak_slot_of_address(block))->span * HAK_SLOT_BYTES
						: hak_size_classes[sample.class].block_bytes;
}

/* Nothing where the clock, which may be some microseconds behind, is behind that of the thread that allocated it. */
static uint64_t lived_ns(const struct hak_sample *sample)
{
	uint64_t now = hak_os_clock_near_ns();

	return now > sample->time_ns ? now - sample->time_ns : 0;
}

/* Takes a sample out of the table, and tells the sink. */
static bool forget(void *block, struct hak_sample *sample)
{
	const struct hak_sink *sink = hak_trace_sink();
	bool nested = hak_trace_busy;

	if (!hak_sample_places() || !remove_sample((uintptr_t)block, sample))
		return false;
	hak_trace_busy = true;
	if (sink && sink->sample_freed && !nested)
		sink->sample_freed(
			sample, lived_ns(sample), sample->tid == (uint32_t)hak_os_tid() && sample->serial == last_malloc(sample->rate));
	hak_trace_busy = nested;
	return true;
}

void hak_sample_forget(void *block)
{
	struct hak_sample sample;

	forget(block, &sample);
}

bool hak_sample_free(void *block, void **ordinary)
{
	struct hak_sample sample;

	if (!forget(block, &sample))
		return false;
	if (has_slab(&sample))
		return_block(sample.class, block);
	else if (!sample.stand_in)
		hak_sample_uncover(block, true);
	*ordinary = sample.stand_in ? (void *)sample.stand_in : block;
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
	const struct hak_sink *sink = hak_trace_sink();
	struct part *part = part_of((uintptr_t)block);
	struct hak_sample before = {.address = 0}, after = before;
	uint32_t number;

	hak_lock_acquire(&part->lock);
	number = *find((uintptr_t)block);
	if (number) {
		struct hak_sample *sample = &places[number - 1].sample;

		copy(&places[number - 1], &before);
		sample->bytes = bytes;
		/* Each slot that a large block grows by has had its chance. */
		if (sample->class == HAK_SAMPLE_LARGE && hak_large_slots(bytes) * HAK_SLOT_BYTES > sample->decided) {
			sample->decided = hak_large_slots(bytes) * HAK_SLOT_BYTES;
			sample->weight = 1 / hak_poisson_probability(sample->decided, sample->rate);
		}
		after = *sample;
		after.stack = before.stack;
	}
	hak_lock_release(&part->lock);
	if (number && sink && sink->sample_resized)
		sink->sample_resized(&before, &after);
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
	*out = (struct hak_sample_counts){
		.rate = hak_load_relaxed(&rate_now),
		.seed = hak_load_relaxed(&seed_now),
		.lost = hak_load_relaxed(&lost),
		.capacity = hak_sample_places() ? capacity : 0,
	};
	for (unsigned i = 0; i < PARTS; i++) {
		out->taken += hak_load_relaxed(&parts[i].taken);
		out->live += hak_load_relaxed(&parts[i].live);
	}
}

uint32_t hak_sample_places(void)
{
	uint32_t count;

	if (!hak_load_acquire(&places))
		return 0;
	count = hak_load_relaxed(&used);
	return count < capacity ? count : capacity;
}

bool hak_sample_peek(uint32_t number, struct hak_sample *out)
{
	return copy(&places[number], out) && out->address != 0;
}

uint32_t hak_sample_chains(void)
{
	return hak_sample_places() ? chain_count * PARTS : 0;
}

unsigned hak_sample_look(uint32_t chain, struct hak_sample *out, unsigned room)
{
	struct part *part = &parts[chain % PARTS];
	unsigned count = 0;

	if (!hak_load_relaxed(&chains[chain])) /* most are empty */
		return 0;
	hak_lock_acquire(&part->lock);
	for (uint32_t place = chains[chain]; place; place = places[place - 1].next) {
		struct hak_sample sample;

		if (!copy(&places[place - 1], &sample))
			continue;
		if (count < room)
			out[count] = sample;
		count++;
	}
	hak_lock_release(&part->lock);
	return count;
}

uint64_t hak_sample_stand_ins(unsigned class)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < PARTS; i++)
		count += hak_load_relaxed(&parts[i].stand_ins[class]);
	return count;
}

void hak_sample_fork_lock(void)
{
	for (unsigned i = 0; i < PARTS; i++)
		hak_lock_acquire(&parts[i].lock);
}

void hak_sample_fork_unlock(void)
{
	for (unsigned i = PARTS; i-- > 0;)
		hak_lock_release(&parts[i].lock);
}
