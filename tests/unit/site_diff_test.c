#include "viewer/site_diff.h"

#include "tests/unit/sample_profile.h"

static const struct binaries_where nowhere = {.folders = NULL};

/* The sample against another text of it. */
static void make(struct site_diff *diff, const char *other)
{
	struct problem problem = {""};
	struct profile_source sources[2] = {{.profile = sample_profile_read()}, {.profile = sample_profile_parse(other, &problem)}};
	UNIT_STRING(problem.text, "");
	CU_ASSERT_TRUE_FATAL(sources[1].profile != NULL && site_diff_make(diff, sources, &nowhere));
}

static void nothing_changed(void)
{
	struct site_diff diff = {.rows = NULL};
	make(&diff, sample_profile);
	UNIT_EQUAL(diff.count, 0);
	site_diff_free(&diff);
}

/* In another process the files lie elsewhere and stacks have other numbers. */
static void elsewhere(void)
{
	struct site_diff diff = {.rows = NULL};
	char *one = sample_profile_with("[7,[\"0x500123\",\"0x401010\",\"0x401020\"]]", "[8,[\"0x900123\",\"0x401010\",\"0x401020\"]]");
	char *two = sample_replace(one, "\"base\":\"0x500000\",\"end\":\"0x510000\"", "\"base\":\"0x900000\",\"end\":\"0x910000\"");
	char *three = sample_replace(two, "1000,26,7,", "3000,26,8,"), *four = sample_replace(three, "100000,null,7,", "100000,null,8,");
	make(&diff, four);
	UNIT_EQUAL(diff.count, 1);
	CU_ASSERT_TRUE(diff.rows[0].was && diff.rows[0].is);
	CU_ASSERT_DOUBLE_EQUAL(site_change_growth(&diff.rows[0]), 20000, 0);
	CU_ASSERT_TRUE(site_change_error(&diff.rows[0]) > 300000);
	site_diff_free(&diff);
	free(one);
	free(two);
	free(three);
	free(four);
}

static void growth_first(void)
{
	struct site_diff diff = {.rows = NULL};
	char *text = NULL, *json = NULL;
	size_t length;
	/* What stack 9 held is gone, stack 7 has more, and there is a new one. */
	char *one = sample_profile_with("\"0x7f0000000080\",24,1,9,5,100,1", "\"0x7f0000000080\",5000,1,11,5,100,1");
	char *two = sample_replace(one, "2000,10,2,64,4", "2000,20,2,64,4"), *three = sample_replace(two, "[3,[]]", "[3,[]],[11,[\"0x402000\"]]");
	make(&diff, three);
	UNIT_EQUAL(diff.count, 3);
	CU_ASSERT_DOUBLE_EQUAL(site_change_growth(&diff.rows[0]), 10000, 0);
	CU_ASSERT_FALSE(diff.rows[1].was);
	CU_ASSERT_DOUBLE_EQUAL(site_change_growth(&diff.rows[2]), -24, 0);
	FILE *out = open_memstream(&text, &length);
	site_diff_text(out, &diff);
	fclose(out);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Call sites, by growth of live bytes (without the youngest tenth): 3 changed\n"
		"  +9.77K +- 479K: 400K to 410K; pinned +290K +- 629K\n      libthing.so+0x122\n      thing+0x100f\n      thing+0x101f\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "  +4.88K: 0B to 4.88K, new\n      thing+0x1fff\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "  -24B: 24B to 0B, gone\n      thing+0xfff\n"));
	out = open_memstream(&json, &length);
	fputs("{\"a\":1", out);
	site_diff_json(out, &diff);
	fputs("}", out);
	fclose(out);
	cJSON *document = cJSON_Parse(json);
	const cJSON *rows = cJSON_GetObjectItem(document, "sites");
	UNIT_EQUAL(cJSON_GetArraySize(rows), 3);
	CU_ASSERT_DOUBLE_EQUAL(cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 2), "live_bytes"), "growth")->valuedouble, -24, 0);
	cJSON_Delete(document);
	site_diff_free(&diff);
	free(one);
	free(two);
	free(three);
	free(text);
	free(json);
}

UNIT_MAIN("site_diff", UNIT(nothing_changed), UNIT(elsewhere), UNIT(growth_first))
