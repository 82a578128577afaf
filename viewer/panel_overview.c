/* panel_overview.c: the heap at a glance. Also what a batch frame shows. */
#include <stdio.h>
#include <stdlib.h>

#include "viewer/format.h"
#include "viewer/guard_report.h"
#include "viewer/panel.h"
#include "viewer/slots.h"

#define LABEL_WIDTH 9
#define AFTER_WIDTH 17 /* what stands behind a bar or a sparkline */
#define TALL 30        /* rows from which there is room for more courses */

static int legend(struct area area, int x, int y, enum style style, enum glyph glyph, const char *name,
	const char *value)
{
	/* A legend that would be cut off says less than none. */
	if (x + 3 + area_columns(name) + area_columns(value) > area.width)
		return x;
	area_glyph(area, x, y, style, glyph);
	x = area_text(area, x + 2, y, STYLE_NORMAL, name);
	return area_text(area, x + 1, y, STYLE_STRONG, value) + 2;
}

static int draw_memory(struct area area, int y, const struct snapshot *snapshot)
{
	char text[FORMAT_MAX];
	int width = area.width - LABEL_WIDTH - AFTER_WIDTH;
	struct totals totals = snapshot_totals(snapshot);
	area_text(area, 0, y, STYLE_LABEL, "Memory");
	if (width >= 8)
		draw_memory_bar(area, LABEL_WIDTH, y, width, snapshot);
	else
		width = -1;
	int x = area_text(area, LABEL_WIDTH + width + 1, y, STYLE_STRONG,
		format_bytes(text, snapshot->memory.committed_bytes));
	area_text(area, x + 1, y, STYLE_NORMAL, "committed");
	/* On a narrow terminal a second row has what the first one has no room for. */
	bool narrow = area.width < 66;
	int left = narrow ? 0 : LABEL_WIDTH;
	x = legend(area, left, y + 1, STYLE_LIVE, GLYPH_FULL, "live", format_bytes(text, snapshot->memory.live_bytes));
	x = legend(area, x, y + 1, STYLE_CACHED, GLYPH_DARK, "cached", format_bytes(text, snapshot->memory.cached_bytes));
	if (narrow) {
		y++;
		x = left;
	}
	x = legend(area, x, y + 1, STYLE_SLACK, GLYPH_MEDIUM, "slack", format_bytes(text, snapshot->memory.slack_bytes));
	x = legend(area, x, y + 1, STYLE_IDLE, GLYPH_LIGHT, "idle", format_bytes(text, totals.idle_bytes));
	snprintf(text, sizeof(text), "%.0f%%", 100 * totals.fragmentation);
	const char *word = area.width >= 90 ? "fragmented " : "frag ";
	if (x + area_columns(word) + 3 <= area.width) {
		x = area_text(area, x, y + 1, STYLE_NORMAL, word);
		area_text(area, x, y + 1, STYLE_STRONG, text);
	}
	return y + 2;
}

/* A figure with its course: Allocs 1.24M/s ▁▃▅▇ 12.3M in all. */
static int draw_line(struct area area, int y, const char *label, enum style style, const char *now, const char *after,
	const struct watch *watch, enum course course)
{
	int left = LABEL_WIDTH + 9, right = area.width - AFTER_WIDTH;
	area_text(area, 0, y, STYLE_LABEL, label);
	area_text(area, LABEL_WIDTH, y, STYLE_STRONG, now);
	if (right - left >= 8)
		draw_course(area, left, y, right - left, style, watch, course);
	area_text(area, right - left >= 8 ? right + 1 : left, y, STYLE_NORMAL, after);
	return y + 1;
}

static int draw_rates(struct area area, int y, const struct watch *watch)
{
	const struct snapshot *snapshot = watch->snapshot;
	struct totals totals = snapshot_totals(snapshot);
	char now[FORMAT_MAX], count[FORMAT_MAX], after[64];
	snprintf(after, sizeof(after), "%s in all", format_count(count, totals.allocs));
	y = draw_line(area, y, "Allocs", STYLE_ALLOC, format_rate(now, watch->rates.known ? watch->rates.allocs : -1), after,
		watch, COURSE_allocs);
	snprintf(after, sizeof(after), "%s in all", format_count(count, totals.frees));
	y = draw_line(area, y, "Frees", STYLE_FREE, format_rate(now, watch->rates.known ? watch->rates.frees : -1), after,
		watch, COURSE_frees);
	/* A first frame has no course yet; its rates need a word, in the room that the course will take. */
	if (watch->rates_are_means && watch->rates.known) {
		area_text(area, LABEL_WIDTH + 10, y - 2, STYLE_FAINT, "mean since the start");
		area_text(area, LABEL_WIDTH + 10, y - 1, STYLE_FAINT, "mean since the start");
	}
	snprintf(after, sizeof(after), "%s resident", format_bytes(count, snapshot->memory.resident_bytes));
	return draw_line(area, y, "Live", STYLE_LIVE, format_bytes(now, snapshot->memory.live_bytes), after, watch,
		COURSE_live);
}

