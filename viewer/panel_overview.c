/* panel_overview.c: the heap at a glance. Also what a batch frame shows. */
#include <stdio.h>
#include <stdlib.h>

#include "viewer/format.h"
#include "viewer/panel.h"

#define LABEL_WIDTH 9

static int legend(struct area area, int x, int y, enum style style, enum glyph glyph, const char *name,
	const char *value)
{
	/* A legend that would be cut off says less than none. */
	if (x + 4 + area_columns(name) + area_columns(value) > area.width)
		return x;
	area_glyph(area, x, y, style, glyph);
	x = area_text(area, x + 2, y, STYLE_NORMAL, name);
	return area_text(area, x + 1, y, STYLE_STRONG, value) + 3;
}

static int draw_memory(struct area area, int y, const struct snapshot *snapshot)
{
	char text[FORMAT_MAX];
	int width = area.width - LABEL_WIDTH - 17;
	area_text(area, 0, y, STYLE_LABEL, "Memory");
	if (width >= 8)
		draw_memory_bar(area, LABEL_WIDTH, y, width, snapshot);
	else
		width = -1;
	int x = area_text(area, LABEL_WIDTH + width + 1, y, STYLE_STRONG,
		format_bytes(text, snapshot->memory.committed_bytes));
	area_text(area, x + 1, y, STYLE_NORMAL, "committed");
	x = legend(area, LABEL_WIDTH, y + 1, STYLE_LIVE, GLYPH_FULL, "live",
		format_bytes(text, snapshot->memory.live_bytes));
	x = legend(area, x, y + 1, STYLE_CACHED, GLYPH_DARK, "cached",
		format_bytes(text, snapshot->memory.cached_bytes));
	x = legend(area, x, y + 1, STYLE_SLACK, GLYPH_MEDIUM, "slack",
		format_bytes(text, snapshot->memory.slack_bytes));
	legend(area, x, y + 1, STYLE_IDLE, GLYPH_LIGHT, "idle",
		format_bytes(text, snapshot_totals(snapshot).idle_bytes));
	return y + 2;
}

/* A figure with its course: Allocs 1.24M/s ▁▃▅▇ 12.3M in all. */
static int draw_course(struct area area, int y, const char *label, enum style style, const char *now, const char *after,
	const double *values, size_t count)
{
	int left = LABEL_WIDTH + 9, right = area.width - 17;
	area_text(area, 0, y, STYLE_LABEL, label);
	area_text(area, LABEL_WIDTH, y, STYLE_STRONG, now);
	if (right - left >= 8)
		area_spark(area, left, y, right - left, style, values, count, 0);
	area_text(area, right - left >= 8 ? right + 1 : left, y, STYLE_NORMAL, after);
	return y + 1;
}

static int draw_rates(struct area area, int y, const struct watch *watch)
{
	const struct history *history = &watch->history;
	const struct snapshot *snapshot = watch->snapshot;
	struct totals totals = snapshot_totals(snapshot);
	char now[FORMAT_MAX], count[FORMAT_MAX], after[64];
	snprintf(after, sizeof(after), "%s in all", format_count(count, totals.allocs));
	y = draw_course(area, y, "Allocs", STYLE_ALLOC, format_rate(now, watch->rates.known ? watch->rates.allocs : -1),
		after,
		history->allocs, history->count);
	snprintf(after, sizeof(after), "%s in all", format_count(count, totals.frees));
	y = draw_course(area, y, "Frees", STYLE_FREE, format_rate(now, watch->rates.known ? watch->rates.frees : -1),
		after,
		history->frees, history->count);
	/* A first frame has no course yet; its rates need a word, in the room that the course will take. */
	if (watch->rates_are_means && watch->rates.known) {
		area_text(area, LABEL_WIDTH + 10, y - 2, STYLE_FAINT, "mean since the start");
		area_text(area, LABEL_WIDTH + 10, y - 1, STYLE_FAINT, "mean since the start");
	}
	snprintf(after, sizeof(after), "%s resident", format_bytes(count, snapshot->memory.resident_bytes));
	return draw_course(area, y, "Live", STYLE_LIVE, format_bytes(now, snapshot->memory.live_bytes), after,
		history->live,
		history->count);
}

