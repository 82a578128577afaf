#include "viewer/frame.h"

#include <stdio.h>
#include <string.h>

#include "viewer/format.h"

static const char *short_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* How the target is, at the header's right. Returns the column where it begins. */
static int draw_state(struct area area, int y, const struct watch *watch)
{
	static const struct {
		const char *text;
		enum style style;
	} states[] = {
		[WATCH_WAITING] = {" waiting ", STYLE_TOP_BAR},
		[WATCH_LIVE] = {" live ", STYLE_TOP_BAR_STRONG},
		[WATCH_LOST] = {" ENDED ", STYLE_BAD},
		[WATCH_FILE] = {" dump ", STYLE_WARNING},
	};
	int x = area_right(area, area.width, y, states[watch->state].style, states[watch->state].text);
	if (watch->paused)
		x = area_right(area, x, y, STYLE_WARNING, " PAUSED ");
	return x;
}

void frame_header(struct area area, int y, const struct watch *watch)
{
	char text[FORMAT_MAX];
	area_fill(area, 0, y, area.width, STYLE_TOP_BAR);
	int end = draw_state(area, y, watch);
	struct area line = area_part(area, 0, y, end - 1, 1);
	const struct snapshot *snapshot = watch->pending != NULL ? watch->pending : watch->snapshot;
	bool noted = watch->note[0] != '\0';
	int x = area_text(line, 1, 0, STYLE_TOP_BAR, area.width >= 60 && !noted ? "hakmem-top  " : "");
	if (snapshot == NULL) {
		x = area_text(line, x, 0, STYLE_TOP_BAR_STRONG, watch->target);
		area_text(line, x + 2, 0, STYLE_TOP_BAR_STRONG, watch->note);
		return;
	}
	x = area_text(line, x, 0, STYLE_TOP_BAR_STRONG, short_name(snapshot->process.exe));
	x = area_printf(line, x, 0, STYLE_TOP_BAR, " (%llu)  ", (unsigned long long)snapshot->process.pid);
	if (noted)
		x = area_text(line, x, 0, STYLE_TOP_BAR_STRONG, watch->note) + 2;
	x = area_printf(line, x, 0, STYLE_TOP_BAR, "up %s", format_clock(text, snapshot->uptime_us));
	/* The threads that allocate; the kernel's count has the endpoint's own thread in it. */
	x = area_printf(line, x, 0, STYLE_TOP_BAR, "  %zu thread%s", snapshot->thread_count,
		snapshot->thread_count == 1 ? "" : "s");
	if (watch->state == WATCH_FILE && snapshot->reason[0] != '\0')
		x = area_printf(line, x, 0, STYLE_TOP_BAR, "  taken at %s", snapshot->reason);
	if (watch->dropped > 0)
		area_printf(line, x, 0, STYLE_TOP_BAR, "  %llu frames dropped", (unsigned long long)watch->dropped);
}

/* Draws the tabs into `area`, or, without one, finds the tab at `wanted`: their places are worked out here only. */
static int walk_tabs(struct area *area, int width, int y, enum panel_id shown, bool output, int wanted)
{
	int count = PANEL_COUNT - !output, x = 0, needed = 0;
	for (int i = 0; i < count; i++)
		needed += (int)strlen(panel_texts[i].title) + 4;
	/* Where the titles don't fit only the shown panel has one; the others keep their numbers. */
	bool brief = needed > width;
	for (int i = 0; i < count; i++) {
		const char *title = brief && i != (int)shown ? "" : panel_texts[i].title;
		int end = x + (int)strlen(title) + (*title != '\0' ? 4 : 3);
		if (area != NULL) {
			bool on = i == (int)shown;
			area_fill(*area, x, y, end - x, on ? STYLE_TAB_ON : STYLE_TAB);
			area_printf(*area, x + 1, y, on ? STYLE_TAB_ON : STYLE_TAB_KEY, "%d", i + 1);
			area_text(*area, x + 3, y, on ? STYLE_TAB_ON : STYLE_TAB, title);
		} else if (wanted >= x && wanted < end) {
			return i;
		}
		x = end;
	}
	return -1;
}

