/* What every free relies on: whose block it is, as the class map says without a lock (hak_bin_of_address; its bytes are
 * written in lib/superslab.c). All orders are relaxed, because the program itself has to hand a block from thread to
 * thread by something that orders its own stores; this shows that it suffices. */
#include "tests/model/atomic.h"

#include "lib/init.h"
#include "lib/superslab.c"

#define BIN HAK_BIN_OF_CLASS(3)
#define LATER_BIN HAK_BIN_OF_CLASS(5)

static uint32_t index_of_ss;
static uintptr_t block, later_block; /* how the program hands them over */
static bool freed;

static void setup(void)
{
	if (hak_ss(index_of_ss)->active)
		hak_slots_reset(index_of_ss, 0, 1);
	block = later_block = 0;
	freed = false;
}

/* The slot becomes a class's, its block goes to the other thread and comes back; it becomes another class's. */
static void owner(void)
{
	uintptr_t address = hak_slot_address(index_of_ss * HAK_SLOTS_PER_SS);

	hak_slots_activate(index_of_ss, 0, 1, BIN);
	hak_store_release(&block, address);
	if (!hak_load_acquire(&freed))
		return;
	hak_slots_empty(index_of_ss, 0, 1);
	hak_slots_reset(index_of_ss, 0, 1);
	hak_slots_activate(index_of_ss, 0, 1, LATER_BIN);
	hak_store_release(&later_block, address);
}

static unsigned bin_of(uintptr_t address)
{
	return hak_bin_of_address((void *)address);
}

static void freer(void)
{
	uintptr_t address = hak_load_acquire(&block);

	if (!address)
		return;
	model_require(bin_of(address) == BIN, "a block is found to be of its class");
	model_require(bin_of(address + HAK_SLOT_BYTES) == HAK_BIN_NONE, "the slot behind it is nobody's");
	hak_store_release(&freed, true);
	address = hak_load_acquire(&later_block);
	if (address)
		model_require(bin_of(address) == LATER_BIN, "a block is found to be of its slot's new class");
}

int main(void)
{
	static const struct model models[] = {{"a slot of two classes", setup, {owner, freer}, NULL, {0}}, {0}};
	static const struct model_spare spares[] = {
		{"owner", 1, NULL, 0, "frees the slot early: what comes then is the program's use after free"},
		{"freer", 1, NULL, 0, "likewise"},
		{0},
	};
	uint32_t skipped, count;

	if (!hak_init())
		return 1;
	index_of_ss = hak_arena_take(1, HAK_SS_BYTES, &skipped, &count);
	hak_ss_set_place(index_of_ss, HAK_PLACE_IN_USE);
	return model_main(models, spares);
}
