#include "realloc.h"

#include <errno.h>
#include <string.h>

#include "cache_large.h"
#include "depot.h"
#include "entry.h"
#include "full.h"
#include "guard_page.h"
#include "report.h"
#include "sample.h"
#include "straddle.h"
#include "thread.h"
#include "trace.h"

/* Blocks longer than this get no room to grow when realloc moves them: they can often grow in place. */
#define ROOM_MAX ((size_t)512 << 10)

/* Blocks that a thread freed last, in which realloc looks for the one that it is to move. */
#define FREED_LOOKED_AT 4

/* Of a block that realloc makes smaller this much may lie idle, or it moves. */
#define SPARE_MAX(bytes) ((bytes) / 2)

/* Whether a large block that has a slot or more to spare keeps that. What realloc gave as room, rounded up to a slot,
 * is not taken back at the next step; what is longer loses every slot that it can, or every SuperSlab where what stays is
 * a number of whole ones. */
static bool keeps(size_t old, size_t spare)
{
	if (old > 2 * HAK_SLOT_BYTES && old <= ROOM_MAX + ROOM_MAX / 2)
		return spare <= old / 3 + HAK_SLOT_BYTES;
	return old - spare > HAK_SS_BYTES && spare < HAK_SS_BYTES && !hak_straddle_wanted();
}

/* Whether a live block of `old` bytes has room for `bytes` where it is, and not too much. */
HAK_INLINE bool fits_in(size_t old, size_t bytes)
{
	size_t spare = old - bytes;

	if (bytes > old || bytes == 0)
		return false;
	if (old <= HAK_MAX_SMALL)
		return spare <= SPARE_MAX(old);
	return HAK_LIKELY(spare < HAK_SLOT_BYTES) || keeps(old, spare);
}

/* What to ask for when a block of `old` bytes must move to grow to `bytes`. One that grows by small steps is appended
 * to, and gets room for more of that: half as much again, or it would move at every size class. Up to a slot no more
 * than that: most such blocks end before, and a second slot would be half empty. */
static size_t with_room(size_t old, size_t bytes)
{
	bool small_step = bytes > old && bytes - old < old / 8;
	size_t room = bytes + bytes / 2;

	if (!small_step || bytes > ROOM_MAX)
		return bytes;
	return bytes <= HAK_SLOT_BYTES && room > HAK_SLOT_BYTES ? HAK_SLOT_BYTES : room;
}

static void *move(void *block, size_t old, size_t bytes)
{
	int saved = errno;
	void *moved = hak_malloc_as(with_room(old, bytes), bytes, HAK_ALIGNMENT);

	if (!moved && with_room(old, bytes) != bytes)
		moved = hak_entry_malloc(bytes);
	if (!moved && bytes <= old) {
		/* Where there is no smaller block to be had, the big one does. */
		errno = saved;
		return block;
	}
	if (moved) {
		errno = saved; /* the attempt with room may have failed */
		memcpy(moved, block, old < bytes ? old : bytes);
		hak_entry_free(block);
	}
	return moved;
}

/* A large block that is no sample has grown in place: what it grew by may make it one. */
static void grew(void *block, size_t old, size_t bytes)
{
	struct hak_cache *cache = hak_cache_mine;
	size_t now = hak_large_slots(bytes) * HAK_SLOT_BYTES;

	if (now <= old || !cache || HAK_LIKELY(!hak_cache_samples(cache)))
		return;
	hak_cache_large_grew(cache, now - old);
	hak_or_chosen(block, bytes);
}

static bool resize_sampled(void *block, size_t bytes)
{
	bool done;

	hak_sample_uncover(block, true);
	done = hak_large_resize(block, bytes);
	hak_sample_uncover(block, false);
	return done;
}

/* Whether an ordinary block of a class was freed: where that is plain to see, in its slab or among those that this thread
 * freed last. */
static bool was_freed(const void *block)
{
	unsigned bin = hak_bin_of_address(block);
	const struct hak_block *freed = hak_bins.head[bin];

	if (!hak_bin_is_class(bin))
		return false;
	for (unsigned i = 0; i < FREED_LOOKED_AT && hak_bin_of_address(freed) == bin; i++, freed = freed->next) {
		if (freed == block)
			return true;
	}
	return hak_depot_has_back(block, HAK_CLASS_OF_BIN(bin));
}

