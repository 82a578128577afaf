#include "viewer/options.h"

#include <stdarg.h>

#include "tests/unit/unit.h"

static struct options options;
static struct problem problem;

/* Parses words, the last of them NULL. */
static bool parse(const char *first, ...)
{
	static char storage[1024], *words[32];
	int count = 0;
	size_t used = 0;
	va_list args;
	va_start(args, first);
	problem.text[0] = '\0';
	for (const char *word = "hakmem-top"; word != NULL; word = count == 1 ? first : va_arg(args, const char *)) {
		words[count++] = strcpy(storage + used, word);
		used += strlen(word) + 1;
	}
	va_end(args);
	words[count] = NULL;
	return options_parse(&options, count, words, &problem);
}

static void nothing_means_choose(void)
{
	CU_ASSERT_TRUE(parse(NULL));
	UNIT_EQUAL(options.action, ACTION_WATCH);
	CU_ASSERT_PTR_NULL(options.target);
	CU_ASSERT_PTR_NULL(options.command);
	CU_ASSERT_FALSE(options.batch);
}

static void options_in_any_order(void)
{
	CU_ASSERT_TRUE(parse("4711", "-b", "-n3", "-d", "0.25", "--readonly", NULL));
	UNIT_STRING(options.target, "4711");
	CU_ASSERT_TRUE(options.batch && options.readonly);
	UNIT_EQUAL(options.frames, 3);
	UNIT_EQUAL(options.interval_ms, 250);
	CU_ASSERT_TRUE(parse("--once", "file.json", NULL));
	CU_ASSERT_TRUE(options.batch);
	UNIT_EQUAL(options.frames, 1);
	CU_ASSERT_TRUE(parse("-n", "2", NULL));
	CU_ASSERT_TRUE(options.batch);
	CU_ASSERT_TRUE(parse("--json", NULL));
	CU_ASSERT_TRUE(options.batch && options.json);
	CU_ASSERT_TRUE(parse("--dump=x.json", "7", NULL));
	UNIT_STRING(options.dump, "x.json");
	CU_ASSERT_TRUE(parse("--chrome-trace=e.json", "7", NULL));
	UNIT_STRING(options.chrome, "e.json");
	CU_ASSERT_TRUE(options.batch);
	CU_ASSERT_TRUE(parse("--metrics", NULL));
	CU_ASSERT_TRUE(options.metrics && options.batch);
}

static void diff_anywhere(void)
{
	CU_ASSERT_TRUE(parse("--diff", "a", "b", "--json", NULL));
	UNIT_STRING(options.diff, "a");
	UNIT_STRING(options.target, "b");
	CU_ASSERT_TRUE(parse("--diff", "--json", "a", "b", NULL));
	UNIT_STRING(options.diff, "a");
	UNIT_STRING(options.target, "b");
	CU_ASSERT_TRUE(options.json);
	CU_ASSERT_TRUE(parse("--diff", "--fail-if-growth", "1K", "a", "--json", "b", NULL));
	UNIT_STRING(options.diff, "a");
	UNIT_STRING(options.target, "b");
	CU_ASSERT_TRUE(options.json && options.growth == 1024);
	CU_ASSERT_TRUE(parse("--diff=-a", "b", NULL));
	UNIT_STRING(options.diff, "-a");
	CU_ASSERT_FALSE(parse("--diff", "--json", NULL));
	UNIT_STRING(problem.text, "--diff: what with what? hakmem-top --diff BEFORE AFTER");
	CU_ASSERT_FALSE(parse("--diff", "--json", "a", NULL));
	UNIT_STRING(problem.text, "--diff a: with what? hakmem-top --diff BEFORE AFTER");
}

static void a_command_keeps_its_own_options(void)
{
	CU_ASSERT_TRUE(parse("-b", "-o", "out", "--", "ls", "-n", "--json", "--", "x", NULL));
	UNIT_STRING(options.command[0], "ls");
	UNIT_STRING(options.command[1], "-n");
	UNIT_STRING(options.command[3], "--");
	UNIT_STRING(options.command[4], "x");
	CU_ASSERT_PTR_NULL(options.command[5]);
	UNIT_STRING(options.output, "out");
	CU_ASSERT_FALSE(options.json);
	UNIT_EQUAL(options.frames, 0);
}

static void actions(void)
{
	CU_ASSERT_TRUE(parse("--list", NULL));
	UNIT_EQUAL(options.action, ACTION_LIST);
	CU_ASSERT_TRUE(parse("-h", NULL));
	UNIT_EQUAL(options.action, ACTION_HELP);
	CU_ASSERT_TRUE(parse("--version", NULL));
	UNIT_EQUAL(options.action, ACTION_VERSION);
	CU_ASSERT_TRUE(parse("--help-env", NULL));
	UNIT_EQUAL(options.action, ACTION_HELP_ENV);
	CU_ASSERT_TRUE(parse("--help-env=md", NULL));
	UNIT_EQUAL(options.action, ACTION_HELP_ENV_MD);
}

