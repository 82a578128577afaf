/* The mapping: a gap, then places and gaps by turns. Each place has a record, which is written by whoever has taken the place
 * out of the others' sight under the lock; the system calls are made without it. */
#include "guard_page.h"

#include <string.h>

#include "atomic.h"
#include "lock.h"
#include "os.h"
#include "poisson.h"
#include "report.h"
#include "settings.h"
#include "size_class.h"

#define NO_PLACE UINT32_MAX
#define READ_TRIES 1000 /* a writer is soon done, if it is not the thread that this one interrupted */

enum place_state { PLACE_UNUSED, PLACE_IN_MOTION, PLACE_LIVE, PLACE_FREED };

struct place {
	struct hak_guarded block; /* this and the next are read without the lock: read_record */
	struct hak_guarded earlier; /* the one before it, which may have lain elsewhere in the place */
	void *ordinary;
	uint32_t sequence; /* odd while they are written, by whoever has taken the place out of sight */
	uint32_t next;   /* FREED: freed after this one */
	uint8_t state;   /* enum place_state; the lock's */
	uint8_t opened;  /* some page of it, or beside it, was made accessible after a fault */
	uint8_t pattern; /* that the rest of its pages holds */
};

struct hak_guard_pages hak_guard_pages;

static struct hak_lock lock = HAK_LOCK_INIT(HAK_RANK_GUARDS);
static struct place *places;
static uint32_t place_count;
static size_t place_bytes;                               /* whole pages; a gap is as long */
static uint32_t used;                                    /* places that were ever taken: the first of them. The lock's */
static uint32_t freed_first = NO_PLACE, freed_last = NO_PLACE; /* the longest freed first. The lock's */
static uint64_t random;                                  /* the lock's */
static uint64_t live, freed, freed_bytes, taken, lost, checked;

/* ---- Places ---- */

bool hak_guard_page_start(uint32_t wanted, uint64_t seed)
{
	size_t page = hak_os_page_size(), bytes = HAK_MAX_SMALL > page ? HAK_MAX_SMALL : page;
	uintptr_t start = 0;

	if (place_count)
		return true;
	for (; wanted && !start; wanted /= 2) {
		struct place *made = hak_os_map(wanted * sizeof(*made));

		start = made ? hak_os_reserve(0, (2 * (size_t)wanted + 1) * bytes, false) : 0;
		if (!start) {
			if (made)
				hak_os_unmap(made, wanted * sizeof(*made));
			continue;
		}
		/* Whoever looks into a dump of the process will want to see them. */
		hak_os_dump(start, (2 * (size_t)wanted + 1) * bytes);
		places = made;
		place_bytes = bytes;
		random = hak_random_begin(seed, 0);
		hak_store_relaxed(&hak_guard_pages.start, start);
		hak_store_release(&hak_guard_pages.bytes, (2 * (size_t)wanted + 1) * bytes); /* who has a block sees both */
		hak_store_release(&place_count, wanted); /* pairs with the acquire in hak_guard_page_find */
	}
	return place_count != 0;
}

void hak_guard_page_shuffle(uint64_t seed)
{
	hak_lock_acquire(&lock);
	random = hak_random_begin(seed, 0);
	hak_lock_release(&lock);
}

static uintptr_t place_start(uint32_t number)
{
	return hak_guard_pages.start + (2 * (size_t)number + 1) * place_bytes;
}

/* The place that holds `address`, or is followed by the gap that does; the first one of those that lie before it. */
static uint32_t place_of(uintptr_t address)
{
	size_t parts = (address - hak_guard_pages.start) / place_bytes;

	return parts ? (uint32_t)((parts - 1) / 2) : 0;
}

/* A record's facts, which somebody may read at this moment. */
static void copy(struct hak_guarded *to, const struct hak_guarded *from)
{
	typedef uint64_t __attribute__((may_alias)) word;
	const word *in = (const word *)from;
	word *out = (word *)to;

	_Static_assert(sizeof(*to) % sizeof(*in) == 0, "facts are whole words");
	for (size_t i = 0; i < sizeof(*to) / sizeof(*in); i++)
		hak_store_relaxed(&out[i], hak_load_relaxed(&in[i]));
}

