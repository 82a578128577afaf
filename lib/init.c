#include "init.h"

#include "arena.h"
#include "atomic.h"
#include "full.h"
#include "guard.h"
#include "lock.h"
#include "log.h"
#include "settings.h"
#include "shared_pool.h"
#include "straddle.h"
#include "thread.h"
#include "trace.h"

static struct hak_lock init_lock = HAK_LOCK_INIT(HAK_RANK_ORPHANS);
static bool settings_read;
static bool ready;

static uint32_t debug_groups(void)
{
	return (hak_settings.ss_acquire_debug ? HAK_GROUP_ACQUIRE : 0u) |
		(hak_settings.ss_free_debug ? HAK_GROUP_RELEASE : 0u) |
		(hak_settings.ss_lru_debug ? HAK_GROUP_LRU : 0u) |
		(hak_settings.tiny_sll_drain_debug ? HAK_GROUP_DRAIN : 0u);
}

static bool init_locked(void)
{
	if (!settings_read) {
		hak_settings_read();
		hak_log_set_path(hak_settings.log_file);
		hak_trace_set_lines(debug_groups());
		settings_read = true;
	}
	if (!hak_arena_init(hak_settings.reserve))
		return false;
	if (hak_straddle_wanted())
		hak_size_class_pack();
	if (hak_settings.ss_lru > hak_arena_idle_max())
		hak_settings.ss_lru = hak_arena_idle_max();
	hak_pool_init();
	hak_thread_init();
	/* Pairs with the acquire in hak_is_ready: who sees it sees the tables. */
	hak_store_release(&ready, true);
	hak_store_release(&hak_full_plain, true);
	return true;
}

bool hak_is_ready(void)
{
	return hak_load_acquire(&ready);
}

bool hak_init(void)
{
	bool was_ready, ok;

	if (HAK_LIKELY(hak_is_ready()))
		return true;
	if (hak_refuse_sanitizers)
		hak_refuse_sanitizers();
	hak_lock_acquire(&init_lock);
	was_ready = ready;
	ok = was_ready || init_locked();
	hak_lock_release(&init_lock);
	if (ok && !was_ready) {
		hak_thread_init_hooks();
		hak_guard_init();
	}
	return ok;
}

/* A program whose first allocation comes late still gets its prewarmed SuperSlabs and its complaints about settings at
 * the start. */
__attribute__((constructor(101))) static void init_early(void)
{
	hak_init();
	hak_trace_flush();
}
