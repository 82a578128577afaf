#include "introspect/quiet.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "introspect/protocol.h"

/* The file that was stderr when the library was loaded; written before there is a second thread. */
static bool stderr_known;
static dev_t stderr_device;
static ino_t stderr_inode;

void hak_undisturbed_begin(struct hak_undisturbed *undisturbed)
{
	sigset_t all;

	sigfillset(&all);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &undisturbed->cancel);
	pthread_sigmask(SIG_SETMASK, &all, &undisturbed->before);
}

void hak_undisturbed_end(const struct hak_undisturbed *undisturbed)
{
	int kept = errno;

	pthread_sigmask(SIG_SETMASK, &undisturbed->before, NULL);
	pthread_setcancelstate(undisturbed->cancel, NULL);
	errno = kept;
}

void hak_quiet_begin(struct hak_quiet *quiet)
{
	static const int signals[] = {SIGXFSZ, SIGPIPE};
	sigset_t blocked, pending;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &quiet->cancel);
	sigemptyset(&blocked);
	sigemptyset(&quiet->raised);
	sigemptyset(&pending);
	sigpending(&pending);
	for (size_t i = 0; i < HAK_COUNT_OF(signals); i++) {
		sigaddset(&blocked, signals[i]);
		/* One that is pending already is the program's, and stays. */
		if (!sigismember(&pending, signals[i]))
			sigaddset(&quiet->raised, signals[i]);
	}
	pthread_sigmask(SIG_BLOCK, &blocked, &quiet->before);
}

void hak_quiet_end(const struct hak_quiet *quiet)
{
	static const struct timespec at_once = {0, 0};
	int kept = errno;

	while (sigtimedwait(&quiet->raised, NULL, &at_once) > 0 || errno == EINTR)
		continue;
	pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
	pthread_setcancelstate(quiet->cancel, NULL);
	errno = kept;
}

void hak_quiet_remember_stderr(void)
{
	struct stat status;

	stderr_known = fstat(STDERR_FILENO, &status) == 0;
	stderr_device = stderr_known ? status.st_dev : 0;
	stderr_inode = stderr_known ? status.st_ino : 0;
}

/* Says whether descriptor 2 is where people look for complaints. */
static bool is_for_messages(void)
{
	struct stat status;
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	if (flags < 0 || fstat(STDERR_FILENO, &status) != 0)
		return false;
	if (S_ISBLK(status.st_mode))
		return false;
	/* Daemons open their logs for appending. */
	if (!S_ISREG(status.st_mode) || (flags & O_APPEND))
		return true;
	return stderr_known && status.st_dev == stderr_device && status.st_ino == stderr_inode;
}

void hak_quiet_complain(const char *what, const char *detail, int error)
{
	char line[1024];
	struct hak_protocol_text text = {line, sizeof(line) - 1, 0, false};
	struct hak_quiet quiet;

	if (!is_for_messages())
		return;
	hak_protocol_put(&text, "hakmem: ");
	hak_protocol_put(&text, what);
	if (*detail) {
		hak_protocol_put(&text, ": ");
		hak_protocol_put(&text, detail);
	}
	hak_protocol_put(&text, ": ");
	hak_protocol_put(&text, strerrordesc_np(error));
	/* The last byte was kept free for the newline, should the rest be cut. */
	line[text.length++] = '\n';
	hak_quiet_begin(&quiet);
	if (write(STDERR_FILENO, line, text.length) < 0)
		errno = 0; /* there is nobody left to tell */
	hak_quiet_end(&quiet);
}
