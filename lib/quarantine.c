/* A list of pages of notes, which takes as much memory as there are blocks: pages that were emptied wait to be filled
 * again. */
#include "quarantine.h"

#include "arena.h"
#include "lock.h"

#define PAGES_AT_ONCE 16u
#define SLOTS_BITS 20

/* Eight bytes a block: there may be hundreds of thousands. */
struct note {
	uint64_t place : 38; /* from the heap's base, in units of HAK_ALIGNMENT */
	uint64_t bin : 6;
	uint64_t slots : SLOTS_BITS;
};
_Static_assert(sizeof(struct note) == 8, "it is to be packed");
_Static_assert(HAK_BIN_COUNT <= 1u << 6, "a bin fits");

#define NOTES 511u
struct page {
	struct page *next; /* filled later, or spare */
	struct note notes[NOTES];
};

static struct hak_lock lock = HAK_LOCK_INIT(HAK_RANK_QUARANTINE);
static struct page *first, *last, *spare; /* as are all of these, under the lock */
static uint32_t first_note, end_note;     /* in the first page, and in the last */
static uint64_t bytes;                    /* these are read without it */
static uint64_t blocks[HAK_CLASS_COUNT], large, large_slots;

/* ---- Pages ---- */

static struct page *get_page(void)
{
	struct page *page = spare;

	if (!page) {
		page = hak_arena_metadata(PAGES_AT_ONCE * sizeof(*page));
		if (!page)
			return NULL;
		for (unsigned i = 0; i + 1 < PAGES_AT_ONCE; i++)
			page[i].next = &page[i + 1];
	}
	spare = page->next;
	page->next = NULL;
	return page;
}

/* Makes sure that there is room behind the last note. */
static bool has_room(void)
{
	struct page *page;

	if (last && end_note < NOTES)
		return true;
	page = get_page();
	if (!page)
		return false;
	if (last)
		last->next = page;
	else
		first = page;
	last = page;
	end_note = 0;
	return true;
}

/* The first page is spare when its last note is taken; so is the only one. */
static void drop_page_if_empty(void)
{
	struct page *page = first;

	if (first_note < (page == last ? end_note : NOTES))
		return;
	first = page->next;
	if (!first)
		last = NULL;
	page->next = spare;
	spare = page;
	first_note = 0;
}

/* ---- Blocks ---- */

static uint64_t bytes_of(const struct hak_kept *block)
{
	return block->bin == HAK_BIN_LARGE ? block->slots * HAK_SLOT_BYTES
					   : hak_size_classes[HAK_CLASS_OF_BIN(block->bin)].block_bytes;
}

/* With the lock held: one block came, or went. */
static void count(const struct hak_kept *block, bool came)
{
	uint64_t one = came ? 1 : (uint64_t)-1;

	hak_single_writer_add(&bytes, one * bytes_of(block));
	if (block->bin != HAK_BIN_LARGE) {
		hak_single_writer_add(&blocks[HAK_CLASS_OF_BIN(block->bin)], one);
		return;
	}
	hak_single_writer_add(&large, one);
	hak_single_writer_add(&large_slots, one * block->slots);
}

bool hak_quarantine_put(const struct hak_kept *block)
{
	bool ok;

	if (block->slots >> SLOTS_BITS)
		return false;
	hak_lock_acquire(&lock);
	ok = has_room();
	if (ok) {
		last->notes[end_note++] = (struct note){
			.place = (block->block - hak_heap.base) / HAK_ALIGNMENT,
			.bin = block->bin,
			.slots = block->slots,
		};
		count(block, true);
	}
	hak_lock_release(&lock);
	return ok;
}

bool hak_quarantine_take(uint64_t limit, struct hak_kept *out)
{
	bool found;

	if (hak_load_relaxed(&bytes) <= limit)
		return false;
	hak_lock_acquire(&lock);
	found = bytes > limit;
	if (found) {
		struct note note = first->notes[first_note++];

		*out = (struct hak_kept){
			.block = hak_heap.base + (uintptr_t)note.place * HAK_ALIGNMENT, .bin = note.bin, .slots = note.slots};
		count(out, false);
		drop_page_if_empty();
	}
	hak_lock_release(&lock);
	return found;
}

uint64_t hak_quarantine_bytes(void)
{
	return hak_load_relaxed(&bytes);
}

uint64_t hak_quarantine_blocks(unsigned class)
{
	return hak_load_relaxed(&blocks[class]);
}

uint64_t hak_quarantine_large(void)
{
	return hak_load_relaxed(&large);
}

uint64_t hak_quarantine_slots(void)
{
	return hak_load_relaxed(&large_slots);
}

void hak_quarantine_fork_lock(void)
{
	hak_lock_acquire(&lock);
}

void hak_quarantine_fork_unlock(void)
{
	hak_lock_release(&lock);
}
