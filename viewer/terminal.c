#include "viewer/terminal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ncursesw's wide functions are declared only for those who ask. */
#ifndef NCURSES_WIDECHAR
#define NCURSES_WIDECHAR 1
#endif
#include <curses.h>
#include <term.h>

enum { LOOK_BOLD = 1, LOOK_DIM = 2, LOOK_REVERSE = 4, LOOK_UNDERLINE = 8 };

struct hues {
	short foreground, background;
};

static const struct look {
	struct hues on256, on16, on8;
	int attributes;
} looks[STYLE_COUNT] = {
#define HAK_STYLE(name, fg256, bg256, fg16, bg16, fg8, bg8, attributes) \
	{{fg256, bg256}, {fg16, bg16}, {fg8, bg8}, attributes},
#include "viewer/styles.def"
#undef HAK_STYLE
};

static SCREEN *screen;
static FILE *tty_in, *tty_out;
static int colours;      /* that are used: 256, 16, 8 or 0 */
static bool own_colours; /* the terminal's own foreground and background can be asked for */

bool terminal_can_drive(int fd)
{
	int error = 0;
	const char *term = getenv("TERM");
	if (term == NULL || *term == '\0' || setupterm(term, fd, &error) != OK)
		return false;
	const char *move = tigetstr("cup"), *clear = tigetstr("clear");
	bool able = move != NULL && move != (char *)-1 && clear != NULL && clear != (char *)-1;
	del_curterm(cur_term);
	return able;
}

void terminal_colours(int most)
{
	bool some = has_colors() && COLOR_PAIRS > STYLE_COUNT;
	int there = !some ? 0 : COLORS >= 256 ? 256 : COLORS >= 16 ? 16 : 8;
	colours = most < there ? most : there;
	for (int i = 0; i < STYLE_COUNT && colours > 0; i++) {
		const struct hues *hues = colours == 256 ? &looks[i].on256 : colours == 16 ? &looks[i].on16 : &looks[i].on8;
		bool front = hues->foreground >= 0 || own_colours, back = hues->background >= 0 || own_colours;
		init_pair((short)(i + 1), (short)(front ? hues->foreground : COLOR_WHITE),
			(short)(back ? hues->background : COLOR_BLACK));
	}
}

/* What terminals send for Home and End when TERM names another one than they are, as is common (PuTTY, tmux). Unknown
 * sequences would otherwise arrive as Escape and single characters, digits among them. */
static void add_keys(void)
{
	static const char *const home[] = {"\033[1~", "\033[7~", "\033[H", "\033OH"};
	static const char *const end[] = {"\033[4~", "\033[8~", "\033[F", "\033OF"};
	for (size_t i = 0; i < sizeof(home) / sizeof(home[0]); i++) {
		define_key(home[i], KEY_HOME);
		define_key(end[i], KEY_END);
	}
}

