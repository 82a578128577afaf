#include "viewer/ui.h"

#include <string.h>

#include "viewer/frame.h"

#define WHEEL_ROWS 3

void ui_init(struct ui *ui)
{
	memset(ui, 0, sizeof(*ui));
	for (int i = 0; i < PANEL_COUNT; i++)
		panel_place_init(panels[i], &ui->places[i]);
}

/* The part of the canvas that the panel has: header and tabs are above it, the key bar below. */
static struct area body_of(struct area whole)
{
	return area_part(whole, 0, 2, whole.width, whole.height - 3);
}

void ui_paint(struct ui *ui, struct canvas *canvas, const struct watch *watch)
{
	struct area whole = canvas_area(canvas), body = body_of(whole);
	const struct panel *panel = panels[ui->shown];
	canvas_clear(canvas);
	frame_header(whole, 0, watch);
	frame_tabs(whole, 1, ui->shown, watch->output != NULL);
	if (ui->help)
		frame_help(body);
	else
		panel->draw(body, watch, &ui->places[ui->shown], true);
	frame_keys(whole, whole.height - 1, frame_situation(watch, panel));
}

static void show(struct ui *ui, const struct watch *watch, int panel)
{
	int count = PANEL_COUNT - (watch->output == NULL);
	ui->shown = (enum panel_id)((panel + count) % count);
	ui->help = false;
}

static void obey(struct ui *ui, struct watch *watch, enum act act, int key)
{
	int panel = key - '1';
	switch (act) {
	case ACT_QUIT: ui->quit = true; return;
	case ACT_HELP: ui->help = !ui->help; return;
	case ACT_PAUSE:
	case ACT_RESUME: watch_pause(watch, act == ACT_PAUSE); return;
	case ACT_NEXT_PANEL: show(ui, watch, (int)ui->shown + 1); return;
	case ACT_PREVIOUS_PANEL: show(ui, watch, (int)ui->shown - 1); return;
	case ACT_PANEL:
		if (panel < PANEL_COUNT - (watch->output == NULL))
			show(ui, watch, panel);
		return;
	case ACT_REDRAW: ui->redraw = true; return;
	default: panel_act(panels[ui->shown], &ui->places[ui->shown], act); return;
	}
}

/* A click in the panel: a column head sorts by it (a second one reverses), a row takes the cursor. */
static void click_panel(struct ui *ui, int x, int y)
{
	const struct panel *panel = panels[ui->shown];
	struct panel_place *place = &ui->places[ui->shown];
	if (place->head >= 0 && y == place->head && panel->column_at != NULL) {
		int column = panel->column_at(x);
		if (column < 0)
			return;
		place->reversed = column == place->sort && !place->reversed;
		place->sort = column;
	} else if (!panel->grows && place->body >= 0 && y >= place->body && y < place->body + place->page &&
		place->first + y - place->body < place->rows) {
		place->row = place->first + y - place->body;
		if (place->columns > 0 && place->step > 0 && x >= place->left &&
			(x - place->left) / place->step < place->columns)
			place->column = (x - place->left) / place->step;
	}
}

static void take_click(struct ui *ui, struct watch *watch, const struct canvas *canvas, int x, int y)
{
	if (y == 1) {
		int tab = frame_tab_at(canvas->width, ui->shown, watch->output != NULL, x);
		if (tab >= 0)
			show(ui, watch, tab);
	} else if (y == canvas->height - 1) {
		obey(ui, watch, frame_key_at(canvas->width, frame_situation(watch, panels[ui->shown]), x), 0);
	} else if (y >= 2 && ui->help) {
		ui->help = false;
	} else if (y >= 2) {
		click_panel(ui, x, y - 2);
	}
}

static void take_key(struct ui *ui, struct watch *watch, int key)
{
	enum act act = keys_find(key, frame_situation(watch, panels[ui->shown]));
	/* The help page is left by any key, and those that ask for something else are obeyed as well. */
	if (ui->help) {
		ui->help = false;
		if (act != ACT_QUIT && act != ACT_NEXT_PANEL && act != ACT_PREVIOUS_PANEL && act != ACT_PANEL)
			return;
	}
	obey(ui, watch, act, key);
}

void ui_take(struct ui *ui, struct watch *watch, const struct canvas *canvas, const struct input *input)
{
	switch (input->kind) {
	case INPUT_KEY: take_key(ui, watch, input->key); return;
	case INPUT_CLICK: take_click(ui, watch, canvas, input->x, input->y); return;
	case INPUT_WHEEL_UP:
	case INPUT_WHEEL_DOWN:
		for (int i = 0; i < WHEEL_ROWS; i++)
			obey(ui, watch, input->kind == INPUT_WHEEL_UP ? ACT_UP : ACT_DOWN, 0);
		return;
	case INPUT_RESIZED:
	case INPUT_NONE: return;
	}
}
