/* The estimates of sampling against the truth, on loads whose truth is known: sizes fixed and mixed, malloc and free in
 * turn, eight threads, blocks freed by others. Each load runs with the seeds 1 to 100. A stack is stood in for by the
 * site that allocates, told to the sink by a variable.
 *
 * Of each site, with 50 expected samples or more, allocated and live bytes must lie within three standard errors in 97
 * of 100 runs at least; of each load, the mean of all runs and sites within two of its own. With an argument that many
 * runs are made instead, and all figures printed. */
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/audit.h"
#include "lib/hakmem.h"
#include "lib/inspect.h"
#include "lib/sample.h"

#define RUNS (HAK_TSAN ? 2 : 100) /* ThreadSanitizer sees a race the first time, and takes its time */
#define RUNS_THAT_TELL 50         /* with fewer, what is out of bounds says little */
#define RATE 65536
#define SITES 16
#define BLOCKS 180000

/* What a run estimates of a site, and what is true. */
struct figures {
	double allocated, allocated_variance, live, live_variance;
	double true_allocated, true_live;
};
static struct figures sites[SITES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread uint32_t site;

static double variance_of(const struct hak_sample *sample)
{
	double p = 1 / sample->weight, bytes = (double)sample->bytes;
	return bytes * bytes * (1 - p) / (p * p);
}

static uint32_t on_sample(const struct hak_sample *sample)
{
	pthread_mutex_lock(&lock);
	struct figures *at = &sites[site];
	at->allocated += sample->weight * (double)sample->bytes;
	at->allocated_variance += variance_of(sample);
	at->live += sample->weight * (double)sample->bytes;
	at->live_variance += variance_of(sample);
	pthread_mutex_unlock(&lock);
	return site + 1;
}

static void on_freed(const struct hak_sample *sample, uint64_t lived_ns, bool temporary)
{
	(void)lived_ns;
	(void)temporary;
	pthread_mutex_lock(&lock);
	struct figures *at = &sites[sample->stack - 1];
	at->live -= sample->weight * (double)sample->bytes;
	at->live_variance -= variance_of(sample);
	pthread_mutex_unlock(&lock);
}

static const struct hak_sink sink = {.sample = on_sample, .sample_freed = on_freed};

/* ---- The program: its blocks, and what is true of them ---- */

static struct {
	void *block;
	size_t bytes;
	uint32_t site;
} held[8][BLOCKS];

static void *take(uint32_t where, size_t bytes)
{
	site = where;
	void *block = hak_malloc(bytes);
	if (block == NULL)
		abort();
	pthread_mutex_lock(&lock);
	sites[where].true_allocated += (double)bytes;
	sites[where].true_live += (double)bytes;
	pthread_mutex_unlock(&lock);
	return block;
}

static void give(uint32_t where, void *block, size_t bytes)
{
	pthread_mutex_lock(&lock);
	sites[where].true_live -= (double)bytes;
	pthread_mutex_unlock(&lock);
	hak_free(block);
}

/* Allocates `total` bytes from a site in sizes from `least` to `most`, into a row of `held` from *count on. */
static void fill(
	unsigned row, unsigned *count, uint32_t where, size_t total, size_t least, size_t most, uint32_t *random)
{
	for (size_t done = 0; done < total && *count < BLOCKS; ++*count) {
		*random = *random * 1664525 + 1013904223;
		size_t bytes = least + (size_t)((double)(*random >> 8) / (1 << 24) * (double)(most - least + 1));
		held[row][*count].block = take(where, bytes);
		held[row][*count].bytes = bytes;
		held[row][*count].site = where;
		done += bytes;
	}
}

/* Frees one of every `every` blocks of a row, or those that the others left. */
static void release(unsigned row, unsigned count, unsigned every)
{
	for (unsigned i = 0; i < count; i++) {
		if (held[row][i].block == NULL || i % every != 0)
			continue;
		give(held[row][i].site, held[row][i].block, held[row][i].bytes);
		held[row][i].block = NULL;
	}
}

/* ---- The loads: each ends with some of its blocks live, and the count of those that `rest` frees ---- */

static unsigned counts[8];

static void fixed(void)
{
	uint32_t random = 1;
	counts[0] = 0;
	fill(0, &counts[0], 0, 8 << 20, 64, 64, &random);
	fill(0, &counts[0], 1, 8 << 20, 500, 500, &random);
	fill(0, &counts[0], 2, 8 << 20, 5000, 5000, &random);
	fill(0, &counts[0], 3, 24 << 20, 100000, 100000, &random);
	release(0, counts[0], 3);
}

static void mixed(void)
{
	uint32_t random = 4;
	counts[0] = 0;
	for (int round = 0; round < 50; round++) {
		fill(0, &counts[0], 0, 160000, 1, 4096, &random);
		fill(0, &counts[0], 1, 160000, 16, 200, &random);
		fill(0, &counts[0], 2, 320000, 1000, 60000, &random);
	}
	release(0, counts[0], 2);
}

static void in_turn(void)
{
	for (unsigned i = 0; i < 20000; i++) {
		void *first = take(0, 400), *second = take(1, 400);
		give(0, first, 400);
		give(1, second, 400);
		give(2, take(2, 3000), 3000);
	}
	counts[0] = 0;
}

static sem_t born;

static void *thread_main(void *argument)
{
	unsigned row = (unsigned)(uintptr_t)argument;
	uint32_t random = row;
	/* The first call gives the thread its cache, and that its number: in the order of the rows. */
	hak_free(hak_malloc(16));
	sem_post(&born);
	counts[row] = 0;
	fill(row, &counts[row], 0, 1000000, 16, 1024, &random);
	fill(row, &counts[row], 1 + row % 2, 2000000, 200, 9000, &random);
	release(row, counts[row], 2);
	return NULL;
}

static void with_threads(void *(*start)(void *), unsigned count)
{
	pthread_t threads[8];
	for (unsigned i = 0; i < count; i++) {
		pthread_create(&threads[i], NULL, start, (void *)(uintptr_t)i);
		sem_wait(&born);
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void eight_threads(void)
{
	with_threads(thread_main, 8);
}

static void *free_others(void *argument)
{
	(void)argument;
	hak_free(hak_malloc(16));
	sem_post(&born);
	release(0, counts[0], 2);
	return NULL;
}

static void remote_frees(void)
{
	uint32_t random = 3;
	counts[0] = 0;
	fill(0, &counts[0], 0, 8 << 20, 16, 700, &random);
	fill(0, &counts[0], 1, 8 << 20, 1000, 40000, &random);
	with_threads(free_others, 1);
}

/* ---- The runs ---- */

struct sums {
	double deviation, variance; /* summed over the runs */
	unsigned within, runs;
};

static void add(struct sums *sums, double estimate, double variance, double truth)
{
	double error = fabs(estimate - truth);
	sums->deviation += estimate - truth;
	sums->variance += variance;
	sums->within += error * error <= 9 * variance || error < 1e-6;
	sums->runs++;
}

static void run(void (*load)(void), uint64_t seed)
{
	memset(sites, 0, sizeof(sites));
	hak_sample_start(RATE, seed, 1 << 16);
	hak_inspect_request_drain();
	load();
	hak_sample_stop();
	hak_inspect_request_drain();
}

static unsigned failures;

static void check(
	bool right, const char *load, unsigned number, const char *quantity, const struct sums *sums, bool print)
{
	double error = sqrt(sums->variance);
	failures += !right;
	if (!sums->runs) { /* of all sites together */
		if (print || !right)
			printf("%-14s all     %-10s mean off by %5.2f standard errors%s\n", load, quantity,
				error > 0 ? sums->deviation / error : 0, right ? "" : "  WRONG");
		return;
	}
	if (print || !right)
		printf("%-14s site %2u %-10s within three errors %3u of %u; mean off by %5.2f standard errors%s\n",
			load, number, quantity, sums->within, sums->runs, error > 0 ? sums->deviation / error : 0,
			right ? "" : "  WRONG");
}

static void try_load(const char *name, void (*load)(void), unsigned runs, bool print)
{
	struct sums allocated[SITES + 1] = {{0}}, live[SITES + 1] = {{0}};
	unsigned few = 0;
	for (unsigned seed = 1; seed <= runs; seed++) {
		run(load, seed);
		for (unsigned i = 0; i < SITES; i++) {
			if (sites[i].true_allocated == 0)
				continue;
			add(&allocated[i], sites[i].allocated, sites[i].allocated_variance, sites[i].true_allocated);
			add(&live[i], sites[i].live, sites[i].live_variance, sites[i].true_live);
			few += sites[i].true_allocated < 50.0 * RATE ||
				(sites[i].true_live > 0 && sites[i].true_live < 50.0 * RATE);
		}
		for (unsigned row = 0; row < 8; row++) {
			release(row, counts[row], 1);
			counts[row] = 0;
		}
	}
	if (few) {
		printf("%s has a site with less than 50 samples to be expected\n", name);
		failures++;
	}
	if (runs < RUNS_THAT_TELL) {
		printf("%s: %u runs are too few to judge by\n", name, runs);
		return;
	}
	for (unsigned i = 0; i < SITES; i++) {
		if (!allocated[i].runs)
			continue;
		check(allocated[i].within * 100 >= 97 * runs, name, i, "allocated", &allocated[i], print);
		check(live[i].within * 100 >= 97 * runs, name, i, "live", &live[i], print);
		allocated[SITES].deviation += allocated[i].deviation;
		allocated[SITES].variance += allocated[i].variance;
		live[SITES].deviation += live[i].deviation;
		live[SITES].variance += live[i].variance;
	}
	check(fabs(allocated[SITES].deviation) <= 2 * sqrt(allocated[SITES].variance), name, SITES, "allocated",
		&allocated[SITES], print);
	check(fabs(live[SITES].deviation) <= 2 * sqrt(live[SITES].variance) + 1e-6, name, SITES, "live", &live[SITES],
		print);
}

int main(int argc, char **argv)
{
	unsigned runs = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : RUNS;
	sem_init(&born, 0, 0);
	hak_trace_set_sink(&sink);
	try_load("fixed", fixed, runs, argc > 1);
	try_load("mixed", mixed, runs, argc > 1);
	try_load("in_turn", in_turn, runs, argc > 1);
	try_load("eight_threads", eight_threads, runs, argc > 1);
	try_load("remote_frees", remote_frees, runs, argc > 1);
	if (hak_audit_all() != NULL) {
		printf("%s\n", hak_audit_all());
		failures++;
	}
	return failures != 0;
}
