/* panel_classes.c: the table of size classes. */
#include <stdio.h>

#include "viewer/format.h"
#include "viewer/panel.h"
#include "viewer/slots.h"
#include "viewer/table.h"

enum column {
	COLUMN_CLASS, COLUMN_SIZE, COLUMN_LIVE, COLUMN_SLACK, COLUMN_USE, COLUMN_BLOCKS, COLUMN_CACHED, COLUMN_SLABS,
	COLUMN_EMPTY, COLUMN_ALLOCS, COLUMN_FREES, COLUMN_STAGE1, COLUMN_STAGE2, COLUMN_STAGE3, COLUMN_PEAK,
	COLUMN_TOTAL, COLUMN_COUNT
};

static const struct table_column columns[COLUMN_COUNT] = {
	[COLUMN_CLASS] = {"Class", 7, TABLE_NAME}, [COLUMN_SIZE] = {"Size", 6, TABLE_NUMBER},
	[COLUMN_LIVE] = {"Live", 7, TABLE_NUMBER}, [COLUMN_SLACK] = {"Slack", 7, TABLE_NUMBER},
	[COLUMN_USE] = {"Use%", 6, TABLE_NUMBER}, [COLUMN_BLOCKS] = {"Blocks", 8, TABLE_NUMBER},
	[COLUMN_CACHED] = {"Cached", 8, TABLE_NUMBER}, [COLUMN_SLABS] = {"Slabs", 7, TABLE_NUMBER},
	[COLUMN_EMPTY] = {"Empty", 7, TABLE_NUMBER}, [COLUMN_ALLOCS] = {"Allocs/s", 10, TABLE_NUMBER},
	[COLUMN_FREES] = {"Frees/s", 9, TABLE_NUMBER}, [COLUMN_STAGE1] = {"Stage1", 8, TABLE_NUMBER},
	[COLUMN_STAGE2] = {"Stage2", 8, TABLE_NUMBER}, [COLUMN_STAGE3] = {"Stage3", 8, TABLE_NUMBER},
	[COLUMN_PEAK] = {"Peak", 6, TABLE_NUMBER}, [COLUMN_TOTAL] = {"Allocs", 8, TABLE_NUMBER},
};

static uint64_t live(const struct class_row *class)
{
	return class->live_blocks * class->block_bytes;
}

/* Of the bytes in the class's slabs, those that are live. */
static double use(const struct watch *watch, const struct class_row *class)
{
	uint64_t held = live(class) + class->cached_blocks * class->block_bytes + class_slack(watch->snapshot, class);
	return held > 0 ? (double)live(class) / (double)held : -1;
}

static double number(const struct watch *watch, const void *row, int column)
{
	const struct class_row *class = row;
	switch (column) {
	case COLUMN_SIZE: return (double)class->block_bytes;
	case COLUMN_LIVE: return (double)live(class);
	case COLUMN_SLACK: return (double)class_slack(watch->snapshot, class);
	case COLUMN_USE: return use(watch, class);
	case COLUMN_BLOCKS: return (double)class->live_blocks;
	case COLUMN_CACHED: return (double)class->cached_blocks;
	case COLUMN_SLABS: return (double)class->slabs;
	case COLUMN_EMPTY: return (double)class->empty_slots;
	case COLUMN_ALLOCS: return watch->rates.known ? watch->rates.class_allocs[class->class] : -1;
	case COLUMN_FREES: return watch->rates.known ? watch->rates.class_frees[class->class] : -1;
	case COLUMN_STAGE1: return (double)class->stage1;
	case COLUMN_STAGE2: return (double)class->stage2;
	case COLUMN_STAGE3: return (double)class->stage3;
	case COLUMN_PEAK: return (double)class->free_list_peak;
	case COLUMN_TOTAL: return (double)class->allocs;
	default: return (double)class->class;
	}
}

static void text(const struct watch *watch, const void *row, int column, char *out)
{
	const struct class_row *class = row;
	double value = number(watch, row, column);
	switch (column) {
	case COLUMN_CLASS:
		/* The letter is the one that the slot map shows. */
		snprintf(out, TABLE_TEXT, "%c C%llu", class_symbol((unsigned)class->class),
			(unsigned long long)class->class);
		return;
	case COLUMN_SIZE: snprintf(out, TABLE_TEXT, "%llu", (unsigned long long)class->block_bytes); return;
	case COLUMN_LIVE:
	case COLUMN_SLACK: format_bytes(out, (uint64_t)value); return;
	case COLUMN_USE:
		if (value < 0)
			snprintf(out, TABLE_TEXT, "-");
		else
			snprintf(out, TABLE_TEXT, "%.0f", 100 * value);
		return;
	case COLUMN_ALLOCS:
	case COLUMN_FREES: format_rate(out, value); return;
	default: format_count(out, (uint64_t)value); return;
	}
}

static enum style style(const struct watch *watch, const void *row, int column)
{
	const struct class_row *class = row;
	if (column == COLUMN_CLASS)
		return style_of_size(class->block_bytes);
	if (class->allocs == 0 || (column != COLUMN_SIZE && !(number(watch, row, column) > 0)))
		return STYLE_FAINT;
	return column == COLUMN_LIVE ? STYLE_STRONG : column == COLUMN_SLACK ? STYLE_SLACK : STYLE_NORMAL;
}

static size_t rows(const struct watch *watch)
{
	return watch->snapshot->class_count;
}

static const void *row_at(const struct watch *watch, size_t i)
{
	return &watch->snapshot->classes[i];
}

static const struct table table = {
	.columns = columns, .count = COLUMN_COUNT, .fixed = 2, .rows = rows, .row = row_at, .number = number, .text = text,
	.style = style, .nothing = "No classes.",
};

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	if (!draw_waiting(area, watch))
		table_draw(area, &panel_classes, &table, watch, place, with_cursor);
}

static int column_at(const struct panel_place *place, int width, int x)
{
	return table_column_at(&table, place, width, x);
}

static const char *column_name(int column)
{
	return columns[column].head;
}

const struct panel panel_classes = {
	.sorts = COLUMN_COUNT, .first_sort = COLUMN_LIVE, .keys = KEY_FINDS | KEY_FILTERS, .draw = draw,
	.column_at = column_at, .column_name = column_name,
};
