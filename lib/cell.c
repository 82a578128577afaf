/* The directory has two levels: a leaf for each group of SuperSlabs (record.h), made when its first cell comes, and a table
 * of all leaves that there can be. */
#include "cell.h"

#include <string.h>

#include "lock.h"
#include "mirror.h"
#include "os.h"
#include "slab_list.h"

#define CHUNK_BYTES ((size_t)512 << 10) /* of memory for records, mapped at a time */

/* Among so many free cells, at least, the next one is chosen, as long as the slab has untouched ones: what it has to
 * choose from grows with it, and a class of which few blocks are used touches few pages. */
#define CHOICE 64u

struct leaf {
	struct hak_cell_record *records[HAK_GROUP_SLOTS];
};

/* An array of records that is in no use. */
struct spare {
	struct spare *next;
} __attribute__((may_alias));

static struct leaf **directory; /* set once */
static uintptr_t chunk_from, chunk_to;                         /* the pool's lock */
static struct spare *spare_arrays[HAK_CLASS_COUNT];  /* the depots' locks */
static uint32_t current[HAK_CLASS_COUNT];                      /* likewise: the slab that the last cell came from */
static struct spare *spare_large;                    /* large_lock */
static struct hak_lock large_lock = HAK_LOCK_INIT(HAK_RANK_CELLS);

uint32_t hak_cell_buckets[HAK_CLASS_COUNT][HAK_DEPOT_BUCKETS];

/* ---- The directory ---- */

bool hak_cell_begin(void)
{
	size_t groups = (hak_arena_extent() + HAK_GROUP_SUPERSLABS - 1) / HAK_GROUP_SUPERSLABS;
	struct leaf **made;

	if (directory)
		return true;
	made = hak_arena_metadata(groups * sizeof(struct leaf *));
	if (!made)
		return false;
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		current[class] = HAK_NO_SLOT;
		for (unsigned b = 0; b < HAK_DEPOT_BUCKETS; b++)
			hak_cell_buckets[class][b] = HAK_NO_SLOT;
	}
	hak_store_release(&directory, made); /* pairs with the acquire in records_of */
	return true;
}

bool hak_cell_is_begun(void)
{
	return hak_load_acquire(&directory) != NULL;
}

/* The records of the slab or large run that begins at `slot`, NULL if it holds no cells. */
static struct hak_cell_record *records_of(uint32_t slot)
{
	struct leaf **leaves = hak_load_acquire(&directory);
	/* Both acquires pair with the releases in set_records. */
	struct leaf *leaf = leaves ? hak_load_acquire(&leaves[slot / HAK_GROUP_SLOTS]) : NULL;

	return leaf ? hak_load_acquire(&leaf->records[slot % HAK_GROUP_SLOTS]) : NULL;
}

/* Memory for records, zeroed. The pool's lock is held. */
static void *carve(size_t bytes)
{
	uintptr_t at;

	if (chunk_to - chunk_from < bytes) {
		void *chunk = hak_arena_metadata(CHUNK_BYTES);

		if (!chunk)
			return NULL;
		chunk_from = (uintptr_t)chunk;
		chunk_to = chunk_from + CHUNK_BYTES;
	}
	at = chunk_from;
	chunk_from += bytes;
	return (void *)at;
}

/* Makes sure that there is a leaf for the slot. The pool's lock is held. */
static bool has_leaf(uint32_t slot)
{
	struct leaf **leaf = &directory[slot / HAK_GROUP_SLOTS];

	if (!*leaf)
		hak_store_release(leaf, carve(sizeof(struct leaf)));
	return *leaf != NULL;
}

static void set_records(uint32_t slot, struct hak_cell_record *records)
{
	hak_store_release(&directory[slot / HAK_GROUP_SLOTS]->records[slot % HAK_GROUP_SLOTS], records);
}

/* ---- Arrays of records ---- */

/* Takes the first array of a list, with its first record all zero as the others are. */
static struct hak_cell_record *pop(struct spare **list)
{
	struct spare *first = *list;

	if (first) {
		*list = first->next;
		first->next = NULL;
	}
	return (struct hak_cell_record *)first;
}

