/* panel_stages.c: where slabs came from: shares, rates and trends; the pool's figures and the system calls. */
#include <stdio.h>

#include "viewer/format.h"
#include "viewer/panel.h"

struct stage_line {
	const char *name, *what;
	enum style style;
	enum glyph glyph;
	uint64_t count;
	double rate;
	enum course course;
	bool is_part; /* of the line above it */
};

#define COUNT_END 21
#define SHARE_END 29
#define RATE_END 39
#define TREND 41
#define WHAT_WIDTH 31

static void draw_stage(struct area area, int y, const struct stage_line *line, uint64_t all, const struct watch *watch)
{
	char text[FORMAT_MAX];
	int x = line->is_part ? 3 : 1;
	area_glyph(area, x, y, line->style, line->is_part ? GLYPH_DOT : line->glyph);
	area_text(area, x + 2, y, line->is_part ? STYLE_FAINT : STYLE_NORMAL, line->name);
	area_right(area, COUNT_END, y, STYLE_STRONG, format_count(text, line->count));
	area_right(area, SHARE_END, y, STYLE_NORMAL, format_percent(text, line->count, all));
	if (!line->is_part)
		area_right(area, RATE_END, y, STYLE_NORMAL, format_rate(text, watch->rates.known ? line->rate : -1));
	/* A trend, and where there is room for both the words; without a trend the words stand in its place. */
	bool words = area.width >= TREND + 20 + WHAT_WIDTH;
	int trend = words ? area.width - TREND - WHAT_WIDTH - 2 : area.width - TREND - 1;
	if (!line->is_part && trend >= 6)
		draw_course(area, TREND, y, trend, line->style, watch, line->course);
	if (words)
		area_text(area, area.width - WHAT_WIDTH, y, STYLE_FAINT, line->what);
	else if (line->is_part && area.width >= TREND + 12)
		area_text(area, TREND, y, STYLE_FAINT, line->what);
}

static void draw_heads(struct area area, int y)
{
	area_heading(area, y, "Stages");
	area_text(area, COUNT_END - 6, y, STYLE_FAINT, " count");
	area_text(area, SHARE_END - 6, y, STYLE_FAINT, " share");
	if (area.width > RATE_END)
		area_text(area, RATE_END - 5, y, STYLE_FAINT, " rate");
	if (area.width >= TREND + 8)
		area_text(area, TREND - 1, y, STYLE_FAINT, " trend ");
}

static int draw_stages(struct area area, int y, const struct watch *watch)
{
	const struct snapshot *snapshot = watch->snapshot;
	const struct rates *rates = &watch->rates;
	uint64_t acquires = snapshot_totals(snapshot).acquires, all = acquires + snapshot->stages.depot;
	const struct stage_line lines[] = {
		{"depot", "refills served without a slab", STYLE_DEPOT, GLYPH_FULL, snapshot->stages.depot, rates->depot,
			COURSE_depot, false},
		{"stage 1", "EMPTY slot of the same class", STYLE_STAGE1, GLYPH_DARK, snapshot->stages.stage1, rates->stage1,
			COURSE_stage1, false},
		{"stage 2", "UNUSED slot, SuperSlab in use", STYLE_STAGE2, GLYPH_MEDIUM, snapshot->stages.stage2,
			rates->stage2, COURSE_stage2, false},
		{"converted", "EMPTY slot of another class", STYLE_STAGE2, GLYPH_MEDIUM, snapshot->stages.converted, 0,
			COURSE_stage2, true},
		{"stage 3", "another SuperSlab", STYLE_STAGE3, GLYPH_LIGHT, snapshot->stages.stage3, rates->stage3,
			COURSE_stage3, false},
		{"from LRU", "taken out of the LRU cache", STYLE_STAGE3, GLYPH_LIGHT, snapshot->stages.from_lru, 0,
			COURSE_stage3, true},
	};
	const struct stage_line total = {"acquired", "slabs, by stage 1 to 3", STYLE_STRONG, GLYPH_RULE, acquires,
		rates->acquires, COURSE_acquires, false};
	draw_heads(area, y++);
	draw_stage_bar(area, 1, y++, area.width - 2, snapshot, true);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		draw_stage(area, y++, &lines[i], all, watch);
	draw_stage(area, y++, &total, all, watch);
	return y;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	(void)place;
	(void)with_cursor;
	if (draw_waiting(area, watch))
		return;
	const struct snapshot *s = watch->snapshot;
	const struct figure pool[] = {
		{"SuperSlabs", s->pool.superslabs}, {"made", s->pool.superslabs_created},
		{"releases", s->pool.releases}, {"EMPTY slots", s->pool.empty_slots},
		{"free list peak", s->pool.free_list_peak}, {"overflows", s->pool.free_list_overflows},
	};
	const struct figure calls[] = {
		{"mmap", s->syscalls.mmap}, {"munmap", s->syscalls.munmap}, {"madvise", s->syscalls.madvise},
		{"mprotect", s->syscalls.mprotect}, {"mremap", s->syscalls.mremap},
	};
	int gap = area.height >= 20;
	int y = draw_stages(area, 0, watch) + gap;
	y = draw_figures(area, y, "Pool", pool, COUNT_OF(pool)) + gap;
	draw_figures(area, y, "System calls", calls, COUNT_OF(calls));
}

static int height(int width)
{
	/* Figures stand in as many columns as there is room for. */
	return width < 48 ? 24 : width < 72 ? 18 : 16;
}

const struct panel panel_stages = {
	.height = height, .draw = draw,
};
