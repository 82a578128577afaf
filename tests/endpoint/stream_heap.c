/* A heap of many SuperSlabs for stream_cost.py: blocks of 256 KiB, which are never touched, so that it takes address space
 * and hardly any memory. Ten times a second it frees a block in each of the SuperSlabs whose turn it is, or allocates
 * them again, and answers each line on stdin by one that says how many turns there were.
 *
 * Usage: stream_heap SUPERSLABS CHANGING */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)256 << 10)
#define BLOCKS_A_SUPERSLAB 8

static void **blocks; /* the heap's, until the program's end */

int main(int argc, char **argv)
{
	size_t superslabs = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
	size_t changing = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned long long turns = 0;
	size_t next = 0;
	char line[64];

	blocks = calloc(superslabs * BLOCKS_A_SUPERSLAB, sizeof(*blocks));
	if (!blocks || superslabs < 2 * changing)
		return 2;
	for (size_t i = 0; i < superslabs * BLOCKS_A_SUPERSLAB; i++) {
		blocks[i] = malloc(BLOCK_BYTES);
		if (!blocks[i])
			return 3;
	}
	printf("ready\n");
	fflush(stdout);
	for (;; turns++) {
		struct pollfd input = {STDIN_FILENO, POLLIN, 0};

		for (size_t i = 0; i < changing; i++) {
			void **block = &blocks[(next + i) % superslabs * BLOCKS_A_SUPERSLAB];

			free(*block);
			*block = *block ? NULL : malloc(BLOCK_BYTES);
		}
		/* Freed in one turn, allocated in the next one. */
		if (turns & 1)
			next += changing;
		if (poll(&input, 1, 100) == 1) {
			if (!fgets(line, sizeof(line), stdin))
				return 7;
			printf("%llu\n", turns);
			fflush(stdout);
		}
	}
}
