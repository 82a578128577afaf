/* trace_file.h: the file in which rings, slot map and counters outlive the process (trace_layout.h says what it looks
 * like).
 *
 * The allocator's own state is not in it: the rings lie there, and a mirror (lib/mirror.h) that nobody reads back. All of
 * it is allocated when it is made, so that a disk that becomes full later harms nobody. */
#ifndef HAK_TRACE_FILE_H
#define HAK_TRACE_FILE_H

#include "lib/base.h"

#define HAK_TRACE_FILES_KEPT 4 /* of dead processes of a user, in the runtime directory: the newest ones */

struct hak_trace_file_options {
	const char *path;            /* absolute; NULL or "": `<pid>-<start time>.trace` in the runtime directory */
	const char *hakmem_dir;      /* HAKMEM_DIR's value or NULL */
	const char *xdg_runtime_dir; /* XDG_RUNTIME_DIR's value or NULL */
	uint64_t bytes;              /* of the whole file, rounded up to pages */
	uint32_t groups;             /* that are recorded */
};

/* Makes the file, starts the rings in it, unless there are any, and the mirror. Among the runtime directories one on a
 * tmpfs is preferred. A file with a name of its own replaces an older one. Files of processes that are gone are removed
 * from the runtime directory, but for the newest few. Returns 0 or a negative errno, with the path that it is about in
 * `tried` (`size` bytes). One thread at a time; calls into lib. */
int hak_trace_file_open(const struct hak_trace_file_options *options, char *tried, size_t size);

/* Whether this process, or the one it was forked from, has such a file. */
bool hak_trace_file_is_open(void);

/* Unequal to 0 while what is recorded is this process's: 0 in a child of fork until the child makes a file of its own.
 * Constant once a file is open; NULL before. */
const uint32_t *hak_trace_file_alive(void);

/* In a child of fork, before it has a second thread and with no lock held: parts it from its parent's file. */
void hak_trace_file_after_fork(void);

/* The process ends in good order: says so in the file, and removes it if it lies in the runtime directory. Does nothing
 * in a process that did not make it. */
void hak_trace_file_end(void);

#endif
