/* The table of settings: each default text means the default value, and each variable is read. */
#include "introspect/config.h"

#include "lib/trace.h"
#include "tests/unit/unit.h"

static void defaults_mean_what_they_say(void)
{
	UNIT_EQUAL(hak_config_count, 16);
	for (size_t i = 0; i < hak_config_count; i++) {
		const struct hak_env_row *row = &hak_config_rows[i];
		CU_ASSERT_TRUE(strncmp(row->name, "HAKMEM_", 7) == 0);
		CU_ASSERT_TRUE(strlen(row->help) > 10);
		if (row->type == HAK_ENV_TEXT) {
			UNIT_STRING((const char *)row->value, row->default_text);
			continue;
		}
		uint64_t before = *(uint64_t *)row->value;
		if (row->type == HAK_ENV_WORDS) {
			/* The viewer prints the help without the words at hand, so the help names them all. */
			for (unsigned word = 0; row->words[word]; word++)
				CU_ASSERT_PTR_NOT_NULL(strstr(row->help, row->words[word]));
		}
		CU_ASSERT_TRUE(hak_env_assign(row, row->default_text));
		UNIT_EQUAL(*(uint64_t *)row->value, before);
	}
}

static void variables_are_read(void)
{
	char *environment[] = {"HAKMEM_INTROSPECT=1", "HAKMEM_DIR=/x", "HAKMEM_TRACE=lru,drain",
		"HAKMEM_TRACE_BYTES=1M", "HAKMEM_DUMP_ON=exit", "HAKMEM_DUMP_PATH=y", NULL};
	hak_config_read(NULL);
	UNIT_EQUAL(hak_config.introspect, 0);
	hak_config_read(environment);
	UNIT_EQUAL(hak_config.introspect, 1);
	UNIT_STRING(hak_config.dir, "/x");
	UNIT_EQUAL(hak_config.trace, HAK_GROUP_LRU | HAK_GROUP_DRAIN);
	UNIT_EQUAL(hak_config.trace_bytes, 1 << 20);
	UNIT_EQUAL(hak_config.dump_on, HAK_DUMP_ON_EXIT);
	UNIT_STRING(hak_config.dump_path, "y");
}

static void read_bad_values(void *argument)
{
	char *environment[] = {"HAKMEM_INTROSPECT=2", "HAKMEM_TRACE=lru,nonsense", "HAKMEM_TRACE_BYTES=1K",
		"HAKMEM_DUMP_ON=sometimes", NULL};
	(void)argument;
	hak_config_read(environment);
	if (hak_config.introspect || hak_config.trace || hak_config.dump_on || hak_config.trace_bytes != 16 << 20)
		_exit(1);
}

/* A child, so that the values of this process stay as they are; it runs first. */
static void bad_values_keep_the_default(void)
{
	char seen[2048];
	UNIT_EQUAL(unit_in_child(read_bad_values, NULL, seen, sizeof(seen)), 0);
	static const char *const names[] = {
		"HAKMEM_INTROSPECT", "HAKMEM_TRACE", "HAKMEM_TRACE_BYTES", "HAKMEM_DUMP_ON"};
	unsigned lines = 0;
	for (const char *at = seen; (at = strchr(at, '\n')); at++)
		lines++;
	UNIT_EQUAL(lines, HAK_COUNT_OF(names));
	for (size_t i = 0; i < HAK_COUNT_OF(names); i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(seen, names[i]));
}

static void other_variables(void)
{
	char *environment[] = {"XDG=short", "XDG_RUNTIME_DIR=/run/user/1", "EMPTY=", "XDG_RUNTIME_DIR=/second", NULL};
	UNIT_STRING(hak_config_variable(environment, "XDG_RUNTIME_DIR"), "/run/user/1");
	UNIT_STRING(hak_config_variable(environment, "EMPTY"), "");
	CU_ASSERT_PTR_NULL(hak_config_variable(environment, "XDG_RUNTIME"));
	CU_ASSERT_PTR_NULL(hak_config_variable(NULL, "XDG"));
}

UNIT_MAIN("config", UNIT(bad_values_keep_the_default), UNIT(defaults_mean_what_they_say), UNIT(variables_are_read),
	UNIT(other_variables))
