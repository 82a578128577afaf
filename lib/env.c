#include "env.h"

#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "fmt.h"
#include "log.h"

/* Set by ld.so (or by a static program's start code) before anything else runs: the address of argc on the initial
 * stack. */
extern void *__libc_stack_end; /* NOLINT(bugprone-reserved-identifier): libc's name */

char *const *hak_env_at_start(void)
{
	if (environ)
		return environ;
	if (!__libc_stack_end)
		return NULL;

	/* The kernel lays out argc, argv[0..argc-1], NULL, then the environment. */
	long *stack = __libc_stack_end;
	long argc = stack[0];

	return (char *const *)(stack + 1 + argc + 1);
}

static bool parse_digits(const char **text, uint64_t *value)
{
	const char *p = *text;
	uint64_t sum = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(sum, 10u, &sum) || __builtin_add_overflow(sum, (uint64_t)(*p - '0'), &sum))
			return false;
	}
	*text = p;
	*value = sum;
	return true;
}

static bool parse_suffix(const char **text, uint64_t *value)
{
	static const char suffixes[] = "KMGT";
	/* Clearing the bit makes a letter upper case; it would also make a space the string's end. */
	const char *found = **text > ' ' ? strchr(suffixes, **text & ~0x20) : NULL;

	if (!found)
		return true;
	for (const char *s = suffixes; s <= found; s++) {
		if (__builtin_mul_overflow(*value, 1024u, value))
			return false;
	}
	(*text)++;
	return true;
}

static bool parse_number(const struct hak_env_row *row, const char *text, uint64_t *value)
{
	return parse_digits(&text, value) && (row->type != HAK_ENV_BYTES || parse_suffix(&text, value)) &&
		*text == '\0' && *value >= row->minimum && *value <= row->maximum;
}

static bool takes_number(const char *word)
{
	return word[0] && word[strlen(word) - 1] == ':';
}

static bool parse_word(const struct hak_env_row *row, const char *text, uint64_t *value)
{
	uint64_t number;

	for (uint64_t i = 0; row->words[i]; i++) {
		const char *word = row->words[i], *rest = text + strlen(word);

		if (strcmp(word, text) == 0 && !takes_number(word)) {
			*value = i;
			return true;
		}
		if (takes_number(word) && strncmp(word, text, strlen(word)) == 0 && parse_number(row, rest, &number)) {
			*value = HAK_ENV_WITH_NUMBER(i, number);
			return true;
		}
	}
	return false;
}

static bool parse_words(const struct hak_env_row *row, const char *text, uint64_t *mask)
{
	uint64_t bits = 0;

	while (*text) {
		size_t length = strcspn(text, ",");
		uint64_t found = 0;

		for (unsigned i = 0; row->words[i]; i++) {
			bool all = length == 3 && strncmp(text, "all", 3) == 0;

			if (all || (strlen(row->words[i]) == length && strncmp(text, row->words[i], length) == 0))
				found |= 1ull << i;
		}
		if (!found)
			return false;
		bits |= found;
		text += length;
		if (*text == ',' && *++text == '\0')
			return false;
	}
	*mask = bits;
	return true;
}

bool hak_env_assign(const struct hak_env_row *row, const char *text)
{
	uint64_t value;

	switch (row->type) {
	case HAK_ENV_TEXT:
		if (strlen(text) >= HAK_ENV_TEXT_MAX)
			return false;
		memcpy(row->value, text, strlen(text) + 1);
		return true;
	case HAK_ENV_WORD:
		if (!parse_word(row, text, &value))
			return false;
		break;
	case HAK_ENV_WORDS:
		if (!parse_words(row, text, &value))
			return false;
		break;
	default:
		if (!parse_number(row, text, &value))
			return false;
	}
	*(uint64_t *)row->value = value;
	return true;
}

void hak_env_format_range(struct hak_fmt *fmt, const struct hak_env_row *row)
{
	static const char units[] = "TGMK";

	if (row->type == HAK_ENV_TEXT) {
		hak_fmt_text(fmt, "at most ");
		hak_fmt_unsigned(fmt, HAK_ENV_TEXT_MAX - 1);
		hak_fmt_text(fmt, " bytes");
		return;
	}
	if (row->type == HAK_ENV_WORD || row->type == HAK_ENV_WORDS) {
		if (row->type == HAK_ENV_WORDS)
			hak_fmt_text(fmt, "all");
		for (unsigned i = 0; row->words[i]; i++) {
			hak_fmt_text(fmt, i || row->type == HAK_ENV_WORDS ? ", " : "");
			hak_fmt_text(fmt, row->words[i]);
			if (row->type == HAK_ENV_WORD && takes_number(row->words[i])) {
				hak_fmt_unsigned(fmt, row->minimum);
				hak_fmt_text(fmt, " to ");
				hak_fmt_unsigned(fmt, row->maximum);
			}
		}
		return;
	}
	for (int bound = 0; bound < 2; bound++) {
		uint64_t value = bound ? row->maximum : row->minimum;
		unsigned unit = 0;

		if (bound)
			hak_fmt_text(fmt, row->type == HAK_ENV_BOOL ? " or " : " to ");
		while (units[unit] && (value == 0 || value % (1ull << (40 - 10 * unit)) != 0))
			unit++;
		if (row->type == HAK_ENV_BYTES && units[unit]) {
			hak_fmt_unsigned(fmt, value >> (40 - 10 * unit));
			hak_fmt_char(fmt, units[unit]);
		} else {
			hak_fmt_unsigned(fmt, value);
		}
	}
}

static void complain(const struct hak_env_row *row, const char *text)
{
	char line[512];
	struct hak_fmt fmt;

	hak_fmt_begin(&fmt, line, sizeof(line));
	hak_fmt_text(&fmt, "hakmem: ");
	hak_fmt_text(&fmt, row->name);
	hak_fmt_char(&fmt, '=');
	for (unsigned i = 0; i < 64 && text[i]; i++)
		hak_fmt_char(&fmt, (char)(text[i] >= ' ' && text[i] < 127 ? text[i] : '?'));
	hak_fmt_text(&fmt, " is not valid (");
	hak_env_format_range(&fmt, row);
	hak_fmt_text(&fmt, "); using the default ");
	hak_fmt_text(&fmt, row->default_text[0] ? row->default_text : "(none)");
	hak_log_line(line);
}

void hak_env_parse(const struct hak_env_row *rows, size_t count, char *const *environment)
{
	if (!environment || getauxval(AT_SECURE))
		return;
	for (; *environment; environment++) {
		const char *entry = *environment;

		if (strncmp(entry, "HAKMEM_", 7) != 0)
			continue;
		for (size_t i = 0; i < count; i++) {
			size_t length = strlen(rows[i].name);

			if (strncmp(entry, rows[i].name, length) == 0 && entry[length] == '=' &&
				!hak_env_assign(&rows[i], entry + length + 1))
				complain(&rows[i], entry + length + 1);
		}
	}
}
