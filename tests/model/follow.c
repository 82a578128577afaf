/* The notes of what has changed (hak_ss_touch in lib/superslab.h, and lib/inspect.c, which takes them away): a client
 * who is sent changes alone ends up with what there is. A slab's blocks come and go under its depot's lock, which the
 * follower doesn't take. */
#include "tests/model/atomic.h"

#include "lib/init.h"
#include "lib/inspect.c"

#define BIN HAK_BIN_OF_CLASS(3)

static uint32_t index_of_ss;
static struct hak_superslab_info rows[4];
static uint64_t versions[4], version;
static uint16_t seen;

static struct hak_slot *slot(void)
{
	return &hak_ss(index_of_ss)->slots[0];
}

/* Whoever follows has seen one block. */
static void setup(void)
{
	hak_ss_followed = true;
	hak_ss(index_of_ss)->touched = 0;
	slot()->used = seen = 1;
}

/* As depot.c does it. */
static void take_block(void)
{
	hak_single_writer_add(&slot()->used, 1);
	hak_ss_touch(index_of_ss);
}

static void take_blocks(void)
{
	take_block();
	take_block();
}

/* A message to the client. */
static void look(void)
{
	struct hak_inspect heap = {.superslabs = rows, .superslab_capacity = HAK_COUNT_OF(rows)};
	const struct follower to = {versions, ++version, false};

	model_require(fill_changes(&heap, &to), "there is room for the rows");
	if (versions[index_of_ss] != version)
		return;
	model_require(rows[index_of_ss].slots[0].used >= seen, "what is seen doesn't go back");
	seen = rows[index_of_ss].slots[0].used;
}

static void look_twice(void)
{
	look();
	look();
}

static void check(void)
{
	look();
	model_require(seen == slot()->used, "the last message tells what there is");
}

int main(void)
{
	static const struct model models[] = {
		{"a block is taken", setup, {take_block, look}, check, {0}},
		{"two blocks, two messages", setup, {take_blocks, look_twice}, check, {0}},
		{0},
	};
	static const struct model_spare spares[] = {{0}};
	uint32_t skipped, count;

	if (!hak_init())
		return 1;
	index_of_ss = hak_arena_take(1, HAK_SS_BYTES, &skipped, &count);
	if (index_of_ss >= HAK_COUNT_OF(rows))
		return 1;
	hak_ss_set_place(index_of_ss, HAK_PLACE_IN_USE);
	hak_slots_activate(index_of_ss, 0, 1, BIN);
	return model_main(models, spares);
}
