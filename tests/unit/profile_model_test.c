#include "viewer/profile_model.h"

#include "tests/unit/sample_profile.h"

static void every_field_is_read(void)
{
	struct profile *profile = sample_profile_read();
	UNIT_EQUAL(profile->rate, 65536);
	UNIT_EQUAL(profile->samples, 40);
	UNIT_EQUAL(profile->lost_samples, 2);
	UNIT_EQUAL(profile->lost_stacks, 1);
	CU_ASSERT_TRUE(profile->on);
	UNIT_STRING(profile->engine, "libunwind");
	UNIT_EQUAL(profile->failure_count, 1); /* one that never happened is no news */
	UNIT_STRING(profile->failures[0].kind, "no_frames");
	UNIT_EQUAL(profile->lifetime_count, 4);
	UNIT_EQUAL(profile->lifetime_bounds_ms[2], 100);
	UNIT_EQUAL(profile->stack_count, 4);
	UNIT_EQUAL(profile->stacks[1].id, 7);
	UNIT_EQUAL(profile->stacks[1].depth, 3);
	UNIT_EQUAL(profile->stacks[1].frames[0], 0x500123);
	UNIT_EQUAL(profile->sites[0].stack, 1);
	CU_ASSERT_TRUE(profile->sites[0].free_bytes == 90000.5);
	CU_ASSERT_TRUE(profile->sites[0].lifetimes[3] == 20);
	UNIT_EQUAL(profile->block_count, 3);
	UNIT_EQUAL(profile->blocks[0].address, 0x7f0000000040);
	UNIT_EQUAL(profile->blocks[0].class, 26);
	UNIT_EQUAL(profile->blocks[0].block_bytes, 1024);
	CU_ASSERT_TRUE(profile->blocks[1].class == PROFILE_NO_CLASS);
	UNIT_EQUAL(profile->blocks[1].tid, 6);
	UNIT_EQUAL(profile->blocks[2].stack, 2);
	profile_free(profile);
}

static void modules_by_address(void)
{
	struct profile *profile = sample_profile_read();
	UNIT_EQUAL(profile->module_count, 2);
	UNIT_STRING(profile->modules[0].path, "/usr/bin/thing");
	UNIT_EQUAL(profile->modules[0].build_id_bytes, 0); /* it was none */
	UNIT_EQUAL(profile->modules[1].build_id_bytes, 3);
	UNIT_EQUAL(profile->modules[1].build_id[1], 0xff);
	CU_ASSERT_PTR_NULL(profile_module_of(profile, 0x3fffff));
	CU_ASSERT_PTR_EQUAL(profile_module_of(profile, 0x400000), &profile->modules[0]);
	CU_ASSERT_PTR_EQUAL(profile_module_of(profile, 0x40ffff), &profile->modules[0]);
	CU_ASSERT_PTR_NULL(profile_module_of(profile, 0x410000));
	CU_ASSERT_PTR_EQUAL(profile_module_of(profile, 0x500000), &profile->modules[1]);
	UNIT_STRING(profile_module_name(&profile->modules[1]), "libthing.so");
	profile_free(profile);
}

