/* How a line reaches stderr or a file: errno and SIGPIPE survive, and failure is told. */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "tests/unit/unit.h"

static void point_stderr_at_closed_pipe(void)
{
	int ends[2];
	if (pipe(ends) != 0)
		_exit(2);
	dup2(ends[1], STDERR_FILENO);
	close(ends[0]);
	close(ends[1]);
}

static void write_into_closed_pipe(void *ignored)
{
	sigset_t pending, mask;
	(void)ignored;
	point_stderr_at_closed_pipe();
	errno = 4711;
	if (hak_log_line("nobody reads this") || errno != 4711)
		_exit(3);
	sigpending(&pending);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	_exit(sigismember(&pending, SIGPIPE) || sigismember(&mask, SIGPIPE) ? 4 : 0);
}

static void closed_pipe_is_survived(void)
{
	char said[64];
	UNIT_EQUAL(unit_in_child(write_into_closed_pipe, NULL, said, sizeof(said)), 0);
}

/* A SIGPIPE that was pending before belongs to the program: it must still be there afterwards. */
static void keep_pending_signal(void *ignored)
{
	sigset_t set;
	(void)ignored;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGPIPE);
	point_stderr_at_closed_pipe();
	hak_log_line("nobody reads this");
	sigpending(&set);
	_exit(sigismember(&set, SIGPIPE) ? 0 : 4);
}

static void pending_sigpipe_is_kept(void)
{
	char said[64];
	UNIT_EQUAL(unit_in_child(keep_pending_signal, NULL, said, sizeof(said)), 0);
}

/* A program that closed stderr and opened a data file gets the same descriptor number for it. */
static void write_after_reuse(void *ignored)
{
	char name[] = "/tmp/hakmem-log-XXXXXX";
	(void)ignored;
	hak_log_set_path("");
	int fd = mkstemp(name);
	dup2(fd, STDERR_FILENO);
	bool written = hak_log_line("not into the data");
	off_t length = lseek(fd, 0, SEEK_END);
	/* One that was opened to be appended to is a log, which a daemon put there on purpose. */
	int log = open(name, O_WRONLY | O_APPEND);
	dup2(log, STDERR_FILENO);
	bool appended = hak_log_line("into the log");
	unlink(name);
	_exit(written || length != 0 || !appended ? 3 : 0);
}

static void a_data_file_is_no_stderr(void)
{
	char said[64];
	UNIT_EQUAL(unit_in_child(write_after_reuse, NULL, said, sizeof(said)), 0);
}

static void *write_cancelled(void *ignored)
{
	pthread_cancel(pthread_self());
	hak_log_line("still here");
	/* The program's own next cancellation point is the first that takes effect. */
	*(volatile int *)ignored = 1;
	pthread_testcancel();
	return NULL;
}

static void write_is_no_cancellation_point(void)
{
	volatile int reached = 0;
	void *result;
	pthread_t thread;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_cancelled, (void *)&reached), 0);
	pthread_join(thread, &result);
	UNIT_EQUAL(reached, 1);
	CU_ASSERT_PTR_EQUAL(result, PTHREAD_CANCELED);
}

static void lines_go_to_the_file(void)
{
	char path[] = "/tmp/hakmem-log-XXXXXX";
	char content[128] = "";
	int fd = mkstemp(path);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	hak_log_set_path(path);
	CU_ASSERT_TRUE(hak_log_line("first"));
	CU_ASSERT_TRUE(hak_log_write("second\n", 7));
	hak_log_set_path("/nonexistent/folder/file");
	errno = 4711;
	CU_ASSERT_FALSE(hak_log_line("third"));
	UNIT_EQUAL(errno, 4711);
	hak_log_set_path("");
	CU_ASSERT_TRUE(read(fd, content, sizeof(content) - 1) > 0);
	UNIT_STRING(content, "first\nsecond\n");
	close(fd);
	unlink(path);
}

static void write_long_line(void *ignored)
{
	char line[2000];
	(void)ignored;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	hak_log_line(line);
}

static void long_lines_are_cut(void)
{
	char said[4096];
	UNIT_EQUAL(unit_in_child(write_long_line, NULL, said, sizeof(said)), 0);
	UNIT_EQUAL(strlen(said), 639);
	UNIT_EQUAL(said[638], '\n');
}

static void fail_an_assertion(void *ignored)
{
	(void)ignored;
	hak_assert_fail("a == b", "file.c", 12);
}

static void assertion_text(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator has a line of its own for an abort");
	char said[256];
	int status = unit_in_child(fail_an_assertion, NULL, said, sizeof(said));
	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	UNIT_STRING(said, "hakmem: assertion failed: a == b at file.c:12\n");
}

UNIT_MAIN("log", UNIT(closed_pipe_is_survived), UNIT(pending_sigpipe_is_kept), UNIT(a_data_file_is_no_stderr),
	UNIT(write_is_no_cancellation_point), UNIT(lines_go_to_the_file), UNIT(long_lines_are_cut),
	UNIT(assertion_text))
