/* What went, by stack (introspect/tally.c): nothing that is added is lost or counted twice, in whichever thread's tally it is, on
 * its way to the sums of all, and in a child of fork; who reads a sum finds the stack that it is of. */
#include <sched.h>
#include <string.h>

#include "introspect/memory.h"
#include "introspect/tally.h"
#include "tests/model/atomic.h"

#undef HAK_TLS
#define HAK_TLS __attribute__((section("model_tls")))
#undef HAK_TALLY_LIFETIMES
#define HAK_TALLY_LIFETIMES 1u /* each is a location more to look at */
#define MISSES_MAX 1u
#define hak_memory_map(bytes, kind) model_memory(bytes)
#define sched_yield() yield()
static void *model_memory(size_t bytes);
static int yield(void);
#include "introspect/tally.c"

/* Two stacks that have the same place. */
#define STACK 1u
#define OTHER (STACK + ENTRIES)

#define WAITS 2 /* so long is looked at fork's waiting */

static struct sums sums[OTHER + 1];
static struct tally made[3];
static unsigned made_count, yields;
static char stacks[2]; /* stand for a stack, as each thread that adds has found or made it */

static void *model_memory(size_t bytes)
{
	return bytes == sizeof(made[0]) && made_count < HAK_COUNT_OF(made) ? &made[made_count++] : NULL;
}

static int yield(void)
{
	if (++yields > WAITS)
		model_beyond();
	return 0;
}

static void setup(void)
{
	memset(sums, 0, sizeof(sums));
	memset(made, 0, sizeof(made));
	all = sums;
	all_count = OTHER + 1;
	tallies = NULL;
	forking = 0;
	made_count = yields = 0;
}

static void use(struct tally *tally)
{
	own = (uintptr_t)tally;
}

static void add_blocks(uint32_t stack, double blocks)
{
	hak_tally_add(stack, blocks, blocks, 0, 0, false);
}

static double bytes_of(uint32_t stack)
{
	struct hak_tally_sums read;

	model_require(read_all(stack, &read), "nothing moves at rest");
	return read.bytes;
}

/* ---- Sums of all ---- */

static void add_1(void)
{
	model_plain(&stacks[0]);
	add_to_all(&sums[STACK].sum[BYTES], 1);
}

static void add_2(void)
{
	model_plain(&stacks[1]);
	add_to_all(&sums[STACK].sum[BYTES], 2);
}

