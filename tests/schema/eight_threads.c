/* A program for validate.py: eight threads that allocate and free, together as much as one processor allows, keep count of it themselves, and stop
 * when they are told to. It speaks with the test by lines: prints "busy" when all threads run; on a line on stdin it
 * stops them, joins nothing, prints "rest A F" (its own allocations and frees since the first "busy") and waits for
 * another line to go on ("busy" again) or for the end of stdin to free everything and end.
 *
 * The counts are of the size CLASS_BYTES, which nothing else in the process uses, so that they can be compared exactly.
 * */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 8
#define PLACES 600
#define COUNTED_BYTES 2500 /* in the class of 2560 bytes */

struct worker {
	pthread_t thread;
	uint32_t random;
	uint64_t allocs, frees; /* of COUNTED_BYTES */
	void *places[PLACES];
	unsigned char counted[PLACES];
};

static struct worker workers[THREADS];
static atomic_int paused, ending;
static atomic_uint resting;

static uint32_t draw(struct worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 17;
	worker->random ^= worker->random << 5;
	return worker->random;
}

static void release(struct worker *worker, unsigned place)
{
	free(worker->places[place]);
	worker->frees += worker->counted[place];
	worker->places[place] = NULL;
}

static void fill(struct worker *worker, unsigned place)
{
	uint32_t kind = draw(worker) % 64;
	size_t bytes = kind < 20 ? COUNTED_BYTES : kind < 62 ? 16 + draw(worker) % 1500 : 40000 + draw(worker) % 200000;
	unsigned char *block = malloc(bytes);

	if (!block)
		abort();
	block[0] = 1;
	worker->places[place] = block;
	worker->counted[place] = bytes == COUNTED_BYTES;
	worker->allocs += worker->counted[place];
}

/* Stands still while the program rests. The increment releases this worker's counts to the main thread. */
static void rest(void)
{
	atomic_fetch_add_explicit(&resting, 1, memory_order_release);
	while (atomic_load(&paused) && !atomic_load(&ending))
		usleep(1000);
	atomic_fetch_sub(&resting, 1);
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	while (!atomic_load(&ending)) {
		for (int i = 0; i < 1000; i++) {
			unsigned place = draw(worker) % PLACES;

			if (worker->places[place])
				release(worker, place);
			else
				fill(worker, place);
		}
		if (atomic_load(&paused))
			rest();
		else
			usleep(100); /* who looks at it has to come to its turn */
	}
	for (unsigned place = 0; place < PLACES; place++) {
		if (worker->places[place])
			release(worker, place);
	}
	return NULL;
}

static void say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		abort();
}

/* Waits for a line; false at the end of stdin. */
static int listen_line(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) == 1) {
		if (byte == '\n')
			return 1;
	}
	return 0;
}

static void say_counts(void)
{
	char line[100];
	uint64_t allocs = 0, frees = 0;

	for (int i = 0; i < THREADS; i++) {
		allocs += workers[i].allocs;
		frees += workers[i].frees;
	}
	snprintf(line, sizeof(line), "rest %llu %llu\n", (unsigned long long)allocs, (unsigned long long)frees);
	say(line);
}

int main(void)
{
	for (int i = 0; i < THREADS; i++) {
		workers[i].random = 12345u + (uint32_t)i;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			return 2;
	}
	say("busy\n");
	while (listen_line()) {
		atomic_store(&paused, 1);
		while (atomic_load_explicit(&resting, memory_order_acquire) < THREADS)
			usleep(1000);
		say_counts();
		if (!listen_line())
			break;
		atomic_store(&paused, 0);
		while (atomic_load(&resting))
			usleep(1000);
		say("busy\n");
	}
	atomic_store(&ending, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	say_counts();
	return 0;
}
