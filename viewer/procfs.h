/* procfs.h: what /proc tells of other processes. */
#ifndef VIEWER_PROCFS_H
#define VIEWER_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads the beginning of /proc/PID/NAME, terminated. Returns its length, -1 if it can't be read. */
ssize_t procfs_read(pid_t pid, const char *name, char *out, size_t size);

/* Fields of /proc/PID/stat. */
struct procfs_stat {
	char name[32]; /* as it is there: not fit to be shown */
	char state;
	pid_t parent;
	unsigned threads;
	uint64_t start_time;     /* field 22: clock ticks since boot */
	uint64_t resident_bytes;
};
/* Returns false if there is no such process. */
bool procfs_stat(pid_t pid, struct procfs_stat *stat);
/* Whether libhakmem.so or libhakmem-core.so is among its mappings. */
bool procfs_has_hakmem(pid_t pid);

#endif
