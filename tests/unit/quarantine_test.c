/* The quarantine: first in, first out, by bytes, whatever it holds. */
#include "lib/quarantine.h"

#include <pthread.h>

#include "lib/arena.h"
#include "tests/unit/heap.h"

#define MANY 5000

static struct hak_kept small(unsigned i)
{
	return (struct hak_kept){.block = hak_heap.base + i * 16ull, .bin = HAK_BIN_OF_CLASS(i % 3)};
}

static void begin(void)
{
	struct hak_kept kept;

	hak_free(hak_malloc(1));
	while (hak_quarantine_take(0, &kept))
		continue;
	UNIT_EQUAL(hak_quarantine_bytes(), 0);
}

static void who_came_first_goes_first(void)
{
	struct hak_kept kept;
	uint64_t bytes = 0;
	begin();
	for (unsigned i = 0; i < MANY; i++) {
		struct hak_kept put = small(i);
		CU_ASSERT_TRUE_FATAL(hak_quarantine_put(&put));
		bytes += hak_size_classes[i % 3].block_bytes;
		UNIT_EQUAL(hak_quarantine_bytes(), bytes);
	}
	for (unsigned class = 0; class < 3; class++)
		UNIT_EQUAL(hak_quarantine_blocks(class), MANY / 3 + (class < MANY % 3));
	for (unsigned i = 0; i < MANY; i++) {
		CU_ASSERT_FALSE(hak_quarantine_take(bytes, &kept));
		CU_ASSERT_TRUE_FATAL(hak_quarantine_take(bytes - 1, &kept));
		UNIT_EQUAL(kept.block, small(i).block);
		UNIT_EQUAL(kept.bin, small(i).bin);
		bytes -= hak_size_classes[i % 3].block_bytes;
		/* One comes for each that goes, for a while: pages of notes are used again. */
		if (i < MANY / 2) {
			struct hak_kept put = small(MANY + i);
			CU_ASSERT_TRUE(hak_quarantine_put(&put));
			bytes += hak_size_classes[(MANY + i) % 3].block_bytes;
		}
	}
	begin();
	for (unsigned class = 0; class < 3; class++)
		UNIT_EQUAL(hak_quarantine_blocks(class), 0);
}

static void memory_follows_the_blocks(void)
{
	uint64_t before;
	begin();
	for (unsigned round = 0; round < 3; round++) {
		before = hak_arena_metadata_bytes();
		for (unsigned i = 0; i < MANY; i++) {
			struct hak_kept put = small(i);
			hak_quarantine_put(&put);
		}
		begin();
	}
	UNIT_EQUAL(hak_arena_metadata_bytes(), before);
}

static void large_ones_count_their_slots(void)
{
	struct hak_kept big = {.block = hak_heap.base + HAK_SLOT_BYTES, .bin = HAK_BIN_LARGE, .slots = 1000}, out;
	struct hak_kept huge = {.block = hak_heap.base, .bin = HAK_BIN_LARGE, .slots = (size_t)1 << 30};
	begin();
	CU_ASSERT_TRUE(hak_quarantine_put(&big));
	UNIT_EQUAL(hak_quarantine_bytes(), 1000 * HAK_SLOT_BYTES);
	UNIT_EQUAL(hak_quarantine_large(), 1);
	UNIT_EQUAL(hak_quarantine_slots(), 1000);
	CU_ASSERT_FALSE(hak_quarantine_put(&huge)); /* a note has no room for it */
	CU_ASSERT_TRUE(hak_quarantine_take(0, &out));
	UNIT_EQUAL(out.block, big.block);
	UNIT_EQUAL(out.bin, HAK_BIN_LARGE);
	UNIT_EQUAL(out.slots, 1000);
	UNIT_EQUAL(hak_quarantine_slots() + hak_quarantine_large(), 0);
}

/* Four threads put and take: each block that was put is taken once. */
static uint8_t seen[4 * MANY];

static void *put_and_take(void *argument)
{
	unsigned first = *(unsigned *)argument;
	struct hak_kept kept;

	for (unsigned i = first; i < first + MANY; i++) {
		struct hak_kept put = small(i);
		hak_quarantine_put(&put);
		while (hak_quarantine_take(2000, &kept))
			__atomic_fetch_add(&seen[(kept.block - hak_heap.base) / 16], 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void threads_share_it(void)
{
	pthread_t threads[4];
	unsigned first[4];
	struct hak_kept kept;
	begin();
	for (unsigned i = 0; i < 4; i++) {
		first[i] = i * MANY;
		pthread_create(&threads[i], NULL, put_and_take, &first[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_TRUE(hak_quarantine_bytes() <= 2000);
	while (hak_quarantine_take(0, &kept))
		seen[(kept.block - hak_heap.base) / 16]++;
	for (unsigned i = 0; i < 4 * MANY; i++)
		CU_ASSERT_TRUE_FATAL(seen[i] == 1);
}

UNIT_MAIN("quarantine", UNIT(who_came_first_goes_first), UNIT(memory_follows_the_blocks), UNIT(large_ones_count_their_slots),
	UNIT(threads_share_it))
