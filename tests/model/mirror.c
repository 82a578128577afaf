/* The mirror (lib/mirror.c): what stands under an even word is whole, a thread's row has one owner at a time and is
 * empty for the next, and who finds a mirror finds all of it. */
#include <string.h>

#include "tests/model/atomic.h"

#include "lib/arena.h"
#include "lib/mirror.h"
#include "lib/os.h"

/* A row that is given back is cleared for one bin, since more would be the same over and over. */
#define CLASS 0
#define BIN HAK_BIN_OF_CLASS(CLASS)
#undef HAK_BIN_COUNT
#define HAK_BIN_COUNT (BIN + 1)
#include "lib/mirror.c"

#define ROWS 2 /* of threads, beside that of the dead */

static struct hak_group group;
static struct hak_mirror mirror;
static struct hak_mirror_superslab superslabs[1];
static struct hak_mirror_class classes[HAK_CLASS_COUNT];
static struct hak_mirror_pool pool;
static struct hak_mirror_thread rows[1 + ROWS];
static uint32_t moving[1];
static char owned[1 + ROWS]; /* stand for a row in its owner's hands */

static void prepare(void)
{
	memset(&group, 0, sizeof(group));
	memset(superslabs, 0, sizeof(superslabs));
	memset(&pool, 0, sizeof(pool));
	memset(rows, 0, sizeof(rows));
	memset(&hak_pool.kinds[CLASS], 0, sizeof(hak_pool.kinds[CLASS]));
	hak_pool.superslabs_in_use = 0;
	hak_groups = &group;
	group.superslabs[0].unused = ~0u;
	mirror = (struct hak_mirror){.superslabs = superslabs,
		.classes = classes,
		.pool = &pool,
		.threads = rows,
		.moving = moving,
		.superslab_count = 1,
		.thread_count = 1 + ROWS};
	hak_mirror = NULL;
}

static void setup(void)
{
	prepare();
	hak_mirror_fill(&mirror, 1, 2);
}

/* ---- The slot map ---- */

/* As superslab.c does it, under the pool's lock: the note comes before the change. */
static void activate(void)
{
	struct hak_superslab *ss = &group.superslabs[0];

	hak_mirror_note(0, BIN);
	ss->unused &= ~1u;
	ss->active |= 1;
	ss->place = HAK_PLACE_IN_USE;
	ss->slots[0] = (struct hak_slot){.bin = BIN, .span = 1, .capacity = 7};
	hak_pool.superslabs_in_use = 1;
	hak_pool.kinds[CLASS].active_slabs = 1;
	hak_mirror_settle();
}

static void release(void)
{
	struct hak_superslab *ss = &group.superslabs[0];

	hak_mirror_note(0, BIN);
	ss->unused |= 1;
	ss->active &= ~1u;
	ss->place = HAK_PLACE_LRU;
	hak_pool.superslabs_in_use = 0;
	hak_pool.kinds[CLASS].active_slabs = 0;
	hak_mirror_settle();
}

static void change(void)
{
	activate();
	release();
}

/* Whether the word was even and the same before and after `look`. */
static bool read_under(const uint32_t *sequence, void (*look)(void))
{
	uint32_t before = hak_load_acquire(sequence);

	if (before & 1)
		return false;
	look();
	hak_fence_acquire();
	return hak_load_relaxed(sequence) == before;
}

static uint64_t state, active_slots, place, in_use, slabs;

static void look_at_row(void)
{
	state = hak_load_relaxed(&superslabs[0].slots[0].state);
	active_slots = hak_load_relaxed(&superslabs[0].active_slots);
	place = hak_load_relaxed(&superslabs[0].place);
}

static void look_at_pool(void)
{
	in_use = hak_load_relaxed(&pool.superslabs_in_use);
	slabs = hak_load_relaxed(&classes[CLASS].slabs);
	place = hak_load_relaxed(&superslabs[0].place);
}

static void read_row(void)
{
	if (!read_under(&superslabs[0].sequence, look_at_row))
		return;
	model_require(
		(state == HAK_SLOT_ACTIVE) == (active_slots == 1), "a row's slots are of one moment with its count");
	model_require((active_slots == 1) == (place == HAK_PLACE_IN_USE), "and with its place");
}

static void read_pool(void)
{
	if (!read_under(&pool.sequence, look_at_pool))
		return;
	model_require(in_use == slabs, "the pool's figures are of one moment with a class's");
	model_require((in_use == 1) == (place == HAK_PLACE_IN_USE), "and with the rows");
}

static void check(void)
{
	model_require(!(superslabs[0].sequence & 1) && !(pool.sequence & 1), "nothing is in motion in the end");
	model_require(superslabs[0].slots[0].state == HAK_SLOT_UNUSED && pool.superslabs_in_use == 0,
		"and all is up to date");
}

/* ---- The rows of threads ---- */

static void live(int32_t tid)
{
	uint32_t row = hak_mirror_row(HAK_MIRROR_THREAD, tid);

	if (row == UINT32_MAX)
		return;
	model_require(row >= 1 && row <= ROWS, "the dead keep their row");
	model_plain(&owned[row]);
	model_require(hak_load_relaxed(&rows[row].bins[BIN].allocs) == 0, "a new owner finds zeros");
	hak_mirror_store_counts(row, BIN, (uint64_t)tid, 0, 0);
	model_require(hak_load_relaxed(&rows[row].bins[BIN].allocs) == (uint64_t)tid, "the row is its owner's alone");
	model_plain(&owned[row]);
	hak_mirror_free_row(row);
}

static void live_1(void)
{
	live(1);
}

static void live_2(void)
{
	live(2);
}

static void live_3(void)
{
	live(3);
}

static void check_rows(void)
{
	for (unsigned i = 1; i <= ROWS; i++)
		model_require(rows[i].kind == HAK_MIRROR_FREE && rows[i].bins[BIN].allocs == 0,
			"all rows are free in the end");
}

/* ---- A mirror appears ---- */

static void appear(void)
{
	model_plain(&mirror);
	hak_mirror_fill(&mirror, 1, 2);
}

static void use(void)
{
	if (present()) {
		model_plain(&mirror);
		hak_mirror_store_used(0, 5);
	}
}

int main(void)
{
	static const struct model models[] = {
		{"a SuperSlab changes, and a reader", setup, {change, read_row}, check, {0}},
		{"the same, and all of the map", setup, {change, read_pool}, check, {0}},
		{"two threads and their rows", setup, {live_1, live_2}, check_rows, {0}},
		{"three threads and two rows", setup, {live_1, live_2, live_3}, check_rows, {0}},
		{"a mirror appears", prepare, {appear, use}, NULL, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{0},
	};

	return model_main(models, spares);
}