void frame_tabs(struct area area, int y, enum panel_id shown, bool output)
{
	area_fill(area, 0, y, area.width, STYLE_TAB);
	walk_tabs(&area, area.width, y, shown, output, -1);
}

int frame_tab_at(int width, enum panel_id shown, bool output, int x)
{
	return walk_tabs(NULL, width, 0, shown, output, x);
}

/* htop's function keys and the panel's own, likewise. */
static int walk_keys(struct area *area, int width, int y, const struct watch *watch, const struct panel *panel,
	int wanted)
{
	const struct {
		int number;
		const char *key, *text;
		bool there;
	} keys[] = {
		{1, "F1", "Help  ", true},
		{5, "Spc", watch->paused ? "Go on " : "Pause ", watch->state == WATCH_LIVE || watch->paused},
		{6, "F6", "Sort  ", panel->sorts > 0},
		{8, "m", "Mode  ", panel->modes > 0},
		{9, "Tab", "Panel ", true},
		{10, "F10", "Quit  ", true},
	};
	int x = 0, needed = 0;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		needed += keys[i].there ? (int)(strlen(keys[i].key) + strlen(keys[i].text)) : 0;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		/* On a narrow terminal the tabs themselves say enough about Tab. */
		if (!keys[i].there || (keys[i].number == 9 && needed > width))
			continue;
		int end = x + (int)strlen(keys[i].key) + (int)strlen(keys[i].text);
		if (area != NULL) {
			area_text(*area, x, y, STYLE_KEY, keys[i].key);
			area_text(*area, x + (int)strlen(keys[i].key), y, STYLE_KEY_TEXT, keys[i].text);
		} else if (wanted >= x && wanted < end) {
			return keys[i].number;
		}
		x = end;
	}
	if (area != NULL)
		area_fill(*area, x, y, area->width - x, STYLE_KEY_TEXT);
	return 0;
}

void frame_keys(struct area area, int y, const struct watch *watch, const struct panel *panel)
{
	walk_keys(&area, area.width, y, watch, panel, -1);
}

int frame_key_at(int width, const struct watch *watch, const struct panel *panel, int x)
{
	return walk_keys(NULL, width, 0, watch, panel, x);
}

void frame_help(struct area area)
{
	static const char *const keys[][2] = {
		{"F1 h ?", "this page; any key leaves it"},
		{"Tab 1-9", "another panel (Shift-Tab: back)"},
		{"arrows PgUp PgDn", "move"},
		{"Home g, End G", "to the first, to the last row"},
		{"Space Z", "pause, go on"},
		{"F6 > <", "sort by the next, the previous column"},
		{"r", "reverse the order"},
		{"m", "slots by fill, by class or by age"},
		{"mouse", "tabs, keys, rows, column heads, wheel"},
		{"F10 q Ctrl-C", "quit"},
	};
	int y = 0;
	area_heading(area, y++, "Keys");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++, y++) {
		area_text(area, 1, y, STYLE_STRONG, keys[i][0]);
		area_text(area, 19, y, STYLE_NORMAL, keys[i][1]);
	}
	if (area.height - y < PANEL_COUNT + 1)
		return;
	area_heading(area, y++, "Panels");
	for (int i = 0; i < PANEL_COUNT; i++, y++) {
		area_printf(area, 1, y, STYLE_STRONG, "%d %s", i + 1, panel_texts[i].title);
		area_text(area, 19, y, STYLE_NORMAL, panel_texts[i].what);
	}
}

int frame_batch(struct canvas *canvas, const struct watch *watch)
{
	struct area whole = canvas_area(canvas);
	struct panel_place place;
	char row[2];
	panel_place_init(&panel_overview, &place);
	canvas_clear(canvas);
	frame_header(whole, 0, watch);
	panel_overview.draw(area_part(whole, 0, 1, whole.width, whole.height - 1), watch, &place, false);
	int rows = canvas->height;
	while (rows > 1 && canvas_row(canvas, rows - 1, row, sizeof(row)) == 0)
		rows--;
	return rows;
}
