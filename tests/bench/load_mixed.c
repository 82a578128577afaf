/* Blocks of random sizes in random places: random_mixed in its variants, calloc, one size for the plot; and
 * ping-pong.
 *
 * A load is compiled for its sizes and its generator (they are constants in an inlined function), so that the loop
 * around malloc and free stays as short as it can be. */
#include "tests/bench/load.h"

typedef uint32_t generator(uint64_t *state);

/* The sizes of a load: `low` to low + span - 1, from the same random number as the place. */
struct sizes {
	uint32_t low, span;
	bool zeroed; /* by calloc */
};

static inline __attribute__((always_inline)) void step(
	struct lane *lane, char **place, uint32_t random, struct sizes sizes)
{
	if (*place) {
		free(*place);
		*place = NULL;
		return;
	}
	size_t size = sizes.low + random % sizes.span;
	*place = checked(sizes.zeroed ? calloc(1, size) : malloc(size));
	lane->bytes += size;
	touch(*place, 0, size);
}

static void free_all(struct lane *lane, char **places, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		lane->done += places[i] != NULL;
		free(places[i]);
		places[i] = NULL;
	}
}

/* Whole rounds, until the lane's operations are made: the last round is a shorter one. */
static inline __attribute__((always_inline)) void churn(
	struct lane *lane, uint32_t working_set, struct sizes sizes, generator *next)
{
	char **places = map_memory(working_set * sizeof(*places));
	while (lane->done < lane->operations) {
		uint64_t left = lane->operations - lane->done, round = lane->run->load->round;
		round = round && round < left ? round : left;
		for (uint64_t i = 0; i < round; i++) {
			uint32_t random = next(&lane->state);
			step(lane, &places[random % working_set], random, sizes);
		}
		lane->done += round;
		free_all(lane, places, working_set);
	}
}

#define MIXED(name, generator, ...)                                                                                \
	static void name##_lane(struct lane *lane)                                                                 \
	{                                                                                                          \
		churn(lane, lane->run->load->working_set, (struct sizes){__VA_ARGS__}, generator);                 \
	}                                                                                                          \
	void name(struct load_run *run)                                                                            \
	{                                                                                                          \
		run_lanes(run, name##_lane);                                                                       \
	}

MIXED(load_mixed, xorshift32, 16, 1024, false)
MIXED(load_mixed_lcg, lcg32, 16, 1024, false)
MIXED(load_mixed_small, xorshift32, 16, 113, false)
MIXED(load_mixed_medium, xorshift32, 1024, 31745, false)
MIXED(load_mixed_big, xorshift32, 32768, 491521, false)
MIXED(load_large, xorshift32, 1 << 20, (7 << 20) + 1, false)
MIXED(load_calloc_small, xorshift32, 16, 1024, true)
MIXED(load_calloc_big, xorshift32, 32768, 491521, true)

/* One size, in as many places as 16 MiB hold, but 16 at least and 1,021 at most; each step frees a random block and
 * allocates another. Only a block's first byte is touched: the plot asks what malloc costs, not what the pages do. */
static void fixed_lane(struct lane *lane)
{
	uint32_t size = lane->run->load->block_bytes, count = (16u << 20) / size;
	count = count < 16 ? 16 : count > 1021 ? 1021 : count;
	char **places = map_memory(count * sizeof(*places));
	while (lane->done < lane->operations) {
		char **place = &places[xorshift32(&lane->state) % count];
		lane->done += 1 + (*place != NULL);
		free(*place);
		*place = checked(malloc(size));
		**place = 1;
		lane->bytes += size;
	}
	free_all(lane, places, count);
}

void load_fixed(struct load_run *run)
{
	run_lanes(run, fixed_lane);
}

static void ping_pong_lane(struct lane *lane)
{
	uint32_t size = lane->run->load->block_bytes;
	for (; lane->done < lane->operations; lane->done += 2) {
		char *block = checked(malloc(size));
		*block = 1;
		free(block);
		lane->bytes += size;
	}
}

void load_ping_pong(struct load_run *run)
{
	run_lanes(run, ping_pong_lane);
}
