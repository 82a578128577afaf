#include "viewer/family.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "introspect/protocol.h"
#include "tests/unit/folder.h"
#include "tests/unit/unit.h"
#include "viewer/discover.h"
#include "viewer/procfs.h"

static struct family family;

/* A child that waits for its pipe to be closed; with `grandchild` one of its own, whose id comes back. */
static pid_t spawn(int wait_fd, int close_fd, pid_t *grandchild)
{
	int pipe_fds[2] = {-1, -1};
	if (grandchild != NULL && pipe(pipe_fds) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		close(close_fd);
		if (grandchild != NULL) {
			pid_t inner = fork();
			if (inner > 0 && write(pipe_fds[1], &inner, sizeof(inner)) != sizeof(inner))
				_exit(1);
			close(pipe_fds[0]);
			close(pipe_fds[1]);
		}
		while (read(wait_fd, &byte, 1) > 0) {
		}
		_exit(0);
	}
	if (grandchild != NULL) {
		close(pipe_fds[1]);
		CU_ASSERT_EQUAL_FATAL(read(pipe_fds[0], grandchild, sizeof(*grandchild)), sizeof(*grandchild));
		close(pipe_fds[0]);
	}
	return pid;
}

/* A socket with the name of a process's endpoint: nobody is asked, so nobody has to listen. */
static void put_socket(char out[sizeof(((struct sockaddr_un *)0)->sun_path)], pid_t pid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[HAK_PROTOCOL_NAME_MAX];
	uint64_t start_time = 0;
	CU_ASSERT_TRUE_FATAL(discover_start_time(pid, &start_time));
	hak_protocol_socket_name(pid, start_time, name, sizeof(name));
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", below(name));
	strcpy(out, address.sun_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static const struct relative *row_of(pid_t pid)
{
	for (size_t i = 0; i < family.count; i++) {
		if (family.rows[i].pid == pid)
			return &family.rows[i];
	}
	return NULL;
}

static void parents_before_children(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator leaves out most of /proc/self/stat");
	int waiting[2];
	pid_t grandchild = 0;
	static char paths[2][sizeof(((struct sockaddr_un *)0)->sun_path)];
	make_folder();
	CU_ASSERT_EQUAL_FATAL(pipe(waiting), 0);
	setenv("HAKMEM_DIR", folder, 1);
	pid_t first = spawn(waiting[0], waiting[1], &grandchild), second = spawn(waiting[0], waiting[1], NULL);
	CU_ASSERT_TRUE_FATAL(first > 0 && second > 0 && grandchild > 0);
	put_socket(paths[0], grandchild);
	put_socket(paths[1], second);
	do
		family_look(&family);
	while (!family.whole);
	const struct relative *self = row_of(getpid()), *one = row_of(first), *two = row_of(second), *inner = row_of(grandchild);
	CU_ASSERT_TRUE_FATAL(self != NULL && one != NULL && two != NULL && inner != NULL);
	CU_ASSERT_FALSE(self->hakmem); /* it is here as the others' parent */
	CU_ASSERT_FALSE(one->hakmem);
	CU_ASSERT_TRUE(inner->hakmem && inner->open && two->hakmem && two->open);
	UNIT_EQUAL(self->depth, 0); /* the way above the parent of a HAKMEM process says nothing */
	UNIT_EQUAL(one->depth, 1);
	UNIT_EQUAL(inner->depth, one->depth + 1);
	UNIT_EQUAL(inner->parent, first);
	CU_ASSERT_TRUE(inner == one + 1);
	CU_ASSERT_TRUE(two->depth == self->depth + 1 && two->last);
	/* Not of a child that has just begun: the kernel counts some pages behind, and may say that it has none. */
	CU_ASSERT_TRUE(self->resident_bytes > 0);
	/* ThreadSanitizer starts a thread of its own, in a child of fork some time later. */
	CU_ASSERT_TRUE(inner->threads == 1 || (UNIT_TSAN && inner->threads == 2));
	CU_ASSERT_PTR_NOT_NULL(strstr(inner->command, "family"));
	close(waiting[0]);
	close(waiting[1]);
	waitpid(first, NULL, 0);
	waitpid(second, NULL, 0);
	family_look(&family);
	CU_ASSERT_PTR_NULL(row_of(second));
	family_free(&family);
	unlink(paths[0]);
	unlink(paths[1]);
	rmdir(folder);
	unsetenv("HAKMEM_DIR");
}

static void fields_of_stat(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator leaves out most of /proc/self/stat");
	struct procfs_stat stat;
	CU_ASSERT_TRUE_FATAL(procfs_stat(getpid(), &stat));
	UNIT_EQUAL(stat.parent, getppid());
	UNIT_EQUAL(stat.threads, 1);
	UNIT_EQUAL(stat.state, 'R');
	CU_ASSERT_TRUE(stat.resident_bytes >= 65536);
	CU_ASSERT_FALSE(procfs_stat(0x7ffffffe, &stat));
}

UNIT_MAIN("family", UNIT(parents_before_children), UNIT(fields_of_stat))
