/* What a thread's birth finds (lib/thread.c): who sees that the orphans' cache is ready finds it so, and who sees that there
 * is a key for the hooks at a thread's end uses it. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/model/atomic.h"

#undef HAK_TLS
#define HAK_TLS __attribute__((section("model_tls")))
#define SPINS 1
#define syscall(number, word, operation, value, ...) model_futex(word, operation, value)
#include "lib/lock.c"
#undef syscall

#define hak_cache_mine own_cache /* the library's is thread-local for real */
#include "lib/front_cache.h"
#include "lib/mirror.h"
#include "lib/os.h"
#include "lib/thread.h"
#include "lib/trace.h"

/* What is made stands for all that its maker writes. */
static char cache_contents, key_contents;
static unsigned births, keyed;

HAK_TLS struct hak_cache *own_cache;

static void make_cache(struct hak_cache *cache, const struct hak_bins *bins)
{
	if (bins == &hak_bins)
		own_cache = cache;
	model_plain(&cache_contents);
}

static void use_cache(void)
{
	model_plain(&cache_contents);
}

static int make_key(void)
{
	model_plain(&key_contents);
	return 0;
}

static int use_key(void)
{
	model_plain(&key_contents);
	keyed++;
	return 0;
}

#define hak_cache_init(cache, bins) make_cache(cache, bins)
#define hak_cache_begin(cache) ((void)(cache))
#define hak_cache_end(cache) ((void)(cache))
#define hak_cache_drain_wanted(cache) ((void)(cache), false)
#define hak_cache_read(cache, counts) ((void)(cache), use_cache())
#define hak_trace_flush() ((void)0)
#define hak_trace_sink() NULL
#define pthread_key_create(key, hook) ((void)(key), (void)(hook), make_key())
#define pthread_setspecific(key, value) ((void)(key), (void)(value), use_key())
#define pthread_atfork(prepare, parent, child) ((void)(prepare), (void)(parent), (void)(child))
#include "lib/thread.c"

static void setup(void)
{
	orphan_lock = (struct hak_lock)HAK_LOCK_INIT(HAK_RANK_ORPHANS);
	hak_threads.lock = (struct hak_lock)HAK_LOCK_INIT(HAK_RANK_THREADS);
	hak_threads.first = hak_threads.spare = NULL;
	hak_threads.count = 0;
	memset(&first_record, 0, sizeof(first_record));
	orphan_ready = exit_key_made = false;
	births = keyed = 0;
}

/* A thread whose own cache is gone, beside one that counts. */
static void free_late(void)
{
	hak_thread_leave(orphan_enter());
}

static void count_orphans(void)
{
	static struct hak_cache_counts counts[HAK_BIN_COUNT];

	hak_thread_read_orphans(counts);
}

/* The first malloc, beside one of another thread that found the heap ready. */
static void make_hooks(void)
{
	hak_thread_init_hooks();
}

static void be_born(void)
{
	births += thread_birth() != NULL;
}

static void check_birth(void)
{
	model_require(births == 1 && hak_threads.first == &first_record, "the thread is in the registry");
	model_require(keyed <= 1, "its end is hooked once");
}

int main(void)
{
	static const struct model models[] = {
		{"the orphans' cache is readied", setup, {free_late, count_orphans}, NULL, {0}},
		{"the key for a thread's end is made", setup, {make_hooks, be_born}, check_birth, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"hak_lock_acquire", 0, NULL, 0, "the lock's own model is lock.c"},
		{"release", 0, NULL, 0, "the lock's own model is lock.c"},
		{0},
	};

	return model_main(models, spares);
}
