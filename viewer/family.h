/* family.h: the HAKMEM processes of this user as a tree of parents and children.
 *
 * It is looked at again every second while somebody watches, by reading /proc and the names of sockets only: no process is
 * asked, so that one that is stopped holds up nobody. */
#ifndef VIEWER_FAMILY_H
#define VIEWER_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct relative {
	pid_t pid, parent;
	uint64_t start_time;
	uint64_t resident_bytes;
	unsigned threads;
	bool hakmem;    /* runs on HAKMEM; else it is here because a child does, or as it stands between two that do */
	bool open;      /* has an endpoint, so that it can be watched */
	int depth;      /* in the tree */
	bool last;      /* of its parent's children */
	uint64_t lines; /* bit N: its ancestor of depth N has siblings to come */
	char state;     /* as in /proc/PID/stat: R, S, D, T, Z, … */
	char command[256]; /* its arguments, printable; its short name in brackets where there are none */
};

/* What is known of a process's maps: they are long, and not read again every time. */
struct family_known {
	pid_t pid;
	uint64_t start_time;
	bool hakmem;
	unsigned age; /* looks since it was found out */
};

struct family {
	struct relative *rows; /* parents before their children, siblings by pid */
	size_t count;
	struct family_known *known;
	size_t known_count;
	bool whole; /* all processes have been looked at */
};

/* Looks again. At most so many processes' maps are read at a time that it takes a few milliseconds; `whole` says when it
 * has been all of them. Without memory the rows stay as they were. */
void family_look(struct family *family);
void family_free(struct family *family);

#endif