/* What a tall terminal shows besides, and how far back the courses go. */
static int draw_more_courses(struct area area, int y, const struct watch *watch)
{
	const struct snapshot *snapshot = watch->snapshot;
	char now[FORMAT_MAX], span[FORMAT_MAX];
	uint64_t milliseconds = courses_span_ms(&watch->courses);
	y = draw_line(area, y, "Resident", STYLE_NORMAL, format_bytes(now, snapshot->memory.resident_bytes), "", watch,
		COURSE_resident);
	y = draw_line(area, y, "Cached", STYLE_CACHED, format_bytes(now, snapshot->memory.cached_bytes), "", watch,
		COURSE_cached);
	y = draw_line(area, y, "Slack", STYLE_SLACK, format_bytes(now, snapshot->memory.slack_bytes), "", watch,
		COURSE_slack);
	if (milliseconds > 0)
		area_printf(area, area.width - AFTER_WIDTH + 1, y - 1, STYLE_FAINT, "last %s", format_age(span, milliseconds));
	return y;
}

static int draw_stages(struct area area, int y, const struct snapshot *snapshot)
{
	char text[FORMAT_MAX];
	uint64_t all = snapshot_totals(snapshot).acquires;
	int width = area.width - LABEL_WIDTH - AFTER_WIDTH;
	area_text(area, 0, y, STYLE_LABEL, "Slabs");
	draw_stage_bar(area, LABEL_WIDTH, y, width, snapshot, false);
	int x = area_text(area, width >= 8 ? area.width - AFTER_WIDTH + 1 : LABEL_WIDTH, y, STYLE_STRONG,
		format_count(text, all));
	area_text(area, x + 1, y, STYLE_NORMAL, "acquired");
	x = legend(area, area.width < 66 ? 0 : LABEL_WIDTH, y + 1, STYLE_STAGE1, GLYPH_DARK, area.width < 66 ? "1:" : "stage 1",
		format_percent(text, snapshot->stages.stage1, all));
	x = legend(area, x, y + 1, STYLE_STAGE2, GLYPH_MEDIUM, area.width < 66 ? "2:" : "stage 2",
		format_percent(text, snapshot->stages.stage2, all));
	x = legend(area, x, y + 1, STYLE_STAGE3, GLYPH_LIGHT, area.width < 66 ? "3:" : "stage 3",
		format_percent(text, snapshot->stages.stage3, all));
	legend(area, x, y + 1, STYLE_DEPOT, GLYPH_DOT, "depot", format_count(text, snapshot->stages.depot));
	return y + 2;
}

static int draw_pool(struct area area, int y, const struct snapshot *snapshot)
{
	char releases[FORMAT_MAX], empty[FORMAT_MAX];
	area_text(area, 0, y, STYLE_LABEL, "Pool");
	int x = area_printf(area, LABEL_WIDTH, y, STYLE_NORMAL, "%llu SuperSlab%s   %s slots EMPTY",
		(unsigned long long)snapshot->pool.superslabs, snapshot->pool.superslabs == 1 ? "" : "s", format_count(empty, snapshot->pool.empty_slots));
	if (area.width >= 66)
		area_printf(area, x, y, STYLE_NORMAL, "   LRU %llu/%llu   %s releases",
			(unsigned long long)snapshot->lru.length, (unsigned long long)snapshot->lru.capacity,
			format_count(releases, snapshot->pool.releases));
	return y + 1;
}

/* Where there is anything to say of guards. */
static int draw_guards(struct area area, int y, const struct snapshot *snapshot)
{
	char text[FORMAT_MAX], bytes[FORMAT_MAX];
	/* The reports must be there to be seen, however long the numbers before them. */
	bool narrow = area.width < 66, wide = area.width >= 100;
	if (!guard_matters(snapshot))
		return y;
	area_text(area, 0, y, STYLE_LABEL, "Guards");
	int x = area_text(area, LABEL_WIDTH, y, STYLE_STRONG, snapshot->guard_level[0] != '\0' ? snapshot->guard_level : "off");
	if (snapshot->guard.slots > 0)
		x = area_printf(area, x, y, STYLE_NORMAL, "   %llu/%llu armed", (unsigned long long)snapshot->guard.armed,
			(unsigned long long)snapshot->guard.slots);
	if (!narrow)
		x = area_printf(area, x, y, STYLE_NORMAL, "   %s guarded", format_count(text, snapshot->guard.taken));
	x = area_printf(area, x, y, STYLE_NORMAL, wide ? "   %s in quarantine" : "   %s kept", format_count(text, snapshot->guard.quarantined_blocks));
	if (wide)
		x = area_printf(area, x, y, STYLE_NORMAL, " (%s)", format_bytes(bytes, snapshot->guard.quarantined_bytes));
	x = area_printf(area, x + 3, y, snapshot->guard.reports > 0 ? STYLE_WARNING : STYLE_NORMAL, "%s report%s",
		format_count(text, snapshot->guard.reports), snapshot->guard.reports == 1 ? "" : "s");
	if (wide && snapshot->guard.lost > 0)
		area_printf(area, x, y, STYLE_NORMAL, "   %s lost", format_count(text, snapshot->guard.lost));
	return y + 1;
}

