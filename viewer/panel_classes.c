/* panel_classes.c: the table of size classes. */
#include <stdio.h>
#include <stdlib.h>

#include "viewer/format.h"
#include "viewer/panel.h"

enum column {
	COLUMN_CLASS, COLUMN_SIZE, COLUMN_LIVE, COLUMN_BLOCKS, COLUMN_CACHED, COLUMN_SLABS, COLUMN_EMPTY, COLUMN_ALLOCS,
	COLUMN_FREES, COLUMN_STAGE1, COLUMN_STAGE2, COLUMN_STAGE3, COLUMN_PEAK, COLUMN_TOTAL, COLUMN_COUNT
};

static const struct table_column columns[COLUMN_COUNT] = {
	[COLUMN_CLASS] = {"Class", 7, false}, [COLUMN_SIZE] = {"Size", 6, true}, [COLUMN_LIVE] = {"Live", 7, true},
	[COLUMN_BLOCKS] = {"Blocks", 8, true}, [COLUMN_CACHED] = {"Cached", 8, true},
	[COLUMN_SLABS] = {"Slabs", 7, true},
	[COLUMN_EMPTY] = {"Empty", 7, true}, [COLUMN_ALLOCS] = {"Allocs/s", 10, true},
	[COLUMN_FREES] = {"Frees/s", 9, true},
	[COLUMN_STAGE1] = {"Stage1", 8, true}, [COLUMN_STAGE2] = {"Stage2", 8, true},
	[COLUMN_STAGE3] = {"Stage3", 8, true},
	[COLUMN_PEAK] = {"Peak", 6, true}, [COLUMN_TOTAL] = {"Allocs", 8, true},
};

static double value(const struct watch *watch, const struct class_row *class, int column)
{
	switch (column) {
	case COLUMN_LIVE: return (double)class->live_blocks * (double)class->block_bytes;
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
	case COLUMN_SIZE: return (double)class->block_bytes;
	default: return (double)class->class;
	}
}

/* qsort brings no argument to its comparison; the viewer has one thread. */
static struct {
	const struct watch *watch;
	int column;
	bool falling;
} order;

static int compare(const void *a, const void *b)
{
	const struct class_row *left = *(const struct class_row *const *)a,
		*right = *(const struct class_row *const *)b;
	double x = value(order.watch, left, order.column), y = value(order.watch, right, order.column);
	int rising = x < y ? -1 : x > y ? 1 : 0; /* a NaN rate is equal to everything, and then the class decides */
	if (rising == 0)
		return (left->class > right->class) - (left->class < right->class);
	return order.falling ? -rising : rising;
}

static void draw_row(struct area area, int y, const struct watch *watch, const struct class_row *class)
{
	enum style style = style_of_size(class->block_bytes);
	char text[FORMAT_MAX];
	enum style faint = class->allocs == 0 ? STYLE_FAINT : STYLE_NORMAL;
	area_put(area, 1, y, style, (uint32_t)class_symbol((unsigned)class->class));
	area_printf(area, 3, y, faint, "C%llu", (unsigned long long)class->class);
	int fit = (int)table_fit(columns, COLUMN_COUNT, area.width);
	for (int i = COLUMN_SIZE; i < fit; i++) {
		double number = value(watch, class, i);
		if (i == COLUMN_SIZE)
			snprintf(text, sizeof(text), "%llu", (unsigned long long)class->block_bytes);
		else if (i == COLUMN_LIVE)
			format_bytes(text, class->live_blocks * class->block_bytes);
		else if (i == COLUMN_ALLOCS || i == COLUMN_FREES)
			format_rate(text, number);
		else
			format_count(text, (uint64_t)number);
		table_cell(area, y, columns, (size_t)i, number == 0 ? STYLE_FAINT : i == COLUMN_LIVE ?
			STYLE_STRONG : faint, text);
	}
}

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	const struct class_row *rows[MODEL_CLASSES_MAX];
	if (draw_waiting(area, watch))
		return;
	size_t count = watch->snapshot->class_count;
	for (size_t i = 0; i < count; i++)
		rows[i] = &watch->snapshot->classes[i];
	order.watch = watch;
	order.column = place->sort;
	order.falling = place->sort > COLUMN_SIZE ? !place->reversed : place->reversed;
	qsort(rows, count, sizeof(const struct class_row *), compare);
	place->head = 0;
	place->body = 1;
	panel_scroll(&panel_classes, place, (int)count, area.height - 1);
	table_head(area, 0, columns, table_fit(columns, COLUMN_COUNT, area.width), place);
	for (int i = 0; i < place->page && place->first + i < (int)count; i++)
		draw_row(area, 1 + i, watch, rows[place->first + i]);
	if (with_cursor && count > 0)
		area_reverse(area, 0, 1 + place->row - place->first, area.width);
}

static int column_at(int x)
{
	return table_column_at(columns, COLUMN_COUNT, x);
}

const struct panel panel_classes = {
	.sorts = COLUMN_COUNT, .first_sort = COLUMN_LIVE, .draw = draw, .column_at = column_at,
};
