/* Descriptors inside a program: a thread's own table, whatever the system grants; high numbers. */
#include "introspect/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/unit/unit.h"

/* What a thread finds in its own table. */
struct table {
	int result;
	bool closed, null, low; /* the pipe is closed; 0 is /dev/null; the next number is 3 */
};

static int ends[2];

static void *look(void *argument)
{
	struct table *table = argument;
	struct stat status;
	table->result = hak_fd_own_table();
	if (table->result < 0)
		return NULL;
	table->closed = fcntl(ends[0], F_GETFD) < 0 && fcntl(ends[1], F_GETFD) < 0;
	table->null = fstat(STDIN_FILENO, &status) == 0 && S_ISCHR(status.st_mode) && fcntl(STDIN_FILENO, F_GETFD) == FD_CLOEXEC;
	int next = open("/", O_RDONLY | O_CLOEXEC);
	table->low = next == 3;
	/* These are this thread's: closing them takes nothing from the program. */
	for (int fd = 0; fd < 100; fd++)
		close(fd);
	return NULL;
}

/* A thread with its own table, in which it closes everything; prints what it saw, and what the process has kept. */
static void run_own_table(void *argument)
{
	struct table table = {0};
	pthread_t thread;
	(void)argument;
	if (pipe(ends) != 0)
		_exit(1);
	unsigned before = unit_descriptors();
	pthread_create(&thread, NULL, look, &table);
	pthread_join(thread, NULL);
	fprintf(stderr, "%d %d%d%d %d", table.result, table.closed, table.null, table.low, unit_descriptors() == before);
}

/* Makes system call `number` fail with ENOSYS, as an old kernel does, or EPERM. */
static void refuse(int number, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(77);
}

static void run_old_kernel(void *argument)
{
	refuse(SYS_close_range, ENOSYS);
	run_own_table(argument);
}

static void run_refused(void *argument)
{
	refuse(SYS_unshare, EPERM);
	run_old_kernel(argument);
}

static void a_table_of_its_own(void)
{
	char seen[64];
	UNIT_EQUAL(unit_in_child(run_own_table, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "0 111 1");
	int status = unit_in_child(run_old_kernel, NULL, seen, sizeof(seen));
	UNIT_LEAVE_IF(status == 77 << 8, "system calls can't be filtered here");
	UNIT_EQUAL(status, 0);
	UNIT_STRING(seen, "0 111 1");
	UNIT_EQUAL(unit_in_child(run_refused, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "-1 000 1");
}

static void *print(void *argument)
{
	*(int *)argument = hak_fd_own_table();
	hak_fd_borrow_stderr();
	int length = (int)write(STDERR_FILENO, "now", 3);
	hak_fd_return_stderr();
	return (void *)(intptr_t)length;
}

/* What is printed goes where the program's stderr is at that moment. */
static void stderr_is_borrowed(void)
{
	int pipe_ends[2], result = -1, kept = dup(STDERR_FILENO);
	char got[8] = "";
	pthread_t thread;
	void *length;
	int probe = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int granted = (int)syscall(SYS_pidfd_getfd, probe, STDERR_FILENO, 0);
	close(probe);
	close(granted);
	UNIT_LEAVE_IF(granted < 0, "the system grants no pidfd_getfd");
	CU_ASSERT_EQUAL_FATAL(pipe2(pipe_ends, O_NONBLOCK), 0);
	dup2(pipe_ends[1], STDERR_FILENO);
	pthread_create(&thread, NULL, print, &result);
	pthread_join(thread, &length);
	dup2(kept, STDERR_FILENO);
	close(kept);
	UNIT_EQUAL(result, 0);
	UNIT_EQUAL((intptr_t)length, 3);
	UNIT_EQUAL(read(pipe_ends[0], got, sizeof(got)), 3);
	UNIT_STRING(got, "now");
	/* Nobody else holds the pipe: its end is seen. In debug builds the thread did, and its table goes a moment after it. */
	close(pipe_ends[1]);
	UNIT_EVENTUALLY(read(pipe_ends[0], got, sizeof(got)) == 0);
	close(pipe_ends[0]);
}

static void numbers_are_high(void)
{
	int lowest = open("/dev/null", O_RDONLY);
	int fd = hak_fd_raise(lowest);
	CU_ASSERT_TRUE(fd >= 64);
	UNIT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
	/* The low number is free again. */
	int again = dup(STDIN_FILENO);
	UNIT_EQUAL(again, lowest);
	close(again);
	close(fd);
	errno = 0;
	UNIT_EQUAL(hak_fd_raise(-1), -1);
	UNIT_EQUAL(errno, EBADF);
}

UNIT_MAIN("descriptor", UNIT(a_table_of_its_own), UNIT(stderr_is_borrowed), UNIT(numbers_are_high))