static HAK_COLD void *refuse(void *block)
{
	unsigned bin = hak_bin_of_address(block);

	if (bin == HAK_BIN_SAMPLED ? hak_sample_was_freed(block) : hak_usable(block) && was_freed(block))
		hak_report(HAK_REPORT_REALLOC_OF_FREED, block);
	else
		hak_guard_misuse(HAK_REPORT_INVALID_REALLOC, block);
	hak_trace_flush();
	errno = EINVAL;
	return NULL;
}

/* realloc of a sample, by the same rules as of any block. */
static HAK_COLD void *realloc_sampled(void *block, size_t bytes)
{
	size_t old = hak_sample_usable(block);
	bool small = hak_bin_is_class(hak_slot((uint32_t)hak_slot_of_address(block))->bin);
	bool stays = old && fits_in(old, bytes);

	if (!old)
		return refuse(block);
	if (bytes > HAK_MAX_REQUEST)
		return hak_out_of_memory(bytes);
	if (!stays && small)
		stays = bytes <= HAK_MAX_SMALL &&
			hak_size_classes[HAK_CLASS_OF_BIN(hak_bin_of_size(bytes))].block_bytes == old;
	else if (!stays)
		stays = bytes > HAK_MAX_SMALL && resize_sampled(block, bytes);
	if (!stays)
		return move(block, old, bytes);
	hak_sample_resize(block, bytes);
	return block;
}

/* realloc of a guarded block or a sample. */
static HAK_COLD void *realloc_special(void *block, size_t bytes)
{
	size_t old;

	switch (hak_full_resize(block, bytes, &old)) {
	case HAK_FULL_DONE:
		return block;
	case HAK_FULL_MOVE:
		return bytes > HAK_MAX_REQUEST ? hak_out_of_memory(bytes) : move(block, old, bytes);
	case HAK_FULL_REFUSED:
		hak_trace_flush();
		errno = EINVAL;
		return NULL;
	case HAK_FULL_OTHER:
		break;
	}
	return realloc_sampled(block, bytes);
}

/* realloc of a block that stands alone. It moves each time, so that what is known of it, and where its end is, stays true. */
static HAK_COLD void *realloc_alone(void *block, size_t bytes)
{
	size_t old = hak_guard_usable(block);

	if (!old)
		return refuse(block);
	return bytes > HAK_MAX_REQUEST ? hak_out_of_memory(bytes) : move(block, old, bytes);
}

static HAK_NOINLINE void *realloc_slow(void *block, size_t bytes)
{
	size_t old;

	if (!block)
		return hak_entry_malloc(bytes);
	if (bytes == 0) {
		hak_entry_free(block);
		return NULL;
	}
	if (HAK_UNLIKELY(hak_bin_of_address(block) == HAK_BIN_SAMPLED))
		return realloc_special(block, bytes);
	old = hak_usable(block);
	if (!old && hak_guard_page_holds(block))
		return realloc_alone(block, bytes);
	if (!old || was_freed(block))
		return refuse(block);
	if (bytes > HAK_MAX_REQUEST)
		return hak_out_of_memory(bytes);
	if (old <= HAK_MAX_SMALL) {
		/* The smallest class serves less than half of its size too. */
		if (bytes <= HAK_MAX_SMALL &&
			hak_size_classes[HAK_CLASS_OF_BIN(hak_bin_of_size(bytes))].block_bytes == old)
			return block;
	} else if (bytes > HAK_MAX_SMALL && hak_bin_of_address(block) == HAK_BIN_LARGE && hak_large_resize(block, bytes)) {
		grew(block, old, bytes);
		return block;
	}
	return move(block, old, bytes);
}

/* Most calls of programs that append leave the block where it is: those take the short way, without a frame. */
void *hak_entry_realloc(void *block, size_t bytes)
{
	/* usable is 0 for NULL, and then nothing fits. */
	return HAK_LIKELY(fits_in(hak_usable(block), bytes)) ? block : realloc_slow(block, bytes);
}
