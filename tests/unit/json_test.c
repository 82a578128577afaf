/* The JSON writer: its output, its three destinations, and every way in which it can fail. */
#include "introspect/json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "tests/unit/unit.h"

/* Ends the writing and compares the text in `data`. */
__attribute__((nonnull)) static void expect(struct hak_json *json, const char *data, const char *expected)
{
	char text[1024];
	CU_ASSERT_TRUE(hak_json_finish(json));
	UNIT_EQUAL(json->error, 0);
	snprintf(text, sizeof(text), "%.*s", (int)json->length, data);
	UNIT_STRING(text, expected);
}

static void structure(void)
{
	static const char raw[] = "{\n  \"e\": [1,\n\t2,\"a  b\"]\n}\n";
	char data[256];
	struct hak_json json;
	hak_json_to_memory(&json, data, sizeof(data));
	hak_json_object(&json);
	hak_json_member_u64(&json, "a", 1);
	hak_json_key(&json, "b");
	hak_json_array(&json);
	hak_json_array(&json);
	hak_json_end(&json);
	hak_json_object(&json);
	hak_json_end(&json);
	hak_json_null(&json);
	hak_json_bool(&json, true);
	hak_json_bool(&json, false);
	hak_json_string(&json, "x");
	hak_json_end(&json);
	hak_json_member_hex(&json, "c", 0);
	hak_json_key(&json, "d");
	hak_json_raw(&json, raw, sizeof(raw) - 1);
	hak_json_member_string(&json, "f", "");
	hak_json_end(&json);
	hak_json_newline(&json);
	expect(&json, data,
		"{\"a\":1,\"b\":[[],{},null,true,false,\"x\"],\"c\":\"0x0\",\"d\":"
		"{\"e\": [1,2,\"a  b\"]},\"f\":\"\"}\n");
}

static void numbers(void)
{
	char data[512];
	struct hak_json json;
	hak_json_to_memory(&json, data, sizeof(data));
	hak_json_array(&json);
	hak_json_u64(&json, 0);
	hak_json_u64(&json, UINT64_MAX);
	hak_json_i64(&json, 0);
	hak_json_i64(&json, -7);
	hak_json_i64(&json, INT64_MIN);
	hak_json_i64(&json, INT64_MAX);
	hak_json_hex(&json, 0x7f00deadbeef);
	hak_json_hex(&json, UINT64_MAX);
	hak_json_end(&json);
	expect(&json, data, "[0,18446744073709551615,0,-7,-9223372036854775808,9223372036854775807,"
		"\"0x7f00deadbeef\",\"0xffffffffffffffff\"]");
}

static void strings(void)
{
#define BAD "\xEF\xBF\xBD"
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"plain", "\"plain\""},
		{"\"\\/", "\"\\\"\\\\/\""},
		{"\n\t\r\b\x01\x1f\x7f", "\"\\n\\t\\r\\u0008\\u0001\\u001f\\u007f\""},
		/* U+0080, U+009B (which terminals take as an escape sequence's begin), U+009F; U+00A0 is none of them. */
		{"\xC2\x80\xC2\x9B\xC2\x9F\xC2\xA0", "\"\\u0080\\u009b\\u009f\xC2\xA0\""},
		{"\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80", "\"\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80\""},
		{"\xF4\x8F\xBF\xBF", "\"\xF4\x8F\xBF\xBF\""},
		{"\xED\x9F\xBF\xEE\x80\x80", "\"\xED\x9F\xBF\xEE\x80\x80\""},
		{"a\x80z", "\"a" BAD "z\""},                 /* a continuation alone */
		{"\xC0\xAF", "\"" BAD BAD "\""},               /* overlong, two bytes */
		{"\xE0\x9F\xBF", "\"" BAD BAD BAD "\""},       /* overlong, three */
		{"\xF0\x8F\xBF\xBF", "\"" BAD BAD BAD BAD "\""}, /* overlong, four */
		{"\xED\xA0\x80", "\"" BAD BAD BAD "\""},       /* a surrogate */
		{"\xF4\x90\x80\x80", "\"" BAD BAD BAD BAD "\""}, /* above U+10FFFF */
		{"\xF5\xFF\xFE", "\"" BAD BAD BAD "\""},       /* never occur */
		{"\xE2\x82", "\"" BAD BAD "\""},               /* cut at the end */
		{"\xE2\x82" "A", "\"" BAD BAD "A\""},          /* cut in the middle */
	};
	for (size_t i = 0; i < HAK_COUNT_OF(cases); i++) {
		char data[128];
		struct hak_json json;
		hak_json_to_memory(&json, data, sizeof(data));
		hak_json_string(&json, cases[i].text);
		expect(&json, data, cases[i].expected);
	}
	char data[64];
	struct hak_json json;
	hak_json_to_memory(&json, data, sizeof(data));
	hak_json_string_n(&json, "a\0b", 3);
	expect(&json, data, "\"a\\u0000b\"");
}

