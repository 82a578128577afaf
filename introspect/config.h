/* config.h: introspect's settings, one field for each row of its env.def. */
#ifndef HAK_CONFIG_H
#define HAK_CONFIG_H

#include "lib/env.h"

/* Bits of HAKMEM_DUMP_ON. */
enum hak_dump_on {
	HAK_DUMP_ON_EXIT = 1,
	HAK_DUMP_ON_ABORT = 2,
	HAK_DUMP_ON_CRASH = 4,
	HAK_DUMP_ON_OOM = 8,
	HAK_DUMP_ON_SIGNAL = 16,
};

struct hak_config {
#define HAK_ENV_VALUE(field, name, type, value, text, minimum, maximum, words, help) uint64_t field;
#define HAK_ENV_STRING(field, name, text, help) char field[HAK_ENV_TEXT_MAX];
#include "introspect/env.def"
#undef HAK_ENV_VALUE
#undef HAK_ENV_STRING
};

/* Written by hak_config_read before a second thread exists, constant afterwards. */
extern struct hak_config hak_config;

/* The words of HAKMEM_DUMP_ON, NULL at the end; word i is bit i. */
extern const char *const hak_dump_on_words[];

/* The words of HAKMEM_DUMP_SIGNAL likewise, and the signals that they name. */
extern const char *const hak_dump_signal_words[];
extern const uint8_t hak_dump_signals[];

/* The table as rows, for the parser and the tests. */
extern const struct hak_env_row hak_config_rows[];
extern const size_t hak_config_count;

/* Reads the settings from `environment` (as in environ(7), may be NULL). */
void hak_config_read(char *const *environment);

/* The value of variable `name` in `environment`, NULL if it is not set. For variables that are not HAKMEM's. Pure. */
const char *hak_config_variable(char *const *environment, const char *name);

#endif
