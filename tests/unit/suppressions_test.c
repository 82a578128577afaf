#include "viewer/suppressions.h"

#include "tests/unit/folder.h"
#include "tests/unit/unit.h"

static struct profile_module module = {.path = (char *)"/usr/lib/libthing.so.1"};
static const struct symbol inner = {.function = "thing_make", .file = "/src/thing/make.c", .module = &module};
static const struct symbol outer = {.function = NULL, .module = NULL};
static const struct symbol *const lines[] = {&inner, &outer};

/* The pattern of a file with this text that fits; "" for none. */
static const char *match(const char *text, struct problem *problem)
{
	static char found[64];
	struct suppressions suppressions;
	make_folder();
	FILE *file = fopen(below("known"), "w");
	if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0)
		abort();
	bool read = suppressions_read(&suppressions, below("known"), problem);
	const char *pattern = read ? suppressions_match(&suppressions, lines, 2) : NULL;
	snprintf(found, sizeof(found), "%s", pattern != NULL ? pattern : "");
	suppressions_free(&suppressions);
	unlink(below("known"));
	rmdir(folder);
	return found;
}

static void patterns(void)
{
	static const char *const fit[] = {"thing_make", "ing_ma", "^thing", "make$", "^thing_make$", "libthing.so", "make.c", "^/usr/lib/*.so*",
		"t*g*e$", "*", "/thing/*.c"};
	static const char *const other[] = {"^make", "thing$", "thingmake", "^thing_mak$", "x*", "thing?make", "Thing", "^ing", "make.c$x"};
	char line[64];
	for (size_t i = 0; i < sizeof(fit) / sizeof(fit[0]); i++) {
		struct problem problem = {""};
		snprintf(line, sizeof(line), "leak:%s\n", fit[i]);
		UNIT_STRING(match(line, &problem), fit[i]);
		UNIT_STRING(problem.text, "");
	}
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		struct problem problem = {""};
		snprintf(line, sizeof(line), "leak:%s\n", other[i]);
		UNIT_STRING(match(line, &problem), "");
		UNIT_STRING(problem.text, "");
	}
}

static void files(void)
{
	struct problem problem = {""};
	UNIT_STRING(match("", &problem), "");
	UNIT_STRING(match("# a comment\r\n\n  leak:nothing\r\nrace:thing\nleak:_make", &problem), "_make");
	UNIT_STRING(problem.text, "");
	UNIT_STRING(match("leak:x\nthing_make\n", &problem), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "line 2 is not leak:PATTERN"));
	UNIT_STRING(match("leak:\n", &problem), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "line 1 is not"));
	struct suppressions suppressions;
	CU_ASSERT_FALSE(suppressions_read(&suppressions, "/no/such/file", &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "/no/such/file"));
}

/* A pattern with many stars against a long name ends soon. */
static void hostile_patterns(void)
{
	static char name[16001];
	struct problem problem = {""};
	memset(name, 'a', sizeof(name) - 1);
	const struct symbol slow = {.function = name};
	const struct symbol *const one[] = {&slow};
	char text[] = "leak:^a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b\n";
	char *pattern = text + 5;
	pattern[strcspn(pattern, "\n")] = '\0';
	struct suppressions suppressions = {.text = NULL, .patterns = {pattern}, .count = 1};
	CU_ASSERT_PTR_NULL(suppressions_match(&suppressions, one, 1));
	UNIT_STRING(problem.text, "");
}

UNIT_MAIN("suppressions", UNIT(patterns), UNIT(files), UNIT(hostile_patterns))
