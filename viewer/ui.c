#include "viewer/ui.h"

#include <stdio.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/frame.h"
#include "viewer/travel.h"

#define WHEEL_ROWS 3
#define INTERVAL_MIN_MS 50
#define INTERVAL_MAX_MS 60000

static const int colour_steps[] = {256, 16, 8, 0};
#define COLOUR_STEPS (sizeof(colour_steps) / sizeof(colour_steps[0]))

void ui_init(struct ui *ui)
{
	memset(ui, 0, sizeof(*ui));
	ui->colours = colour_steps[0];
	for (int i = 0; i < PANEL_COUNT; i++)
		panel_place_init(panels[i], &ui->places[i]);
}

void ui_prefer(struct ui *ui, const struct preferences *preferences)
{
	if (preferences->panel >= 0)
		ui->shown = (enum panel_id)preferences->panel;
	if (preferences->interval_ms > 0)
		ui->interval_ms = preferences->interval_ms;
	if (preferences->colours >= 0)
		ui->colours = preferences->colours;
	if (preferences->cells >= 0)
		ui->places[PANEL_slotmap].mode = preferences->cells;
	for (int i = 0; i < PANEL_COUNT; i++) {
		if (preferences->sort[i] < 0)
			continue;
		ui->places[i].sort = preferences->sort[i];
		ui->places[i].reversed = preferences->reversed[i];
	}
}

void ui_preferences(const struct ui *ui, struct preferences *preferences)
{
	preferences_init(preferences);
	preferences->panel = (int)ui->shown;
	preferences->interval_ms = ui->interval_ms;
	preferences->colours = ui->colours;
	preferences->cells = ui->places[PANEL_slotmap].mode;
	for (int i = 0; i < PANEL_COUNT; i++) {
		if (ui->places[i].sorts == 0)
			continue;
		preferences->sort[i] = ui->places[i].sort;
		preferences->reversed[i] = ui->places[i].reversed;
	}
}

static struct panel_place *place_of(struct ui *ui)
{
	return &ui->places[ui->shown];
}

/* The rows above the panel: header and tabs, or the header alone. */
static int rows_above(const struct ui *ui)
{
	return ui->expanded ? 1 : 2;
}

/* The row below it: the key bar; while the panel is expanded, only what must be seen there. */
static bool row_below(const struct ui *ui)
{
	return !ui->expanded || ui->prompt != PROMPT_NONE || ui->message[0] != '\0';
}

static struct area body_of(const struct ui *ui, struct area whole)
{
	int above = rows_above(ui);
	return area_part(whole, 0, above, whole.width, whole.height - above - row_below(ui));
}

/* The columns that the key bar's right end gives to the filter that is on. */
static int filter_width(const struct panel_place *place, int width)
{
	int needed = *place->filter != '\0' ? area_columns(place->filter) + 10 : 0;
	return needed <= width / 2 ? needed : 0;
}

static void paint_prompt(const struct ui *ui, struct area whole, int y)
{
	const struct panel_place *place = &ui->places[ui->shown];
	bool find = ui->prompt == PROMPT_FIND, missed = find && place->missed && *place->find != '\0';
	const char *keys = find ? "F3 next  Enter keep  Esc clear" : "Enter keep  Esc clear";
	area_fill(whole, 0, y, whole.width, STYLE_KEY_TEXT);
	int x = area_text(whole, 0, y, STYLE_KEY, find ? "Search: " : "Filter: ");
	x = area_text(whole, x, y, missed ? STYLE_BAD : STYLE_KEY_TEXT, find ? place->find : place->filter);
	area_reverse(whole, x, y, 1);
	if (missed)
		x = area_text(whole, x + 2, y, STYLE_KEY_TEXT, "not found");
	if (x + 4 + (int)strlen(keys) <= whole.width)
		area_right(whole, whole.width - 1, y, STYLE_KEY_TEXT, keys);
}

static void paint_bottom(const struct ui *ui, struct area whole, int y, const struct watch *watch)
{
	const struct panel_place *place = &ui->places[ui->shown];
	if (ui->prompt != PROMPT_NONE) {
		paint_prompt(ui, whole, y);
		return;
	}
	if (ui->message[0] != '\0') {
		area_fill(whole, 0, y, whole.width, STYLE_WARNING);
		area_text(whole, 1, y, STYLE_WARNING, ui->message);
		return;
	}
	int filter = filter_width(place, whole.width);
	frame_keys(area_part(whole, 0, y, whole.width - filter, 1), 0, frame_situation(watch, panels[ui->shown], place));
	if (filter > 0)
		area_printf(whole, whole.width - filter, y, STYLE_WARNING, " filter: %s ", place->filter);
}