/* Writes a place's record; what is there becomes the earlier one if another block comes. A sequence lock: whoever reads one of
 * these words by try_to_read sees the odd sequence, or a later one. */
static void write_record(struct place *place, const struct hak_guarded *block, bool another)
{
	uint32_t before = hak_load_relaxed(&place->sequence);

	hak_store_relaxed(&place->sequence, before + 1);
	hak_fence_release(); /* pairs with the acquire fence in try_to_read */
	if (another)
		copy(&place->earlier, &place->block);
	copy(&place->block, block);
	hak_store_release(&place->sequence, before + 2); /* pairs with the acquire load in try_to_read */
}

/* Returns false if the record is being written. */
static bool try_to_read(const struct place *place, struct hak_guarded *block, struct hak_guarded *earlier)
{
	uint32_t before = hak_load_acquire(&place->sequence);

	if (before & 1)
		return false;
	copy(block, &place->block);
	copy(earlier, &place->earlier);
	hak_fence_acquire();
	return hak_load_relaxed(&place->sequence) == before;
}

/* Both are empty where they can't be read whole. */
static void read_record(const struct place *place, struct hak_guarded *block, struct hak_guarded *earlier)
{
	for (unsigned i = 0; i < READ_TRIES; i++) {
		if (try_to_read(place, block, earlier))
			return;
	}
	*block = *earlier = (struct hak_guarded){.address = 0};
}

static size_t room_of(const struct hak_guarded *block)
{
	return block->bytes ? block->bytes : 1; /* a block of no bytes has an address of its own, and a byte to point to */
}

/* The pages that a block lies on, from *start to the end that is returned. */
static uintptr_t pages_of(const struct hak_guarded *block, uintptr_t *start)
{
	*start = hak_align_down(block->address, hak_os_page_size());
	return hak_align_up(block->address + room_of(block), hak_os_page_size());
}

static bool close_pages(uint32_t number)
{
	struct place *place = &places[number];
	uintptr_t start, end;

	if (hak_load_relaxed(&place->opened)) {
		/* Perhaps outside of the block's pages: all of it, and the gaps. */
		hak_store_relaxed(&place->opened, 0);
		return hak_os_protect(place_start(number) - place_bytes, 3 * place_bytes, false);
	}
	end = pages_of(&place->block, &start);
	return hak_os_protect(start, end - start, false);
}

/* ---- Taking ---- */

/* Where a block goes in a place: 0 if it doesn't fit. */
static uintptr_t choose_address(uint32_t number, const struct hak_guarded *wanted, bool at_end)
{
	uintptr_t start = place_start(number), end = start + place_bytes;
	uintptr_t alignment = (uintptr_t)1 << wanted->align_shift, address;

	if (room_of(wanted) > place_bytes || alignment > place_bytes)
		return 0;
	address = at_end ? hak_align_down(end - room_of(wanted), alignment) : hak_align_up(start, alignment);
	return address >= start && address + room_of(wanted) <= end ? address : 0;
}

/* A free place, in nobody's sight: one that was never used, else the one that was freed the longest ago. */
static uint32_t take_place(uint64_t *chance)
{
	uint32_t number = NO_PLACE;

	hak_lock_acquire(&lock);
	*chance = hak_random_next(&random);
	if (used < place_count) {
		number = used++;
	} else if (freed_first != NO_PLACE) {
		number = freed_first;
		freed_first = places[number].next;
		if (freed_first == NO_PLACE)
			freed_last = NO_PLACE;
		hak_single_writer_add(&freed, -1);
		hak_single_writer_add(&freed_bytes, -places[number].block.bytes);
	}
	if (number == NO_PLACE)
		hak_single_writer_add(&lost, 1);
	else
		places[number].state = PLACE_IN_MOTION;
	hak_lock_release(&lock);
	return number;
}

