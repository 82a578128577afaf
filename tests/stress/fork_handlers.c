/* A library that is loaded behind HAKMEM: its constructor comes first, so its handlers of fork run while HAKMEM's have taken all locks.
 * They allocate more than a thread's lists hold, and what was allocated before the fork is whole after it on both sides. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCKS 500

static unsigned char *blocks[BLOCKS];

static size_t size_of(unsigned i)
{
	return i % 100 == 0 ? 70000 + i * 300 : 16 + i % 700 * 3;
}

static void fill(void)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(size_of(i));
		if (blocks[i] == NULL)
			abort();
		blocks[i][0] = blocks[i][size_of(i) - 1] = (unsigned char)i;
	}
}

static void empty(void)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (blocks[i][0] != (unsigned char)i || blocks[i][size_of(i) - 1] != (unsigned char)i)
			abort();
		free(blocks[i]);
	}
	fill();
	for (unsigned i = 0; i < BLOCKS; i++)
		free(blocks[i]);
}

__attribute__((constructor)) static void begin(void)
{
	pthread_atfork(fill, empty, empty);
}
