/* terminal.h: the one file that knows ncurses. It shows a canvas and reads keys. */
#ifndef VIEWER_TERMINAL_H
#define VIEWER_TERMINAL_H

#include <stdbool.h>

#include "viewer/ui.h"

/* Whether terminal type TERM is known and can place the cursor. `fd` is an open terminal. */
bool terminal_can_drive(int fd);
/* Takes the terminal over: /dev/tty. Returns false if that fails; then nothing has changed. */
bool terminal_open(void);
/* Gives it back as it was. Safe to call twice. */
void terminal_close(void);
/* The descriptor that becomes readable when there is input. */
int terminal_fd(void);
/* Makes the canvas as large as the terminal is now, with its glyphs; blank if it was another size. Returns false without
 * memory. */
bool terminal_fit(struct canvas *canvas);
/* Uses at most so many colours: 256, 16, 8 or 0; fewer where the terminal has fewer. */
void terminal_colours(int most);
void terminal_paint(const struct canvas *canvas);
/* Draws all of it anew at the next paint: after a resize, or when something else wrote on it. */
void terminal_redraw(void);
/* The next key or click; INPUT_NONE if there is none. Never waits. */
struct input terminal_read(void);

#endif