static int draw_stages(struct area area, int y, const struct snapshot *snapshot)
{
	char text[FORMAT_MAX];
	uint64_t all = snapshot_totals(snapshot).acquires;
	area_text(area, 0, y, STYLE_LABEL, "Slabs");
	draw_stage_bar(area, LABEL_WIDTH, y, area.width - LABEL_WIDTH - 17, snapshot, false);
	int x = area.width - LABEL_WIDTH - 17 >= 8 ? area.width - 16 : LABEL_WIDTH;
	x = area_text(area, x, y, STYLE_STRONG, format_count(text, all));
	area_text(area, x + 1, y, STYLE_NORMAL, "acquired");
	x = legend(area, LABEL_WIDTH, y + 1, STYLE_STAGE1, GLYPH_DARK, "stage 1",
		format_percent(text, snapshot->stages.stage1, all));
	x = legend(area, x, y + 1, STYLE_STAGE2, GLYPH_MEDIUM, "stage 2",
		format_percent(text, snapshot->stages.stage2, all));
	x = legend(area, x, y + 1, STYLE_STAGE3, GLYPH_LIGHT, "stage 3",
		format_percent(text, snapshot->stages.stage3, all));
	legend(area, x, y + 1, STYLE_DEPOT, GLYPH_DOT, "depot served", format_count(text, snapshot->stages.depot));
	return y + 2;
}

static int draw_pool(struct area area, int y, const struct snapshot *snapshot)
{
	char releases[FORMAT_MAX], empty[FORMAT_MAX];
	area_text(area, 0, y, STYLE_LABEL, "Pool");
	area_printf(area, LABEL_WIDTH, y, STYLE_NORMAL,
		"%llu SuperSlabs   %s slots EMPTY   LRU %llu/%llu   %s releases",
		(unsigned long long)snapshot->pool.superslabs, format_count(empty, snapshot->pool.empty_slots),
		(unsigned long long)snapshot->lru.length, (unsigned long long)snapshot->lru.capacity,
		format_count(releases, snapshot->pool.releases));
	return y + 1;
}

/* As many SuperSlabs as fit into `rows` rows, side by side. */
static int draw_map(struct area area, int y, int rows, const struct snapshot *snapshot)
{
	int each = MODEL_SLOTS + 8, across = (area.width + 2) / each;
	if (across < 1)
		across = 1;
	size_t room = (size_t)rows * (size_t)across, shown = snapshot->superslab_count < room ?
		snapshot->superslab_count : room;
	char title[96];
	snprintf(title, sizeof(title), shown < snapshot->superslab_count ?
		"Slot map (%zu of %zu SuperSlabs)" : "Slot map", shown,
		snapshot->superslab_count);
	area_heading(area, y++, title);
	size_t used_rows = (shown + (size_t)across - 1) / (size_t)across;
	for (size_t i = 0; i < shown; i++) {
		const struct superslab *superslab = &snapshot->superslabs[i];
		int x = (int)(i / used_rows) * each, row = y + (int)(i % used_rows);
		area_printf(area, x, row, STYLE_FAINT, "%4llu%s", (unsigned long long)superslab->index,
			superslab->in_lru ? "L" : "");
		for (unsigned slot = 0; slot < MODEL_SLOTS; slot++)
			draw_slot(area, x + 6 + (int)slot, row, 1, SLOT_BY_FILL, snapshot, superslab, slot);
	}
	return y + (int)used_rows;
}

/* A row of the table: a class, or all large allocations together, which have none. */
struct top {
	const struct class_row *class;
	uint64_t live;
};