static void push(struct spare **list, struct hak_cell_record *records)
{
	struct spare *first = (struct spare *)records;

	memset(records, 0, sizeof(*records));
	first->next = *list;
	*list = first;
}

static size_t array_bytes(unsigned class)
{
	return hak_align_up(hak_size_classes[class].capacity * sizeof(struct hak_cell_record), hak_os_page_size());
}

/* Gives a slab the records of its cells, all FREE. Its depot's lock is held. */
static bool attach_records(unsigned class, uint32_t slab)
{
	struct hak_cell_record *records = pop(&spare_arrays[class]);
	bool ok;

	hak_lock_acquire(&hak_pool.lock);
	if (!records)
		records = carve(array_bytes(class));
	ok = records && has_leaf(slab);
	if (ok)
		hak_slots_sample(hak_slot_ss(slab), hak_slot_place(slab), hak_slot(slab)->span, HAK_SLOT_GUARDED);
	hak_lock_release(&hak_pool.lock);
	if (ok)
		set_records(slab, records);
	else if (records)
		push(&spare_arrays[class], records);
	return ok;
}

/* Takes them away again: no cell is in use. What they take is given back, but for a page. */
static void detach_records(unsigned class, uint32_t slab)
{
	struct hak_cell_record *records = records_of(slab);
	size_t page = hak_os_page_size();

	set_records(slab, NULL);
	if (array_bytes(class) > page)
		hak_os_purge((uintptr_t)records + page, array_bytes(class) - page);
	memset(records, 0, page < array_bytes(class) ? page : array_bytes(class));
	push(&spare_arrays[class], records);
}

/* ---- Finding ---- */

bool hak_cell_find(uintptr_t address, struct hak_cell *out)
{
	size_t slot = hak_slot_of_address((const void *)address);
	uint32_t slab, index;
	const struct hak_size_class *class;

	if (!hak_load_relaxed(&directory) || slot >= hak_load_relaxed(&hak_heap.slots))
		return false;
	slab = hak_slot_first((uint32_t)slot);
	*out = (struct hak_cell){.record = records_of(slab), .start = hak_slot_address(slab), .slab = slab, .bin = hak_slot(slab)->bin};
	if (!out->record)
		return false;
	if (out->bin == HAK_BIN_LARGE) {
		out->bytes = (size_t)hak_slot(slab)->span * HAK_SLOT_BYTES;
		return true;
	}
	if (!hak_bin_is_class(out->bin))
		return false;
	class = &hak_size_classes[HAK_CLASS_OF_BIN(out->bin)];
	index = hak_block_of_offset(class, (uint32_t)(address - out->start));
	out->record += index;
	out->start += (uintptr_t)index * class->block_bytes;
	out->bytes = class->block_bytes;
	return index < class->capacity;
}

/* ---- Cells of a class ---- */

/* Makes more cells those that the next one is chosen among. */
static void widen(struct hak_slot *slot, uint64_t *bits)
{
	while (slot->free < CHOICE && slot->carved < slot->capacity) {
		bits[slot->carved / 64] |= 1ull << slot->carved % 64;
		slot->carved++;
		slot->free++;
	}
}

/* One of the bits that are set in a word. A part of them is left out by chance, and of the others the first from a random
 * place on is it: each may be. */
static unsigned choose_bit(uint64_t word, uint64_t random)
{
	unsigned from = random >> 58;
	uint64_t some = word & random;

	word = some ? some : word;
	word = word >> from | word << (64 - from) % 64;
	return ((unsigned)__builtin_ctzll(word) + from) % 64;
}

/* A free cell of a slab that has one. */
static uint32_t choose(const struct hak_slot *slot, const uint64_t *bits, uint64_t random)
{
	unsigned words = (slot->carved + 63u) / 64;
	unsigned at = (unsigned)((random >> 32) * words >> 32);

	while (!bits[at])
		at = at + 1 < words ? at + 1 : 0;
	return at * 64 + choose_bit(bits[at], random * 0x9e3779b97f4a7c15u);
}

