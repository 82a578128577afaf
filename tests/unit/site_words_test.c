#include "viewer/site_words.h"

#include "tests/unit/sample_profile.h"

static void amounts(void)
{
	char out[SITE_WORDS];
	struct site site = {.live_blocks = 1};
	UNIT_STRING(site_words_bytes(out, 1536, 0.2), "1.50K");
	/* The test runs in the C locale, which has no sign for it. */
	UNIT_STRING(site_words_bytes(out, 1536, 100), "1.50K +- 100B");
	UNIT_STRING(site_words_blocks(out, &site), "1 block");
	site.live_blocks = 1234567;
	UNIT_STRING(site_words_blocks(out, &site), "1.23M blocks");
}

static void ages(void)
{
	char out[SITE_WORDS];
	struct site site = {.live_blocks = 0};
	UNIT_STRING(site_words_age(out, &site), "");
	site = (struct site){.live_blocks = 10, .samples = 1, .age_sum = 20000};
	UNIT_STRING(site_words_age(out, &site), ", 2.0s old");
	site.samples = 2;
	UNIT_STRING(site_words_age(out, &site), ", 2.0s old on average");
}

static void lives(void)
{
	char out[SITE_WORDS];
	struct profile *profile = sample_profile_read();
	struct site site = {.lifetimes = {6, 0, 3, 1}};
	CU_ASSERT_TRUE(site_words_lives(out, profile, &site));
	UNIT_STRING(out, "<1ms 60%, <100ms 30%, longer 10%");
	memset(site.lifetimes, 0, sizeof(site.lifetimes));
	CU_ASSERT_FALSE(site_words_lives(out, profile, &site));
	profile_free(profile);
}

static void rates(void)
{
	char out[SITE_WORDS];
	struct profile profile = {.on = true, .rate = 65536};
	UNIT_STRING(site_words_rate(out, &profile, true), "a sample every 64.0K on average");
	UNIT_STRING(site_words_rate(out, &profile, false), "one every 64.0K");
	profile.rate = 1;
	UNIT_STRING(site_words_rate(out, &profile, true), "every block");
	UNIT_STRING(site_words_rate(out, &profile, false), "every block");
	/* A target whose profiler was switched off tells of no rate; a dump may. */
	profile.on = false;
	UNIT_STRING(site_words_rate(out, &profile, false), "every block, switched off");
	profile.rate = 0;
	UNIT_STRING(site_words_rate(out, &profile, true), "switched off");
}

UNIT_MAIN("site_words", UNIT(amounts), UNIT(ages), UNIT(lives), UNIT(rates))
