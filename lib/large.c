#include "large.h"

#include "shared_pool.h"
#include "trace.h"

/* The first slot of the live run that starts at `block`, HAK_NO_SLOT if none does. The pool's lock is held. */
static uint32_t find_run(const void *block)
{
	size_t slot = hak_slot_of_address(block);

	if (slot >= hak_heap.slots || hak_slot_address((uint32_t)slot) != (uintptr_t)block)
		return HAK_NO_SLOT;
	if (hak_heap.class_map[slot] != HAK_BIN_LARGE || hak_slot((uint32_t)slot)->distance != 0)
		return HAK_NO_SLOT;
	return (uint32_t)slot;
}

static size_t slots_for(size_t bytes)
{
	return (bytes + HAK_SLOT_BYTES - 1) >> HAK_SLOT_SHIFT;
}

void *hak_large_alloc(size_t bytes, size_t alignment, bool *zero)
{
	size_t slots = bytes ? slots_for(bytes) : 1;
	size_t superslabs = (slots + HAK_SLOTS_PER_SS - 1) / HAK_SLOTS_PER_SS;
	uint32_t run;
	void *block = NULL;

	if (bytes > HAK_MAX_REQUEST || alignment > HAK_MAX_REQUEST || superslabs >= HAK_NO_SUPERSLAB / HAK_SLOTS_PER_SS)
		return NULL;
	hak_lock_acquire(&hak_pool.lock);
	if (slots <= HAK_LARGE_RUN_MAX && alignment <= HAK_SS_BYTES / 2)
		run = hak_pool_acquire_run((unsigned)slots, alignment, zero);
	else
		run = hak_pool_acquire_superslabs((uint32_t)superslabs, (uint32_t)superslabs * HAK_SLOTS_PER_SS, alignment, zero);
	if (run != HAK_NO_SLOT) {
		block = (void *)hak_slot_address(run);
		hak_pool.large_allocs++;
		hak_trace_large_alloc((uintptr_t)block, bytes, hak_slot(run)->span);
	}
	hak_lock_release(&hak_pool.lock);
	return block;
}

bool hak_large_free(void *block)
{
	uint32_t run;

	hak_lock_acquire(&hak_pool.lock);
	run = find_run(block);
	if (run != HAK_NO_SLOT) {
		hak_trace_large_free((uintptr_t)block, hak_slot(run)->span);
		hak_pool.large_frees++;
		hak_pool_release_run(run);
	}
	hak_lock_release(&hak_pool.lock);
	return run != HAK_NO_SLOT;
}

bool hak_large_resize(void *block, size_t bytes)
{
	size_t slots = slots_for(bytes);
	uint32_t run;
	bool ok = false;

	hak_lock_acquire(&hak_pool.lock);
	run = find_run(block);
	if (run != HAK_NO_SLOT) {
		uint32_t span = hak_slot(run)->span;

		ok = true;
		if (slots < span)
			hak_pool_shrink_run(run, (uint32_t)slots);
		else if (slots > span)
			ok = slots < HAK_NO_SLOT / 2 && hak_pool_extend_run(run, (uint32_t)slots);
	}
	hak_lock_release(&hak_pool.lock);
	return ok;
}

size_t hak_large_usable(const void *block)
{
	size_t bytes = 0;
	uint32_t run;

	hak_lock_acquire(&hak_pool.lock);
	run = find_run(block);
	if (run != HAK_NO_SLOT)
		bytes = (size_t)hak_slot(run)->span << HAK_SLOT_SHIFT;
	hak_lock_release(&hak_pool.lock);
	return bytes;
}
