/* canvas.h: a grid of character cells that panels draw on.
 *
 * Batch frames, the live screen and the unit tests show the same canvas, so that a panel is written once. Every cell
 * is one column wide: wide and combining characters of untrusted text become '?', control characters too, so nothing
 * a target says can move the cursor. Not thread-safe; the viewer has one thread. */
#ifndef VIEWER_CANVAS_H
#define VIEWER_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum style {
#define HAK_STYLE(name, ...) STYLE_##name,
#include "viewer/styles.def"
#undef HAK_STYLE
	STYLE_COUNT
};

/* Pictures that a character set may lack: drawn through a table with one column a set. */
enum glyph {
	GLYPH_FULL, GLYPH_DARK, GLYPH_MEDIUM, GLYPH_LIGHT, /* bars and fills, in falling density */
	GLYPH_UNUSED, GLYPH_EMPTY,                        /* slots that hold nothing */
	GLYPH_RULE, GLYPH_PIPE, GLYPH_UP, GLYPH_DOWN, GLYPH_DOT, GLYPH_ELLIPSIS,
	GLYPH_SPARK0, GLYPH_SPARK1, GLYPH_SPARK2, GLYPH_SPARK3, GLYPH_SPARK4, GLYPH_SPARK5, GLYPH_SPARK6, GLYPH_SPARK7,
	GLYPH_COUNT
};
#define SPARK_LEVELS 8

enum glyph_set {
	GLYPHS_ASCII,
	GLYPHS_CONSOLE, /* what the Linux console's font has: the CP437 blocks */
	GLYPHS_UNICODE,
	GLYPHS_COUNT
};

struct cell {
	uint32_t code;  /* a code point one column wide */
	uint8_t style;  /* enum style */
	bool reversed;  /* the cursor is on it */
};

struct canvas {
	int width, height;
	enum glyph_set glyphs;
	struct cell *cells; /* height rows of width */
};

/* A rectangle of a canvas. Drawing is in its own coordinates and never leaves it. */
struct area {
	struct canvas *canvas;
	int x, y, width, height;
};

/* The set for the locale that setlocale chose and for terminal type `term` (may be NULL). */
enum glyph_set canvas_glyphs_for(const char *term);

/* Makes a blank canvas; width and height are brought into 1…4096. Returns false without memory. canvas_free frees
 * it. */
bool canvas_init(struct canvas *canvas, int width, int height, enum glyph_set glyphs);
void canvas_free(struct canvas *canvas);
/* Blanks every cell. */
void canvas_clear(struct canvas *canvas);
/* The whole canvas as an area. */
struct area canvas_area(struct canvas *canvas);
/* Row y as UTF-8 without trailing blanks, cut at size - 1 bytes (4 * width + 1 is always enough). Returns its
 * length. */
size_t canvas_row(const struct canvas *canvas, int y, char *out, size_t size);

/* A part of an area, cut to what lies inside it (possibly nothing). */
struct area area_part(struct area area, int x, int y, int width, int height);
/* Puts one character; outside the area nothing happens. */
void area_put(struct area area, int x, int y, enum style style, uint32_t code);
void area_glyph(struct area area, int x, int y, enum style style, enum glyph glyph);
/* Writes UTF-8 text from column x on; what doesn't fit is cut off. Returns the column behind it. */
int area_text(struct area area, int x, int y, enum style style, const char *text);
int area_printf(struct area area, int x, int y, enum style style, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* The same, ending before column `end`. Returns the column where it starts; nothing is drawn to the left of column
 * 0. */
int area_right(struct area area, int end, int y, enum style style, const char *text);
/* Gives a row's cells a style and fills what is blank. */
void area_fill(struct area area, int x, int y, int width, enum style style);
/* Shows cells as selected. */
void area_reverse(struct area area, int x, int y, int width);
/* Copies the rows of another canvas from `first` on. */
void area_copy(struct area area, const struct canvas *from, int first);
/* The number of columns that text takes. */
int area_columns(const char *text);

/* A section's heading with a rule to the area's right edge. */
void area_heading(struct area area, int y, const char *title);

struct bar_part {
	double share; /* 0 to 1 of the bar's width */
	enum style style;
	enum glyph glyph;
};
/* A bar of `width` columns from parts side by side. Any part above 0 gets a column while there are columns left. */
void area_bar(struct area area, int x, int y, int width, const struct bar_part *parts, size_t count);
/* A sparkline: the last `width` values, newest at the right, scaled so that `top` (0: the largest shown) is a full
 * column. Negative and NaN values are gaps. */
void area_spark(struct area area, int x, int y, int width, enum style style, const double *values, size_t count,
	double top);

#endif
