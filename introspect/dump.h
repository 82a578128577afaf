/* dump.h: the whole state as one JSON document in a file: a snapshot, the last events, and the modules for symbols. */
#ifndef HAK_DUMP_H
#define HAK_DUMP_H

#include "introspect/json.h"
#include "lib/base.h"

#define HAK_DUMP_PATH_MAX 4096
#define HAK_DUMP_EVENTS 4096 /* at most this many last events are written */

/* Fills in a pattern: %e is the last part of `exe`, %p the pid, %% a percent sign; anything else stands for itself. A
 * relative result is made absolute with the present working directory. Returns false if it does not fit `size` bytes.
 * */
bool hak_dump_expand(const char *pattern, const char *exe, int32_t pid, char *out, size_t size);

/* Makes `path` absolute with the present working directory. Returns false if it does not fit. */
bool hak_dump_resolve(const char *path, char *out, size_t size);

/* Writes a dump to `path`, mode 0600. The file gets its name when it is whole, so a failure (a full disk, a quota) or
 * the process's end leaves no half file, and an older dump is replaced only by a complete one. Symbolic links are
 * followed, if they belong to this user or to root, and the file behind them is replaced. Devices and pipes are written
 * to as they are, without waiting for a reader to come (-ENXIO) or longer than HAK_JSON_WAIT_MS for one that does not
 * read (-ETIMEDOUT); disks are refused (-EPERM). reason goes into the document ("exit" or "request"; crash.h has the others). *bytes is set to
 * the length. Returns 0 or a negative errno. Any thread, not in a signal handler; the signals that writing can raise
 * (SIGXFSZ, SIGPIPE) do not reach the program. */
int hak_dump_write(const char *path, const char *reason, uint64_t *bytes);

/* The same for the endpoint's thread, which can't wait for the other end of a pipe: what is there and no regular file is
 * refused (-ESPIPE, or as above). */
int hak_dump_write_file(const char *path, const char *reason, uint64_t *bytes);

/* Where a dump goes. It is mapped, as its texts are too big for a small stack. */
struct hak_dump_target {
	bool in_place;                     /* a device or a pipe: written as it is, never replaced */
	bool bare;                         /* set by the caller: the file has a name from the start, see below */
	bool file_only;                    /* set by the caller: nothing in place */
	int fd;
	char path[HAK_DUMP_PATH_MAX];      /* the file, behind any symbolic links */
	char temporary[HAK_DUMP_PATH_MAX]; /* its name until it is whole, "" while it has none */
	char link[HAK_DUMP_PATH_MAX];      /* the text of a link that is being followed */
};

/* What hak_dump_write does, with a document of the caller's: document(argument, fd) writes it and returns 0 or a negative
 * errno. Makes system calls only. With `bare` it does without /proc: for a signal handler. */
int hak_dump_write_by(
	struct hak_dump_target *target, const char *path, int (*document)(void *argument, int fd), void *argument);

/* Writes the members "events" and "modules" of the document. */
void hak_dump_events(struct hak_json *json);
void hak_dump_modules(struct hak_json *json, const char *exe);

/* "modules" as /proc/self/maps shows them, by address: without the loader's lock, for a signal handler. */
void hak_dump_mapped_modules(struct hak_json *json);

#endif
