/* guard_run.h: hakmem-top --report=guard. */
#ifndef VIEWER_GUARD_RUN_H
#define VIEWER_GUARD_RUN_H

#include "viewer/options.h"

#define GUARD_MISTAKES_FOUND 3 /* exit status: there are reports */

/* Prints the mistakes that were reported in options->target, a process or a dump. Returns the exit status. */
int guard_run(const struct options *options);

#endif
