/* keys.h: what the keys are called and what they do, out of keys.def. */
#ifndef VIEWER_KEYS_H
#define VIEWER_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/* What the user can ask for: one act a row. */
enum act {
	ACT_NONE,
#define HAK_KEY(act, ...) ACT_##act,
#include "viewer/keys.def"
#undef HAK_KEY
	ACT_COUNT
};

/* Situations that rows ask for. */
enum {
	KEY_ALWAYS = 0,
	KEY_RUNS = 1 << 0,    /* something comes that can be paused */
	KEY_PAUSED = 1 << 1,
	KEY_COLUMNS = 1 << 2, /* the panel's cursor moves sideways */
	KEY_SORTS = 1 << 3,   /* the panel can be sorted */
	KEY_MODES = 1 << 4,   /* the panel shows slots in several ways */
	KEY_FINDS = 1 << 5,   /* the panel can be searched */
	KEY_FOUND = 1 << 6,   /* … and something is looked for */
	KEY_FILTERS = 1 << 7, /* the panel can be filtered */
	KEY_ENTERS = 1 << 8,  /* there is more to see of what lies under the cursor */
	KEY_LEAVES = 1 << 9,  /* a step back from it */
	KEY_PROCESS = 1 << 10, /* the rows are processes */
	KEY_LINKED = 1 << 11, /* there is a target that can be asked for something */
	KEY_TRAVELS = 1 << 12, /* there are earlier moments to go to */
	KEY_AWAY = 1 << 13,   /* an earlier moment is shown */
	KEY_REPLAYS = 1 << 14, /* a recording is looked at */
	KEY_TREES = 1 << 15,  /* the panel's rows can be a tree */
};

/* A key's code: that of its character, or one of these, which are no characters. */
enum {
	KEYS_NO_CODE = 0x110000, /* a name for what no key sends: mouse */
	KEYS_F0, /* F1 is KEYS_F0 + 1 */
	KEYS_UP = KEYS_F0 + 13, KEYS_DOWN, KEYS_LEFT, KEYS_RIGHT, KEYS_PAGE_UP, KEYS_PAGE_DOWN, KEYS_HOME, KEYS_END,
	KEYS_BACK_TAB, KEYS_BACKSPACE, KEYS_DELETE,
	KEYS_TAB = '\t', KEYS_ENTER = '\n', KEYS_ESCAPE = 27, KEYS_CTRL_C = 3, KEYS_CTRL_L = 12,
};

struct key_row {
	enum act act;
	const char *keys;
	unsigned situation;
	const char *label;
	int rank;
	const char *help;
};

extern const struct key_row key_rows[];
extern const size_t key_row_count;

/* Reads the next name of a row's keys: the code range `first` to `last`, as 1-9 is a range. Moves *keys behind it, and
 * copies it into `name` (KEYS_NAME_MAX bytes, may be NULL). Returns false at the end. */
#define KEYS_NAME_MAX 16
bool keys_next(const char **keys, char *name, int *first, int *last);
/* What a key asks for in a situation: ACT_NONE if nothing. */
enum act keys_find(int code, unsigned situation);
/* The help line that begins at row `i`: the names of its keys and of those of the rows joined to it, the first of each
 * before the second of each, no name twice. Returns false for a row that begins none. */
bool keys_help(size_t i, char *names, size_t size);

/* The key bar, `width` columns wide: its buttons, as many as fit, in the table's order. */
struct key_button {
	enum act act;
	char key[KEYS_NAME_MAX];
	char label[KEYS_NAME_MAX]; /* with the blanks behind it */
	int x, width;
};
#define KEYS_BUTTONS_MAX 16
size_t keys_bar(int width, unsigned situation, struct key_button buttons[KEYS_BUTTONS_MAX]);

#endif
