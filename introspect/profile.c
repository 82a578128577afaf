#include "introspect/profile.h"

#include <string.h>

#include "introspect/config.h"
#include "introspect/dump.h"
#include "introspect/memory.h"
#include "introspect/proc.h"
#include "introspect/protocol.h"
#include "introspect/snapshot.h"
#include "introspect/stack.h"
#include "lib/atomic.h"
#include "lib/census.h"
#include "lib/inspect.h"
#include "lib/sample.h"

_Static_assert(HAK_STACK_FRAMES == HAK_PROTOCOL_STACK_FRAMES, "clients know where a stack is cut");

#define CHAIN_MAX 64 /* samples of a chain that are looked at: two are the average of a full table */

/* How long blocks lived: bucket i is below bounds_ms[i], the last one has no bound. */
static const uint64_t bounds_ms[] = {1, 10, 100, 1000, 10000, 100000};
#define BUCKETS (HAK_COUNT_OF(bounds_ms) + 1)

/* Sums of a stack: each a double, added to by any thread, by compare-and-swap of its bits. What went is counted by how long
 * it lived. */
struct site {
	uint64_t allocs, alloc_bytes, variance, free_bytes, temporary, lifetimes[BUCKETS];
};
static struct site *sites; /* by the stack's number; 0: unknown. Set once, before anything is sampled. */
static uint32_t site_count;

/* ---- Sums ---- */

