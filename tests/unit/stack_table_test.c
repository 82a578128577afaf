/* The table of stacks: each once, under a number that stays, from any thread, and no more than there is room for. */
#include "introspect/stack_table.h"

#include <pthread.h>

#include "tests/unit/unit.h"

#define STACKS 2000
#define ROOM (4 * STACKS) /* two threads that come at once may both use a place up */
#define FRAMES 12

static uint32_t numbers[4][STACKS];

/* Stack number i: its frames and their count are of no other. */
static unsigned make(unsigned i, uintptr_t frames[FRAMES])
{
	unsigned count = 1 + i % FRAMES;

	for (unsigned j = 0; j < count; j++)
		frames[j] = i * 100 + j;
	return count;
}

static void *add_all(void *argument)
{
	uint32_t *mine = argument;
	uintptr_t frames[FRAMES];

	for (unsigned i = 0; i < STACKS; i++)
		mine[i] = hak_stack_table_number(frames, make(i, frames));
	return NULL;
}

static void begin(void)
{
	static bool begun;
	uint64_t kept, most, lost;

	if (begun)
		return;
	begun = true;
	UNIT_EQUAL(hak_stack_table_end(), 0);
	CU_ASSERT_TRUE_FATAL(hak_stack_table_begin(ROOM));
	UNIT_EQUAL(hak_stack_table_end(), 1);
	hak_stack_table_count(&kept, &most, &lost);
	UNIT_EQUAL(kept, 0);
	UNIT_EQUAL(most, ROOM);
}

static void four_threads_give_the_same_numbers(void)
{
	pthread_t threads[4];
	uint64_t kept, most, lost;
	uintptr_t frames[FRAMES];
	const uintptr_t *found;
	begin();
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, add_all, numbers[i]);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < STACKS; i++) {
		uint32_t number = numbers[0][i];
		CU_ASSERT_TRUE(number > 0 && number < hak_stack_table_end());
		for (unsigned j = 1; j < 4; j++)
			CU_ASSERT_TRUE(numbers[j][i] == number);
		UNIT_EQUAL(hak_stack_table_frames(number, &found), make(i, frames));
		CU_ASSERT_TRUE(memcmp(found, frames, make(i, frames) * sizeof(frames[0])) == 0);
	}
	hak_stack_table_count(&kept, &most, &lost);
	UNIT_EQUAL(kept, STACKS);
	UNIT_EQUAL(hak_stack_table_frames(0, &found), 0);
	UNIT_EQUAL(hak_stack_table_frames(hak_stack_table_end(), &found), 0);
}

static void a_full_table_says_so(void)
{
	uint64_t kept, most, lost_before, lost;
	uintptr_t frames[FRAMES];
	begin();
	for (unsigned i = STACKS; i < ROOM + 1; i++)
		hak_stack_table_number(frames, make(i, frames));
	hak_stack_table_count(&kept, &most, &lost_before);
	CU_ASSERT_TRUE(lost_before > 0);
	UNIT_EQUAL(hak_stack_table_number(frames, make(ROOM + 500, frames)), 0);
	hak_stack_table_count(&kept, &most, &lost);
	UNIT_EQUAL(lost, lost_before + 1);
	UNIT_EQUAL(hak_stack_table_end(), most + 1);
}

UNIT_MAIN("stack_table", UNIT(four_threads_give_the_same_numbers), UNIT(a_full_table_says_so))
