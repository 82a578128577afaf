/* Who writes a dump (introspect/fault.c): one thread at a time, and of crashes only the first. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/model/atomic.h"

#undef HAK_TLS
#define HAK_TLS __attribute__((section("model_tls")))
static HAK_TLS uint32_t tid;

static long get_tid(void)
{
	return tid;
}

static int set_mask(const sigset_t *mask, sigset_t *before)
{
	if (before)
		*before = *mask;
	return 0;
}

/* The time to wait is never over. */
#define syscall(...) get_tid()
#define clock_gettime(clock, time) ((void)(*(time) = (struct timespec){0, 0}))
#define nanosleep(time, left) ((void)(time))
#define pthread_sigmask(how, mask, before) set_mask(mask, before)
#include "introspect/fault.c"

/* A thread that waits looks again and again: so often at most. */
#define STEPS 9

static char dump; /* stands for what the writer writes to */
static unsigned crash_dumps;

static void setup(void)
{
	writer = crashed = 0;
	crash_dumps = 0;
}

static void crash(uint32_t number)
{
	tid = number;
	if (!claim(true))
		return;
	model_plain(&dump);
	crash_dumps++;
	model_plain(&dump);
	give_up_writing();
}

static void crash_1(void)
{
	crash(1);
}

static void crash_2(void)
{
	crash(2);
}

/* On request, or because memory is out. */
static void write_another(void)
{
	tid = 3;
	if (!hak_fault_begin())
		return;
	model_plain(&dump);
	model_require(!hak_fault_begin(), "a dump begins no other");
	model_plain(&dump);
	hak_fault_end();
	model_require(hak_load_relaxed(&writer) != tid, "it was given up");
}

static void check(void)
{
	model_require(writer == 0, "nobody writes in the end");
	model_require(crash_dumps == 1, "the first crash leaves a dump");
}

int main(void)
{
	static const struct model models[] = {
		{"two threads crash", setup, {crash_1, crash_2}, check, {STEPS, STEPS}},
		{"one crashes, one writes another dump", setup, {crash_1, write_another}, check, {STEPS, STEPS}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"claim", 1, NULL, 0, "gives up a right that was not used"},
		{0},
	};

	return model_main(models, spares);
}