/* At every capacity below what is needed the writer says so, and never writes behind the end. */
static void too_little_memory(void)
{
	static const char whole[] = "{\"key\":[12345,\"\xE2\x82\xAC\\n\"]}";
	size_t needed = sizeof(whole) - 1;
	for (size_t capacity = 0; capacity <= needed; capacity++) {
		char data[64];
		struct hak_json json;
		memset(data, '#', sizeof(data));
		hak_json_to_memory(&json, data, capacity);
		hak_json_object(&json);
		hak_json_key(&json, "key");
		hak_json_array(&json);
		hak_json_u64(&json, 12345);
		hak_json_string(&json, "\xE2\x82\xAC\n");
		hak_json_end(&json);
		hak_json_end(&json);
		UNIT_EQUAL(hak_json_finish(&json), capacity == needed);
		UNIT_EQUAL(json.error, capacity == needed ? 0 : ENOSPC);
		UNIT_EQUAL(data[capacity], '#');
	}
}

static void misuse_is_an_error(void)
{
	char data[256];
	struct hak_json json;
	hak_json_to_memory(&json, data, sizeof(data));
	hak_json_object(&json);
	CU_ASSERT_FALSE(hak_json_finish(&json)); /* not closed */
	UNIT_EQUAL(json.error, EINVAL);
	hak_json_to_memory(&json, data, sizeof(data));
	hak_json_end(&json); /* nothing open */
	UNIT_EQUAL(json.error, EINVAL);
	hak_json_to_memory(&json, data, sizeof(data));
	hak_json_array(&json);
	hak_json_key(&json, "k"); /* a key in an array */
	UNIT_EQUAL(json.error, EINVAL);
	hak_json_to_memory(&json, data, sizeof(data));
	hak_json_object(&json);
	hak_json_null(&json); /* a value without its key */
	UNIT_EQUAL(json.error, EINVAL);
	hak_json_to_memory(&json, data, sizeof(data));
	hak_json_object(&json);
	hak_json_key(&json, "k");
	hak_json_end(&json); /* a key without its value */
	UNIT_EQUAL(json.error, EINVAL);
}

static void depth(void)
{
	char data[256];
	struct hak_json json;
	hak_json_to_memory(&json, data, sizeof(data));
	for (int i = 0; i < HAK_JSON_DEPTH; i++)
		hak_json_array(&json);
	UNIT_EQUAL(json.error, 0);
	for (int i = 0; i < HAK_JSON_DEPTH; i++)
		hak_json_end(&json);
	CU_ASSERT_TRUE(hak_json_finish(&json));
	hak_json_to_memory(&json, data, sizeof(data));
	for (int i = 0; i <= HAK_JSON_DEPTH; i++)
		hak_json_array(&json);
	UNIT_EQUAL(json.error, EOVERFLOW);
}

