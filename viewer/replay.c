#include "viewer/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "viewer/batch.h"
#include "viewer/client.h"
#include "viewer/run.h"
#include "viewer/snapshot_json.h"
#include "viewer/travel.h"

static bool is_recording(const char *path)
{
	char start[8];
	struct stat facts;
	int fd = stat(path, &facts) == 0 && S_ISREG(facts.st_mode) ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	if (fd < 0)
		return false;
	ssize_t count = read(fd, start, sizeof(start));
	close(fd);
	return count > 0 && recording_is(start, (size_t)count);
}

/* Splits FILE@MOMENT. A file that has an @ in its name is a file. */
static void split(const char *target, char path[PATH_MAX], const char **moment)
{
	const char *at = strrchr(target, '@');
	struct stat facts;
	*moment = NULL;
	snprintf(path, PATH_MAX, "%s", target);
	if (at == NULL || (size_t)(at - target) >= PATH_MAX || stat(target, &facts) == 0)
		return;
	path[at - target] = '\0';
	*moment = at + 1;
}

bool replay_names(const char *target)
{
	char path[PATH_MAX];
	const char *moment;
	split(target, path, &moment);
	return is_recording(path);
}

struct snapshot *replay_snapshot(const char *target, struct problem *problem)
{
	char path[PATH_MAX];
	const char *moment;
	struct recording recording;
	struct problem inner = {"out of memory"};
	struct snapshot *copy = NULL;
	uint64_t number;
	split(target, path, &moment);
	if (!recording_open(&recording, path, problem))
		return NULL;
	if (recording_find(&recording, moment != NULL ? moment : "end", &number, &inner)) {
		const struct snapshot *snapshot = timeline_load(&recording.timeline, number, &inner);
		copy = snapshot != NULL ? moment_copy(snapshot) : NULL;
	}
	if (copy == NULL)
		problem_set(problem, "%s: %s", path, inner.text);
	recording_close(&recording);
	return copy;
}

char *replay_profile(const char *target, size_t *length, struct problem *problem)
{
	char path[PATH_MAX], *text = NULL;
	const char *moment;
	struct recording recording;
	struct problem inner;
	uint64_t number;
	split(target, path, &moment);
	if (!recording_open(&recording, path, problem))
		return NULL;
	if (!recording_find(&recording, moment != NULL ? moment : "end", &number, &inner))
		problem_set(problem, "%s: %s", path, inner.text);
	else if ((text = recording_profile(&recording, number, length)) == NULL)
		problem_set(problem, "%s: it holds no profile%s: " PROFILE_WANTED, path,
			recording.profile_count > 0 ? " of that moment or before" : "");
	recording_close(&recording);
	return text;
}

bool replay_open(struct watch *watch, const struct options *options, struct problem *problem)
{
	char path[PATH_MAX];
	const char *moment;
	struct problem inner;
	uint64_t number;
	split(options->target, path, &moment);
	if (!is_recording(path) && access(path, R_OK) == 0)
		return problem_set(problem, "%s: no recording; hakmem-top --record FILE makes one", path);
	if (!travel_open(watch, path, options->speed > 0 ? options->speed : 1, problem))
		return false;
	if (moment == NULL)
		return true;
	watch->paused = true;
	if (!recording_find(&watch->replay->recording, moment, &number, &inner))
		return problem_set(problem, "%s: %s", path, inner.text);
	return travel_to(watch, number) || problem_set(problem, "%s: %s", path, watch->note);
}

/* Waits until moment `number` is due, the first one having been shown at `began_ms`. */
static void wait_for(const struct watch *watch, uint64_t first, uint64_t number, int64_t began_ms, double speed)
{
	const struct timeline *timeline = &watch->replay->recording.timeline;
	double due_ms = (double)(timeline_time(timeline, number) - timeline_time(timeline, first)) / 1000 / speed;
	for (double left; (left = due_ms - (double)(client_now_ms() - began_ms)) > 0;)
		poll(NULL, 0, left > 1000 ? 1000 : (int)left + 1);
}

static bool print_frame(const struct watch *watch, bool json)
{
	if (!json)
		return batch_text(stdout, watch);
	snapshot_json(stdout, watch->snapshot);
	return fflush(stdout) == 0 && !ferror(stdout);
}

int replay_batch(const struct options *options)
{
	struct watch watch = {.state = WATCH_WAITING};
	struct problem problem;
	int status = 0;
	if (!replay_open(&watch, options, &problem) || watch.replay == NULL) {
		run_complain(problem.text);
		watch_free(&watch);
		return 1;
	}
	const struct timeline *timeline = &watch.replay->recording.timeline;
	uint64_t first = watch.moment, end = watch.paused ? first + 1 : timeline->first + timeline->count;
	int64_t began_ms = client_now_ms();
	long frames = 0;
	for (uint64_t i = first; i < end && (options->frames == 0 || frames < options->frames); i++, frames++) {
		if (options->speed > 0)
			wait_for(&watch, first, i, began_ms, options->speed);
		if (i > first && !travel_to(&watch, i)) {
			run_complain(watch.note);
			status = 1;
			break;
		}
		if (!print_frame(&watch, options->json)) {
			problem_set(&problem, "standard output: %s", strerror(errno));
			run_complain(problem.text);
			status = 1;
			break;
		}
	}
	/* A recording that is cut off is one that the viewer was killed in: worth a word, but no failure. */
	if (status == 0 && watch.replay->recording.cut.text[0] != '\0') {
		problem_set(&problem, "%s: %s", watch.target, watch.replay->recording.cut.text);
		run_complain(problem.text);
	}
	watch_free(&watch);
	return status;
}
