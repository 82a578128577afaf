/* panel_threads.c: the table of threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/panel.h"

enum column { COLUMN_TID, COLUMN_NAME, COLUMN_CACHED, COLUMN_ALLOCS, COLUMN_FREES, COLUMN_BALANCE, COLUMN_COUNT };

static const struct table_column columns[COLUMN_COUNT] = {
	[COLUMN_TID] = {"Thread", 9, true}, [COLUMN_NAME] = {" Name", 18, false}, [COLUMN_CACHED] = {"Cached", 9, true},
	[COLUMN_ALLOCS] = {"Allocs", 10, true}, [COLUMN_FREES] = {"Frees", 10, true},
	[COLUMN_BALANCE] = {"Kept", 9, true},
};

static double value(const struct thread_row *thread, int column)
{
	switch (column) {
	case COLUMN_CACHED: return (double)thread->cached_bytes;
	case COLUMN_ALLOCS: return (double)thread->allocs;
	case COLUMN_FREES: return (double)thread->frees;
	case COLUMN_BALANCE: return (double)thread->allocs - (double)thread->frees;
	default: return (double)thread->tid;
	}
}

/* qsort brings no argument to its comparison; the viewer has one thread. */
static struct {
	int column;
	bool falling;
} order;

static int compare(const void *a, const void *b)
{
	const struct thread_row *left = *(const struct thread_row *const *)a,
		*right = *(const struct thread_row *const *)b;
	double x = value(left, order.column), y = value(right, order.column);
	int rising = order.column == COLUMN_NAME ? strcmp(left->name, right->name) : (x > y) - (x < y);
	if (rising == 0)
		return (left->tid > right->tid) - (left->tid < right->tid);
	return order.falling ? -rising : rising;
}

/* A thread that frees what others allocated has more frees than allocations. */
static void draw_balance(struct area area, int y, const struct thread_row *thread)
{
	char text[FORMAT_MAX + 1] = "-";
	bool negative = thread->frees > thread->allocs;
	format_count(text + negative, negative ? thread->frees - thread->allocs : thread->allocs - thread->frees);
	table_cell(area, y, columns, COLUMN_BALANCE, STYLE_NORMAL, text);
}

static void draw_row(struct area area, int y, const struct thread_row *thread)
{
	char text[FORMAT_MAX];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)thread->tid);
	table_cell(area, y, columns, COLUMN_TID, STYLE_NORMAL, text);
	size_t fit = table_fit(columns, COLUMN_COUNT, area.width);
	if (fit > COLUMN_CACHED)
		table_cell(area, y, columns, COLUMN_CACHED, STYLE_CACHED, format_bytes(text, thread->cached_bytes));
	if (fit > COLUMN_ALLOCS)
		table_cell(area, y, columns, COLUMN_ALLOCS, STYLE_NORMAL, format_count(text, thread->allocs));
	if (fit > COLUMN_FREES)
		table_cell(area, y, columns, COLUMN_FREES, STYLE_NORMAL, format_count(text, thread->frees));
	if (fit > COLUMN_BALANCE)
		draw_balance(area, y, thread);
	int x = columns[COLUMN_TID].width + 2;
	area_text(area_part(area, x, y, columns[COLUMN_NAME].width - 2, 1), 0, 0, STYLE_STRONG, thread->name);
}

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	if (draw_waiting(area, watch))
		return;
	size_t count = watch->snapshot->thread_count;
	const struct thread_row **rows = malloc((count + 1) * sizeof(const struct thread_row *));
	if (rows == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		rows[i] = &watch->snapshot->threads[i];
	order.column = place->sort;
	order.falling = place->sort >= COLUMN_CACHED ? !place->reversed : place->reversed;
	qsort(rows, count, sizeof(const struct thread_row *), compare);
	place->head = 0;
	place->body = 1;
	panel_scroll(&panel_threads, place, (int)count, area.height - 1);
	table_head(area, 0, columns, table_fit(columns, COLUMN_COUNT, area.width), place);
	for (int i = 0; i < place->page && place->first + i < (int)count; i++)
		draw_row(area, 1 + i, rows[place->first + i]);
	if (with_cursor && count > 0)
		area_reverse(area, 0, 1 + place->row - place->first, area.width);
	free(rows);
}

static int column_at(int x)
{
	return table_column_at(columns, COLUMN_COUNT, x);
}

const struct panel panel_threads = {
	.sorts = COLUMN_COUNT, .first_sort = COLUMN_CACHED, .draw = draw, .column_at = column_at,
};
