/* In a heap that is full but for what the thread itself freed last, all allocation functions find that: it lies in the
 * thread's cache as runs of one slot side by side, and a longer block is asked for. HAKMEM_RESERVE keeps the heap
 * small. */
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "tests/preload/check.h"

#define BLOCK 60000 /* takes a slot */
#define MOST 4096
#define FREED 8

static void *blocks[MOST];

static void fill(void)
{
	for (unsigned i = 0; i < MOST; i++) {
		if (blocks[i] == NULL)
			blocks[i] = malloc(BLOCK);
	}
	CHECK(blocks[MOST - 1] == NULL); /* the heap is full */
}

static void *by_calloc(void)
{
	return calloc(1, 300000);
}

static void *by_memalign(void)
{
	return memalign(4096, 300000);
}

static void *by_aligned_alloc(void)
{
	return aligned_alloc(65536, 300000);
}

static void *by_realloc(void)
{
	/* Its room for growth doesn't fit, the bytes themselves do; errno tells of no failure. */
	void *small = blocks[FREED], *grown;

	blocks[FREED] = NULL;
	errno = 0;
	grown = realloc(small, 65000);
	CHECK(grown != NULL);
	grown = realloc(grown, 400000);
	CHECK(errno == 0);
	return grown;
}

/* More than half a SuperSlab, which no list of runs holds: those that the thread kept are joined for it. */
static void *by_long_malloc(void)
{
	for (unsigned i = FREED; i < 3 * FREED; i++) {
		free(blocks[i]);
		blocks[i] = NULL;
	}
	return malloc(1300000);
}

static void *by_malloc(void)
{
	return malloc(300000);
}

int main(void)
{
	void *(*const functions[])(void) = {by_long_malloc, by_malloc, by_calloc, by_memalign, by_aligned_alloc, by_realloc};

	for (unsigned f = 0; f < sizeof(functions) / sizeof(functions[0]); f++) {
		void *block;

		fill();
		for (unsigned i = 0; i < FREED; i++) {
			free(blocks[i]);
			blocks[i] = NULL;
		}
		block = functions[f]();
		CHECK(block != NULL);
		memset(block, 'x', 300000);
		free(block);
	}
	puts("found what was freed");
	return 0;
}
