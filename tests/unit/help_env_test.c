#include "viewer/help_env.h"

#include "tests/unit/unit.h"

static char *written_by(void (*write)(FILE *))
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	write(stream);
	fclose(stream);
	return text;
}

/* Every row of the tables is there; the names come from the tables themselves. */
static void every_variable_is_named(void)
{
	static const char *const names[] = {
#define HAK_ENV_VALUE(field, name, ...) "HAKMEM_" #name,
#define HAK_ENV_STRING(field, name, ...) "HAKMEM_" #name,
#include "lib/env.def"
#include "introspect/env.def"
#undef HAK_ENV_VALUE
#undef HAK_ENV_STRING
	};
	char *plain = written_by(help_env_text), *markdown = written_by(help_env_markdown);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char cell[80];
		snprintf(cell, sizeof(cell), "| `%s` |", names[i]);
		CU_ASSERT_PTR_NOT_NULL(strstr(plain, names[i]));
		CU_ASSERT_PTR_NOT_NULL(strstr(markdown, cell));
	}
	free(plain);
	free(markdown);
}

static void lines_are_readable(void)
{
	char *plain = written_by(help_env_text);
	CU_ASSERT_PTR_NOT_NULL(strstr(plain, "HAKMEM_CACHE_BYTES=bytes, 64K to 1G (default: 2M)"));
	for (char *line = strtok(plain, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		CU_ASSERT_TRUE(strlen(line) <= 80);
		CU_ASSERT_TRUE(line[strlen(line) - 1] != ' ');
	}
	free(plain);
}

static void a_table_row(void)
{
	char *markdown = written_by(help_env_markdown);
	CU_ASSERT_PTR_NOT_NULL(strstr(markdown,
		"| `HAKMEM_SS_LRU` | number | 0 \xe2\x80\xa6 4096 | `64` | SuperSlabs kept in the LRU cache; fewer where address space is limited (ulimit -v) |\n"));
	free(markdown);
}

/* env.md, word for word. The source's folder comes from the test's environment. */
static void env_md_is_what_is_generated(void)
{
	const char *source = getenv("HAK_SOURCE");
	char path[4096];
	snprintf(path, sizeof(path), "%s/env.md", source != NULL ? source : ".");
	FILE *file = fopen(path, "r");
	if (file == NULL)
		fprintf(stderr, "\n    %s can't be read; HAK_SOURCE names the folder it lies in\n", path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	static char stored[1 << 18];
	size_t length = fread(stored, 1, sizeof(stored) - 1, file);
	stored[length] = '\0';
	fclose(file);
	char *markdown = written_by(help_env_markdown);
	if (strcmp(stored, markdown) != 0)
		fprintf(stderr, "\n    env.md is out of date: hakmem-top --help-env=md > env.md\n");
	CU_ASSERT_STRING_EQUAL(stored, markdown);
	free(markdown);
}

UNIT_MAIN("help_env", UNIT(every_variable_is_named), UNIT(lines_are_readable), UNIT(a_table_row),
	UNIT(env_md_is_what_is_generated))
