/* link.h: the way to a target's endpoint, and back to it.
 *
 * A target that was named is connected to once. A launched command's endpoint appears some time after its start, and
 * anew after it has run another program (exec), so it is looked for until the command ends. */
#ifndef VIEWER_LINK_H
#define VIEWER_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "viewer/client.h"

#define LINK_RETRY_MS 25

struct link {
	struct client client;
	bool launched;
	pid_t pid;           /* launched: of the command */
	uint64_t start_time;
	int64_t retry_at;    /* launched: when to look again */
	int64_t profile_at;  /* when the profile was asked for; 0: never */
	int64_t guarded_at;  /* when guarded blocks were asked for; 0: never … */
	uint64_t guarded_from; /* … and at which address */
	char path[512];      /* of the socket, once known */
};

/* A link that isn't connected. */
void link_init(struct link *link);
#define LINK_TIMEOUT_MS 5000
/* Connects to the process with this id or the socket at this path, whose greeting is waited for that long. Returns false
 * and says why not. */
bool link_open(struct link *link, const char *target, int timeout_ms, struct problem *problem);
/* Prepares to look for a launched command's endpoint. */
void link_expect(struct link *link, pid_t pid);
/* Looks for it, if it is time. Returns true if it is connected now. */
bool link_retry(struct link *link);
bool link_is_open(const struct link *link);
/* Asks for the heap profile if the target can give one and was last asked that long ago; the answer comes among the other
 * messages. Returns the milliseconds until it is time again, at most `every_ms`. */
int link_ask_profile(struct link *link, int every_ms);
/* The same for the guarded blocks from `from` to before `to`; another range than the last one is asked for at once. */
int link_ask_guarded(struct link *link, int every_ms, uint64_t from, uint64_t to);
void link_close(struct link *link);

/* Whether the target's name is a process id: digits alone. */
bool link_names_pid(const char *target, pid_t *pid);

#endif
