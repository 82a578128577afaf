/* binaries.h: the files that a profile's modules were loaded from, on this machine: known by their build-ids, so that the
 * symbols of another version are never shown. */
#ifndef VIEWER_BINARIES_H
#define VIEWER_BINARIES_H

#include <limits.h>
#include <sys/types.h>

#include "viewer/profile_model.h"

#define BINARIES_DEBUG_DEFAULT "/usr/lib/debug"

/* Where files are looked for; lists are separated by colons. */
struct binaries_where {
	const char *folders; /* that hold binaries by their path, by their name or under .build-id/; NULL: none */
	const char *debug;   /* that hold separate debug files; NULL: BINARIES_DEBUG_DEFAULT */
	pid_t pid;           /* of a process that runs here: its files are seen from its root; 0: none */
};

/* Opens a module's file, or, where that isn't there, its separate debug file. A relative path is one of the process's working directory,
 * or of ours if there is the file with its build-id; of a process that runs here a file that was deleted or replaced is had all the same. Returns a descriptor, with the path in
 * `path`, or -1 and says why. */
int binaries_open(const struct binaries_where *where, const struct profile_module *module, char path[PATH_MAX],
	struct problem *problem);
/* What libdwfl is to look through for separate debug files, as it wants it. To be freed. */
char *binaries_debug_path(const struct binaries_where *where);

#endif
