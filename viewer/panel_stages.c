/* panel_stages.c: where slabs came from, and what keeps memory in the house: LRU cache, free lists, drains, system
 * calls. */
#include <stdio.h>

#include "viewer/format.h"
#include "viewer/panel.h"

struct stage_line {
	const char *name, *what;
	enum style style;
	enum glyph glyph;
	uint64_t count;
	bool is_part; /* of the line above it */
};

static int draw_stage(struct area area, int y, const struct stage_line *line, uint64_t all)
{
	char count[FORMAT_MAX], percent[FORMAT_MAX];
	int x = line->is_part ? 3 : 1;
	area_glyph(area, x, y, line->style, line->is_part ? GLYPH_DOT : line->glyph);
	area_text(area, x + 2, y, line->is_part ? STYLE_FAINT : STYLE_NORMAL, line->name);
	area_right(area, 21, y, STYLE_STRONG, format_count(count, line->count));
	area_right(area, 29, y, STYLE_NORMAL, format_percent(percent, line->count, all));
	const struct bar_part part = {all > 0 ? (double)line->count / (double)all : 0, line->style, line->glyph};
	int bar = area.width >= 100 ? area.width - 80 : area.width < 62 ? area.width - 31 : 0;
	if (!line->is_part && bar > 0)
		area_bar(area, 31, y, bar < 40 ? bar : 40, &part, 1);
	if (area.width >= 62)
		area_text(area, bar > 0 ? 33 + (bar < 40 ? bar : 40) : 31, y, STYLE_FAINT, line->what);
	return y + 1;
}

static int draw_stages(struct area area, int y, const struct watch *watch)
{
	const struct snapshot *snapshot = watch->snapshot;
	char count[FORMAT_MAX], rate[FORMAT_MAX];
	uint64_t acquires = snapshot_totals(snapshot).acquires, all = acquires + snapshot->stages.depot;
	const struct stage_line lines[] = {
		{"depot", "refills served without a slab", STYLE_DEPOT, GLYPH_FULL, snapshot->stages.depot, false},
		{"stage 1", "EMPTY slot of the same class", STYLE_STAGE1, GLYPH_DARK, snapshot->stages.stage1, false},
		{"stage 2", "UNUSED slot, SuperSlab in use", STYLE_STAGE2, GLYPH_MEDIUM, snapshot->stages.stage2,
		false},
		{"converted", "EMPTY slot of another class", STYLE_STAGE2, GLYPH_MEDIUM, snapshot->stages.converted,
		true},
		{"stage 3", "another SuperSlab", STYLE_STAGE3, GLYPH_LIGHT, snapshot->stages.stage3, false},
		{"from LRU", "taken out of the LRU cache", STYLE_STAGE3, GLYPH_LIGHT, snapshot->stages.from_lru, true},
	};
	area_heading(area, y++, "Stages");
	draw_stage_bar(area, 1, y++, area.width - 2, snapshot, true);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		y = draw_stage(area, y, &lines[i], all);
	area_printf(area, 1, y, STYLE_FAINT, "%s slabs acquired, %s", format_count(count, acquires),
		format_rate(rate, watch->rates.known ? watch->rates.acquires : -1));
	if (area.width >= 50)
		area_spark(area, 36, y, area.width - 37, STYLE_STAGE1, watch->history.acquires, watch->history.count,
			0);
	return y + 1;
}

/* "name value" pairs in columns. */
struct figure {
	const char *name;
	uint64_t value;
};

static int draw_figures(struct area area, int y, const char *title, const struct figure *figures, size_t count)
{
	char text[FORMAT_MAX];
	int each = 24, across = area.width / each > 0 ? area.width / each : 1;
	area_heading(area, y++, title);
	for (size_t i = 0; i < count; i++) {
		int x = (int)(i % (size_t)across) * each, row = y + (int)(i / (size_t)across);
		area_text(area, x + 1, row, STYLE_LABEL, figures[i].name);
		area_right(area, x + each - 2, row, STYLE_STRONG, format_count(text, figures[i].value));
	}
	return y + (int)((count + (size_t)across - 1) / (size_t)across);
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
		{"releases", s->pool.releases},
		{"EMPTY slots", s->pool.empty_slots}, {"free list peak", s->pool.free_list_peak},
		{"overflows", s->pool.free_list_overflows},
	};
	const struct figure lru[] = {
		{"length", s->lru.length}, {"capacity", s->lru.capacity}, {"pushes", s->lru.pushes},
		{"hits", s->lru.hits},
		{"evictions", s->lru.evictions},
	};
	const struct figure drain[] = {
		{"interval", s->drain.interval}, {"drains", s->drain.drains}, {"blocks", s->drain.blocks},
	};
	const struct figure calls[] = {
		{"mmap", s->syscalls.mmap}, {"munmap", s->syscalls.munmap}, {"madvise", s->syscalls.madvise},
		{"mprotect", s->syscalls.mprotect}, {"mremap", s->syscalls.mremap},
	};
	int gap = area.height >= 24;
	int y = draw_stages(area, 0, watch) + gap;
	y = draw_figures(area, y, "Pool", pool, COUNT_OF(pool)) + gap;
	y = draw_figures(area, y, "LRU cache", lru, COUNT_OF(lru)) + gap;
	y = draw_figures(area, y, "Drains", drain, COUNT_OF(drain)) + gap;
	draw_figures(area, y, "System calls", calls, COUNT_OF(calls));
}

const struct panel panel_stages = {
	.draw = draw,
};
