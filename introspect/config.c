#include "introspect/config.h"

#include <string.h>

#include "lib/trace.h"

const char *const hak_dump_on_words[] = {"exit", NULL};

struct hak_config hak_config = {
#define HAK_ENV_VALUE(field, name, type, value, text, minimum, maximum, words, help) .field = (value),
#define HAK_ENV_STRING(field, name, text, help) .field = text,
#include "introspect/env.def"
#undef HAK_ENV_VALUE
#undef HAK_ENV_STRING
};

const struct hak_env_row hak_config_rows[] = {
#define HAK_ENV_VALUE(field, name, type, value, text, minimum, maximum, words, help) \
	{"HAKMEM_" #name, HAK_ENV_##type, &hak_config.field, text, minimum, maximum, words, help},
#define HAK_ENV_STRING(field, name, text, help) \
	{"HAKMEM_" #name, HAK_ENV_TEXT, hak_config.field, text, 0, 0, NULL, help},
#include "introspect/env.def"
#undef HAK_ENV_VALUE
#undef HAK_ENV_STRING
};
const size_t hak_config_count = HAK_COUNT_OF(hak_config_rows);

void hak_config_read(char *const *environment)
{
	hak_env_parse(hak_config_rows, hak_config_count, environment);
}

const char *hak_config_variable(char *const *environment, const char *name)
{
	size_t length = strlen(name);

	for (; environment && *environment; environment++) {
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return *environment + length + 1;
	}
	return NULL;
}
