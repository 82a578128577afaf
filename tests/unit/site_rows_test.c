#include "viewer/site_rows.h"

#include "tests/unit/sample_profile.h"

static const struct binaries_where nowhere = {.folders = NULL};
static struct site_rows rows;

static const char *name(size_t i)
{
	static char text[SYMBOL_TEXT];
	return rows.rows[i].symbol != NULL ? symbol_name(text, rows.rows[i].symbol) : "";
}

static void filters(void)
{
	struct sites_filter filter;
	char words[64];
	struct problem problem = {""};
	CU_ASSERT_TRUE(site_rows_filter("  make  class=6 thread=4711 tree age=60", &filter, words, &problem));
	UNIT_STRING(words, "make tree");
	UNIT_EQUAL(filter.class, 6);
	UNIT_EQUAL(filter.tid, 4711);
	UNIT_EQUAL(filter.age_min_ms, 60000);
	CU_ASSERT_TRUE(site_rows_filter("class=large", &filter, words, &problem));
	CU_ASSERT_TRUE(filter.class == PROFILE_NO_CLASS);
	CU_ASSERT_TRUE(site_rows_filter("", &filter, words, &problem));
	CU_ASSERT_TRUE(filter.class == SITES_ANY);
	UNIT_STRING(problem.text, "");
	/* What is wrong is said of the first such word; the others count. Also while it is being typed: then it is not whole. */
	static const char *const cases[][2] = {
		{"class=", "class= is left out: class= takes a number from 0 to 255, or large"},
		{"class=300", "class=300 is left out: class= takes a number from 0 to 255, or large"},
		{"class=C7", "class=C7 is left out: class= takes a number from 0 to 255, or large"},
		{"age=5leaky thread=", "age=5leaky is left out: age= takes a number of seconds"},
		{"thread=99999999999999999999999", "thread=99999999999999999999999 is left out: thread= takes a thread's number"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_FALSE(site_rows_filter(cases[i][0], &filter, words, &problem));
		UNIT_STRING(problem.text, cases[i][1]);
	}
	CU_ASSERT_FALSE(site_rows_filter("class=7 thread=5x tree", &filter, words, &problem));
	UNIT_EQUAL(filter.class, 7);
	UNIT_EQUAL(filter.tid, 0);
	UNIT_STRING(words, "tree");
}

static void as_a_table(void)
{
	struct profile *profile = sample_profile_read();
	site_rows_update(&rows, profile, &nowhere, SITE_VIEW_TABLE, "");
	UNIT_EQUAL(rows.count, 3);
	CU_ASSERT_DOUBLE_EQUAL(rows.total.live_bytes, 410024, 0);
	UNIT_STRING(name(1), "libthing.so+0x122");
	CU_ASSERT_TRUE(rows.rows[1].rate < 0); /* there was none before it */
	static const struct {
		const char *filter;
		size_t count;
		double blocks;
	} cases[] = {
		{"class=26", 1, 10}, {"class=large", 1, 4}, {"thread=5", 2, 11}, {"age=1", 1, 14}, {"libthing", 1, 14}, {"LIBTHING usr/bin", 1, 14},
		{"usr", 2, 15}, {"nothing", 0, 0}, {"libthing class=1", 0, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		site_rows_update(&rows, profile, &nowhere, SITE_VIEW_TABLE, cases[i].filter);
		UNIT_EQUAL(rows.count, cases[i].count);
		CU_ASSERT_DOUBLE_EQUAL(rows.total.live_blocks, cases[i].blocks, 0);
	}
	site_rows_free(&rows);
	profile_free(profile);
}

/* Bytes a second, between one profile and the next. */
static void rates(void)
{
	struct problem problem = {""};
	struct profile *first = sample_profile_read();
	char *later = sample_profile_with("\"time_us\":5000000", "\"time_us\":9000000"), *text = sample_replace(later, "[7,100,500000", "[7,100,900000");
	struct profile *second = sample_profile_parse(text, &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	site_rows_update(&rows, first, &nowhere, SITE_VIEW_TABLE, "");
	profile_free(first);
	site_rows_update(&rows, second, &nowhere, SITE_VIEW_TABLE, "");
	CU_ASSERT_DOUBLE_EQUAL(rows.rows[1].rate, 100000, 1);
	CU_ASSERT_DOUBLE_EQUAL(rows.rows[0].rate, 0, 1e-6);
	/* Another look at the same one keeps them. */
	site_rows_update(&rows, second, &nowhere, SITE_VIEW_TABLE, "libthing");
	CU_ASSERT_DOUBLE_EQUAL(rows.rows[0].rate, 100000, 1);
	/* What was freed while the second was put together may be in there twice: a sum that has become smaller tells no rate. */
	char *latest = sample_profile_with("\"time_us\":5000000", "\"time_us\":10000000"), *less = sample_replace(latest, "[7,100,500000", "[7,100,899000");
	struct profile *third = sample_profile_parse(less, &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(third);
	site_rows_update(&rows, third, &nowhere, SITE_VIEW_TABLE, "");
	CU_ASSERT_TRUE(rows.rows[1].rate < 0);
	CU_ASSERT_DOUBLE_EQUAL(rows.rows[0].rate, 0, 1e-6);
	site_rows_free(&rows);
	profile_free(second);
	profile_free(third);
	free(later);
	free(text);
	free(latest);
	free(less);
}

static void as_a_tree(void)
{
	struct profile *profile = sample_profile_read();
	site_rows_update(&rows, profile, &nowhere, SITE_VIEW_DOWN, "");
	/* What holds most is open by itself. */
	UNIT_EQUAL(rows.count, 4);
	UNIT_STRING(name(0), "thing+0x101f");
	CU_ASSERT_TRUE(rows.rows[0].open && rows.rows[0].opens);
	UNIT_STRING(name(2), "libthing.so+0x122");
	UNIT_EQUAL(rows.rows[2].depth, 2);
	CU_ASSERT_FALSE(rows.rows[2].opens);
	CU_ASSERT_DOUBLE_EQUAL(rows.rows[1].sum.live_bytes, 410000, 0);
	/* Closed, and open again. */
	site_rows_turn(&rows, rows.rows[0].path);
	site_rows_update(&rows, profile, &nowhere, SITE_VIEW_DOWN, "");
	UNIT_EQUAL(rows.count, 2);
	UNIT_STRING(name(1), "thing+0xfff");
	site_rows_turn(&rows, rows.rows[0].path);
	site_rows_update(&rows, profile, &nowhere, SITE_VIEW_DOWN, "");
	UNIT_EQUAL(rows.count, 4);
	/* The other way round it is closed. */
	site_rows_update(&rows, profile, &nowhere, SITE_VIEW_UP, "");
	UNIT_EQUAL(rows.count, 2);
	UNIT_STRING(name(0), "libthing.so+0x122");
	site_rows_turn(&rows, rows.rows[0].path);
	site_rows_update(&rows, profile, &nowhere, SITE_VIEW_UP, "");
	UNIT_STRING(name(1), "thing+0x100f");
	site_rows_free(&rows);
	profile_free(profile);
}

UNIT_MAIN("site_rows", UNIT(filters), UNIT(as_a_table), UNIT(rates), UNIT(as_a_tree))
