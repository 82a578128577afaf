/* Whose turn it is to look for idle pages (lib/sweep.c): one thread goes over the SuperSlabs, and leaves none out. */
#include "tests/model/atomic.h"

#include "lib/depot.h"
static void visited(uint32_t slot);
#define hak_lock_acquire(lock) ((void)(lock), visited(slot))
#define hak_lock_release(lock) ((void)(lock))
#include "lib/sweep.c"

#define SUPERSLABS 2

static uint8_t class_map[SUPERSLABS * HAK_SLOTS_PER_SS];
static unsigned visits[SUPERSLABS];

/* Stands where the sweep takes the lock of a slot's class. */
static void visited(uint32_t slot)
{
	model_require(slot < SUPERSLABS * HAK_SLOTS_PER_SS, "the sweep stays in the heap");
	visits[slot / HAK_SLOTS_PER_SS]++;
	/* The slot is no slab any more when the lock has been taken: there is nothing to do with it. */
	class_map[slot] = HAK_BIN_NONE;
}

static void setup(void)
{
	next_ms = next_ss = 0;
	hak_heap.class_map = class_map;
	hak_heap.slots = sizeof(class_map);
	for (unsigned i = 0; i < SUPERSLABS; i++) {
		visits[i] = 0;
		class_map[i * HAK_SLOTS_PER_SS] = HAK_BIN_OF_CLASS(0);
	}
}

static void sweep(void)
{
	hak_sweep_due(5000, UINT32_MAX);
}

static void sweep_later(void)
{
	hak_sweep_due(5001, UINT32_MAX);
}

static void check(void)
{
	for (unsigned i = 0; i < SUPERSLABS; i++)
		model_require(visits[i] == 1, "each SuperSlab is visited once");
	model_require(next_ss == 0, "the next sweep begins at the first");
	model_require(next_ms - 5000 - 1 - hak_settings.purge_delay_ms / 2 <= 1, "it comes half a purge delay later");
}

int main(void)
{
	static const struct model models[] = {
		{"two come at once", setup, {sweep, sweep}, check, {0}},
		{"three come at once", setup, {sweep, sweep, sweep}, check, {0}},
		{"one comes a little later", setup, {sweep, sweep_later}, NULL, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"hak_sweep_due", 0, NULL, 0, "the turn guards no data: what is visited has its depot's lock"},
		{0},
	};

	return model_main(models, spares);
}
