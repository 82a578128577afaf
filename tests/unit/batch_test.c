#include "viewer/batch.h"

#include "tests/unit/sample_snapshot.h"
#include "tests/unit/unit.h"

static char *text;
static size_t size;

static const char *as_json(const char *json, size_t length)
{
	free(text);
	FILE *out = open_memstream(&text, &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_TRUE(batch_json(out, json, length));
	fclose(out);
	return text;
}

static void json_is_one_line(void)
{
	static const char lines[] = "{\n\t\"a\": \"x\\\"\\n\", \r\n\"b\": [1,\n2]\n}";
	UNIT_STRING(as_json(lines, sizeof(lines) - 1), "{  \"a\": \"x\\\"\\n\",   \"b\": [1, 2] }\n");
	UNIT_STRING(as_json("{}", 2), "{}\n");
	UNIT_STRING(as_json("", 0), "\n");
	free(text);
	text = NULL;
}

/* The parser takes control characters in strings as they are, and as blanks outside them. */
static void control_characters_are_escaped(void)
{
	static const char strings[] = "[\"\x1b[31m\x07\x7f\xc2\x9bm\n\", \"\x9b\xff\\\\\x01\",\x1b\"gr\xc3\xbc\xc3\x9f\"]";
	UNIT_STRING(as_json(strings, sizeof(strings) - 1),
		"[\"\\u001b[31m\\u0007\\u007f\\u009bm\\u000a\", \"??\\\\\\u0001\", \"gr\xc3\xbc\xc3\x9f\"]\n");
	UNIT_STRING(as_json("\"a\0b\"", 5), "\"a\\u0000b\"\n");
	UNIT_STRING(as_json("\"\xe2\x82", 3), "\"??\n");
	free(text);
	text = NULL;
}

static void a_frame_is_text_of_eighty_columns(void)
{
	struct watch watch = {.state = WATCH_WAITING};
	char *json = sample_with("/usr/bin/sample\",\"cmdline\":\"sample -x", "/bin/\x1b[31mred\",\"cmdline\":\"\x1b[31mred");
	UNIT_EQUAL(watch_take(&watch, json, strlen(json), NULL), WATCH_SNAPSHOT);
	FILE *out = open_memstream(&text, &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_TRUE(batch_text(out, &watch));
	fclose(out);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "?[31mred"));
	for (const char *p = text; *p != '\0'; p++)
		CU_ASSERT_TRUE(*p == '\n' || (unsigned char)*p >= 0x20);
	size_t length = strlen(text);
	CU_ASSERT_TRUE(length > 2 && strcmp(text + length - 2, "\n\n") == 0);
	free(json);
	free(text);
	text = NULL;
	watch_free(&watch);
}

static void a_full_disk_is_noticed(void)
{
	FILE *full = fopen("/dev/full", "w");
	UNIT_LEAVE_IF(full == NULL, "no /dev/full here");
	CU_ASSERT_FALSE(batch_json(full, "{}", 2));
	fclose(full);
}

UNIT_MAIN("batch", UNIT(json_is_one_line), UNIT(control_characters_are_escaped),
	UNIT(a_frame_is_text_of_eighty_columns), UNIT(a_full_disk_is_noticed))
