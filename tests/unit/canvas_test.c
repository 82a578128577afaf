#include "viewer/canvas.h"

#include <locale.h>
#include <math.h>

#include "tests/unit/unit.h"

static struct canvas canvas;

static const char *row(int y)
{
	static char text[1024];
	canvas_row(&canvas, y, text, sizeof(text));
	return text;
}

static struct area begin(int width, int height, enum glyph_set glyphs)
{
	canvas_free(&canvas);
	CU_ASSERT_TRUE_FATAL(canvas_init(&canvas, width, height, glyphs));
	return canvas_area(&canvas);
}

static void text_is_cut_at_the_edge(void)
{
	struct area area = begin(10, 2, GLYPHS_ASCII);
	UNIT_EQUAL(area_text(area, 6, 0, STYLE_NORMAL, "abcdef"), 10);
	UNIT_STRING(row(0), "      abcd");
	area_text(area, -2, 1, STYLE_NORMAL, "abcdef");
	UNIT_STRING(row(1), "cdef");
	area_text(area, 0, 5, STYLE_NORMAL, "outside");
	area_text(area, 0, -1, STYLE_NORMAL, "outside");
	UNIT_STRING(row(1), "cdef");
}

static void parts_never_leave_their_area(void)
{
	struct area area = begin(20, 6, GLYPHS_ASCII);
	struct area part = area_part(area, 5, 2, 4, 2);
	for (int y = -3; y < 9; y++)
		area_text(part, -9, y, STYLE_NORMAL, "############################");
	UNIT_STRING(row(1), "");
	UNIT_STRING(row(2), "     ####");
	UNIT_STRING(row(3), "     ####");
	UNIT_STRING(row(4), "");
	struct area none = area_part(area, 30, 30, 5, 5);
	UNIT_EQUAL(none.width, 0);
	area_text(none, 0, 0, STYLE_NORMAL, "x");
	struct area huge = area_part(area, 18, 1, 2147483647, 2147483647);
	UNIT_EQUAL(huge.width, 2);
	UNIT_EQUAL(huge.height, 5);
}

static void untrusted_text_is_one_column_a_character(void)
{
	struct area area = begin(20, 1, GLYPHS_UNICODE);
	/* Escape, bell, a wide character, a combining accent, a right-to-left override. */
	/* NOLINTNEXTLINE(misc-misleading-bidirectional): it must not mislead */
	UNIT_EQUAL(area_text(area, 0, 0, STYLE_NORMAL, "\x1b[2J\a\xe4\xb8\xad\xcc\x81\xe2\x80\xae!"), 9);
	UNIT_STRING(row(0), "?[2J?\?\?\?!");
	area = begin(20, 1, GLYPHS_ASCII);
	area_text(area, 0, 0, STYLE_NORMAL, "h\xc3\xa4ndler");
	UNIT_STRING(row(0), "h?ndler");
}

static void text_ends_where_it_should(void)
{
	struct area area = begin(10, 2, GLYPHS_ASCII);
	UNIT_EQUAL(area_right(area, 10, 0, STYLE_NORMAL, "abc"), 7);
	UNIT_STRING(row(0), "       abc");
	area_right(area, 3, 1, STYLE_NORMAL, "abcdef");
	UNIT_STRING(row(1), "def");
}

static int columns_of(enum style style)
{
	int count = 0;
	for (int x = 0; x < canvas.width; x++)
		count += canvas.cells[x].style == style && canvas.cells[x].code != ' ';
	return count;
}

static void bars(void)
{
	struct area area = begin(40, 1, GLYPHS_ASCII);
	const struct bar_part half[] = {{0.25, STYLE_LIVE, GLYPH_FULL}, {0.25, STYLE_CACHED, GLYPH_DARK}};
	area_bar(area, 0, 0, 40, half, 2);
	UNIT_STRING(row(0), "##########**********");
	canvas_clear(&canvas);
	/* The smallest part is seen, and more than the whole doesn't overflow. */
	const struct bar_part uneven[] = {{0.0001, STYLE_LIVE, GLYPH_FULL}, {7.0, STYLE_CACHED, GLYPH_DARK},
		{NAN, STYLE_IDLE, GLYPH_LIGHT}};
	area_bar(area, 0, 0, 20, uneven, 3);
	UNIT_EQUAL(columns_of(STYLE_LIVE), 1);
	UNIT_EQUAL(columns_of(STYLE_CACHED), 19);
	canvas_clear(&canvas);
	area_bar(area, 0, 0, -5, half, 2);
	UNIT_STRING(row(0), "");
}

static void sparks(void)
{
	struct area area = begin(8, 1, GLYPHS_ASCII);
	const double values[] = {5, 0, NAN, 4, 8};
	area_spark(area, 0, 0, 8, STYLE_LIVE, values, 5, 0);
	UNIT_STRING(row(0), "   +_ =#");
	canvas_clear(&canvas);
	area_spark(area, 0, 0, 2, STYLE_LIVE, values, 5, 0);
	UNIT_STRING(row(0), "=#");
	canvas_clear(&canvas);
	area_spark(area, 0, 0, -1, STYLE_LIVE, values, 5, 0);
	area_spark(area, 0, 0, 4, STYLE_LIVE, values, 0, 0);
	UNIT_STRING(row(0), "");
	const double zeros[] = {0, 0};
	area_spark(area, 0, 0, 2, STYLE_LIVE, zeros, 2, 0);
	UNIT_STRING(row(0), "__");
}

static void every_glyph_is_in_every_set(void)
{
	for (int set = 0; set < GLYPHS_COUNT; set++) {
		struct area area = begin(GLYPH_COUNT, 1, (enum glyph_set)set);
		for (int i = 0; i < GLYPH_COUNT; i++) {
			area_glyph(area, i, 0, STYLE_NORMAL, (enum glyph)i);
			CU_ASSERT_TRUE(canvas.cells[i].code > ' ');
			CU_ASSERT_TRUE(set != GLYPHS_ASCII || canvas.cells[i].code < 0x7f);
		}
	}
}

static void sizes_are_bounded(void)
{
	begin(0, -3, GLYPHS_ASCII);
	UNIT_EQUAL(canvas.width, 1);
	UNIT_EQUAL(canvas.height, 1);
	begin(1000000, 2, GLYPHS_ASCII);
	UNIT_EQUAL(canvas.width, 4096);
}

static void rows_are_cut_between_characters(void)
{
	char out[6];
	struct area area = begin(4, 1, GLYPHS_UNICODE);
	for (int x = 0; x < 4; x++)
		area_glyph(area, x, 0, STYLE_NORMAL, GLYPH_FULL);
	UNIT_EQUAL(canvas_row(&canvas, 0, out, sizeof(out)), 3);
	UNIT_STRING(out, "\xe2\x96\x88");
	canvas_free(&canvas);
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT(text_is_cut_at_the_edge), UNIT(parts_never_leave_their_area),
		UNIT(untrusted_text_is_one_column_a_character),
		UNIT(text_ends_where_it_should), UNIT(bars), UNIT(sparks), UNIT(every_glyph_is_in_every_set),
		UNIT(sizes_are_bounded),
		UNIT(rows_are_cut_between_characters),
	};
	/* What is one column wide is a question to the locale. */
	setlocale(LC_CTYPE, "C.UTF-8");
	return unit_run("canvas", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
