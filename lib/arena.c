#include "arena.h"

#include "os.h"
#include "record.h"
#include "trace.h"

struct hak_heap hak_heap;
struct hak_superslab *hak_superslabs;
uint64_t (*hak_slot_bits)[HAK_BLOCK_WORDS];
uint64_t (*hak_set_words[3])[HAK_SET_COUNT];

/* Steps in which the heap becomes accessible. Growing steps keep the number of system calls logarithmic; the largest
 * bounds what a strict overcommit policy charges for memory that is not in use yet. */
#define STEP_MIN 4u /* SuperSlabs */
#define STEP_MAX 64u

#define RESERVE_MIN (HAK_SS_BYTES * 4)

/* An array in the metadata reservation: items for SuperSlab numbers up to the extent, of which a prefix is accessible.
 */
struct section {
	uintptr_t address;
	size_t item_bytes; /* for each `superslabs_per_item` SuperSlabs */
	uint32_t superslabs_per_item;
	size_t committed; /* bytes */
};

enum { SECTION_MAP, SECTION_RECORDS, SECTION_BITS, SECTION_SETS_0, SECTION_SETS_1, SECTION_SETS_2, SECTION_COUNT };

static struct section sections[SECTION_COUNT] = {
	[SECTION_MAP] = {.item_bytes = HAK_SLOTS_PER_SS, .superslabs_per_item = 1},
	[SECTION_RECORDS] = {.item_bytes = sizeof(struct hak_superslab), .superslabs_per_item = 1},
	[SECTION_BITS] = {.item_bytes = sizeof(uint64_t) * HAK_BLOCK_WORDS * HAK_SLOTS_PER_SS,
		.superslabs_per_item = 1},
	[SECTION_SETS_0] = {.item_bytes = sizeof(uint64_t) * HAK_SET_COUNT, .superslabs_per_item = 64},
	[SECTION_SETS_1] = {.item_bytes = sizeof(uint64_t) * HAK_SET_COUNT, .superslabs_per_item = 64 * 64},
	[SECTION_SETS_2] = {.item_bytes = sizeof(uint64_t) * HAK_SET_COUNT, .superslabs_per_item = 64 * 64 * 64},
};

static uint32_t extent;    /* SuperSlabs that the metadata arrays have room for */
static uint32_t reserved;  /* SuperSlabs of address space that are ours */
static uint32_t committed; /* SuperSlabs that are accessible; read without the lock */
static uint32_t taken;     /* SuperSlabs that were given out */
static uint32_t step = STEP_MIN;
static uint64_t metadata_extra;

static size_t section_bytes(const struct section *section, uint32_t superslabs)
{
	size_t items = (superslabs + section->superslabs_per_item - 1) / section->superslabs_per_item;

	return hak_align_up(items * section->item_bytes, hak_os_page_size());
}

/* Sections with several commits to come are kept two pages apart at least, so that none runs into the next unnoticed.
 */
static bool metadata_reserve(uint32_t superslabs)
{
	size_t gap = 2 * hak_os_page_size();
	size_t total = gap;
	uintptr_t address;

	for (unsigned i = 0; i < SECTION_COUNT; i++)
		total += section_bytes(&sections[i], superslabs) + gap;
	address = hak_os_reserve(0, total, false);
	if (!address)
		return false;
	hak_os_no_huge_pages(address, total);
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		sections[i].address = address + gap;
		sections[i].committed = 0;
		address += gap + section_bytes(&sections[i], superslabs);
	}
	extent = superslabs;
	hak_heap.class_map = (uint8_t *)sections[SECTION_MAP].address;
	hak_superslabs = (struct hak_superslab *)sections[SECTION_RECORDS].address;
	hak_slot_bits = (uint64_t(*)[HAK_BLOCK_WORDS])sections[SECTION_BITS].address;
	for (unsigned level = 0; level < 3; level++)
		hak_set_words[level] = (uint64_t(*)[HAK_SET_COUNT])sections[SECTION_SETS_0 + level].address;
	return true;
}

