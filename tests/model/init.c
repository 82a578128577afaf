/* The first malloc of a process (lib/init.c), from several threads at once: the heap is made once, and who is told that
 * it is ready finds all of it. */
#include <time.h>
#include <unistd.h>

#include "tests/model/atomic.h"

#undef HAK_TLS
#define HAK_TLS __attribute__((section("model_tls")))
#define SPINS 1
#define syscall(number, word, operation, value, ...) model_futex(word, operation, value)
#include "lib/lock.c"
#undef syscall

#include "lib/arena.h"
#include "lib/settings.h"
#include "lib/shared_pool.h"
#include "lib/thread.h"

static bool make_heap(void);
#define hak_settings_read() ((void)0)
#define hak_arena_init(bytes) ((void)(bytes), make_heap())
#define hak_pool_init() ((void)0)
#define hak_thread_init() ((void)0)
#define hak_thread_init_hooks() (hooks++)
static unsigned hooks;
#include "lib/init.c"

static uint32_t heap; /* stands for all that is made */
static char making;
static unsigned made, refused;
static bool memory_is_out;

static bool make_heap(void)
{
	model_plain(&making);
	if (memory_is_out) {
		memory_is_out = false;
		refused++;
		return false;
	}
	made++;
	hak_store_relaxed(&heap, 1);
	return true;
}

static void setup(void)
{
	init_lock = (struct hak_lock)HAK_LOCK_INIT(HAK_RANK_ORPHANS);
	ready = hak_full_plain = false;
	heap = made = refused = hooks = 0;
	memory_is_out = false;
}

static void setup_without_memory(void)
{
	setup();
	memory_is_out = true;
}

static void allocate(void)
{
	/* As mallocs do: most need not ask further. */
	if (hak_full_is_off() || hak_init())
		model_require(hak_load_relaxed(&heap) == 1, "who may use the heap finds it made");
	else
		model_require(refused > 0, "it is refused only where memory is");
}

static void check(void)
{
	model_require(made == 1 && hooks == 1, "the heap is made once, and hooked once");
}

static void check_without_memory(void)
{
	model_require(refused == 1 && made == 1 && hooks == 1, "another thread tries again");
}

int main(void)
{
	static const struct model models[] = {
		{"two threads begin", setup, {allocate, allocate}, check, {0}},
		{"memory is refused once", setup_without_memory, {allocate, allocate}, check_without_memory, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"lock_wait", 0, NULL, 0, "the lock's own model is lock.c"},
		{"lock_wait", 1, NULL, 0, "the lock's own model is lock.c"},
		{0},
	};

	return model_main(models, spares);
}