static int by_live(const void *a, const void *b)
{
	const struct top *left = a, *right = b;
	return (left->live < right->live) - (left->live > right->live);
}

static size_t collect_top(const struct snapshot *snapshot, struct top top[MODEL_CLASSES_MAX + 1])
{
	size_t count = 0;
	for (size_t i = 0; i < snapshot->class_count; i++) {
		const struct class_row *class = &snapshot->classes[i];
		if (class->live_blocks > 0)
			top[count++] = (struct top){class, class->live_blocks * class->block_bytes};
	}
	if (snapshot->memory.large_bytes > 0)
		top[count++] = (struct top){NULL, snapshot->memory.large_bytes};
	qsort(top, count, sizeof(top[0]), by_live);
	return count;
}

static void draw_top_row(struct area area, int y, const struct watch *watch, const struct top *top, uint64_t most)
{
	const struct class_row *class = top->class;
	enum style style = class != NULL ? style_of_size(class->block_bytes) : STYLE_LARGE;
	char bytes[FORMAT_MAX], blocks[FORMAT_MAX], cached[FORMAT_MAX], allocs[FORMAT_MAX];
	area_put(area, 1, y, style, (uint32_t)class_symbol(class != NULL ? (unsigned)class->class : SLOT_NO_CLASS));
	area_printf(area, 15, y, STYLE_STRONG, "%7s", format_bytes(bytes, top->live));
	if (class == NULL) {
		area_text(area, 3, y, STYLE_NORMAL, "large");
	} else {
		area_printf(area, 3, y, STYLE_NORMAL, "C%-2llu %5lluB", (unsigned long long)class->class,
			(unsigned long long)class->block_bytes);
		area_printf(area, 22, y, STYLE_NORMAL, " %7s %7s %6llu %8s", format_count(blocks, class->live_blocks),
			format_count(cached, class->cached_blocks), (unsigned long long)class->slabs,
			format_rate(allocs, watch->rates.known ? watch->rates.class_allocs[class->class] : -1));
	}
	int width = area.width - 58 < 60 ? area.width - 58 : 60;
	const struct bar_part part = {(double)top->live / (double)most, style, GLYPH_FULL};
	area_bar(area, 57, y, width, &part, 1);
}

static void draw_top_classes(struct area area, int y, int rows, const struct watch *watch)
{
	struct top top[MODEL_CLASSES_MAX + 1];
	size_t count = collect_top(watch->snapshot, top);
	area_heading(area, y, "Top classes");
	area_text(area, 15, y, STYLE_FAINT, "   live  blocks  cached  slabs   allocs ");
	for (int i = 0; i < rows && i < (int)count; i++)
		draw_top_row(area, y + 1 + i, watch, &top[i], top[0].live);
}

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	(void)place;
	(void)with_cursor;
	if (draw_waiting(area, watch))
		return;
	const struct snapshot *snapshot = watch->snapshot;
	int y = draw_memory(area, 0, snapshot);
	y = draw_rates(area, y, watch);
	y = draw_stages(area, y, snapshot);
	y = draw_pool(area, y, snapshot);
	bool spacious = area.height >= 24;
	y += spacious;
	/* What is left is shared: the map gets what it needs, but leaves the table a third. */
	int left = area.height - y, across = (area.width + 2) / (MODEL_SLOTS + 8);
	int wanted = 1 + (int)((snapshot->superslab_count + (size_t)(across > 0 ?
		across : 1) - 1) / (size_t)(across > 0 ? across : 1));
	int table = left / 3 > 4 ? left / 3 : left >= 8 ? 4 : 0;
	int map = left - table < wanted ? left - table : wanted;
	if (map >= 2)
		y = draw_map(area, y, map - 1, snapshot);
	y += spacious;
	if (area.height - y >= 2)
		draw_top_classes(area, y, area.height - y - 1, watch);
}

const struct panel panel_overview = {
	.draw = draw,
};
