/* panel_lru.c: what keeps memory in the house: the LRU cache of SuperSlabs, and what threads give back at drains. */
#include <stdio.h>

#include "viewer/format.h"
#include "viewer/panel.h"
#include "viewer/slots.h"

#define LABEL_WIDTH 11
#define COUNT_END 19
#define RATE_END 30
#define TREND 32

static void draw_figure_line(struct area area, int y, const char *label, enum style style, uint64_t count, double rate,
	const struct watch *watch, enum course course)
{
	char text[FORMAT_MAX];
	area_text(area, 1, y, STYLE_LABEL, label);
	area_right(area, COUNT_END, y, STYLE_STRONG, format_count(text, count));
	area_right(area, RATE_END, y, STYLE_NORMAL, format_rate(text, watch->rates.known ? rate : -1));
	if (area.width - TREND >= 7)
		draw_course(area, TREND, y, area.width - TREND - 1, style, watch, course);
}

static int draw_cache(struct area area, int y, const struct watch *watch)
{
	const struct snapshot *s = watch->snapshot;
	const struct rates *rates = &watch->rates;
	char text[64], bytes[FORMAT_MAX];
	area_heading(area, y++, "LRU cache");
	snprintf(text, sizeof(text), "%llu of %llu", (unsigned long long)s->lru.length, (unsigned long long)s->lru.capacity);
	area_text(area, 1, y, STYLE_LABEL, "length");
	area_text(area, LABEL_WIDTH + 1, y, STYLE_STRONG, text);
	const struct bar_part part = {s->lru.capacity > 0 ? (double)s->lru.length / (double)s->lru.capacity : 0,
		STYLE_STAGE2, GLYPH_FULL};
	if (area.width - TREND >= 7)
		area_bar(area, TREND, y, area.width - TREND - 1 < 32 ? area.width - TREND - 1 : 32, &part, 1);
	y++;
	if (s->lru.length > 0)
		area_printf(area, LABEL_WIDTH + 1, y, STYLE_FAINT, area.width >= 60 ? "%s of address space, purged after a while" :
			"%s, purged later",
			format_bytes(bytes, s->lru.length * s->geometry.superslab_bytes));
	y++;
	draw_figure_line(area, y++, "pushes", STYLE_STAGE2, s->lru.pushes, rates->pushes, watch, COURSE_pushes);
	draw_figure_line(area, y++, "hits", STYLE_GOOD, s->lru.hits, rates->hits, watch, COURSE_hits);
	draw_figure_line(area, y++, "evictions", STYLE_STAGE3, s->lru.evictions, rates->evictions, watch,
		COURSE_evictions);
	return y;
}

static int draw_drains(struct area area, int y, const struct watch *watch)
{
	const struct snapshot *s = watch->snapshot;
	const struct rates *rates = &watch->rates;
	char text[64], cached[FORMAT_MAX];
	area_heading(area, y++, "Drains");
	area_text(area, 1, y, STYLE_LABEL, "interval");
	snprintf(text, sizeof(text), "%llu frees of a class", (unsigned long long)s->drain.interval);
	area_text(area, LABEL_WIDTH + 1, y++, STYLE_STRONG, text);
	draw_figure_line(area, y++, "drains", STYLE_CACHED, s->drain.drains, rates->drains, watch, COURSE_drains);
	draw_figure_line(area, y++, "blocks", STYLE_CACHED, s->drain.blocks, rates->drained, watch, COURSE_drained);
	area_text(area, 1, y, STYLE_LABEL, "a drain");
	if (s->drain.drains > 0)
		area_printf(area, LABEL_WIDTH + 1, y, STYLE_NORMAL, "%.1f blocks on average",
			(double)s->drain.blocks / (double)s->drain.drains);
	else
		area_text(area, LABEL_WIDTH + 1, y, STYLE_FAINT, "-");
	y++;
	area_text(area, 1, y, STYLE_LABEL, "cached");
	area_printf(area, LABEL_WIDTH + 1, y, STYLE_CACHED, "%s", format_bytes(cached, s->memory.cached_bytes));
	if (area.width - TREND >= 7)
		draw_course(area, TREND, y, area.width - TREND - 1, STYLE_CACHED, watch, COURSE_cached);
	return y + 1;
}

/* The SuperSlabs in the cache, and how long they have lain there. */
static void draw_kept(struct area area, int y, const struct snapshot *s)
{
	char age[FORMAT_MAX];
	size_t first = s->superslab_count;
	/* They come behind those that are in use. */
	while (first > 0 && s->superslabs[first - 1].in_lru)
		first--;
	if (area.height - y < 2 || first == s->superslab_count)
		return;
	area_heading(area, y++, "In the cache");
	int each = 38, across = area.width / each > 0 ? area.width / each : 1;
	for (size_t i = first; i < s->superslab_count; i++) {
		int n = (int)(i - first), row = y + n / across;
		const struct superslab *superslab = &s->superslabs[i];
		int x = area_printf(area, n % across * each + 1, row, STYLE_FAINT, "%4llu ", (unsigned long long)superslab->index);
		x = area_printf(area, x, row, STYLE_NORMAL, "0x%llx  ", (unsigned long long)superslab->address);
		area_text(area, x, row, STYLE_NORMAL, format_age(age, slot_age_ms(s, &superslab->slots[0])));
	}
}

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	(void)place;
	(void)with_cursor;
	if (draw_waiting(area, watch))
		return;
	int gap = area.height >= 20;
	int y = draw_cache(area, 0, watch) + gap;
	y = draw_drains(area, y, watch) + gap;
	draw_kept(area, y, watch->snapshot);
}

static int height(int width)
{
	(void)width;
	return 14;
}

const struct panel panel_lru = {
	.height = height, .draw = draw,
};