/* A place is free again, or for the first time: it is used next when all others have been. */
static void queue_place(uint32_t number)
{
	places[number].state = PLACE_FREED;
	places[number].next = NO_PLACE;
	if (freed_last == NO_PLACE)
		freed_first = number;
	else
		places[freed_last].next = number;
	freed_last = number;
	hak_single_writer_add(&freed, 1);
	hak_single_writer_add(&freed_bytes, places[number].block.bytes);
}

/* Makes the block's pages accessible, and no others of its place. */
static bool open_pages(uint32_t number, const struct hak_guarded *block)
{
	uintptr_t start, end = pages_of(block, &start);

	if (hak_load_relaxed(&places[number].opened) && !close_pages(number))
		return false;
	return hak_os_protect(start, end - start, true);
}

static void surround(const struct hak_guarded *block, uint8_t pattern)
{
	uintptr_t start, end = pages_of(block, &start), block_end = block->address + room_of(block);

	memset((void *)start, pattern, block->address - start);
	memset((void *)block_end, pattern, end - block_end);
}

void *hak_guard_page_take(const struct hak_guarded *wanted, void *ordinary)
{
	struct hak_guarded block = *wanted;
	uint64_t chance;
	uint32_t number;
	bool ok;

	if (!hak_load_relaxed(&place_count) || !choose_address(0, wanted, false))
		return NULL;
	number = take_place(&chance);
	if (number == NO_PLACE)
		return NULL;
	block.address = choose_address(number, wanted, chance >> 63);
	block.level = HAK_GUARD_SAMPLE;
	block.state = HAK_GUARDED_LIVE;
	block.alloc_tid = (uint32_t)hak_os_tid();
	block.alloc_ns = hak_os_clock_ns();
	ok = open_pages(number, &block);
	if (ok) {
		/* Never zero, nor one that is often written. */
		places[number].pattern = (uint8_t)(0x81 + (chance & 0x3f));
		surround(&block, places[number].pattern);
		write_record(&places[number], &block, true);
		places[number].ordinary = ordinary;
	}
	hak_lock_acquire(&lock);
	if (ok) {
		places[number].state = PLACE_LIVE;
		hak_single_writer_add(&live, 1);
		hak_single_writer_add(&taken, 1);
	} else {
		queue_place(number);
		hak_single_writer_add(&lost, 1);
	}
	hak_lock_release(&lock);
	return ok ? (void *)block.address : NULL;
}

/* ---- Freeing ---- */

/* The part of `bytes` bytes that is not the pattern any more, from *from to *to. Returns false if all of it is. */
static bool find_damage(const uint8_t *bytes, const uint8_t *end, uint8_t pattern, uintptr_t *from, uintptr_t *to)
{
	/* Most are whole: each byte is as the one before it. */
	if (bytes == end || (*bytes == pattern && memcmp(bytes, bytes + 1, (size_t)(end - bytes) - 1) == 0))
		return false;
	while (bytes < end && *bytes == pattern)
		bytes++;
	while (bytes < end && end[-1] == pattern)
		end--;
	*from = (uintptr_t)bytes;
	*to = (uintptr_t)end;
	return true;
}

/* Where nothing was made accessible after a fault, which was reported then. */
static void verify(uint32_t number, const struct hak_guarded *block)
{
	uint8_t pattern = places[number].pattern;
	uintptr_t start, end = pages_of(block, &start), from, to;

	if (hak_load_relaxed(&places[number].opened))
		return;
	hak_add_relaxed(&checked, 1u);
	if (find_damage((const uint8_t *)start, (const uint8_t *)block->address, pattern, &from, &to))
		hak_report_damage(HAK_REPORT_UNDERFLOW, (void *)from, to - from, block);
	if (find_damage((const uint8_t *)block->address + room_of(block), (const uint8_t *)end, pattern, &from, &to))
		hak_report_damage(HAK_REPORT_OVERFLOW, (void *)from, to - from, block);
}

