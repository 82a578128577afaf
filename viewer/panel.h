/* panel.h: one view of the watched program. A panel is a constant description with a function that draws it into an
 * area; where the user is in it is kept beside it, in a struct panel_place. */
#ifndef VIEWER_PANEL_H
#define VIEWER_PANEL_H

#include <stdbool.h>
#include <stddef.h>

#include "viewer/canvas.h"
#include "viewer/keys.h"
#include "viewer/watch.h"

/* Where the user is. The drawing functions bring it back into range, as the program changes under it. */
struct panel_place {
	int row, column; /* the cursor */
	int first;       /* the first row that is shown */
	int page;        /* rows that fit, set by drawing */
	int rows;        /* that there are, set by drawing */
	int columns;     /* that there are; 0: the cursor only moves up and down */
	int sort;        /* the column that rows are ordered by */
	int sorts;       /* columns to sort by; 0: no order to choose */
	bool reversed;
	bool unfollowed; /* in panels that grow at the end: the user has scrolled away from it */
	int mode, modes;
	int head;        /* the row of the column heads in the area, -1: none */
	int body;        /* the first row's place in the area */
	int left;        /* where column 0 begins in the area */
	int step;        /* columns of the screen that one column takes */
};

struct panel {
	bool grows; /* rows come at the end, and the view follows them */
	int sorts, first_sort, modes, columns; /* what struct panel_place begins with */
	/* Draws into `area`. `place` is where the user is, and is brought into range. */
	void (*draw)(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor);
	/* The column that lies at x of the column heads, for the mouse; -1: none. May be NULL. */
	int (*column_at)(int x);
};

enum panel_id {
#define HAK_PANEL(name, ...) PANEL_##name,
#include "viewer/panels.def"
#undef HAK_PANEL
	PANEL_COUNT
};
extern const struct panel *const panels[PANEL_COUNT];

/* The words of panels.def. */
struct panel_text {
	const char *name, *title, *what;
};
extern const struct panel_text panel_texts[PANEL_COUNT];

#define HAK_PANEL(name, ...) extern const struct panel panel_##name;
#include "viewer/panels.def"
#undef HAK_PANEL

/* Puts the user at the panel's beginning. */
void panel_place_init(const struct panel *panel, struct panel_place *place);
/* Does what a key asks for, as far as the panel knows of it. Returns false if it doesn't. */
bool panel_act(const struct panel *panel, struct panel_place *place, enum act act);
/* The KEY_… bits that hold because of the panel. */
unsigned panel_situation(const struct panel *panel);
/* Brings cursor and first row into range for `rows` rows of which `page` fit; a panel that grows and is followed
 * shows its end. */
void panel_scroll(const struct panel *panel, struct panel_place *place, int rows, int page);

/* A column of a table panel. */
struct table_column {
	const char *head;
	int width;    /* with the blank that separates it from its left neighbour */
	bool numeric; /* right-aligned, and sorted from the largest */
};
/* How many of the columns an area of this width shows whole; the others are left out. */
size_t table_fit(const struct table_column *columns, size_t count, int width);
/* Draws the heads of columns, and marks the one that rows are sorted by. */
void table_head(struct area area, int y, const struct table_column *columns, size_t count,
	const struct panel_place *place);
/* Draws one cell. */
void table_cell(struct area area, int y, const struct table_column *columns, size_t column, enum style style,
	const char *text);
/* The column at x; -1: none. */
int table_column_at(const struct table_column *columns, size_t count, int x);

/* Parts that several panels draw. */

/* The colour for a block size, and for a slot. */
enum style style_of_size(uint64_t block_bytes);
enum style style_of_slot(const struct snapshot *snapshot, const struct superslab *superslab, unsigned slot);
/* How slots are shown: by fill, by class letter, or by the age of their state. */
enum slot_mode { SLOT_BY_FILL, SLOT_BY_CLASS, SLOT_BY_AGE, SLOT_MODES };
/* One slot in `columns` (1 or 2) columns of the screen. */
void draw_slot(struct area area, int x, int y, int columns, enum slot_mode mode, const struct snapshot *snapshot,
	const struct superslab *superslab, unsigned slot);
/* The bar of memory: live, cached, slack, idle of committed. */
void draw_memory_bar(struct area area, int x, int y, int width, const struct snapshot *snapshot);
/* The bar of stages: depot, stage 1, 2 and 3, of all refills; or without the depot, of all slabs acquired. */
void draw_stage_bar(struct area area, int x, int y, int width, const struct snapshot *snapshot, bool with_depot);
/* "waiting for the first snapshot", where there is nothing to draw yet. Returns true if that is so. */
bool draw_waiting(struct area area, const struct watch *watch);

#endif
