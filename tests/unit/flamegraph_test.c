#include "viewer/flamegraph.h"

#include "tests/unit/sample_profile.h"

/* What is drawn of the sample, were its rate that; to be freed. */
static char *picture_at(uint64_t rate, enum site_value value, bool empty)
{
	static const struct binaries_where nowhere = {.folders = NULL};
	struct profile_source source = {.profile = sample_profile_read(), .exe = "/bin/<\"&>"};
	struct symbols *symbols = symbols_open(source.profile, &nowhere);
	struct sites_filter filter = SITES_NO_FILTER;
	struct sites sites;
	struct calltree tree;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	if (out == NULL || symbols == NULL || !sites_make(&sites, source.profile, &filter))
		abort();
	sites.count = empty ? 0 : sites.count;
	if (!calltree_make(&tree, &sites, symbols, false))
		abort();
	source.profile->rate = rate;
	flamegraph_write(out, &source, &tree, value);
	fclose(out);
	calltree_free(&tree);
	sites_free(&sites);
	symbols_close(symbols);
	profile_free(source.profile);
	return text;
}

static char *picture(enum site_value value, bool empty)
{
	return picture_at(65536, value, empty);
}

static unsigned count_of(const char *text, const char *wanted)
{
	unsigned count = 0;
	for (; (text = strstr(text, wanted)) != NULL; text++)
		count++;
	return count;
}

static void boxes(void)
{
	char *text = picture(SITE_VALUE_live, false);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "&lt;&quot;&amp;&gt;: live bytes by call stack, 400K</text>"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "<g data-x=\"0.000000000\" data-w=\"1.000000000\" data-d=\"0\"><title>all: 400K, 100.00%"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "data-d=\"3\"><title>libthing.so+0x122: 400K, 99.99%"));
	/* One block of 24 bytes is narrower than what can be seen. */
	UNIT_EQUAL(count_of(text, "<g data-x="), 4);
	UNIT_EQUAL(count_of(text, "</g>"), 4);
	CU_ASSERT_PTR_NULL(strstr(text, "http://www.w3.org/1999/xlink"));
	free(text);
	text = picture(SITE_VALUE_blocks, false);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "live blocks by call stack, 15</text>"));
	UNIT_EQUAL(count_of(text, "<g data-x="), 5);
	/* The wider one comes first. */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "<g data-x=\"0.933333333\" data-w=\"0.066666667\" data-d=\"1\"><title>thing+0xfff: 1, 6.67%"));
	free(text);
}

static void nothing(void)
{
	char *text = picture(SITE_VALUE_live, true);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "nothing to show"));
	UNIT_EQUAL(count_of(text, "<g data-x="), 0);
	CU_ASSERT_PTR_NULL(strstr(text, "nan"));
	free(text);
}

static void rates(void)
{
	char *text = picture_at(65536, SITE_VALUE_live, false);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "; a sample every 64.0K on average; a click"));
	free(text);
	text = picture_at(1, SITE_VALUE_live, false);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "; every block; a click"));
	free(text);
	text = picture_at(0, SITE_VALUE_live, true);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "nothing to show; switched off</text>"));
	free(text);
}

UNIT_MAIN("flamegraph", UNIT(boxes), UNIT(nothing), UNIT(rates))
