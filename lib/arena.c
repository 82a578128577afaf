#include "arena.h"

#include "os.h"
#include "record.h"
#include "trace.h"

struct hak_heap hak_heap;
struct hak_group *hak_groups;

/* Steps in which the heap becomes accessible. Growing steps keep the number of system calls logarithmic; the largest
 * bounds what a strict overcommit policy charges for memory that is not in use yet. */
#define STEP_MIN 4u /* SuperSlabs */
#define STEP_MAX 64u

#define RESERVE_MIN (HAK_SS_BYTES * 4)

/* Below the heap in its reservation lie the groups, growing downwards, and right above them the class map, growing
 * upwards; so one part of all that, around the place where they meet, is accessible. Gaps keep it apart from the heap
 * and from what lies below. */
#define GAP HAK_SLOT_BYTES

/* The class map begins off its page's start. Processors compare the low 12 bits of addresses first when they look for
 * a store that a load depends on: slot 0's byte must not look like the block at that slot's start, which programs write
 * to just before they free it. */
#define MAP_SKEW 2056

/* Under a limit on address space: the reservation starts with a share of it and grows by small ones, the program needs
 * the rest; what lies unused in it is a small share too. */
#define FIRST_SHARE(limit) ((limit) / 4)
#define FURTHER_SHARE(limit) ((limit) / 32)
#define IDLE_SHARE(limit) ((limit) / 64)

static uintptr_t reservation;                /* where it starts */
static uintptr_t metadata_from, metadata_to; /* the accessible part */

static uint32_t extent;    /* SuperSlabs that the metadata arrays have room for */
static uint32_t reserved;  /* SuperSlabs of address space that are ours */
static uint32_t committed; /* SuperSlabs that are accessible; read without the lock */
static uint32_t taken;     /* SuperSlabs that were given out */
static uint32_t away;      /* of those, SuperSlabs whose address range was given back */
static bool limited;       /* address space is, to `extent` SuperSlabs */
static bool dump_all;      /* the whole reservation is in core dumps */
static bool small_pages;   /* the metadata's part of it has no huge pages */
static uint32_t step = STEP_MIN;
static uint64_t metadata_extra;

/* In steps that cover 4 GiB of heap each, to save calls. */
static size_t map_bytes(uint32_t superslabs)
{
	return hak_align_up(MAP_SKEW + (size_t)superslabs * HAK_SLOTS_PER_SS, HAK_SLOT_BYTES);
}

static size_t metadata_bytes(uint32_t superslabs)
{
	size_t groups = (superslabs + HAK_GROUP_SUPERSLABS - 1) / HAK_GROUP_SUPERSLABS;

	return hak_align_up(GAP + groups * sizeof(struct hak_group) + map_bytes(superslabs) + GAP, HAK_SS_BYTES);
}

/* Lays the metadata out below the heap. */
static void metadata_place(uintptr_t heap, uint32_t superslabs)
{
	uintptr_t map = heap - GAP - map_bytes(superslabs);

	metadata_from = metadata_to = map;
	extent = superslabs;
	hak_groups = (struct hak_group *)map - 1;
	hak_heap.base = heap;
	hak_heap.class_map = (uint8_t *)map + MAP_SKEW;
}

/* Makes the metadata accessible for SuperSlab numbers below `superslabs`. */
static bool metadata_commit(uint32_t superslabs)
{
	uintptr_t lowest = (uintptr_t)hak_block_bits(superslabs * HAK_SLOTS_PER_SS - 1);
	uintptr_t from = hak_align_down(lowest, hak_os_page_size());
	uintptr_t to = (uintptr_t)hak_heap.class_map - MAP_SKEW + map_bytes(superslabs);

	/* It may have grown further before, where the heap then couldn't. */
	from = from < metadata_from ? from : metadata_from;
	to = to > metadata_to ? to : metadata_to;
	if (metadata_from == metadata_to) {
		if (!hak_os_commit(from, to - from))
			return false;
	} else {
		if (from < metadata_from && !hak_os_commit(from, metadata_from - from))
			return false;
		metadata_from = from;
		if (to > metadata_to && !hak_os_commit(metadata_to, to - metadata_to))
			return false;
	}
	metadata_from = from;
	metadata_to = to;
	/* It is sparse. While it is smaller, no huge page fits. What will be accessible later is told so too, or it
	 * would be a mapping of its own. */
	if (to - from >= HAK_SS_BYTES && !small_pages) {
		hak_os_no_huge_pages(reservation, hak_heap.base - reservation);
		small_pages = true;
	}
	return true;
}

