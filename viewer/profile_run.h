/* profile_run.h: hakmem-top --report sites, pinned or leaks, and the formats of other people's tools. */
#ifndef VIEWER_PROFILE_RUN_H
#define VIEWER_PROFILE_RUN_H

#include "viewer/options.h"

#define PROFILE_LEAKS_FOUND 3 /* exit status: more is live than --fail-if-leaks allows */

/* Whether the command line asks for something that needs a profile. */
bool profile_run_wanted(const struct options *options);
/* Does it, with the profile of options->target. Returns the exit status. */
int profile_run(const struct options *options);

#endif
