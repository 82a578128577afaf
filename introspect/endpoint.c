#include "introspect/endpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "introspect/encode.h"
#include "introspect/memory.h"
#include "introspect/proc.h"

#define BACKLOG 256
#define SWEEP_NAMES 64         /* sockets that are looked at when a new one is made */
#define SWEEP_BYTES (8u << 10) /* of the directory's entries */

int hak_endpoint_directory(const char *path)
{
	struct stat status;
	int fd;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -errno;
	/* O_NOFOLLOW and fstat look at the entry itself, as lstat does, and at the one that is used afterwards. */
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0 || status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH))) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

/* Binds by the opened directory, which was looked at; only where there is no /proc by its path. */
static int bind_in(int listener, int directory_fd, const char *directory, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct hak_protocol_text text = {address.sun_path, sizeof(address.sun_path), 0, false};

	hak_protocol_put(&text, "/proc/thread-self/fd/");
	hak_protocol_put_number(&text, (uint64_t)directory_fd);
	hak_protocol_put(&text, "/");
	hak_protocol_put(&text, name);
	if (!text.overflow && bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	if (!text.overflow && errno != ENOENT && errno != EACCES)
		return -errno;
	if (!hak_protocol_address(&address, directory, directory_fd, name))
		return -ENAMETOOLONG;
	return bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
}

/* Binds `listener` under a temporary name and renames it into place, ready. */
static int bind_and_rename(struct hak_endpoint *endpoint, int listener, int directory_fd, const char *directory,
	const char *name)
{
	char temporary[HAK_PROTOCOL_NAME_MAX + 1] = ".";
	struct stat status;
	int error;

	memcpy(temporary + 1, name, strlen(name) + 1);
	/* A left-over of a process that had this pid and start time and died at this very place. */
	unlinkat(directory_fd, temporary, 0);
	error = bind_in(listener, directory_fd, directory, temporary);
	if (error < 0)
		return error;
	if (fchmodat(directory_fd, temporary, 0600, 0) == 0 && listen(listener, BACKLOG) == 0 &&
	    fstatat(directory_fd, temporary, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    renameat(directory_fd, temporary, directory_fd, name) == 0) {
		endpoint->device = status.st_dev;
		endpoint->inode = status.st_ino;
		return 0;
	}
	error = errno;
	unlinkat(directory_fd, temporary, 0);
	return -error;
}

/* Tries one directory. */
static int open_in(struct hak_endpoint *endpoint, const char *directory, const char *name)
{
	struct hak_protocol_text path = {endpoint->path, sizeof(endpoint->path), 0, false};
	int directory_fd = hak_endpoint_directory(directory);
	int listener, result;

	hak_protocol_put(&path, directory);
	if (directory_fd < 0)
		return directory_fd;
	hak_protocol_put(&path, "/");
	hak_protocol_put(&path, name);
	listener = path.overflow ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener < 0) {
		result = path.overflow ? -ENAMETOOLONG : -errno;
		close(directory_fd);
		return result;
	}
	result = bind_and_rename(endpoint, listener, directory_fd, directory, name);
	close(directory_fd);
	if (result < 0) {
		close(listener);
		return result;
	}
	endpoint->listener = listener;
	return 0;
}

/* Says whether nobody serves at a socket any more. A process in another pid namespace, which seems to be gone, still
 * lets others connect. */
static bool is_refused(int directory_fd, const char *directory, const char *name)
{
	struct sockaddr_un address;
	bool refused;
	int fd;

	if (!hak_protocol_address(&address, directory, directory_fd, name))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	refused = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 && errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return refused;
}

/* Removes one entry of the directory if it is the socket of a process of this user that is gone. Returns false if it is
 * no socket's name. */
static bool sweep_name(int directory_fd, const char *directory, const char *name)
{
	struct stat status;
	uint64_t start_time;
	pid_t pid;

	if (!hak_protocol_parse_name(name, &pid, &start_time))
		return false;
	if (hak_proc_is_gone(pid, start_time) && fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISSOCK(status.st_mode) && status.st_uid == geteuid() && is_refused(directory_fd, directory, name))
		unlinkat(directory_fd, name, 0);
	return true;
}

void hak_endpoint_walk(const char *directory, bool (*visit)(int directory_fd, const char *name, void *argument),
	void *argument)
{
	/* Too big for a stack that may be a small one of the program's. */
	char *entries = hak_memory_map(SWEEP_BYTES, HAK_MEMORY_PRIVATE);
	const struct dirent64 *entry;
	unsigned names = 0;
	long length = 0;
	int fd;

	if (!entries)
		return;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		length = syscall(SYS_getdents64, fd, entries, SWEEP_BYTES);
	for (long at = 0; at < length && names < SWEEP_NAMES; at += entry->d_reclen) {
		entry = (const struct dirent64 *)(entries + at);
		names += visit(fd, entry->d_name, argument);
	}
	if (fd >= 0)
		close(fd);
	hak_memory_unmap(entries, SWEEP_BYTES);
}

/* Where a sweep is, and the name that it passes over. */
struct sweep {
	const char *directory, *own_name;
};

static bool sweep_visit(int directory_fd, const char *name, void *argument)
{
	const struct sweep *sweep = argument;

	return strcmp(name, sweep->own_name) != 0 && sweep_name(directory_fd, sweep->directory, name);
}

const char *hak_endpoint_runtime_dir(const char *directory)
{
	struct stat status;

	if (!directory || stat(directory, &status) != 0 || status.st_uid != geteuid())
		return NULL;
	return directory;
}

int hak_endpoint_open(struct hak_endpoint *endpoint, const char *hakmem_dir, const char *xdg_runtime_dir,
	uint64_t start_time)
{
	char directory[HAK_PROTOCOL_PATH_MAX], name[HAK_PROTOCOL_NAME_MAX];
	int result = -ENAMETOOLONG;

	*endpoint = (struct hak_endpoint){.listener = -1, .owner = getpid()};
	if (!hak_protocol_socket_name(endpoint->owner, start_time, name, sizeof(name)))
		return result;
	xdg_runtime_dir = hak_endpoint_runtime_dir(xdg_runtime_dir);
	for (unsigned candidate = 0; result < 0; candidate++) {
		if (!hak_protocol_directory(candidate, hakmem_dir, xdg_runtime_dir, geteuid(), directory,
			    sizeof(directory)))
			break;
		result = open_in(endpoint, directory, name);
		/* Sockets of processes that ended by a signal or by _exit, where nothing of ours runs, would pile up. */
		if (result == 0)
			hak_endpoint_walk(directory, sweep_visit, &(struct sweep){directory, name});
	}
	return result;
}

void hak_endpoint_refuse(int fd, enum hak_protocol_error code, const char *message)
{
	char bytes[256];
	struct hak_json json;

	hak_json_to_memory(&json, bytes, sizeof(bytes));
	hak_encode_error(&json, "", code, message);
	hak_json_newline(&json);
	/* A new connection's buffer takes a line at once. */
	if (hak_json_finish(&json))
		(void)send(fd, bytes, json.length, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

int hak_endpoint_accept(struct hak_endpoint *endpoint)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int fd;

	fd = accept4(endpoint->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && (peer.uid == geteuid() || peer.uid == 0))
		return fd;
	hak_endpoint_refuse(fd, HAK_ERROR_forbidden, "only the program's own user and root may connect");
	return HAK_ENDPOINT_FORBIDDEN;
}

void hak_endpoint_unlink(const struct hak_endpoint *endpoint)
{
	struct stat status;

	if (endpoint->path[0] == 0 || endpoint->owner != getpid())
		return;
	if (lstat(endpoint->path, &status) != 0)
		return;
	if (status.st_dev == endpoint->device && status.st_ino == endpoint->inode)
		unlink(endpoint->path);
}
