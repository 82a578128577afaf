/* main.c: what the command line asks for. */
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "viewer/chooser.h"
#include "viewer/compare.h"
#include "viewer/discover.h"
#include "viewer/export.h"
#include "viewer/guard_run.h"
#include "viewer/help_env.h"
#include "viewer/html.h"
#include "viewer/profile_run.h"
#include "viewer/replay.h"
#include "viewer/run.h"
#include "viewer/screen.h"
#include "viewer/signals.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

static int complain(const struct problem *problem, int status)
{
	run_complain(problem->text);
	return status;
}

/* A name that is neither a process nor a socket is a dump. */
static bool names_file(const char *target)
{
	struct stat stat_buffer;
	pid_t pid;
	if (link_names_pid(target, &pid))
		return false;
	return stat(target, &stat_buffer) != 0 || !S_ISSOCK(stat_buffer.st_mode);
}

/* What is watched, with what the command line says of it. */
static struct watch watch_for(const struct options *options, pid_t pid)
{
	return (struct watch){
		.state = WATCH_WAITING, .where = {.folders = options->binaries, .debug = options->debug_dir, .pid = pid},
	};
}

static int watch_recording(const struct options *options)
{
	struct watch watch = watch_for(options, 0);
	struct problem problem;
	sigset_t before;
	int status = STATUS_FAILED;
	if (options->dump != NULL || options->report) {
		problem_set(&problem, "%s is a recording; 'hakmem-top --json %s@end' prints a state of it", options->target, options->target);
		return complain(&problem, STATUS_USAGE);
	}
	if (options->batch || !screen_possible(false))
		return replay_batch(options);
	if (replay_open(&watch, options, &problem))
		status = screen_run(NULL, &watch, NULL, options, signals_open(&before));
	else
		run_complain(problem.text);
	watch_free(&watch);
	return status;
}

static int watch_file(const struct options *options)
{
	struct watch watch = watch_for(options, 0);
	struct problem problem;
	sigset_t before;
	int status;
	if (options->record != NULL) {
		problem_set(&problem, "--record is for a process or a command; %s is neither", options->target);
		return complain(&problem, STATUS_USAGE);
	}
	if (options->replay || replay_names(options->target))
		return watch_recording(options);
	if (options->dump != NULL) {
		problem_set(&problem, "%s is a dump already; --dump is for a running process", options->target);
		return complain(&problem, STATUS_USAGE);
	}
	if (options->metrics) {
		problem_set(&problem, "%s is a file; --metrics is for a process that runs", options->target);
		return complain(&problem, STATUS_USAGE);
	}
	if (options->chrome != NULL)
		return export_file_events(options);
	if (options->report)
		return run_file_report(options);
	if (options->batch || !screen_possible(false))
		return run_file(options);
	if (!watch_load(&watch, options->target, &problem))
		return complain(&problem, STATUS_FAILED);
	status = screen_run(NULL, &watch, NULL, options, signals_open(&before));
	watch_free(&watch);
	return status;
}

/* Begins what --record asks for. */
static bool begin_record(const struct options *options, struct record *record, struct watch *watch, struct problem *problem)
{
	if (options->record == NULL)
		return true;
	if (!record_open(record, options->record, options->record_max > 0 ? options->record_max : RECORD_BYTES_DEFAULT, problem))
		return false;
	watch->record = record;
	return true;
}

/* Says on stderr if it could not be kept up to the end. Returns the exit status: a command's stays its own. */
static int end_record(struct watch *watch, const struct launch *launch, int status)
{
	struct record *record = watch->record;
	char text[PROBLEM_MAX];
	if (record == NULL)
		return status;
	if (launch != NULL && launch->ended) {
		launch_describe(launch, text, sizeof(text));
		record_text(record, CHUNK_NOTE, text);
	}
	watch->record = NULL;
	record_close(record);
	if (record->problem.text[0] == '\0')
		return status;
	run_complain(record->problem.text);
	return launch == NULL && status == 0 ? STATUS_FAILED : status;
}

static int watch_process(const struct options *options, const char *target)
{
	struct watch watch = watch_for(options, 0);
	struct record record;
	struct link link;
	struct problem problem;
	int status;
	link_init(&link);
	if (!link_open(&link, target, LINK_TIMEOUT_MS, &problem))
		return complain(&problem, STATUS_FAILED);
	snprintf(watch.target, sizeof(watch.target), "%.255s", target);
	watch.where.pid = link.client.peer_pid;
	if (!begin_record(options, &record, &watch, &problem)) {
		link_close(&link);
		return complain(&problem, STATUS_FAILED);
	}
	if (options->dump != NULL) {
		status = run_dump(&link, options);
	} else if (options->metrics) {
		status = export_metrics(&link);
	} else if (options->chrome != NULL) {
		status = export_live_events(&link, options);
	} else if (options->report) {
		status = run_report(&link);
	} else if (options->batch || !screen_possible(false)) {
		status = run_batch(&link, &watch, NULL, options, -1);
	} else {
		sigset_t before;
		status = screen_run(&link, &watch, NULL, options, signals_open(&before));
	}
	link_close(&link);
	status = end_record(&watch, NULL, status);
	watch_free(&watch);
	return status;
}