static void paint_help(struct ui *ui, struct area body)
{
	ui->help_rows = frame_help(body, ui->help_first);
	int last = ui->help_rows > body.height ? ui->help_rows - body.height : 0;
	if (ui->help_first <= last)
		return;
	/* The terminal has grown, or the last page was asked for. */
	ui->help_first = last;
	for (int y = 0; y < body.height; y++) {
		for (int x = 0; x < body.width; x++)
			area_put(body, x, y, STYLE_NORMAL, ' ');
	}
	frame_help(body, last);
}

void ui_paint(struct ui *ui, struct canvas *canvas, const struct watch *watch)
{
	struct area whole = canvas_area(canvas), body = body_of(ui, whole);
	canvas_clear(canvas);
	frame_header(whole, 0, watch);
	if (!ui->expanded)
		frame_tabs(whole, 1, ui->shown, watch->output != NULL);
	if (ui->help)
		paint_help(ui, body);
	else
		panel_draw(panels[ui->shown], body, watch, place_of(ui), true);
	/* After the panel: it has found out whether there is what is looked for. */
	if (row_below(ui))
		paint_bottom(ui, whole, whole.height - 1, watch);
}

static void show(struct ui *ui, const struct watch *watch, int panel)
{
	int count = PANEL_COUNT - (watch->output == NULL);
	ui->shown = (enum panel_id)((panel + count) % count);
	ui->help = false;
}

static void change_interval(struct ui *ui, enum act act)
{
	int interval = act == ACT_FASTER ? ui->interval_ms / 2 : ui->interval_ms * 2;
	interval = interval < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : interval > INTERVAL_MAX_MS ? INTERVAL_MAX_MS : interval;
	ui->interval_ms = interval;
	snprintf(ui->message, sizeof(ui->message), "a frame every %g s", interval / 1000.0);
}

static void change_colours(struct ui *ui)
{
	size_t i = 0;
	while (i < COLOUR_STEPS && colour_steps[i] != ui->colours)
		i++;
	ui->colours = colour_steps[(i + 1) % COLOUR_STEPS];
	if (ui->colours == 0)
		snprintf(ui->message, sizeof(ui->message), "no colours");
	else
		snprintf(ui->message, sizeof(ui->message), "at most %d colours", ui->colours);
}

static void obey(struct ui *ui, struct watch *watch, enum act act, int key)
{
	int panel = panel_of_key(key);
	switch (act) {
	case ACT_QUIT: ui->quit = true; return;
	case ACT_HELP:
		ui->help = !ui->help;
		ui->help_first = 0;
		return;
	case ACT_PAUSE:
	case ACT_RESUME: travel_pause(watch, act == ACT_PAUSE); return;
	case ACT_BACK: travel_by(watch, -1); return;
	case ACT_FORWARD: travel_by(watch, 1); return;
	case ACT_FAR_BACK: travel_by_time(watch, -TRAVEL_FAR_US); return;
	case ACT_FAR_FORWARD: travel_by_time(watch, TRAVEL_FAR_US); return;
	case ACT_BEGINNING: travel_begin(watch); return;
	case ACT_NOW:
	case ACT_LAST_MOMENT: travel_end(watch); return;
	case ACT_RUN_FASTER:
	case ACT_RUN_SLOWER: travel_faster(watch, act == ACT_RUN_FASTER); return;
	case ACT_MARK: watch_mark(watch); return;
	case ACT_CHANGES: show(ui, watch, PANEL_changes); return;
	case ACT_NEXT_PANEL: show(ui, watch, (int)ui->shown + 1); return;
	case ACT_PREVIOUS_PANEL: show(ui, watch, (int)ui->shown - 1); return;
	case ACT_PANEL:
		if (panel >= 0 && panel < PANEL_COUNT - (watch->output == NULL))
			show(ui, watch, panel);
		return;
	case ACT_FIND: ui->prompt = PROMPT_FIND; return;
	case ACT_FILTER: ui->prompt = PROMPT_FILTER; return;
	case ACT_EXPAND: ui->expanded = !ui->expanded; return;
	case ACT_FASTER:
	case ACT_SLOWER: change_interval(ui, act); return;
	case ACT_COLOURS: change_colours(ui); return;
	case ACT_SAVE: ui->save = true; return;
	case ACT_REDRAW: ui->redraw = true; return;
	case ACT_SWITCH: ui->process = panels[ui->shown]->process(watch, place_of(ui)); return;
	default: panel_act(panels[ui->shown], place_of(ui), act); return;
	}
}

