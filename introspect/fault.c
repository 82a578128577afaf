/* fault.c: what a signal handler does before and after the dump.
 *
 * One thread at a time writes: `writer` holds its kernel id. A thread that crashes meanwhile waits for it, for
 * WAIT_MS at most, and then goes the way of its signal. A signal that the writer itself raises is a crash inside the
 * handler: it ends the step that hak_fault_guard runs. */
#include "introspect/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "introspect/memory.h"
#include "lib/atomic.h"

#define STACK_BYTES ((size_t)96 << 10) /* the frame that the kernel pushes takes up to 12 KiB of it */
#define WAIT_MS 3000
#define SURVIVED_MAX 1000
#define SIGNALS 65
#define LATER_MAX 8

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS};

static struct hak_fault_options installed; /* written before there is a second thread */
static struct sigaction previous[SIGNALS];
static pid_t owner;        /* whose handlers these are; 0: none are installed. Written by who installs, and after a fork */
static bool (*guards_own)(const struct hak_fault *fault); /* options.guard, set once, before `guarding` */
static uint32_t guarding;
/* What the program put in the place of our handler of SIGSEGV, which was taken again. Each is written once, before the handler
 * of its number, which hands on to it, is installed. */
static struct sigaction later[LATER_MAX];
static unsigned laters;
static uint32_t replacing; /* 1: a thread is looking, and writes these two */
static uint32_t writer;    /* kernel id of the thread that writes a dump, 0: none */
static uint32_t crashed;   /* a dump of a crash was begun */
static uint32_t survived;  /* by the writer */
static sigjmp_buf *guard;  /* the writer's */
static sigset_t mask_before; /* of a writer that is no handler */

static HAK_TLS void *own_stack;

static uint32_t own_tid(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

/* ---- Stacks ---- */

void hak_fault_thread_birth(void)
{
	stack_t present, stack = {.ss_size = STACK_BYTES};

	if (!hak_load_relaxed(&owner) || own_stack || sigaltstack(NULL, &present) != 0 || !(present.ss_flags & SS_DISABLE))
		return;
	stack.ss_sp = hak_memory_map(STACK_BYTES, HAK_MEMORY_INHERIT);
	if (!stack.ss_sp)
		return;
	if (sigaltstack(&stack, NULL) == 0)
		own_stack = stack.ss_sp;
	else
		hak_memory_unmap(stack.ss_sp, STACK_BYTES);
}

void hak_fault_thread_death(void)
{
	const stack_t none = {.ss_flags = SS_DISABLE};
	stack_t present;

	/* A program that has set another one since then no longer uses ours; if ours can't be parted with, the thread is
	 * on it. */
	if (!own_stack || sigaltstack(NULL, &present) != 0)
		return;
	if (present.ss_sp != own_stack || sigaltstack(&none, NULL) == 0)
		hak_memory_unmap(own_stack, STACK_BYTES);
	own_stack = NULL;
}

/* ---- Who writes ---- */

/* Nothing may interrupt the writing but what it does wrong itself. */
static void fill_mask(sigset_t *mask)
{
	sigfillset(mask);
	for (size_t i = 0; i < HAK_COUNT_OF(crash_signals); i++)
		sigdelset(mask, crash_signals[i]);
}

static bool expired(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000 >= WAIT_MS;
}

/* Waits for the right to write. `fatal`: for the one dump of a crash that a process writes. */
static bool claim(bool fatal)
{
	static const struct timespec pause = {0, 1000000};
	struct timespec since;
	uint32_t none = 0;

	clock_gettime(CLOCK_MONOTONIC, &since);
	while (!hak_cas_acquire_u32(&writer, &none, own_tid())) {
		if (expired(&since))
			return false;
		none = 0;
		nanosleep(&pause, NULL);
	}
	if (hak_load_relaxed(&crashed)) {
		hak_store_release(&writer, 0);
		return false;
	}
	if (fatal)
		hak_store_relaxed(&crashed, 1);
	survived = 0;
	return true;
}

static void give_up_writing(void)
{
	guard = NULL;
	hak_store_release(&writer, 0); /* pairs with the acquire in claim */
}

bool hak_fault_begin(void)
{
	sigset_t mask, before;

	if (hak_load_relaxed(&writer) == own_tid())
		return false;
	fill_mask(&mask);
	pthread_sigmask(SIG_SETMASK, &mask, &before);
	if (!claim(false)) {
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		return false;
	}
	mask_before = before;
	return true;
}

void hak_fault_end(void)
{
	sigset_t before = mask_before;

	give_up_writing();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void hak_fault_after_fork(void)
{
	hak_store_relaxed(&owner, owner ? getpid() : 0);
	guard = NULL;
	hak_store_relaxed(&replacing, 0);
	hak_store_relaxed(&crashed, 0);
	hak_store_release(&writer, 0);
}

bool hak_fault_guard(void (*step)(void *argument), void *argument)
{
	sigjmp_buf *volatile outer = guard;
	sigjmp_buf here;
	volatile bool whole = false;

	/* The handler's mask is the same in a handler inside it, so that none needs to be restored. */
	if (sigsetjmp(here, 0) == 0) {
		guard = &here;
		step(argument);
		whole = true;
	}
	guard = outer;
	return whole;
}

/* ---- The handler ---- */

/* Whether the instruction that raised the signal would raise it again. */
static bool is_raised_again(int signal, const siginfo_t *info)
{
	if (signal == SIGBUS && info->si_code == BUS_MCEERR_AO)
		return false;
	return info->si_code > 0 && (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE);
}

/* Calls the handler that was there before ours, under the mask that it would have had. */
static void call_previous(struct sigaction *action, int signal, siginfo_t *info, void *context)
{
	static const struct sigaction by_default = {.sa_handler = SIG_DFL};
	const ucontext_t *interrupted = context;
	sigset_t mask, before;

	if (action->sa_flags & SA_RESETHAND)
		sigaction(signal, &by_default, NULL);
	sigorset(&mask, &interrupted->uc_sigmask, &action->sa_mask);
	if (!(action->sa_flags & SA_NODEFER))
		sigaddset(&mask, signal);
	pthread_sigmask(SIG_SETMASK, &mask, &before);
	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(signal, info, context);
	else
		action->sa_handler(signal);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Lets the signal do what it would have done without us: what `action` says. */
static void pass_on(struct sigaction *action, int signal, siginfo_t *info, void *context, bool asked)
{
	sigset_t only;

	if (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN) {
		call_previous(action, signal, info, context);
		return;
	}
	if (asked)
		return;
	sigaction(signal, action, NULL);
	if (is_raised_again(signal, info))
		return;
	/* Sent once more, with everything that was known of it, it waits until the handler has returned: a core dump
	 * shows the thread where the signal found it. */
	sigemptyset(&only);
	sigaddset(&only, signal);
	pthread_sigmask(SIG_BLOCK, &only, NULL);
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), own_tid(), signal, info) != 0)
		syscall(SYS_tgkill, getpid(), own_tid(), signal);
}

