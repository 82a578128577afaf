#include "viewer/frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/travel.h"

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
		[WATCH_REPLAY] = {" replay ", STYLE_WARNING},
	};
	char banner[64], text[70];
	int x = area_right(area, area.width, y, states[watch->state].style, states[watch->state].text);
	/* A moment that isn't now is never shown without saying so. */
	travel_banner(watch, area.width < 70, banner, sizeof(banner));
	if (banner[0] != '\0') {
		snprintf(text, sizeof(text), " %s ", banner);
		x = area_right(area, x, y, watch->replay != NULL ? STYLE_TOP_BAR_STRONG : STYLE_WARNING, text);
	}
	if (watch->paused && !watch->away)
		x = area_right(area, x, y, STYLE_WARNING, " PAUSED ");
	return x;
}

/* A further item of the header, if there is room for all of it. Returns the column for the next one. */
static int __attribute__((format(printf, 3, 4))) add_item(struct area line, int x, const char *format, ...)
{
	char text[128];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (x + area_columns(text) > line.width)
		return line.width;
	return area_text(line, x, 0, STYLE_TOP_BAR, text) + 2;
}

void frame_header(struct area area, int y, const struct watch *watch)
{
	char text[FORMAT_MAX], name[MODEL_NAME_MAX];
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
	x = area_text(line, x, 0, STYLE_TOP_BAR_STRONG, snapshot_name(snapshot, name));
	x = area_printf(line, x, 0, STYLE_TOP_BAR, " (%llu)  ", (unsigned long long)snapshot->process.pid);
	if (noted)
		x = area_text(line, x, 0, STYLE_TOP_BAR_STRONG, watch->note) + 2;
	x = add_item(line, x, "up %s", format_clock(text, snapshot->uptime_us));
	/* The threads that allocate; the kernel's count has the endpoint's own thread in it. */
	x = add_item(line, x, snapshot->thread_count == 1 ? "%zu thread" : "%zu threads", snapshot->thread_count);
	if (watch->state == WATCH_FILE && snapshot->reason[0] != '\0')
		x = add_item(line, x, "taken at %s", snapshot->reason);
	if (watch->dropped > 0)
		add_item(line, x, "%llu frames dropped", (unsigned long long)watch->dropped);
}

/* Draws the tabs into `area`, or, without one, finds the tab at `wanted`: their places are worked out here only. */
static int walk_tabs(struct area *area, int width, int y, enum panel_id shown, bool output, int wanted)
{
	int count = PANEL_COUNT - !output, x = 0, needed = 0;
	for (int i = 0; i < count; i++)
		needed += (int)strlen(panel_texts[i].title);
	/* Where the titles don't fit with blanks around them they go without; where they don't fit at all only the shown
	 * panel has one, and the others keep their numbers. */
	int blanks = needed + 4 * count <= width ? 4 : 2;
	bool brief = needed + blanks * count > width;
	for (int i = 0; i < count; i++) {
		bool on = i == (int)shown;
		const char *title = brief && !on ? "" : panel_texts[i].title;
		int space = brief ? 3 + on : blanks, lead = space > 2, end = x + (int)strlen(title) + space;
		if (area != NULL) {
			area_fill(*area, x, y, end - x, on ? STYLE_TAB_ON : STYLE_TAB);
			area_printf(*area, x + lead, y, on ? STYLE_TAB_ON : STYLE_TAB_KEY, "%c", panel_key(i));
			area_text(*area, x + lead + 1 + (space > 3), y, on ? STYLE_TAB_ON : STYLE_TAB, title);
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

void frame_keys(struct area area, int y, unsigned situation)
{
	struct key_button buttons[KEYS_BUTTONS_MAX];
	size_t count = keys_bar(area.width, situation, buttons);
	area_fill(area, 0, y, area.width, STYLE_KEY_TEXT);
	for (size_t i = 0; i < count; i++) {
		int x = area_text(area, buttons[i].x, y, STYLE_KEY, buttons[i].key);
		area_text(area, x, y, STYLE_KEY_TEXT, buttons[i].label);
	}
}

enum act frame_key_at(int width, unsigned situation, int x)
{
	struct key_button buttons[KEYS_BUTTONS_MAX];
	size_t count = keys_bar(width, situation, buttons);
	for (size_t i = 0; i < count; i++) {
		if (x >= buttons[i].x && x < buttons[i].x + buttons[i].width)
			return buttons[i].act;
	}
	return ACT_NONE;
}

unsigned frame_situation(const struct watch *watch, const struct panel *panel, const struct panel_place *place)
{
	bool live = watch->state == WATCH_LIVE || watch->state == WATCH_WAITING;
	bool runs = watch->state == WATCH_LIVE || watch->state == WATCH_REPLAY;
	return panel_situation(panel, place) | (watch->paused ? KEY_PAUSED : runs ? KEY_RUNS : 0) | (live ? KEY_LINKED : 0) |
		(travel_possible(watch) ? KEY_TRAVELS : 0) | (travel_is_away(watch) ? KEY_AWAY : 0) | (watch->replay != NULL ? KEY_REPLAYS : 0);
}

#define HELP_KEYS_WIDTH 16
#define HELP_NARROW 60 /* columns below which words stand under their keys */

/* Writes words from (x, y) on, in as many rows as it takes. Returns the row below. */
static int put_words(struct area area, int x, int y, const char *text)
{
	int at = x;
	for (size_t length; *(text += strspn(text, " ")) != '\0'; text += length) {
		length = strcspn(text, " ");
		if (at > x && at + (int)length > area.width) {
			at = x;
			y++;
		}
		at = area_printf(area, at, y, STYLE_NORMAL, "%.*s ", (int)length, text);
	}
	return y + 1;
}

static int help_line(struct area area, int y, const char *keys, const char *text)
{
	bool narrow = area.width < HELP_NARROW;
	int x = area_text(area, 1, y, STYLE_STRONG, keys);
	return put_words(area, narrow ? 3 : x < HELP_KEYS_WIDTH ? HELP_KEYS_WIDTH : x + 1, y + narrow, text);
}

int frame_help(struct area area, int first)
{
	char names[64];
	int y = -first;
	area_heading(area, y++, "Keys");
	for (size_t i = 0; i < key_row_count; i++) {
		if (keys_help(i, names, sizeof(names)))
			y = help_line(area, y, names, key_rows[i].help);
	}
	area_heading(area, y++, "Panels");
	for (int i = 0; i < PANEL_COUNT; i++) {
		snprintf(names, sizeof(names), "%c %s", panel_key(i), panel_texts[i].title);
		y = help_line(area, y, names, panel_texts[i].what);
	}
	return y + first;
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