/* Takes the live block at this address out of the others' sight. */
static bool withdraw(uint32_t number, uintptr_t address)
{
	bool ok;

	hak_lock_acquire(&lock);
	ok = places[number].state == PLACE_LIVE && places[number].block.address == address;
	if (ok)
		places[number].state = PLACE_IN_MOTION;
	hak_lock_release(&lock);
	return ok;
}

bool hak_guard_page_free(void *p, uint32_t stack, void **ordinary)
{
	uint32_t number = place_of((uintptr_t)p);
	struct hak_guarded block;

	if (!withdraw(number, (uintptr_t)p))
		return false;
	*ordinary = places[number].ordinary;
	block = places[number].block;
	block.free_stack = stack;
	block.free_tid = (uint32_t)hak_os_tid();
	block.free_ns = hak_os_clock_ns();
	verify(number, &block);
	block.state = HAK_GUARDED_FREED;
	write_record(&places[number], &block, false);
	close_pages(number);
	hak_lock_acquire(&lock);
	hak_single_writer_add(&live, -1);
	queue_place(number);
	hak_lock_release(&lock);
	return true;
}

/* ---- Looking ---- */

size_t hak_guard_page_usable(const void *p)
{
	uint32_t number;
	size_t bytes;

	if (!hak_guard_page_holds(p))
		return 0;
	number = place_of((uintptr_t)p);
	hak_lock_acquire(&lock);
	bytes = places[number].state == PLACE_LIVE && places[number].block.address == (uintptr_t)p ? room_of(&places[number].block)
												    : 0;
	hak_lock_release(&lock);
	return bytes;
}

/* How far from the block an address is. */
static size_t distance(const struct hak_guarded *block, uintptr_t address)
{
	if (address < block->address)
		return block->address - address;
	return address < block->address + room_of(block) ? 0 : address - block->address - room_of(block) + 1;
}

bool hak_guard_page_find(uintptr_t address, struct hak_guarded *out)
{
	uint32_t count = hak_load_acquire(&place_count), middle;
	struct hak_guarded block, earlier, overrun = {.address = 0};
	size_t least = SIZE_MAX;

	*out = (struct hak_guarded){.address = 0};
	if (!count || !hak_guard_page_holds((const void *)address))
		return false;
	middle = place_of(address);
	for (uint32_t number = middle ? middle - 1 : 0; number <= middle + 1 && number < count; number++) {
		read_record(&places[number], &block, &earlier);
		if (number == middle)
			overrun = earlier;
		if (!block.address || distance(&block, address) >= least)
			continue;
		least = distance(&block, address);
		*out = block;
	}
	/* Near the block that has the place now it is rather that one which was overrun. */
	if (least > hak_os_page_size() && overrun.address && distance(&overrun, address) == 0)
		*out = overrun;
	return out->address != 0;
}

bool hak_guard_page_is_gap(uintptr_t address)
{
	return (address - hak_guard_pages.start) / place_bytes % 2 == 0;
}

bool hak_guard_page_open(uintptr_t address)
{
	uint32_t number = place_of(address);

	/* A gap belongs to the places on both sides. */
	hak_store_relaxed(&places[number].opened, 1);
	if (number + 1 < place_count)
		hak_store_relaxed(&places[number + 1].opened, 1);
	return hak_os_protect(hak_align_down(address, hak_os_page_size()), hak_os_page_size(), true);
}

void hak_guard_page_count(struct hak_guard_page_counts *out)
{
	*out = (struct hak_guard_page_counts){
		.places = hak_load_relaxed(&place_count),
		.live = hak_load_relaxed(&live),
		.freed = hak_load_relaxed(&freed),
		.freed_bytes = hak_load_relaxed(&freed_bytes),
		.taken = hak_load_relaxed(&taken),
		.lost = hak_load_relaxed(&lost),
		.checked = hak_load_relaxed(&checked),
	};
}

void hak_guard_page_fork_lock(void)
{
	hak_lock_acquire(&lock);
}

void hak_guard_page_fork_unlock(void)
{
	hak_lock_release(&lock);
}
