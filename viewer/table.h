/* table.h: panels that are tables: columns, order, filter, search, and the cursor's row. */
#ifndef VIEWER_TABLE_H
#define VIEWER_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "viewer/canvas.h"
#include "viewer/panel.h"
#include "viewer/watch.h"

#define TABLE_TEXT 256
#define TABLE_COLUMNS_MAX 24

enum table_kind {
	TABLE_WORDS,  /* left-aligned, ordered by its text */
	TABLE_NAME,   /* left-aligned, ordered by its number */
	TABLE_NUMBER, /* right-aligned, ordered by its number, the largest first */
};

struct table_column {
	const char *head;
	int width; /* with the blank that separates it from its left neighbour */
	enum table_kind kind;
};

struct table {
	const struct table_column *columns;
	int count;
	int fixed; /* these columns are always shown; of the others, as many as fit, among them the one that rows are
	            * ordered by */
	bool unordered; /* rows stay in the order that they come in */
	size_t (*rows)(const struct watch *watch);
	const void *(*row)(const struct watch *watch, size_t i);
	/* What rows are ordered by. */
	double (*number)(const struct watch *watch, const void *row, int column);
	/* What a cell shows, and how. `out` has TABLE_TEXT bytes. */
	void (*text)(const struct watch *watch, const void *row, int column, char *out);
	enum style (*style)(const struct watch *watch, const void *row, int column);
	const char *nothing; /* said where there is no row */
};

/* Draws the table in the order, with the filter and to the search that `place` asks for. Returns the row under the
 * cursor, NULL if there is none. */
const void *table_draw(struct area area, const struct panel *panel, const struct table *table,
	const struct watch *watch, struct panel_place *place, bool with_cursor);
/* The column at x of an area of that width; -1: none. */
int table_column_at(const struct table *table, const struct panel_place *place, int width, int x);

#endif