/* A place for the heap with free address space above it, so that it can grow there when it had to start small, and that
 * differs from run to run. Low in the 47- or 48-bit space, far below where programs and libraries are put. 0 where no
 * such place is known. */
static uintptr_t heap_hint(void)
{
#if (defined(__x86_64__) || defined(__aarch64__)) && !HAK_TSAN
	return ((uintptr_t)16 << 40) + ((hak_os_random() & 0x3fff) << 30);
#else
	return 0;
#endif
}

/* Reserves `bytes` that start at a multiple of a SuperSlab's size. That is so where the hint is taken; elsewhere a
 * SuperSlab more is asked for, and what alignment leaves over at the top given back: the next reservation goes there.
 */
static uintptr_t reserve_aligned(size_t bytes)
{
	uintptr_t address = hak_os_reserve(heap_hint(), bytes, false);
	size_t off;

	if (address % HAK_SS_BYTES == 0)
		return address;
	hak_os_unmap((void *)address, bytes);
	address = hak_os_reserve(0, bytes + HAK_SS_BYTES, false);
	off = hak_align_up(address, HAK_SS_BYTES) - address;
	if (address)
		hak_os_unmap((void *)(address + off + bytes), HAK_SS_BYTES - off);
	return hak_align_up(address, HAK_SS_BYTES);
}

bool hak_arena_init(size_t reserve)
{
	size_t limit = hak_os_address_space_limit();
	size_t most = reserve;
	size_t bytes;

	if (hak_heap.class_map)
		return true;
	limited = limit < most;
	if (limited)
		most = limit;
	for (bytes = limited ? FIRST_SHARE(most) : most; bytes >= RESERVE_MIN; bytes /= 2, most /= 2) {
		size_t metadata = metadata_bytes((uint32_t)(most >> HAK_SS_SHIFT));
		uintptr_t address = reserve_aligned(metadata + hak_align_down(bytes, HAK_SS_BYTES));

		if (address) {
			reservation = address;
			metadata_place(address + metadata, (uint32_t)(most >> HAK_SS_SHIFT));
			reserved = (uint32_t)(bytes >> HAK_SS_SHIFT);
			return true;
		}
	}
	return false;
}

/* Reserves more address space right above ours, as much again as there is, a small share of what is limited, or what
 * can be had, at least `need` SuperSlabs. */
static bool reserve_more(uint32_t need)
{
	uint32_t want = limited ? FURTHER_SHARE(extent) : reserved;

	if (need > extent - reserved)
		return false;
	if (want < need)
		want = need;
	if (want > extent - reserved)
		want = extent - reserved;
	for (; want >= need; want /= 2) {
		uintptr_t end = hak_ss_address(reserved);

		if (hak_os_reserve(end, (size_t)want << HAK_SS_SHIFT, true) == end) {
			reserved += want;
			dump_all = false;
			return true;
		}
		if (want == need)
			break;
		if (want / 2 < need)
			want = need * 2;
	}
	return false;
}

static bool commit_to(uint32_t superslabs)
{
	uintptr_t from = hak_ss_address(committed);
	size_t bytes = (size_t)(superslabs - committed) << HAK_SS_SHIFT;

	if (!metadata_commit(superslabs) || !hak_os_commit(from, bytes))
		return false;
	hak_store_relaxed(&committed, superslabs);
	hak_trace_commit(from, bytes);
	return true;
}

/* Where the process has as many mappings as it may have, ours can still grow, if what grows and what shrinks differ in
 * nothing but access. So the accessible part's neighbours are put into core dumps like itself. Returns whether that may
 * have changed anything. */
static bool make_neighbours_alike(void)
{
	if (dump_all)
		return false;
	hak_os_dump(reservation, hak_ss_address(reserved) - reservation);
	dump_all = true;
	return true;
}

/* Makes SuperSlabs accessible up to `end` at least: a whole step if the system allows it, else just those. */
static bool commit_step(uint32_t end)
{
	uint32_t goal = committed + step > end ? committed + step : end;

	if (end > reserved && !reserve_more(end - reserved))
		return false;
	if (goal > reserved)
		goal = reserved;
	if (commit_to(goal)) {
		if (step < STEP_MAX)
			step *= 2;
		return true;
	}
	return (goal > end && commit_to(end)) || (make_neighbours_alike() && commit_to(end));
}

