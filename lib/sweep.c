#include "sweep.h"

#include "depot.h"
#include "os.h"
#include "settings.h"
#include "stats.h"
#include "trace.h"

/* Work is counted in what takes about half a microsecond: a page that goes back. A call without any takes as long as
 * two of them, a look at a SuperSlab too. */
#define CALL_WORK 2
#define LOOK_WORK 2
#define WORK_PER_MS 128  /* a sixteenth of the time */
#define ELAPSED_MAX 1000 /* ms that a step makes up for at most */

/* What a slab's record counts up to: visits since it was touched. They are half the purge delay apart, so that with the
 * third the delay is over: that one purges the slab. None after it does until the slab is touched, even if the system
 * refused: its pages may be locked. */
#define IDLE_DUE 2
#define IDLE_PURGED 3

static uint32_t next_ms; /* when the next step is due */
static uint32_t next_ss; /* the SuperSlab that is visited next; who adds to it has claimed that one */

/* ---- A slab ---- */

/* The first block from `from` on, below `end`, whose bit differs from those of `same`; `end` if there is none. */
static unsigned next_block(const uint64_t *bits, unsigned from, unsigned end, uint64_t same)
{
	while (from < end) {
		uint64_t word = (bits[from / 64] ^ same) >> (from % 64);

		if (word) {
			from += (unsigned)__builtin_ctzll(word);
			break;
		}
		from = (from / 64 + 1) * 64;
	}
	return from < end ? from : end;
}

/* Purges the pages from `start` to `end` of a slab. Returns whether the system agreed. */
static bool purge_pages(uint32_t slab, size_t start, size_t end, unsigned *work)
{
	uintptr_t address = hak_slot_address(slab) + start;
	bool ok = hak_os_purge(address, end - start);

	hak_trace_purge(address, end - start, ok);
	*work += CALL_WORK + (unsigned)((end - start) / hak_os_page_size());
	return ok;
}

/* Purges the pages that only free blocks lie in: those that came back, and those that were not carved yet, for the
 * slots may have been used before. Its depot's lock is held. Nobody needs what is in them: free blocks are linked only
 * in batches, and those count as used. */
static void purge_slab(uint32_t slab, unsigned class, unsigned *work)
{
	const struct hak_slot *slot = hak_slot(slab);
	const uint64_t *bits = hak_block_bits(slab);
	size_t block_bytes = hak_size_classes[class].block_bytes;
	size_t page = hak_os_page_size();
	unsigned block = 0;

	while (block < slot->carved) {
		size_t from, to;

		block = next_block(bits, block, slot->carved, 0);
		from = hak_align_up(block * block_bytes, page);
		block = next_block(bits, block, slot->carved, ~0ull);
		to = hak_align_down(block * block_bytes, page);
		if (block == slot->carved)
			to = slot->span * HAK_SLOT_BYTES;
		if (from < to && !purge_pages(slab, from, to, work))
			return;
	}
}

/* Its depot's lock is held. */
static void visit(uint32_t slab, unsigned class, bool at_once, unsigned *work)
{
	struct hak_slot *slot = hak_slot(slab);

	if (slot->distance != 0 || slot->idle == IDLE_PURGED)
		return;
	if (slot->idle < IDLE_DUE && !at_once) {
		slot->idle++;
		return;
	}
	slot->idle = IDLE_PURGED;
	if (slot->used < slot->capacity)
		purge_slab(slab, class, work);
}

/* ---- The heap ---- */

/* The bin of the slab that a slot belongs to by the class map, HAK_BIN_NONE if it is none of a class. What samples are
 * of, the record says, which is the pool's. */
static unsigned bin_in_map(uint32_t slot)
{
	unsigned bin = hak_load_relaxed(&hak_heap.class_map[slot]);

	if (HAK_UNLIKELY(bin == HAK_BIN_SAMPLED)) {
		hak_lock_acquire(&hak_pool.lock);
		bin = hak_slot(slot)->bin;
		hak_lock_release(&hak_pool.lock);
	}
	return hak_bin_is_class(bin) ? bin : HAK_BIN_NONE;
}

/* Visits a SuperSlab's slabs. A slot becomes a class's, and ceases to be, under the lock of that class's depot: what
 * the class map says with the lock held stays true as long as it is. Between two slabs others get a chance at it. */
static void visit_superslab(uint32_t index, bool at_once, unsigned *work)
{
	*work += LOOK_WORK;
	for (uint32_t slot = index * HAK_SLOTS_PER_SS; slot < (index + 1) * HAK_SLOTS_PER_SS; slot++) {
		unsigned bin = bin_in_map(slot);
		struct hak_depot *depot;

		if (bin == HAK_BIN_NONE)
			continue;
		depot = &hak_depots[HAK_CLASS_OF_BIN(bin)];
		hak_lock_acquire(&depot->lock);
		if (bin_in_map(slot) == bin)
			visit(slot, HAK_CLASS_OF_BIN(bin), at_once, work);
		hak_lock_release(&depot->lock);
	}
}

static uint32_t superslabs(void)
{
	return (uint32_t)(hak_load_relaxed(&hak_heap.slots) / HAK_SLOTS_PER_SS);
}

void hak_sweep_due(uint32_t now, unsigned most)
{
	uint32_t period = (uint32_t)(hak_load_relaxed(&hak_settings.purge_delay_ms) / 2);
	uint32_t due = hak_load_relaxed(&next_ms);
	unsigned work = 0, elapsed;

	/* The time to wait is up to a period and a bit, or it is over: the clock may have gone any distance since. */
	if (due - now - 1 <= period)
		return;
	elapsed = now - due < ELAPSED_MAX ? now - due : ELAPSED_MAX;
	if (most > (elapsed + 1) * WORK_PER_MS)
		most = (elapsed + 1) * WORK_PER_MS;
	/* Who gets the turn has it until the next one is taken: only one thread goes on from SuperSlab to SuperSlab. */
	if (!hak_cas_acquire_u32(&next_ms, &due, now + 1))
		return;
	while (work < most && hak_load_relaxed(&next_ms) == now + 1) {
		uint32_t index = hak_add_relaxed(&next_ss, 1u);

		if (index >= superslabs()) {
			hak_store_relaxed(&next_ss, 0);
			hak_store_relaxed(&next_ms, now + 1 + period);
			break;
		}
		visit_superslab(index, false, &work);
	}
}

size_t hak_sweep_all(void)
{
	uint64_t before = hak_stat_get(purged_bytes);
	unsigned work = 0;

	for (uint32_t index = 0; index < superslabs(); index++)
		visit_superslab(index, true, &work);
	return (size_t)(hak_stat_get(purged_bytes) - before);
}
