/* quiet.h: writing to files and pipes without the signals that this can raise in the program. */
#ifndef HAK_QUIET_H
#define HAK_QUIET_H

#include <signal.h>

#include "lib/base.h"

struct hak_quiet {
	sigset_t before; /* the thread's mask */
	sigset_t raised; /* the signals to take back: those of ours that were not pending before */
	int cancel;      /* the thread's cancellation state */
};

/* What hak_undisturbed_begin found. */
struct hak_undisturbed {
	sigset_t before; /* the thread's mask */
	int cancel;      /* its cancellation state */
};

/* For work on a thread of the program's: until hak_undisturbed_end no signal is delivered to it and it is not
 * cancelled. Otherwise a cancellation inside a system call would leave a lock behind that fork waits for ever after,
 * and so would a handler that forks. Nests. */
void hak_undisturbed_begin(struct hak_undisturbed *undisturbed);
void hak_undisturbed_end(const struct hak_undisturbed *undisturbed);

/* Holds SIGXFSZ and SIGPIPE back from the calling thread until hak_quiet_end, which discards those that came meanwhile
 * and restores the thread's mask. The thread is not cancelled meanwhile. Not nested. */
void hak_quiet_begin(struct hak_quiet *quiet);
void hak_quiet_end(const struct hak_quiet *quiet);

/* Remembers what stderr is, for hak_quiet_complain. When the library is loaded, before the program can change it. */
void hak_quiet_remember_stderr(void);

/* Writes "hakmem: what: detail: reason\n" to stderr with one write; detail may be "". error is a positive errno. Says
 * nothing where descriptor 2 may be a file of the program's data, because stderr was closed and its number given to the
 * next file that was opened: that is, if it is a file not opened for appending, and not the one that it was when it was
 * remembered. */
void hak_quiet_complain(const char *what, const char *detail, int error);

#endif
