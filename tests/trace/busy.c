/* A busy program to be killed, for killed.py: 8 threads that allocate and free blocks of all kinds all the time. The
 * first argument is a file of a page that the program maps shared and that outlives it:
 *
 *   word 0        rounds of all threads together, once all of them run
 *   words 2i + 8  of thread i: its id
 *   words 2i + 9  the number of its last event that is known to have been emitted
 *
 * An event's number is what is asked of malloc beyond LARGE: such a block is an event of its own, with its size. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 8
#define PLACES 400
#define LARGE ((size_t)3 << 20)

static _Atomic uint64_t *page;

static void small_blocks(void **places, uint64_t *random)
{
	for (int i = 0; i < 100; i++) {
		*random = *random * 6364136223846793005u + 1442695040888963407u;
		void **place = &places[(*random >> 33) % PLACES];
		size_t bytes = (*random >> 20) % 64 == 0 ? (*random >> 33) % 400000 : (*random >> 33) % 9000;

		free(*place);
		*place = malloc(bytes + 1);
		if (!*place)
			abort();
		*(char *)*place = 1;
	}
}

static void *work(void *argument)
{
	uint64_t number = (uint64_t)(uintptr_t)argument, random = number;
	void **places = calloc(PLACES, sizeof(*places));

	page[2 * number + 8] = (uint64_t)gettid();
	for (uint64_t event = 1;; event++) {
		void *block = malloc(LARGE + event % LARGE);

		page[2 * number + 9] = event;
		if (!block)
			abort();
		if (event % 3 == 0)
			block = realloc(block, (size_t)5 << 20);
		free(block);
		small_blocks(places, &random);
		page[0]++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int fd = argc > 1 ? open(argv[1], O_RDWR) : -1;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return 2;
	close(fd);
	for (uintptr_t i = 0; i < THREADS; i++) {
		if (pthread_create(&thread, NULL, work, (void *)i) != 0)
			return 3;
	}
	for (;;)
		pause();
}
