/* discover.h: which HAKMEM processes there are, and the way to one's socket. */
#ifndef VIEWER_DISCOVER_H
#define VIEWER_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "viewer/problem.h"

enum found_state {
	FOUND_OPEN,     /* answers: it can be watched */
	FOUND_CLOSED,   /* exists but can't be opened; `reason` says why */
	FOUND_DEAD,     /* a socket whose process is gone */
};

struct found {
	pid_t pid;
	uint64_t start_time;
	enum found_state state;
	char path[512];   /* of the socket; empty for a process without one */
	char exe[256];    /* its program, as far as known */
	char version[32]; /* of HAKMEM in it; FOUND_OPEN only */
	char reason[256]; /* why not; empty for FOUND_OPEN */
};

struct discovery {
	struct found *rows; /* by pid */
	size_t count, open; /* `open` of them are FOUND_OPEN */
};

/* Looks at every socket in this user's runtime directories, as far as only they can write there, and at every process of
 * this user that has libhakmem in it. Sockets of dead processes are removed where they are ours. Silent ones are waited
 * for together. Returns false without memory. discover_free frees the rows. */
bool discover_all(struct discovery *discovery, struct problem *problem);
void discover_free(struct discovery *discovery);

/* Removes the sockets that dead processes left in this user's runtime directories, without waiting for anything. */
void discover_sweep(void);

/* Whether nobody but `owner` can have put a socket into this directory: it is theirs, no link, and others can't write
 * to it. */
bool discover_is_private(const char *directory, uid_t owner);
/* Whether a socket that user `peer` made may be process `pid`'s: `peer` is one of its user ids, or root. */
bool discover_speaks_for(uid_t peer, pid_t pid);

/* Finds the socket of process `pid`. Returns false and says why there is none: no such process, no HAKMEM in it, or
 * no endpoint. */
bool discover_pid(pid_t pid, char *path, size_t size, struct problem *problem);

/* Whether a socket of this process lies in one of this user's runtime directories; nobody is asked. */
bool discover_own_socket(pid_t pid, uint64_t start_time, char *path, size_t size);

/* Field 22 of /proc/PID/stat. Returns false if there is no such process. */
bool discover_start_time(pid_t pid, uint64_t *start_time);

#endif
