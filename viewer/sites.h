/* sites.h: what a profile says of each call site, that is of each stack: estimates, and how far they may be off. */
#ifndef VIEWER_SITES_H
#define VIEWER_SITES_H

#include "viewer/profile_model.h"

/* Sums over a stack's sampled blocks and counts; all can be added up over stacks. Bytes are those that were asked for.
 * X(field) */
#define SITES_SUMS(X) \
	X(samples)         /* live blocks that are sampled */ \
	X(live_blocks) X(live_bytes) \
	X(live_variance)   /* of live_bytes: the sum of bytes^2 * (1 - p) / p^2 */ \
	X(block_variance)  /* of live_blocks */ \
	X(held_bytes)      /* their share of the slabs that they lie in */ \
	X(pinned_bytes)    /* of that: free, and not to be given back while they live */ \
	X(pinned_variance) \
	X(cached_bytes)    /* of that: in blocks that only caches hold */ \
	X(age_sum)         /* ms times blocks: its mean age by dividing */ \
	PROFILE_SITE(X)
struct site {
	uint32_t stack;
	SITES_SUMS(PROFILE_DOUBLE)
	double lifetimes[PROFILE_LIFETIMES_MAX];
	uint64_t oldest_ms, youngest_ms; /* of the sampled blocks that are live */
};

#define SITES_ANY (-2) /* a class: blocks of all */
/* Which live blocks count. What was counted over time (allocs and so on) is told by stack only, and stays. */
struct sites_filter {
	int class;                   /* SITES_ANY, PROFILE_NO_CLASS or a class */
	uint64_t tid;                /* 0: of all threads */
	uint64_t age_min_ms, age_max_ms;
};
#define SITES_NO_FILTER ((struct sites_filter){.class = SITES_ANY, .age_max_ms = UINT64_MAX})

struct sites {
	struct site *rows; /* one a stack that has anything, in the order of stacks */
	size_t count;
	struct site total;
};

/* Sums up. To be freed. Returns false without memory. */
bool sites_make(struct sites *sites, const struct profile *profile, const struct sites_filter *filter);
void sites_free(struct sites *sites);
/* Adds what can be added. */
void site_add(struct site *sum, const struct site *part);

/* An estimate as a whole number, for what shows it; what is beyond any heap is cut. */
uint64_t site_whole(double value);
/* Standard errors of live_bytes, of pinned_bytes and of alloc_bytes. */
double site_live_error(const struct site *site);
double site_pinned_error(const struct site *site);
double site_alloc_error(const struct site *site);

/* The age, in ms, that nine tenths of the sampled live blocks have: leaks are looked for among these, as the youngest
 * are often just in use. */
uint64_t sites_leak_age(const struct profile *profile);

/* What rows can be ordered by, the largest first. */
enum sites_order { SITES_BY_LIVE, SITES_BY_PINNED, SITES_BY_ALLOCATED };
void sites_sort(struct sites *sites, enum sites_order order);

#endif
