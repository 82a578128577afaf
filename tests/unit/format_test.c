#include "viewer/format.h"

#include "tests/unit/unit.h"

static void bytes(void)
{
	char out[FORMAT_MAX];
	UNIT_STRING(format_bytes(out, 0), "0B");
	UNIT_STRING(format_bytes(out, 1023), "1023B");
	UNIT_STRING(format_bytes(out, 1024), "1.00K");
	UNIT_STRING(format_bytes(out, 10229), "9.99K");
	UNIT_STRING(format_bytes(out, 10239), "10.0K");
	UNIT_STRING(format_bytes(out, 102399), "100K");
	UNIT_STRING(format_bytes(out, 1048575), "1.00M");
	UNIT_STRING(format_bytes(out, 40055603), "38.2M");
	UNIT_STRING(format_bytes(out, 1ull << 40), "1.00T");
	UNIT_STRING(format_bytes(out, UINT64_MAX), "16.0E");
}

static void counts(void)
{
	char out[FORMAT_MAX];
	UNIT_STRING(format_count(out, 0), "0");
	UNIT_STRING(format_count(out, 9999), "9999");
	UNIT_STRING(format_count(out, 10000), "10.0k");
	UNIT_STRING(format_count(out, 999499), "999k");
	UNIT_STRING(format_count(out, 999500), "1.00M");
	UNIT_STRING(format_count(out, UINT64_MAX), "18.4E");
}

/* The promise of the header: columns of tables are five wide. */
static void numbers_fit_five_columns(void)
{
	char out[FORMAT_MAX];
	for (uint64_t value = 1; value < UINT64_MAX / 3; value = value * 3 + 1) {
		CU_ASSERT_TRUE(strlen(format_bytes(out, value)) <= 5);
		CU_ASSERT_TRUE(strlen(format_count(out, value)) <= 5);
	}
}

static void rates(void)
{
	char out[FORMAT_MAX];
	UNIT_STRING(format_rate(out, 0), "0/s");
	UNIT_STRING(format_rate(out, 1234567), "1.23M/s");
	UNIT_STRING(format_rate(out, -1), "-");
	UNIT_STRING(format_rate(out, 0.0 / 0.0 * 1), "-");
	UNIT_STRING(format_rate(out, 1e300), "9.00E/s");
}

static void percents(void)
{
	char out[FORMAT_MAX];
	UNIT_STRING(format_percent(out, 1, 0), "-");
	UNIT_STRING(format_percent(out, 0, 5), "0.0%");
	UNIT_STRING(format_percent(out, 2, 3), "66.7%");
	UNIT_STRING(format_percent(out, 9999, 10000), "100%");
	UNIT_STRING(format_percent(out, 5, 5), "100%");
}

static void times(void)
{
	char out[FORMAT_MAX];
	UNIT_STRING(format_clock(out, 7999999), "0:07");
	UNIT_STRING(format_clock(out, 3723000000), "1:02:03");
	UNIT_STRING(format_clock(out, 273900000000), "3d 04:05");
	UNIT_STRING(format_age(out, 12), "12ms");
	UNIT_STRING(format_age(out, 1299), "1.2s");
	UNIT_STRING(format_age(out, 184000), "3m04s");
	UNIT_STRING(format_age(out, 7500000), "2h05m");
	UNIT_STRING(format_age(out, 367200000), "4d06h");
	CU_ASSERT_TRUE(strlen(format_age(out, UINT64_MAX)) < FORMAT_MAX);
}

static uint32_t first_code(const char *text, size_t *used)
{
	const char *p = text;
	uint32_t code = format_utf8_next(&p);
	*used = (size_t)(p - text);
	return code;
}

static void utf8(void)
{
	size_t used;
	UNIT_EQUAL(first_code("", &used), 0);
	UNIT_EQUAL(used, 0);
	UNIT_EQUAL(first_code("a", &used), 'a');
	UNIT_EQUAL(first_code("\xc3\xa4", &used), 0xe4);
	UNIT_EQUAL(used, 2);
	UNIT_EQUAL(first_code("\xe2\x96\x88", &used), 0x2588);
	UNIT_EQUAL(first_code("\xf0\x9f\x98\x80", &used), 0x1f600);
	UNIT_EQUAL(used, 4);
	/* Not UTF-8: a lone continuation, an overlong slash, a surrogate, beyond the last plane, a cut-off sequence. */
	UNIT_EQUAL(first_code("\x80", &used), 0xfffd);
	UNIT_EQUAL(first_code("\xc0\xaf", &used), 0xfffd);
	UNIT_EQUAL(first_code("\xe0\x80\xaf", &used), 0xfffd);
	UNIT_EQUAL(first_code("\xed\xa0\x80", &used), 0xfffd);
	UNIT_EQUAL(first_code("\xf4\x90\x80\x80", &used), 0xfffd);
	UNIT_EQUAL(first_code("\xe2\x96", &used), 0xfffd);
	UNIT_EQUAL(used, 1);
}

static void utf8_goes_there_and_back(void)
{
	static const uint32_t codes[] = {'x', 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		char bytes_out[5] = {0};
		size_t used, put = format_utf8_put(bytes_out, codes[i]);
		UNIT_EQUAL(first_code(bytes_out, &used), codes[i]);
		UNIT_EQUAL(used, put);
	}
}

static void printable(void)
{
	char out[16];
	UNIT_STRING(format_printable(out, sizeof(out), "\x1b[31mred\a"), "?[31mred?");
	UNIT_STRING(format_printable(out, sizeof(out), "a\xc2\x9b" "b\xff"), "a?b?");
	UNIT_STRING(format_printable(out, 4, "ab\xc3\xa4"), "ab"); /* no half characters */
	UNIT_STRING(format_printable(out, 1, "abc"), "");
}

UNIT_MAIN("format", UNIT(bytes), UNIT(counts), UNIT(numbers_fit_five_columns), UNIT(rates), UNIT(percents), UNIT(times),
	UNIT(utf8), UNIT(utf8_goes_there_and_back), UNIT(printable))
