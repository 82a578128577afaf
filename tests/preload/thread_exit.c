/* Threads that come and go: their blocks outlive them, others free them, destructors of thread-local data still allocate, and memory
 * does not grow with the number of threads that have been. */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#define GENERATIONS 300
#define BLOCKS 400

static pthread_key_t key;

static size_t size_of(size_t i)
{
	return 16 + i * 37 % 3000;
}

/* Runs after HAKMEM's own teardown in some rounds, because libc calls destructors again while values are set. */
static void destructor(void *value)
{
	int round = *(int *)value;
	free(value);
	char *scratch[50];
	for (size_t i = 0; i < 50; i++) {
		scratch[i] = malloc(size_of(i));
		CHECK(scratch[i] != NULL);
		memset(scratch[i], round, size_of(i));
	}
	for (size_t i = 0; i < 50; i++)
		free(scratch[i]);
	if (round < 4) {
		int *again = malloc(sizeof(*again));
		CHECK(again != NULL);
		*again = round + 1;
		pthread_setspecific(key, again);
	}
}

static void *make_blocks(void *argument)
{
	char **blocks = argument;
	int *value = malloc(sizeof(*value));
	CHECK(value != NULL);
	*value = 0;
	pthread_setspecific(key, value);
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(size_of(i));
		CHECK(blocks[i] != NULL);
		memset(blocks[i], (int)i, size_of(i));
	}
	return NULL;
}

/* A thread that only ever frees. */
static void *free_blocks(void *argument)
{
	char **blocks = argument;
	for (size_t i = 0; i < BLOCKS; i++) {
		for (size_t at = 0; at < size_of(i); at++)
			CHECK(blocks[i][at] == (char)i);
		free(blocks[i]);
	}
	return NULL;
}

static void run_thread(void *(*function)(void *), void *argument)
{
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, function, argument) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

static size_t resident_kib(void)
{
	unsigned long pages[2] = {0, 0};
	FILE *file = fopen("/proc/self/statm", "r");
	CHECK(file != NULL && fscanf(file, "%lu %lu", &pages[0], &pages[1]) == 2);
	fclose(file);
	return pages[1] * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

int main(void)
{
	static char *blocks[BLOCKS];
	size_t early = 0;
	CHECK(pthread_key_create(&key, destructor) == 0);
	for (int generation = 0; generation < GENERATIONS; generation++) {
		run_thread(make_blocks, blocks);
		run_thread(free_blocks, blocks);
		if (generation == GENERATIONS / 3)
			early = resident_kib();
	}
	if (getenv("HAK_EMULATED")) {
		puts("left out: what is resident, because the emulator's own memory grows with every thread, on any malloc");
		return 0;
	}
	size_t late = resident_kib();
	/* Each generation passes 600 KiB through; were a tenth of it lost, 200 generations would show 12 MiB. */
	if (late > early + 4096) {
		fprintf(stderr, "resident memory grew from %zu to %zu KiB\n", early, late);
		return 1;
	}
	puts("threads come and go");
	return 0;
}
