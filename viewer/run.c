#include "viewer/run.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "viewer/batch.h"
#include "viewer/discover.h"
#include "viewer/recover.h"
#include "viewer/report.h"
#include "viewer/save.h"
#include "viewer/signals.h"

#define REPLY_TIMEOUT_MS 10000
#define REPORT_DOUBTFUL 3 /* exit status: the sums don't hold */

void run_complain(const char *text)
{
	fprintf(stderr, "hakmem-top: %s\n", text);
}

struct batch {
	struct link *link;
	struct watch *watch;
	struct launch *launch;
	const struct options *options;
	int signal_fd;
	int interval_ms;
	long frames;     /* printed */
	bool asked;      /* a snapshot is on its way */
	int64_t next_at; /* when to ask for the next one */
	int64_t due_at;  /* when the answer is overdue */
	bool greeted;    /* an endpoint answered */
	bool quiet;      /* all frames are printed; only the command's end is waited for */
	bool failed;
	struct problem problem;
};

/* Passes on to the command what it hasn't got from the terminal itself. */
static void take_signals(struct batch *batch)
{
	bool from_terminal;
	for (int number; (number = signals_next(batch->signal_fd, &from_terminal)) != 0;) {
		if (number == SIGCHLD)
			launch_reap(batch->launch);
		else if (!from_terminal && !batch->launch->ended)
			kill(batch->launch->pid, number);
	}
}

/* A frame more. Sets quiet when it was the last one. */
static void print_frame(struct batch *batch, const char *json, size_t length)
{
	bool printed = batch->options->json ? batch_json(stdout, json, length) : batch_text(stdout, batch->watch);
	int error = errno;
	batch->frames++;
	batch->asked = false;
	batch->next_at = client_now_ms() + batch->interval_ms;
	if (!printed || (batch->options->frames > 0 && batch->frames >= batch->options->frames))
		batch->quiet = true;
	/* Whoever read the frames of a command has seen enough (`| head`); the command isn't to suffer for that. */
	if (!printed && !batch->failed && (batch->launch == NULL || error != EPIPE)) {
		batch->failed = true;
		problem_set(&batch->problem, "standard output: %s", strerror(error));
	}
}

static void take_lines(struct batch *batch)
{
	size_t length;
	for (char *line; !batch->quiet && (line = client_line(&batch->link->client, &length)) != NULL;) {
		enum watch_message what = watch_take(batch->watch, line, length, &batch->problem);
		if (what == WATCH_SNAPSHOT)
			print_frame(batch, line, length);
		else if (what == WATCH_BAD || what == WATCH_REFUSED)
			batch->quiet = batch->failed = true;
	}
}

static void connected(struct batch *batch)
{
	batch->greeted = true;
	/* A command that has just begun has nothing to show yet. */
	batch->next_at = client_now_ms() + (batch->launch != NULL && batch->frames == 0 ? batch->interval_ms : 0);
	batch->asked = false;
}