/* Whether the fault was a guard's, and the program goes on. What the writer of a dump meets isn't. */
static bool is_guards(const struct hak_fault *fault)
{
	/* Pairs with the release in hak_fault_install_guard. */
	if (fault->signal != SIGSEGV || !hak_load_acquire(&guarding))
		return false;
	return fault->info->si_code > 0 && fault->info->si_code != SI_KERNEL && hak_load_relaxed(&writer) != own_tid() &&
		guards_own(fault);
}

/* Whether a dump is wanted of this signal; SIGSEGV may be caught for guards alone. */
static bool is_dumped(int signal)
{
	return installed.dump && (signal != SIGSEGV || installed.crash);
}

static void handle_for(struct sigaction *action, int signal, siginfo_t *info, void *context)
{
	bool asked = sigismember(&installed.asks, signal) == 1;
	const struct hak_fault fault = {
		.reason = asked             ? "signal"
			: signal == SIGABRT ? "abort"
					    : "crash",
		.signal = signal,
		.info = info,
		.context = context,
	};
	int kept = errno;

	/* A child that was made without fork's handlers (vfork, a bare clone) is none of ours. */
	if (hak_load_relaxed(&owner) == getpid()) {
		if (is_guards(&fault)) {
			errno = kept;
			return;
		}
		if (!asked && hak_load_relaxed(&writer) == own_tid()) {
			if (guard && ++survived < SURVIVED_MAX)
				siglongjmp(*guard, 1);
			give_up_writing();
		} else if (is_dumped(signal) && claim(!asked)) {
			installed.dump(&fault);
			give_up_writing();
		}
	}
	pass_on(action, signal, info, context, asked);
	errno = kept;
}

static void handle(int signal, siginfo_t *info, void *context)
{
	handle_for(&previous[signal], signal, info, context);
}

/* A function for each: which of them a program finds, puts back, or calls for what is none of its own, says what is to
 * follow, as the program's own that stood there would have. */
typedef void handler(int signal, siginfo_t *info, void *context);
#define LATER(n) \
	static void handle_later_##n(int signal, siginfo_t *info, void *context) \
	{ \
		handle_for(&later[n], signal, info, context); \
	}
LATER(0)
LATER(1)
LATER(2)
LATER(3)
LATER(4)
LATER(5)
LATER(6)
LATER(7)
#undef LATER
static handler *const handle_later[LATER_MAX] = {handle_later_0, handle_later_1, handle_later_2, handle_later_3,
	handle_later_4, handle_later_5, handle_later_6, handle_later_7};

