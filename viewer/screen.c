#include "viewer/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "viewer/accompany.h"
#include "viewer/discover.h"
#include "viewer/family.h"
#include "viewer/guard_report.h"
#include "viewer/signals.h"
#include "viewer/slotmap_zoom.h"
#include "viewer/terminal.h"
#include "viewer/travel.h"
#include "viewer/ui.h"

#define TICK_MS 1000
#define FAMILY_MS 1000 /* between two looks at the processes */
#define SWITCH_TIMEOUT_MS 1000
#define INTERVAL_LEAST_MS 10 /* what an endpoint grants */
#define PROFILE_MS 2000 /* between two profiles, at least: they are worked out by the target */
#define PAINT_MS 30 /* between two paints: a command that prints a lot is not held up by drawing all of it */
#define SILENCE_MS 2000 /* beyond three intervals: then a target's silence is mentioned */

struct screen {
	struct link *link;
	struct watch *watch;
	struct launch *launch;
	const struct options *options;
	int signal_fd;
	struct canvas canvas;
	struct ui ui;
	bool quit, dirty;
	int64_t heard_at; /* when the target sent something last */
	int64_t paint_at; /* not to be painted before */
	bool silent;      /* the note says that it doesn't */
	bool away;       /* another process than the command is watched */
	struct family family;
	int64_t family_at; /* when to look at it again */
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

static void paint(struct screen *screen)
{
	if (!terminal_fit(&screen->canvas))
		return;
	ui_paint(&screen->ui, &screen->canvas, screen->watch);
	terminal_paint(&screen->canvas);
	screen->dirty = false;
	screen->paint_at = client_now_ms() + PAINT_MS;
}

static void subscribe(struct screen *screen)
{
	char request[96];
	int interval = screen->ui.interval_ms;
	/* Listening to events makes the target record them, which --readonly rules out. */
	snprintf(request, sizeof(request), "subscribe what=snapshot%s interval_ms=%d",
		screen->options->readonly ? "" : ",events", interval);
	client_send(&screen->link->client, request);
}

/* The command ended, or the connection to the process that was attached to. */
static void lose(struct screen *screen)
{
	char text[PROBLEM_MAX] = "the connection ended";
	if (screen->launch != NULL && !screen->away)
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
	if (watch->state != WATCH_LOST || (screen->launch != NULL && !screen->away) || screen->gone || watch->snapshot == NULL)
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
	int interval = screen->ui.interval_ms;
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
		if (screen->launch == NULL || screen->away)
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
			if (screen->launch != NULL && launch_reap(screen->launch) && !screen->away)
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

/* Watches another process instead. The one that was watched is let go of only when that one has answered. */
static void switch_to(struct screen *screen, pid_t pid)
{
	struct watch *watch = screen->watch;
	struct problem problem;
	struct link link;
	char target[32];
	snprintf(target, sizeof(target), "%d", (int)pid);
	link_init(&link);
	if (!link_open(&link, target, SWITCH_TIMEOUT_MS, &problem)) {
		snprintf(screen->ui.message, sizeof(screen->ui.message), "%s", problem.text);
		return;
	}
	struct output *output = watch->output;
	struct record *record = watch->record;
	struct binaries_where where = watch->where;
	link_close(screen->link);
	*screen->link = link;
	watch_free(watch);
	watch->state = WATCH_WAITING;
	watch->output = output;
	watch->record = record;
	watch->where = where;
	watch->where.pid = screen->link->client.peer_pid;
	watch->family = &screen->family;
	snprintf(watch->target, sizeof(watch->target), "%s", target);
	screen->away = screen->launch == NULL || screen->launch->pid != pid;
	if (!screen->away)
		link_expect(screen->link, pid);
	screen->gone = screen->silent = false;
	screen->heard_at = client_now_ms();
	subscribe(screen);
}

static void save(struct screen *screen)
{
	struct preferences preferences;
	struct problem problem;
	char path[PATH_MAX] = "";
	ui_preferences(&screen->ui, &preferences);
	bool saved = preferences_save(&preferences, &problem);
	preferences_path(path);
	snprintf(screen->ui.message, sizeof(screen->ui.message), "%s%.600s", saved ? "kept in " : "", saved ? path : problem.text);
}

/* What keys asked for that is more than another look at things. */
static void serve(struct screen *screen, int interval_before, int colours_before)
{
	struct ui *ui = &screen->ui;
	if (ui->interval_ms != interval_before && screen->link != NULL && link_is_open(screen->link))
		subscribe(screen);
	if (ui->colours != colours_before)
		terminal_colours(ui->colours);
	if (ui->redraw || ui->colours != colours_before)
		terminal_redraw();
	if (ui->process != 0 && screen->link != NULL)
		switch_to(screen, ui->process);
	if (ui->save)
		save(screen);
	ui->redraw = ui->save = false;
	ui->process = 0;
}

/* The processes are looked at while they are shown. */
static void look_at_family(struct screen *screen)
{
	if (screen->ui.shown != PANEL_processes || client_now_ms() < screen->family_at)
		return;
	family_look(&screen->family);
	screen->watch->family = &screen->family;
	/* Where there are many the rest follows soon. */
	screen->family_at = client_now_ms() + (screen->family.whole ? FAMILY_MS : FAMILY_MS / 20);
	screen->dirty = true;
}

/* Call sites are asked for while they are shown; a recording keeps them now and then. Returns the milliseconds until that is
 * to be done again. */
static int look_at_profile(struct screen *screen)
{
	int interval = screen->ui.interval_ms > PROFILE_MS ? screen->ui.interval_ms : PROFILE_MS;
	if (screen->link == NULL || (screen->ui.shown != PANEL_sites && screen->watch->record == NULL))
		return INT_MAX;
	return link_ask_profile(screen->link, screen->ui.shown == PANEL_sites ? interval : RECORD_PROFILE_MS);
}

/* The guarded blocks of a slot likewise, while it is shown from near. */
static int look_at_guards(struct screen *screen)
{
	const struct watch *watch = screen->watch;
	uint64_t from, to;
	if (screen->link == NULL || screen->ui.shown != PANEL_slotmap || watch->snapshot == NULL || !guard_matters(watch->snapshot) ||
		!slotmap_looks_at(watch, &screen->ui.places[PANEL_slotmap], &from, &to))
		return INT_MAX;
	return link_ask_guarded(screen->link, screen->ui.interval_ms > PROFILE_MS ? screen->ui.interval_ms : PROFILE_MS, from, to);
}

static void take_keys(struct screen *screen)
{
	int interval = screen->ui.interval_ms, colours = screen->ui.colours;
	struct input input;
	for (bool first = true; (input = terminal_read()).kind != INPUT_NONE; first = false) {
		/* What a key is about may hang on what only drawing finds out of the one before, when both come at once: how many rows
		 * a panel has, where the match of a search is. */
		if (!first && screen->canvas.cells != NULL)
			ui_paint(&screen->ui, &screen->canvas, screen->watch);
		if (input.kind == INPUT_RESIZED)
			terminal_redraw();
		else
			ui_take(&screen->ui, screen->watch, &screen->canvas, &input);
		screen->dirty = true;
		screen->paint_at = 0; /* who pressed a key sees at once what it did */
	}
	serve(screen, interval, colours);
}

/* How long poll may wait. */
static int patience(const struct screen *screen, bool looking)
{
	int64_t until_paint = screen->paint_at - client_now_ms();
	int longest = looking ? LINK_RETRY_MS : screen->watch->state == WATCH_LOST ? TICK_MS / 5 : TICK_MS;
	int64_t until_look = screen->family_at - client_now_ms();
	if (screen->ui.shown == PANEL_processes && until_look < longest)
		longest = until_look > 0 ? (int)until_look : 0;
	longest = travel_patience(screen->watch, client_now_ms(), longest);
	if (!screen->dirty || until_paint > longest)
		return longest;
	return until_paint > 0 ? (int)until_paint : 0;
}

static void step(struct screen *screen)
{
	struct link *link = screen->link;
	bool linked = link != NULL && link_is_open(link);
	bool looking = link != NULL && screen->launch != NULL && !screen->launch->ended && !screen->away && !linked;
	if (looking && link_retry(link)) {
		subscribe(screen);
		screen->heard_at = client_now_ms();
		linked = true;
	}
	see_whether_it_ended(screen);
	look_at_family(screen);
	int until_profile = look_at_profile(screen), until_guards = look_at_guards(screen), longest = patience(screen, looking);
	until_profile = until_profile < until_guards ? until_profile : until_guards;
	if (linked)
		notice_silence(screen);
	int output = screen->launch != NULL && screen->watch->output != NULL ? screen->launch->output_fd : -1;
	struct pollfd fds[] = {
		{terminal_fd(), POLLIN, 0}, {screen->signal_fd, POLLIN, 0},
		{linked ? link->client.fd : -1, POLLIN, 0},
		{output, POLLIN, 0},
	};
	/* A SIGWINCH interrupts poll; ncurses then has KEY_RESIZE for us. */
	int ready = poll(fds, sizeof(fds) / sizeof(fds[0]), longest < until_profile ? longest : until_profile);
	if (ready < 0 || (fds[0].revents & POLLIN) != 0)
		take_keys(screen);
	screen->dirty |= travel_run(screen->watch, client_now_ms());
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

static void prepare(struct screen *screen)
{
	struct preferences preferences;
	struct problem problem;
	ui_init(&screen->ui);
	screen->ui.interval_ms = SCREEN_INTERVAL_MS;
	preferences_init(&preferences);
	if (!preferences_load(&preferences, &problem))
		snprintf(screen->ui.message, sizeof(screen->ui.message), "%s", problem.text);
	ui_prefer(&screen->ui, &preferences);
	if (screen->options->interval_ms > 0)
		screen->ui.interval_ms = screen->options->interval_ms;
	if (screen->ui.interval_ms < INTERVAL_LEAST_MS)
		screen->ui.interval_ms = INTERVAL_LEAST_MS;
	if (screen->ui.shown == PANEL_output && screen->watch->output == NULL)
		screen->ui.shown = PANEL_overview;
}

int screen_run(struct link *link, struct watch *watch, struct launch *launch, const struct options *options,
	int signal_fd)
{
	struct screen screen = {
		.link = link, .watch = watch, .launch = launch, .options = options, .signal_fd = signal_fd,
		.dirty = true, .heard_at = client_now_ms(),
	};
	prepare(&screen);
	bool open = terminal_open();
	if (open)
		terminal_colours(screen.ui.colours);
	else
		fputs("hakmem-top: the terminal can't be opened; -b prints frames without one\n", stderr);
	if (open && link != NULL && link_is_open(link))
		subscribe(&screen);
	while (open && !screen.quit && !screen.ui.quit) {
		if (screen.dirty && client_now_ms() >= screen.paint_at)
			paint(&screen);
		step(&screen);
	}
	terminal_close();
	canvas_free(&screen.canvas);
	watch->family = NULL;
	family_free(&screen.family);
	if (launch != NULL) {
		accompany(launch, watch->output, signal_fd);
		return launch_status(launch);
	}
	return !open ? 1 : screen.quit_signal != 0 ? 128 + screen.quit_signal : 0;
}
