/* fault.h: the signals of a crash: caught, given to the writer of dumps, and handed on as if nobody had been there.
 *
 * Handlers run on a stack of their own in each thread that has one: the thread that loads the library, and every thread
 * from its first slow path in the allocator on. Threads that set an alternate stack themselves keep theirs. A thread
 * without one is served on its own stack, which does for everything but that stack's overflow. */
#ifndef HAK_FAULT_H
#define HAK_FAULT_H

#include <signal.h>

#include "lib/base.h"

/* A signal as its handler got it. */
struct hak_fault {
	const char *reason; /* "crash", "abort" or "signal": the word of HAKMEM_DUMP_ON */
	int signal;
	const siginfo_t *info;
	const void *context; /* ucontext_t */
};

struct hak_fault_options {
	bool crash;    /* SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS */
	bool abort;    /* SIGABRT */
	sigset_t asks; /* signals by which a dump is asked for: the program goes on */
	/* Writes a dump: in a signal handler, in one thread at a time, once for crash and abort together. */
	void (*dump)(const struct hak_fault *fault);
	/* Asked first at a SIGSEGV that an access raised: whether it was stopped by a guard's page, and the program goes on.
	 * In a signal handler, in several threads at a time, but not in one that writes a dump. NULL: there are no guards. */
	bool (*guard)(const struct hak_fault *fault);
};

/* Installs the handlers, and gives the calling thread its stack. Once, before other threads exist. */
void hak_fault_install(const struct hak_fault_options *options);

/* Adds the handler of guards (options->guard) later, while other threads run: once in a process's life, and again without an effect. A handler
 * of the program's that stands there by then is called for what is none of ours. */
void hak_fault_install_guard(bool (*own)(const struct hak_fault *fault));

/* Looks whether the program has put a handler of SIGSEGV in the place of ours since, and takes the place again: what is none of
 * ours goes to the program's, as before, until the program puts back what it found there. One that has put more than eight
 * different ones there keeps the last. Nothing unless hak_fault_install_guard was called. Any thread, no lock held; a system call. */
void hak_fault_keep_guard(void);

/* What the processor was about at a fault: "read", "write", "execute", or NULL where that can't be told. context: ucontext_t. */
const char *hak_fault_access(const void *context);

/* A thread's alternate stack comes and goes with its life in the allocator. Do nothing unless handlers are installed. */
void hak_fault_thread_birth(void);
void hak_fault_thread_death(void);

/* In a child of fork: no dump is being written here. */
void hak_fault_after_fork(void);

/* Runs step(argument) while a dump is written by this thread. Returns false if it crashed: it was left where it was. Also
 * outside of handlers, between hak_fault_begin and hak_fault_end. Nests; at most 1,000 crashes are survived. */
bool hak_fault_guard(void (*step)(void *argument), void *argument);

/* The right to write a dump from where no handler runs. Returns false if another thread has it for too long, or if a
 * dump of a crash was begun. */
bool hak_fault_begin(void);
void hak_fault_end(void);

#endif
