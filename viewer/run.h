/* run.h: the ways of watching that need no terminal. Each returns the viewer's exit status. */
#ifndef VIEWER_RUN_H
#define VIEWER_RUN_H

#include "viewer/launch.h"
#include "viewer/link.h"
#include "viewer/options.h"
#include "viewer/watch.h"

#define RUN_BATCH_INTERVAL_MS 1000

/* Prints frames until the number is reached or the target ends. With `launch` it goes on until the command has ended
 * and returns its status; signals are passed on to it. signal_fd is of signals_open, -1 without a command. */
int run_batch(struct link *link, struct watch *watch, struct launch *launch, const struct options *options,
	int signal_fd);
/* Writes the target's state, or the dump file that is watched, to options->dump. */
int run_dump(struct link *link, const struct options *options);
/* Prints the dump file options->target as a frame. */
int run_file(const struct options *options);
/* Prints the report on the dump options->target, or on the target of a link. 3: its sums don't hold. */
int run_file_report(const struct options *options);
int run_report(struct link *link);
/* Prints the list of processes. */
int run_list(void);

/* Brings out what was printed; a standard output that doesn't take it is complained of, as the status of 1 says too. */
int run_flush(void);
/* One line on stderr: "hakmem-top: …". */
void run_complain(const char *text);

#endif
