/* compare.h: hakmem-top --diff. */
#ifndef VIEWER_COMPARE_H
#define VIEWER_COMPARE_H

#include "viewer/options.h"
#include "viewer/watch.h"

#define COMPARE_GROWN 3 /* exit status: live bytes grew by more than --fail-if-growth allows */

/* Gets the state that `name` names: of a process, a dump, a trace file, or a moment of a recording. Returns false and says
 * why there is none. */
bool compare_find(struct watch *watch, const char *name, struct problem *problem);
/* Compares options->diff with options->target and prints the difference. Returns the exit status. */
int compare_run(const struct options *options);

#endif
