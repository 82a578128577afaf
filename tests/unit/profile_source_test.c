#include "viewer/profile_source.h"

#include "tests/unit/folder.h"
#include "tests/unit/sample_profile.h"

/* Opens a file with this text. */
static bool open_text(struct profile_source *source, const char *text, struct problem *problem)
{
	FILE *file = fopen(below("file"), "w");
	if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0)
		abort();
	bool good = profile_source_open(source, below("file"), problem);
	unlink(below("file"));
	return good;
}

static void files(void)
{
	struct profile_source source;
	struct problem problem = {""};
	char *dump = NULL;
	make_folder();
	/* An answer that was kept, and a dump. */
	CU_ASSERT_TRUE(open_text(&source, sample_profile, &problem));
	UNIT_STRING(problem.text, "");
	UNIT_EQUAL(source.profile->samples, 40);
	UNIT_STRING(source.exe, "");
	profile_source_close(&source);
	if (asprintf(&dump, "{\"type\":\"dump\",\"reason\":\"exit\",\"uptime_us\":5,\"process\":{\"pid\":4711,\"exe\":\"/bin/\\u001bx\"},\"profile\":%s}",
			sample_profile) < 0)
		abort();
	CU_ASSERT_TRUE(open_text(&source, dump, &problem));
	UNIT_STRING(source.reason, "exit");
	UNIT_STRING(source.exe, "/bin/?x");
	UNIT_EQUAL(source.pid, 4711);
	UNIT_EQUAL(source.uptime_us, 5);
	profile_source_close(&source);
	free(dump);
	rmdir(folder);
}

static void what_is_none(void)
{
	static const char *const cases[][2] = {
		{"{\"type\":\"snapshot\"}", "it holds no profile"},
		{"{\"type\":\"profile\"}", "profile.rate"},
		{"{\"type\":", "not JSON, or cut off"},
		{"\x89HAKREC\n", "ends in its first bytes"},
		{"7", "it holds no profile"},
	};
	struct profile_source source;
	make_folder();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct problem problem = {""};
		CU_ASSERT_FALSE(open_text(&source, cases[i][0], &problem));
		if (strstr(problem.text, cases[i][1]) == NULL || strstr(problem.text, folder) == NULL)
			fprintf(stderr, "\n    case %zu: %s\n", i, problem.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, cases[i][1]));
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, folder));
		profile_source_close(&source);
	}
	rmdir(folder);
	struct problem problem = {""};
	CU_ASSERT_FALSE(profile_source_open(&source, "/no/such/file", &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "/no/such/file"));
}

UNIT_MAIN("profile_source", UNIT(files), UNIT(what_is_none))