/* How long poll may wait. */
static int patience(const struct batch *batch)
{
	if (batch->quiet)
		return -1;
	if (!link_is_open(batch->link))
		return LINK_RETRY_MS;
	int64_t until = batch->asked ? batch->due_at : batch->next_at, left = until - client_now_ms();
	return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

static void ask(struct batch *batch)
{
	int64_t now = client_now_ms();
	if (!batch->asked && now >= batch->next_at) {
		batch->asked = client_send(&batch->link->client, "snapshot");
		batch->due_at = now + REPLY_TIMEOUT_MS;
	} else if (batch->asked && now >= batch->due_at) {
		batch->quiet = batch->failed = true;
		problem_set(&batch->problem, "%s doesn't answer: the process is stopped or very busy",
			batch->link->path);
	}
}

/* Waits for something to happen, and takes it. */
static void step(struct batch *batch)
{
	bool open = link_is_open(batch->link);
	/* A recording keeps the profile too, now and then: it is as large as the program has call sites. */
	int until_profile = open && !batch->quiet && batch->watch->record != NULL ? link_ask_profile(batch->link, RECORD_PROFILE_MS) : INT_MAX;
	if (open && !batch->quiet)
		ask(batch);
	struct pollfd fds[2] = {
		{open && !batch->quiet ? batch->link->client.fd : -1, POLLIN, 0}, {batch->signal_fd, POLLIN, 0},
	};
	int longest = patience(batch);
	poll(fds, 2, longest < 0 || longest > until_profile ? (until_profile < INT_MAX ? until_profile : longest) : longest);
	if (batch->launch != NULL)
		take_signals(batch);
	if (fds[0].revents != 0) {
		bool alive = client_fill(&batch->link->client);
		take_lines(batch);
		if (!alive)
			link_close(batch->link);
	}
}

static int finish(struct batch *batch)
{
	if (batch->launch != NULL) {
		if (!batch->greeted && !batch->failed)
			run_complain("HAKMEM never answered in the command: it ended at once, or it is statically linked "
				"or set-user-id, where nothing can be preloaded");
		else if (batch->frames == 0 && !batch->failed)
			run_complain("the command ended before its first frame; a shorter -d shows more of it");
		if (batch->failed)
			run_complain(batch->problem.text);
		return launch_status(batch->launch);
	}
	if (!batch->failed && batch->frames == 0)
		batch->failed = !problem_set(&batch->problem, "%s: the process ended before its first frame",
			batch->link->path);
	if (batch->failed)
		run_complain(batch->problem.text);
	return batch->failed ? 1 : 0;
}

int run_batch(struct link *link, struct watch *watch, struct launch *launch, const struct options *options,
	int signal_fd)
{
	struct batch batch = {
		.link = link, .watch = watch, .launch = launch, .options = options, .signal_fd = signal_fd,
		.interval_ms = options->interval_ms > 0 ? options->interval_ms : RUN_BATCH_INTERVAL_MS,
	};
	if (link_is_open(link))
		connected(&batch);
	for (;;) {
		if (launch != NULL && launch->ended)
			break;
		if (launch == NULL && (batch.quiet || !link_is_open(link)))
			break;
		bool was_open = link_is_open(link);
		if (!was_open && !batch.quiet && link_retry(link))
			connected(&batch);
		step(&batch);
	}
	return finish(&batch);
}

int run_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	struct problem problem;
	problem_set(&problem, "standard output: %s", strerror(errno));
	run_complain(problem.text);
	return 1;
}

int run_file(const struct options *options)
{
	struct watch watch = {.state = WATCH_WAITING};
	struct problem problem;
	size_t length;
	char *text = watch_load_text(&watch, options->target, &length, &problem);
	if (text == NULL) {
		run_complain(problem.text);
		return 1;
	}
	if (options->json)
		batch_json(stdout, text, length);
	else if (batch_text(stdout, &watch))
		recover_report(stdout, text, length);
	free(text);
	watch_free(&watch);
	return run_flush();
}

static int report(const struct watch *watch, const char *text, size_t length)
{
	cJSON *document = cJSON_ParseWithLength(text, length);
	bool holds = report_heap(stdout, watch, document);
	int status = run_flush();
	cJSON_Delete(document);
	return status != 0 || holds ? status : REPORT_DOUBTFUL;
}

int run_file_report(const struct options *options)
{
	struct watch watch = {.state = WATCH_WAITING, .where = {.folders = options->binaries, .debug = options->debug_dir}};
	struct problem problem;
	size_t length;
	int status = 1;
	char *text = watch_load_text(&watch, options->target, &length, &problem);
	if (text != NULL)
		status = report(&watch, text, length);
	else
		run_complain(problem.text);
	free(text);
	watch_free(&watch);
	return status;
}

int run_report(struct link *link)
{
	struct watch watch = {.state = WATCH_WAITING};
	struct problem problem;
	size_t length;
	int status = 1;
	bool answered = false;
	int64_t deadline = client_now_ms() + REPLY_TIMEOUT_MS;
	client_send(&link->client, "snapshot");
	for (char *line; !answered && (line = client_wait(&link->client, deadline, &length, &problem)) != NULL;) {
		enum watch_message what = watch_take(&watch, line, length, &problem);
		answered = what == WATCH_SNAPSHOT || what == WATCH_BAD || what == WATCH_REFUSED;
		if (what == WATCH_SNAPSHOT)
			status = report(&watch, line, length);
	}
	if (watch.snapshot == NULL)
		run_complain(problem.text);
	watch_free(&watch);
	return status;
}

