#include "viewer/bytes.h"

#include "tests/unit/unit.h"

static void numbers_come_back(void)
{
	static const uint64_t numbers[] = {0, 1, 127, 128, 300, 1ull << 53, UINT64_MAX - 1, UINT64_MAX};
	struct bytes bytes = {0};
	for (size_t i = 0; i < 8; i++) {
		bytes_number(&bytes, numbers[i]);
		bytes_step(&bytes, numbers[i], numbers[7 - i]);
	}
	struct reader reader = {bytes.data, bytes.data + bytes.length, false};
	for (size_t i = 0; i < 8; i++) {
		UNIT_EQUAL(reader_number(&reader), numbers[i]);
		UNIT_EQUAL(reader_step(&reader, numbers[i]), numbers[7 - i]);
	}
	UNIT_EQUAL(reader_left(&reader), 0);
	CU_ASSERT_FALSE(reader.bad);
	bytes_reset(&bytes);
	bytes_step(&bytes, 5, 4);
	UNIT_EQUAL(bytes.length, 1); /* small steps are short, down too */
	bytes_free(&bytes);
}

static void texts_come_back_printable(void)
{
	struct bytes bytes = {0};
	char text[8];
	bytes_text(&bytes, "\x1b[1m");
	bytes_text(&bytes, "longer than there is room");
	struct reader reader = {bytes.data, bytes.data + bytes.length, false};
	reader_text(&reader, text, sizeof(text));
	UNIT_STRING(text, "?[1m");
	reader_text(&reader, text, sizeof(text));
	UNIT_STRING(text, "longer ");
	UNIT_EQUAL(reader_left(&reader), 0);
	CU_ASSERT_FALSE(reader.bad);
	bytes_free(&bytes);
}

/* Nothing is read behind the end, and no number is longer than its ten bytes. */
static void ends_are_kept(void)
{
	static const uint8_t cut[] = {0x80, 0x80}, endless[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1},
		text[] = {5, 'a', 'b'}, vast[] = {0xff, 0xff, 0xff, 0xff, 0x0f};
	char out[8] = "x";
	struct reader reader = {cut, cut + sizeof(cut), false};
	UNIT_EQUAL(reader_number(&reader), 0);
	CU_ASSERT_TRUE(reader.bad);
	UNIT_EQUAL(reader_byte(&reader), 0);
	reader = (struct reader){endless, endless + sizeof(endless), false};
	reader_number(&reader);
	CU_ASSERT_TRUE(reader.bad);
	reader = (struct reader){text, text + sizeof(text), false};
	reader_text(&reader, out, sizeof(out));
	CU_ASSERT_TRUE(reader.bad);
	UNIT_STRING(out, "");
	reader = (struct reader){vast, vast + sizeof(vast), false};
	reader_text(&reader, out, sizeof(out));
	CU_ASSERT_TRUE(reader.bad);
	UNIT_EQUAL(reader_left(&reader), 0);
}

UNIT_MAIN("bytes", UNIT(numbers_come_back), UNIT(texts_come_back_printable), UNIT(ends_are_kept))