static int watch_command(const struct options *options)
{
	char library[4096];
	struct problem problem;
	struct output output = {.bytes = NULL};
	struct watch watch = watch_for(options, 0);
	struct record record;
	struct launch launch;
	struct link link;
	sigset_t before;
	int status;
	bool screen = !options->batch && screen_possible(true);
	if (!launch_find_library(options->library, library, sizeof(library), &problem))
		return complain(&problem, STATUS_FAILED);
	if (!begin_record(options, &record, &watch, &problem))
		return complain(&problem, STATUS_FAILED);
	int signal_fd = signals_open(&before);
	const struct launch_how how = {
		.command = options->command, .library = library, .output_file = options->output, .capture = screen,
		.mask = &before,
	};
	if (!launch_start(&launch, &how, &status, &problem)) {
		end_record(&watch, NULL, status);
		return complain(&problem, status);
	}
	link_init(&link);
	link_expect(&link, launch.pid);
	watch.where.pid = launch.pid;
	snprintf(watch.target, sizeof(watch.target), "%.255s", options->command[0]);
	if (launch.output_fd >= 0 && options->output == NULL)
		watch.output = &output;
	if (screen)
		status = screen_run(&link, &watch, &launch, options, signal_fd);
	else
		status = run_batch(&link, &watch, &launch, options, signal_fd);
	link_close(&link);
	status = end_record(&watch, &launch, status);
	/* What the command's processes left that ended by a signal or _exit. */
	discover_sweep();
	watch_free(&watch);
	output_free(&output);
	return status;
}

/* Several processes and nobody to ask. */
static int advise(const struct discovery *discovery)
{
	fprintf(stderr, "hakmem-top: %zu processes to choose from; name one: hakmem-top PID\n", discovery->open);
	for (size_t i = 0; i < discovery->count; i++) {
		if (discovery->rows[i].state == FOUND_OPEN)
			fprintf(stderr, "%8d  %s\n", (int)discovery->rows[i].pid, discovery->rows[i].exe);
	}
	return STATUS_USAGE;
}

static int watch_chosen(const struct options *options)
{
	struct discovery discovery;
	struct problem problem;
	const struct found *chosen = NULL;
	int status = 0;
	if (!discover_all(&discovery, &problem))
		return complain(&problem, STATUS_FAILED);
	for (size_t i = 0; discovery.open == 1 && i < discovery.count; i++) {
		if (discovery.rows[i].state == FOUND_OPEN)
			chosen = &discovery.rows[i];
	}
	if (discovery.open == 0) {
		problem_set(&problem,
			"no HAKMEM process of this user can be watched; start one with 'hakmem-top -- COMMAND'%s",
			discovery.count > 0 ? ", or see 'hakmem-top --list'" : "");
		status = complain(&problem, STATUS_FAILED);
	} else if (discovery.open > 1 && (options->batch || options->dump != NULL || !screen_possible(false))) {
		status = advise(&discovery);
	} else if (discovery.open > 1) {
		chosen = chooser_run(&discovery);
	}
	if (chosen != NULL)
		status = watch_process(options, chosen->path);
	discover_free(&discovery);
	return status;
}

/* A standard stream that was closed is opened the wrong way round: a socket or a terminal can't come to lie on its
 * number, and to use it fails as it would have. */
static void hold_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			/* The lowest free number is this one, as those below it are open by now. */
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
	}
}

/* Under an LD_PRELOAD of HAKMEM's the viewer would be among what it shows, and its memory in what it measures. It
 * starts itself again, once: then there is no such word left. If that fails it works as it is. */
static void leave_hakmem(char **argv)
{
	const char *present = getenv("LD_PRELOAD");
	char *rest = present != NULL ? strdup(present) : NULL, self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (rest != NULL && length > 0 && launch_without_hakmem(rest, rest)) {
		self[length] = '\0'; /* by this path, as the process would be called "exe" after the link */
		char *restore = strdup(present);
		if (restore != NULL && (*rest != '\0' ? setenv("LD_PRELOAD", rest, 1) : unsetenv("LD_PRELOAD")) == 0) {
			execv(self, argv);
			setenv("LD_PRELOAD", restore, 1);
		}
		free(restore);
	}
	free(rest);
}

int main(int argc, char **argv)
{
	struct options options;
	struct problem problem;
	hold_streams();
	leave_hakmem(argv);
	setlocale(LC_CTYPE, "");
	if (!options_parse(&options, argc, argv, &problem))
		return complain(&problem, STATUS_USAGE);
	switch (options.action) {
	case ACTION_HELP:
		options_help(stdout);
		break;
	case ACTION_VERSION:
		puts("hakmem-top " HAKMEM_VERSION);
		break;
	case ACTION_HELP_ENV:
		help_env_text(stdout);
		break;
	case ACTION_HELP_ENV_MD:
		help_env_markdown(stdout);
		break;
	case ACTION_LIST:
		return run_list();
	case ACTION_WATCH:
		if (options.html != NULL)
			return html_run(&options);
		if (options.diff != NULL)
			return compare_run(&options);
		if (options.report == REPORT_GUARD)
			return guard_run(&options);
		if (profile_run_wanted(&options))
			return profile_run(&options);
		if (options.command != NULL)
			return watch_command(&options);
		if (options.target == NULL)
			return watch_chosen(&options);
		return options.replay || names_file(options.target) ? watch_file(&options) : watch_process(&options, options.target);
	}
	return run_flush();
}
