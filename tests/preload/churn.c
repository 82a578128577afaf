/* One thread whose phases favour different block sizes: each grows to some MiB, shrinks to a few scattered blocks, and is freed when the
 * next has grown. Every run makes the same requests. */
#include <string.h>

#include "check.h"

#define PHASE_BYTES (8u << 20)

struct phase {
	char **blocks;
	size_t count;
	size_t bytes;
};

static struct phase grow(size_t bytes)
{
	struct phase phase = {NULL, PHASE_BYTES / bytes, bytes};
	phase.blocks = calloc(phase.count, sizeof(*phase.blocks));
	CHECK(phase.blocks != NULL);
	for (size_t i = 0; i < phase.count; i++) {
		phase.blocks[i] = malloc(bytes);
		CHECK(phase.blocks[i] != NULL);
		phase.blocks[i][0] = phase.blocks[i][bytes - 1] = 'x';
	}
	return phase;
}

static void shrink(struct phase *phase)
{
	for (size_t i = 0; i < phase->count; i++) {
		if (i % 4096 == 7)
			continue;
		free(phase->blocks[i]);
		phase->blocks[i] = NULL;
		/* A thread that allocates between its frees has use for batches of its own, which then lie idle and are drained. */
		if (i % 32 == 0)
			free(malloc(phase->bytes));
	}
}

static void end(struct phase *phase)
{
	for (size_t i = 0; i < phase->count; i++)
		free(phase->blocks[i]);
	free(phase->blocks);
}

int main(void)
{
	static const size_t sizes[] = {100, 1000, 64, 5000, 300, 64, 20000, 100};
	struct phase last = grow(48);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			shrink(&last);
			struct phase next = grow(sizes[i]);
			end(&last);
			last = next;
		}
	}
	end(&last);
	return 0;
}