static void install(int signal, int flags)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | flags};

	action.sa_sigaction = handle;
	fill_mask(&action.sa_mask);
	/* Known before ours can be called by a thread that runs already. */
	sigaction(signal, NULL, &previous[signal]);
	sigaction(signal, &action, &previous[signal]);
}

void hak_fault_install(const struct hak_fault_options *options)
{
	installed = *options;
	hak_store_relaxed(&owner, getpid());
	for (size_t i = 0; options->crash && i < HAK_COUNT_OF(crash_signals); i++)
		install(crash_signals[i], 0);
	if (options->abort)
		install(SIGABRT, 0);
	for (int signal = 1; signal < SIGNALS; signal++) {
		if (sigismember(&options->asks, signal) == 1)
			install(signal, SA_RESTART);
	}
	if (options->guard)
		hak_fault_install_guard(options->guard);
	hak_fault_thread_birth();
}

void hak_fault_install_guard(bool (*own)(const struct hak_fault *fault))
{
	if (hak_load_relaxed(&guarding))
		return;
	guards_own = own;
	hak_store_relaxed(&owner, getpid());
	/* A handler of the program's that has replaced ours meanwhile may call it: a second one of ours behind it would call it
	 * in turn, and so on. */
	if (!installed.crash)
		install(SIGSEGV, 0);
	hak_store_release(&guarding, 1u);
}

static bool is_ours(const struct sigaction *action)
{
	bool ours = action->sa_sigaction == handle;

	for (unsigned i = 0; i < laters; i++)
		ours |= action->sa_sigaction == handle_later[i];
	return ours;
}

/* The number of our handler that hands on to `action`; LATER_MAX if there have been too many. */
static unsigned number_of(const struct sigaction *action)
{
	unsigned number = 0;

	while (number < laters && (later[number].sa_sigaction != action->sa_sigaction || later[number].sa_flags != action->sa_flags ||
					  memcmp(&later[number].sa_mask, &action->sa_mask, sizeof(action->sa_mask)) != 0))
		number++;
	if (number == laters && number < LATER_MAX)
		later[laters++] = *action;
	return number;
}

void hak_fault_keep_guard(void)
{
	struct sigaction present = {.sa_flags = 0}, ours = {.sa_flags = SA_SIGINFO | SA_NODEFER};
	uint32_t no = 0;
	unsigned number;

	if (!hak_load_relaxed(&guarding) || hak_load_relaxed(&owner) != getpid() || hak_load_relaxed(&replacing) ||
		!hak_cas_acquire_u32(&replacing, &no, 1))
		return;
	if (sigaction(SIGSEGV, NULL, &present) == 0 && !is_ours(&present)) {
		number = number_of(&present);
		/* It runs where the program's would, whose stack of its own may be meant for it alone. */
		ours.sa_flags |= present.sa_flags & (SA_ONSTACK | SA_RESTART);
		fill_mask(&ours.sa_mask);
		if (number < LATER_MAX) {
			ours.sa_sigaction = handle_later[number];
			sigaction(SIGSEGV, &ours, NULL);
		}
	}
	hak_store_release(&replacing, 0);
}

/* ---- What the processor was about ---- */

#if defined(__x86_64__)
const char *hak_fault_access(const void *context)
{
	const greg_t *registers = ((const ucontext_t *)context)->uc_mcontext.gregs;
	uint64_t error = (uint64_t)registers[REG_ERR];

	/* The error code is of a page fault only, exception 14. */
	if (registers[REG_TRAPNO] != 14)
		return NULL;
	return error & 16 ? "execute" : error & 2 ? "write" : "read";
}
#elif defined(__aarch64__)
#define ESR_MAGIC_ 0x45535201u /* the kernel's ESR_MAGIC: a record of the exception's syndrome */
#define SYNDROME_CLASS(esr) ((esr) >> 26 & 63)
enum { INSTRUCTION_ABORT = 32, DATA_ABORT = 36 };

const char *hak_fault_access(const void *context)
{
	const mcontext_t *registers = &((const ucontext_t *)context)->uc_mcontext;
	const uint8_t *at = (const uint8_t *)registers->__reserved, *end = at + sizeof(registers->__reserved);
	struct {
		uint32_t magic, size;
		uint64_t esr;
	} record;

	for (; at + sizeof(record) <= end; at += record.size) {
		memcpy(&record, at, sizeof(record));
		if (record.magic == ESR_MAGIC_ && SYNDROME_CLASS(record.esr) == DATA_ABORT)
			return record.esr & 64 ? "write" : "read";
		if (record.magic == ESR_MAGIC_ && SYNDROME_CLASS(record.esr) == INSTRUCTION_ABORT)
			return "execute";
		if (!record.magic || record.size < sizeof(record.magic) + sizeof(record.size))
			break;
	}
	return NULL;
}
#endif
