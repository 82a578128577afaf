/* proc.h: what /proc says of this process. Each source may be missing (a chroot without /proc, seccomp); then the
 * function returns the value that its comment names. No function allocates; all are thread-safe. */
#ifndef HAK_PROC_H
#define HAK_PROC_H

#include <sys/types.h>

#include "lib/base.h"

#define HAK_PROC_TEXT_MAX 4096
#define HAK_PROC_NAME_MAX 16

/* Reads at most size - 1 bytes of a file and terminates them. Returns the length, -1 with errno set if it can't be
 * read. */
ssize_t hak_proc_read(const char *path, char *out, size_t size);

/* The program's path, from /proc/self/exe; else the path that exec was given (AT_EXECFN); else "". */
void hak_proc_exe(char *out, size_t size);

/* The last part of a path. */
const char *hak_proc_basename(const char *path);

/* The arguments, separated by spaces, cut where they don't fit; "" where unknown. */
void hak_proc_cmdline(char *out, size_t size);

struct hak_proc_stat {
	uint64_t start_time; /* clock ticks since boot (field 22 of stat), 0 where unknown */
	uint64_t threads;    /* 0 where unknown */
};
/* Reads /proc/self/stat. */
void hak_proc_stat(struct hak_proc_stat *out);

/* Says whether no process `pid` (> 0) that began at `start_time` is left; false where unknown. A process in another pid
 * namespace looks like one that is gone. */
bool hak_proc_is_gone(pid_t pid, uint64_t start_time);

/* Bytes of the process in memory, 0 where unknown. */
uint64_t hak_proc_resident(void);

/* A line of /proc/self/maps. */
struct hak_proc_mapping {
	uint64_t start, end, offset, inode;
	char permissions[5]; /* "rw-p" */
	const char *path;    /* "" where there is none */
};
/* Calls each(argument, mapping) for each mapping of this process, by address, until it returns false. Returns false if
 * they can't be read. */
bool hak_proc_mappings(bool (*each)(void *argument, const struct hak_proc_mapping *mapping), void *argument);
/* The same with the caller's memory for lines, for whose stack is small. */
bool hak_proc_mappings_by(char *text, size_t size, bool (*each)(void *argument, const struct hak_proc_mapping *mapping),
	void *argument);

/* The name of a thread of this process, "" where unknown (it may have ended). */
void hak_proc_thread_name(pid_t tid, char out[HAK_PROC_NAME_MAX]);

#endif
