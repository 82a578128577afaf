#include "viewer/canvas.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "viewer/format.h"

#define CANVAS_LIMIT 4096

/* One row a glyph: ASCII, console, Unicode. */
static const uint16_t glyph_codes[GLYPH_COUNT][GLYPHS_COUNT] = {
	[GLYPH_FULL] = {'#', 0x2588, 0x2588},
	[GLYPH_DARK] = {'*', 0x2593, 0x2593},
	[GLYPH_MEDIUM] = {'=', 0x2592, 0x2592},
	[GLYPH_LIGHT] = {'-', 0x2591, 0x2591},
	[GLYPH_UNUSED] = {'.', 0x00b7, 0x00b7},
	[GLYPH_EMPTY] = {'o', 'o', 0x25cb},
	[GLYPH_RULE] = {'-', 0x2500, 0x2500},
	[GLYPH_PIPE] = {'|', 0x2502, 0x2502},
	[GLYPH_UP] = {'^', '^', 0x25b2},
	[GLYPH_DOWN] = {'v', 'v', 0x25bc},
	[GLYPH_DOT] = {'*', 0x00b7, 0x25cf},
	[GLYPH_ELLIPSIS] = {'~', '~', 0x2026},
	[GLYPH_SPARK0] = {'_', '_', 0x2581},
	[GLYPH_SPARK1] = {'_', '_', 0x2582},
	[GLYPH_SPARK2] = {'.', '.', 0x2583},
	[GLYPH_SPARK3] = {'-', 0x2584, 0x2584},
	[GLYPH_SPARK4] = {'=', 0x2584, 0x2585},
	[GLYPH_SPARK5] = {'+', 0x2584, 0x2586},
	[GLYPH_SPARK6] = {'*', 0x2588, 0x2587},
	[GLYPH_SPARK7] = {'#', 0x2588, 0x2588},
};

enum glyph_set canvas_glyphs_for(const char *term)
{
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		return GLYPHS_ASCII;
	return term != NULL && strncmp(term, "linux", 5) == 0 ? GLYPHS_CONSOLE : GLYPHS_UNICODE;
}

static int between(int low, int value, int high)
{
	return value < low ? low : value > high ? high : value;
}

bool canvas_init(struct canvas *canvas, int width, int height, enum glyph_set glyphs)
{
	canvas->width = between(1, width, CANVAS_LIMIT);
	canvas->height = between(1, height, CANVAS_LIMIT);
	canvas->glyphs = glyphs;
	canvas->cells = calloc((size_t)canvas->width * (size_t)canvas->height, sizeof(struct cell));
	if (canvas->cells == NULL)
		return false;
	canvas_clear(canvas);
	return true;
}

void canvas_free(struct canvas *canvas)
{
	free(canvas->cells);
	canvas->cells = NULL;
	canvas->width = canvas->height = 0;
}

void canvas_clear(struct canvas *canvas)
{
	const struct cell blank = {' ', STYLE_NORMAL, false};
	for (size_t i = 0; i < (size_t)canvas->width * (size_t)canvas->height; i++)
		canvas->cells[i] = blank;
}

struct area canvas_area(struct canvas *canvas)
{
	return (struct area){canvas, 0, 0, canvas->width, canvas->height};
}

size_t canvas_row(const struct canvas *canvas, int y, char *out, size_t size)
{
	size_t length = 0;
	int last = -1;
	const struct cell *row = canvas->cells + (size_t)y * (size_t)canvas->width;
	for (int x = 0; y >= 0 && y < canvas->height && x < canvas->width; x++) {
		if (row[x].code != ' ')
			last = x;
	}
	for (int x = 0; x <= last; x++) {
		char bytes[4];
		size_t count = format_utf8_put(bytes, row[x].code);
		if (length + count >= size)
			break;
		memcpy(out + length, bytes, count);
		length += count;
	}
	out[length] = '\0';
	return length;
}

struct area area_part(struct area area, int x, int y, int width, int height)
{
	int left = between(0, x, area.width), top = between(0, y, area.height);
	int right = between(left, width > area.width - x ? area.width : x + width, area.width);
	int bottom = between(top, height > area.height - y ? area.height : y + height, area.height);
	return (struct area){area.canvas, area.x + left, area.y + top, right - left, bottom - top};
}

