/* What is freed and allocated at the very end: in destructors of thread-local data of all kinds and rounds, in threads that are
 * cancelled, in atexit handlers and in destructors of the program, while other threads still allocate. It prints one line for each step
 * of the end that was reached. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "tests/preload/check.h"

#define THREADS 200
#define BLOCKS 100
#define KEYS 40 /* more than a thread has room for at first: libc allocates for the others */

/* NOLINTBEGIN(bugprone-reserved-identifier): the C++ runtime's names */
extern void *__dso_handle;
int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *dso);
/* NOLINTEND(bugprone-reserved-identifier) */

static pthread_key_t keys[KEYS];
static unsigned char *kept[BLOCKS];
static atomic_uint key_calls, cxx_calls, cleanups;

static size_t size_of(size_t i)
{
	return i % 40 == 0 ? 70000 : 8 + i * 29;
}

static void fill(unsigned char **blocks)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(size_of(i));
		CHECK(blocks[i] != NULL);
		memset(blocks[i], (int)i, size_of(i));
	}
}

static void empty(unsigned char **blocks)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		CHECK(blocks[i][0] == (unsigned char)i && blocks[i][size_of(i) - 1] == (unsigned char)i);
		free(blocks[i]);
	}
}

static void churn(void)
{
	unsigned char *blocks[BLOCKS];
	fill(blocks);
	empty(blocks);
}

/* Frees what its thread left, allocates anew for the next round, in every round there is. */
static void key_destructor(void *value)
{
	unsigned char **blocks = value;
	pthread_key_t key = keys[(size_t)blocks[BLOCKS][0]];
	unsigned char *number = blocks[BLOCKS];
	empty(blocks);
	free(blocks);
	atomic_fetch_add(&key_calls, 1);
	if (--number[1] == 0) {
		free(number);
		return;
	}
	blocks = malloc((BLOCKS + 1) * sizeof(*blocks));
	CHECK(blocks != NULL);
	fill(blocks);
	blocks[BLOCKS] = number;
	pthread_setspecific(key, blocks);
}

static void set_key(size_t index)
{
	unsigned char **blocks = malloc((BLOCKS + 1) * sizeof(*blocks));
	CHECK(blocks != NULL);
	fill(blocks);
	blocks[BLOCKS] = malloc(2);
	blocks[BLOCKS][0] = (unsigned char)index;
	blocks[BLOCKS][1] = 4; /* rounds */
	CHECK(pthread_setspecific(keys[index], blocks) == 0);
}

/* What the destructor of a C++ thread_local object is called by. */
static void cxx_destructor(void *object)
{
	empty(object);
	free(object);
	churn();
	atomic_fetch_add(&cxx_calls, 1);
}

static void cleanup(void *object)
{
	empty(object);
	free(object);
	atomic_fetch_add(&cleanups, 1);
}

static void *end_in_every_way(void *argument)
{
	unsigned char **late = malloc(BLOCKS * sizeof(*late)), **cleaned = malloc(BLOCKS * sizeof(*cleaned));
	unsigned number = (unsigned)(uintptr_t)argument;
	fill(late);
	CHECK(__cxa_thread_atexit_impl(cxx_destructor, late, &__dso_handle) == 0);
	set_key(number % KEYS);
	set_key((number + KEYS / 2) % KEYS);
	fill(cleaned);
	pthread_cleanup_push(cleanup, cleaned);
	if (number % 3 == 0)
		pthread_exit(NULL);
	/* NOLINTNEXTLINE(bugprone-infinite-loop): it is cancelled */
	while (number % 3 == 1) {
		churn();
		pthread_testcancel();
	}
	pthread_cleanup_pop(1);
	return NULL;
}

static void threads_end(void)
{
	pthread_t threads[4];
	for (uintptr_t i = 0; i < THREADS; i += 4) {
		for (uintptr_t j = 0; j < 4; j++)
			CHECK(pthread_create(&threads[j], NULL, end_in_every_way, (void *)(i + j)) == 0);
		for (uintptr_t j = 0; j < 4; j++) {
			if ((i + j) % 3 == 1)
				CHECK(pthread_cancel(threads[j]) == 0);
			CHECK(pthread_join(threads[j], NULL) == 0);
		}
	}
	/* malloc is no point where a thread is cancelled: all came as far as they should. */
	CHECK(atomic_load(&cleanups) == THREADS && atomic_load(&cxx_calls) == THREADS);
	CHECK(atomic_load(&key_calls) == 8 * THREADS);
}

static void *until_the_end(void *unused)
{
	for (;;)
		churn();
	return unused;
}

static void say(const char *text)
{
	CHECK(write(STDOUT_FILENO, text, strlen(text)) == (ssize_t)strlen(text));
}

static void at_exit(void)
{
	empty(kept);
	fill(kept);
	say("atexit\n");
}

/* The last of the program's own destructors. */
__attribute__((destructor(101))) static void at_the_end(void)
{
	empty(kept);
	churn();
	say("destructor\n");
}

int main(void)
{
	pthread_t thread;
	alarm(280);
	for (int i = 0; i < KEYS; i++)
		CHECK(pthread_key_create(&keys[i], key_destructor) == 0);
	threads_end();
	fill(kept);
	CHECK(atexit(at_exit) == 0);
	CHECK(__cxa_thread_atexit_impl(cxx_destructor, memcpy(malloc(sizeof(kept)), kept, sizeof(kept)), &__dso_handle) == 0);
	fill(kept);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&thread, NULL, until_the_end, NULL) == 0);
	set_key(0);
	say("main\n");
	exit(0);
}
