#include "viewer/panel.h"

#include <string.h>

#include "viewer/format.h"

const struct panel *const panels[PANEL_COUNT] = {
#define HAK_PANEL(name, ...) &panel_##name,
#include "viewer/panels.def"
#undef HAK_PANEL
};

const struct panel_text panel_texts[PANEL_COUNT] = {
#define HAK_PANEL(name, title, what) {#name, title, what},
#include "viewer/panels.def"
#undef HAK_PANEL
};

void panel_place_init(const struct panel *panel, struct panel_place *place)
{
	*place = (struct panel_place){
		.columns = panel->columns, .sort = panel->first_sort, .sorts = panel->sorts, .modes = panel->modes,
		.head = -1, .body = -1,
	};
}

static int between(int low, int value, int high)
{
	return value > high ? (high < low ? low : high) : value < low ? low : value;
}

/* In panels that grow, the keys move the view; in the others they move the cursor. */
static void move_rows(const struct panel *panel, struct panel_place *place, int by)
{
	if (!panel->grows) {
		place->row = between(0, place->row + by, place->rows - 1);
		return;
	}
	int last = place->rows > place->page ? place->rows - place->page : 0;
	place->first = between(0, place->first + by, last);
	place->unfollowed = place->first < last;
}

static void change_sort(struct panel_place *place, int by)
{
	place->sort = (place->sort + by + place->sorts) % place->sorts;
	place->reversed = false;
}

bool panel_act(const struct panel *panel, struct panel_place *place, enum act act)
{
	int page = place->page > 1 ? place->page - 1 : 1;
	switch (act) {
	case ACT_UP: move_rows(panel, place, -1); return true;
	case ACT_DOWN: move_rows(panel, place, 1); return true;
	case ACT_PAGE_UP: move_rows(panel, place, -page); return true;
	case ACT_PAGE_DOWN: move_rows(panel, place, page); return true;
	case ACT_FIRST: move_rows(panel, place, -place->rows); return true;
	case ACT_LAST: move_rows(panel, place, place->rows); return true;
	case ACT_LEFT:
	case ACT_RIGHT:
		place->column = between(0, place->column + (act == ACT_LEFT ? -1 : 1), place->columns - 1);
		return place->columns > 0;
	case ACT_NEXT_SORT:
	case ACT_PREVIOUS_SORT:
		if (place->sorts > 0)
			change_sort(place, act == ACT_NEXT_SORT ? 1 : -1);
		return place->sorts > 0;
	case ACT_REVERSE:
		place->reversed = !place->reversed;
		return place->sorts > 0;
	case ACT_MODE:
		if (place->modes > 0)
			place->mode = (place->mode + 1) % place->modes;
		return place->modes > 0;
	default: return false;
	}
}

unsigned panel_situation(const struct panel *panel)
{
	return (panel->columns > 0 ? KEY_COLUMNS : 0) | (panel->sorts > 0 ? KEY_SORTS : 0) |
		(panel->modes > 0 ? KEY_MODES : 0);
}

void panel_scroll(const struct panel *panel, struct panel_place *place, int rows, int page)
{
	place->rows = rows;
	place->page = page > 0 ? page : 1;
	int last = rows > place->page ? rows - place->page : 0;
	if (panel->grows) {
		if (!place->unfollowed)
			place->first = last;
	} else {
		place->row = between(0, place->row, rows - 1);
		if (place->first > place->row)
			place->first = place->row;
		if (place->first < place->row - place->page + 1)
			place->first = place->row - place->page + 1;
	}
	place->first = between(0, place->first, last);
}

size_t table_fit(const struct table_column *columns, size_t count, int width)
{
	size_t fit = 0;
	for (int used = 0; fit < count && (used += columns[fit].width) <= width; fit++) {
	}
	return fit;
}

void table_head(struct area area, int y, const struct table_column *columns, size_t count,
	const struct panel_place *place)
{
	area_fill(area, 0, y, area.width, STYLE_COLUMN_HEAD);
	int x = 0;
	for (size_t i = 0; i < count; i++) {
		bool sorted = place->sorts > 0 && (int)i == place->sort;
		enum style style = sorted ? STYLE_COLUMN_SORTED : STYLE_COLUMN_HEAD;
		int width = columns[i].width;
		area_fill(area, x, y, width, style);
		if (columns[i].numeric)
			area_right(area, x + width, y, style, columns[i].head);
		else
			area_text(area, x + 1, y, style, columns[i].head);
		if (sorted) {
			int at = columns[i].numeric ? x + width - area_columns(columns[i].head) - 1 : x;
			bool falling = columns[i].numeric != place->reversed;
			area_glyph(area, at, y, style, falling ? GLYPH_DOWN : GLYPH_UP);
		}
		x += width;
	}
}

void table_cell(struct area area, int y, const struct table_column *columns, size_t column, enum style style,
	const char *text)
{
	int x = 0;
	for (size_t i = 0; i < column; i++)
		x += columns[i].width;
	struct area cell = area_part(area, x, y, columns[column].width, 1);
	if (columns[column].numeric)
		area_right(cell, columns[column].width, 0, style, text);
	else
		area_text(cell, 1, 0, style, text);
}

