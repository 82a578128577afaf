/* server.h: the endpoint's thread. */
#ifndef HAK_SERVER_H
#define HAK_SERVER_H

#include "lib/base.h"

struct hak_server_options {
	const char *hakmem_dir;      /* HAKMEM_DIR's value or NULL */
	const char *xdg_runtime_dir; /* XDG_RUNTIME_DIR's value or NULL */
	const char *dump_pattern;    /* HAKMEM_DUMP_PATH, for `dump` without a path; valid as long as the server runs */
	uint32_t trace_groups;       /* groups that stay on while nobody subscribes to events */
	uint64_t trace_bytes;        /* for the rings, if they are not started yet */
	uint64_t stuck_ms;           /* a client that takes nothing for so long is disconnected */
};
#define HAK_STUCK_MS_DEFAULT 10000

struct hak_server;

/* Makes the socket and starts the thread that serves it, all signals blocked there. Returns the server, or NULL with
 * *error set to a negative errno and, if `path` is not NULL, the path that was tried copied to it (`size` bytes). One
 * at a time in a process. */
struct hak_server *hak_server_start(const struct hak_server_options *options, int *error, char *path, size_t size);

/* Ends the thread, the connections and the socket, and gives the memory back. Waits for the thread. For tests: a
 * program's endpoint runs until the program ends. */
void hak_server_stop(struct hak_server *server);

/* Removes the socket's file if it is this process's, for the process's end; the thread runs on until then. Any thread.
 * */
void hak_server_unlink(const struct hak_server *server);

#endif
