#include "viewer/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "viewer/frame.h"
#include "viewer/signals.h"
#include "viewer/terminal.h"

#define TICK_MS 1000
#define PAINT_MS 30 /* between two paints: a command that prints a lot is not held up by drawing all of it */
#define SILENCE_MS 2000 /* beyond three intervals: then a target's silence is mentioned */
#define WHEEL_ROWS 3
#define FRAME_ROWS 3 /* header, tabs, keys */

struct screen {
	struct link *link;
	struct watch *watch;
	struct launch *launch;
	const struct options *options;
	int signal_fd;
	struct canvas canvas;
	struct panel_place places[PANEL_COUNT];
	enum panel_id shown;
	bool help, quit, dirty;
	int64_t heard_at; /* when the target sent something last */
	int64_t paint_at; /* not to be painted before */
	bool silent;      /* the note says that it doesn't */
	bool gone;       /* the process that was attached to has no entry in /proc any more */
	int quit_signal; /* that ended us, other than Ctrl-C */
};

bool screen_possible(bool for_command)
{
	struct stat in;
	bool terminal = isatty(STDIN_FILENO) && (for_command || isatty(STDOUT_FILENO));
	if (!terminal && for_command && isatty(STDERR_FILENO) && fstat(STDIN_FILENO, &in) == 0)
		terminal = S_ISFIFO(in.st_mode) || S_ISREG(in.st_mode) || S_ISSOCK(in.st_mode);
	int fd = terminal ? open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY) : -1;
	bool possible = fd >= 0 && terminal_can_drive(fd);
	if (fd >= 0)
		close(fd);
	return possible;
}

static bool fit_canvas(struct canvas *canvas)
{
	int width, height;
	terminal_size(&width, &height);
	if (canvas->cells != NULL && canvas->width == width && canvas->height == height)
		return true;
	canvas_free(canvas);
	return canvas_init(canvas, width, height, terminal_glyphs());
}

static void paint(struct screen *screen)
{
	if (!fit_canvas(&screen->canvas))
		return;
	struct area whole = canvas_area(&screen->canvas);
	struct area body = area_part(whole, 0, 2, whole.width, whole.height - FRAME_ROWS);
	const struct panel *panel = panels[screen->shown];
	canvas_clear(&screen->canvas);
	frame_header(whole, 0, screen->watch);
	frame_tabs(whole, 1, screen->shown, screen->watch->output != NULL);
	if (screen->help)
		frame_help(body);
	else
		panel->draw(body, screen->watch, &screen->places[screen->shown], true);
	frame_keys(whole, whole.height - 1, frame_situation(screen->watch, panel));
	terminal_paint(&screen->canvas);
	screen->dirty = false;
	screen->paint_at = client_now_ms() + PAINT_MS;
}

static void subscribe(struct screen *screen)
{
	char request[96];
	int interval = screen->options->interval_ms > 0 ? screen->options->interval_ms : SCREEN_INTERVAL_MS;
	/* Listening to events makes the target record them, which --readonly rules out. */
	snprintf(request, sizeof(request), "subscribe what=snapshot%s interval_ms=%d",
		screen->options->readonly ? "" : ",events", interval < 10 ? 10 : interval);
	client_send(&screen->link->client, request);
}

/* The command ended, or the connection to the process that was attached to. */
static void lose(struct screen *screen)
{
	char text[PROBLEM_MAX] = "the connection ended";
	if (screen->launch != NULL)
		launch_describe(screen->launch, text, sizeof(text));
	watch_lose(screen->watch, text);
	screen->dirty = true;
}

/* A process that ends closes its sockets some time before it is gone: what was a lost connection turns out to be its
 * end. */
static void see_whether_it_ended(struct screen *screen)
{
	const struct watch *watch = screen->watch;
	uint64_t start_time;
	if (watch->state != WATCH_LOST || screen->launch != NULL || screen->gone || watch->snapshot == NULL)
		return;
	if (!discover_start_time((pid_t)watch->snapshot->process.pid, &start_time) ||
		start_time != watch->snapshot->process.start_time) {
		screen->gone = true;
		watch_lose(screen->watch, "the process has ended");
		screen->dirty = true;
	}
}

/* A stopped target, or one whose endpoint is starved, looks as if it were idle: say that nothing comes. */
static void notice_silence(struct screen *screen)
{
	struct watch *watch = screen->watch;
	int64_t silent = client_now_ms() - screen->heard_at;
	int interval = screen->options->interval_ms > 0 ? screen->options->interval_ms : SCREEN_INTERVAL_MS;
	if (watch->state != WATCH_LIVE || !link_is_open(screen->link) || silent < SILENCE_MS + 3 * (int64_t)interval)
		return;
	snprintf(watch->note, sizeof(watch->note), "no news for %lld s", (long long)silent / 1000);
	screen->silent = screen->dirty = true;
}