/* Whether the help page takes the key for itself: it scrolls where it is longer than the screen. */
static bool scroll_help(struct ui *ui, enum act act, int page)
{
	int by = act == ACT_UP ? -1 : act == ACT_DOWN ? 1 : act == ACT_PAGE_UP ? -page : act == ACT_PAGE_DOWN ? page :
		act == ACT_FIRST ? -ui->help_rows : act == ACT_LAST ? ui->help_rows : 0;
	ui->help_first += by;
	if (ui->help_first < 0)
		ui->help_first = 0;
	return by != 0;
}

static void take_click(struct ui *ui, struct watch *watch, const struct canvas *canvas, int x, int y)
{
	int above = rows_above(ui);
	if (row_below(ui) && y == canvas->height - 1) {
		int width = canvas->width - filter_width(place_of(ui), canvas->width);
		if (ui->prompt == PROMPT_NONE)
			obey(ui, watch, frame_key_at(width, frame_situation(watch, panels[ui->shown], place_of(ui)), x), 0);
	} else if (!ui->expanded && y == 1) {
		int tab = frame_tab_at(canvas->width, ui->shown, watch->output != NULL, x);
		if (tab >= 0)
			show(ui, watch, tab);
	} else if (y >= above && ui->help) {
		ui->help = false;
	} else if (y >= above) {
		panel_click(panels[ui->shown], place_of(ui), canvas->width, x, y - above);
	}
}

/* A character more, or the last one less. */
static void edit(char text[PANEL_WORDS], int key)
{
	size_t length = strlen(text);
	char bytes[4];
	if (key == KEYS_BACKSPACE) {
		while (length > 0 && ((unsigned char)text[length - 1] & 0xc0) == 0x80)
			length--;
		text[length > 0 ? length - 1 : 0] = '\0';
		return;
	}
	size_t count = format_utf8_put(bytes, (uint32_t)key);
	if (length + count >= PANEL_WORDS)
		return;
	memcpy(text + length, bytes, count);
	text[length + count] = '\0';
}

/* A key while something is being typed. Each change shows at once. */
static void take_typed(struct ui *ui, int key)
{
	struct panel_place *place = place_of(ui);
	bool find = ui->prompt == PROMPT_FIND;
	char *text = find ? place->find : place->filter;
	if (key == KEYS_ENTER || key == KEYS_ESCAPE) {
		if (key == KEYS_ESCAPE)
			text[0] = '\0';
		place->missed = false;
		ui->prompt = PROMPT_NONE;
		return;
	}
	if (find && (key == KEYS_F0 + 3 || key == KEYS_DOWN || key == KEYS_UP)) {
		place->find_step = key == KEYS_UP ? -1 : 1;
		place->find_here = false;
		return;
	}
	if (key != KEYS_BACKSPACE && (key < ' ' || key >= KEYS_NO_CODE || (key >= 0x7f && key < 0xa0)))
		return;
	edit(text, key);
	place->find_step = find;
	place->find_here = true;
}

static void take_key(struct ui *ui, struct watch *watch, const struct canvas *canvas, int key)
{
	enum act act = keys_find(key, frame_situation(watch, panels[ui->shown], place_of(ui)));
	ui->message[0] = '\0';
	if (ui->prompt != PROMPT_NONE) {
		take_typed(ui, key);
		return;
	}
	if (ui->help && scroll_help(ui, act, canvas->height > 4 ? canvas->height - 4 : 1))
		return;
	/* The help page is left by any other key, and those that ask for something else are obeyed as well. */
	if (ui->help) {
		ui->help = false;
		if (act != ACT_QUIT && act != ACT_NEXT_PANEL && act != ACT_PREVIOUS_PANEL && act != ACT_PANEL)
			return;
	}
	obey(ui, watch, act, key);
}

void ui_take(struct ui *ui, struct watch *watch, const struct canvas *canvas, const struct input *input)
{
	enum act act = input->kind == INPUT_WHEEL_UP ? ACT_UP : ACT_DOWN;
	switch (input->kind) {
	case INPUT_KEY: take_key(ui, watch, canvas, input->key); return;
	case INPUT_CLICK: take_click(ui, watch, canvas, input->x, input->y); return;
	case INPUT_WHEEL_UP:
	case INPUT_WHEEL_DOWN:
		for (int i = 0; i < WHEEL_ROWS; i++) {
			if (!ui->help || !scroll_help(ui, act, 1))
				obey(ui, watch, act, 0);
		}
		return;
	case INPUT_RESIZED:
	case INPUT_NONE: return;
	}
}