int table_column_at(const struct table_column *columns, size_t count, int x)
{
	int left = 0;
	for (size_t i = 0; i < count; i++) {
		if (x >= left && x < left + columns[i].width)
			return (int)i;
		left += columns[i].width;
	}
	return -1;
}

enum style style_of_size(uint64_t block_bytes)
{
	int style = STYLE_SIZE0;
	for (uint64_t limit = 64; limit < block_bytes && style < STYLE_SIZE9; limit *= 2)
		style++;
	return (enum style)style;
}

enum style style_of_slot(const struct snapshot *snapshot, const struct superslab *superslab, unsigned slot)
{
	const struct slot *one = &superslab->slots[slot];
	if (one->state == SLOT_UNUSED)
		return STYLE_UNUSED;
	if (one->state == SLOT_EMPTY)
		return STYLE_EMPTY;
	if (one->class >= snapshot->class_count)
		return STYLE_LARGE;
	return style_of_size(snapshot->classes[one->class].block_bytes);
}

static enum glyph fill_glyph(double fill)
{
	return fill >= 0.875 ? GLYPH_FULL : fill >= 0.5 ? GLYPH_DARK : fill >= 0.25 ? GLYPH_MEDIUM : GLYPH_LIGHT;
}

/* The older a state, the denser: 1 s, 10 s, 100 s. */
static enum glyph age_glyph(uint64_t age_ms)
{
	return age_ms >= 100000 ? GLYPH_FULL : age_ms >= 10000 ? GLYPH_DARK : age_ms >= 1000 ?
		GLYPH_MEDIUM : GLYPH_LIGHT;
}

void draw_slot(struct area area, int x, int y, int columns, enum slot_mode mode, const struct snapshot *snapshot,
	const struct superslab *superslab, unsigned slot)
{
	const struct slot *one = &superslab->slots[slot];
	enum style style = style_of_slot(snapshot, superslab, slot);
	enum glyph glyph = one->state == SLOT_EMPTY ? GLYPH_EMPTY : fill_glyph(slot_fill(superslab, slot));
	if (mode == SLOT_BY_AGE && one->state != SLOT_UNUSED) {
		int lead = one->lead >= 0 ? one->lead : (int)slot;
		glyph = age_glyph(superslab->slots[lead].age_ms);
	}
	if (one->state == SLOT_UNUSED) {
		area_glyph(area, x, y, style, GLYPH_UNUSED);
		if (columns > 1)
			area_put(area, x + 1, y, style, ' ');
		return;
	}
	bool letter = mode == SLOT_BY_CLASS && (one->state == SLOT_ACTIVE || columns > 1);
	if (letter)
		area_put(area, x, y, style, (uint32_t)class_symbol(one->class));
	if (!letter || columns > 1)
		area_glyph(area, letter ? x + 1 : x, y, style, glyph);
	if (!letter && columns > 1) {
		if (one->state == SLOT_EMPTY && mode != SLOT_BY_AGE)
			area_put(area, x + 1, y, style, ' ');
		else
			area_glyph(area, x + 1, y, style, glyph);
	}
}

void draw_memory_bar(struct area area, int x, int y, int width, const struct snapshot *snapshot)
{
	double whole = snapshot->memory.committed_bytes > 0 ? (double)snapshot->memory.committed_bytes : 1;
	const struct bar_part parts[] = {
		{(double)snapshot->memory.live_bytes / whole, STYLE_LIVE, GLYPH_FULL},
		{(double)snapshot->memory.cached_bytes / whole, STYLE_CACHED, GLYPH_DARK},
		{(double)snapshot->memory.slack_bytes / whole, STYLE_SLACK, GLYPH_MEDIUM},
		{(double)snapshot_totals(snapshot).idle_bytes / whole, STYLE_IDLE, GLYPH_LIGHT},
	};
	area_bar(area, x, y, width, parts, sizeof(parts) / sizeof(parts[0]));
}

void draw_stage_bar(struct area area, int x, int y, int width, const struct snapshot *snapshot, bool with_depot)
{
	double depot = with_depot ? (double)snapshot->stages.depot : 0;
	double whole = depot + (double)snapshot_totals(snapshot).acquires;
	if (whole <= 0)
		whole = 1;
	const struct bar_part parts[] = {
		{depot / whole, STYLE_DEPOT, GLYPH_FULL},
		{(double)snapshot->stages.stage1 / whole, STYLE_STAGE1, GLYPH_DARK},
		{(double)snapshot->stages.stage2 / whole, STYLE_STAGE2, GLYPH_MEDIUM},
		{(double)snapshot->stages.stage3 / whole, STYLE_STAGE3, GLYPH_LIGHT},
	};
	area_bar(area, x, y, width, parts, sizeof(parts) / sizeof(parts[0]));
}

bool draw_waiting(struct area area, const struct watch *watch)
{
	if (watch->snapshot != NULL)
		return false;
	const char *text = watch->state == WATCH_LOST ?
		"There was no snapshot to keep." : "Waiting for the first snapshot";
	area_text(area, (area.width - area_columns(text)) / 2, area.height / 2, STYLE_FAINT, text);
	return true;
}
