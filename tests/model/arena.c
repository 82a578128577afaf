/* What the arena tells of itself without the pool's lock (lib/arena.c): what is said to be committed is never less than nothing,
 * though SuperSlabs are committed, given back and taken back meanwhile. */
#include "tests/model/atomic.h"

#include "lib/init.h"
#include "lib/os.h"
#include "lib/trace.h"

/* No memory is touched once the heap is made. */
static bool pretend;

#define hak_os_commit(from, bytes) (pretend ? true : hak_os_commit(from, bytes))
#define hak_os_unmap(from, bytes) (pretend ? true : hak_os_unmap(from, bytes))
#define hak_os_map_at(from, bytes) (pretend ? 0 : hak_os_map_at(from, bytes))
#include "lib/arena.c"

#define BEFORE 2u /* SuperSlabs that are committed */
#define AFTER 6u

static uint32_t turn; /* the pool's lock, which the second thread gets after the first */

static void setup(void)
{
	limited = true;
	reserved = extent;
	committed = BEFORE;
	away = turn = 0;
	for (uint32_t i = 0; i < AFTER; i++)
		hak_ss(i)->away = false;
}

static void grow_and_shrink(void)
{
	model_require(commit_to(AFTER) && hak_arena_give_back(0, AFTER - 1), "SuperSlabs come and go");
	hak_store_release(&turn, 1);
}

static void get_back(void)
{
	if (hak_load_acquire(&turn))
		model_require(hak_arena_get_back(0, 1) == 0, "one comes back");
}

static void look(void)
{
	model_require(hak_arena_committed_bytes() <= (uint64_t)AFTER << HAK_SS_SHIFT, "it is no more than there ever was");
}

int main(void)
{
	static const struct model models[] = {
		{"SuperSlabs come, go and come back", setup, {grow_and_shrink, get_back, look}, NULL, {0}},
		{0},
	};
	static const struct model_spare spares[] = {{0}};
	uint32_t skipped, count;

	if (!hak_init() || hak_arena_take(AFTER, HAK_SS_BYTES, &skipped, &count) == HAK_NO_SUPERSLAB)
		return 1;
	pretend = true;
	return model_main(models, spares);
}
