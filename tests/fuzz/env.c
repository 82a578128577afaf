/* The parser of HAKMEM_* variables, against a second reader of the same rules that was written from the comments in
 * lib/env.h: both must take and refuse the same texts, and read the same values. The input's first byte chooses the
 * variable, the others are its text. */
#include <string.h>

#include "introspect/config.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "lib/settings.h"
#include "tests/fuzz/fuzz.h"

static bool read_number(const struct hak_env_row *row, const char *text, uint64_t *value)
{
	static const char suffixes[] = "kmgtKMGT";
	size_t digits = strspn(text, "0123456789");
	const char *suffix = strchr(suffixes, text[digits]);
	unsigned __int128 sum = 0;

	for (size_t i = 0; i < digits && sum <= UINT64_MAX; i++)
		sum = sum * 10 + (unsigned)(text[i] - '0');
	if (digits == 0 || sum > UINT64_MAX)
		return false;
	if (row->type == HAK_ENV_BYTES && text[digits] != '\0' && suffix) {
		sum <<= 10 * ((suffix - suffixes) % 4 + 1);
		digits++;
	}
	*value = (uint64_t)sum;
	return text[digits] == '\0' && sum >= row->minimum && sum <= row->maximum;
}

/* One of the words; behind one that ends in a colon a number follows, which stands above the word's own in the value. */
static bool read_word(const struct hak_env_row *row, const char *text, uint64_t *value)
{
	uint64_t number = 0;

	for (unsigned i = 0; row->words[i]; i++) {
		size_t length = strlen(row->words[i]);
		bool open = length > 0 && row->words[i][length - 1] == ':';

		if (strncmp(text, row->words[i], length) != 0 || (open ? !read_number(row, text + length, &number) : text[length] != '\0'))
			continue;
		*value = i + (open ? number * 256 : 0);
		return true;
	}
	return false;
}

/* Each word must be followed by a comma and another word, or by the end; no text at all is no word. */
static bool read_words(const struct hak_env_row *row, const char *text, uint64_t *value)
{
	char copy[4096];
	bool more = *text != '\0';

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	*value = 0;
	for (char *word = copy; more;) {
		char *comma = strchr(word, ',');
		bool known = false;

		more = comma != NULL;
		if (comma)
			*comma = '\0';
		for (unsigned i = 0; row->words[i]; i++) {
			if (strcmp(word, "all") == 0 || strcmp(word, row->words[i]) == 0) {
				*value |= UINT64_C(1) << i;
				known = true;
			}
		}
		if (!known)
			return false;
		word = more ? comma + 1 : word;
	}
	return true;
}

static void check_value(const struct hak_env_row *row, const char *text)
{
	char before[HAK_ENV_TEXT_MAX];
	uint64_t want = 0, now;
	bool text_type = row->type == HAK_ENV_TEXT;
	size_t bytes = text_type ? sizeof(before) : sizeof(now);

	memcpy(before, row->value, bytes);
	bool valid = text_type ? strlen(text) < HAK_ENV_TEXT_MAX
		: row->type == HAK_ENV_WORDS ? read_words(row, text, &want)
		: row->type == HAK_ENV_WORD  ? read_word(row, text, &want)
					     : read_number(row, text, &want);
	FUZZ_CHECK(hak_env_assign(row, text) == valid);
	if (!valid) {
		FUZZ_CHECK(memcmp(before, row->value, bytes) == 0);
	} else if (text_type) {
		FUZZ_CHECK(strcmp(row->value, text) == 0);
	} else {
		memcpy(&now, row->value, sizeof(now));
		FUZZ_CHECK(now == want);
	}
}

/* The same by way of a whole environment, complaints included. */
static void check_environment(const struct hak_env_row *rows, size_t count, const struct hak_env_row *row, const char *text)
{
	char *entry = malloc(strlen(row->name) + strlen(text) + 2);
	char *environment[] = {(char[]){"HAKMEM_"}, entry, (char[]){"HAKMEM_SS_LRU"}, NULL};
	char range[512];
	struct hak_fmt fmt;

	FUZZ_CHECK(entry != NULL);
	sprintf(entry, "%s=%s", row->name, text);
	hak_env_parse(rows, count, environment);
	free(entry);
	hak_fmt_begin(&fmt, range, sizeof(range));
	hak_env_format_range(&fmt, row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 2048)
		return 0;
	/* Complaints are formatted and written, but nobody wants to read them. */
	hak_log_set_path("/dev/null");
	char *text = malloc(size);
	FUZZ_CHECK(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	size_t number = data[0] % (hak_settings_count + hak_config_count);
	bool settings = number < hak_settings_count;
	const struct hak_env_row *rows = settings ? hak_settings_rows : hak_config_rows;
	const struct hak_env_row *row = &rows[settings ? number : number - hak_settings_count];
	check_value(row, text);
	check_environment(rows, settings ? hak_settings_count : hak_config_count, row, text);
	free(text);
	return 0;
}
