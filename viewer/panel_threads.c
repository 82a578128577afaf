/* panel_threads.c: the threads that allocate, and what they keep. */
#include <stdio.h>

#include "viewer/format.h"
#include "viewer/panel.h"
#include "viewer/table.h"

enum column {
	COLUMN_TID, COLUMN_NAME, COLUMN_CACHED, COLUMN_ALLOC_RATE, COLUMN_FREE_RATE, COLUMN_ALLOCS, COLUMN_FREES,
	COLUMN_BALANCE, COLUMN_COUNT
};

static const struct table_column columns[COLUMN_COUNT] = {
	[COLUMN_TID] = {"Thread", 9, TABLE_NAME}, [COLUMN_NAME] = {"Name", 17, TABLE_WORDS},
	[COLUMN_CACHED] = {"Cached", 8, TABLE_NUMBER}, [COLUMN_ALLOC_RATE] = {"Allocs/s", 10, TABLE_NUMBER},
	[COLUMN_FREE_RATE] = {"Frees/s", 9, TABLE_NUMBER}, [COLUMN_ALLOCS] = {"Allocs", 8, TABLE_NUMBER},
	[COLUMN_FREES] = {"Frees", 8, TABLE_NUMBER}, [COLUMN_BALANCE] = {"Balance", 9, TABLE_NUMBER},
};

/* A thread that frees what others allocated has more frees than allocations. */
static double balance(const struct thread_row *thread)
{
	return (double)thread->allocs - (double)thread->frees;
}

static double number(const struct watch *watch, const void *row, int column)
{
	const struct thread_row *thread = row;
	(void)watch;
	switch (column) {
	case COLUMN_CACHED: return (double)thread->cached_bytes;
	case COLUMN_ALLOC_RATE: return thread->alloc_rate;
	case COLUMN_FREE_RATE: return thread->free_rate;
	case COLUMN_ALLOCS: return (double)thread->allocs;
	case COLUMN_FREES: return (double)thread->frees;
	case COLUMN_BALANCE: return balance(thread);
	default: return (double)thread->tid;
	}
}

static void text(const struct watch *watch, const void *row, int column, char *out)
{
	const struct thread_row *thread = row;
	double value = number(watch, row, column);
	switch (column) {
	case COLUMN_TID: snprintf(out, TABLE_TEXT, "%7llu", (unsigned long long)thread->tid); return;
	case COLUMN_NAME: snprintf(out, TABLE_TEXT, "%s", thread->name); return;
	case COLUMN_CACHED: format_bytes(out, thread->cached_bytes); return;
	case COLUMN_ALLOC_RATE:
	case COLUMN_FREE_RATE: format_rate(out, value); return;
	case COLUMN_BALANCE:
		out[0] = '-';
		format_count(out + (value < 0), (uint64_t)(value < 0 ? -value : value));
		return;
	default: format_count(out, (uint64_t)value); return;
	}
}

static enum style style(const struct watch *watch, const void *row, int column)
{
	if (column == COLUMN_NAME)
		return STYLE_STRONG;
	if (column != COLUMN_TID && column != COLUMN_BALANCE && !(number(watch, row, column) > 0))
		return STYLE_FAINT;
	return column == COLUMN_CACHED ? STYLE_CACHED : STYLE_NORMAL;
}

static size_t rows(const struct watch *watch)
{
	return watch->snapshot->thread_count;
}

static const void *row_at(const struct watch *watch, size_t i)
{
	return &watch->snapshot->threads[i];
}

static const struct table table = {
	.columns = columns, .count = COLUMN_COUNT, .fixed = 2, .rows = rows, .row = row_at, .number = number, .text = text,
	.style = style, .nothing = "No thread has allocated yet.",
};

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	if (!draw_waiting(area, watch))
		table_draw(area, &panel_threads, &table, watch, place, with_cursor);
}

static int column_at(const struct panel_place *place, int width, int x)
{
	return table_column_at(&table, place, width, x);
}

static const char *column_name(int column)
{
	return columns[column].head;
}

const struct panel panel_threads = {
	.sorts = COLUMN_COUNT, .first_sort = COLUMN_CACHED, .keys = KEY_FINDS | KEY_FILTERS, .draw = draw,
	.column_at = column_at, .column_name = column_name,
};
