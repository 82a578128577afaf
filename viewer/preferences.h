/* preferences.h: what the live screen begins with, in a file that the user may edit:
 * $XDG_CONFIG_HOME/hakmem/top.conf, else ~/.config/hakmem/top.conf.
 *
 * Lines are `name = value`; what begins with # and what isn't understood is kept as it is when the file is written. */
#ifndef VIEWER_PREFERENCES_H
#define VIEWER_PREFERENCES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "viewer/panel.h"
#include "viewer/problem.h"
#include "viewer/slots.h"

struct preferences {
	int panel;       /* an enum panel_id; -1 in any of these: not said */
	int interval_ms;
	int colours;     /* at most so many: 256, 16, 8, 0 */
	int cells;       /* an enum slot_mode */
	int sort[PANEL_COUNT];
	bool reversed[PANEL_COUNT];
};

/* Nothing said. */
void preferences_init(struct preferences *preferences);
/* The file's path. Returns false where neither variable says where it is. */
bool preferences_path(char path[PATH_MAX]);
/* Reads them from text. The first line that isn't understood is told in `problem` (its number, what is wrong, what would
 * be right); returns false then, having taken the others. */
bool preferences_read(struct preferences *preferences, const char *text, struct problem *problem);
/* The text with each setting changed or added; to be freed. NULL without memory. */
char *preferences_write(const struct preferences *preferences, const char *text);

/* Reads the file; one that isn't there says nothing. Returns false and says what is wrong with it. */
bool preferences_load(struct preferences *preferences, struct problem *problem);
/* Writes the file, and makes its folder. Returns false and says why not. */
bool preferences_save(const struct preferences *preferences, struct problem *problem);

#endif
