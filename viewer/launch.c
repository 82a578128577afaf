#include "viewer/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIBRARY "libhakmem.so"
#define CORE_LIBRARY "libhakmem-core.so"
#define SEPARATORS " :\t\n" /* of LD_PRELOAD */

/* What the child reports where it could not become the command. */
struct failure {
	int error;    /* errno; 0: none */
	bool streams; /* before exec: its streams */
};

static bool is_file(const char *path)
{
	struct stat stat_buffer;
	return stat(path, &stat_buffer) == 0 && S_ISREG(stat_buffer.st_mode) && access(path, R_OK) == 0;
}

static bool take_library(const char *path, const char *from, char *out, size_t size, struct problem *problem)
{
	char real[PATH_MAX];
	if (!is_file(path) || realpath(path, real) == NULL)
		return problem_set(problem, "%s: no library there (given by %s)", path, from);
	if ((size_t)snprintf(out, size, "%s", real) >= size)
		return problem_set(problem, "%s: the path is too long", real);
	return true;
}

bool launch_find_library(const char *given, char *out, size_t size, struct problem *problem)
{
	static const char *const places[] = {
		"", "/../lib", "/../lib/hakmem", "/../lib64", "/../lib/x86_64-linux-gnu", "/../lib/aarch64-linux-gnu",
	};
	char self[PATH_MAX], path[PATH_MAX + 64], real[PATH_MAX];
	const char *variable = getenv("HAKMEM_LIB");
	if (given != NULL)
		return take_library(given, "--library", out, size, problem);
	if (variable != NULL && *variable != '\0')
		return take_library(variable, "HAKMEM_LIB", out, size, problem);
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length <= 0)
		return problem_set(problem,
			"/proc/self/exe can't be read, so " LIBRARY " isn't found; name it with --library FILE");
	self[length] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s%s/" LIBRARY, self, places[i]);
		if (is_file(path) && realpath(path, real) != NULL && (size_t)snprintf(out, size, "%s", real) < size)
			return true;
	}
	return problem_set(problem,
		"no " LIBRARY " beside hakmem-top (%s) or in ../lib; name it with --library FILE or HAKMEM_LIB",
		self);
}

static bool begins(const char *text, size_t length, const char *with)
{
	return length >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

bool launch_without_hakmem(const char *present, char *out)
{
	bool found = false;
	char *end = out;
	for (const char *p = present; *p != '\0';) {
		size_t separators = strspn(p, SEPARATORS), length = strcspn(p + separators, SEPARATORS);
		const char *word = p + separators, *name = word;
		for (const char *c = word; c < word + length; c++)
			name = *c == '/' ? c + 1 : name;
		size_t name_length = length - (size_t)(name - word);
		/* libhakmem.so.1 is one as well. */
		if (begins(name, name_length, LIBRARY) || begins(name, name_length, CORE_LIBRARY)) {
			found = true;
		} else {
			memmove(end, p, separators + length);
			end += separators + length;
		}
		p = word + length;
	}
	*end = '\0';
	size_t leading = found ? strspn(out, SEPARATORS) : 0;
	memmove(out, out + leading, (size_t)(end - out) - leading + 1);
	return found;
}

bool launch_preload(const char *library, const char *present, char *out, size_t size, struct problem *problem)
{
	if (strpbrk(library, SEPARATORS) != NULL)
		return problem_set(problem,
			"%s: the loader splits LD_PRELOAD at blanks and colons; copy or link the library to a path "
			"without them and name it with --library FILE", library);
	char *rest = strdup(present != NULL ? present : "");
	if (rest == NULL)
		return problem_set(problem, "out of memory for LD_PRELOAD");
	launch_without_hakmem(rest, rest);
	bool fits = (size_t)snprintf(out, size, "%s%s%s", library, *rest != '\0' ? ":" : "", rest) < size;
	free(rest);
	return fits || problem_set(problem, "LD_PRELOAD is already too long to add %s", library);
}

/* In the child: what went wrong goes to the parent, who tells the user. */
static _Noreturn void fail(int report, bool streams)
{
	struct failure failure;
	memset(&failure, 0, sizeof(failure)); /* the padding goes through the pipe too */
	failure.error = errno;
	failure.streams = streams;
	ssize_t written = write(report, &failure, sizeof(failure));
	_exit(written == sizeof(failure) ? 127 : 126);
}

/* In the child: where its streams lead. */
static bool set_streams(const struct launch_how *how, int captured)
{
	if (how->output_file != NULL) {
		int fd = open(how->output_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
			return false;
	} else if (captured >= 0) {
		for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
			if (isatty(fd) && dup2(captured, fd) < 0)
				return false;
		}
	}
	if (how->capture && isatty(STDIN_FILENO)) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (null < 0 || dup2(null, STDIN_FILENO) < 0)
			return false;
	}
	return true;
}

