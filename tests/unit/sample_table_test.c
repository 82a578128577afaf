/* The table of samples: places are found by their block's address, as long as it is a sample's, and read while they change. */
#include "lib/sample_table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/heap.h"

#define CAPACITY 40000u
#define CLASS 3u

/* Addresses of no block: the table only compares them. */
static uintptr_t address_of(unsigned i)
{
	return 0x7000000000u + i * 16u;
}

static void make(void)
{
	CU_ASSERT_TRUE_FATAL(hak_sample_table_make(CAPACITY));
	UNIT_EQUAL(hak_sample_table_capacity(), CAPACITY);
}

static void without_a_table(void)
{
	UNIT_EQUAL(hak_sample_table_capacity(), 0);
	UNIT_EQUAL(hak_sample_table_used(), 0);
	CU_ASSERT_PTR_NULL(hak_sample_place_find(address_of(1)));
	make();
	CU_ASSERT_TRUE(hak_sample_table_make(2 * CAPACITY)); /* it stays as it is */
	UNIT_EQUAL(hak_sample_table_capacity(), CAPACITY);
	CU_ASSERT_PTR_NULL(hak_sample_place_find(address_of(1)));
}

/* All there are, and no more; each is found until it is given back, and then another is not. */
static void every_place(void)
{
	static struct hak_sample_place *place[CAPACITY];
	make();
	for (unsigned i = 0; i < CAPACITY; i++) {
		place[i] = hak_sample_place_take(address_of(i), i % 2 ? CLASS : HAK_SAMPLE_LARGE);
		CU_ASSERT_PTR_NOT_NULL_FATAL(place[i]);
		UNIT_EQUAL(place[i]->sample.address, address_of(i));
		CU_ASSERT_FALSE(hak_sample_place_is_told(place[i]));
		CU_ASSERT_PTR_EQUAL(hak_sample_place_at(hak_sample_place_number(place[i])), place[i]);
		CU_ASSERT_TRUE(hak_sample_place_number(place[i]) < hak_sample_table_used());
	}
	CU_ASSERT_FALSE(hak_sample_table_is_full()); /* nobody knows of it yet */
	CU_ASSERT_PTR_NULL(hak_sample_place_take(address_of(CAPACITY), CLASS));
	CU_ASSERT_TRUE(hak_sample_table_is_full());
	UNIT_EQUAL(hak_sample_table_used(), CAPACITY);
	UNIT_EQUAL(hak_sample_table_held(CLASS), CAPACITY / 2);
	for (unsigned i = 0; i < CAPACITY; i++)
		CU_ASSERT_PTR_EQUAL(hak_sample_place_find(address_of(i)), place[i]);
	for (unsigned i = 0; i < CAPACITY; i += 3)
		hak_sample_place_return(place[i], i % 2 ? CLASS : HAK_SAMPLE_LARGE);
	CU_ASSERT_FALSE(hak_sample_table_is_full());
	for (unsigned i = 0; i < CAPACITY; i++)
		CU_ASSERT_PTR_EQUAL(hak_sample_place_find(address_of(i)), i % 3 == 0 ? NULL : place[i]);
	for (unsigned i = 0; i < CAPACITY; i++) {
		if (i % 3 != 0)
			hak_sample_place_return(place[i], i % 2 ? CLASS : HAK_SAMPLE_LARGE);
	}
	UNIT_EQUAL(hak_sample_table_held(CLASS), 0);
	UNIT_EQUAL(hak_sample_table_used(), CAPACITY);
	/* All can be had again, for whatever slots. */
	for (unsigned i = 0; i < CAPACITY; i++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(place[i] = hak_sample_place_take(address_of(i * 4096 + 4095), HAK_SAMPLE_LARGE));
		CU_ASSERT_PTR_EQUAL(hak_sample_place_find(address_of(i * 4096 + 4095)), place[i]);
	}
	CU_ASSERT_PTR_NULL(hak_sample_place_take(address_of(CAPACITY * 4096), HAK_SAMPLE_LARGE));
	for (unsigned i = 0; i < CAPACITY; i++)
		hak_sample_place_return(place[i], HAK_SAMPLE_LARGE);
}

/* An eighth of the table is for what threads keep. */
static void reservations(void)
{
	make();
	CU_ASSERT_TRUE(hak_sample_table_reserve(CAPACITY / 8 - 10));
	CU_ASSERT_FALSE(hak_sample_table_reserve(11));
	CU_ASSERT_TRUE(hak_sample_table_reserve(10));
	CU_ASSERT_FALSE(hak_sample_table_reserve(1));
	hak_sample_table_unreserve(CAPACITY / 8);
	CU_ASSERT_TRUE(hak_sample_table_reserve(CAPACITY / 8));
	hak_sample_table_unreserve(CAPACITY / 8);
}

