/* quiet.h: writing to files and pipes without the signals that this can raise in the program. */
#ifndef HAK_QUIET_H
#define HAK_QUIET_H

#include <signal.h>

#include "lib/base.h"

struct hak_quiet {
	sigset_t before; /* the thread's mask */
	sigset_t raised; /* the signals to take back: those of ours that were not pending before */
};

/* Holds SIGXFSZ and SIGPIPE back from the calling thread until hak_quiet_end, which discards those that came meanwhile
 * and restores the thread's mask. Not nested. */
void hak_quiet_begin(struct hak_quiet *quiet);
void hak_quiet_end(const struct hak_quiet *quiet);

/* Writes "hakmem: what: detail: reason\n" to stderr with one write; detail may be "". error is a positive errno. */
void hak_quiet_complain(const char *what, const char *detail, int error);

#endif
