/* bench_random_mixed: blocks of 16 to 1039 bytes allocated and freed in random places of a working set.
 *
 * One source, two programs. With BENCH_HAKMEM it is linked with libhakmem.a and shows, beside the throughput, how many SuperSlabs
 * the run made and by which stages its slabs were acquired; then, untimed, it gives memory back, so that release and
 * LRU show in debug lines too. Without, it runs on whatever malloc is in the process. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef BENCH_HAKMEM
#include <inttypes.h>

#include "lib/hakmem.h"
#endif

struct run {
	uint64_t iterations;
	uint64_t working_set;
	uint32_t seed;
};

static bool parse(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *value)
{
	char *end;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *value >= minimum && *value <= maximum;
}

static uint32_t xorshift32(uint32_t *state)
{
	uint32_t x = *state;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

/* The timed part. Returns its seconds, or a negative number if memory ran out. */
static double churn(const struct run *run, char **blocks)
{
	struct timespec start, end;
	uint32_t state = run->seed;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (uint64_t i = 0; i < run->iterations; i++) {
		uint32_t r = xorshift32(&state);
		char **place = &blocks[r % run->working_set];
		if (*place) {
			free(*place);
			*place = NULL;
			continue;
		}
		*place = malloc(16 + (r & 0x3FF));
		if (!*place)
			return -1;
		**place = (char)r;
	}
	for (uint64_t i = 0; i < run->working_set; i++)
		free(blocks[i]);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
}

#ifdef BENCH_HAKMEM
static void print_stage(const char *stage, const char *description, uint64_t count, uint64_t total)
{
	double share = total ? 100.0 * (double)count / (double)total : 0;
	printf("%-8s %-38s %10" PRIu64 " %10.1f%%\n", stage, description, count, share);
}

/* The stages of this run: what was counted since `before`. */
static void print_stages(const struct hak_stage_counts *before)
{
	struct hak_stage_counts now;
	hak_stage_counts(&now);
	uint64_t depot = now.depot - before->depot, stage1 = now.stage1 - before->stage1;
	uint64_t converted = now.converted - before->converted, unused = now.stage2 - before->stage2 - converted;
	uint64_t from_lru = now.from_lru - before->from_lru, fresh = now.stage3 - before->stage3 - from_lru;
	uint64_t total = depot + stage1 + unused + converted + from_lru + fresh;

	printf("SuperSlabs made: %" PRIu64 "\n", now.superslabs);
	printf("\n%-8s %-38s %10s %11s\n", "Stage", "Description", "Count", "Percentage");
	print_stage("Depot", "refilled without a new slab", depot, total);
	print_stage("Stage 1", "EMPTY slot of the same class reused", stage1, total);
	print_stage("Stage 2", "UNUSED slot of a SuperSlab in use", unused, total);
	print_stage("Stage 2", "EMPTY slot of another class converted", converted, total);
	print_stage("Stage 3", "SuperSlab from the LRU cache", from_lru, total);
	print_stage("Stage 3", "new SuperSlab", fresh, total);
	print_stage("Total", "", total, total);
	fflush(stdout);
}
#endif

int main(int argc, char **argv)
{
	struct run run;
	uint64_t seed;
	if (argc != 4 || !parse(argv[1], 1, UINT64_MAX, &run.iterations) || !parse(argv[2], 1, 1u << 30, &run.working_set) ||
	    !parse(argv[3], 1, UINT32_MAX, &seed)) {
		fprintf(stderr, "usage: %s ITERATIONS WORKING_SET SEED (numbers from 1; the seed below 2^32)\n", argv[0]);
		return 2;
	}
	run.seed = (uint32_t)seed;
#ifdef BENCH_HAKMEM
	struct hak_stage_counts before;
	hak_stage_counts(&before);
#endif
	char **blocks = calloc(run.working_set, sizeof(*blocks));
	double seconds = blocks ? churn(&run, blocks) : -1;
	if (seconds < 0) {
		free(blocks);
		fprintf(stderr, "%s: out of memory\n", argv[0]);
		return 1;
	}
	free(blocks);
	printf("Throughput = %.0f operations per second\n", (double)run.iterations / seconds);
	printf("Elapsed: %.6f s for %llu iterations\n", seconds, (unsigned long long)run.iterations);
#ifdef BENCH_HAKMEM
	print_stages(&before);
	hak_trim();
#endif
	return 0;
}