/* The record of a SuperSlab that is taken for the first time: all slots UNUSED, and zero as the system gave them. */
static void create_record(uint32_t index)
{
	struct hak_superslab *ss = hak_ss(index);

	ss->unused = ~0u;
	ss->zero = ~0u;
	ss->place = HAK_PLACE_NONE;
	ss->since_ms = hak_os_clock_ms();
}

uint32_t hak_arena_take(uint32_t count, size_t alignment, uint32_t *skipped_first, uint32_t *skipped_count)
{
	uint32_t first = taken;
	uintptr_t start = hak_align_up(hak_ss_address(first), alignment);
	size_t skip = (start - hak_ss_address(first)) >> HAK_SS_SHIFT;

	*skipped_first = first;
	*skipped_count = 0;
	if (!hak_heap.class_map || skip + count > extent - first)
		return HAK_NO_SUPERSLAB;
	if (first + skip + count > committed && !commit_step((uint32_t)(first + skip + count)))
		return HAK_NO_SUPERSLAB;
	*skipped_count = (uint32_t)skip;
	taken = (uint32_t)(first + skip + count);
	for (uint32_t i = first; i < taken; i++)
		create_record(i);
	hak_store_relaxed(&hak_heap.slots, (size_t)taken * HAK_SLOTS_PER_SS);
	return (uint32_t)(first + skip);
}

bool hak_arena_give_back(uint32_t first, uint32_t count)
{
	if (!limited || reserved - away <= FIRST_SHARE(extent))
		return false;
	if (!hak_os_unmap((void *)hak_ss_address(first), (size_t)count << HAK_SS_SHIFT))
		return false;
	for (uint32_t i = first; i < first + count; i++) {
		hak_ss(i)->away = true;
		hak_ss(i)->zero = ~0u;
	}
	hak_store_release(&away, away + count); /* pairs with the acquire in hak_arena_committed_bytes, as the other does */
	return true;
}

void hak_arena_give_back_retired(uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		if (hak_ss(i)->place == HAK_PLACE_RETIRED && !hak_ss(i)->away)
			hak_arena_give_back(i, 1);
	}
}

int hak_arena_get_back(uint32_t first, uint32_t count)
{
	uint32_t i = first;

	while (i < first + count) {
		uint32_t length = 0;
		int error;

		while (i + length < first + count && hak_ss(i + length)->away)
			length++;
		if (!length) {
			i++;
			continue;
		}
		error = hak_os_map_at(hak_ss_address(i), (size_t)length << HAK_SS_SHIFT);
		if (error) {
			hak_arena_give_back_retired(first, i - first);
			return error;
		}
		for (uint32_t end = i + length; i < end; i++)
			hak_ss(i)->away = false;
		hak_store_release(&away, away - length);
	}
	return 0;
}

uint32_t hak_arena_idle_max(void)
{
	return !limited ? UINT32_MAX : IDLE_SHARE(extent) < 1 ? 1 : IDLE_SHARE(extent);
}

uint32_t hak_arena_reserved(void)
{
	return reserved;
}

uint32_t hak_arena_extent(void)
{
	return extent;
}

bool hak_arena_is_tight(void)
{
	return extent <= HAK_TIGHT_SUPERSLABS;
}

uint32_t hak_arena_taken(void)
{
	return taken;
}

uint64_t hak_arena_reserved_bytes(void)
{
	return (uint64_t)(reserved - away) << HAK_SS_SHIFT;
}

uint64_t hak_arena_committed_bytes(void)
{
	/* `away` first, which never exceeds what was committed by then: others change both. */
	uint32_t gone = hak_load_acquire(&away);

	return (uint64_t)(hak_load_relaxed(&committed) - gone) << HAK_SS_SHIFT;
}

uint64_t hak_arena_metadata_bytes(void)
{
	return hak_load_relaxed(&metadata_extra) + (metadata_to - metadata_from);
}

void *hak_arena_metadata(size_t bytes)
{
	void *p = hak_os_map(bytes);

	if (p)
		hak_add_relaxed(&metadata_extra, bytes);
	return p;
}
