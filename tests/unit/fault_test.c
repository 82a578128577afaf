/* Handlers of crashes: who writes, what is survived, and how it ends; each case in a child of its own. */
#include "introspect/fault.h"

#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/unit/unit.h"

static void write_to(void *address)
{
	void *volatile hidden = address; /* compilers would warn of what is wrong on purpose */
	*(volatile char *)hidden = 1;
}

static void dump_and_say(const struct hak_fault *fault)
{
	char inside;
	/* Damage that the dump meets: it goes on behind it. */
	if (hak_fault_guard(write_to, (void *)8))
		_exit(1);
	if (!hak_fault_guard(write_to, &inside))
		_exit(2);
	dprintf(STDERR_FILENO, "%s %d ", fault->reason, fault->signal);
}

static void install(void)
{
	const struct rlimit none = {0, 0};
	struct hak_fault_options options = {.crash = true, .abort = true, .dump = dump_and_say};
	setrlimit(RLIMIT_CORE, &none);
	sigemptyset(&options.asks);
	sigaddset(&options.asks, SIGUSR1);
	hak_fault_install(&options);
}

static void run_crash(void *how)
{
	install();
	if (how == NULL)
		abort();
	else if (*(int *)how == SIGSEGV)
		write_to((void *)16);
	else
		raise(*(int *)how);
}

static void ends(int *how, int number, const char *said)
{
	char out[64];
	int status = unit_in_child(run_crash, how, out, sizeof(out));
	CU_ASSERT_TRUE(number ? WIFSIGNALED(status) && WTERMSIG(status) == number : WIFEXITED(status) && WEXITSTATUS(status) == 0);
	UNIT_STRING(out, said);
}

static void the_end_is_the_signals(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator has a line of its own for a signal that ends a program");
	int signals[] = {SIGSEGV, SIGBUS, SIGUSR1, SIGTERM};
	UNIT_LEAVE_IF(UNIT_ASAN || UNIT_TSAN, "the sanitizer's handlers came first, and are called");
	ends(NULL, SIGABRT, "abort 6 ");
	ends(&signals[0], SIGSEGV, "crash 11 ");
	ends(&signals[1], SIGBUS, "crash 7 ");
	ends(&signals[2], 0, "signal 10 ");
	ends(&signals[3], SIGTERM, "");
}

static void run_ordinary(void *ignored)
{
	char inside;
	(void)ignored;
	install();
	dprintf(STDERR_FILENO, "%d", hak_fault_begin());
	dprintf(STDERR_FILENO, "%d", hak_fault_begin());
	dprintf(STDERR_FILENO, "%d", hak_fault_guard(write_to, (void *)8));
	dprintf(STDERR_FILENO, "%d", hak_fault_guard(write_to, &inside));
	hak_fault_end();
	sigset_t mask;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	dprintf(STDERR_FILENO, "%d", sigismember(&mask, SIGTERM));
	dprintf(STDERR_FILENO, "%d", hak_fault_begin());
	hak_fault_end();
}

static void crashes_outside_handlers_are_survived(void)
{
	char out[64];
	UNIT_EQUAL(unit_in_child(run_ordinary, NULL, out, sizeof(out)), 0);
	UNIT_STRING(out, "100101");
}

static void *look_at_stacks(void *own)
{
	stack_t present, mine = {.ss_sp = own, .ss_size = 65536};
	if (own)
		sigaltstack(&mine, NULL);
	hak_fault_thread_birth();
	sigaltstack(NULL, &present);
	dprintf(STDERR_FILENO, "%d", own ? present.ss_sp == own : !(present.ss_flags & SS_DISABLE));
	hak_fault_thread_death();
	sigaltstack(NULL, &present);
	dprintf(STDERR_FILENO, "%d", own ? present.ss_sp == own : !(present.ss_flags & SS_DISABLE));
	return NULL;
}

static void run_stacks(void *ignored)
{
	static char own[65536];
	pthread_t thread;
	(void)ignored;
	install();
	for (int i = 0; i < 2; i++) {
		pthread_create(&thread, NULL, look_at_stacks, i ? own : NULL);
		pthread_join(thread, NULL);
	}
}

static void threads_have_stacks(void)
{
	char out[64];
	UNIT_LEAVE_IF(UNIT_ASAN || UNIT_TSAN, "the sanitizer gives threads such stacks itself");
	UNIT_EQUAL(unit_in_child(run_stacks, NULL, out, sizeof(out)), 0);
	UNIT_STRING(out, "1011");
}

/* A page that guards, opened by who is asked; the program goes on. Any other fault is the program's own. */
static char *volatile page; /* read by the handler */
static sigjmp_buf before_fault;

/* NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c): of faults that are made here */
static bool open_page(const struct hak_fault *fault)
{
	const char *access = hak_fault_access(fault->context);
	if ((char *)fault->info->si_addr < page || (char *)fault->info->si_addr >= page + 4096)
		return false;
	dprintf(STDERR_FILENO, "%s ", access ? access : "?");
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
	return true;
}

static void programs_own(int signal)
{
	dprintf(STDERR_FILENO, "own %d ", signal);
	siglongjmp(before_fault, 1);
}
/* NOLINTEND(bugprone-signal-handler,cert-sig30-c) */

static void touch_page(void)
{
	page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	dprintf(STDERR_FILENO, "%d ", *(volatile char *)page);
	mprotect(page, 4096, PROT_NONE);
	write_to(page);
}

/* how: NULL: guards alone; else 'd': dumps too; 'h': the program's handler was first; 'l': guards come later. */
static void run_guards(void *how)
{
	char way = '\0';
	const struct rlimit none = {0, 0};
	struct hak_fault_options options = {.dump = dump_and_say};
	if (how != NULL)
		way = *(char *)how;
	options.crash = way == 'd';
	options.guard = way == 'l' ? NULL : open_page;
	setrlimit(RLIMIT_CORE, &none);
	if (way == 'h')
		signal(SIGSEGV, programs_own); /* NOLINT(bugprone-signal-handler,cert-sig30-c) */
	sigemptyset(&options.asks);
	if (way == 'l')
		hak_fault_install_guard(open_page);
	else
		hak_fault_install(&options);
	hak_fault_install_guard(open_page);
	touch_page();
	if (way != 'h' || sigsetjmp(before_fault, 1) == 0)
		write_to((void *)16);
	touch_page();
}

static void guards_end(char *how, int number, const char *said)
{
	char out[64];
	int status = unit_in_child(run_guards, how, out, sizeof(out));
	CU_ASSERT_TRUE(number ? WIFSIGNALED(status) && WTERMSIG(status) == number : WIFEXITED(status) && WEXITSTATUS(status) == 0);
	UNIT_STRING(out, said);
}

static void faults_of_guards(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator has a line of its own for a signal that ends a program");
	UNIT_LEAVE_IF(UNIT_ASAN || UNIT_TSAN, "the sanitizer's handlers came first, and are called");
	guards_end(NULL, SIGSEGV, "read 0 write ");
	guards_end((char[]){'d'}, SIGSEGV, "read 0 write crash 11 ");
	guards_end((char[]){'l'}, SIGSEGV, "read 0 write ");
	guards_end((char[]){'h'}, 0, "read 0 write own 11 read 0 write ");
}

UNIT_MAIN("fault", UNIT(the_end_is_the_signals), UNIT(crashes_outside_handlers_are_survived), UNIT(threads_have_stacks),
	UNIT(faults_of_guards))
