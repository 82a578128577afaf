/* The allocator's table of variables: each default text must say what the program really gets. */
#include "lib/settings.h"

#include "tests/unit/unit.h"

static void default_texts_tell_the_values(void)
{
	struct hak_settings before = hak_settings;
	UNIT_EQUAL(hak_settings_count, 22);
	for (size_t i = 0; i < hak_settings_count; i++) {
		const struct hak_env_row *row = &hak_settings_rows[i];
		CU_ASSERT_TRUE(hak_env_assign(row, row->default_text));
		if (memcmp(&before, &hak_settings, sizeof(before)) != 0)
			fprintf(stderr, "\n    the default of %s is not %s\n", row->name, row->default_text);
		CU_ASSERT_TRUE_FATAL(memcmp(&before, &hak_settings, sizeof(before)) == 0);
	}
}

static void names_and_helps(void)
{
	for (size_t i = 0; i < hak_settings_count; i++) {
		const struct hak_env_row *row = &hak_settings_rows[i];
		CU_ASSERT_TRUE(strncmp(row->name, "HAKMEM_", 7) == 0);
		CU_ASSERT_TRUE(strlen(row->help) > 10);
		for (size_t j = 0; j < i; j++)
			CU_ASSERT_TRUE(strcmp(row->name, hak_settings_rows[j].name) != 0);
	}
}

static void read_in_child(void *ignored)
{
	(void)ignored;
	setenv("HAKMEM_SS_FREE_LIST", "17", 1);
	setenv("HAKMEM_LOG_FILE", "/dev/null", 1);
	hak_settings_read();
	_exit(hak_settings.ss_free_list == 17 && strcmp(hak_settings.log_file, "/dev/null") == 0 ? 0 : 1);
}

static void read_from_the_environment(void)
{
	char said[256];
	UNIT_EQUAL(unit_in_child(read_in_child, NULL, said, sizeof(said)), 0);
	UNIT_STRING(said, "");
}

UNIT_MAIN("settings", UNIT(default_texts_tell_the_values), UNIT(names_and_helps), UNIT(read_from_the_environment))
