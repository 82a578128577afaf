#include "lru.h"

#include "os.h"
#include "pool.h"
#include "settings.h"
#include "stats.h"
#include "trace.h"

static void lru_unlink(uint32_t index)
{
	struct hak_superslab *ss = hak_ss(index);

	if (ss->lru_previous == HAK_NO_SUPERSLAB)
		hak_pool.lru_newest = ss->lru_next;
	else
		hak_ss(ss->lru_previous)->lru_next = ss->lru_next;
	if (ss->lru_next == HAK_NO_SUPERSLAB)
		hak_pool.lru_oldest = ss->lru_previous;
	else
		hak_ss(ss->lru_next)->lru_previous = ss->lru_previous;
	hak_pool.lru_length--;
}

bool hak_ss_purge(uint32_t index, unsigned first, unsigned count)
{
	uintptr_t address = hak_slot_address(index * HAK_SLOTS_PER_SS + first);
	bool ok = hak_os_purge(address, count * HAK_SLOT_BYTES);

	if (ok)
		hak_ss(index)->zero |= hak_slot_mask(first, count);
	hak_trace_purge(address, count * HAK_SLOT_BYTES, ok);
	return ok;
}

static void retire(uint32_t index)
{
	if (hak_ss(index)->zero != ~0u)
		hak_ss_purge(index, 0, HAK_SLOTS_PER_SS);
	hak_arena_give_back(index, 1);
	hak_ss_set_place(index, HAK_PLACE_RETIRED);
}

void hak_lru_evict(uint32_t index, uint32_t now)
{
	uint32_t age = now - hak_ss(index)->since_ms;

	lru_unlink(index);
	hak_stat_add(lru_evictions, 1);
	hak_trace_lru_evict(hak_ss_address(index), age, hak_pool.lru_length, hak_settings.ss_lru);
	retire(index);
}

void hak_lru_push(uint32_t index)
{
	struct hak_superslab *ss = hak_ss(index);

	if (hak_settings.ss_lru == 0) {
		retire(index);
		return;
	}
	if (hak_pool.lru_length >= hak_settings.ss_lru)
		hak_lru_evict(hak_pool.lru_oldest, hak_os_clock_ms());
	ss->lru_previous = HAK_NO_SUPERSLAB;
	ss->lru_next = hak_pool.lru_newest;
	if (hak_pool.lru_newest == HAK_NO_SUPERSLAB)
		hak_pool.lru_oldest = index;
	else
		hak_ss(hak_pool.lru_newest)->lru_previous = index;
	hak_pool.lru_newest = index;
	hak_pool.lru_length++;
	hak_ss_set_place(index, HAK_PLACE_LRU);
	hak_stat_add(lru_pushes, 1);
	hak_trace_lru_push(hak_ss_address(index), hak_pool.lru_length, hak_settings.ss_lru);
}

void hak_lru_take(uint32_t index)
{
	lru_unlink(index);
	hak_stat_add(lru_hits, 1);
	hak_trace_lru_pop(hak_ss_address(index), hak_pool.lru_length, hak_settings.ss_lru);
}
