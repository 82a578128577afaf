#include "viewer/output.h"

#include "tests/unit/unit.h"

static struct output output;

static void put(const char *text)
{
	output_add(&output, text, strlen(text));
}

static const char *line(size_t back)
{
	static char text[256];
	size_t at = output_seek(&output, back);
	output_line(&output, &at, text, sizeof(text));
	return text;
}

static void lines(void)
{
	put("one\ntwo\nthr");
	UNIT_EQUAL(output.lines, 3);
	put("ee\n");
	UNIT_EQUAL(output.lines, 3);
	UNIT_STRING(line(1), "three");
	UNIT_STRING(line(2), "two");
	UNIT_STRING(line(3), "one");
	UNIT_STRING(line(9), "one");
	UNIT_STRING(line(0), "");
	size_t at = output_seek(&output, 3);
	char text[8];
	output_line(&output, &at, text, sizeof(text));
	output_line(&output, &at, text, sizeof(text));
	UNIT_STRING(text, "two");
	output_free(&output);
}

static void what_drives_terminals_is_not_shown(void)
{
	put("\033[1;31mred\033[0m \033]0;title\007end\033(B\n");
	UNIT_STRING(line(1), "red endB");
	put("10%\r50%\r100%\r\n");
	UNIT_STRING(line(1), "100%");
	put("a\tb\n");
	UNIT_STRING(line(1), "a       b");
	put("cut\033[");
	UNIT_STRING(line(1), "cut");
	output_free(&output);
}

static void old_lines_go_whole(void)
{
	char text[64];
	for (int i = 0; i < 60000; i++) {
		snprintf(text, sizeof(text), "line %06d of this tex\n", i);
		put(text);
	}
	CU_ASSERT_TRUE(output.length <= OUTPUT_BYTES_MAX);
	CU_ASSERT_TRUE(output.forgotten > 0);
	UNIT_EQUAL(output.forgotten % 24, 0);
	UNIT_EQUAL(output.length + output.forgotten, 60000ull * 24);
	UNIT_EQUAL(output.lines, output.length / 24);
	UNIT_STRING(line(1), "line 059999 of this tex");
	CU_ASSERT_EQUAL(strncmp(output.bytes, "line ", 5), 0);
	output_free(&output);
}

static void a_flood_without_lines(void)
{
	static char flood[OUTPUT_BYTES_MAX + 4096];
	memset(flood, 'x', sizeof(flood));
	output_add(&output, flood, sizeof(flood));
	output_add(&output, flood, 100);
	CU_ASSERT_TRUE(output.length <= OUTPUT_BYTES_MAX);
	UNIT_EQUAL(output.lines, 1);
	output_free(&output);
	UNIT_EQUAL(output_seek(&output, 3), 0);
}

UNIT_MAIN("output", UNIT(lines), UNIT(what_drives_terminals_is_not_shown), UNIT(old_lines_go_whole),
	UNIT(a_flood_without_lines))
