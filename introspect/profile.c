#include "introspect/profile.h"

#include <errno.h>
#include <string.h>

#include "introspect/config.h"
#include "introspect/dump.h"
#include "introspect/memory.h"
#include "introspect/proc.h"
#include "introspect/protocol.h"
#include "introspect/snapshot.h"
#include "introspect/stack.h"
#include "introspect/tally.h"
#include "lib/census.h"
#include "lib/inspect.h"
#include "lib/sample.h"

_Static_assert(HAK_STACK_FRAMES == HAK_PROTOCOL_STACK_FRAMES, "clients know where a stack is cut");

/* How long blocks lived: bucket i is below bounds_ms[i], the last one has no bound. */
static const uint64_t bounds_ms[] = {1, 10, 100, 1000, 10000, 100000};
_Static_assert(HAK_COUNT_OF(bounds_ms) + 1 == HAK_TALLY_LIFETIMES, "the last one has no bound");

static uint32_t site_count; /* numbers of stacks that have sums; 0: it was never on */

/* For the handler of a crash, which can't ask for memory: what lives, by stack. Untouched until then. */
static struct hak_profile_site *spare_sites;

/* ---- The sink's part ---- */

/* What a sample adds to the variance of an estimate of bytes; nothing if it stands for itself alone. */
static double variance_of(const struct hak_sample *sample)
{
	double bytes = (double)sample->bytes, p;

	if (sample->weight == 1)
		return 0;
	p = 1 / sample->weight;
	return bytes * bytes * (1 - p) / (p * p);
}

/* What was allocated needs no sum: it is what went and what lives. */
uint32_t hak_profile_sample(const struct hak_sample *sample)
{
	(void)sample;
	return hak_stack_capture();
}

void hak_profile_sample_freed(const struct hak_sample *sample, uint64_t lived_ns, bool temporary)
{
	unsigned lifetime = 0;

	while (lifetime < HAK_COUNT_OF(bounds_ms) && lived_ns >= bounds_ms[lifetime] * 1000000)
		lifetime++;
	hak_tally_add(sample->stack, sample->weight, sample->weight * (double)sample->bytes, variance_of(sample), lifetime, temporary);
}

/* ---- On and off ---- */

static bool begin(void)
{
	struct hak_stack_counts stacks;
	uint32_t count;

	if (site_count)
		return true;
	if (!hak_stack_begin((enum hak_stack_engine)hak_config.unwind, (uint32_t)hak_config.prof_stacks))
		return false;
	hak_stack_count(&stacks);
	count = (uint32_t)stacks.capacity + 1; /* guards may have begun with more */
	if (!spare_sites)
		spare_sites = hak_memory_map(count * sizeof(*spare_sites), HAK_MEMORY_INHERIT);
	if (!spare_sites || !hak_tally_begin(count))
		return false;
	site_count = count;
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
	return hak_sample_rate();
}

bool hak_profile_has_data(void)
{
	return site_count != 0;
}

/* ---- What lives, summed up ---- */

static void sum_up(struct hak_profile_site *sites, uint32_t count, const struct hak_sample *sample)
{
	struct hak_profile_site *site = &sites[sample->stack < count ? sample->stack : 0];

	site->blocks += sample->weight;
	site->bytes += sample->weight * (double)sample->bytes;
	site->variance += variance_of(sample);
	site->samples++;
}

void hak_profile_live(struct hak_profile_site *sites, uint32_t count)
{
	uint32_t end = hak_sample_end();
	struct hak_sample sample;

	for (uint32_t i = 0; i < end; i++) {
		if (hak_sample_look(i, &sample))
			sum_up(sites, count, &sample);
	}
}

/* ---- The document ---- */