static void take_messages(struct screen *screen)
{
	struct problem problem;
	size_t length;
	bool alive = client_fill(&screen->link->client);
	screen->heard_at = client_now_ms();
	if (screen->silent)
		screen->watch->note[0] = '\0';
	screen->silent = false;
	for (char *line; (line = client_line(&screen->link->client, &length)) != NULL;) {
		enum watch_message what = watch_take(screen->watch, line, length, &problem);
		if (what == WATCH_BAD || what == WATCH_REFUSED)
			snprintf(screen->watch->note, sizeof(screen->watch->note), "%s", problem.text);
		else if (what == WATCH_SNAPSHOT)
			screen->watch->note[0] = '\0'; /* all is well again */
		else if (what == WATCH_RESYNC)
			client_send(&screen->link->client, "resync");
		screen->dirty = true;
	}
	if (!alive) {
		link_close(screen->link);
		if (screen->launch == NULL)
			lose(screen);
	}
}

static void take_output(struct screen *screen, struct launch *launch)
{
	char bytes[16384];
	ssize_t count = read(launch->output_fd, bytes, sizeof(bytes));
	if (count > 0) {
		output_add(screen->watch->output, bytes, (size_t)count);
		screen->dirty = true;
	} else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(launch->output_fd);
		launch->output_fd = -1;
	}
}

static void take_signals(struct screen *screen)
{
	bool from_terminal;
	for (int number; (number = signals_next(screen->signal_fd, &from_terminal)) != 0;) {
		if (number == SIGCHLD) {
			if (screen->launch != NULL && launch_reap(screen->launch))
				lose(screen);
			continue;
		}
		if (screen->launch != NULL && !screen->launch->ended && !from_terminal)
			kill(screen->launch->pid, number);
		screen->quit = true;
		if (number != SIGINT)
			screen->quit_signal = number;
	}
}

static void show(struct screen *screen, int panel)
{
	int count = PANEL_COUNT - (screen->watch->output == NULL);
	screen->shown = (enum panel_id)((panel + count) % count);
	screen->help = false;
}

/* A click in the panel: a column head sorts by it (a second one reverses), a row takes the cursor. */
static void click_panel(struct screen *screen, int x, int y)
{
	const struct panel *panel = panels[screen->shown];
	struct panel_place *place = &screen->places[screen->shown];
	if (place->head >= 0 && y == place->head && panel->column_at != NULL) {
		int column = panel->column_at(x);
		if (column < 0)
			return;
		place->reversed = column == place->sort && !place->reversed;
		place->sort = column;
	} else if (!panel->grows && place->body >= 0 && y >= place->body && y < place->body + place->page &&
		place->first + y - place->body < place->rows) {
		place->row = place->first + y - place->body;
		if (place->columns > 0 && place->step > 0 && x >= place->left &&
			(x - place->left) / place->step < place->columns)
			place->column = (x - place->left) / place->step;
	}
}

static void obey(struct screen *screen, enum act act, int key)
{
	int panel = key - '1';
	switch (act) {
	case ACT_QUIT: screen->quit = true; return;
	case ACT_HELP: screen->help = !screen->help; return;
	case ACT_PAUSE:
	case ACT_RESUME: watch_pause(screen->watch, act == ACT_PAUSE); return;
	case ACT_NEXT_PANEL: show(screen, (int)screen->shown + 1); return;
	case ACT_PREVIOUS_PANEL: show(screen, (int)screen->shown - 1); return;
	case ACT_PANEL:
		if (panel < PANEL_COUNT - (screen->watch->output == NULL))
			show(screen, panel);
		return;
	case ACT_REDRAW: terminal_redraw(); return;
	default: panel_act(panels[screen->shown], &screen->places[screen->shown], act); return;
	}
}

static void take_click(struct screen *screen, int x, int y)
{
	if (y == 1) {
		int tab = frame_tab_at(screen->canvas.width, screen->shown, screen->watch->output != NULL, x);
		if (tab >= 0)
			show(screen, tab);
	} else if (y == screen->canvas.height - 1) {
		obey(screen, frame_key_at(screen->canvas.width, frame_situation(screen->watch, panels[screen->shown]), x),
			0);
	} else if (y >= 2 && screen->help) {
		screen->help = false;
	} else if (y >= 2) {
		click_panel(screen, x, y - 2);
	}
}