static void into_a_growing_buffer(void)
{
	struct hak_buffer buffer = {0};
	struct hak_json json;
	CU_ASSERT_TRUE(hak_buffer_append(&buffer, "before ", 7));
	hak_json_to_buffer(&json, &buffer);
	hak_json_array(&json);
	for (unsigned i = 0; i < 20000; i++)
		hak_json_u64(&json, 1000000 + i);
	hak_json_end(&json);
	CU_ASSERT_TRUE(hak_json_finish(&json));
	UNIT_EQUAL(buffer.length, 7 + 1 + 20000 * 8);
	CU_ASSERT_TRUE(memcmp(buffer.data, "before [1000000,1000001,", 24) == 0);
	CU_ASSERT_TRUE(memcmp(buffer.data + buffer.length - 9, ",1019999]", 9) == 0);
	/* What failed leaves nothing behind. */
	size_t length = buffer.length;
	hak_json_to_buffer(&json, &buffer);
	hak_json_object(&json);
	hak_json_null(&json);
	CU_ASSERT_FALSE(hak_json_finish(&json));
	UNIT_EQUAL(buffer.length, length);
	hak_buffer_free(&buffer);
}

static void into_a_descriptor(void)
{
	int ends[2];
	char chunk[64], got[2048];
	struct hak_json json;
	size_t length = 0;
	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	hak_json_to_fd(&json, ends[1], chunk, sizeof(chunk));
	hak_json_array(&json);
	for (unsigned i = 0; i < 100; i++)
		hak_json_u64(&json, i);
	hak_json_end(&json);
	CU_ASSERT_TRUE(hak_json_finish(&json));
	close(ends[1]);
	for (ssize_t step; (step = read(ends[0], got + length, sizeof(got) - length)) > 0;)
		length += (size_t)step;
	close(ends[0]);
	UNIT_EQUAL(length, json.total);
	UNIT_EQUAL(length, 10 * 2 + 90 * 3 - 1 + 2);
	CU_ASSERT_TRUE(memcmp(got, "[0,1,2,", 7) == 0 && memcmp(got + length - 4, ",99]", 4) == 0);
}

static void full_disk(void)
{
	char chunk[64];
	struct hak_json json;
	int full = open("/dev/full", O_WRONLY);
	CU_ASSERT_TRUE_FATAL(full >= 0);
	hak_json_to_fd(&json, full, chunk, sizeof(chunk));
	hak_json_array(&json);
	for (unsigned i = 0; i < 100; i++)
		hak_json_u64(&json, i);
	hak_json_end(&json);
	CU_ASSERT_FALSE(hak_json_finish(&json));
	UNIT_EQUAL(json.error, ENOSPC);
	close(full);
}

/* Wherever writing was left, what was begun is closed. */
static void unwinding(void)
{
	char text[128];
	struct hak_json json;
	for (int at = 0; at < 4; at++) {
		hak_json_to_memory(&json, text, sizeof(text));
		hak_json_object(&json);
		hak_json_member_u64(&json, "a", 1);
		hak_json_key(&json, "b");
		hak_json_array(&json);
		if (at > 0)
			hak_json_object(&json);
		if (at > 1)
			hak_json_key(&json, "c");
		if (at > 2) {
			hak_json_string(&json, "half");
			json.length--; /* as if the string's last quote had not been reached */
			json.in_string = true;
		}
		hak_json_unwind(&json, 1);
		hak_json_member_u64(&json, "d", 2);
		hak_json_end(&json);
		CU_ASSERT_TRUE(hak_json_finish(&json));
		text[json.length] = 0;
		static const char *const expected[] = {"[]", "[{}]", "[{\"c\":null}]", "[{\"c\":\"half\"}]"};
		char whole[128];
		snprintf(whole, sizeof(whole), "{\"a\":1,\"b\":%s,\"d\":2}", expected[at]);
		UNIT_STRING(text, whole);
	}
}

UNIT_MAIN("json", UNIT(structure), UNIT(numbers), UNIT(strings), UNIT(too_little_memory), UNIT(misuse_is_an_error),
	UNIT(depth), UNIT(into_a_growing_buffer), UNIT(into_a_descriptor), UNIT(full_disk), UNIT(unwinding))