/* A number of any size that JSON can hold, with so many decimals at most, of 6. */
static void put_decimals(struct hak_json *json, double number, unsigned decimals)
{
	static const double scales[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
	double scale = scales[decimals];
	char text[48], digits[24];
	unsigned length = 0, count = 0, exponent = 0;
	uint64_t whole;

	if (number < 0) {
		text[length++] = '-';
		number = -number;
	}
	for (; number * scale >= 1e18 && exponent < 300; exponent++)
		number /= 10;
	whole = (uint64_t)(number * (exponent ? 1 : scale) + 0.5);
	for (decimals = exponent ? 0 : decimals; decimals && whole % 10 == 0; decimals--)
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

static void put_number(struct hak_json *json, double number)
{
	put_decimals(json, number, 3);
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

/* What a row needs besides the sample. */
struct moment {
	struct hak_profile_site *sites; /* the sums of the rows, by stack */
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

	sum_up(moment->sites, site_count, sample);
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
	put_decimals(json, sample->weight, 6); /* what the sums say to three: it is multiplied by bytes, and what is above 1 by their square */
	encode_slab(json, sample, moment);
	hak_json_end(json);
}

static void encode_live_rows(struct hak_json *json, const struct moment *moment)
{
	uint32_t end = hak_sample_end();
	struct hak_sample sample;

	for (uint32_t i = 0; i < end; i++) {
		if (hak_sample_look(i, &sample))
			encode_sample(json, &sample, moment);
	}
}

/* The rows, which are summed up in `sites`. */
static void encode_live(struct hak_json *json, struct hak_profile_site *sites, bool crashed)
{
	static const char *const fields[] = {"address", "bytes", "class", "stack", "tid", "age_ms", "weight", "slab_live",
		"slab_capacity", "slab_cached", "slab_bytes", "block_bytes"};
	struct moment moment = {.sites = sites, .now_us = hak_snapshot_now_us(), .slots = hak_census_slots()};
	size_t bytes = moment.slots * sizeof(*moment.cached);

	encode_names(json, "live_fields", fields, HAK_COUNT_OF(fields));
	hak_json_key(json, "live");
	hak_json_array(json);
	if (!crashed && bytes && hak_sample_end())
		moment.cached = hak_memory_map(bytes, HAK_MEMORY_PRIVATE);
	if (moment.cached)
		hak_census_take(moment.cached, moment.slots);
	encode_live_rows(json, &moment);
	if (moment.cached)
		hak_memory_unmap(moment.cached, bytes);
	hak_json_end(json);
}

static double blocks_of(const struct hak_tally_sums *went)
{
	double blocks = 0;

	for (unsigned i = 0; i < HAK_TALLY_LIFETIMES; i++)
		blocks += went->lifetimes[i];
	return blocks;
}

static void encode_site(struct hak_json *json, uint32_t stack, const struct hak_profile_site *live, const struct hak_tally_sums *went)
{
	hak_json_array(json);
	hak_json_u64(json, stack);
	put_number(json, blocks_of(went) + live->blocks);
	put_number(json, went->bytes + live->bytes);
	put_number(json, went->variance + live->variance);
	put_number(json, blocks_of(went));
	put_number(json, went->bytes);
	put_number(json, went->temporary);
	hak_json_array(json);
	for (unsigned i = 0; i < HAK_TALLY_LIFETIMES; i++)
		put_number(json, went->lifetimes[i]);
	hak_json_end(json);
	hak_json_end(json);
}

/* `live` is what the rows say, so that the sums of a document agree with its rows. It was looked at before what went: what is freed
 * between the two is in both, and the next document may have less. The other way round it would be in neither: a stack that is in one
 * document could be missing in the next, and a row have no sums. */
static void encode_sites(struct hak_json *json, struct hak_profile_site *live, bool crashed)
{
	static const char *const fields[] = {
		"stack", "allocs", "alloc_bytes", "alloc_variance", "frees", "free_bytes", "temporary", "lifetimes"};
	uint32_t end = live ? hak_stack_end() : 0;

	hak_json_key(json, "lifetime_bounds_ms");
	hak_json_array(json);
	for (unsigned i = 0; i < HAK_COUNT_OF(bounds_ms); i++)
		hak_json_u64(json, bounds_ms[i]);
	hak_json_end(json);
	encode_names(json, "site_fields", fields, HAK_COUNT_OF(fields));
	hak_json_key(json, "sites");
	hak_json_array(json);
	for (uint32_t stack = 0; stack < end; stack++) {
		struct hak_tally_sums went;

		hak_tally_read(stack, !crashed, &went);
		if (blocks_of(&went) == 0 && !live[stack].samples)
			continue;
		live[stack].samples++; /* so that it has frames */
		encode_site(json, stack, &live[stack], &went);
	}
	hak_json_end(json);
}

static void encode_frames(struct hak_json *json, const struct hak_profile_site *live)
{
	uint32_t end = live ? hak_stack_end() : 0;

	hak_json_key(json, "frames");
	hak_json_array(json);
	for (uint32_t stack = 1; stack < end; stack++) {
		const uintptr_t *frames;
		unsigned count = live[stack].samples ? hak_stack_frames(stack, &frames) : 0;

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
	size_t bytes = site_count * sizeof(struct hak_profile_site);
	struct hak_profile_site *live = crashed ? spare_sites : NULL;

	if (live) {
		memset(live, 0, hak_stack_end() * sizeof(*live)); /* there may have been a dump before, of memory that was out */
	} else if (bytes) {
		live = hak_memory_map(bytes, HAK_MEMORY_PRIVATE);
		if (!live) {
			json->error = json->error ? json->error : ENOMEM;
			return;
		}
	}
	encode_counts(json);
	encode_live(json, live, crashed);
	encode_sites(json, live, crashed);
	encode_frames(json, live);
	if (!crashed)
		hak_memory_unmap(live, bytes);
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
