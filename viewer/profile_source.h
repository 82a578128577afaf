/* profile_source.h: where profiles come from: a running process, a dump, a saved answer, a moment of a recording. */
#ifndef VIEWER_PROFILE_SOURCE_H
#define VIEWER_PROFILE_SOURCE_H

#include <sys/types.h>

#include "viewer/profile_model.h"

/* A profile and whose it is. */
struct profile_source {
	struct profile *profile;
	char name[256];     /* what the user named */
	char exe[256];      /* may be empty */
	char reason[64];    /* of a dump, may be empty */
	uint64_t pid;       /* 0: unknown */
	uint64_t uptime_us; /* 0: unknown */
	pid_t running;      /* the process, if it is one that runs here; 0: none */
};

/* Gets the profile that `name` names. Returns false and says why there is none. */
bool profile_source_open(struct profile_source *source, const char *name, struct problem *problem);
void profile_source_close(struct profile_source *source);

#endif