static uint32_t new_slab(unsigned class)
{
	uint32_t slab = hak_pool_acquire_slab(class);

	if (slab == HAK_NO_SLOT)
		return slab;
	if (!attach_records(class, slab)) {
		hak_pool_release_slab(slab, HAK_RELEASE_TRIM);
		return HAK_NO_SLOT;
	}
	return slab;
}

/* One cell more or less is in use of a slab. The depot's lock is held. */
static void count_used(unsigned class, uint32_t slab, int change)
{
	struct hak_slot *slot = hak_slot(slab);

	slot->free = (uint16_t)(slot->free - change);
	hak_single_writer_add(&slot->used, change);
	hak_depots[class].handed_out += (uint64_t)(int64_t)change;
	hak_mirror_used(slab, slot->used);
	hak_ss_touch(hak_slot_ss(slab));
}

/* A slab with a free cell: as long as it has any the one that the last cell came from, then the fullest, then a new one. */
static uint32_t pick(unsigned class)
{
	uint32_t slab = current[class];

	if (HAK_LIKELY(slab != HAK_NO_SLOT && hak_slot(slab)->used < hak_slot(slab)->capacity))
		return slab;
	slab = hak_slab_pick(hak_cell_buckets[class]);
	if (slab == HAK_NO_SLOT)
		slab = new_slab(class);
	current[class] = slab;
	return slab;
}

bool hak_cell_take(unsigned class, uint64_t random, struct hak_cell *out)
{
	struct hak_depot *depot = &hak_depots[class];
	uint32_t slab, index;

	hak_lock_acquire(&depot->lock);
	slab = pick(class);
	if (slab != HAK_NO_SLOT) {
		widen(hak_slot(slab), hak_block_bits(slab));
		index = choose(hak_slot(slab), hak_block_bits(slab), random);
		hak_block_bits(slab)[index / 64] &= ~(1ull << index % 64);
		*out = (struct hak_cell){.record = records_of(slab) + index,
			.start = hak_slot_address(slab) + (uintptr_t)index * hak_size_classes[class].block_bytes,
			.bytes = hak_size_classes[class].block_bytes, .slab = slab, .bin = HAK_BIN_OF_CLASS(class)};
		hak_store_relaxed(&out->record->state, HAK_CELL_TAKEN);
		count_used(class, slab, 1);
		hak_slab_list(hak_cell_buckets[class], slab);
	}
	hak_lock_release(&depot->lock);
	return slab != HAK_NO_SLOT;
}

void hak_cell_return(const struct hak_cell *cell)
{
	unsigned class = HAK_CLASS_OF_BIN(cell->bin);
	struct hak_depot *depot = &hak_depots[class];
	struct hak_slot *slot = hak_slot(cell->slab);
	uint32_t index;

	hak_lock_acquire(&depot->lock);
	index = hak_block_of_offset(&hak_size_classes[class], (uint32_t)(cell->start - hak_slot_address(cell->slab)));
	hak_store_relaxed(&cell->record->state, HAK_CELL_FREE);
	hak_block_bits(cell->slab)[index / 64] |= 1ull << index % 64;
	slot->hint = 0;
	count_used(class, cell->slab, -1);
	if (slot->used == 0) {
		hak_slab_unlist(hak_cell_buckets[class], cell->slab);
		if (current[class] == cell->slab)
			current[class] = HAK_NO_SLOT;
		detach_records(class, cell->slab);
		hak_pool_release_slab(cell->slab, HAK_RELEASE_DRAIN);
	} else {
		hak_slab_list(hak_cell_buckets[class], cell->slab);
	}
	hak_lock_release(&depot->lock);
}

/* Whether what stands in the cell is a block's, with its zones. */
static bool has_zones(const struct hak_cell *cell)
{
	enum hak_cell_state state = hak_cell_state(cell);

	return state >= HAK_CELL_LIVE;
}

bool hak_cell_previous(const struct hak_cell *cell, struct hak_cell *out)
{
	*out = *cell;
	while (out->bin != HAK_BIN_LARGE && out->start > hak_slot_address(out->slab)) {
		out->start -= out->bytes;
		out->record--;
		if (has_zones(out))
			return true;
	}
	return false;
}

