#include "settings.h"

const char *const hak_on_error_words[] = {"auto", "report", "abort", "exit:", NULL};
const char *const hak_guard_words[] = {"off", "sample", "full", NULL};
const char *const hak_fill_words[] = {"both", "alloc", "free", "none", NULL};

struct hak_settings hak_settings = {
#define HAK_ENV_VALUE(field, name, type, value, text, minimum, maximum, words, help) .field = (value),
/* NOLINTNEXTLINE(bugprone-macro-parentheses): an array takes a string without only */
#define HAK_ENV_STRING(field, name, text, help) .field = text,
#include "env.def"
#undef HAK_ENV_VALUE
#undef HAK_ENV_STRING
};

const struct hak_env_row hak_settings_rows[] = {
#define HAK_ENV_VALUE(field, name, type, value, text, minimum, maximum, words, help) \
	{"HAKMEM_" #name, HAK_ENV_##type, &hak_settings.field, text, minimum, maximum, words, help},
#define HAK_ENV_STRING(field, name, text, help) \
	{"HAKMEM_" #name, HAK_ENV_TEXT, hak_settings.field, text, 0, 0, NULL, help},
#include "env.def"
#undef HAK_ENV_VALUE
#undef HAK_ENV_STRING
};
const size_t hak_settings_count = HAK_COUNT_OF(hak_settings_rows);

void hak_settings_read(void)
{
	hak_env_parse(hak_settings_rows, hak_settings_count, hak_env_at_start());
}
