#include "viewer/preferences.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/folder.h"
#include "tests/unit/unit.h"

static struct preferences preferences;

static bool read_text(const char *text, struct problem *problem)
{
	preferences_init(&preferences);
	return preferences_read(&preferences, text, problem);
}

static void settings_are_read(void)
{
	CU_ASSERT_TRUE(read_text("", NULL));
	UNIT_EQUAL(preferences.panel + 1, 0);
	CU_ASSERT_TRUE(read_text("# a comment\n\n panel=slotmap\r\ndelay = 0.25\n\tcolours =  none \ncells = age\n"
		"sort.classes = Slack reversed\nsort.threads = Name", NULL));
	UNIT_EQUAL(preferences.panel, PANEL_slotmap);
	UNIT_EQUAL(preferences.interval_ms, 250);
	UNIT_EQUAL(preferences.colours, 0);
	UNIT_EQUAL(preferences.cells, SLOT_AGE);
	UNIT_STRING(panel_classes.column_name(preferences.sort[PANEL_classes]), "Slack");
	CU_ASSERT_TRUE(preferences.reversed[PANEL_classes]);
	UNIT_STRING(panel_threads.column_name(preferences.sort[PANEL_threads]), "Name");
	CU_ASSERT_FALSE(preferences.reversed[PANEL_threads]);
}

/* The first bad line is named, with what would be right; the others count all the same. */
static void bad_lines_are_named(void)
{
	static const struct {
		const char *line, *said;
	} cases[] = {
		{"panel = nowhere", "no panel \"nowhere\""}, {"delay = 0", "0.01 to 3600"}, {"delay = 1s", "0.01 to 3600"},
		{"delay = nan", "0.01 to 3600"}, {"colours = 42", "all, 16, 8 or none"}, {"cells = red", "class+fill"},
		{"sort.classes = Weight", "no column \"Weight\""}, {"sort.classes = Live backwards", "reversed"},
		{"sort.overview = Live", "can be sorted"}, {"sort.x = Live", "can be sorted"}, {"volume = 11", "volume"},
		{"panel", "name = value"}, {"= 5", "\"\" is not known"}, {"panel = \033[31m", "?[31m"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128];
		struct problem problem = {""};
		snprintf(text, sizeof(text), "cells = fill\n%s\npanel = events\nmore nonsense\n", cases[i].line);
		CU_ASSERT_FALSE(read_text(text, &problem));
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "line 2: "));
		if (strstr(problem.text, cases[i].said) == NULL)
			fprintf(stderr, "    %s: \"%s\"\n", cases[i].line, problem.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, cases[i].said));
		UNIT_EQUAL(preferences.panel, PANEL_events);
		UNIT_EQUAL(preferences.cells, SLOT_FILL);
	}
}

static void other_lines_stay(void)
{
	const char *old = "# mine\npanel = slotmap\nfuture = thing\n\ndelay = soon\ncells=age\n";
	read_text(old, NULL);
	preferences.panel = PANEL_events;
	preferences.interval_ms = 2000;
	preferences.sort[PANEL_classes] = 3;
	char *text = preferences_write(&preferences, old);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	UNIT_STRING(text, "# mine\npanel = events\nfuture = thing\n\ndelay = soon\ncells = age\ndelay = 2\nsort.classes = Slack\n");
	read_text(text, NULL);
	UNIT_EQUAL(preferences.panel, PANEL_events);
	UNIT_EQUAL(preferences.interval_ms, 2000);
	UNIT_EQUAL(preferences.cells, SLOT_AGE);
	UNIT_EQUAL(preferences.sort[PANEL_classes], 3);
	/* Written again it stays as it is. */
	char *again = preferences_write(&preferences, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	UNIT_STRING(again, text);
	free(again);
	free(text);
}

static void the_file(void)
{
	struct problem problem = {""};
	char path[PATH_MAX];
	make_folder();
	setenv("XDG_CONFIG_HOME", folder, 1);
	CU_ASSERT_TRUE(preferences_path(path));
	preferences_init(&preferences);
	CU_ASSERT_TRUE(preferences_load(&preferences, &problem)); /* there is none yet */
	preferences.panel = PANEL_lru;
	CU_ASSERT_TRUE(preferences_save(&preferences, &problem));
	CU_ASSERT_TRUE(preferences_save(&preferences, &problem));
	preferences_init(&preferences);
	CU_ASSERT_TRUE(preferences_load(&preferences, &problem));
	UNIT_EQUAL(preferences.panel, PANEL_lru);
	FILE *file = fopen(path, "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs("nonsense\n", file);
	fclose(file);
	CU_ASSERT_FALSE(preferences_load(&preferences, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "top.conf, line 3: "));
	CU_ASSERT_TRUE(preferences_save(&preferences, &problem));
	CU_ASSERT_FALSE(preferences_load(&preferences, &problem)); /* … and it is still there */
	/* What is no text, or no file, is neither read nor written over. */
	file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fwrite("a\0b", 1, 3, file);
	fclose(file);
	CU_ASSERT_FALSE(preferences_save(&preferences, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "isn't text"));
	unlink(path);
	mkdir(path, 0700);
	CU_ASSERT_FALSE(preferences_load(&preferences, &problem));
	CU_ASSERT_FALSE(preferences_save(&preferences, &problem));
	rmdir(path);
	rmdir(below("hakmem"));
	rmdir(folder);
	unsetenv("XDG_CONFIG_HOME");
	setenv("HOME", "/some/where", 1);
	CU_ASSERT_TRUE(preferences_path(path));
	UNIT_STRING(path, "/some/where/.config/hakmem/top.conf");
	unsetenv("HOME");
	CU_ASSERT_FALSE(preferences_path(path));
	CU_ASSERT_FALSE(preferences_save(&preferences, &problem));
}

UNIT_MAIN("preferences", UNIT(settings_are_read), UNIT(bad_lines_are_named), UNIT(other_lines_stay), UNIT(the_file))
