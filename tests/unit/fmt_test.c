/* Text from numbers without stdio: compared with stdio's, and cut off where the buffer ends. */
#include "lib/fmt.h"

#include "tests/unit/unit.h"

static void numbers(void)
{
	static const uint64_t values[] = {0, 1, 9, 10, 15, 16, 255, 4096, 1234567890, UINT32_MAX, 1ull << 53, UINT64_MAX};
	for (size_t i = 0; i < HAK_COUNT_OF(values); i++) {
		char ours[64], theirs[64];
		struct hak_fmt fmt;
		hak_fmt_begin(&fmt, ours, sizeof(ours));
		hak_fmt_unsigned(&fmt, values[i]);
		hak_fmt_char(&fmt, ' ');
		hak_fmt_hex(&fmt, values[i]);
		snprintf(theirs, sizeof(theirs), "%llu 0x%llx", (unsigned long long)values[i], (unsigned long long)values[i]);
		UNIT_STRING(ours, theirs);
		UNIT_EQUAL(fmt.length, strlen(theirs));
	}
}

static void cut_off_at_the_end(void)
{
	char out[9];
	struct hak_fmt fmt;
	memset(out, '#', sizeof(out));
	hak_fmt_begin(&fmt, out, 8);
	hak_fmt_text(&fmt, "12345");
	hak_fmt_unsigned(&fmt, 678901234);
	hak_fmt_char(&fmt, 'x');
	UNIT_STRING(out, "1234567");
	UNIT_EQUAL(fmt.length, 7);
	UNIT_EQUAL(out[8], '#');
}

static void smallest_buffer(void)
{
	char out[1] = {'#'};
	struct hak_fmt fmt;
	hak_fmt_begin(&fmt, out, sizeof(out));
	hak_fmt_text(&fmt, "text");
	UNIT_EQUAL(out[0], '\0');
	UNIT_EQUAL(fmt.length, 0);
}

UNIT_MAIN("fmt", UNIT(numbers), UNIT(cut_off_at_the_end), UNIT(smallest_buffer))