static double look_at_sum(void)
{
	double value = bytes_of(STACK);

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

static void check_3(void)
{
	model_require(bytes_of(STACK) == 3, "both are in the sum");
}

/* ---- An entry changes hands ---- */

static void setup_entry(void)
{
	setup();
	use(take_tally());
	add_blocks(STACK, 1);
	own = 0;
}

static void give_to_other(void)
{
	use(&made[0]);
	model_plain(&stacks[1]);
	add_blocks(OTHER, 4);
}

static void give_and_take_back(void)
{
	give_to_other();
	add_blocks(STACK, 2);
}

static void read_stack(void)
{
	struct hak_tally_sums read;

	if (read_all(STACK, &read))
		model_require(read.bytes == 1 || read.bytes == 3, "what moves is neither missed nor counted twice");
}

static void read_other(void)
{
	struct hak_tally_sums read;

	if (read_all(OTHER, &read)) {
		model_require(read.bytes == 0 || read.bytes == 4, "nor is it another stack's");
		if (read.bytes == 4)
			model_plain(&stacks[1]);
	}
}

static void read_twice(void)
{
	struct hak_tally_sums read;
	double first;

	if (!read_all(STACK, &read))
		return;
	first = read.bytes;
	if (read_all(STACK, &read))
		model_require(read.bytes >= first, "sums don't go back");
}

static void check_given(void)
{
	model_require(bytes_of(STACK) == 1 && bytes_of(OTHER) == 4, "each stack has its own");
}

static void check_taken_back(void)
{
	model_require(bytes_of(STACK) == 3 && bytes_of(OTHER) == 4, "each stack has its own");
}

/* ---- Temporary blocks ---- */

static void add_temporary(void)
{
	use(&made[0]);
	hak_tally_add(STACK, 1, 1, 0, 0, true);
}

static void read_temporary(void)
{
	struct hak_tally_sums read;

	read_all(STACK, &read);
	model_require(read.temporary == 0 || read.lifetimes[0] == 2, "of what went, no more is temporary than went");
}

/* ---- Tallies are made, and change hands ---- */

static void make_and_add(void)
{
	use(take_tally());
	add_blocks(STACK, 1);
}

static void read_made(void)
{
	struct hak_tally_sums read;

	read_all(STACK, &read); /* the new one has no sums that could move */
	model_require(read.bytes == 1 || read.bytes == 2, "who finds the new tally finds the older ones");
}

static void check_two(void)
{
	model_require(bytes_of(STACK) == 2, "both tallies count");
}

static void add_and_die(void)
{
	use(&made[0]);
	add_blocks(STACK, 1);
	hak_tally_thread_death();
}

static void check_heir(void)
{
	model_require(bytes_of(STACK) == 3, "the heir goes on where the other stopped");
	model_require(made_count <= 2, "nobody takes more than one");
}

/* ---- Fork ---- */

/* What a child would find. */
static void fork_once(void)
{
	struct hak_tally_sums read;

	hak_tally_fork_prepare();
	model_require(read_all(STACK, &read), "nothing moves while a thread forks");
	model_require(read.bytes == 1 || read.bytes == 3, "the child has all of it once");
	hak_tally_fork_parent();
}

/* Stands for the sums that move, and for the copy that the kernel makes of them. */
static char moving;

static void fold(void)
{
	if (!begin_folding(&made[0]))
		return;
	model_plain(&moving);
	hak_store_release(&made[0].folding, 0u);
}

static void fold_twice(void)
{
	fold();
	fold();
}

static void copy(void)
{
	hak_tally_fork_prepare();
	model_plain(&moving);
	hak_tally_fork_parent();
}

/* A tally that comes up beside the fork: its only entry moves. */
static void make_and_give(void)
{
	make_and_add();
	add_blocks(OTHER, 4);
}

static void fork_beside_new(void)
{
	struct hak_tally_sums read;

	hak_tally_fork_prepare();
	model_require(read_all(STACK, &read), "nothing moves while a thread forks");
	hak_tally_fork_parent();
}

static void check_new(void)
{
	model_require(bytes_of(STACK) == 1 && bytes_of(OTHER) == 4, "each stack has its own");
}

int main(void)
{
	static const struct model models[] = {
		{"two add, one reads", setup, {add_1, add_2, read_sum}, check_3, {0}},
		{"an entry changes hands twice, one reads", setup_entry, {give_and_take_back, read_stack}, check_taken_back, {0}},
		{"an entry changes hands twice, one reads of the other", setup_entry, {give_and_take_back, read_other}, check_taken_back, {0}},
		{"an entry changes hands twice, one reads twice", setup_entry, {give_and_take_back, read_twice}, check_taken_back, {0}},
		{"a temporary block", setup_entry, {add_temporary, read_temporary}, NULL, {0}},
		{"a tally is made, one reads", setup_entry, {make_and_add, read_made}, NULL, {0}},
		{"two tallies are made", setup, {make_and_add, make_and_add}, check_two, {0}},
		{"a tally is inherited", setup_entry, {add_and_die, make_and_add}, check_heir, {0}},
		{"an entry changes hands, and fork", setup_entry, {give_and_take_back, fork_once}, check_taken_back, {0}},
		{"an entry changes hands, and two who fork", setup_entry, {give_to_other, fork_once, fork_once}, check_given, {0}},
		{"a tally is made, and fork", setup, {make_and_give, fork_beside_new}, check_new, {0}},
		{"sums move, and fork", setup_entry, {fold_twice, copy}, NULL, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"take_tally", 0, NULL, 0, "who doesn't see what a new tally leads to makes one of its own, too"},
		{0},
	};

	return model_main(models, spares);
}
