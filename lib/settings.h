/* settings.h: the allocator's settings, one field for each row of env.def. */
#ifndef HAK_SETTINGS_H
#define HAK_SETTINGS_H

#include "env.h"

/* HAKMEM_ON_ERROR: what follows the report of a program's mistake (report.h). From ABORT on it ends the process after any
 * mistake. The value of EXIT has the exit status behind it (HAK_ENV_NUMBER_BEHIND). */
enum hak_on_error { HAK_ON_ERROR_AUTO, HAK_ON_ERROR_REPORT, HAK_ON_ERROR_ABORT, HAK_ON_ERROR_EXIT };
extern HAK_HIDDEN const char *const hak_on_error_words[];

/* HAKMEM_GUARD (guard.h) and HAKMEM_FILL. */
enum hak_guard_level { HAK_GUARD_OFF, HAK_GUARD_SAMPLE, HAK_GUARD_FULL };
extern HAK_HIDDEN const char *const hak_guard_words[];
enum hak_fill { HAK_FILL_BOTH, HAK_FILL_ALLOC, HAK_FILL_FREE, HAK_FILL_NONE };
extern HAK_HIDDEN const char *const hak_fill_words[];

struct hak_settings {
#define HAK_ENV_VALUE(field, name, type, value, text, minimum, maximum, words, help) uint64_t field;
#define HAK_ENV_STRING(field, name, text, help) char field[HAK_ENV_TEXT_MAX];
#include "env.def"
#undef HAK_ENV_VALUE
#undef HAK_ENV_STRING
};

/* Written by hak_settings_read before a second thread exists, constant afterwards, but for those that inspect.h can
 * change: they are read with relaxed loads. */
extern HAK_HIDDEN struct hak_settings hak_settings;

/* The table as rows, for the parser and the tests. */
extern HAK_HIDDEN const struct hak_env_row hak_settings_rows[];
extern HAK_HIDDEN const size_t hak_settings_count;

/* Reads them from the environment at the process's start. */
void hak_settings_read(void);

#endif
