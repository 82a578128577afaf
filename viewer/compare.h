/* compare.h: hakmem-top --diff. */
#ifndef VIEWER_COMPARE_H
#define VIEWER_COMPARE_H

#include "viewer/options.h"

#define COMPARE_GROWN 3 /* exit status: live bytes grew by more than --fail-if-growth allows */

/* Compares options->diff with options->target and prints the difference. Returns the exit status. */
int compare_run(const struct options *options);

#endif