static struct cell *cell_at(struct area area, int x, int y)
{
	if (x < 0 || y < 0 || x >= area.width || y >= area.height)
		return NULL;
	return area.canvas->cells + (size_t)(area.y + y) * (size_t)area.canvas->width + (size_t)(area.x + x);
}

/* What is drawn for a code point: itself where it is one printable column in this character set. */
static uint32_t shown(const struct canvas *canvas, uint32_t code)
{
	if (code >= 0x20 && code < 0x7f)
		return code;
	if (code < 0xa0 || canvas->glyphs == GLYPHS_ASCII || wcwidth((wchar_t)code) != 1)
		return '?';
	return code;
}

void area_put(struct area area, int x, int y, enum style style, uint32_t code)
{
	struct cell *cell = cell_at(area, x, y);
	if (cell == NULL)
		return;
	cell->code = shown(area.canvas, code);
	cell->style = (uint8_t)style;
}

void area_glyph(struct area area, int x, int y, enum style style, enum glyph glyph)
{
	struct cell *cell = cell_at(area, x, y);
	if (cell == NULL)
		return;
	/* Not through shown(): wcwidth knows only the C locale's characters when a test chose the set by hand. */
	cell->code = glyph_codes[glyph][area.canvas->glyphs];
	cell->style = (uint8_t)style;
}

int area_text(struct area area, int x, int y, enum style style, const char *text)
{
	for (uint32_t code; (code = format_utf8_next(&text)) != 0; x++) {
		if (x >= area.width)
			return x;
		area_put(area, x, y, style, code);
	}
	return x;
}

int area_printf(struct area area, int x, int y, enum style style, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return area_text(area, x, y, style, text);
}

int area_columns(const char *text)
{
	int columns = 0;
	while (format_utf8_next(&text) != 0)
		columns++;
	return columns;
}

int area_right(struct area area, int end, int y, enum style style, const char *text)
{
	int x = end - area_columns(text);
	area_text(area, x, y, style, text);
	return x;
}

void area_fill(struct area area, int x, int y, int width, enum style style)
{
	for (int i = x; i < x + width; i++) {
		struct cell *cell = cell_at(area, i, y);
		if (cell != NULL)
			cell->style = (uint8_t)style;
	}
}

void area_reverse(struct area area, int x, int y, int width)
{
	for (int i = x; i < x + width; i++) {
		struct cell *cell = cell_at(area, i, y);
		if (cell != NULL)
			cell->reversed = true;
	}
}

void area_copy(struct area area, const struct canvas *from, int first)
{
	for (int y = 0; y < area.height && first + y < from->height; y++) {
		for (int x = 0; x < area.width && x < from->width; x++) {
			struct cell *cell = cell_at(area, x, y);
			if (cell != NULL)
				*cell = from->cells[(size_t)(first + y) * (size_t)from->width + (size_t)x];
		}
	}
}

void area_heading(struct area area, int y, const char *title)
{
	int x = area_text(area, 0, y, STYLE_TITLE, title);
	for (x++; x < area.width; x++)
		area_glyph(area, x, y, STYLE_FAINT, GLYPH_RULE);
}

void area_bar(struct area area, int x, int y, int width, const struct bar_part *parts, size_t count)
{
	int used = 0;
	double sum = 0;
	for (size_t i = 0; i < count; i++) {
		double share = parts[i].share > 0 ? parts[i].share : 0; /* NaN too is nothing */
		sum += share > 1 ? 1 : share;
		int end = (int)(sum * width + 0.5);
		if (share > 0 && end <= used)
			end = used + 1;
		for (; used < end && used < width; used++)
			area_glyph(area, x + used, y, parts[i].style, parts[i].glyph);
	}
}

void area_spark(struct area area, int x, int y, int width, enum style style, const double *values, size_t count,
	double top)
{
	size_t shown_count = width < 0 ? 0 : count < (size_t)width ? count : (size_t)width;
	const double *first = values + (count - shown_count);
	for (size_t i = 0; top <= 0 && i < shown_count; i++) {
		if (first[i] > -top)
			top = -first[i];
	}
	if (top < 0)
		top = -top;
	for (size_t i = 0; i < shown_count; i++) {
		if (!(first[i] >= 0))
			continue;
		double share = top > 0 ? first[i] / top : 0;
		int level = (int)(share * SPARK_LEVELS);
		level = between(0, level, SPARK_LEVELS - 1);
		area_glyph(area, x + width - (int)(shown_count - i), y, style, (enum glyph)(GLYPH_SPARK0 + level));
	}
}
