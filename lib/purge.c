#include "purge.h"

#include "lru.h"
#include "mirror.h"
#include "os.h"
#include "settings.h"
#include "shared_pool.h"
#include "stats.h"
#include "trace.h"

/* Purges the slots of SuperSlab `index` that nobody uses, have pages, and have been idle for `idle_ms`; neighbours in
 * one call each. Returns whether any went, lowers *slots by their number. */
static bool purge_superslab(uint32_t index, uint32_t now, uint32_t idle_ms, unsigned *slots)
{
	uint32_t mask = hak_pool_convertible(index, now, idle_ms) & ~hak_ss(index)->zero;
	bool any = false;

	while (mask && *slots) {
		unsigned first = (unsigned)__builtin_ctz(mask);
		uint64_t rest = ~((uint64_t)mask >> first);
		unsigned count = (unsigned)__builtin_ctzll(rest);

		/* Locked pages don't go, and are no work done: or a few such SuperSlabs would be all that is tried. */
		if (hak_ss_purge(index, first, count)) {
			*slots -= count < *slots ? count : *slots;
			any = true;
		}
		mask &= ~hak_slot_mask(first, count);
	}
	return any;
}

/* Cached SuperSlabs, the oldest first. */
static void purge_lru(uint32_t now, uint32_t idle_ms, unsigned *slots)
{
	for (uint32_t index = hak_pool.lru_oldest; index != HAK_NO_SUPERSLAB && *slots;
		index = hak_ss(index)->lru_previous) {
		if (now - hak_ss(index)->since_ms < idle_ms)
			break;
		if (hak_ss(index)->zero != ~0u)
			purge_superslab(index, now, idle_ms, slots);
	}
}

/* EMPTY slots, from the oldest one on that was not purged yet. */
static void purge_empty(uint32_t now, uint32_t idle_ms, unsigned *slots)
{
	while (hak_pool.purge_next != HAK_NO_SLOT && *slots) {
		uint32_t slab = hak_pool.purge_next;

		if (now - hak_slot(slab)->since_ms < idle_ms)
			break;
		/* Stopped perhaps in the middle of a SuperSlab, it is looked at again, unless its pages are locked and
		 * don't go. */
		if (purge_superslab(hak_slot_ss(slab), now, idle_ms, slots) && !*slots)
			break;
		hak_pool.purge_next = hak_slot(slab)->age_next;
	}
}

/* Idle memory is looked for four times within the shorter of the two delays. */
static uint32_t period_ms(void)
{
	uint64_t delay = hak_load_relaxed(&hak_settings.purge_delay_ms);

	if (hak_settings.ss_lru_age_ms < delay)
		delay = hak_settings.ss_lru_age_ms;
	return (uint32_t)(delay / 4);
}

bool hak_purge_due(uint32_t now, unsigned slots)
{
	uint32_t period = period_ms();
	uint32_t delay = (uint32_t)hak_load_relaxed(&hak_settings.purge_delay_ms);

	/* The time to wait is between 1 ms and a period, or it is over: the clock may have gone any distance since,
	 * even once round. */
	if (hak_load_relaxed(&hak_pool.next_purge_ms) - now - 1 < period || !hak_lock_try(&hak_pool.lock))
		return false;
	now = hak_os_clock_ms(); /* what entered the pool since then must not seem to come from the future */
	while (hak_pool.lru_oldest != HAK_NO_SUPERSLAB && slots &&
		now - hak_ss(hak_pool.lru_oldest)->since_ms >= hak_settings.ss_lru_age_ms) {
		if (hak_ss(hak_pool.lru_oldest)->zero != ~0u)
			slots -= slots < HAK_SLOTS_PER_SS ? slots : HAK_SLOTS_PER_SS;
		hak_lru_evict(hak_pool.lru_oldest, now);
	}
	/* Whole SuperSlabs first: they cost one call for 2 MiB, and no huge page is broken up. */
	purge_lru(now, delay, &slots);
	purge_empty(now, delay, &slots);
	/* Else there may be more to do, and the next slow path goes on with it. */
	hak_store_relaxed(&hak_pool.next_purge_ms, slots ? now + period : now);
	hak_pool_hand_over();
	return slots == 0;
}

void hak_purge_all_due(void)
{
	while (hak_purge_due(hak_os_clock_ms(), HAK_PURGE_STEP))
		hak_trace_flush();
}

/* Ends a step of a purge of everything, with the lock held, and begins the next one. */
static void next_step(unsigned *slots)
{
	hak_pool_hand_over();
	hak_trace_flush();
	hak_lock_acquire(&hak_pool.lock);
	*slots = HAK_PURGE_STEP;
}

static void empty_lru(void)
{
	unsigned slots = HAK_PURGE_STEP;

	while (hak_pool.lru_oldest != HAK_NO_SUPERSLAB) {
		if (hak_ss(hak_pool.lru_oldest)->zero != ~0u)
			slots -= HAK_SLOTS_PER_SS;
		hak_lru_evict(hak_pool.lru_oldest, hak_os_clock_ms());
		if (slots < HAK_SLOTS_PER_SS)
			next_step(&slots);
	}
}

/* What others free meanwhile is behind the slots that are purged here. */
static void purge_all_empty(void)
{
	unsigned slots = HAK_PURGE_STEP;

	for (;;) {
		purge_empty(hak_os_clock_ms(), 0, &slots);
		if (slots)
			return;
		next_step(&slots);
	}
}

/* UNUSED slots may have pages too, where purging them before was refused. */
static void purge_all_unused(void)
{
	unsigned slots = HAK_PURGE_STEP;

	for (unsigned n = 0; n < HAK_LARGE_RUN_MAX; n++) {
		for (uint32_t index = hak_set_next(HAK_SET_RUN + n, 0); index != HAK_NO_SUPERSLAB;
			index = hak_set_next(HAK_SET_RUN + n, index + 1)) {
			purge_superslab(index, hak_os_clock_ms(), 0, &slots);
			if (!slots)
				next_step(&slots);
		}
	}
}

size_t hak_purge_all(void)
{
	uint64_t before = hak_stat_get(purged_bytes);

	hak_lock_acquire(&hak_pool.lock);
	empty_lru();
	purge_all_empty();
	purge_all_unused();
	hak_pool_unlock();
	return (size_t)(hak_stat_get(purged_bytes) - before);
}
