#include "viewer/export.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "viewer/chrome.h"
#include "viewer/format.h"
#include "viewer/run.h"
#include "viewer/signals.h"
#include "viewer/watch.h"

#define EVENTS_INTERVAL_MS 100
#define REPLY_TIMEOUT_MS 10000

/* A recording from a live target. */
struct live {
	struct link *link;
	struct chrome chrome;
	int64_t next_at; /* when to ask for the next snapshot */
	int64_t due_at;  /* when the answer is overdue; 0: none is on its way */
	int interval_ms;
	long frames, frames_wanted; /* snapshots taken; 0: any number */
	bool done, failed;
	struct problem problem;
};

/* Only the user may read what is recorded. */
static FILE *open_output(const char *path, struct problem *problem)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0600);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	if (out == NULL)
		problem_set(problem, "%s: %s", path, strerror(errno));
	if (out == NULL && fd >= 0)
		close(fd);
	return out;
}

/* Ends the file. Returns the exit status. */
static int finish(struct chrome *chrome, const char *path, bool failed, struct problem *problem)
{
	bool written = chrome_end(chrome);
	int error = errno;
	if (fclose(chrome->out) != 0 && written) {
		written = false;
		error = errno;
	}
	if (!written && !failed)
		failed = !problem_set(problem, "%s: %s", path, strerror(error));
	if (failed)
		run_complain(problem->text);
	else
		fprintf(stderr, "hakmem-top: %s: %llu events%s\n", path, (unsigned long long)chrome->events,
			chrome->events == 0 ? "; are its event groups on (HAKMEM_TRACE)?" : "");
	return failed ? 1 : 0;
}

static void take_lines(struct live *live)
{
	size_t length;
	for (char *line; !live->done && (line = client_line(&live->link->client, &length)) != NULL;) {
		bool is_snapshot = strncmp(line, "{\"type\":\"snapshot\"", 18) == 0;
		if (!chrome_take(&live->chrome, line, length, &live->problem))
			live->done = live->failed = true;
		if (is_snapshot) {
			live->due_at = 0;
			live->frames++;
			live->next_at += live->interval_ms;
			live->done |= live->frames_wanted > 0 && live->frames >= live->frames_wanted;
		}
	}
}

static void ask(struct live *live)
{
	int64_t now = client_now_ms();
	if (live->due_at == 0 && now >= live->next_at) {
		client_send(&live->link->client, "snapshot");
		live->due_at = now + REPLY_TIMEOUT_MS;
	} else if (live->due_at != 0 && now >= live->due_at) {
		live->done = live->failed = true;
		problem_set(&live->problem, "%s doesn't answer: the process is stopped or very busy", live->link->path);
	}
}

static void step(struct live *live, int signal_fd)
{
	bool from_terminal;
	ask(live);
	int64_t left = (live->due_at != 0 ? live->due_at : live->next_at) - client_now_ms();
	struct pollfd fds[2] = {{live->link->client.fd, POLLIN, 0}, {signal_fd, POLLIN, 0}};
	poll(fds, 2, left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left);
	for (int number; (number = signals_next(signal_fd, &from_terminal)) != 0;)
		live->done |= number != SIGCHLD;
	if (fds[0].revents != 0) {
		bool alive = client_fill(&live->link->client);
		take_lines(live);
		live->done |= !alive;
	}
}

int export_live_events(struct link *link, const struct options *options)
{
	struct live live = {.link = link, .frames_wanted = options->frames, .next_at = client_now_ms(),
		.interval_ms = options->interval_ms > 0 ? options->interval_ms : RUN_BATCH_INTERVAL_MS};
	char request[64];
	sigset_t before;
	FILE *out = open_output(options->chrome, &live.problem);
	if (out == NULL) {
		run_complain(live.problem.text);
		return 1;
	}
	int signal_fd = signals_open(&before);
	chrome_begin(&live.chrome, out);
	/* The first snapshot says which process the events are of. */
	ask(&live);
	snprintf(request, sizeof(request), "subscribe what=events interval_ms=%d", EVENTS_INTERVAL_MS);
	client_send(&link->client, request);
	while (!live.done)
		step(&live, signal_fd);
	return finish(&live.chrome, options->chrome, live.failed, &live.problem);
}

int export_file_events(const struct options *options)
{
	struct watch watch = {.state = WATCH_WAITING};
	struct problem problem;
	struct chrome chrome;
	size_t length;
	int status = 1;
	char *text = watch_load_text(&watch, options->target, &length, &problem);
	FILE *out = text != NULL ? open_output(options->chrome, &problem) : NULL;
	if (out != NULL) {
		chrome_begin(&chrome, out);
		bool taken = chrome_take(&chrome, text, length, &problem);
		status = finish(&chrome, options->chrome, !taken, &problem);
	} else {
		run_complain(problem.text);
	}
	free(text);
	watch_free(&watch);
	return status;
}

/* Text of a target's for a terminal or a file: as it stands, but for control characters. */
static void print_text(const char *text)
{
	char bytes[4] = "";
	for (uint32_t code; (code = format_utf8_next(&text)) != 0;) {
		if (code != '\n' && (code < 0x20 || (code >= 0x7f && code < 0xa0)))
			code = '?';
		fwrite(bytes, 1, format_utf8_put(bytes, code), stdout);
	}
}

int export_metrics(struct link *link)
{
	struct problem problem;
	size_t length;
	bool printed = false;
	int64_t deadline = client_now_ms() + REPLY_TIMEOUT_MS;
	client_send(&link->client, "stats format=openmetrics");
	char *line = client_wait(&link->client, deadline, &length, &problem);
	cJSON *reply = line != NULL ? cJSON_ParseWithLength(line, length) : NULL;
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(reply, "text");
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(reply, "message");
	if (cJSON_IsString(text)) {
		print_text(text->valuestring);
		printed = true;
	} else if (cJSON_IsString(message)) {
		problem_set(&problem, "the target refuses: %s", message->valuestring);
	} else if (line != NULL) {
		problem_set(&problem, "%s: the target answers with something else than metrics", link->path);
	}
	cJSON_Delete(reply);
	if (printed)
		return run_flush();
	run_complain(problem.text);
	return 1;
}
