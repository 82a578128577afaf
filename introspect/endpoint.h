/* endpoint.h: the socket in its directory: where it lies, how it comes into being, and who may remove it. */
#ifndef HAK_ENDPOINT_H
#define HAK_ENDPOINT_H

#include <sys/types.h>

#include "introspect/protocol.h"
#include "lib/base.h"

struct hak_endpoint {
	int listener;                      /* -1 while closed; whoever serves closes it */
	char path[HAK_PROTOCOL_PATH_MAX];  /* the socket's, "" while there is none */
	pid_t owner;                       /* the process that made it: a child of fork must leave it alone */
	dev_t device;                      /* of the socket's file, so that a successor's socket is not removed */
	ino_t inode;
};

/* Makes the directory if it is missing, and opens it (O_PATH). Only its owner, this user, may be able to write to it:
 * whoever else could, might put another file under our name. Returns a descriptor or a negative errno. The descriptors'
 * lock is held. */
int hak_endpoint_directory(const char *path);

/* XDG_RUNTIME_DIR's value if that directory is this user's, else NULL: su and sudo may keep the variable of another user,
 * in whose directory nothing should be made. */
const char *hak_endpoint_runtime_dir(const char *directory);

/* Calls `visit` with the first few names of a directory, until it has returned true some 64 times: a bounded number, as
 * this may happen inside a call of malloc. */
void hak_endpoint_walk(const char *directory, bool (*visit)(int directory_fd, const char *name, void *argument),
	void *argument);

/* Makes the socket `<pid>-<start_time>.sock` in the first usable directory (hak_protocol_directory's candidates for the
 * given values), which is made with mode 0700 if it is missing, and must belong to this user and be writable by nobody
 * else; an XDG_RUNTIME_DIR that belongs to another user is passed over. The socket appears under its name only when it
 * can be connected to. Sockets of this user's processes that are gone are removed from the directory, among the first
 * few names that it holds. Returns 0, or a negative errno, with `path`
 * naming what it was tried for. Not thread-safe for the same endpoint. */
int hak_endpoint_open(struct hak_endpoint *endpoint, const char *hakmem_dir, const char *xdg_runtime_dir,
	uint64_t start_time);

/* Accepts a connection without waiting. Returns its descriptor, or a negative errno, -EAGAIN when nobody waits; or
 * HAK_ENDPOINT_FORBIDDEN, which is no errno, for a peer that is neither this user nor root: it has been told and closed.
 */
#define HAK_ENDPOINT_FORBIDDEN (-100000)
int hak_endpoint_accept(struct hak_endpoint *endpoint);

/* Sends an error message to a connection that is not served, and closes it. */
void hak_endpoint_refuse(int fd, enum hak_protocol_error code, const char *message);

/* Removes the socket's file, if this process made it and it is still the same. Any thread; also at exit. */
void hak_endpoint_unlink(const struct hak_endpoint *endpoint);

#endif
