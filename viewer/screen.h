/* screen.h: the live screen, on ncursesw. */
#ifndef VIEWER_SCREEN_H
#define VIEWER_SCREEN_H

#include <stdbool.h>

#include "viewer/launch.h"
#include "viewer/link.h"
#include "viewer/options.h"
#include "viewer/watch.h"

#define SCREEN_INTERVAL_MS 500

/* Whether there is a terminal that can be driven: its type is known and can move the cursor. Without a command, stdin
 * and stdout have to be the terminal. With one they are the command's: then the terminal is /dev/tty, and either
 * stdin is a terminal, or it is a pipe or a file and stderr is a terminal (so that `hakmem-top -- COMMAND </dev/null`
 * prints frames). */
bool screen_possible(bool for_command);
/* Shows `watch` until the user quits. `link` NULL: a dump. `launch` NULL: no command; else its status is returned
 * when it has ended, which is waited for after the screen is closed. Returns the viewer's exit status. */
int screen_run(struct link *link, struct watch *watch, struct launch *launch, const struct options *options,
	int signal_fd);

#endif
