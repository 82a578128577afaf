#include "viewer/panel.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

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

static const char panel_keys[] = "1234567890o";
_Static_assert(sizeof(panel_keys) - 1 == PANEL_COUNT, "each panel has a key, and the row PANEL of keys.def names it");

char panel_key(int id)
{
	return panel_keys[id];
}

int panel_of_key(int key)
{
	const char *found = key > 0 && key < 128 ? strchr(panel_keys, key) : NULL;
	return found != NULL ? (int)(found - panel_keys) : -1;
}

void panel_place_init(const struct panel *panel, struct panel_place *place)
{
	*place = (struct panel_place){
		.columns = panel->columns, .sort = panel->first_sort, .sorts = panel->sorts, .modes = panel->modes,
		.zooms = panel->zooms, .zoom = panel->zoom, .stride = 1,
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
	if (!panel->grows && panel->height == NULL) {
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
	if (panel->act != NULL && panel->act(place, act))
		return true;
	switch (act) {
	case ACT_UP: move_rows(panel, place, -place->stride); return true;
	case ACT_DOWN: move_rows(panel, place, place->stride); return true;
	case ACT_PAGE_UP: move_rows(panel, place, -page * place->stride); return true;
	case ACT_PAGE_DOWN: move_rows(panel, place, page * place->stride); return true;
	case ACT_FIRST: move_rows(panel, place, -place->rows); return true;
	case ACT_LAST: move_rows(panel, place, place->rows); return true;
	case ACT_LEFT:
	case ACT_RIGHT:
		if (place->sideways > 0)
			move_rows(panel, place, act == ACT_LEFT ? -place->sideways : place->sideways);
		else
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
	case ACT_ENTER:
	case ACT_LEAVE:
		place->zoom = between(0, place->zoom + (act == ACT_ENTER ? 1 : -1), place->zooms);
		return place->zooms > 0;
	case ACT_FIND_NEXT:
	case ACT_FIND_PREVIOUS:
		place->find_step = act == ACT_FIND_NEXT ? 1 : -1;
		place->find_here = false;
		return (panel->keys & KEY_FINDS) != 0;
	default: return false;
	}
}

void panel_click(const struct panel *panel, struct panel_place *place, int width, int x, int y)
{
	if (place->head >= 0 && y == place->head && panel->column_at != NULL) {
		int column = panel->column_at(place, width, x);
		if (column < 0 || place->sorts == 0)
			return;
		place->reversed = column == place->sort && !place->reversed;
		place->sort = column;
		return;
	}
	int down = y - place->body, along = place->step > 0 ? (x - place->left) / place->step : 0;
	bool on_cell = x >= place->left && along < place->columns;
	if (panel->grows || place->body < 0 || down < 0 || down >= place->page)
		return;
	int row = place->row, column = on_cell && place->sideways == 0 ? along : place->column;
	if (place->sideways > 0)
		row = on_cell ? down * place->stride + along * place->sideways : row;
	else if (place->stride > 0)
		row = place->first + down;
	if (row >= place->rows)
		return;
	bool again = row == place->row && column == place->column && (on_cell || place->columns == 0);
	place->row = row;
	place->column = column;
	if (again)
		panel_act(panel, place, ACT_ENTER);
}

unsigned panel_situation(const struct panel *panel, const struct panel_place *place)
{
	return panel->keys | (place->columns > 0 ? KEY_COLUMNS : 0) | (place->sorts > 0 ? KEY_SORTS : 0) |
		(place->modes > 0 ? KEY_MODES : 0) | (place->zoom < place->zooms ? KEY_ENTERS : 0) |
		(place->zoom > 0 ? KEY_LEAVES : 0) | (place->find[0] != '\0' ? KEY_FOUND : 0) |
		(panel->process != NULL ? KEY_PROCESS : 0);
}

void panel_draw(const struct panel *panel, struct area area, const struct watch *watch, struct panel_place *place,
	bool with_cursor)
{
	struct canvas tall;
	int height = panel->height != NULL && area.height > 0 ? panel->height(area.width) : 0;
	place->rows = panel->height != NULL ? height : place->rows;
	if (height <= area.height || watch->snapshot == NULL || !canvas_init(&tall, area.width, height, area.canvas->glyphs)) {
		place->first = panel->height != NULL ? 0 : place->first;
		place->page = panel->height != NULL ? area.height : place->page;
		panel->draw(area, watch, place, with_cursor);
		return;
	}
	panel->draw(canvas_area(&tall), watch, place, with_cursor);
	place->page = area.height;
	place->first = between(0, place->first, height - area.height);
	area_copy(area, &tall, place->first);
	canvas_free(&tall);
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

/* Whether `word` (of `length` bytes) occurs in text. */
static bool has_word(const char *text, const char *word, size_t length)
{
	bool whole = memchr(word, '=', length) != NULL;
	for (const char *at = text; *at != '\0'; at++) {
		if (strncasecmp(at, word, length) != 0)
			continue;
		if (!whole || ((at == text || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')))
			return true;
	}
	return false;
}

bool panel_matches(const char *text, const char *wanted)
{
	for (;;) {
		wanted += strspn(wanted, " ");
		size_t length = strcspn(wanted, " ");
		if (length == 0)
			return true;
		if (!has_word(text, wanted, length))
			return false;
		wanted += length;
	}
}

int panel_find(struct panel_place *place, int rows)
{
	if (place->find_step == 0)
		return -1;
	if (place->find[0] == '\0' || place->find_tried >= rows) {
		place->missed = place->find[0] != '\0';
		place->find_step = place->find_tried = 0;
		return -1;
	}
	int away = place->find_step * (place->find_tried + !place->find_here);
	place->find_tried++;
	return ((place->row + away) % rows + rows) % rows;
}

void panel_found(struct panel_place *place, int row)
{
	place->row = row;
	place->find_step = place->find_tried = 0;
	place->missed = false;
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

#define COURSE_WIDTH_MAX 512

void draw_course(struct area area, int x, int y, int width, enum style style, const struct watch *watch,
	enum course course)
{
	double values[COURSE_WIDTH_MAX];
	if (width < 1)
		return;
	size_t room = width < COURSE_WIDTH_MAX ? (size_t)width : COURSE_WIDTH_MAX;
	area_spark(area, x, y, width, style, values, courses_get(&watch->courses, course, room, values), 0);
}

static enum style style_of_group(const char *group)
{
	static const struct {
		const char *group;
		enum style style;
	} styles[] = {
		{"acquire", STYLE_STAGE1}, {"release", STYLE_STAGE2}, {"lru", STYLE_SIZE7}, {"drain", STYLE_CACHED},
		{"memory", STYLE_STAGE3}, {"large", STYLE_LARGE}, {"thread", STYLE_GOOD}, {"error", STYLE_BAD},
		{"mark", STYLE_WARNING},
	};
	for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++) {
		if (strcmp(group, styles[i].group) == 0)
			return styles[i].style;
	}
	return STYLE_NORMAL;
}

void draw_event(struct area area, int y, const struct event *event, uint64_t base)
{
	uint64_t since = event->time_us >= base ? event->time_us - base : 0;
	int x;
	if (area.width >= 60) {
		x = area_printf(area, 0, y, STYLE_FAINT, "%6llu.%06llu", (unsigned long long)(since / 1000000),
			(unsigned long long)(since % 1000000)) + 1;
		x = area_printf(area, x, y, STYLE_FAINT, "%7llu ", (unsigned long long)event->tid);
	} else {
		x = area_printf(area, 0, y, STYLE_FAINT, "%4llu.%02llu ", (unsigned long long)(since / 1000000),
			(unsigned long long)(since % 1000000 / 10000));
	}
	x = area_printf(area, x, y, style_of_group(event->group), area.width >= 60 ? "%-17s" : "%s", event->name) + 1;
	area_text(area, x, y, STYLE_NORMAL, event->arguments);
}

int draw_figures(struct area area, int y, const char *title, const struct figure *figures, size_t count)
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

bool draw_waiting(struct area area, const struct watch *watch)
{
	if (watch->snapshot != NULL)
		return false;
	const char *text = watch->state == WATCH_LOST ?
		"There was no snapshot to keep." : "Waiting for the first snapshot";
	area_text(area, (area.width - area_columns(text)) / 2, area.height / 2, STYLE_FAINT, text);
	return true;
}
