/* The socket's file: where it comes to lie, what is refused, and that nobody else's is removed. */
#include "introspect/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/unit/folder.h"
#include "tests/unit/unit.h"

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_TRUE_FATAL(strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void open_and_unlink(void)
{
	struct hak_endpoint endpoint, successor;
	struct stat status;
	unsigned descriptors = unit_descriptors();
	make_folder();
	UNIT_EQUAL(hak_endpoint_open(&endpoint, below("made"), "/nonexistent", 77), 0);
	char expected[512], name[HAK_PROTOCOL_NAME_MAX];
	hak_protocol_socket_name(getpid(), 77, name, sizeof(name));
	snprintf(expected, sizeof(expected), "%s/%s", below("made"), name);
	UNIT_STRING(endpoint.path, expected);
	UNIT_EQUAL(lstat(below("made"), &status), 0);
	UNIT_EQUAL(status.st_mode & 07777, 0700);
	UNIT_EQUAL(lstat(endpoint.path, &status), 0);
	UNIT_EQUAL(status.st_mode & 07777, 0600);
	UNIT_EQUAL(hak_endpoint_accept(&endpoint), -EAGAIN);
	int client = connect_to(endpoint.path);
	CU_ASSERT_TRUE(client >= 0);
	int accepted = hak_endpoint_accept(&endpoint);
	CU_ASSERT_TRUE(accepted >= 0);
	hak_endpoint_refuse(accepted, HAK_ERROR_busy, "too many");
	char got[256] = "";
	CU_ASSERT_TRUE(read(client, got, sizeof(got) - 1) > 0);
	UNIT_STRING(got, "{\"type\":\"error\",\"request\":\"\",\"code\":\"busy\",\"message\":\"too many\"}\n");
	UNIT_EQUAL(read(client, got, sizeof(got)), 0);
	close(client);
	/* Another image of the same process takes the name over; the first one's end leaves it alone. */
	UNIT_EQUAL(hak_endpoint_open(&successor, below("made"), NULL, 77), 0);
	close(endpoint.listener);
	hak_endpoint_unlink(&endpoint);
	client = connect_to(successor.path);
	CU_ASSERT_TRUE(client >= 0);
	close(client);
	close(successor.listener);
	/* A child's end leaves it alone too. */
	successor.owner++;
	hak_endpoint_unlink(&successor);
	UNIT_EQUAL(lstat(successor.path, &status), 0);
	successor.owner--;
	hak_endpoint_unlink(&successor);
	UNIT_EQUAL(lstat(successor.path, &status), -1);
	UNIT_EQUAL(unit_descriptors(), descriptors);
	rmdir(below("made"));
	rmdir(folder);
}

static void candidates_in_turn(void)
{
	struct hak_endpoint endpoint;
	make_folder();
	/* The first candidate can't be made, so the socket lies in a later one. */
	UNIT_EQUAL(hak_endpoint_open(&endpoint, NULL, below("missing"), 78), 0);
	CU_ASSERT_TRUE(strncmp(endpoint.path, folder, strlen(folder)) != 0);
	close(endpoint.listener);
	hak_endpoint_unlink(&endpoint);
	UNIT_EQUAL(access(endpoint.path, F_OK), -1);
	*strrchr(endpoint.path, '/') = 0;
	rmdir(endpoint.path); /* stays if somebody else uses it */
	rmdir(folder);
}

static void refused_directories(void)
{
	struct hak_endpoint endpoint;
	unsigned descriptors = unit_descriptors();
	make_folder();
	UNIT_EQUAL(hak_endpoint_open(&endpoint, below("a/b"), NULL, 1), -ENOENT);
	UNIT_EQUAL(endpoint.listener, -1);
	mkdir(below("shared"), 0700);
	chmod(below("shared"), 0770);
	UNIT_EQUAL(hak_endpoint_open(&endpoint, below("shared"), NULL, 1), -EPERM);
	CU_ASSERT_EQUAL(symlink(folder, below("link")), 0);
	UNIT_EQUAL(hak_endpoint_open(&endpoint, below("link"), NULL, 1), -ENOTDIR);
	close(open(below("file"), O_CREAT | O_WRONLY, 0600));
	UNIT_EQUAL(hak_endpoint_open(&endpoint, below("file"), NULL, 1), -ENOTDIR);
	UNIT_EQUAL(unit_descriptors(), descriptors);
	if (geteuid() == 0) {
		CU_ASSERT_EQUAL(chown(below("shared"), 1, (gid_t)-1), 0);
		chmod(below("shared"), 0700);
		UNIT_EQUAL(hak_endpoint_open(&endpoint, below("shared"), NULL, 1), -EPERM);
	} else {
		UNIT_EQUAL(hak_endpoint_open(&endpoint, "/", NULL, 1), -EPERM);
	}
	unlink(below("file"));
	unlink(below("link"));
	rmdir(below("shared"));
	rmdir(folder);
}

/* Root with the variables of another user must not make a directory among that user's. */
static void runtime_directory_of_another_user(void)
{
	struct hak_endpoint endpoint;
	UNIT_LEAVE_IF(geteuid() != 0, "only root can give a directory away");
	make_folder();
	mkdir(below("theirs"), 0777);
	CU_ASSERT_EQUAL_FATAL(chown(below("theirs"), 1, (gid_t)-1), 0);
	UNIT_EQUAL(hak_endpoint_open(&endpoint, NULL, below("theirs"), 79), 0);
	CU_ASSERT_TRUE(strncmp(endpoint.path, folder, strlen(folder)) != 0);
	UNIT_EQUAL(access(below("theirs/hakmem"), F_OK), -1);
	close(endpoint.listener);
	hak_endpoint_unlink(&endpoint);
	*strrchr(endpoint.path, '/') = 0;
	rmdir(endpoint.path); /* stays if somebody else uses it */
	UNIT_EQUAL(rmdir(below("theirs")), 0);
	/* This user's own is taken. */
	mkdir(below("own"), 0700);
	UNIT_EQUAL(hak_endpoint_open(&endpoint, NULL, below("own"), 80), 0);
	UNIT_EQUAL(access(below("own/hakmem"), F_OK), 0);
	close(endpoint.listener);
	hak_endpoint_unlink(&endpoint);
	rmdir(below("own/hakmem"));
	rmdir(below("own"));
	rmdir(folder);
}

/* Makes a socket called `name`; with `listening` its descriptor is returned, else it is dead. */
static int make_socket(const char *name, bool listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_TRUE_FATAL(strlen(below(name)) < sizeof(address.sun_path));
	strcpy(address.sun_path, below(name));
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listening) {
		CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
		return fd;
	}
	close(fd);
	return -1;
}

