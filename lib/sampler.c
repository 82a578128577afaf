#include "sampler.h"

#include "atomic.h"
#include "poisson.h"
#include "size_class.h"
#include "trace.h"

HAK_TLS uint64_t hak_sample_due;

/* What was asked for last. Words, because a thread may read them while the next request is being made: it meets that too. */
static struct hak_sampling sampling_asked;
static struct hak_guarding guarding_asked;

void hak_sampler_ask_samples(const struct hak_sampling *sampling)
{
	hak_store_relaxed(&sampling_asked.rate, sampling->rate);
	hak_store_relaxed(&sampling_asked.seed, sampling->seed);
}

void hak_sampler_ask_guards(const struct hak_guarding *guarding)
{
	hak_store_relaxed(&guarding_asked.rate, guarding->rate);
	hak_store_relaxed(&guarding_asked.seed, guarding->seed);
	hak_store_relaxed(&guarding_asked.class, guarding->class);
	hak_store_relaxed(&guarding_asked.level, guarding->level);
}

static bool meet_samples(struct hak_sampler *sampler)
{
	uint64_t rate = hak_load_relaxed(&sampling_asked.rate), seed = hak_load_relaxed(&sampling_asked.seed);

	if (sampler->rate == rate && sampler->seed == seed)
		return false;
	sampler->rate = rate;
	sampler->seed = seed;
	sampler->random = hak_random_begin(seed, sampler->number);
	sampler->large_left = hak_poisson_bytes(&sampler->random, rate);
	return true;
}

static bool meet_guards(struct hak_sampler *sampler)
{
	const struct hak_guarding before = sampler->guarding;
	struct hak_guarding *now = &sampler->guarding;

	now->rate = hak_load_relaxed(&guarding_asked.rate);
	now->seed = hak_load_relaxed(&guarding_asked.seed);
	now->class = hak_load_relaxed(&guarding_asked.class);
	now->level = hak_load_relaxed(&guarding_asked.level);
	if (now->rate == before.rate && now->seed == before.seed && now->class == before.class && now->level == before.level)
		return false;
	/* Another number than the samples' source has, or one would be chosen together with the other. */
	sampler->guard_random = hak_random_begin(now->seed, (uint64_t)sampler->number | 1ull << 32);
	return true;
}

unsigned hak_sampler_meet(struct hak_sampler *sampler)
{
	return (meet_samples(sampler) ? HAK_SAMPLER_SAMPLES : 0u) | (meet_guards(sampler) ? HAK_SAMPLER_GUARDS : 0u);
}

void hak_sampler_draw(
	struct hak_sampler *sampler, struct hak_drawn *drawn, unsigned class, uint64_t allocs, unsigned parts)
{
	const struct hak_guarding *guarding = &sampler->guarding;
	bool guards = guarding->rate && (guarding->class == class || guarding->class >= HAK_CLASS_COUNT);

	if (parts & HAK_SAMPLER_SAMPLES)
		drawn->sample = sampler->rate == 1 ? allocs + 1
			: sampler->rate ? allocs + hak_poisson_blocks(&sampler->random, hak_size_classes[class].block_bytes, sampler->rate)
					: HAK_SAMPLE_NEVER;
	if (parts & HAK_SAMPLER_GUARDS)
		drawn->guard = guards ? allocs + hak_poisson_calls(&sampler->guard_random, guarding->rate) : HAK_SAMPLE_NEVER;
	drawn->next = drawn->sample < drawn->guard ? drawn->sample : drawn->guard;
}

HAK_NOINLINE void hak_sampler_count(struct hak_sampler *sampler, size_t bytes)
{
	if (!sampler->rate)
		return;
	sampler->large_left -= (double)bytes;
	if (sampler->large_left > 0)
		return;
	if (!hak_trace_busy)
		hak_sample_due = sampler->rate;
	sampler->large_left = hak_poisson_bytes(&sampler->random, sampler->rate);
}

void hak_sampler_choose(struct hak_sampler *sampler, struct hak_drawn *drawn, unsigned class)
{
	bool samples = drawn->next == drawn->sample, guards = drawn->next == drawn->guard;

	if (HAK_LIKELY(!hak_trace_busy))
		hak_sample_due = (samples ? sampler->rate : 0) |
			(guards && sampler->guarding.level != HAK_GUARD_FULL ? HAK_DUE_GUARD : 0);
	hak_sampler_draw(sampler, drawn, class, drawn->next,
		(samples ? HAK_SAMPLER_SAMPLES : 0u) | (guards ? HAK_SAMPLER_GUARDS : 0u));
}