static _Noreturn void run_child(const struct launch_how *how, const char *preload, int captured, int report)
{
	if (!set_streams(how, captured))
		fail(report, true);
	if (setenv("LD_PRELOAD", preload, 1) != 0 || setenv("HAKMEM_INTROSPECT", "1", 1) != 0)
		fail(report, false);
	sigprocmask(SIG_SETMASK, how->mask, NULL);
	execvp(how->command[0], how->command);
	fail(report, false);
}

/* Reads what the child reports: nothing if exec succeeded, as that closed the pipe. */
static struct failure read_report(int fd)
{
	struct failure failure;
	ssize_t count;
	do
		count = read(fd, &failure, sizeof(failure));
	while (count < 0 && errno == EINTR);
	return count == sizeof(failure) ? failure : (struct failure){.error = 0};
}

static bool start_failed(const struct launch_how *how, struct failure failure, int *status, struct problem *problem)
{
	const char *command = how->command[0], *error = strerror(failure.error);
	*status = failure.streams ? 1 : failure.error == ENOENT ? 127 : 126;
	if (failure.streams && how->output_file != NULL)
		return problem_set(problem, "%s: %s (given by -o)", how->output_file, error);
	if (failure.streams)
		return problem_set(problem, "the command's streams: %s", error);
	/* For a script whose interpreter is missing, or a program whose loader is, exec reports what it does for a missing
	 * file. */
	if (failure.error == ENOENT && strchr(command, '/') != NULL && access(command, F_OK) == 0)
		return problem_set(problem, "%s: its interpreter or loader is missing", command);
	return problem_set(problem, "%s: %s", command, failure.error == ENOENT ? "command not found" : error);
}

bool launch_start(struct launch *launch, const struct launch_how *how, int *status, struct problem *problem)
{
	static char preload[1 << 16];
	int report[2] = {-1, -1}, captured[2] = {-1, -1};
	*launch = (struct launch){.pid = -1, .output_fd = -1};
	*status = 1;
	if (!launch_preload(how->library, getenv("LD_PRELOAD"), preload, sizeof(preload), problem))
		return false;
	if (pipe2(report, O_CLOEXEC) != 0 || (how->capture && pipe2(captured, O_CLOEXEC) != 0))
		return problem_set(problem, "pipe: %s", strerror(errno));
	launch->pid = fork();
	if (launch->pid == 0)
		run_child(how, preload, captured[1], report[1]);
	struct failure failure = {.error = launch->pid < 0 ? errno : 0};
	close(report[1]);
	if (captured[1] >= 0)
		close(captured[1]);
	if (launch->pid > 0)
		failure = read_report(report[0]);
	close(report[0]);
	if (failure.error != 0) {
		if (launch->pid > 0)
			launch_wait(launch);
		if (captured[0] >= 0)
			close(captured[0]);
		return start_failed(how, failure, status, problem);
	}
	launch->output_fd = captured[0];
	if (captured[0] >= 0)
		fcntl(captured[0], F_SETFL, O_NONBLOCK);
	return true;
}

bool launch_reap(struct launch *launch)
{
	if (!launch->ended && launch->pid > 0)
		launch->ended = waitpid(launch->pid, &launch->wait_status, WNOHANG) == launch->pid;
	return launch->ended;
}

void launch_wait(struct launch *launch)
{
	while (!launch->ended && launch->pid > 0) {
		pid_t pid = waitpid(launch->pid, &launch->wait_status, 0);
		launch->ended = pid == launch->pid || (pid < 0 && errno != EINTR);
	}
}

int launch_status(const struct launch *launch)
{
	if (WIFSIGNALED(launch->wait_status))
		return 128 + WTERMSIG(launch->wait_status);
	return WEXITSTATUS(launch->wait_status);
}

void launch_describe(const struct launch *launch, char *out, size_t size)
{
	if (WIFSIGNALED(launch->wait_status))
		snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(launch->wait_status),
			strsignal(WTERMSIG(launch->wait_status)));
	else
		snprintf(out, size, "ended with status %d", WEXITSTATUS(launch->wait_status));
}
