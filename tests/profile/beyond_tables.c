/* Allocates where the tables of exceptions say more than our own engine understands: in a signal's handler; and on a stack of the
 * program's own making. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

static void *kept[2];
static ucontext_t before, coroutine;

static void handle(int signal)
{
	(void)signal;
	kept[0] = malloc(1111); /* in the handler, of a signal that is raised: NOLINT(bugprone-signal-handler,cert-sig30-c) */
}

static __attribute__((noinline)) void allocate(void)
{
	kept[1] = malloc(2222); /* on its own stack */
	__asm__ volatile("" ::: "memory");
}

static void begin(void)
{
	allocate(); /* where that begins */
	__asm__ volatile("" ::: "memory");
}

static void on_another_stack(void)
{
	size_t bytes = 256 << 10;
	char *stack = malloc(bytes);
	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = bytes;
	coroutine.uc_link = &before;
	makecontext(&coroutine, begin, 0);
	swapcontext(&before, &coroutine);
}

int main(void)
{
	signal(SIGUSR1, handle);
	raise(SIGUSR1); /* it is raised */
	on_another_stack();
	puts(kept[0] && kept[1] ? "done" : "no memory");
	return 0;
}