/* Makes the arrays accessible for SuperSlab numbers below `superslabs`. The small arrays grow by 64 KiB at least, to
 * save calls. */
static bool metadata_commit(uint32_t superslabs)
{
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		struct section *section = &sections[i];
		size_t whole = section_bytes(section, extent);
		size_t want = section_bytes(section, superslabs);

		if (want <= section->committed)
			continue;
		if (i != SECTION_BITS)
			want = hak_align_up(want, HAK_SLOT_BYTES);
		if (want > whole)
			want = whole;
		if (!hak_os_commit(section->address + section->committed, want - section->committed))
			return false;
		section->committed = want;
	}
	return true;
}

/* A place for the heap with free address space above it, so that it can grow there when it had to start small, and that
 * differs from run to run. Low in the 47-bit space, far below where programs and libraries are put. 0 where no such
 * place is known. */
static uintptr_t heap_hint(void)
{
#if defined(__x86_64__) && !HAK_TSAN
	return ((uintptr_t)16 << 40) + ((hak_os_random() & 0x3fff) << 30);
#else
	return 0;
#endif
}

bool hak_arena_init(size_t reserve)
{
	size_t limit = hak_os_address_space_limit();
	size_t most = reserve;
	size_t bytes;

	if (hak_heap.class_map)
		return true;
	if (limit != SIZE_MAX && limit < most)
		most = limit;
	/* Of a limited address space a quarter is taken at once: the program needs the rest for its stacks, libraries
	 * and mappings. */
	bytes = most < reserve ? most / 4 : most;
	for (;; bytes /= 2, most /= 2) {
		uintptr_t address;

		if (bytes < RESERVE_MIN)
			return false;
		address = hak_os_reserve(heap_hint(), hak_align_down(bytes, HAK_SS_BYTES) + HAK_SS_BYTES, false);
		if (!address)
			continue;
		if (metadata_reserve((uint32_t)(most >> HAK_SS_SHIFT))) {
			hak_heap.base = hak_align_up(address, HAK_SS_BYTES);
			reserved = (uint32_t)(bytes >> HAK_SS_SHIFT);
			/* What alignment left over at the top belongs to the next reservation, should there be one. */
			hak_os_unmap((void *)(hak_heap.base + ((uintptr_t)reserved << HAK_SS_SHIFT)),
				HAK_SS_BYTES - (hak_heap.base - address));
			return true;
		}
		hak_os_unmap((void *)address, hak_align_down(bytes, HAK_SS_BYTES) + HAK_SS_BYTES);
	}
}

/* Reserves more address space right above ours, as much again as there is, or what can be had, at least `need`
 * SuperSlabs. */
static bool reserve_more(uint32_t need)
{
	uint32_t want = reserved;

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
	return goal > end && commit_to(end);
}

/* The record of a SuperSlab that is taken for the first time: all slots UNUSED, and zero as the system gave them. */
static void create_record(uint32_t index)
{
	struct hak_superslab *ss = &hak_superslabs[index];

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

uint32_t hak_arena_taken(void)
{
	return taken;
}

uint64_t hak_arena_reserved_bytes(void)
{
	return (uint64_t)reserved << HAK_SS_SHIFT;
}

uint64_t hak_arena_committed_bytes(void)
{
	return (uint64_t)hak_load_relaxed(&committed) << HAK_SS_SHIFT;
}

uint64_t hak_arena_metadata_bytes(void)
{
	uint64_t bytes = hak_load_relaxed(&metadata_extra);

	for (unsigned i = 0; i < SECTION_COUNT; i++)
		bytes += sections[i].committed;
	return bytes;
}

void *hak_arena_metadata(size_t bytes)
{
	void *p = hak_os_map(bytes);

	if (p)
		hak_add_relaxed(&metadata_extra, bytes);
	return p;
}
