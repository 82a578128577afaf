#include "introspect/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "introspect/descriptor.h"
#include "introspect/encode.h"

#define BACKLOG 256

/* Makes the directory if it is missing, and opens it. Only its owner may be able to write to it: whoever else could,
 * might put another socket under our name. Returns a descriptor or a negative errno. */
static int open_directory(const char *path)
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

/* Binds `listener` under a temporary name and renames it into place, ready. */
static int bind_and_rename(struct hak_endpoint *endpoint, int listener, int directory_fd, const char *directory,
	const char *name)
{
	char temporary[HAK_PROTOCOL_NAME_MAX + 1] = ".";
	struct sockaddr_un address;
	struct stat status;
	int error;

	memcpy(temporary + 1, name, strlen(name) + 1);
	if (!hak_protocol_address(&address, directory, directory_fd, temporary))
		return -ENAMETOOLONG;
	/* A left-over of a process that had this pid and start time and died at this very place. */
	unlinkat(directory_fd, temporary, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
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

/* Tries one directory; the descriptors' lock is held. */
static int open_in(struct hak_endpoint *endpoint, const char *directory, const char *name)
{
	struct hak_protocol_text path = {endpoint->path, sizeof(endpoint->path), 0, false};
	int directory_fd = open_directory(directory);
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
	endpoint->listener = hak_fd_adopt(listener);
	return endpoint->listener < 0 ? -errno : 0;
}

int hak_endpoint_open(struct hak_endpoint *endpoint, const char *hakmem_dir, const char *xdg_runtime_dir,
	uint64_t start_time)
{
	char directory[HAK_PROTOCOL_PATH_MAX], name[HAK_PROTOCOL_NAME_MAX];
	int result = -ENAMETOOLONG;

	*endpoint = (struct hak_endpoint){.listener = -1, .owner = getpid()};
	if (!hak_protocol_socket_name(endpoint->owner, start_time, name, sizeof(name)))
		return result;
	for (unsigned candidate = 0; result < 0; candidate++) {
		if (!hak_protocol_directory(candidate, hakmem_dir, xdg_runtime_dir, geteuid(), directory,
			    sizeof(directory)))
			break;
		hak_fd_lock();
		result = open_in(endpoint, directory, name);
		hak_fd_unlock();
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
	hak_fd_close(fd);
}

int hak_endpoint_accept(struct hak_endpoint *endpoint)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int fd;

	hak_fd_lock();
	fd = accept4(endpoint->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		fd = hak_fd_adopt(fd);
	hak_fd_unlock();
	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && (peer.uid == geteuid() || peer.uid == 0))
		return fd;
	hak_endpoint_refuse(fd, HAK_ERROR_forbidden, "only the program's own user and root may connect");
	return -EPERM;
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
