/* The table of samples (lib/sample.c), as far as it needs no lock: a place is one part's, and none is lost; who looks without the
 * lock is told of a sample when its stack is there; who finds the table finds all of it. */
#include <string.h>

#include "tests/model/atomic.h"

#include "lib/os.h"
#include "lib/trace.h"

static const struct hak_sink *the_sink(void);

static void *map(void);

#define hak_trace_sink() the_sink()
#define hak_os_map(bytes) map()
#include "lib/sample.c"

#define STACK 5

static struct place table[2];
static uint32_t numbers[3];
static char stack; /* stands for what the number leads to */

static uint32_t capture(const struct hak_sample *sample)
{
	(void)sample;
	model_plain(&stack);
	return STACK;
}

static const struct hak_sink *the_sink(void)
{
	static const struct hak_sink sink = {.sample = capture};

	return &sink;
}

static void setup_room(uint32_t room)
{
	memset(table, 0, sizeof(table));
	memset(numbers, 0, sizeof(numbers));
	places = table;
	capacity = room;
	used = 0;
	for (unsigned i = 0; i < PARTS; i++)
		parts[i].free = 0;
}

static void setup_one(void)
{
	setup_room(1);
}

static void setup_two(void)
{
	setup_room(2);
}

/* Under a lock each, but not the same one. */
static void take_0(void)
{
	numbers[0] = take_place(&parts[0]);
}

static void take_1(void)
{
	numbers[1] = take_place(&parts[1]);
}

static void take_2(void)
{
	numbers[2] = take_place(&parts[2]);
}

static void check_taken(unsigned takers)
{
	unsigned given = 0;

	for (unsigned i = 0; i < takers; i++) {
		given += numbers[i] != NO_PLACE;
		for (unsigned j = 0; j < i; j++)
			model_require(numbers[i] == NO_PLACE || numbers[i] != numbers[j], "a place is given to one part");
		model_require(numbers[i] == NO_PLACE || numbers[i] < capacity, "it is one of the table's");
	}
	model_require(given == capacity && used == capacity, "all places are given");
}

static void check_two(void)
{
	check_taken(2);
}

static void check_three(void)
{
	check_taken(3);
}

static void setup_stack(void)
{
	setup_room(2);
	table[0].sample.address = 0x1000;
	table[0].stack = NO_STACK_YET; /* as insert leaves it */
}

static void tell_stack(void)
{
	struct hak_sample sample = table[0].sample;

	ask_for_stack(&table[0], &sample);
}

static void peek(void)
{
	struct hak_sample sample;

	if (!hak_sample_peek(0, &sample))
		return;
	model_require(sample.stack == STACK, "it is the stack's number");
	model_plain(&stack);
}

static char mapped; /* stands for the table */

static void *map(void)
{
	model_plain(&mapped);
	return table;
}

static void setup_nothing(void)
{
	setup_room(0);
	places = NULL;
	used = 1; /* as soon as there is one */
}

static void make(void)
{
	model_require(make_table(SMALLEST), "there is memory for a table");
}

static void find_table(void)
{
	if (hak_sample_places())
		model_plain(&mapped);
}

int main(void)
{
	static const struct model models[] = {
		{"two take one place", setup_one, {take_0, take_1}, check_two, {0}},
		{"three take two places", setup_two, {take_0, take_1, take_2}, check_three, {0}},
		{"a stack is told, and looked at", setup_stack, {tell_stack, peek}, NULL, {0}},
		{"the table is made", setup_nothing, {make, find_table}, NULL, {0}},
		{0},
	};
	static const struct model_spare spares[] = {{0}};

	return model_main(models, spares);
}