bool terminal_open(void)
{
	tty_in = fopen("/dev/tty", "re");
	tty_out = fopen("/dev/tty", "we");
	screen = tty_in != NULL && tty_out != NULL ? newterm(NULL, tty_out, tty_in) : NULL;
	if (screen == NULL) {
		terminal_close();
		return false;
	}
	set_term(screen);
	own_colours = has_colors() && start_color() == OK && use_default_colors() == OK;
	terminal_colours(256);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	add_keys();
	curs_set(0);
	mouseinterval(0);
	mousemask(BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
	return true;
}

void terminal_close(void)
{
	if (screen != NULL) {
		mousemask(0, NULL);
		/* Terminals without a second screen keep the last frame; what comes next begins on a line of its
		 * own. */
		move(LINES - 1, 0);
		clrtoeol();
		refresh();
		endwin();
		delscreen(screen);
		screen = NULL;
	}
	if (tty_in != NULL)
		fclose(tty_in);
	if (tty_out != NULL)
		fclose(tty_out);
	tty_in = tty_out = NULL;
}

int terminal_fd(void)
{
	return fileno(tty_in);
}

bool terminal_fit(struct canvas *canvas)
{
	if (canvas->cells != NULL && canvas->width == COLS && canvas->height == LINES)
		return true;
	canvas_free(canvas);
	return canvas_init(canvas, COLS, LINES, canvas_glyphs_for(getenv("TERM")));
}

void terminal_redraw(void)
{
	clearok(stdscr, TRUE);
}

static attr_t attributes_of(const struct cell *cell)
{
	int wanted = looks[cell->style].attributes;
	attr_t attributes = A_NORMAL;
	if (wanted & LOOK_BOLD)
		attributes |= A_BOLD;
	/* Where colours say it already, reverse and dim would spoil them. */
	if ((wanted & LOOK_DIM) && colours < 16)
		attributes |= A_DIM;
	if ((wanted & LOOK_REVERSE) && colours == 0)
		attributes |= A_REVERSE;
	if (wanted & LOOK_UNDERLINE)
		attributes |= A_UNDERLINE;
	return cell->reversed ? attributes ^ A_REVERSE : attributes;
}

void terminal_paint(const struct canvas *canvas)
{
	for (int y = 0; y < canvas->height && y < LINES; y++) {
		for (int x = 0; x < canvas->width && x < COLS; x++) {
			const struct cell *cell = &canvas->cells[(size_t)y * (size_t)canvas->width + (size_t)x];
			wchar_t text[2] = {(wchar_t)cell->code, L'\0'};
			cchar_t out;
			setcchar(&out, text, attributes_of(cell), (short)(colours > 0 ? cell->style + 1 : 0), NULL);
			/* The last cell can't be written without scrolling on some terminals; ncurses knows and
			 * reports an error. */
			mvadd_wch(y, x, &out);
		}
	}
	refresh();
}

static struct input read_mouse(void)
{
	MEVENT event;
	if (getmouse(&event) != OK)
		return (struct input){.kind = INPUT_KEY};
	if (event.bstate & BUTTON4_PRESSED)
		return (struct input){.kind = INPUT_WHEEL_UP};
	if (event.bstate & BUTTON5_PRESSED)
		return (struct input){.kind = INPUT_WHEEL_DOWN};
	if (event.bstate & BUTTON1_PRESSED)
		return (struct input){.kind = INPUT_CLICK, .x = event.x, .y = event.y};
	return (struct input){.kind = INPUT_KEY};
}

/* ncurses' codes for what keys.h names. */
static const struct {
	int code, key;
} special[] = {
	{KEY_UP, KEYS_UP}, {KEY_DOWN, KEYS_DOWN}, {KEY_LEFT, KEYS_LEFT}, {KEY_RIGHT, KEYS_RIGHT},
	{KEY_PPAGE, KEYS_PAGE_UP}, {KEY_NPAGE, KEYS_PAGE_DOWN}, {KEY_HOME, KEYS_HOME}, {KEY_END, KEYS_END},
	{KEY_BTAB, KEYS_BACK_TAB}, {KEY_ENTER, KEYS_ENTER}, {KEY_BACKSPACE, KEYS_BACKSPACE}, {KEY_DC, KEYS_DELETE},
};

struct input terminal_read(void)
{
	wint_t code;
	int kind = get_wch(&code);
	if (kind == ERR)
		return (struct input){.kind = INPUT_NONE};
	if (kind != KEY_CODE_YES) {
		bool enter = code == '\r', erase = code == 8 || code == 127; /* terminals send either for Backspace */
		return (struct input){.kind = INPUT_KEY,
			.key = enter ? KEYS_ENTER : erase ? KEYS_BACKSPACE : (int)code};
	}
	if (code == KEY_MOUSE)
		return read_mouse();
	if (code == KEY_RESIZE)
		return (struct input){.kind = INPUT_RESIZED};
	if (code >= KEY_F(1) && code <= KEY_F(12))
		return (struct input){.kind = INPUT_KEY, .key = KEYS_F0 + (int)code - KEY_F0};
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if (special[i].code == (int)code)
			return (struct input){.kind = INPUT_KEY, .key = special[i].key};
	}
	return (struct input){.kind = INPUT_KEY};
}
