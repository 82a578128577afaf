/* Blocks that grow: in few big steps, as a vector does, or in many small ones, as a line of text does. Each byte that
 * a block gets is used, and a block that reached its limit is freed and begins anew. */
#include "tests/bench/load.h"

struct growing {
	char *block;
	size_t size;
};

static void grow(struct lane *lane, struct growing *growing, size_t size, size_t limit)
{
	lane->done++;
	if (size > limit) {
		free(growing->block);
		*growing = (struct growing){0};
		return;
	}
	growing->block = checked(realloc(growing->block, size));
	touch(growing->block, growing->size, size);
	lane->bytes += size - growing->size;
	growing->size = size;
}

static void free_all(struct lane *lane, struct growing *blocks, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		lane->done += blocks[i].block != NULL;
		free(blocks[i].block);
	}
}

static void grow_lane(struct lane *lane)
{
	uint32_t count = lane->run->load->working_set;
	struct growing *blocks = map_memory(count * sizeof(*blocks));
	while (lane->done < lane->operations) {
		struct growing *growing = &blocks[xorshift32(&lane->state) % count];
		grow(lane, growing, growing->size + growing->size / 2 + 16, 1 << 20);
	}
	free_all(lane, blocks, count);
}

void load_realloc_grow(struct load_run *run)
{
	run_lanes(run, grow_lane);
}

static void append_lane(struct lane *lane)
{
	uint32_t count = lane->run->load->working_set;
	struct growing *blocks = map_memory(count * sizeof(*blocks));
	while (lane->done < lane->operations) {
		uint32_t random = xorshift32(&lane->state);
		struct growing *growing = &blocks[random % count];
		grow(lane, growing, growing->size + 1 + (random >> 16) % 128, 64 << 10);
	}
	free_all(lane, blocks, count);
}

void load_realloc_append(struct load_run *run)
{
	run_lanes(run, append_lane);
}
