/* accompany.h: what a launched command is owed after the screen has closed. */
#ifndef VIEWER_ACCOMPANY_H
#define VIEWER_ACCOMPANY_H

#include "viewer/launch.h"
#include "viewer/output.h"

/* Writes what was captured (NULL: nothing was), and passes on output and signals until the command ends: it goes on in
 * the foreground as if we had never been there. `signal_fd` is from signals_open. */
void accompany(struct launch *launch, const struct output *output, int signal_fd);

#endif
