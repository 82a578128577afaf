/* Threads and processes that HAKMEM is not told of: threads whose first malloc comes in the last round of exit hooks,
 * so that their end goes unnoticed, with stacks that libc unmaps at once; and a child that shares its parent's memory
 * (clone with CLONE_VM, as vfork does). What looks at all threads, fork and the statistics, must touch neither what is
 * gone nor what belongs to the parent. */
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define STACK_BYTES (128u << 20) /* more than libc keeps for the next thread */

static pthread_key_t key;
static int stop;

static void last_round(void *round)
{
	if ((intptr_t)round < PTHREAD_DESTRUCTOR_ITERATIONS) {
		pthread_setspecific(key, (char *)round + 1);
		return;
	}
	char *block = malloc(100);
	CHECK(block != NULL);
	memset(block, 1, 100);
} /* NOLINT(clang-analyzer-unix.Malloc): left to the thread's end, which is tested */

static void *end_unnoticed(void *unused)
{
	(void)unused;
	pthread_setspecific(key, (void *)1);
	return NULL;
}

static void threads_end_unnoticed(void)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	for (int i = 0; i < 3; i++) {
		pthread_t thread;
		CHECK(pthread_create(&thread, &attributes, end_unnoticed, NULL) == 0);
		pthread_join(thread, NULL);
	}
	pthread_attr_destroy(&attributes);
}

static void fork_works(void)
{
	int status;
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		free(malloc(1000));
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void *churn(void *seed)
{
	char *blocks[300] = {0};
	uint32_t state = (uint32_t)(uintptr_t)seed;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		state = state * 1664525u + 1013904223u;
		char **place = &blocks[(state >> 16) % 300];
		free(*place);
		*place = malloc((state >> 8) % 2000);
		CHECK(*place != NULL);
	}
	for (int i = 0; i < 300; i++)
		free(blocks[i]);
	return NULL;
}

static int look_at_statistics(void *unused)
{
	(void)unused;
	(void)mallinfo2();
	return 0;
}

/* While threads of the parent allocate, and more of them are born afterwards. */
static void child_in_our_memory(void)
{
	static char stack[1 << 20];
	pthread_t threads[6];
	size_t before = mallinfo2().uordblks, after;
	int status;
	for (uintptr_t i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, (void *)(i + 7)) == 0);
	for (int i = 0; i < 20; i++) {
		pid_t child = clone(look_at_statistics, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
		CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	}
	for (uintptr_t i = 2; i < 6; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, (void *)(i + 7)) == 0);
	for (int i = 0; i < 200; i++) {
		void *block = malloc(5000);
		CHECK(block != NULL);
		free(block);
		(void)mallinfo2();
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	/* Had the child taken the parent's threads for dead, what they did since would not be counted. What libc keeps of
	 * ended threads is little. */
	after = mallinfo2().uordblks;
	CHECK(after < before + 30000 && before < after + 30000);
}

int main(void)
{
	CHECK(pthread_key_create(&key, last_round) == 0);
	threads_end_unnoticed();
	fork_works();
	threads_end_unnoticed();
	CHECK(mallinfo2().arena > 0);
	child_in_our_memory();
	puts("nothing was missed");
	return 0;
}
