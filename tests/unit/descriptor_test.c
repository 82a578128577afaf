/* Descriptors inside a program that closes and reuses numbers. */
#include "introspect/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "tests/unit/unit.h"

static int adopt_file(const char *path)
{
	hak_fd_lock();
	int fd = open(path, O_RDONLY);
	int adopted = hak_fd_adopt(fd);
	hak_fd_unlock();
	return adopted;
}

static void numbers_are_high(void)
{
	int lowest = dup(STDIN_FILENO);
	close(lowest);
	int fd = adopt_file("/dev/null");
	CU_ASSERT_TRUE(fd >= 64);
	CU_ASSERT_TRUE(hak_fd_is_ours(fd));
	UNIT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
	UNIT_EQUAL(hak_fd_count(), 1);
	/* The low number is free again. */
	int again = dup(STDIN_FILENO);
	UNIT_EQUAL(again, lowest);
	close(again);
	hak_fd_close(fd);
	UNIT_EQUAL(fcntl(fd, F_GETFD), -1);
	UNIT_EQUAL(hak_fd_count(), 0);
	CU_ASSERT_FALSE(hak_fd_is_ours(fd));
	hak_fd_close(-1);
}

static void a_reused_number_is_not_ours(void)
{
	int fd = adopt_file("/dev/null");
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	close(fd); /* the program does */
	CU_ASSERT_FALSE(hak_fd_is_ours(fd));
	int other = open("/dev/zero", O_RDONLY);
	UNIT_EQUAL(dup2(other, fd), fd);
	CU_ASSERT_FALSE(hak_fd_is_ours(fd));
	hak_fd_close(fd);
	UNIT_EQUAL(hak_fd_count(), 0);
	CU_ASSERT_TRUE(fcntl(fd, F_GETFD) >= 0); /* the program's is left open */
	close(fd);
	close(other);
}

static void failures(void)
{
	hak_fd_lock();
	errno = 0;
	UNIT_EQUAL(hak_fd_adopt(-1), -1);
	UNIT_EQUAL(errno, EBADF);
	hak_fd_unlock();
	static int held[HAK_FD_MAX];
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	struct rlimit more = {limit.rlim_max, limit.rlim_max};
	setrlimit(RLIMIT_NOFILE, &more);
	if (more.rlim_cur < 4 * HAK_FD_MAX) {
		printf("\n    not tested: %llu descriptors do not fill the table\n", (unsigned long long)more.rlim_cur);
		return;
	}
	for (int i = 0; i < HAK_FD_MAX; i++)
		held[i] = adopt_file("/dev/null");
	UNIT_EQUAL(hak_fd_count(), HAK_FD_MAX);
	UNIT_EQUAL(adopt_file("/dev/null"), -1);
	UNIT_EQUAL(errno, EMFILE);
	for (int i = 0; i < HAK_FD_MAX; i++)
		hak_fd_close(held[i]);
	UNIT_EQUAL(hak_fd_count(), 0);
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Prints whether the parent's descriptor is open before and after the child's handler, and what is held. */
static void child(void *argument)
{
	int fd = *(int *)argument;
	bool before = fcntl(fd, F_GETFD) >= 0;
	hak_fd_after_fork();
	fprintf(stderr, "%d %d %u", before, fcntl(fd, F_GETFD) >= 0, hak_fd_count());
}

static void a_child_closes_them(void)
{
	char seen[32];
	int fd = adopt_file("/dev/null");
	hak_fd_lock(); /* as the handler before fork does */
	int status = unit_in_child(child, &fd, seen, sizeof(seen));
	hak_fd_unlock();
	UNIT_EQUAL(status, 0);
	UNIT_STRING(seen, "1 0 0");
	CU_ASSERT_TRUE(hak_fd_is_ours(fd));
	hak_fd_close(fd);
}

UNIT_MAIN("descriptor", UNIT(numbers_are_high), UNIT(a_reused_number_is_not_ours), UNIT(failures),
	UNIT(a_child_closes_them))