static void take_key(struct screen *screen, int key)
{
	enum act act = keys_find(key, frame_situation(screen->watch, panels[screen->shown]));
	/* The help page is left by any key, and those that ask for something else are obeyed as well. */
	if (screen->help) {
		screen->help = false;
		if (act != ACT_QUIT && act != ACT_NEXT_PANEL && act != ACT_PREVIOUS_PANEL && act != ACT_PANEL)
			return;
	}
	obey(screen, act, key);
}

static void take_input(struct screen *screen, const struct input *input)
{
	screen->dirty = true;
	switch (input->kind) {
	case INPUT_KEY: take_key(screen, input->key); return;
	case INPUT_CLICK: take_click(screen, input->x, input->y); return;
	case INPUT_WHEEL_UP:
	case INPUT_WHEEL_DOWN:
		for (int i = 0; i < WHEEL_ROWS; i++)
			obey(screen, input->kind == INPUT_WHEEL_UP ? ACT_UP : ACT_DOWN, 0);
		return;
	case INPUT_RESIZED: terminal_redraw(); return;
	case INPUT_NONE: return;
	}
}

static void take_keys(struct screen *screen)
{
	for (struct input input; (input = terminal_read()).kind != INPUT_NONE;)
		take_input(screen, &input);
}

/* How long poll may wait. */
static int patience(const struct screen *screen, bool looking)
{
	int64_t until_paint = screen->paint_at - client_now_ms();
	int longest = looking ? LINK_RETRY_MS : screen->watch->state == WATCH_LOST ? TICK_MS / 5 : TICK_MS;
	if (!screen->dirty || until_paint > longest)
		return longest;
	return until_paint > 0 ? (int)until_paint : 0;
}

static void step(struct screen *screen)
{
	struct link *link = screen->link;
	bool linked = link != NULL && link_is_open(link);
	bool looking = link != NULL && screen->launch != NULL && !screen->launch->ended && !linked;
	if (looking && link_retry(link)) {
		subscribe(screen);
		screen->heard_at = client_now_ms();
		linked = true;
	}
	see_whether_it_ended(screen);
	if (linked)
		notice_silence(screen);
	int output = screen->launch != NULL && screen->watch->output != NULL ? screen->launch->output_fd : -1;
	struct pollfd fds[] = {
		{terminal_fd(), POLLIN, 0}, {screen->signal_fd, POLLIN, 0},
		{linked ? link->client.fd : -1, POLLIN, 0},
		{output, POLLIN, 0},
	};
	/* A SIGWINCH interrupts poll; ncurses then has KEY_RESIZE for us. */
	int ready = poll(fds, sizeof(fds) / sizeof(fds[0]), patience(screen, looking));
	if (ready < 0 || (fds[0].revents & POLLIN) != 0)
		take_keys(screen);
	if (ready <= 0)
		return;
	if ((fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
		screen->quit = true; /* the terminal is gone */
		screen->quit_signal = SIGHUP;
	}
	if (fds[2].revents != 0)
		take_messages(screen);
	if (fds[3].revents != 0 && screen->launch != NULL)
		take_output(screen, screen->launch);
	if (fds[1].revents != 0)
		take_signals(screen);
}

static void write_all(int fd, const char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t written = write(fd, bytes, count);
		if (written < 0 && errno != EINTR)
			return;
		if (written > 0) {
			bytes += written;
			count -= (size_t)written;
		}
	}
}

/* After the screen: the command goes on in the foreground, and what it prints is seen as if we had never been there. */
static void accompany(struct screen *screen)
{
	struct launch *launch = screen->launch;
	struct output *output = screen->watch->output;
	char bytes[16384];
	if (output != NULL && output->length > 0) {
		if (output->forgotten > 0)
			fprintf(stderr, "hakmem-top: the first %llu bytes of output are left out; -o FILE keeps all\n",
				(unsigned long long)output->forgotten);
		write_all(STDOUT_FILENO, output->bytes, output->length);
	}
	for (;;) {
		struct pollfd fds[2] = {{launch->output_fd, POLLIN, 0}, {screen->signal_fd, POLLIN, 0}};
		bool had_ended = launch_reap(launch);
		/* Once it has ended only what is in the pipe already is taken: a daemon it left behind may hold the
		 * other end. */
		int ready = had_ended && launch->output_fd < 0 ? 0 : poll(fds, 2, had_ended ? 0 : -1);
		if (fds[0].revents != 0 && launch->output_fd >= 0) {
			ssize_t count = read(launch->output_fd, bytes, sizeof(bytes));
			if (count > 0)
				write_all(STDOUT_FILENO, bytes, (size_t)count);
			if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
				close(launch->output_fd);
				launch->output_fd = -1;
			}
			continue;
		}
		bool from_terminal;
		for (int number; ready > 0 && (number = signals_next(screen->signal_fd, &from_terminal)) != 0;) {
			if (number != SIGCHLD && !from_terminal && !launch->ended)
				kill(launch->pid, number);
		}
		if (had_ended)
			return;
	}
}