/* How a map in `rows` rows is laid out: slots, as many SuperSlabs side by side as fit; or folded, where they would not. */
struct map {
	bool folded;
	int across, each, rows;
	struct fold fold;
};

static struct map plan_map(const struct snapshot *snapshot, int width, int rows)
{
	struct map map = {.each = MODEL_SLOTS + 8};
	size_t count = snapshot->superslab_count;
	map.across = (width + 2) / map.each > 0 ? (width + 2) / map.each : 1;
	map.rows = (int)((count + (size_t)map.across - 1) / (size_t)map.across);
	map.folded = map.rows > rows;
	if (map.folded) {
		map.fold = fold_for(count, width, rows);
		map.rows = map.fold.rows;
	}
	return map;
}

static int draw_map(struct area area, int y, const struct map *map, const struct snapshot *snapshot)
{
	char title[96];
	size_t count = snapshot->superslab_count;
	if (map->folded && map->fold.each == 1)
		snprintf(title, sizeof(title), "%zu SuperSlabs", count);
	else if (map->folded)
		snprintf(title, sizeof(title), "%zu SuperSlabs, %zu a cell", count, map->fold.each);
	else
		snprintf(title, sizeof(title), "Slot map");
	area_heading(area, y++, title);
	for (int row = 0; row < map->rows && map->folded; row++)
		draw_folded_row(area, y + row, row, &map->fold, SLOT_MIXED, snapshot);
	for (size_t i = 0; i < count && !map->folded && map->rows > 0; i++) {
		const struct superslab *superslab = &snapshot->superslabs[i];
		int x = (int)(i / (size_t)map->rows) * map->each, row = y + (int)(i % (size_t)map->rows);
		area_printf(area, x, row, STYLE_FAINT, "%4llu%s", (unsigned long long)superslab->index,
			superslab->in_lru ? "L" : "");
		for (unsigned slot = 0; slot < MODEL_SLOTS; slot++)
			draw_slot(area, x + 6 + (int)slot, row, 1, SLOT_MIXED, snapshot, superslab, slot);
	}
	return y + map->rows;
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

#define TOP_BAR 57

static void draw_top_row(struct area area, int y, const struct watch *watch, const struct top *top, uint64_t most)
{
	const struct class_row *class = top->class;
	enum style style = style_of_class(watch->snapshot, class != NULL ? (unsigned)class->class : SLOT_NO_CLASS);
	char bytes[FORMAT_MAX], slack[FORMAT_MAX], blocks[FORMAT_MAX], cached[FORMAT_MAX], allocs[FORMAT_MAX];
	area_put(area, 1, y, style, (uint32_t)class_symbol(class != NULL ? (unsigned)class->class : SLOT_NO_CLASS));
	area_printf(area, 15, y, STYLE_STRONG, "%7s", format_bytes(bytes, top->live));
	if (class == NULL) {
		area_text(area, 3, y, STYLE_NORMAL, "large");
	} else {
		area_printf(area, 3, y, STYLE_NORMAL, "C%-2llu %5lluB", (unsigned long long)class->class,
			(unsigned long long)class->block_bytes);
		area_printf(area, 22, y, STYLE_SLACK, " %7s", format_bytes(slack, class_slack(watch->snapshot, class)));
		area_printf(area, 30, y, STYLE_NORMAL, " %7s %7s %9s", format_count(blocks, class->live_blocks),
			format_count(cached, class->cached_blocks),
			format_rate(allocs, watch->rates.known ? watch->rates.class_allocs[class->class] : -1));
	}
	int width = area.width - TOP_BAR - 1 < 60 ? area.width - TOP_BAR - 1 : 60;
	const struct bar_part part = {(double)top->live / (double)most, style, GLYPH_FULL};
	if (width >= 4)
		area_bar(area, TOP_BAR, y, width, &part, 1);
}

static void draw_top_classes(struct area area, int y, int rows, const struct watch *watch)
{
	struct top top[MODEL_CLASSES_MAX + 1];
	size_t count = collect_top(watch->snapshot, top);
	area_heading(area, y, "Top classes");
	area_text(area, 15, y, STYLE_FAINT, "   live   slack  blocks  cached    allocs ");
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
	if (area.height >= TALL)
		y = draw_more_courses(area, y, watch);
	y = draw_stages(area, y, snapshot);
	y = draw_guards(area, draw_pool(area, y, snapshot), snapshot);
	bool spacious = area.height >= 24;
	y += spacious;
	/* What is left is shared: the map gets what it needs, but leaves the table a third. */
	int left = area.height - y;
	int table = left / 3 > 4 ? left / 3 : left >= 8 ? 4 : 0;
	struct map map = plan_map(snapshot, area.width, left - table - 1);
	if (left - table >= 2)
		y = draw_map(area, y, &map, snapshot);
	y += spacious;
	if (area.height - y >= 2)
		draw_top_classes(area, y, area.height - y - 1, watch);
}

static int height(int width)
{
	(void)width;
	return 18;
}

const struct panel panel_overview = {
	.height = height, .draw = draw,
};
