#include "purge.h"

#include "lru.h"
#include "os.h"
#include "settings.h"
#include "shared_pool.h"
#include "stats.h"

/* Purges the slots of SuperSlab `index` that nobody uses, have pages, and have been idle for `idle_ms`; neighbours in one call each.
 * Returns the bytes purged, lowers *calls. */
static size_t purge_superslab(uint32_t index, uint32_t now, uint32_t idle_ms, unsigned *calls)
{
	uint32_t mask = hak_pool_convertible(index, now, idle_ms) & ~hak_ss(index)->zero;
	size_t bytes = 0;

	while (mask && *calls) {
		unsigned first = (unsigned)__builtin_ctz(mask);
		uint64_t rest = ~((uint64_t)mask >> first);
		unsigned count = (unsigned)__builtin_ctzll(rest);

		--*calls;
		if (hak_ss_purge(index, first, count))
			bytes += count * HAK_SLOT_BYTES;
		mask &= ~hak_slot_mask(first, count);
	}
	return bytes;
}

static size_t purge_idle(uint32_t now, uint32_t idle_ms, unsigned *calls)
{
	size_t bytes = 0;

	/* Whole SuperSlabs first, the oldest first: they cost one call for 2 MiB, and no huge page is broken up. */
	for (uint32_t index = hak_pool.lru_oldest; index != HAK_NO_SUPERSLAB && *calls; index = hak_ss(index)->lru_previous) {
		if (now - hak_ss(index)->since_ms < idle_ms)
			break;
		if (hak_ss(index)->zero != ~0u)
			bytes += purge_superslab(index, now, idle_ms, calls);
	}
	while (hak_pool.purge_next != HAK_NO_SLOT && *calls) {
		uint32_t slab = hak_pool.purge_next;

		if (now - hak_slot(slab)->since_ms < idle_ms)
			break;
		bytes += purge_superslab(hak_slot_ss(slab), now, idle_ms, calls);
		if (!*calls)
			break; /* perhaps in the middle of a SuperSlab: it is looked at again */
		hak_pool.purge_next = hak_slot(slab)->age_next;
	}
	return bytes;
}

void hak_purge_due(unsigned calls)
{
	uint32_t now = hak_os_clock_ms();
	uint32_t delay = (uint32_t)hak_settings.purge_delay_ms;

	if ((int32_t)(now - hak_load_relaxed(&hak_pool.next_purge_ms)) < 0)
		return;
	hak_lock_acquire(&hak_pool.lock);
	hak_store_relaxed(&hak_pool.next_purge_ms, now + delay / 4);
	while (hak_pool.lru_oldest != HAK_NO_SUPERSLAB && calls &&
	       now - hak_ss(hak_pool.lru_oldest)->since_ms >= hak_settings.ss_lru_age_ms) {
		calls -= hak_ss(hak_pool.lru_oldest)->zero != ~0u;
		hak_lru_evict(hak_pool.lru_oldest, now);
	}
	purge_idle(now, delay, &calls);
	hak_lock_release(&hak_pool.lock);
}

size_t hak_purge_all(void)
{
	uint32_t now = hak_os_clock_ms();
	uint64_t before;
	unsigned calls = UINT32_MAX;
	uint32_t index;

	hak_lock_acquire(&hak_pool.lock);
	before = hak_stat_get(purged_bytes);
	while (hak_pool.lru_oldest != HAK_NO_SUPERSLAB)
		hak_lru_evict(hak_pool.lru_oldest, now);
	purge_idle(now, 0, &calls);
	/* UNUSED slots may have pages too: those that a conversion or a shrinking run left over. */
	for (unsigned n = 0; n < HAK_LARGE_RUN_MAX; n++) {
		for (index = hak_set_next(HAK_SET_RUN + n, 0); index != HAK_NO_SUPERSLAB; index = hak_set_next(HAK_SET_RUN + n, index + 1))
			purge_superslab(index, now, 0, &calls);
	}
	before = hak_stat_get(purged_bytes) - before;
	hak_lock_release(&hak_pool.lock);
	return (size_t)before;
}