int screen_run(struct link *link, struct watch *watch, struct launch *launch, const struct options *options,
	int signal_fd)
{
	struct screen screen = {
		.link = link, .watch = watch, .launch = launch, .options = options, .signal_fd = signal_fd,
		.dirty = true, .heard_at = client_now_ms(),
	};
	for (int i = 0; i < PANEL_COUNT; i++)
		panel_place_init(panels[i], &screen.places[i]);
	bool open = terminal_open();
	if (!open)
		fputs("hakmem-top: the terminal can't be opened; -b prints frames without one\n", stderr);
	if (open && link != NULL && link_is_open(link))
		subscribe(&screen);
	while (open && !screen.quit) {
		if (screen.dirty && client_now_ms() >= screen.paint_at)
			paint(&screen);
		step(&screen);
	}
	terminal_close();
	canvas_free(&screen.canvas);
	if (launch != NULL) {
		accompany(&screen);
		return launch_status(launch);
	}
	return !open ? 1 : screen.quit_signal != 0 ? 128 + screen.quit_signal : 0;
}

/* One row a process that can be opened; the list is short, so it scrolls by whole pages only where it must. */
static void paint_choice(struct canvas *canvas, const struct found *const *rows, size_t count, size_t cursor)
{
	if (!fit_canvas(canvas))
		return;
	canvas_clear(canvas);
	struct area whole = canvas_area(canvas);
	size_t page = whole.height > 4 ? (size_t)whole.height - 4 : 1, first = cursor / page * page;
	area_fill(whole, 0, 0, whole.width, STYLE_TOP_BAR);
	area_text(whole, 1, 0, STYLE_TOP_BAR_STRONG, "hakmem-top");
	area_text(whole, 13, 0, STYLE_TOP_BAR, "Which process?");
	area_fill(whole, 0, 1, whole.width, STYLE_COLUMN_HEAD);
	area_text(whole, 1, 1, STYLE_COLUMN_HEAD, "    PID  Version   Program");
	for (size_t i = first; i < count && i < first + page; i++) {
		int y = 2 + (int)(i - first);
		area_printf(whole, 1, y, STYLE_NORMAL, "%7d  %-8s  %s", (int)rows[i]->pid, rows[i]->version,
			rows[i]->exe);
		if (i == cursor)
			area_reverse(whole, 0, y, whole.width);
	}
	area_fill(whole, 0, whole.height - 1, whole.width, STYLE_KEY_TEXT);
	area_text(whole, 0, whole.height - 1, STYLE_KEY_TEXT, " Enter: watch it   up, down: move   q: quit");
	terminal_paint(canvas);
}

const struct found *screen_choose(const struct discovery *discovery)
{
	struct canvas canvas = {.cells = NULL};
	const struct found *rows[256], *chosen = NULL;
	size_t count = 0, cursor = 0;
	for (size_t i = 0; i < discovery->count && count < sizeof(rows) / sizeof(rows[0]); i++) {
		if (discovery->rows[i].state == FOUND_OPEN)
			rows[count++] = &discovery->rows[i];
	}
	if (!terminal_open())
		return NULL;
	for (bool done = count == 0; !done;) {
		paint_choice(&canvas, rows, count, cursor);
		struct pollfd fd = {terminal_fd(), POLLIN, 0};
		poll(&fd, 1, -1);
		if ((fd.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
			done = true;
		for (struct input input; !done && (input = terminal_read()).kind != INPUT_NONE;) {
			size_t page = canvas.height > 4 ? (size_t)canvas.height - 4 : 1,
				at = cursor / page * page + (size_t)(input.y - 2);
			enum act act = input.kind == INPUT_KEY ? keys_find(input.key, KEY_ALWAYS) : ACT_NONE;
			if (act == ACT_UP || input.kind == INPUT_WHEEL_UP)
				cursor -= cursor > 0;
			else if (act == ACT_DOWN || input.kind == INPUT_WHEEL_DOWN)
				cursor += cursor + 1 < count;
			else if (act == ACT_FIRST)
				cursor = 0;
			else if (act == ACT_LAST)
				cursor = count - 1;
			else if (input.kind == INPUT_CLICK && input.y >= 2 && at < count)
				chosen = rows[cursor = at];
			else if (input.kind == INPUT_KEY && input.key == KEYS_ENTER)
				chosen = rows[cursor];
			done = chosen != NULL || act == ACT_QUIT ||
				(input.kind == INPUT_KEY && input.key == KEYS_ESCAPE);
		}
	}
	terminal_close();
	canvas_free(&canvas);
	return chosen;
}
