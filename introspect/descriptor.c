#include "introspect/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "introspect/proc.h"
#include "introspect/protocol.h"

#define HIGH_MAX 4000 /* the kernel's table grows with the highest number: 32 KiB here */

/* Closes everything in a table that is a copy of the program's: before Linux 5.9. */
static int close_each(void)
{
	char text[2048];
	const char *line;
	uint64_t size = 0;

	close(0); /* so that there is a number to read with */
	line = hak_proc_read("/proc/thread-self/status", text, sizeof(text)) > 0 ? strstr(text, "\nFDSize:\t") : NULL;
	if (!line || !hak_protocol_read_number(line + strlen("\nFDSize:\t"), &size))
		return -ENOSYS;
	for (uint64_t fd = 0; fd < size; fd++)
		close((int)fd);
	return 0;
}

int hak_fd_own_table(void)
{
	int fd, result = 0;

	/* One call leaves the program's table without copying it. */
	if (syscall(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE) != 0)
		result = unshare(CLONE_FILES) == 0 ? close_each() : -errno;
	if (result < 0)
		return result;
	/* The numbers that others take for granted are not given to sockets. */
	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = open("/", O_PATH | O_CLOEXEC);
	} while (fd >= 0 && fd < STDERR_FILENO);
	if (HAK_DEBUG)
		hak_fd_borrow_stderr();
	return fd < 0 ? -errno : 0;
}

void hak_fd_borrow_stderr(void)
{
	int process = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int fd = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, STDERR_FILENO, 0);

	if (fd >= 0) {
		dup3(fd, STDERR_FILENO, O_CLOEXEC);
		close(fd);
	}
	if (process >= 0)
		close(process);
}

void hak_fd_return_stderr(void)
{
	if (!HAK_DEBUG)
		dup3(STDIN_FILENO, STDERR_FILENO, O_CLOEXEC);
}

/* The lowest number for ours: the last quarter of what the soft limit allows. */
static int high_number(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > HIGH_MAX)
		return HIGH_MAX;
	return (int)(limit.rlim_cur - limit.rlim_cur / 4);
}

int hak_fd_raise(int fd)
{
	int raised = fcntl(fd, F_DUPFD_CLOEXEC, high_number());
	int error;

	if (raised < 0 && errno == EINVAL)
		raised = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* The limit is tiny: any number above the standard ones. */
	error = errno;
	close(fd);
	errno = error;
	return raised;
}
