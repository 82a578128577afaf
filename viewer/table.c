#include "viewer/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The columns that an area of this width shows whole. */
static int choose_columns(const struct table *table, const struct panel_place *place, int width,
	int shown[TABLE_COLUMNS_MAX])
{
	int count = 0, used = 0, sort = place->sorts > 0 ? place->sort : 0;
	for (; count < table->count && (used + table->columns[count].width <= width || count == 0); count++) {
		shown[count] = count;
		used += table->columns[count].width;
	}
	/* The column that the order comes from takes the place of the last ones. */
	if (sort >= count && count > table->fixed) {
		while (count > table->fixed && used + table->columns[sort].width > width)
			used -= table->columns[shown[--count]].width;
		shown[count++] = sort;
	}
	return count;
}

static bool is_falling(const struct table *table, const struct panel_place *place)
{
	return (table->columns[place->sort].kind == TABLE_NUMBER) != place->reversed;
}

static void draw_head(struct area area, const struct table *table, const struct panel_place *place, const int *shown,
	int count)
{
	area_fill(area, 0, 0, area.width, STYLE_COLUMN_HEAD);
	for (int i = 0, x = 0; i < count; i++) {
		const struct table_column *column = &table->columns[shown[i]];
		bool sorted = place->sorts > 0 && shown[i] == place->sort, right = column->kind == TABLE_NUMBER;
		enum style style = sorted ? STYLE_COLUMN_SORTED : STYLE_COLUMN_HEAD;
		area_fill(area, x, 0, column->width, style);
		if (right)
			area_right(area, x + column->width, 0, style, column->head);
		else
			area_text(area, x + 1, 0, style, column->head);
		if (sorted)
			area_glyph(area, right ? x + column->width - area_columns(column->head) - 1 : x, 0, style,
				is_falling(table, place) ? GLYPH_DOWN : GLYPH_UP);
		x += column->width;
	}
}

static void draw_row(struct area area, int y, const struct table *table, const struct watch *watch, const void *row,
	const int *shown, int count)
{
	char text[TABLE_TEXT];
	for (int i = 0, x = 0; i < count; i++) {
		const struct table_column *column = &table->columns[shown[i]];
		/* The last column has what is left of the row, if it is words. */
		int width = i == count - 1 && column->kind != TABLE_NUMBER ? area.width - x : column->width;
		struct area cell = area_part(area, x, y, width, 1);
		enum style style = table->style(watch, row, shown[i]);
		table->text(watch, row, shown[i], text);
		if (column->kind == TABLE_NUMBER)
			area_right(cell, column->width, 0, style, text);
		else
			area_text(cell, 1, 0, style, text);
		x += column->width;
	}
}

/* qsort brings no argument to its comparison; the viewer has one thread. */
static struct {
	const struct table *table;
	const struct watch *watch;
	int column;
	bool falling;
} order;

struct item {
	const void *row;
	double number;
	size_t place;
};

static int compare(const void *a, const void *b)
{
	const struct item *left = a, *right = b;
	int rising = left->number < right->number ? -1 : left->number > right->number; /* NaN equals everything */
	if (order.table->columns[order.column].kind == TABLE_WORDS) {
		char one[TABLE_TEXT], other[TABLE_TEXT];
		order.table->text(order.watch, left->row, order.column, one);
		order.table->text(order.watch, right->row, order.column, other);
		rising = strcmp(one, other);
	}
	if (rising == 0)
		return (left->place > right->place) - (left->place < right->place);
	return order.falling ? -rising : rising;
}

/* All cells of a row, for filter and search. */
static const char *words_of(const struct table *table, const struct watch *watch, const void *row, char *out,
	size_t size)
{
	size_t length = 0;
	for (int i = 0; i < table->count && length + TABLE_TEXT < size; i++) {
		table->text(watch, row, i, out + length);
		length += strlen(out + length);
		out[length++] = ' ';
	}
	out[length] = '\0';
	return out;
}

static bool matches(const struct table *table, const struct watch *watch, const void *row, const char *wanted)
{
	char words[TABLE_TEXT * (TABLE_COLUMNS_MAX + 1)];
	return *wanted == '\0' || panel_matches(words_of(table, watch, row, words, sizeof(words)), wanted);
}

/* The rows that pass the filter, in order. */
static size_t collect(const struct table *table, const struct watch *watch, const struct panel_place *place,
	struct item *items, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		const void *row = table->row(watch, i);
		double number = place->sorts > 0 ? table->number(watch, row, place->sort) : 0;
		if (matches(table, watch, row, place->filter))
			items[kept++] = (struct item){row, number, i};
	}
	if (!table->unordered && kept > 1) {
		order.table = table;
		order.watch = watch;
		order.column = place->sort;
		order.falling = is_falling(table, place);
		qsort(items, kept, sizeof(*items), compare);
	}
	return kept;
}

const void *table_draw(struct area area, const struct panel *panel, const struct table *table,
	const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	int shown[TABLE_COLUMNS_MAX] = {0};
	int columns = choose_columns(table, place, area.width, shown);
	size_t count = table->rows(watch);
	struct item *items = calloc(count + 1, sizeof(*items));
	if (items == NULL)
		return NULL;
	count = collect(table, watch, place, items, count);
	for (int from; (from = panel_find(place, (int)count)) >= 0;) {
		if (matches(table, watch, items[from].row, place->find))
			panel_found(place, from);
	}
	place->head = 0;
	place->body = 1;
	panel_scroll(panel, place, (int)count, area.height - 1);
	draw_head(area, table, place, shown, columns);
	for (int i = 0; i < place->page && place->first + i < (int)count; i++)
		draw_row(area, 1 + i, table, watch, items[place->first + i].row, shown, columns);
	if (count == 0)
		area_text(area, 1, 2, STYLE_FAINT, *place->filter != '\0' ? "Nothing passes the filter." : table->nothing);
	if (with_cursor && count > 0)
		area_reverse(area, 0, 1 + place->row - place->first, area.width);
	const void *row = count > 0 ? items[place->row].row : NULL;
	free(items);
	return row;
}

int table_column_at(const struct table *table, const struct panel_place *place, int width, int x)
{
	int shown[TABLE_COLUMNS_MAX] = {0};
	int count = choose_columns(table, place, width, shown);
	for (int i = 0, left = 0; i < count; i++) {
		if (x >= left && x < left + table->columns[shown[i]].width)
			return shown[i];
		left += table->columns[shown[i]].width;
	}
	return -1;
}
