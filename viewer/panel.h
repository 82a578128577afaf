/* panel.h: one view of the watched program. A panel is a constant description with a function that draws it into an
 * area; where the user is in it is kept beside it, in a struct panel_place. */
#ifndef VIEWER_PANEL_H
#define VIEWER_PANEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "viewer/canvas.h"
#include "viewer/keys.h"
#include "viewer/watch.h"

#define PANEL_WORDS 64

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
	int zoom, zooms; /* how far in the user is, and how far there is */
	int stride;      /* rows that the cursor moves up or down */
	int sideways;    /* … and to the left or right; 0: it moves among the columns */
	int pending;     /* steps that only the next drawing knows the meaning of */
	uint64_t anchor; /* what lies under the cursor or at the top, by a number that stays its own … */
	int anchor_row;  /* … and the row that it was drawn in */
	char filter[PANEL_WORDS]; /* only rows with these words are shown */
	char find[PANEL_WORDS];   /* what is looked for … */
	int find_step;            /* … by the next drawing: forwards (1), backwards (-1), not at all (0) */
	bool find_here;           /* the row under the cursor counts */
	int find_tried;           /* rows so far */
	bool missed;              /* there is none */
	int head;        /* the row of the column heads in the area, -1: none */
	int body;        /* the first row's place in the area */
	int left;        /* where column 0 begins in the area */
	int step;        /* columns of the screen that one column takes */
};

struct panel {
	bool grows; /* rows come at the end, and the view follows them */
	int sorts, first_sort, modes, columns, zooms, zoom; /* what struct panel_place begins with */
	unsigned keys; /* KEY_… bits of its own */
	/* Rows that it needs at a width, where it doesn't make do with what there is: then it is scrolled. May be NULL. */
	int (*height)(int width);
	/* Draws into `area`. `place` is where the user is, and is brought into range. */
	void (*draw)(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor);
	/* The column that lies at x of the column heads of an area of that width, for the mouse; -1: none. May be NULL. */
	int (*column_at)(const struct panel_place *place, int width, int x);
	/* The name of a column that rows can be ordered by, as its head has it. May be NULL. */
	const char *(*column_name)(int column);
	/* Does what a key asks for where the panel has its own idea of it. Returns false for others. May be NULL. */
	bool (*act)(struct panel_place *place, enum act act);
	/* The process that Enter asks for: its id; 0: none. May be NULL. */
	pid_t (*process)(const struct watch *watch, const struct panel_place *place);
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

/* The key that a panel is shown by: 1 to 9, 0, o. */
char panel_key(int id);
/* The panel of such a key; -1: none. */
int panel_of_key(int key);
/* Draws a panel; one that needs more rows than there are is shown from place->first on. */
void panel_draw(const struct panel *panel, struct area area, const struct watch *watch, struct panel_place *place,
	bool with_cursor);
/* Puts the user at the panel's beginning. */
void panel_place_init(const struct panel *panel, struct panel_place *place);
/* Does what a key asks for, as far as the panel knows of it. Returns false if it doesn't. */
bool panel_act(const struct panel *panel, struct panel_place *place, enum act act);
/* A click: on a column's head it sorts by it (a second one reverses), on a row or cell it moves the cursor there; on the
 * cell that has the cursor already it asks for more of it, if there is more. */
void panel_click(const struct panel *panel, struct panel_place *place, int width, int x, int y);
/* The KEY_… bits that hold because of the panel and of where the user is in it. */
unsigned panel_situation(const struct panel *panel, const struct panel_place *place);
/* Brings cursor and first row into range for `rows` rows of which `page` fit; a panel that grows and is followed
 * shows its end. */
void panel_scroll(const struct panel *panel, struct panel_place *place, int rows, int page);

/* Whether the text has all words of `wanted`, in any order; letters match in both cases. A word with = in it has to be a
 * whole word of the text, so that class=1 isn't class=12. */
bool panel_matches(const char *text, const char *wanted);
/* Looks for place->find among `rows` rows: returns the next one to be tried, -1 when there is nothing to look for (any
 * more). panel_found says that this row is it, and moves the cursor there. */
int panel_find(struct panel_place *place, int rows);
void panel_found(struct panel_place *place, int row);

/* Parts that several panels draw. */

/* The bar of memory: live, cached, slack, idle of committed. */
void draw_memory_bar(struct area area, int x, int y, int width, const struct snapshot *snapshot);
/* The bar of stages: depot, stage 1, 2 and 3, of all refills; or without the depot, of all slabs acquired. */
void draw_stage_bar(struct area area, int x, int y, int width, const struct snapshot *snapshot, bool with_depot);
/* A sparkline of a course, at most `width` columns. */
void draw_course(struct area area, int x, int y, int width, enum style style, const struct watch *watch,
	enum course course);
/* An event in a row of its own; `base` is the time that its own counts from. */
void draw_event(struct area area, int y, const struct event *event, uint64_t base);
/* Named figures in columns under a heading. Returns the row below them. */
struct figure {
	const char *name;
	uint64_t value;
};
int draw_figures(struct area area, int y, const char *title, const struct figure *figures, size_t count);
/* "waiting for the first snapshot", where there is nothing to draw yet. Returns true if that is so. */
bool draw_waiting(struct area area, const struct watch *watch);

#endif