/* Writes a sample whose words all say the same. */
static void write_sample(struct hak_sample_place *place, uint64_t number)
{
	hak_store_relaxed(&place->sample.bytes, number);
	hak_store_relaxed(&place->sample.decided, number);
	hak_store_relaxed(&place->sample.rate, number);
	hak_store_relaxed(&place->sample.stand_in, number);
	hak_store_relaxed(&place->sample.time_ns, number);
	hak_store_relaxed(&place->sample.mallocs, (uint32_t)number);
}

/* A sample is seen from the moment that it is told until it is not any more. */
static void told_and_untold(void)
{
	struct hak_sample found;
	make();
	struct hak_sample_place *place = hak_sample_place_take(address_of(7), CLASS);
	CU_ASSERT_FALSE(hak_sample_place_read(place, &found));
	write_sample(place, 11);
	CU_ASSERT_FALSE(hak_sample_place_read(place, &found));
	hak_sample_place_tell(place, 0); /* a stack that is not known is one too */
	CU_ASSERT_TRUE(hak_sample_place_read(place, &found) && found.bytes == 11 && found.stack == 0 && found.address == address_of(7));
	uint64_t told = place->told;
	hak_sample_place_untell(place);
	CU_ASSERT_FALSE(hak_sample_place_read(place, &found));
	hak_sample_place_tell(place, UINT32_MAX - 1);
	CU_ASSERT_TRUE(hak_sample_place_read(place, &found) && found.stack == UINT32_MAX - 1);
	hak_sample_place_untell(place);
	hak_sample_place_tell(place, 0);
	CU_ASSERT_TRUE(place->told != told); /* who began to read the first one sees that this is another */
	hak_sample_place_untell(place);
	hak_sample_place_return(place, CLASS);
}

/* ---- Threads ---- */

#define ROUNDS 20000u
#define WATCHED 5u
static struct hak_sample_place *watched;
static bool over;
static unsigned strays, torn, reads;

/* Reads one place while its samples come and go. */
static void *watch(void *ignored)
{
	struct hak_sample found;
	while (!hak_load_acquire(&over)) {
		if (!hak_sample_place_read(watched, &found))
			continue;
		hak_add_relaxed(&reads, 1u);
		torn += found.decided != found.bytes || found.rate != found.bytes || found.stand_in != found.bytes ||
			found.time_ns != found.bytes || found.mallocs != (uint32_t)found.bytes || found.stack != (uint32_t)found.bytes;
	}
	return ignored;
}

/* Takes places and gives them back: every second one but that which is watched, whose chain others share. */
static void *disturb(void *first)
{
	struct hak_sample_place *some[200];
	for (unsigned round = 0; round < ROUNDS / 200; round++) {
		for (unsigned i = 0; i < 200; i++)
			some[i] = hak_sample_place_take(address_of((unsigned)(uintptr_t)first + 2 * i), CLASS);
		for (unsigned i = 0; i < 200; i++) {
			if (hak_sample_place_find(some[i]->sample.address) != some[i])
				hak_add_relaxed(&strays, 1u);
			hak_sample_place_return(some[i], CLASS);
		}
	}
	return NULL;
}

static void while_others_change_it(void)
{
	pthread_t threads[3];
	make();
	over = false;
	watched = hak_sample_place_take(address_of(WATCHED), CLASS);
	pthread_create(&threads[0], NULL, watch, NULL);
	pthread_create(&threads[1], NULL, disturb, (void *)0);
	pthread_create(&threads[2], NULL, disturb, (void *)(WATCHED + 2));
	for (uint32_t i = 1; i <= ROUNDS || hak_load_relaxed(&reads) < 10; i++) {
		if (hak_sample_place_find(address_of(WATCHED)) != watched)
			hak_add_relaxed(&strays, 1u);
		write_sample(watched, i);
		hak_sample_place_tell(watched, i);
		hak_sample_place_untell(watched);
	}
	hak_store_release(&over, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	UNIT_EQUAL(strays, 0);
	UNIT_EQUAL(torn, 0);
	hak_sample_place_return(watched, CLASS);
	UNIT_EQUAL(hak_sample_table_held(CLASS), 0);
}

UNIT_MAIN("sample_table", UNIT(without_a_table), UNIT(every_place), UNIT(reservations), UNIT(told_and_untold), UNIT(while_others_change_it))
