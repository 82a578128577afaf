#include "viewer/keys.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static void keys_are_found(void)
{
	UNIT_EQUAL(keys_find('q', KEY_ALWAYS), ACT_QUIT);
	UNIT_EQUAL(keys_find(KEYS_F0 + 10, KEY_ALWAYS), ACT_QUIT);
	UNIT_EQUAL(keys_find(KEYS_F0 + 1, KEY_ALWAYS), ACT_HELP);
	UNIT_EQUAL(keys_find('?', KEY_ALWAYS), ACT_HELP);
	UNIT_EQUAL(keys_find(KEYS_TAB, KEY_ALWAYS), ACT_NEXT_PANEL);
	UNIT_EQUAL(keys_find('1', KEY_ALWAYS), ACT_PANEL);
	UNIT_EQUAL(keys_find('9', KEY_ALWAYS), ACT_PANEL);
	UNIT_EQUAL(keys_find('0', KEY_ALWAYS), ACT_PANEL);
	UNIT_EQUAL(keys_find('-', KEY_ALWAYS), ACT_NONE);
	UNIT_EQUAL(keys_find(KEYS_NO_CODE, KEY_ALWAYS), ACT_NONE);
	UNIT_EQUAL(keys_find(0, KEY_ALWAYS), ACT_NONE);
	UNIT_EQUAL(keys_find('\\', KEY_FILTERS), ACT_FILTER);
}

static void the_situation_decides(void)
{
	UNIT_EQUAL(keys_find('>', KEY_ALWAYS), ACT_NONE);
	UNIT_EQUAL(keys_find('>', KEY_SORTS), ACT_NEXT_SORT);
	UNIT_EQUAL(keys_find(' ', KEY_RUNS | KEY_SORTS), ACT_PAUSE);
	UNIT_EQUAL(keys_find(' ', KEY_PAUSED), ACT_RESUME);
	UNIT_EQUAL(keys_find(' ', KEY_ALWAYS), ACT_NONE);
}

/* Every name has a code of its own, and every row can be reached in the situation that it asks for. */
static void every_row_can_be_reached(void)
{
	for (size_t i = 0; i < key_row_count; i++) {
		const char *keys = key_rows[i].keys;
		char name[KEYS_NAME_MAX];
		bool reached = false;
		int first, last, count = 0;
		for (; keys_next(&keys, name, &first, &last); count++) {
			CU_ASSERT_TRUE(first > 0 && last >= first);
			/* A word that isn't in the table of names would be taken for its first letter. */
			if (strlen(name) > 1 && first < 0x7f && first > ' ' && !(strlen(name) == 3 && name[1] == '-'))
				fprintf(stderr, "    %s is the name of no key\n", name);
			CU_ASSERT_TRUE(strlen(name) == 1 || first <= ' ' || first > 0x7f || name[1] == '-');
			reached |= first == KEYS_NO_CODE || keys_find(first, key_rows[i].situation) == key_rows[i].act;
		}
		if (!reached)
			fprintf(stderr, "    %s is hidden by rows above it\n", key_rows[i].keys);
		CU_ASSERT_TRUE(count > 0 && reached);
		CU_ASSERT_TRUE(i > 0 || *key_rows[i].help != '\0');
		CU_ASSERT_TRUE((*key_rows[i].label == '\0') == (key_rows[i].rank == 0));
		CU_ASSERT_TRUE(strlen(key_rows[i].label) < KEYS_NAME_MAX - 1);
	}
}

static void help_lines_join_rows(void)
{
	char names[64];
	int lines = 0;
	for (size_t i = 0; i < key_row_count; i++) {
		bool line = keys_help(i, names, sizeof(names));
		lines += line;
		CU_ASSERT_EQUAL(line, *key_rows[i].help != '\0');
		if (key_rows[i].act == ACT_UP)
			UNIT_STRING(names, "Up Down k j");
		if (key_rows[i].act == ACT_PAUSE)
			UNIT_STRING(names, "Space Z z");
		if (key_rows[i].act == ACT_NEXT_SORT)
			UNIT_STRING(names, "F6 < > , .");
	}
	CU_ASSERT_TRUE(lines > 8);
}

/* The bar as text. */
static const char *bar(int width, unsigned situation)
{
	static char text[256];
	struct key_button buttons[KEYS_BUTTONS_MAX];
	size_t count = keys_bar(width, situation, buttons), length = 0;
	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		UNIT_EQUAL((size_t)buttons[i].x, length);
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", buttons[i].key, buttons[i].label);
		UNIT_EQUAL((size_t)(buttons[i].x + buttons[i].width), length);
	}
	return text;
}

static void the_bar_fits(void)
{
	const unsigned all = KEY_RUNS | KEY_SORTS | KEY_MODES | KEY_COLUMNS;
	CU_ASSERT_PTR_NOT_NULL(strstr(bar(200, all), "F1Help  "));
	CU_ASSERT_PTR_NOT_NULL(strstr(bar(200, all), "SpcPause "));
	CU_ASSERT_PTR_NOT_NULL(strstr(bar(200, all), "F6Sort  "));
	CU_ASSERT_PTR_NOT_NULL(strstr(bar(200, KEY_PAUSED), "SpcGo on "));
	CU_ASSERT_PTR_NULL(strstr(bar(200, KEY_PAUSED), "F6Sort"));
	for (int width = 0; width < 200; width++)
		CU_ASSERT_TRUE((int)strlen(bar(width, all)) <= width);
	/* What is left on a narrow terminal. */
	UNIT_STRING(bar(17, all), "F1Help F10Quit ");
	UNIT_STRING(bar(7, all), "F1Help ");
	UNIT_STRING(bar(3, all), "");
}

UNIT_MAIN("keys", UNIT(keys_are_found), UNIT(the_situation_decides), UNIT(every_row_can_be_reached),
	UNIT(help_lines_join_rows), UNIT(the_bar_fits))
