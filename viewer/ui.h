/* ui.h: the live screen without a terminal: what is shown, and what keys and clicks change of it. */
#ifndef VIEWER_UI_H
#define VIEWER_UI_H

#include <stdbool.h>
#include <sys/types.h>

#include "viewer/canvas.h"
#include "viewer/keys.h"
#include "viewer/panel.h"
#include "viewer/preferences.h"
#include "viewer/watch.h"

enum input_kind { INPUT_NONE, INPUT_KEY, INPUT_CLICK, INPUT_WHEEL_UP, INPUT_WHEEL_DOWN, INPUT_RESIZED };

struct input {
	enum input_kind kind;
	int key;  /* INPUT_KEY: its code, as in keys.h; 0 for one without a name */
	int x, y; /* INPUT_CLICK */
};

/* What is being typed in the bottom row. */
enum prompt { PROMPT_NONE, PROMPT_FIND, PROMPT_FILTER };

struct ui {
	enum panel_id shown;
	struct panel_place places[PANEL_COUNT];
	enum prompt prompt;
	bool expanded;   /* the panel has the rows of tabs and key bar too */
	bool help;       /* the help page lies over the panel */
	int help_first;  /* its first row that is shown */
	int help_rows;   /* that it has */
	int interval_ms; /* between frames */
	int colours;     /* at most so many are used: 256, 16, 8 or 0 */
	char message[PROBLEM_MAX]; /* in place of the key bar, until a key is pressed; may be empty */
	/* What the user asked for, and somebody else has to do. */
	bool quit, redraw, save;
	pid_t process; /* to be watched instead; 0: none */
};

void ui_init(struct ui *ui);
/* Begins as the user prefers it, and says what they would have to prefer for the next time to be as now. */
void ui_prefer(struct ui *ui, const struct preferences *preferences);
void ui_preferences(const struct ui *ui, struct preferences *preferences);
/* Draws the whole canvas. */
void ui_paint(struct ui *ui, struct canvas *canvas, const struct watch *watch);
/* Does what a key or click asks for. `canvas` is what was painted last. */
void ui_take(struct ui *ui, struct watch *watch, const struct canvas *canvas, const struct input *input);

#endif
