#include "viewer/site_report.h"

#include "tests/unit/sample_profile.h"

static const struct binaries_where nowhere = {.folders = NULL};

/* What a report on `source` says. To be freed. */
static char *say(enum report kind, struct profile_source *source, const char *known, bool json)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	struct symbols *symbols = symbols_open(source->profile, &nowhere);
	struct site_report report = {.kind = kind, .source = source, .symbols = symbols};
	if (known != NULL) {
		report.suppressions.patterns[0] = (char *)known;
		report.suppressions.count = 1;
	}
	if (out == NULL || symbols == NULL || !site_report_make(&report))
		abort();
	if (json)
		site_report_json(out, &report);
	else
		site_report_text(out, &report);
	fclose(out);
	site_report_free(&report);
	symbols_close(symbols);
	return text;
}

static struct profile_source source;

static void start(void)
{
	source = (struct profile_source){.profile = sample_profile_read(), .exe = "/usr/bin/thing", .pid = 4711, .uptime_us = 72000000};
}

static void shows(const char *text, const char *wanted)
{
	if (strstr(text, wanted) == NULL)
		fprintf(stderr, "\n    no \"%s\" in:\n%s", wanted, text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, wanted));
}

static void call_sites(void)
{
	start();
	char *text = say(REPORT_SITES, &source, NULL, false);
	shows(text, "Program    /usr/bin/thing, process 4711, up 1:12\n");
	shows(text, "Profile    a sample every 64.0K on average; stacks by libunwind\n");
	shows(text, "Samples    40, 3 of them live; 2 lost, as their table was full; 1 without a stack, as the table of stacks was full; "
		"stacks that could not be had: 2 no_frames\n");
	shows(text, "  1.  400K +- 338K in 14 blocks, 3.7s old on average; 488K +- 1000B allocated, 20% temporary; pins 290K\n"
		"      freed after: <1ms 58%, <10ms 19%, longer 23%\n      libthing.so+0x122\n      thing+0x100f\n      thing+0x101f\n");
	shows(text, "  2.  24B in 1 block, 100ms old; 0B allocated\n      thing+0xfff\n");
	shows(text, "  3.  0B in 0 blocks; 1000B +- 20B allocated\n      freed after: <10ms 100%\n      (no stack)\n");
	shows(text, "Files without symbols here (--binaries=FOLDER says where they are):\n  /usr/bin/thing: ");
	free(text);
	/* Switched off, what was sampled before is still told of, and no rate. */
	source.profile->on = false;
	source.profile->rate = 0;
	text = say(REPORT_SITES, &source, NULL, false);
	shows(text, "Profile    switched off; stacks by libunwind\n");
	free(text);
	profile_free(source.profile);
}

/* A stack that is as deep as is kept may go on; a shorter one doesn't. */
static void cut_stacks(void)
{
	for (unsigned depth = 127; depth <= 128; depth++) {
		struct problem problem = {""};
		char *deep = sample_profile_deep(depth);
		start();
		profile_free(source.profile);
		source.profile = sample_profile_parse(deep, &problem);
		CU_ASSERT_PTR_NOT_NULL_FATAL(source.profile);
		char *text = say(REPORT_LEAKS, &source, NULL, false);
		if (depth == 128)
			shows(text, "      thing+0x100f\n      (cut: 128 frames are kept)\n\n  2.  ");
		else
			CU_ASSERT_PTR_NULL(strstr(text, "cut: "));
		free(text);
		profile_free(source.profile);
		free(deep);
	}
}

static void pinned(void)
{
	start();
	char *text = say(REPORT_PINNED, &source, NULL, false);
	shows(text, "  1.  711K of slots with 400K +- 338K of live data in 14 blocks, 3.7s old on average; pinned 290K +- 275K, held by caches 20.0K\n");
	CU_ASSERT_PTR_NULL(strstr(text, "  2.  "));
	free(text);
	profile_free(source.profile);
}

static void leaks(void)
{
	start();
	char *text = say(REPORT_LEAKS, &source, NULL, false);
	shows(text, "Live       400K +- 338K in 15 blocks\n");
	shows(text, "  1.  400K +- 338K in 14 blocks, 3.7s old on average; 86% of what it allocates is freed\n");
	shows(text, "that only grow");
	CU_ASSERT_PTR_NULL(strstr(text, "  3.  "));
	free(text);
	/* Those that the user knows of are counted, and no more. */
	text = say(REPORT_LEAKS, &source, "libthing", false);
	shows(text, "Live       24B in 1 block\nSuppressed 400K +- 338K, of 1 call sites\n");
	CU_ASSERT_PTR_NULL(strstr(text, "libthing.so+0x"));
	free(text);
	profile_free(source.profile);
}

static void as_json(void)
{
	start();
	char *text = say(REPORT_SITES, &source, NULL, true);
	cJSON *document = cJSON_Parse(text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(document);
	const cJSON *site = cJSON_GetArrayItem(cJSON_GetObjectItem(document, "sites"), 0);
	CU_ASSERT_DOUBLE_EQUAL(cJSON_GetObjectItem(site, "live_bytes")->valuedouble, 410000, 0);
	CU_ASSERT_DOUBLE_EQUAL(cJSON_GetObjectItem(site, "pinned_bytes")->valuedouble, 296960, 0);
	UNIT_EQUAL(cJSON_GetArraySize(cJSON_GetObjectItem(site, "frames")), 3);
	const cJSON *frame = cJSON_GetArrayItem(cJSON_GetObjectItem(site, "frames"), 0);
	CU_ASSERT_TRUE(cJSON_IsNull(cJSON_GetObjectItem(frame, "function")));
	UNIT_STRING(cJSON_GetObjectItem(frame, "offset")->valuestring, "0x122");
	cJSON_Delete(document);
	free(text);
	profile_free(source.profile);
}

UNIT_MAIN("site_report", UNIT(call_sites), UNIT(cut_stacks), UNIT(pinned), UNIT(leaks), UNIT(as_json))
