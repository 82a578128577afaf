/* frame.h: what stands around a panel, and a batch frame as a whole. */
#ifndef VIEWER_FRAME_H
#define VIEWER_FRAME_H

#include "viewer/canvas.h"
#include "viewer/panel.h"
#include "viewer/watch.h"

/* The line that says what is watched and how it is. */
void frame_header(struct area area, int y, const struct watch *watch);
/* The panels' tabs; `output` says whether there is one for the command's output. */
void frame_tabs(struct area area, int y, enum panel_id shown, bool output);
/* The panel whose tab lies at x, -1: none. */
int frame_tab_at(int width, enum panel_id shown, bool output, int x);
/* What keys can be used: the KEY_… bits that hold. */
unsigned frame_situation(const struct watch *watch, const struct panel *panel, const struct panel_place *place);
/* The key bar. */
void frame_keys(struct area area, int y, unsigned situation);
/* What the button that lies at x does. */
enum act frame_key_at(int width, unsigned situation, int x);
/* The help page, from its row `first` on. Returns how many it has. */
int frame_help(struct area area, int first);

/* Draws a batch frame (header and overview) and returns the number of rows it takes. */
int frame_batch(struct canvas *canvas, const struct watch *watch);

#endif