bool hak_cell_next(const struct hak_cell *cell, struct hak_cell *out)
{
	uintptr_t end = hak_slot_address(cell->slab) + hak_slot(cell->slab)->carved * cell->bytes;

	*out = *cell;
	while (out->bin != HAK_BIN_LARGE && out->start + out->bytes < end) {
		out->start += out->bytes;
		out->record++;
		if (has_zones(out))
			return true;
	}
	return false;
}

/* ---- Large cells ---- */

bool hak_cell_take_large(void *run, struct hak_cell *out)
{
	uint32_t slot = (uint32_t)hak_slot_of_address(run);
	struct hak_cell_record *record;

	hak_lock_acquire(&large_lock);
	record = pop(&spare_large);
	hak_lock_acquire(&hak_pool.lock);
	if (!record)
		record = carve(sizeof(*record));
	if (record && !has_leaf(slot)) {
		push(&spare_large, record);
		record = NULL;
	}
	if (record) {
		record->state = HAK_CELL_TAKEN;
		set_records(slot, record);
		hak_slots_sample(hak_slot_ss(slot), hak_slot_place(slot), 1, HAK_SLOT_GUARDED);
	}
	hak_lock_release(&hak_pool.lock);
	hak_lock_release(&large_lock);
	*out = (struct hak_cell){.record = record, .start = (uintptr_t)run,
		.bytes = (size_t)hak_slot(slot)->span * HAK_SLOT_BYTES, .slab = slot, .bin = HAK_BIN_LARGE};
	return record != NULL;
}

void hak_cell_return_large(const struct hak_cell *cell)
{
	hak_lock_acquire(&large_lock);
	set_records(cell->slab, NULL);
	push(&spare_large, cell->record);
	hak_lock_acquire(&hak_pool.lock);
	hak_slots_sample(hak_slot_ss(cell->slab), hak_slot_place(cell->slab), 1, HAK_SLOT_ORDINARY);
	hak_lock_release(&hak_pool.lock);
	hak_lock_release(&large_lock);
}

/* ---- All of them ---- */

void hak_cell_lock(unsigned bin)
{
	hak_lock_acquire(bin == HAK_BIN_LARGE ? &large_lock : &hak_depots[HAK_CLASS_OF_BIN(bin)].lock);
}

void hak_cell_unlock(unsigned bin)
{
	hak_lock_release(bin == HAK_BIN_LARGE ? &large_lock : &hak_depots[HAK_CLASS_OF_BIN(bin)].lock);
}

/* Visits what begins at a slot of the bin. The lock is held, so that what is there stays. */
static void visit_slab(uint32_t slab, unsigned bin, void (*visit)(const struct hak_cell *cell, void *argument), void *argument)
{
	struct hak_cell cell = {.record = records_of(slab), .start = hak_slot_address(slab), .slab = slab, .bin = bin};
	unsigned count = 1;

	if (!cell.record || hak_slot(slab)->bin != bin)
		return;
	if (bin == HAK_BIN_LARGE) {
		cell.bytes = (size_t)hak_slot(slab)->span * HAK_SLOT_BYTES;
	} else {
		cell.bytes = hak_size_classes[HAK_CLASS_OF_BIN(bin)].block_bytes;
		count = hak_slot(slab)->carved;
	}
	for (; count; count--, cell.record++, cell.start += cell.bytes) {
		if (has_zones(&cell))
			visit(&cell, argument);
	}
}

void hak_cell_visit(void (*visit)(const struct hak_cell *cell, void *argument), void *argument)
{
	if (!hak_cell_is_begun())
		return;
	for (uint32_t slot = 0; slot < hak_load_relaxed(&hak_heap.slots); slot++) {
		unsigned bin;

		if (!records_of(slot))
			continue;
		bin = hak_load_relaxed(&hak_slot(slot)->bin);
		if (bin != HAK_BIN_LARGE && !hak_bin_is_class(bin))
			continue;
		hak_cell_lock(bin);
		visit_slab(slot, bin, visit, argument);
		hak_cell_unlock(bin);
	}
}

void hak_cell_fork_lock(void)
{
	hak_lock_acquire(&large_lock);
}

void hak_cell_fork_unlock(void)
{
	hak_lock_release(&large_lock);
}
