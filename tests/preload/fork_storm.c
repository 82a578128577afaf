/* Fork from a process whose other threads allocate without pause: every child finds the heap whole, allocates, frees blocks of the
 * parent's threads, makes threads, forks again, and exits or executes another program; several live at once, and two threads fork. vfork,
 * posix_spawn, _Fork and a bare clone, which run no handlers, must not harm the parent. */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define THREADS 3
#define FORKS 150
#define AT_ONCE 4
#define PLACES 256

static atomic_bool stop;
static atomic_ulong rounds[THREADS];

static size_t size_of(unsigned r)
{
	return r % 64 == 0 ? 70000 + r % 300000 : 16 + r % 2000;
}

static void churn(unsigned seed, unsigned count, unsigned char mark)
{
	unsigned char *blocks[PLACES] = {0};
	size_t sizes[PLACES] = {0};
	for (unsigned i = 0; i < count; i++) {
		seed = seed * 1664525u + 1013904223u;
		unsigned place = seed >> 8 & (PLACES - 1);
		if (blocks[place] != NULL) {
			CHECK(blocks[place][0] == mark && blocks[place][sizes[place] - 1] == mark);
			free(blocks[place]);
			blocks[place] = NULL;
		} else {
			sizes[place] = size_of(seed >> 12);
			blocks[place] = malloc(sizes[place]);
			CHECK(blocks[place] != NULL);
			blocks[place][0] = blocks[place][sizes[place] - 1] = mark;
		}
	}
	for (unsigned place = 0; place < PLACES; place++)
		free(blocks[place]);
}

static void *allocate_without_pause(void *argument)
{
	uintptr_t index = (uintptr_t)argument;
	while (!atomic_load(&stop)) {
		churn((unsigned)index + 1, 500, (unsigned char)(index + 1));
		atomic_fetch_add(&rounds[index], 1);
	}
	return NULL;
}

static void *churn_once(void *argument)
{
	churn(99, 500, 9);
	return argument;
}

static void expect_exit(pid_t child, int expected)
{
	int status;
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

/* Children of children. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as it is told */
static void descend(int generations)
{
	pid_t pid = generations ? fork() : -1;
	if (pid == 0) {
		churn((unsigned)generations, 500, 5);
		descend(generations - 1);
		exit(3);
	}
	if (generations)
		expect_exit(pid, 3);
}

static void child(int number, char *inherited)
{
	pthread_t thread;
	alarm(60); /* a lock that was left taken shows as a signal, not as a test that never ends */
	CHECK(strcmp(inherited, "from the parent") == 0);
	free(inherited);
	churn((unsigned)number, 1500, 7);
	CHECK(pthread_create(&thread, NULL, churn_once, NULL) == 0 && pthread_join(thread, NULL) == 0);
	if (number % 10 == 0)
		descend(3);
	if (number % 10 == 1) {
		execl("/bin/sh", "sh", "-c", "exit 41", (char *)NULL);
		_exit(99);
	}
	if (number % 10 == 2)
		_exit(number % 100);
	exit(number % 100);
}

static void *fork_children(void *unused)
{
	pid_t children[AT_ONCE];
	for (int i = 0; i < FORKS + AT_ONCE; i++) {
		if (i >= AT_ONCE) {
			int past = i - AT_ONCE;
			expect_exit(children[i % AT_ONCE], past % 10 == 1 ? 41 : past % 100);
		}
		if (i >= FORKS)
			continue;
		char *inherited = strdup("from the parent");
		pid_t pid = children[i % AT_ONCE] = fork();
		if (pid == 0)
			child(i, inherited);
		free(inherited);
	}
	return unused;
}

static void fork_without_handlers(void)
{
	static char *const command[] = {"true", NULL};
	for (int i = 0; i < 30; i++) {
		pid_t pid = _Fork();
		if (pid == 0)
			_exit(4);
		expect_exit(pid, 4);
		pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
		if (pid == 0)
			_exit(6);
		expect_exit(pid, 6);
		pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): programs call it */
		if (pid == 0) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(5);
		}
		expect_exit(pid, 0);
		CHECK(posix_spawn(&pid, "/bin/true", NULL, NULL, command, environ) == 0);
		expect_exit(pid, 0);
	}
}

/* While no other thread can hold a lock, such a child has a whole heap, a copy of its own. */
static void copies_of_one_thread(void)
{
	char *kept = strdup("the parent's");
	for (int i = 0; i < 20; i++) {
		pid_t pid = i % 2 ? (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) : _Fork();
		if (pid == 0) {
			memset(kept, 'x', 5);
			free(kept);
			churn(8, 20000, 8);
			_exit(6);
		}
		churn(9, 2000, 9);
		expect_exit(pid, 6);
		CHECK(strcmp(kept, "the parent's") == 0);
	}
	free(kept);
}

int main(void)
{
	pthread_t threads[THREADS], forking;
	alarm(280);
	copies_of_one_thread();
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, allocate_without_pause, (void *)i) == 0);
	CHECK(pthread_create(&forking, NULL, fork_children, NULL) == 0);
	fork_children(NULL);
	CHECK(pthread_join(forking, NULL) == 0);
	fork_without_handlers();
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++) {
		CHECK(pthread_join(threads[i], NULL) == 0);
		CHECK(atomic_load(&rounds[i]) > 0);
	}
	puts("forks are safe");
	return 0;
}
