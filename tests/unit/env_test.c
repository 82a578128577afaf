/* The parser of HAKMEM_* variables: what it accepts, what it refuses, and what it says then. */
#include "lib/env.h"

#include "lib/fmt.h"
#include "tests/unit/unit.h"

static const char *const words[] = {"one", "two", "three", NULL};

static uint64_t flag, number, bytes, mask, choice;
static char text[HAK_ENV_TEXT_MAX];

static const struct hak_env_row rows[] = {
	{"HAKMEM_FLAG", HAK_ENV_BOOL, &flag, "0", 0, 1, NULL, "a flag"},
	{"HAKMEM_NUMBER", HAK_ENV_NUMBER, &number, "7", 5, 100, NULL, "a number"},
	{"HAKMEM_BYTES", HAK_ENV_BYTES, &bytes, "2M", 0, UINT64_MAX, NULL, "bytes"},
	{"HAKMEM_TEXT", HAK_ENV_TEXT, text, "", 0, 0, NULL, "text"},
	{"HAKMEM_WORDS", HAK_ENV_WORDS, &mask, "", 0, 0, words, "words"},
	{"HAKMEM_WORD", HAK_ENV_WORD, &choice, "one", 0, 0, words, "a word"},
};
enum { FLAG, NUMBER, BYTES, TEXT, WORDS, WORD, ROWS };

static bool refused(int row, const char *value)
{
	flag = number = bytes = mask = choice = 4242;
	return !hak_env_assign(&rows[row], value) && flag == 4242 && number == 4242 && bytes == 4242 && mask == 4242 &&
		choice == 4242;
}

static void numbers(void)
{
	CU_ASSERT_TRUE(hak_env_assign(&rows[NUMBER], "5"));
	UNIT_EQUAL(number, 5);
	CU_ASSERT_TRUE(hak_env_assign(&rows[NUMBER], "100"));
	UNIT_EQUAL(number, 100);
	static const char *const bad[] = {"", "4", "101", "-5", "+5", " 5", "5 ", "5K", "lots", "0x10", "5.5",
		"18446744073709551621", "99999999999999999999999"};
	for (size_t i = 0; i < HAK_COUNT_OF(bad); i++)
		CU_ASSERT_TRUE_FATAL(refused(NUMBER, bad[i]));
}

static void flags(void)
{
	CU_ASSERT_TRUE(hak_env_assign(&rows[FLAG], "1"));
	UNIT_EQUAL(flag, 1);
	CU_ASSERT_TRUE(hak_env_assign(&rows[FLAG], "0"));
	UNIT_EQUAL(flag, 0);
	CU_ASSERT_TRUE(refused(FLAG, "2"));
	CU_ASSERT_TRUE(refused(FLAG, "yes"));
	CU_ASSERT_TRUE(refused(FLAG, ""));
}

static void sizes(void)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {{"0", 0}, {"1", 1}, {"3K", 3072}, {"3k", 3072}, {"2M", 2 << 20}, {"5G", 5ull << 30}, {"1T", 1ull << 40},
		{"18446744073709551615", UINT64_MAX}};
	for (size_t i = 0; i < HAK_COUNT_OF(good); i++) {
		CU_ASSERT_TRUE(hak_env_assign(&rows[BYTES], good[i].text));
		UNIT_EQUAL(bytes, good[i].value);
	}
	static const char *const bad[] = {"K", "1KB", "1 K", "1 ", "1X", "1\x10", "16777216T", "18446744073709551615K", "1.5M"};
	for (size_t i = 0; i < HAK_COUNT_OF(bad); i++) {
		CU_ASSERT_TRUE(refused(BYTES, bad[i]));
		if (bytes != 4242)
			fprintf(stderr, "\n    \"%s\" was read as %llu\n", bad[i], (unsigned long long)bytes);
	}
}

static void texts(void)
{
	char longest[HAK_ENV_TEXT_MAX + 1];
	memset(longest, 'x', sizeof(longest));
	longest[HAK_ENV_TEXT_MAX] = '\0';
	strcpy(text, "before");
	CU_ASSERT_FALSE(hak_env_assign(&rows[TEXT], longest));
	UNIT_STRING(text, "before");
	longest[HAK_ENV_TEXT_MAX - 1] = '\0';
	CU_ASSERT_TRUE(hak_env_assign(&rows[TEXT], longest));
	UNIT_STRING(text, longest);
	CU_ASSERT_TRUE(hak_env_assign(&rows[TEXT], ""));
	UNIT_STRING(text, "");
}

static void word_sets(void)
{
	CU_ASSERT_TRUE(hak_env_assign(&rows[WORDS], "one"));
	UNIT_EQUAL(mask, 1);
	CU_ASSERT_TRUE(hak_env_assign(&rows[WORDS], "three,one"));
	UNIT_EQUAL(mask, 5);
	CU_ASSERT_TRUE(hak_env_assign(&rows[WORDS], "all"));
	UNIT_EQUAL(mask, 7);
	CU_ASSERT_TRUE(hak_env_assign(&rows[WORDS], ""));
	UNIT_EQUAL(mask, 0);
	static const char *const bad[] = {"four", "one,", ",one", "one,,two", "on", "oned", "one two", "ALL"};
	for (size_t i = 0; i < HAK_COUNT_OF(bad); i++)
		CU_ASSERT_TRUE(refused(WORDS, bad[i]));
}

