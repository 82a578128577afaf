/* The census: each cached block is found in its slab, wherever it waits, and no other. */
#include "lib/census.h"

#include <pthread.h>

#include "lib/atomic.h"
#include "lib/depot.h"
#include "lib/hakmem.h"
#include "lib/inspect.h"
#include "tests/unit/heap.h"

#define BLOCKS 3000
#define BYTES 320

static void *blocks[BLOCKS];
static uint16_t cached[1 << 16];

static uint64_t take(void)
{
	uint64_t sum = 0;
	memset(cached, 0, sizeof(cached));
	CU_ASSERT_TRUE_FATAL(hak_census_slots() <= HAK_COUNT_OF(cached));
	hak_census_take(cached, HAK_COUNT_OF(cached));
	for (size_t i = 0; i < HAK_COUNT_OF(cached); i++)
		sum += cached[i];
	return sum;
}

static uint64_t cached_blocks(void)
{
	struct hak_inspect heap = heap_look();
	return HEAP_SUM(&heap, cached_blocks);
}

static void start(void)
{
	hak_inspect_request_drain();
	hak_depot_trim();
}

/* In the hot list, behind it and in the depot: as many as the counts say, and in the slabs that have used blocks which
 * nobody holds. */
static void blocks_are_found_in_their_slabs(void)
{
	struct hak_census_slab slab;
	start();
	UNIT_EQUAL(take(), 0);
	for (unsigned i = 0; i < BLOCKS; i++)
		blocks[i] = hak_malloc(BYTES);
	for (unsigned i = 0; i < BLOCKS; i += 2)
		hak_free(blocks[i]);
	CU_ASSERT_TRUE_FATAL(cached_blocks() > 200);
	UNIT_EQUAL(take(), cached_blocks());
	unsigned wrong = 0, slabs = 0;
	for (unsigned i = 1; i < BLOCKS; i += 2) {
		CU_ASSERT_TRUE_FATAL(hak_census_slab((uintptr_t)blocks[i], &slab));
		unsigned live = 0;
		for (unsigned j = 1; j < BLOCKS; j += 2)
			live += hak_slot_of_address(blocks[j]) == slab.slab;
		wrong += slab.used - cached[slab.slab] != live;
		slabs += slab.used != live;
	}
	UNIT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(slabs > 0);
	UNIT_EQUAL(slab.block_bytes, BYTES);
	UNIT_EQUAL(slab.capacity, HAK_SLOT_BYTES / BYTES);
	UNIT_EQUAL(slab.bytes, HAK_SLOT_BYTES);
	for (unsigned i = 1; i < BLOCKS; i += 2)
		hak_free(blocks[i]);
	int outside;
	CU_ASSERT_FALSE(hak_census_slab((uintptr_t)&outside, &slab));
}

/* Another thread's lists, while it stands still. */
static pthread_barrier_t barrier;

static void *hold(void *ignored)
{
	(void)ignored;
	void *some[50];
	for (unsigned i = 0; i < 50; i++)
		some[i] = hak_malloc(12000);
	for (unsigned i = 0; i < 50; i++)
		hak_free(some[i]);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void other_threads(void)
{
	pthread_t thread;
	start();
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, hold, NULL);
	pthread_barrier_wait(&barrier);
	CU_ASSERT_TRUE(cached_blocks() > 0);
	UNIT_EQUAL(take(), cached_blocks());
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&barrier);
	start();
	UNIT_EQUAL(take(), 0);
}

/* Threads that go on meanwhile: nothing crashes, and the counts stay within what there is. */
static bool stop;

static void *churn(void *ignored)
{
	(void)ignored;
	void *some[256] = {NULL};
	for (uint32_t r = 1; !hak_load_relaxed(&stop); r = r * 1664525 + 1013904223) {
		unsigned place = r >> 24;
		hak_free(some[place]);
		some[place] = hak_malloc(16 + (r >> 8 & 0xfff));
		memset(some[place], (int)r, 16);
	}
	for (unsigned i = 0; i < 256; i++)
		hak_free(some[i]);
	return NULL;
}

static void threads_at_work(void)
{
	pthread_t threads[4];
	start();
	hak_store_relaxed(&stop, false);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, churn, NULL);
	for (int i = 0; i < 200; i++)
		CU_ASSERT_TRUE(take() < 100000);
	hak_store_relaxed(&stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

UNIT_MAIN("census", UNIT(blocks_are_found_in_their_slabs), UNIT(other_threads), UNIT(threads_at_work))
