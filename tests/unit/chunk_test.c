#include "viewer/chunk.h"

#include "tests/unit/unit.h"

static void round_trip(void)
{
	static uint8_t text[100000];
	struct bytes out = {0}, raw = {0};
	struct chunk chunk;
	memset(text, 'x', sizeof(text));
	CU_ASSERT_TRUE_FATAL(chunk_pack(&out, CHUNK_NOTE, 0x123456789abcdef0, text, sizeof(text)));
	CU_ASSERT_TRUE(out.length < 1000);
	size_t second = out.length;
	CU_ASSERT_TRUE_FATAL(chunk_pack(&out, CHUNK_MARK, 5, "", 0));
	CU_ASSERT_TRUE_FATAL(chunk_head(&chunk, out.data));
	UNIT_EQUAL(chunk.type, CHUNK_NOTE);
	UNIT_EQUAL(chunk.time_us, 0x123456789abcdef0);
	UNIT_EQUAL(chunk.stored + CHUNK_HEAD, second);
	CU_ASSERT_TRUE_FATAL(chunk_unpack(&chunk, out.data + CHUNK_HEAD, &raw));
	UNIT_EQUAL(raw.length, sizeof(text));
	CU_ASSERT_TRUE(memcmp(raw.data, text, sizeof(text)) == 0);
	CU_ASSERT_TRUE_FATAL(chunk_head(&chunk, out.data + second));
	CU_ASSERT_TRUE_FATAL(chunk_unpack(&chunk, out.data + second + CHUNK_HEAD, &raw));
	UNIT_EQUAL(raw.length, 0);
	bytes_free(&out);
	bytes_free(&raw);
}

static void any_change_is_seen(void)
{
	struct bytes out = {0}, raw = {0};
	struct chunk chunk;
	CU_ASSERT_TRUE_FATAL(chunk_pack(&out, CHUNK_STEP, 7, "some text that is kept", 22));
	for (size_t i = 0; i < out.length; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			out.data[i] ^= (uint8_t)(1u << bit);
			CU_ASSERT_FALSE(chunk_head(&chunk, out.data) && chunk_unpack(&chunk, out.data + CHUNK_HEAD, &raw));
			out.data[i] ^= (uint8_t)(1u << bit);
		}
	}
	bytes_free(&out);
	bytes_free(&raw);
}

/* Bytes that unpack to more than the head says end there, whatever they would have come to. */
static void bombs_end_at_what_the_head_says(void)
{
	size_t length = (size_t)30 << 20;
	uint8_t *zeros = calloc(1, length);
	struct bytes out = {0}, raw = {0};
	struct chunk chunk;
	CU_ASSERT_PTR_NOT_NULL_FATAL(zeros);
	CU_ASSERT_TRUE_FATAL(chunk_pack(&out, CHUNK_WHOLE, 0, zeros, length));
	CU_ASSERT_TRUE_FATAL(chunk_head(&chunk, out.data));
	chunk.raw = 1000;
	CU_ASSERT_FALSE(chunk_unpack(&chunk, out.data + CHUNK_HEAD, &raw));
	CU_ASSERT_TRUE(raw.capacity < 10000);
	CU_ASSERT_FALSE(chunk_pack(&out, CHUNK_WHOLE, 0, zeros, MOMENT_BYTES_MAX + 1));
	free(zeros);
	bytes_free(&out);
	bytes_free(&raw);
}

UNIT_MAIN("chunk", UNIT(round_trip), UNIT(any_change_is_seen), UNIT(bombs_end_at_what_the_head_says))
