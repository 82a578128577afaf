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

UNIT_MAIN("quiet", UNIT(broken_pipe), UNIT(what_was_pending_stays), UNIT(complaints))