static void dead_sockets_are_swept(void)
{
	struct hak_endpoint endpoint;
	char gone[64], reused[64], foreign[64], file[64];
	unsigned descriptors = unit_descriptors();
	make_folder();
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	snprintf(gone, sizeof(gone), "%d-1.sock", child);        /* nobody has this pid */
	snprintf(reused, sizeof(reused), "%d-2.sock", getpid()); /* another process had this pid */
	snprintf(foreign, sizeof(foreign), "%d-3.sock", child);  /* served from another pid namespace */
	snprintf(file, sizeof(file), "%d-4.sock", child);
	make_socket(gone, false);
	make_socket(reused, false);
	int listener = make_socket(foreign, true);
	close(open(below(file), O_CREAT | O_WRONLY, 0600));
	make_socket("other.sock", false);
	UNIT_EQUAL(hak_endpoint_open(&endpoint, folder, NULL, 81), 0);
	UNIT_EQUAL(access(below(gone), F_OK), -1);
	UNIT_EQUAL(access(below(reused), F_OK), -1);
	UNIT_EQUAL(access(below(foreign), F_OK), 0);
	UNIT_EQUAL(access(below(file), F_OK), 0);
	UNIT_EQUAL(access(below("other.sock"), F_OK), 0);
	close(endpoint.listener);
	hak_endpoint_unlink(&endpoint);
	close(listener);
	unlink(below(foreign));
	unlink(below(file));
	unlink(below("other.sock"));
	UNIT_EQUAL(rmdir(folder), 0);
	UNIT_EQUAL(unit_descriptors(), descriptors);
}

UNIT_MAIN("endpoint", UNIT(open_and_unlink), UNIT(candidates_in_turn), UNIT(refused_directories),
	UNIT(runtime_directory_of_another_user), UNIT(dead_sockets_are_swept))
