/* A load whose phases favour different size classes, in several threads: each thread allocates blocks of one class, frees most of them,
 * goes on in the next class, and hands some over to its neighbour to free. Afterwards every way that a slab or a SuperSlab can go
 * must have been gone: all three stages, conversions, the LRU cache in and out, evictions, releases, drains. Between rounds, with the
 * heap at rest, all invariants are checked and the counts compared with the program's own. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/atomic.h"
#include "lib/hakmem.h"
#include "lib/inspect.h"
#include "lib/settings.h"

#define THREADS 4
#define ROUNDS (HAK_TSAN ? 2 : 6) /* ThreadSanitizer sees a race the first time, and takes its time */
#define PHASES 10
#define STEADY 4096            /* blocks allocated and freed in turn after a phase's frees: some drain intervals */
#define PHASE_BYTES (6u << 20) /* what a thread allocates in a phase */

static const size_t sizes[PHASES] = {64, 1024, 5000, 200, 16384, 48, 700, 28000, 320, 3000};

struct handover {
	void **blocks;
	size_t count;
};

static pthread_barrier_t barrier;
static struct handover handovers[THREADS];
static uint64_t allocs, frees; /* the program's own count of small blocks */

static void *take(size_t bytes, unsigned char mark)
{
	unsigned char *block = hak_malloc(bytes);
	if (block == NULL) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	block[0] = block[bytes - 1] = mark;
	return block;
}

/* Frees the blocks whose number leaves `rest` (of 16) or less, so that some slabs empty and others stay partly used. */
static size_t free_some(void **blocks, size_t count, unsigned rest)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (i * 7 % 16 <= rest)
			hak_free(blocks[i]);
		else
			blocks[kept++] = blocks[i];
		/* A thread that allocates between its frees has use for batches of its own, which then lie idle and are drained. */
		if (i % 32 == 0)
			hak_free(hak_malloc(sizes[i / 32 % PHASES]));
	}
	return kept;
}

static void phase(unsigned thread, unsigned number, struct handover *mine)
{
	size_t bytes = sizes[(number + thread * 3) % PHASES];
	size_t count = PHASE_BYTES / bytes;
	/* The arrays are large blocks: they come and go beside the small ones. */
	void **blocks = hak_malloc(count * sizeof(*blocks));
	for (size_t i = 0; i < count; i++)
		blocks[i] = take(bytes, (unsigned char)thread);
	size_t kept = free_some(blocks, count, 11);
	/* What the frees left in the thread's batches is not needed in what follows: it is drained. */
	for (unsigned i = 0; i < STEADY; i++)
		hak_free(hak_malloc(bytes));
	hak_add_relaxed(&allocs, count);
	hak_add_relaxed(&frees, count - kept);
	*mine = (struct handover){blocks, kept};
}

static void *work(void *argument)
{
	unsigned thread = (unsigned)(uintptr_t)argument;
	for (unsigned number = 0; number < PHASES; number++) {
		struct handover old = handovers[(thread + 1) % THREADS];
		pthread_barrier_wait(&barrier); /* everybody has read its neighbour's */
		phase(thread, number, &handovers[thread]);
		free_some(old.blocks, old.count, 15);
		hak_add_relaxed(&frees, old.count);
		hak_free(old.blocks);
		pthread_barrier_wait(&barrier); /* everybody has written its own */
	}
	return NULL;
}

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static void check_at_rest(uint64_t arrays)
{
	struct hak_inspect heap = {.superslabs = NULL};
	uint64_t heap_allocs = 0, heap_frees = 0;
	const char *broken = hak_audit_all();
	if (broken != NULL)
		fail(broken);
	hak_inspect(&heap);
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class++) {
		heap_allocs += heap.classes[class].allocs;
		heap_frees += heap.classes[class].frees;
	}
	/* `arrays` of the program's are not in its own count; some are small blocks, some large ones. */
	heap_allocs += heap.large_allocs;
	heap_frees += heap.large_frees;
	if (heap_allocs - heap_frees != allocs - frees + arrays)
		fail("live blocks are not what the program counted");
}

/* Frees what the last phase left: most SuperSlabs become idle at once, more than the cache holds. */
static void free_the_rest(void)
{
	for (int i = 0; i < THREADS; i++) {
		free_some(handovers[i].blocks, handovers[i].count, 15);
		frees += handovers[i].count;
		hak_free(handovers[i].blocks);
		handovers[i] = (struct handover){NULL, 0};
	}
}

static void print_row(const char *name, uint64_t value, unsigned *missing)
{
	printf("%-12s %10" PRIu64 "\n", name, value);
	*missing += value == 0;
}

/* Prints what was gone how often; returns the number of ways that were not. */
static unsigned report(void)
{
	struct hak_stage_counts stages;
	struct hak_inspect heap = {.superslabs = NULL};
	unsigned missing = 0;
	hak_stage_counts(&stages);
	hak_inspect(&heap);
	print_row("depot", stages.depot, &missing);
	print_row("stage1", stages.stage1, &missing);
	print_row("stage2", stages.stage2, &missing);
	print_row("converted", stages.converted, &missing);
	print_row("unused", stages.stage2 - stages.converted, &missing);
	print_row("stage3", stages.stage3, &missing);
	print_row("from_lru", stages.from_lru, &missing);
	print_row("fresh", stages.stage3 - stages.from_lru, &missing);
	print_row("releases", heap.stats.releases, &missing);
	print_row("drains", heap.stats.drains, &missing);
	print_row("lru_pushes", heap.stats.lru_pushes, &missing);
	print_row("lru_hits", heap.stats.lru_hits, &missing);
	print_row("evictions", heap.stats.lru_evictions, &missing);
	print_row("overflows", heap.stats.free_list_overflows, &missing);
	print_row("purged", heap.stats.purged_bytes, &missing);
	return missing;
}

int main(void)
{
	pthread_t threads[THREADS];
	/* Idle at once, so that conversions don't depend on how fast the machine is; and small stores, so that they overflow. */
	hak_settings.purge_delay_ms = 0;
	hak_settings.ss_lru = 2;
	hak_settings.ss_free_list = 8;
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int round = 0; round < ROUNDS; round++) {
		for (uintptr_t i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, work, (void *)i);
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		check_at_rest(THREADS);
		free_the_rest();
		check_at_rest(0);
	}
	unsigned missing = report();
	if (missing != 0)
		fprintf(stderr, "%u of these were never gone\n", missing);
	return missing != 0;
}
