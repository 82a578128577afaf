#include "viewer/sites.h"

#include <math.h>

#include "tests/unit/sample_profile.h"

static const struct site *row_of(const struct sites *sites, uint32_t stack)
{
	for (size_t i = 0; i < sites->count; i++) {
		if (sites->rows[i].stack == stack)
			return &sites->rows[i];
	}
	abort();
}

#define NEAR(actual, expected) CU_ASSERT_DOUBLE_EQUAL(actual, expected, 1e-6 * (1 + fabs((double)(expected))))

static void sums_and_errors(void)
{
	struct profile *profile = sample_profile_read();
	struct sites_filter filter = SITES_NO_FILTER;
	struct sites sites;
	CU_ASSERT_TRUE_FATAL(sites_make(&sites, profile, &filter));
	UNIT_EQUAL(sites.count, 3);
	const struct site *site = row_of(&sites, 1);
	NEAR(site->live_bytes, 10 * 1000.0 + 4 * 100000.0);
	NEAR(site->live_blocks, 14);
	/* bytes^2 * (1 - p) / p^2 with p = 1/10 and 1/4 */
	NEAR(site_live_error(site), sqrt(1e6 * 0.9 / 0.01 + 1e10 * 0.75 / 0.0625));
	NEAR(site->samples, 2);
	NEAR(site_alloc_error(site), 1000);
	NEAR(site->lifetimes[0], 50);
	UNIT_EQUAL(site->oldest_ms, 8000);
	UNIT_EQUAL(site->youngest_ms, 2000);
	/* Ten blocks share slabs of 64 KiB by two, with 4 more of 1 KiB in caches. */
	NEAR(site->pinned_bytes, 10 * (65536 - 6 * 1024) / 2.0);
	NEAR(site_pinned_error(site), sqrt(90) * (65536 - 6 * 1024) / 2.0);
	NEAR(site->cached_bytes, 10 * 4 * 1024 / 2.0);
	NEAR(site->held_bytes, 10 * 65536 / 2.0 + 4 * 100000.0);
	/* A full slab pins nothing, and every block stands for itself. */
	site = row_of(&sites, 2);
	NEAR(site->pinned_bytes, 0);
	NEAR(site_live_error(site), 0);
	NEAR(sites.total.live_bytes, 410024);
	NEAR(sites.total.allocs, 110);
	sites_free(&sites);
	profile_free(profile);
}

static void filters(void)
{
	static const struct {
		struct sites_filter filter;
		double blocks;
	} cases[] = {
		{{.class = 26, .age_max_ms = UINT64_MAX}, 10},
		{{.class = PROFILE_NO_CLASS, .age_max_ms = UINT64_MAX}, 4},
		{{.class = SITES_ANY, .tid = 5, .age_max_ms = UINT64_MAX}, 11},
		{{.class = SITES_ANY, .age_min_ms = 2000, .age_max_ms = UINT64_MAX}, 14},
		{{.class = SITES_ANY, .age_min_ms = 2001, .age_max_ms = 8000}, 4},
		{{.class = SITES_ANY, .age_max_ms = 99}, 0},
	};
	struct profile *profile = sample_profile_read();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sites sites;
		CU_ASSERT_TRUE_FATAL(sites_make(&sites, profile, &cases[i].filter));
		NEAR(sites.total.live_blocks, cases[i].blocks);
		sites_free(&sites);
	}
	profile_free(profile);
}

static void orders(void)
{
	struct profile *profile = sample_profile_read();
	struct sites_filter filter = SITES_NO_FILTER;
	struct sites sites;
	CU_ASSERT_TRUE_FATAL(sites_make(&sites, profile, &filter));
	sites_sort(&sites, SITES_BY_LIVE);
	UNIT_EQUAL(sites.rows[0].stack, 1);
	UNIT_EQUAL(sites.rows[1].stack, 2);
	sites_sort(&sites, SITES_BY_ALLOCATED);
	UNIT_EQUAL(sites.rows[1].stack, 0);
	sites_sort(&sites, SITES_BY_PINNED);
	UNIT_EQUAL(sites.rows[0].stack, 1);
	sites_free(&sites);
	profile_free(profile);
}

/* Of a hundred samples the youngest ten are not of that age; of three none is left out. */
static void the_youngest_tenth(void)
{
	struct profile *profile = sample_profile_read();
	struct profile many = *profile;
	struct profile_block blocks[100];
	UNIT_EQUAL(sites_leak_age(profile), 0);
	many.blocks = blocks;
	many.block_count = 100;
	for (int i = 0; i < 100; i++)
		blocks[i] = (struct profile_block){.age_ms = (uint64_t)(100 - i) * 7, .weight = 1, .class = 1};
	struct sites_filter filter = SITES_NO_FILTER;
	struct sites sites;
	filter.age_min_ms = sites_leak_age(&many);
	UNIT_EQUAL(filter.age_min_ms, 11 * 7);
	CU_ASSERT_TRUE_FATAL(sites_make(&sites, &many, &filter));
	NEAR(sites.total.live_blocks, 90);
	sites_free(&sites);
	profile_free(profile);
}

/* Figures that no heap has stay finite and whole. */
static void absurd_figures(void)
{
	struct profile *profile = sample_profile_read();
	struct sites_filter filter = SITES_NO_FILTER;
	struct sites sites;
	struct profile_block *block = &profile->blocks[0];
	block->weight = 1e12;
	block->bytes = block->slab_live = block->slab_cached = block->block_bytes = block->slab_bytes = 1ull << 53;
	CU_ASSERT_TRUE_FATAL(sites_make(&sites, profile, &filter));
	CU_ASSERT_TRUE(isfinite(site_live_error(&sites.total)) && isfinite(sites.total.cached_bytes));
	CU_ASSERT_TRUE(sites.total.pinned_bytes >= 0);
	UNIT_EQUAL(site_whole(sites.total.live_bytes), 1000000000000000000ull);
	sites_free(&sites);
	profile_free(profile);
}

UNIT_MAIN("sites", UNIT(sums_and_errors), UNIT(filters), UNIT(orders), UNIT(the_youngest_tenth), UNIT(absurd_figures))