static double value_of(const uint64_t *sum)
{
	uint64_t bits = hak_load_acquire(sum); /* pairs with the release in add: the stack is there */
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static void add(uint64_t *sum, double amount)
{
	uint64_t old = hak_load_relaxed(sum), changed;
	double value;

	if (amount == 0) /* the variance of a sample that stands for itself alone */
		return;
	do {
		memcpy(&value, &old, sizeof(value));
		value += amount;
		memcpy(&changed, &value, sizeof(changed));
	} while (!__atomic_compare_exchange_n(sum, &old, changed, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static double frees_of(const struct site *site)
{
	double frees = 0;

	for (unsigned i = 0; i < BUCKETS; i++)
		frees += value_of(&site->lifetimes[i]);
	return frees;
}

/* What a sample adds to the variance of an estimate of bytes. */
static double variance_of(const struct hak_sample *sample)
{
	double bytes = (double)sample->bytes, p = 1 / sample->weight;

	return bytes * bytes * (1 - p) / (p * p);
}

static struct site *site_of(uint32_t stack)
{
	return &sites[stack < site_count ? stack : 0];
}

uint32_t hak_profile_sample(const struct hak_sample *sample)
{
	uint32_t stack = hak_stack_capture();
	struct site *site = site_of(stack);

	add(&site->allocs, sample->weight);
	add(&site->alloc_bytes, sample->weight * (double)sample->bytes);
	add(&site->variance, variance_of(sample));
	return stack;
}

void hak_profile_sample_freed(const struct hak_sample *sample, uint64_t lived_ns, bool temporary)
{
	struct site *site = site_of(sample->stack);
	unsigned bucket = 0;

	while (bucket < HAK_COUNT_OF(bounds_ms) && lived_ns >= bounds_ms[bucket] * 1000000)
		bucket++;
	add(&site->free_bytes, sample->weight * (double)sample->bytes);
	add(&site->lifetimes[bucket], sample->weight);
	if (temporary)
		add(&site->temporary, sample->weight);
}

/* As if it had been allocated as it is now. A weight that fell makes the sums smaller: those that grew into samples add what
 * is missing. */
void hak_profile_sample_resized(const struct hak_sample *before, const struct hak_sample *after)
{
	struct site *site = site_of(before->stack);

	add(&site->allocs, after->weight - before->weight);
	add(&site->alloc_bytes, after->weight * (double)after->bytes - before->weight * (double)before->bytes);
	add(&site->variance, variance_of(after) - variance_of(before));
}

/* ---- On and off ---- */

static bool begin(void)
{
	struct hak_stack_counts stacks;
	struct site *made;
	uint32_t count;

	if (sites)
		return true;
	if (!hak_stack_begin((enum hak_stack_engine)hak_config.unwind, (uint32_t)hak_config.prof_stacks))
		return false;
	hak_stack_count(&stacks);
	count = (uint32_t)stacks.capacity + 1; /* guards may have begun with more */
	made = hak_memory_map(count * sizeof(*made), HAK_MEMORY_INHERIT);
	if (!made)
		return false;
	site_count = count;
	sites = made;
	return true;
}

bool hak_profile_prepare(uint64_t rate)
{
	return !rate || begin();
}

bool hak_profile_set_rate(uint64_t rate)
{
	struct hak_sample_counts now;
	uint64_t seed = hak_config.prof_seed;

	if (!rate) {
		hak_sample_stop();
		return true;
	}
	if (!begin())
		return false;
	hak_sample_count(&now);
	/* No seed is given: one that differs from run to run, but not from one rate to the next. */
	if (!seed)
		seed = now.seed ? now.seed : (hak_snapshot_now_us() * 0x9e3779b97f4a7c15u >> 12) | 1;
	if (!hak_sample_start(rate, seed, (uint32_t)hak_config.prof_samples))
		return false;
	/* This thread hears of it now, and samples what the program does next. */
	hak_inspect_request_drain();
	return true;
}

uint64_t hak_profile_rate(void)
{
	struct hak_sample_counts now;

	hak_sample_count(&now);
	return now.rate;
}

bool hak_profile_has_data(void)
{
	return sites != NULL;
}

/* ---- The document ---- */

/* A number with three decimals at most, of any size that JSON can hold. */
static void put_number(struct hak_json *json, double number)
{
	char text[48], digits[24];
	unsigned length = 0, count = 0, exponent = 0, decimals = 0;
	uint64_t whole;

	if (number < 0) {
		text[length++] = '-';
		number = -number;
	}
	for (; number >= 1e15 && exponent < 300; exponent++)
		number /= 10;
	whole = (uint64_t)(number * (exponent ? 1 : 1000) + 0.5);
	for (decimals = exponent ? 0 : 3; decimals && whole % 10 == 0; decimals--)
		whole /= 10;
	do {
		if (decimals && count == decimals)
			digits[count++] = '.';
		digits[count++] = (char)('0' + whole % 10);
		whole /= 10;
	} while (whole || (decimals && count <= decimals + 1));
	while (count)
		text[length++] = digits[--count];
	if (exponent) {
		text[length++] = 'e';
		if (exponent >= 100)
			text[length++] = (char)('0' + exponent / 100);
		if (exponent >= 10)
			text[length++] = (char)('0' + exponent / 10 % 10);
		text[length++] = (char)('0' + exponent % 10);
	}
	hak_json_raw(json, text, length);
}

static void encode_names(struct hak_json *json, const char *key, const char *const *names, size_t count)
{
	hak_json_key(json, key);
	hak_json_array(json);
	for (size_t i = 0; i < count; i++)
		hak_json_string(json, names[i]);
	hak_json_end(json);
}

static void encode_counts(struct hak_json *json)
{
	static const char *const engines[] = {"tables", "libunwind", "unwind_backtrace", "frame_pointers", "none"};
	static const char *const failures[] = {
#define X(name, meaning) #name,
		HAK_STACK_FAILURES(X)
#undef X
	};
	struct hak_sample_counts samples;
	struct hak_stack_counts stacks;

	hak_sample_count(&samples);
	hak_stack_count(&stacks);
	hak_json_member_u64(json, "rate", samples.rate);
	hak_json_member_string(json, "state", samples.rate ? "on" : "off");
	hak_json_member_string(json, "engine", engines[hak_stack_engine()]);
	hak_json_member_u64(json, "seed", samples.seed);
	hak_json_member_u64(json, "samples", samples.taken);
	hak_json_member_u64(json, "live_samples", samples.live);
	hak_json_member_u64(json, "sample_capacity", samples.capacity);
	hak_json_member_u64(json, "lost_samples", samples.lost);
	hak_json_member_u64(json, "stacks", stacks.stacks);
	hak_json_member_u64(json, "stack_capacity", stacks.capacity);
	hak_json_member_u64(json, "lost_stacks", stacks.lost);
	hak_json_key(json, "unwind_failures");
	hak_json_object(json);
	for (unsigned i = 0; i < HAK_STACK_FAILURE_COUNT; i++)
		hak_json_member_u64(json, failures[i], stacks.failures[i]);
	hak_json_end(json);
}

static void encode_sites(struct hak_json *json)
{
	static const char *const fields[] = {
		"stack", "allocs", "alloc_bytes", "alloc_variance", "frees", "free_bytes", "temporary", "lifetimes"};
	uint32_t end = sites ? hak_stack_end() : 0;

	hak_json_key(json, "lifetime_bounds_ms");
	hak_json_array(json);
	for (unsigned i = 0; i < HAK_COUNT_OF(bounds_ms); i++)
		hak_json_u64(json, bounds_ms[i]);
	hak_json_end(json);
	encode_names(json, "site_fields", fields, HAK_COUNT_OF(fields));
	hak_json_key(json, "sites");
	hak_json_array(json);
	for (uint32_t stack = 0; stack < end; stack++) {
		const struct site *site = &sites[stack];

		if (value_of(&site->allocs) == 0)
			continue;
		hak_json_array(json);
		hak_json_u64(json, stack);
		put_number(json, value_of(&site->allocs));
		put_number(json, value_of(&site->alloc_bytes));
		put_number(json, value_of(&site->variance));
		put_number(json, frees_of(site));
		put_number(json, value_of(&site->free_bytes));
		put_number(json, value_of(&site->temporary));
		hak_json_array(json);
		for (unsigned i = 0; i < BUCKETS; i++)
			put_number(json, value_of(&site->lifetimes[i]));
		hak_json_end(json);
		hak_json_end(json);
	}
	hak_json_end(json);
}

/* What a row needs besides the sample. */
struct moment {
	uint64_t now_us;
	uint16_t *cached; /* of the census; NULL: there was none */
	size_t slots;
};

/* Of the slab in which the stand-in lies: live blocks, all, those that only caches hold, its bytes and a block's. */
static void encode_slab(struct hak_json *json, const struct hak_sample *sample, const struct moment *moment)
{
	struct hak_census_slab slab = {0};
	uint32_t cached = 0;

	if (moment->cached && sample->stand_in && hak_census_slab(sample->stand_in, &slab) && slab.slab < moment->slots)
		cached = moment->cached[slab.slab] < slab.used ? moment->cached[slab.slab] : slab.used - 1;
	hak_json_u64(json, slab.used - cached);
	hak_json_u64(json, slab.capacity);
	hak_json_u64(json, cached);
	hak_json_u64(json, slab.bytes);
	hak_json_u64(json, slab.block_bytes);
}

static void encode_sample(struct hak_json *json, const struct hak_sample *sample, const struct moment *moment)
{
	uint64_t since_us = sample->time_ns / 1000;

	hak_json_array(json);
	hak_json_hex(json, sample->address);
	hak_json_u64(json, sample->bytes < HAK_JSON_NUMBER_MAX ? sample->bytes : HAK_JSON_NUMBER_MAX);
	if (sample->class == HAK_SAMPLE_LARGE)
		hak_json_null(json);
	else
		hak_json_u64(json, sample->class);
	hak_json_u64(json, sample->stack);
	hak_json_u64(json, sample->tid);
	hak_json_u64(json, moment->now_us > since_us ? (moment->now_us - since_us) / 1000 : 0);
	put_number(json, sample->weight);
	encode_slab(json, sample, moment);
	hak_json_end(json);
}

static void encode_live_rows(struct hak_json *json, const struct moment *moment)
{
	struct hak_sample chain[CHAIN_MAX];
	uint32_t chains = hak_sample_chains();

	for (uint32_t i = 0; i < chains; i++) {
		unsigned count = hak_sample_look(i, chain, CHAIN_MAX);

		for (unsigned n = 0; n < count && n < CHAIN_MAX; n++)
			encode_sample(json, &chain[n], moment);
	}
}

static void encode_live_without_locks(struct hak_json *json, const struct moment *moment)
{
	uint32_t places = hak_sample_places();
	struct hak_sample sample;

	for (uint32_t i = 0; i < places; i++) {
		if (hak_sample_peek(i, &sample))
			encode_sample(json, &sample, moment);
	}
}

static void encode_live(struct hak_json *json, bool crashed)
{
	static const char *const fields[] = {"address", "bytes", "class", "stack", "tid", "age_ms", "weight", "slab_live",
		"slab_capacity", "slab_cached", "slab_bytes", "block_bytes"};
	struct moment moment = {.now_us = hak_snapshot_now_us(), .slots = hak_census_slots()};
	size_t bytes = moment.slots * sizeof(*moment.cached);

	encode_names(json, "live_fields", fields, HAK_COUNT_OF(fields));
	hak_json_key(json, "live");
	hak_json_array(json);
	if (crashed) {
		encode_live_without_locks(json, &moment);
	} else if (hak_sample_chains()) {
		moment.cached = bytes ? hak_memory_map(bytes, HAK_MEMORY_PRIVATE) : NULL;
		if (moment.cached)
			hak_census_take(moment.cached, moment.slots);
		encode_live_rows(json, &moment);
		hak_memory_unmap(moment.cached, bytes);
	}
	hak_json_end(json);
}

static void encode_frames(struct hak_json *json)
{
	uint32_t end = sites ? hak_stack_end() : 0;

	hak_json_key(json, "frames");
	hak_json_array(json);
	for (uint32_t stack = 1; stack < end; stack++) {
		const uintptr_t *frames;
		unsigned count = value_of(&sites[stack].allocs) != 0 ? hak_stack_frames(stack, &frames) : 0;

		if (!count)
			continue;
		hak_json_array(json);
		hak_json_u64(json, stack);
		hak_json_array(json);
		for (unsigned i = 0; i < count; i++)
			hak_json_hex(json, frames[i]);
		hak_json_end(json);
		hak_json_end(json);
	}
	hak_json_end(json);
}

void hak_profile_encode(struct hak_json *json, bool crashed)
{
	encode_counts(json);
	/* The rows first: their stacks then have frames. */
	encode_live(json, crashed);
	encode_sites(json);
	encode_frames(json);
}

void hak_profile_message(struct hak_json *json)
{
	static uint64_t seq;
	char exe[HAK_PROC_TEXT_MAX];

	hak_proc_exe(exe, sizeof(exe));
	hak_json_object(json);
	hak_json_member_string(json, "type", HAK_TYPE_PROFILE);
	hak_json_member_u64(json, "protocol", HAK_PROTOCOL_VERSION);
	hak_json_member_u64(json, "seq", ++seq);
	hak_json_member_u64(json, "time_us", hak_snapshot_now_us());
	hak_profile_encode(json, false);
	hak_dump_modules(json, exe);
	hak_json_end(json);
}

/* ---- What lives, summed up ---- */

void hak_profile_live(struct hak_profile_site *out, uint32_t count)
{
	struct hak_sample chain[CHAIN_MAX];
	uint32_t chains = hak_sample_chains();

	for (uint32_t i = 0; i < chains; i++) {
		unsigned found = hak_sample_look(i, chain, CHAIN_MAX);

		for (unsigned n = 0; n < found && n < CHAIN_MAX; n++) {
			struct hak_profile_site *site = &out[chain[n].stack < count ? chain[n].stack : 0];

			site->blocks += chain[n].weight;
			site->bytes += chain[n].weight * (double)chain[n].bytes;
			site->variance += variance_of(&chain[n]);
			site->samples++;
		}
	}
}
