/* signals.h: signals as something to read, so that they arrive between two steps of a loop and never inside one. */
#ifndef VIEWER_SIGNALS_H
#define VIEWER_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* Blocks SIGCHLD and the signals that end a program from outside (SIGINT, SIGQUIT, SIGTERM, SIGHUP; an ignored one
 * stays ignored) and returns a descriptor to read them from, -1 if there is none to be had. SIGPIPE is blocked too, but
 * never read: whoever accompanies a command has to outlive the reader of its own frames. *before is the mask as it was.
 */
int signals_open(sigset_t *before);
/* The next signal that came, 0: none. *from_terminal says that the kernel sent it to the whole foreground group, so
 * that a launched command has it already. */
int signals_next(int fd, bool *from_terminal);

#endif
