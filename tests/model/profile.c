/* The heap profile's sums (introspect/profile.c): nothing that is added is lost, and who reads a sum finds the stack that it is of. */
#include "tests/model/atomic.h"

#include "introspect/profile.c"

static uint64_t sum;
static char stacks[2]; /* stand for the stack, as each thread that adds has found or made it */

static void setup(void)
{
	sum = 0;
}

static void add_1(void)
{
	model_plain(&stacks[0]);
	add(&sum, 1);
}

static void add_2(void)
{
	model_plain(&stacks[1]);
	add(&sum, 2);
}

static double look_at_sum(void)
{
	double value = value_of(&sum);

	model_require(value == 0 || value == 1 || value == 2 || value == 3, "a sum is of whole additions");
	if (value == 1 || value == 3)
		model_plain(&stacks[0]);
	if (value == 2 || value == 3)
		model_plain(&stacks[1]);
	return value;
}

static void read_sum(void)
{
	look_at_sum();
}

static void read_twice(void)
{
	double first = value_of(&sum);

	model_require(look_at_sum() >= first, "sums don't go back");
}

static void check(void)
{
	model_require(value_of(&sum) == 3, "both are in the sum");
}

int main(void)
{
	static const struct model models[] = {
		{"two add, one reads", setup, {add_1, add_2, read_sum}, check, {0}},
		{"two add, one reads twice", setup, {add_1, add_2, read_twice}, check, {0}},
		{0},
	};
	static const struct model_spare spares[] = {{0}};

	return model_main(models, spares);
}
