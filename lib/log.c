#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fmt.h"

static const char *log_path;
static struct stat stderr_at_start; /* st_ino 0: not known */

void hak_log_set_path(const char *path)
{
	log_path = path[0] ? path : NULL;
	if (fstat(STDERR_FILENO, &stderr_at_start) != 0)
		stderr_at_start.st_ino = 0;
}

/* Programs close descriptor 2 and open other files, and then a database is what it names. A terminal, a pipe, a socket,
 * a file that is appended to, or the one it was at the start, is taken for stderr. */
static bool stderr_is_one(void)
{
	struct stat now;

	if (fstat(STDERR_FILENO, &now) != 0)
		return false;
	if (!S_ISREG(now.st_mode) || (fcntl(STDERR_FILENO, F_GETFL) & O_APPEND))
		return true;
	return now.st_ino == stderr_at_start.st_ino && now.st_dev == stderr_at_start.st_dev;
}

/* Writes all of it; an interrupted or partial write goes on where it stopped, and a full pipe is waited for, be it
 * blocking or not. */
static bool write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd full = {fd, POLLOUT, 0};

			poll(&full, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			return false;
		}
		if (n > 0) {
			text += n;
			length -= (size_t)n;
		}
	}
	return true;
}

/* A write to a pipe whose reader left raises SIGPIPE, which by default would end the program because it is watched. The
 * signal is blocked for the moment of the write, and taken back if it was the write that raised it: one pending before
 * stays pending. */
static bool write_without_sigpipe(int fd, const char *text, size_t length)
{
	sigset_t sigpipe, old, pending;
	bool pending_before, ok;

	sigemptyset(&sigpipe);
	sigaddset(&sigpipe, SIGPIPE);
	sigpending(&pending);
	pending_before = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &sigpipe, &old);
	ok = write_all(fd, text, length);
	if (!ok && errno == EPIPE && !pending_before) {
		const struct timespec now = {0, 0};

		while (sigtimedwait(&sigpipe, NULL, &now) < 0 && errno == EINTR)
			continue;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ok;
}

bool hak_log_write(const char *text, size_t length)
{
	int saved = errno;
	int cancel;
	bool ok;

	/* open, write and close are cancellation points, and malloc must not become one. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if (log_path) {
		/* Opened for each write: programs close and reuse descriptors that they don't know. */
		int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);

		ok = fd >= 0 && write_without_sigpipe(fd, text, length);
		if (fd >= 0)
			close(fd);
	} else {
		ok = stderr_is_one() && write_without_sigpipe(STDERR_FILENO, text, length);
	}
	pthread_setcancelstate(cancel, NULL);
	errno = saved;
	return ok;
}

bool hak_log_line(const char *line)
{
	char text[640];
	struct hak_fmt fmt;

	hak_fmt_begin(&fmt, text, sizeof(text) - 1);
	hak_fmt_text(&fmt, line);
	text[fmt.length++] = '\n';
	return hak_log_write(text, fmt.length);
}

void hak_assert_fail(const char *condition, const char *file, int line)
{
	char text[512];
	struct hak_fmt fmt;

	hak_fmt_begin(&fmt, text, sizeof(text));
	hak_fmt_text(&fmt, "hakmem: assertion failed: ");
	hak_fmt_text(&fmt, condition);
	hak_fmt_text(&fmt, " at ");
	hak_fmt_text(&fmt, file);
	hak_fmt_char(&fmt, ':');
	hak_fmt_unsigned(&fmt, (uint64_t)line);
	hak_log_line(text);
	abort();
}