/* A dump has it as a member, and the modules beside it. */
static void of_a_dump(void)
{
	char *message = sample_profile_with(",\"modules\":[{\"path\":\"/usr/lib/libthing.so\",\"base\":\"0x500000\",\"end\":\"0x510000\","
		"\"build_id\":\"00ffa1\"},{\"path\":\"/usr/bin/thing\",\"base\":\"0x400000\",\"end\":\"0x410000\",\"build_id\":\"xyz\"}]", "");
	char *dump = NULL;
	struct problem problem = {""};
	if (asprintf(&dump, "{\"type\":\"dump\",\"profile\":%s,\"modules\":[{\"path\":\"a\",\"base\":\"0x1000\",\"end\":\"0x2000\",\"offset\":256}]}",
			message) < 0)
		abort();
	struct profile *profile = sample_profile_parse(dump, &problem);
	UNIT_STRING(problem.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(profile);
	UNIT_EQUAL(profile->module_count, 1);
	UNIT_EQUAL(profile->modules[0].base, 0x1000 - 256);
	profile_free(profile);
	CU_ASSERT_PTR_NULL(sample_profile_parse("{\"type\":\"dump\"}", &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "HAKMEM_PROF=1 starts it with the program, the request set prof_rate=524288 while it runs"));
	free(message);
	free(dump);
}

/* A column that an older target doesn't send is worked out. */
static void without_block_bytes(void)
{
	char *text = sample_profile_with(",\"block_bytes\"", "");
	struct problem problem = {""};
	struct profile *profile = sample_profile_parse(text, &problem);
	UNIT_STRING(problem.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(profile);
	UNIT_EQUAL(profile->blocks[0].block_bytes, 1024);
	UNIT_EQUAL(profile->blocks[1].block_bytes, 0);
	profile_free(profile);
	free(text);
}

/* A stack that is counted but not told of has a place all the same. */
static void unknown_stack(void)
{
	char *text = sample_profile_with("[3,10,1000,", "[12345,10,1000,");
	struct problem problem = {""};
	struct profile *profile = sample_profile_parse(text, &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(profile);
	UNIT_EQUAL(profile->sites[1].stack, 3);
	UNIT_EQUAL(profile->stacks[3].depth, 0);
	profile_free(profile);
	free(text);
}

static void what_is_wrong_is_named(void)
{
	static const struct {
		const char *from, *to, *says;
	} cases[] = {
		{"\"rate\":65536", "\"rate\":-1", "profile.rate"},
		{"\"samples\":40", "\"samples\":\"40\"", "profile.samples"},
		{"\"lost_samples\":2", "\"lost_samples\":2.5", "profile.lost_samples"},
		{"\"never\":0", "\"never\":null", "profile.unwind_failures"},
		{"[1,10,100]", "[1,10,\"x\"]", "profile.lifetime_bounds_ms"},
		{"[1,10,100]", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]", "profile.lifetime_bounds_ms has 16 rows"},
		{"\"stack\",\"allocs\"", "\"stack\",\"allocation\"", "profile.site_fields has no column allocs"},
		{"\"site_fields\":[", "\"site_fields\":[1],\"x\":[", "profile.site_fields has no column stack"},
		{"[50,16,0,20]", "[50,16,0]", "row 0 of profile.sites"},
		{"[50,16,0,20]", "[50,16,0,20,1]", "row 0 of profile.sites"},
		{"[3,10,1000,", "[3,-10,1000,", "row 1 of profile.sites"},
		{"[3,10,1000,", "[3,1e300,1000,", "row 1 of profile.sites"},
		{"\"0x7f0000000040\"", "\"7f0000000040\"", "row 0 of profile.live"},
		{"\"0x7f0000000040\"", "\"0x\"", "row 0 of profile.live"},
		{"1000,26,7", "1000,255,7", "row 0 of profile.live"},
		{"2000,10,2", "2000,0.5,2", "row 0 of profile.live"},
		{"2000,10,2", "2000,1e13,2", "row 0 of profile.live"},
		{"2000,10,2", "2000,10,-2", "row 0 of profile.live"},
		{",65536,1024]", "]", "row 0 of profile.live"},
		{"[9,[\"0x401000\"]]", "[9,[4198400]]", "row 0 of profile.frames"},
		{"[9,[\"0x401000\"]]", "[9]", "row 0 of profile.frames"},
		{"[9,[\"0x401000\"]]", "9", "row 0 of profile.frames"},
		{"[3,[]]", "[9,[]]", "stack 9 twice"},
		{"\"end\":\"0x510000\"", "\"end\":\"0x4fffff\"", "row 0 of modules"},
		{"\"path\":\"/usr/lib/libthing.so\"", "\"path\":7", "row 0 of modules"},
		{"\"base\":\"0x500000\"", "\"base\":\"0x5\",\"offset\":6", "row 0 of modules"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = sample_profile_with(cases[i].from, cases[i].to);
		struct problem problem = {""};
		struct profile *profile = sample_profile_parse(text, &problem);
		if (profile != NULL || strstr(problem.text, cases[i].says) == NULL)
			fprintf(stderr, "\n    %s: \"%s\"\n", cases[i].to, problem.text);
		CU_ASSERT_PTR_NULL(profile);
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, cases[i].says));
		profile_free(profile);
		free(text);
	}
}

UNIT_MAIN("profile_model", UNIT(every_field_is_read), UNIT(modules_by_address), UNIT(of_a_dump), UNIT(without_block_bytes), UNIT(unknown_stack),
	UNIT(what_is_wrong_is_named))