static void profiles(void)
{
	CU_ASSERT_TRUE(parse("--report=leaks", "--suppressions=known", "--fail-if-leaks=2M", "--binaries=a:b", "--debug-dir=c", "--json", "7", NULL));
	UNIT_EQUAL(options.report, REPORT_LEAKS);
	UNIT_STRING(options.suppressions, "known");
	CU_ASSERT_TRUE(options.limits_leaks);
	UNIT_EQUAL(options.leaks, 2 << 20);
	UNIT_STRING(options.binaries, "a:b");
	UNIT_STRING(options.debug_dir, "c");
	CU_ASSERT_TRUE(parse("--report", "pinned", "7", NULL));
	UNIT_EQUAL(options.report, REPORT_PINNED);
	CU_ASSERT_TRUE(parse("--pprof=a", "--collapsed=b", "--flamegraph=c", "--heap-v2=d", "--value=pinned", "7", NULL));
	UNIT_STRING(options.pprof, "a");
	UNIT_STRING(options.heap_v2, "d");
	UNIT_EQUAL(options.value, SITE_VALUE_pinned);
	CU_ASSERT_TRUE(parse("--report=heap", "7", NULL));
	UNIT_EQUAL(options.report, REPORT_HEAP);
}

static void mistakes_are_named(void)
{
	static const char *const cases[][5] = {
		/* what is said, then the words */
		{"--frobnicate", "--frobnicate"},
		{"-x", "-x"},
		{"-n 0", "-n", "0"},
		{"-n 2x", "-n2x"},
		{"-n 99999999999999999999", "-n", "99999999999999999999"},
		{"-d 0", "-d", "0"},
		{"-d nan", "-d", "nan"},
		{"-d soon", "-d", "soon"},
		{"-n needs a value", "-n"},
		{"missing after --", "--"},
		{"html", "--help-env=html"},
		{"two: one process", "one", "two"},
		{"4711 and a command", "4711", "--", "ls"},
		{"-o is for", "-o", "x"},
		{"--library is for", "--library=x", "1"},
		{"HAKMEM_DUMP_ON=exit", "--dump=x", "--", "ls"},
		{"HAKMEM_TRACE_FILE=FILE", "--chrome-trace=x", "--", "ls"},
		{"--chrome-trace goes with", "--chrome-trace=x", "--json", "7"},
		{"--metrics goes with", "--metrics", "--report=heap", "7"},
		{"--metrics goes with", "--metrics", "--chrome-trace=x", "7"},
		{"heap, guard, sites, pinned and leaks", "--report=stacks", "7"},
		{"--report=heap is text", "--report=heap", "--json", "7"},
		{"--report=guard is text", "--report=guard", "--json", "7"},
		{"--report needs", "--report=leaks"},
		{"are for --report=leaks", "--report=sites", "--suppressions=x", "7"},
		{"are for --report=leaks", "--fail-if-leaks=1K", "7"},
		{"--value=size", "--value=size", "--collapsed=x", "7"},
		{"--value is for", "--value=blocks", "7"},
		{"a profile of what?", "--pprof=x"},
		{"go together", "--pprof=x", "--report=sites", "7"},
		{"go together", "--heap-v2=x", "--json", "7"},
		{"--fail-if-leaks 1X", "--report=leaks", "--fail-if-leaks=1X", "7"},
		{"--metrics PID", "--metrics", "--", "ls"},
		{"--readonly forbids", "--chrome-trace=x", "--readonly", "7"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_FALSE(parse(cases[i][1], cases[i][2], cases[i][3], cases[i][4], NULL));
		if (strstr(problem.text, cases[i][0]) == NULL)
			fprintf(stderr, "\n    \"%s\" doesn't say %s\n", problem.text, cases[i][0]);
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, cases[i][0]));
	}
}

static void help_names_every_option(void)
{
	static const char *const names[] = {"--batch", "--frames", "--delay", "--once", "--json", "--output",
		"--library", "--list",
		"--dump", "--metrics", "--chrome-trace", "--readonly", "--help-env", "--help", "--version"};
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	options_help(stream);
	fclose(stream);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(text, names[i]));
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
		CU_ASSERT_TRUE(strlen(line) <= 100);
	free(text);
}

UNIT_MAIN("options", UNIT(nothing_means_choose), UNIT(options_in_any_order), UNIT(diff_anywhere), UNIT(a_command_keeps_its_own_options),
	UNIT(actions), UNIT(profiles),
	UNIT(mistakes_are_named), UNIT(help_names_every_option))
