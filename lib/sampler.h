/* sampler.h: which mallocs of a thread are chosen, to be samples of the profile or to be guarded.
 *
 * Both are drawn beforehand, as counts of mallocs of a class, each from a random source of its own: what is chosen for one
 * depends on nothing of the other. Which of them comes first is all that the paths of malloc look at. */
#ifndef HAK_SAMPLER_H
#define HAK_SAMPLER_H

#include "base.h"
#include "settings.h"

#define HAK_SAMPLE_NEVER UINT64_MAX

/* Counts of a class's mallocs at which a malloc is chosen. */
struct hak_drawn {
	uint64_t next; /* the lesser of the others */
	uint64_t sample, guard;
};

/* What all threads are asked to choose. */
struct hak_sampling {
	uint64_t rate; /* bytes between two samples on the average; 0: none are taken */
	uint64_t seed; /* what random sources are made of, besides the cache's number */
};
struct hak_guarding {
	uint64_t rate; /* mallocs between two that are guarded, on the average; 0: none are. At level full it is 1. */
	uint64_t seed;
	uint32_t class; /* of this class alone; HAK_CLASS_COUNT or more: of each */
	uint32_t level; /* enum hak_guard_level */
};

/* What a thread needs to choose. */
struct hak_sampler {
	uint64_t rate, seed; /* as it was asked for samples */
	uint64_t random;     /* their source: poisson.h */
	double large_left;   /* bytes of blocks that no class counts until the next that is a sample: large ones, and guarded at level full */
	struct hak_guarding guarding;
	uint64_t guard_random;
	uint32_t number;
};

/* Set by the thread's slow path when the block that it returns is chosen: the rate of samples if it is to be one, and the
 * bit if it is to be guarded. What is allocated for HAKMEM itself (hak_trace_busy) never is, and leaves the word alone: it may
 * be allocated at the end of a slow path whose block is chosen. */
#define HAK_DUE_GUARD (1ull << 63)
extern HAK_HIDDEN HAK_TLS uint64_t hak_sample_due;

/* What is asked for from now on. Somebody has to tell the threads: hak_cache_request_drain. One caller at a time. */
void hak_sampler_ask_samples(const struct hak_sampling *sampling);
void hak_sampler_ask_guards(const struct hak_guarding *guarding);

/* Goes by what is asked for. Random sources begin anew for what has changed. Returns that. */
enum hak_sampler_part { HAK_SAMPLER_SAMPLES = 1, HAK_SAMPLER_GUARDS = 2 };
unsigned hak_sampler_meet(struct hak_sampler *sampler);

/* Whether anything may be chosen. */
HAK_INLINE bool hak_sampler_is_on(const struct hak_sampler *sampler)
{
	return sampler->rate || sampler->guarding.rate;
}

/* Draws the next of some `parts`, for a class of which there have been `allocs` mallocs. */
void hak_sampler_draw(
	struct hak_sampler *sampler, struct hak_drawn *drawn, unsigned class, uint64_t allocs, unsigned parts);

/* All that was drawn comes `by` mallocs later. */
HAK_INLINE void hak_drawn_shift(struct hak_drawn *drawn, unsigned by)
{
	drawn->next += drawn->next == HAK_SAMPLE_NEVER ? 0 : by;
	drawn->sample += drawn->sample == HAK_SAMPLE_NEVER ? 0 : by;
	drawn->guard += drawn->guard == HAK_SAMPLE_NEVER ? 0 : by;
}

/* Counts the bytes of a block that no class counts: sets hak_sample_due if it is a sample. */
void hak_sampler_count(struct hak_sampler *sampler, size_t bytes);

/* The malloc number drawn->next is made: sets hak_sample_due, and draws the next of what it was chosen for. At level full
 * the slow path has decided already whether it is to be guarded. */
void hak_sampler_choose(struct hak_sampler *sampler, struct hak_drawn *drawn, unsigned class);

#endif
