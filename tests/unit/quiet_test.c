/* Writing never raises a signal in the program, nor swallows one that was the program's. */
#include "introspect/quiet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "tests/unit/unit.h"

static bool is_blocked(int signal)
{
	sigset_t mask;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	return sigismember(&mask, signal);
}

static void broken_pipe(void)
{
	struct hak_quiet quiet;
	int ends[2];
	signal(SIGPIPE, SIG_DFL); /* were it delivered, this test would end here */
	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	close(ends[0]);
	hak_quiet_begin(&quiet);
	CU_ASSERT_TRUE(is_blocked(SIGPIPE));
	UNIT_EQUAL(write(ends[1], "x", 1), -1);
	UNIT_EQUAL(errno, EPIPE);
	hak_quiet_end(&quiet);
	UNIT_EQUAL(errno, EPIPE);
	CU_ASSERT_FALSE(is_blocked(SIGPIPE));
	close(ends[1]);
}

static void what_was_pending_stays(void)
{
	struct hak_quiet quiet;
	sigset_t pipe_signal, pending;
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	sigprocmask(SIG_BLOCK, &pipe_signal, NULL);
	raise(SIGPIPE);
	hak_quiet_begin(&quiet);
	hak_quiet_end(&quiet);
	CU_ASSERT_TRUE(is_blocked(SIGPIPE));
	sigpending(&pending);
	CU_ASSERT_TRUE(sigismember(&pending, SIGPIPE));
	signal(SIGPIPE, SIG_IGN); /* which discards it */
	sigprocmask(SIG_UNBLOCK, &pipe_signal, NULL);
	signal(SIGPIPE, SIG_DFL);
}

static void complain(void *argument)
{
	(void)argument;
	errno = 0;
	hak_quiet_complain("no endpoint", "/some/where", EACCES);
	hak_quiet_complain("no memory", "", ENOMEM);
	/* stderr is closed: neither a signal nor an end. */
	close(STDERR_FILENO);
	hak_quiet_complain("nobody", "hears", EPERM);
}

static void complaints(void)
{
	char seen[512];
	UNIT_EQUAL(unit_in_child(complain, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "hakmem: no endpoint: /some/where: Permission denied\n"
		"hakmem: no memory: Cannot allocate memory\n");
}

/* Makes descriptor 2 a new file, opened with `flags`; its name is gone at once. Nothing here may use stdio's stderr. */
static void open_as_stderr(int flags)
{
	char name[] = "/tmp/hakmem-test-XXXXXX";
	int made = mkstemp(name), fd = open(name, O_RDWR | flags);
	unlink(name);
	dup2(fd, STDERR_FILENO);
	close(fd);
	close(made);
}

static int bytes_in_stderr(void)
{
	return (int)lseek(STDERR_FILENO, 0, SEEK_END);
}

/* In a child, which tells what it saw at the pipe that was its stderr. */
static void complain_to_files(void *argument)
{
	int told = dup(STDERR_FILENO), counts[3];
	(void)argument;
	/* A file that was stderr from the start. */
	open_as_stderr(0);
	hak_quiet_remember_stderr();
	hak_quiet_complain("no memory", "", ENOMEM);
	counts[0] = bytes_in_stderr();
	/* The program's data, that got the number of a closed stderr. */
	open_as_stderr(0);
	hak_quiet_complain("no memory", "", ENOMEM);
	counts[1] = bytes_in_stderr();
	/* A log. */
	open_as_stderr(O_APPEND);
	hak_quiet_complain("no memory", "", ENOMEM);
	counts[2] = bytes_in_stderr();
	dprintf(told, "%d %d %d", counts[0], counts[1], counts[2]);
}

static void no_complaint_among_data(void)
{
	char seen[64], expected[64];
	int length = (int)strlen("hakmem: no memory: Cannot allocate memory\n");
	UNIT_EQUAL(unit_in_child(complain_to_files, NULL, seen, sizeof(seen)), 0);
	snprintf(expected, sizeof(expected), "%d 0 %d", length, length);
	UNIT_STRING(seen, expected);
}

UNIT_MAIN("quiet", UNIT(broken_pipe), UNIT(what_was_pending_stays), UNIT(complaints),
	UNIT(no_complaint_among_data))
