/* env.h: the one parser of HAKMEM_* variables.
 *
 * A layer declares its variables in a table (lib/env.def, introspect/env.def), expands it into rows
 * (see settings.c), and hands the rows to hak_env_parse once. From a row come the parser, the range check,
 * `hakmem-top --help-env` and the line in env.md. */
#ifndef HAK_ENV_H
#define HAK_ENV_H

#include "base.h"

#define HAK_ENV_TEXT_MAX 256 /* longest string value, with its terminating zero */

/* What a variable holds; it decides how the text is read. */
enum hak_env_type {
	HAK_ENV_BOOL,   /* 0 or 1 */
	HAK_ENV_NUMBER, /* decimal */
	HAK_ENV_BYTES,  /* decimal with an optional suffix K, M, G or T (powers of 1024) */
	HAK_ENV_MS,     /* decimal, milliseconds */
	HAK_ENV_TEXT,   /* a string of at most HAK_ENV_TEXT_MAX - 1 bytes */
	HAK_ENV_WORD,   /* one word of a fixed set; of one that ends in a colon, with a decimal number behind it */
	HAK_ENV_WORDS,  /* words separated by commas, of a fixed set; "all" is every one */
};

/* One variable. value points to a uint64_t, for HAK_ENV_TEXT to a char[HAK_ENV_TEXT_MAX]; it holds the default until
 * the parser changes it. minimum and maximum bound the numeric types, and the number behind a word. words is the
 * NULL-terminated set for HAK_ENV_WORD, whose value is the word's number from 0 on with the number behind it as
 * HAK_ENV_WITH_NUMBER has it, and for HAK_ENV_WORDS, where word i sets bit i. */
struct hak_env_row {
	const char *name;
	enum hak_env_type type;
	void *value;
	const char *default_text;
	uint64_t minimum;
	uint64_t maximum;
	const char *const *words;
	const char *help;
};

/* A word's number and the number behind the word, in one value. */
#define HAK_ENV_WITH_NUMBER(word, number) ((uint64_t)(word) | (uint64_t)(number) << 8)
#define HAK_ENV_NUMBER_BEHIND(value) ((value) >> 8)

/* Reads every variable of `rows` that `environment` (as in environ(7), may be NULL) sets. A value that can't be read or
 * is out of range leaves the default and prints one line on stderr that names the variable, the range and the default.
 * Allocates nothing, locks nothing. Call it once a table, before a second thread exists. In setuid programs (AT_SECURE)
 * it does nothing. */
void hak_env_parse(const struct hak_env_row *rows, size_t count, char *const *environment);

/* Reads one value into `row`. Returns false, changing nothing, if the text is not valid. Exposed for tests and for
 * control verbs; not thread-safe for the same row. */
bool hak_env_assign(const struct hak_env_row *row, const char *text);

/* Writes the values that `row` accepts as a reader would say them: "0 to 4096", "64M to 4T", "all, acquire, release".
 */
struct hak_fmt;
void hak_env_format_range(struct hak_fmt *fmt, const struct hak_env_row *row);

/* The process's environment as it was at exec, found without libc's help, because ld.so calls malloc before libc has
 * set environ. Returns NULL where it can't be found. */
char *const *hak_env_at_start(void);

#endif
