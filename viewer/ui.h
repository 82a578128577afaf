/* ui.h: the live screen without a terminal: what is shown, and what keys and clicks change of it. */
#ifndef VIEWER_UI_H
#define VIEWER_UI_H

#include <stdbool.h>

#include "viewer/canvas.h"
#include "viewer/keys.h"
#include "viewer/panel.h"
#include "viewer/watch.h"

enum input_kind { INPUT_NONE, INPUT_KEY, INPUT_CLICK, INPUT_WHEEL_UP, INPUT_WHEEL_DOWN, INPUT_RESIZED };

struct input {
	enum input_kind kind;
	int key;  /* INPUT_KEY: its code, as in keys.h; 0 for one without a name */
	int x, y; /* INPUT_CLICK */
};

struct ui {
	enum panel_id shown;
	struct panel_place places[PANEL_COUNT];
	bool help;   /* the help page lies over the panel */
	bool quit;   /* the user has asked to end */
	bool redraw; /* … or to draw the terminal anew */
};

void ui_init(struct ui *ui);
/* Draws the whole canvas. */
void ui_paint(struct ui *ui, struct canvas *canvas, const struct watch *watch);
/* Does what a key or click asks for. `canvas` is what was painted last. */
void ui_take(struct ui *ui, struct watch *watch, const struct canvas *canvas, const struct input *input);

#endif