static void single_words(void)
{
	for (unsigned i = 0; words[i] != NULL; i++) {
		CU_ASSERT_TRUE(hak_env_assign(&rows[WORD], words[i]));
		UNIT_EQUAL(choice, i);
	}
	static const char *const bad[] = {"", "four", "one,", "one,two", "on", "oned", "all", "ONE"};
	for (size_t i = 0; i < HAK_COUNT_OF(bad); i++)
		CU_ASSERT_TRUE(refused(WORD, bad[i]));
}

/* One that ends in a colon has a number behind it, which comes with the word's. */
static void words_with_a_number(void)
{
	static const char *const some[] = {"one", "two:", NULL};
	static const struct hak_env_row row = {"HAKMEM_X", HAK_ENV_WORD, &choice, "one", 2, 255, some, ""};
	CU_ASSERT_TRUE(hak_env_assign(&row, "one"));
	UNIT_EQUAL(choice, 0);
	CU_ASSERT_TRUE(hak_env_assign(&row, "two:255"));
	UNIT_EQUAL(choice & 255, 1);
	UNIT_EQUAL(HAK_ENV_NUMBER_BEHIND(choice), 255);
	CU_ASSERT_TRUE(hak_env_assign(&row, "two:2"));
	UNIT_EQUAL(choice, HAK_ENV_WITH_NUMBER(1, 2));
	static const char *const bad[] = {"two", "two:", "two:256", "two:1", "two: 3", "two:3 ", "two:-3", "one:3", "two:three"};
	for (size_t i = 0; i < HAK_COUNT_OF(bad); i++) {
		CU_ASSERT_FALSE(hak_env_assign(&row, bad[i]));
		UNIT_EQUAL(choice, HAK_ENV_WITH_NUMBER(1, 2));
	}
	char out[128];
	struct hak_fmt fmt;
	hak_fmt_begin(&fmt, out, sizeof(out));
	hak_env_format_range(&fmt, &row);
	UNIT_STRING(out, "one, two:2 to 255");
}

static void parse(void *environment)
{
	hak_env_parse(rows, ROWS, environment);
	if (flag != 1 || number != 7)
		_exit(3);
}

static void environments(void)
{
	char said[1024];
	char *environment[] = {"PATH=/bin", "HAKMEM_FLAG=1", "HAKMEM_NUMBER=lots", "HAKMEM_NUMBER_NOT=9", "HAKMEM_NUMBE=9", NULL};
	flag = 0;
	number = 7;
	UNIT_EQUAL(unit_in_child(parse, environment, said, sizeof(said)), 0);
	UNIT_STRING(said, "hakmem: HAKMEM_NUMBER=lots is not valid (5 to 100); using the default 7\n");
	hak_env_parse(rows, ROWS, NULL);
	UNIT_EQUAL(number, 7);
}

static void odd_bytes_are_not_echoed(void)
{
	char said[1024];
	char *environment[] = {"HAKMEM_FLAG=1", "HAKMEM_NUMBER=\x1b[2J\n", NULL};
	flag = 0;
	number = 7;
	UNIT_EQUAL(unit_in_child(parse, environment, said, sizeof(said)), 0);
	UNIT_STRING(said, "hakmem: HAKMEM_NUMBER=?[2J? is not valid (5 to 100); using the default 7\n");
}

static void ranges(void)
{
	static const char *const expected[ROWS] = {"0 or 1", "5 to 100", NULL, "at most 255 bytes", "all, one, two, three",
		"one, two, three"};
	for (int i = 0; i < ROWS; i++) {
		char out[128];
		struct hak_fmt fmt;
		if (expected[i] == NULL)
			continue;
		hak_fmt_begin(&fmt, out, sizeof(out));
		hak_env_format_range(&fmt, &rows[i]);
		UNIT_STRING(out, expected[i]);
	}
	static const struct hak_env_row scaled = {"HAKMEM_X", HAK_ENV_BYTES, &bytes, "2M", 64 << 10, 1ull << 30, NULL, ""};
	char out[128];
	struct hak_fmt fmt;
	hak_fmt_begin(&fmt, out, sizeof(out));
	hak_env_format_range(&fmt, &scaled);
	UNIT_STRING(out, "64K to 1G");
}

static void at_start(void)
{
	char *const *environment = hak_env_at_start();
	bool found = false;
	CU_ASSERT_PTR_NOT_NULL_FATAL(environment);
	for (; *environment != NULL; environment++)
		found |= strncmp(*environment, "PATH=", 5) == 0;
	CU_ASSERT_TRUE(found);
}

UNIT_MAIN("env", UNIT(numbers), UNIT(flags), UNIT(sizes), UNIT(texts), UNIT(word_sets), UNIT(single_words), UNIT(words_with_a_number), UNIT(environments),
	UNIT(odd_bytes_are_not_echoed), UNIT(ranges), UNIT(at_start))
