/* Faults on guarded blocks and others, for guard_faults.py: each case is a program that touches what it must not, and says how it
 * went on. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES 40
#define THREADS 8

static char *volatile block; /* so that compilers don't know what is freed */
static sigjmp_buf before;

__attribute__((noinline)) static void make_block(void)
{
	block = malloc(BYTES);
	memset(block, 'a', BYTES);
}

__attribute__((noinline)) static void drop_block(void)
{
	free(block);
	__asm__ volatile("" ::: "memory"); /* a call, not a jump: its frame is looked for */
}

__attribute__((noinline)) static int read_block(void)
{
	return ((volatile char *)block)[3];
}

__attribute__((noinline)) static void write_block(void)
{
	((volatile char *)block)[5] = 'b';
}

/* NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c): the signals are raised by what this program does */
static void own_handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	printf("own handler: signal %d at %p\n", signal, info->si_addr);
	fflush(stdout);
	siglongjmp(before, 1);
}

static void install_own(int flags)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | flags};
	action.sa_sigaction = own_handler;
	sigaction(SIGSEGV, &action, NULL);
}
/* NOLINTEND(bugprone-signal-handler,cert-sig30-c) */

static void null_pointer(void)
{
	char *volatile nowhere = (char *)16;
	*(volatile char *)nowhere = 1;
}

static void use_after_free(void)
{
	make_block();
	drop_block();
	printf("read %d\n", read_block() != 0);
	write_block();
	printf("read %c\n", ((volatile char *)block)[5]);
}

static void two_blocks(void)
{
	for (int i = 0; i < 2; i++) {
		make_block();
		drop_block();
		read_block();
	}
}

static void *read_in_thread(void *barrier)
{
	pthread_barrier_wait(barrier);
	read_block();
	return NULL;
}

/* All at the same moment on the same page: one of them reports it. */
static void threads(void)
{
	pthread_t thread[THREADS];
	pthread_barrier_t barrier;
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, read_in_thread, &barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

static void same_block(void)
{
	make_block();
	drop_block();
	threads();
}

/* The program's own handler goes on being the program's, whether it was there first or not, and on a stack of its own. */
static void handled(void)
{
	static char stack[65536];
	const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	sigaltstack(&alternate, NULL);
	install_own(SA_ONSTACK);
	for (volatile int i = 0; i < 3; i++) { /* volatile: it outlives the jumps */
		if (sigsetjmp(before, 1) == 0)
			null_pointer();
		make_block();
		drop_block();
		if (sigsetjmp(before, 1) == 0)
			read_block();
	}
}

/* Its handler calls the one that it found, as it should. */
static struct sigaction found;

/* NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c): as above */
static void chaining_handler(int signal, siginfo_t *info, void *context)
{
	static const char words[] = "chains\n";
	if (write(STDOUT_FILENO, words, sizeof(words) - 1) > 0)
		found.sa_sigaction(signal, info, context);
}

static void chained(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO};
	action.sa_sigaction = chaining_handler;
	sigaction(SIGSEGV, &action, &found);
	make_block();
	drop_block();
	read_block();
	make_block();
	null_pointer();
}

/* Two handlers, one after the other, each of which puts back what it found there. */
static void put_back(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO}, first, second;
	action.sa_sigaction = own_handler;
	sigaction(SIGSEGV, &action, &first);
	make_block();
	action.sa_sigaction = chaining_handler;
	sigaction(SIGSEGV, &action, &second);
	make_block();
	sigaction(SIGSEGV, &second, NULL);
	make_block();
	if (sigsetjmp(before, 1) == 0)
		null_pointer();
	sigaction(SIGSEGV, &first, NULL);
	make_block();
	null_pointer();
}
/* NOLINTEND(bugprone-signal-handler,cert-sig30-c) */

/* Neither a call nor an access that is reported is a point where a thread is cancelled. */
static void *be_cancelled(void *went_on)
{
	pthread_cancel(pthread_self());
	make_block();
	char *volatile inside = block + 16;
	free(inside);
	drop_block();
	read_block();
	*(int *)went_on = 1;
	return NULL;
}

static void cancelled(void)
{
	pthread_t thread;
	int went_on = 0;
	pthread_create(&thread, NULL, be_cancelled, &went_on);
	pthread_join(thread, NULL);
	printf("%d\n", went_on);
}

/* A long block, freed while another thread goes on reading it. */
#define LONG ((size_t)4 << 20)
static atomic_int rounds_begun, rounds_left;

static void *read_on(void *ignored)
{
	(void)ignored;
	while (atomic_load(&rounds_left)) {
		for (size_t i = 0; i < LONG; i += LONG / 16)
			(void)((volatile char *)block)[i];
		atomic_store(&rounds_begun, 1);
	}
	return NULL;
}

static void used_by_another(void)
{
	pthread_t thread;
	for (int i = 0; i < 100; i++) {
		block = malloc(LONG);
		memset(block, 'a', LONG);
		atomic_store(&rounds_begun, 0);
		atomic_store(&rounds_left, 1);
		pthread_create(&thread, NULL, read_on, NULL);
		while (!atomic_load(&rounds_begun)) {
		}
		drop_block();
		atomic_store(&rounds_left, 0);
		pthread_join(thread, NULL);
	}
}

/* A child goes on being guarded. */
static void in_child(void)
{
	int status;
	make_block();
	drop_block();
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		read_block();
		_exit(3);
	}
	waitpid(child, &status, 0);
	printf("child %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}

/* Waits until guards are switched on from outside. */
static void at_run_time(void)
{
	char line[16];
	make_block();
	drop_block();
	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		exit(9);
	for (int i = 0; i < 100; i++) { /* the thread hears of it at its next slow path */
		make_block();
		drop_block();
	}
	read_block();
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"use_after_free", use_after_free}, {"two_blocks", two_blocks}, {"same_block", same_block}, {"null_pointer", null_pointer},
	{"handled", handled}, {"chained", chained}, {"put_back", put_back}, {"cancelled", cancelled},
	{"used_by_another", used_by_another}, {"in_child", in_child}, {"at_run_time", at_run_time},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(argv[1], cases[i].name) != 0)
			continue;
		cases[i].run();
		puts("end");
		return 0;
	}
	fprintf(stderr, "no such case\n");
	return 2;
}
