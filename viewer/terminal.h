/* terminal.h: the one file that knows ncurses. It shows a canvas and reads keys. */
#ifndef VIEWER_TERMINAL_H
#define VIEWER_TERMINAL_H

#include <stdbool.h>

#include "viewer/canvas.h"
#include "viewer/keys.h"

enum input_kind { INPUT_NONE, INPUT_KEY, INPUT_CLICK, INPUT_WHEEL_UP, INPUT_WHEEL_DOWN, INPUT_RESIZED };

struct input {
	enum input_kind kind;
	int key;  /* INPUT_KEY: its code, as in keys.h; 0 for one without a name */
	int x, y; /* INPUT_CLICK */
};

/* Whether terminal type TERM is known and can place the cursor. `fd` is an open terminal. */
bool terminal_can_drive(int fd);
/* Takes the terminal over: /dev/tty. Returns false if that fails; then nothing has changed. */
bool terminal_open(void);
/* Gives it back as it was. Safe to call twice. */
void terminal_close(void);
/* The descriptor that becomes readable when there is input. */
int terminal_fd(void);
/* The present size. */
void terminal_size(int *width, int *height);
/* The glyphs for this terminal and locale. */
enum glyph_set terminal_glyphs(void);
void terminal_paint(const struct canvas *canvas);
/* Draws all of it anew at the next paint: after a resize, or when something else wrote on it. */
void terminal_redraw(void);
/* The next key or click; INPUT_NONE if there is none. Never waits. */
struct input terminal_read(void);

#endif
