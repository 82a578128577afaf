/* client.h: the viewer's end of a target's socket. One connection, one thread. */
#ifndef VIEWER_CLIENT_H
#define VIEWER_CLIENT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "viewer/problem.h"

/* A longer message ends the connection; 64 GiB of heap are about 40 MB of JSON. A power of two, as the buffer grows by
 * doubling. */
#define CLIENT_LINE_MAX ((size_t)64 << 20)

struct client {
	int fd; /* -1: not connected */
	char *buffer;
	size_t length, capacity;
	size_t taken;   /* bytes of the buffer that client_line handed out */
	size_t scanned; /* bytes behind `taken` that hold no newline */
	/* Who made the socket, as the kernel says. The pid is 0 where it isn't seen from here (another pid namespace). */
	pid_t peer_pid;
	uid_t peer_uid;
	/* From the hello message; the pid is the target's own idea of it. */
	uint64_t pid, start_time;
	char version[32], exe[256];
	bool has_events; /* tracepoints are compiled in */
	bool has_guarded; /* it knows the request */
	bool has_profile; /* it knows the request */
};

enum client_connect_result {
	CLIENT_CONNECTED,
	CLIENT_ABSENT,  /* no such socket, or nobody listens on it */
	CLIENT_REFUSED, /* it isn't ours to open, or isn't a HAKMEM endpoint */
	CLIENT_SILENT,  /* it listens, but no greeting came in time: stopped, or very busy */
};

/* Connects to the socket at `path`, without waiting. On any result but CLIENT_CONNECTED `problem` says why and nothing
 * is left open. */
enum client_connect_result client_open(struct client *client, const char *path, struct problem *problem);
/* Reads the greeting of a connection that client_open made, waiting until `deadline_ms` (client_now_ms). The greeting
 * must be of the process that the socket's name names. Results as above. */
enum client_connect_result client_greet(struct client *client, const char *path, int64_t deadline_ms,
	struct problem *problem);
/* Both in one; waits at most `timeout_ms`. */
enum client_connect_result client_connect(struct client *client, const char *path, int timeout_ms,
	struct problem *problem);
/* Sends one request; `line` comes without its newline. Returns false if the connection is gone. */
bool client_send(struct client *client, const char *line);
/* Reads what has arrived, without waiting. Returns false when the connection ended (whole lines may still be in the
 * buffer). */
bool client_fill(struct client *client);
/* The next whole message, terminated by a zero in place of its newline; valid until the next client_fill. NULL: none
 * yet. */
char *client_line(struct client *client, size_t *length);
/* The next message, waiting for it until `deadline_ms` (client_now_ms). NULL: none came, `problem` says why. */
char *client_wait(struct client *client, int64_t deadline_ms, size_t *length, struct problem *problem);
#define CLIENT_ANSWER_MS 10000
/* Sends the request `verb` and waits for its answer, CLIENT_ANSWER_MS at most, passing over what comes before it. Returns the
 * message whose type is `type`, which cJSON_Delete frees. NULL: there is none, and `problem` says why: if the target refused, in
 * its words; if it doesn't know the verb, that its version `lacks` that (a verb and its object: "makes no profiles"). */
cJSON *client_ask(struct client *client, const char *verb, const char *type, const char *lacks, struct problem *problem);
void client_close(struct client *client);

/* Milliseconds of a clock that never jumps. */
int64_t client_now_ms(void);

#endif
