#include "viewer/compare.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "viewer/diff_report.h"
#include "viewer/link.h"
#include "viewer/replay.h"
#include "viewer/run.h"
#include "viewer/site_diff.h"
#include "viewer/watch.h"

#define ANSWER_TIMEOUT_MS 10000

/* Asks a running process for its state. */
static bool ask(struct watch *watch, const char *target, struct problem *problem)
{
	struct link link;
	size_t length;
	enum watch_message what = WATCH_OTHER;
	link_init(&link);
	if (!link_open(&link, target, LINK_TIMEOUT_MS, problem))
		return false;
	int64_t deadline = client_now_ms() + ANSWER_TIMEOUT_MS;
	client_send(&link.client, "snapshot");
	for (char *line; what == WATCH_OTHER && (line = client_wait(&link.client, deadline, &length, problem)) != NULL;)
		what = watch_take(watch, line, length, problem);
	link_close(&link);
	return watch->snapshot != NULL;
}

bool compare_find(struct watch *watch, const char *name, struct problem *problem)
{
	struct stat facts;
	pid_t pid;
	if (link_names_pid(name, &pid) || (stat(name, &facts) == 0 && S_ISSOCK(facts.st_mode)))
		return ask(watch, name, problem);
	if (!replay_names(name))
		return watch_load(watch, name, problem);
	watch->snapshot = replay_snapshot(name, problem);
	return watch->snapshot != NULL;
}

/* Says on stderr how live bytes grew, if it is by more than is allowed. */
static int judge(const struct diff *diff, uint64_t allowed)
{
	const struct change live = diff_find(diff, "memory", "live_bytes")->value;
	if (live.after <= live.before || live.after - live.before <= allowed)
		return 0;
	struct problem problem;
	problem_set(&problem, "live bytes grew by %llu, more than the %llu of --fail-if-growth",
		(unsigned long long)(live.after - live.before), (unsigned long long)allowed);
	run_complain(problem.text);
	return COMPARE_GROWN;
}

/* Compares the call sites, if both have a profile. */
static bool compare_sites(struct site_diff *sites, const struct options *options)
{
	struct profile_source sources[2];
	const struct binaries_where where = {.folders = options->binaries, .debug = options->debug_dir};
	struct problem problem;
	if (!profile_source_open(&sources[0], options->diff, &problem))
		return false;
	if (!profile_source_open(&sources[1], options->target, &problem)) {
		profile_source_close(&sources[0]);
		return false;
	}
	if (site_diff_make(sites, sources, &where))
		return true;
	site_diff_free(sites);
	return false;
}

static void print(const struct options *options, const struct diff *diff, const struct diff_side *before, const struct diff_side *after)
{
	struct site_diff sites;
	bool has_sites = compare_sites(&sites, options);
	if (options->json) {
		diff_json(stdout, diff, before, after, has_sites ? &sites : NULL);
	} else {
		diff_text(stdout, diff, before, after);
		if (has_sites)
			site_diff_text(stdout, &sites);
	}
	if (has_sites)
		site_diff_free(&sites);
}

int compare_run(const struct options *options)
{
	struct diff_side before = {.snapshot = NULL}, after = {.snapshot = NULL};
	struct watch old = {.state = WATCH_WAITING}, new = {.state = WATCH_WAITING};
	struct problem problem;
	struct diff diff;
	int status = 1;
	format_printable(before.name, sizeof(before.name), options->diff);
	format_printable(after.name, sizeof(after.name), options->target);
	if (!compare_find(&old, options->diff, &problem) || !compare_find(&new, options->target, &problem)) {
		run_complain(problem.text);
	} else if (!diff_make(&diff, old.snapshot, new.snapshot)) {
		run_complain("out of memory");
	} else {
		before.snapshot = old.snapshot;
		after.snapshot = new.snapshot;
		print(options, &diff, &before, &after);
		status = run_flush();
		if (status == 0 && options->limits_growth)
			status = judge(&diff, options->growth);
		diff_free(&diff);
	}
	watch_free(&old);
	watch_free(&new);
	return status;
}
