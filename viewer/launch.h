/* launch.h: runs a command on HAKMEM. */
#ifndef VIEWER_LAUNCH_H
#define VIEWER_LAUNCH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "viewer/problem.h"

struct launch {
	pid_t pid;
	int output_fd;   /* what the command prints, non-blocking; -1: it isn't captured */
	bool ended;
	int wait_status; /* as from waitpid, once it ended */
};

struct launch_how {
	char **command;
	const char *library;     /* of launch_find_library */
	const char *output_file; /* both streams go there; NULL: see `capture` */
	/* Whichever of stdout and stderr is a terminal goes to output_fd; a terminal on stdin is replaced by
	 * /dev/null, as the keys are the screen's. */
	bool capture;
	const sigset_t *mask;    /* the signal mask that the command starts with */
};

/* Finds libhakmem.so: `given` (--library) if not NULL, else HAKMEM_LIB, else beside this program, in ../lib or a
 * directory below it. Returns false and says where it looked. */
bool launch_find_library(const char *given, char *out, size_t size, struct problem *problem);
/* Copies the value of LD_PRELOAD without the words that name a library of HAKMEM's, in whatever folder. Returns whether
 * there were any. Separators stay as they are but for those beside what is left out. `out` has to hold
 * strlen(present) + 1 bytes; it may be `present` itself. */
bool launch_without_hakmem(const char *present, char *out);
/* The value for LD_PRELOAD: the library before what is in `present` (may be NULL), in which it doesn't stand a second
 * time. Returns false if the path can't stand in LD_PRELOAD, whose separators are blanks and colons. */
bool launch_preload(const char *library, const char *present, char *out, size_t size, struct problem *problem);
/* Starts the command with LD_PRELOAD and HAKMEM_INTROSPECT=1. On failure returns false, *status being what a shell
 * would exit with: 127 for a command that isn't found, 126 for one that can't be run, 1 for anything else. */
bool launch_start(struct launch *launch, const struct launch_how *how, int *status, struct problem *problem);
/* Takes the command's end if it has come. Returns true if it has ended. */
bool launch_reap(struct launch *launch);
/* Waits for it. */
void launch_wait(struct launch *launch);
/* Its exit status, 128 + number for a signal. */
int launch_status(const struct launch *launch);
/* "ended with status 3", "was killed by signal 11 (Segmentation fault)". */
void launch_describe(const struct launch *launch, char *out, size_t size);

#endif