/* Whether a path means the same to process `pid` as to us: not so in a container or after chroot. What can't be seen
 * counts as different. */
static bool shares_files(pid_t pid)
{
	char path[64], ours[64], theirs[64];
	struct stat our_root, their_root;
	ssize_t our_length = readlink("/proc/self/ns/mnt", ours, sizeof(ours));
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	ssize_t their_length = readlink(path, theirs, sizeof(theirs));
	if (our_length <= 0 || our_length != their_length || memcmp(ours, theirs, (size_t)our_length) != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	return stat("/proc/self/root", &our_root) == 0 && stat(path, &their_root) == 0 &&
		our_root.st_dev == their_root.st_dev && our_root.st_ino == their_root.st_ino;
}

/* Asks the target to write the dump itself: that one holds its last events and its modules too. Returns false if it
 * can't, and where it would not do it where the user looks: in another file system, or at /dev/stdout. */
static bool dump_by_target(struct link *link, const char *path)
{
	char place[PATH_MAX], request[PATH_MAX + 16];
	struct watch watch = {.state = WATCH_WAITING};
	struct stat before = {.st_ino = 0}, after;
	size_t length;
	if (!save_place(path, place) || strchr(place, '\n') != NULL || !shares_files(link->client.peer_pid))
		return false;
	bool existed = stat(place, &before) == 0;
	snprintf(request, sizeof(request), "dump path=%s", place);
	enum watch_message what = WATCH_OTHER;
	if (!client_send(&link->client, request))
		return false;
	int64_t deadline = client_now_ms() + REPLY_TIMEOUT_MS;
	for (char *line; what == WATCH_OTHER && (line = client_wait(&link->client, deadline, &length, NULL)) != NULL;)
		what = watch_take(&watch, line, length, NULL);
	watch_free(&watch);
	if (what != WATCH_REPLY || stat(place, &after) != 0)
		return false;
	return !existed || before.st_ino != after.st_ino || before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
		before.st_mtim.tv_nsec != after.st_mtim.tv_nsec;
}

int run_dump(struct link *link, const struct options *options)
{
	if (!options->readonly && dump_by_target(link, options->dump))
		return 0;
	struct problem problem;
	struct watch watch = {.state = WATCH_WAITING};
	size_t length;
	bool written = false;
	int64_t deadline = client_now_ms() + REPLY_TIMEOUT_MS;
	client_send(&link->client, "snapshot");
	for (char *line; (line = client_wait(&link->client, deadline, &length, &problem)) != NULL;) {
		enum watch_message what = watch_take(&watch, line, length, &problem);
		if (what == WATCH_SNAPSHOT)
			written = save_text(options->dump, line, length, &problem);
		if (what == WATCH_SNAPSHOT || what == WATCH_BAD || what == WATCH_REFUSED)
			break;
	}
	if (!written)
		run_complain(problem.text);
	watch_free(&watch);
	return written ? 0 : 1;
}

int run_list(void)
{
	struct discovery discovery;
	struct problem problem;
	if (!discover_all(&discovery, &problem)) {
		run_complain(problem.text);
		return 1;
	}
	if (discovery.count == 0)
		puts("No HAKMEM process of this user. Start one with: hakmem-top -- COMMAND");
	else
		printf("%8s  %-6s  %-9s  %s\n", "PID", "STATE", "VERSION", "PROGRAM");
	for (size_t i = 0; i < discovery.count; i++) {
		static const char *const states[] = {"open", "closed", "dead"};
		const struct found *row = &discovery.rows[i];
		printf("%8d  %-6s  %-9s  %s%s%s%s\n", (int)row->pid, states[row->state], *row->version != '\0' ?
			row->version : "-",
			row->exe, *row->reason != '\0' ? " (" : "", row->reason, *row->reason != '\0' ? ")" : "");
	}
	discover_free(&discovery);
	return run_flush();
}
