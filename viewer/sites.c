#include "viewer/sites.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The slab's share that falls to one of its live blocks. A slab whose block was freed in the moment of looking still has
 * the one that is told of. */
static double share(const struct profile_block *block, double bytes)
{
	return bytes / (double)(block->slab_live > 0 ? block->slab_live : 1);
}

static void add_block(struct site *site, const struct profile_block *block)
{
	double bytes = (double)block->bytes, weight = block->weight, variance = weight * (weight - 1);
	if (site->samples == 0 || block->age_ms < site->youngest_ms)
		site->youngest_ms = block->age_ms;
	if (block->age_ms > site->oldest_ms)
		site->oldest_ms = block->age_ms;
	site->samples++;
	site->live_blocks += weight;
	site->live_bytes += weight * bytes;
	site->live_variance += bytes * bytes * variance;
	site->block_variance += variance;
	site->age_sum += weight * (double)block->age_ms;
	if (block->slab_bytes == 0) {
		site->held_bytes += weight * bytes;
		return;
	}
	double slab = (double)block->slab_bytes, live = (double)block->slab_live * (double)block->block_bytes,
	       cached = fmin((double)block->slab_cached * (double)block->block_bytes, slab);
	site->held_bytes += weight * share(block, slab);
	double pinned = share(block, fmax(slab - live - cached, 0));
	site->pinned_bytes += weight * pinned;
	site->pinned_variance += pinned * pinned * variance;
	site->cached_bytes += weight * share(block, cached);
}

static bool passes(const struct profile_block *block, const struct sites_filter *filter)
{
	return (filter->class == SITES_ANY || filter->class == block->class) && (filter->tid == 0 || filter->tid == block->tid) &&
		block->age_ms >= filter->age_min_ms && block->age_ms <= filter->age_max_ms;
}

void site_add(struct site *sum, const struct site *part)
{
	if (part->samples > 0) {
		if (sum->samples == 0 || part->youngest_ms < sum->youngest_ms)
			sum->youngest_ms = part->youngest_ms;
		if (part->oldest_ms > sum->oldest_ms)
			sum->oldest_ms = part->oldest_ms;
	}
#define ADD(name) sum->name += part->name;
	SITES_SUMS(ADD)
#undef ADD
	for (int i = 0; i < PROFILE_LIFETIMES_MAX; i++)
		sum->lifetimes[i] += part->lifetimes[i];
}

static void add_counts(struct site *site, const struct profile_site *counts)
{
#define ADD(name) site->name += counts->name;
	PROFILE_SITE(ADD)
#undef ADD
	for (int i = 0; i < PROFILE_LIFETIMES_MAX; i++)
		site->lifetimes[i] += counts->lifetimes[i];
}

bool sites_make(struct sites *sites, const struct profile *profile, const struct sites_filter *filter)
{
	memset(sites, 0, sizeof(*sites));
	sites->rows = calloc(profile->stack_count + 1, sizeof(*sites->rows));
	if (sites->rows == NULL)
		return false;
	for (size_t i = 0; i < profile->site_count; i++)
		add_counts(&sites->rows[profile->sites[i].stack], &profile->sites[i]);
	for (size_t i = 0; i < profile->block_count; i++) {
		if (passes(&profile->blocks[i], filter))
			add_block(&sites->rows[profile->blocks[i].stack], &profile->blocks[i]);
	}
	/* Those that have anything move up. */
	for (size_t i = 0; i < profile->stack_count; i++) {
		struct site site = sites->rows[i];
		if (!(site.samples > 0) && !(site.allocs > 0))
			continue;
		site.stack = (uint32_t)i;
		site_add(&sites->total, &site);
		sites->rows[sites->count++] = site;
	}
	return true;
}

void sites_free(struct sites *sites)
{
	free(sites->rows);
	memset(sites, 0, sizeof(*sites));
}

uint64_t site_whole(double value)
{
	return value >= 1e18 ? (uint64_t)1e18 : (uint64_t)(value + 0.5);
}

double site_live_error(const struct site *site)
{
	return sqrt(site->live_variance);
}

double site_pinned_error(const struct site *site)
{
	return sqrt(site->pinned_variance);
}

double site_alloc_error(const struct site *site)
{
	return sqrt(site->alloc_variance);
}

static int compare_ages(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

uint64_t sites_leak_age(const struct profile *profile)
{
	uint64_t *ages = malloc((profile->block_count + 1) * sizeof(*ages)), age = 0;
	if (ages == NULL)
		return 0;
	for (size_t i = 0; i < profile->block_count; i++)
		ages[i] = profile->blocks[i].age_ms;
	qsort(ages, profile->block_count, sizeof(*ages), compare_ages);
	if (profile->block_count / 10 > 0)
		age = ages[profile->block_count / 10];
	free(ages);
	return age;
}

static double value_of(const struct site *site, enum sites_order order)
{
	return order == SITES_BY_LIVE ? site->live_bytes : order == SITES_BY_PINNED ? site->pinned_bytes : site->alloc_bytes;
}

static int compare(const struct site *left, const struct site *right, enum sites_order order)
{
	double one = value_of(left, order), other = value_of(right, order);
	if (one != other)
		return one > other ? -1 : 1;
	return left->stack < right->stack ? -1 : left->stack > right->stack;
}

static int by_live(const void *a, const void *b)
{
	return compare(a, b, SITES_BY_LIVE);
}

static int by_pinned(const void *a, const void *b)
{
	return compare(a, b, SITES_BY_PINNED);
}

static int by_allocated(const void *a, const void *b)
{
	return compare(a, b, SITES_BY_ALLOCATED);
}

void sites_sort(struct sites *sites, enum sites_order order)
{
	static int (*const orders[])(const void *, const void *) = {by_live, by_pinned, by_allocated};
	if (sites->count > 1)
		qsort(sites->rows, sites->count, sizeof(*sites->rows), orders[order]);
}
