/* cell.h: guarded blocks' places, and what is known of each.
 *
 * A cell holds one guarded block: [zone before it][the bytes that were asked for][zone up to the cell's end]. Cells of a
 * size class lie in slabs of their own, which the class map calls SAMPLED, so that free, realloc and malloc_usable_size
 * come to the slow path; a large cell is a large run, of which the first slot is called that. What is known of a cell
 * stands in a record far from it, that no stray write reaches: an array for each slab, and a directory that leads from
 * a slot to it. A record outlives its block until the cell holds another one.
 *
 * Changes of state, and who makes them:
 *   FREE → TAKEN          who takes the cell, under the depot's lock (large: it is nobody else's yet)
 *   TAKEN → LIVE          the same thread, with a release: who reads LIVE finds zones and record complete
 *   LIVE → LEAVING        who frees it, by compare-and-swap: of two at once one finds it gone
 *   LEAVING → QUARANTINED the same thread, with a release: who reads QUARANTINED finds the fill complete; of a large
 *                         cell under the lock of large cells, for its pages may be made inaccessible then
 *   any → FREE            who holds it last, under the depot's lock (large: the lock of large cells)
 * So a thread that holds these locks may look at the zones of LIVE and LEAVING cells, and at all of QUARANTINED ones, unless
 * they are closed. */
#ifndef HAK_CELL_H
#define HAK_CELL_H

#include "depot.h"
#include "superslab.h"

enum hak_cell_state { HAK_CELL_FREE, HAK_CELL_TAKEN, HAK_CELL_LIVE, HAK_CELL_LEAVING, HAK_CELL_QUARANTINED };

enum hak_cell_flags {
	HAK_CELL_SAMPLED = 1, /* the block is in the table of samples (sample.h) too */
	HAK_CELL_FILLED = 2,  /* QUARANTINED: filled with HAK_FREED_BYTE */
	HAK_CELL_CLOSED = 4,  /* QUARANTINED, large: inaccessible */
	HAK_CELL_REPORTED = 8, /* damaged, which was reported and will be mended */
};

struct hak_cell_record {
	uint32_t alloc_stack, free_stack; /* what the sink's capture said, 0: nothing */
	uint32_t alloc_tid, free_tid;
	uint32_t after : 26;      /* bytes behind the block, up to the cell's end */
	uint32_t align_shift : 6; /* logarithm of the alignment that was asked for */
	uint16_t before; /* bytes before the block, in units of HAK_ALIGNMENT */
	uint8_t state;   /* enum hak_cell_state */
	uint8_t flags;   /* enum hak_cell_flags */
};
_Static_assert(sizeof(struct hak_cell_record) == 24, "every guarded block has one");

struct hak_cell {
	struct hak_cell_record *record;
	uintptr_t start;
	size_t bytes;
	uint32_t slab; /* the first slot of its slab, or of the large run */
	unsigned bin;  /* HAK_BIN_OF_CLASS(class), HAK_BIN_LARGE */
};

#define HAK_CELL_AFTER_MAX ((1u << 26) - 1)
#define HAK_CELL_SHIFT_MAX ((1u << 6) - 1)
#define HAK_CELL_AFTER_MIN 8u /* bytes behind a block, at least */

/* Where the cell's block begins, and how long it is. */
HAK_INLINE uintptr_t hak_cell_block(const struct hak_cell *cell)
{
	return cell->start + cell->record->before * (uintptr_t)HAK_ALIGNMENT;
}

HAK_INLINE size_t hak_cell_block_bytes(const struct hak_cell *cell)
{
	return cell->bytes - cell->record->before * (size_t)HAK_ALIGNMENT - cell->record->after;
}

HAK_INLINE enum hak_cell_state hak_cell_state(const struct hak_cell *cell)
{
	return (enum hak_cell_state)hak_load_acquire(&cell->record->state);
}

/* Makes the directory, once, when the arena is there. Returns false if there is no memory for it. One caller at a time. */
bool hak_cell_begin(void);
bool hak_cell_is_begun(void);

/* The cell that `address` lies in, be it in use or not; records stay readable for ever. Takes no lock: the answer is to be relied on if the address is a
 * guarded block's that the caller owns, or the locks are held under which cells come and go; async-signal-safe. */
bool hak_cell_find(uintptr_t address, struct hak_cell *out);

/* A cell of the class at a place of its slab that `random` chooses among those that are free, as TAKEN. Returns false if
 * memory is out. Takes the depot's lock. */
bool hak_cell_take(unsigned class, uint64_t random, struct hak_cell *out);

/* The same of a live large run, which becomes a cell. Returns false, changing nothing, if memory is out. */
bool hak_cell_take_large(void *run, struct hak_cell *out);

/* Gives a cell of a class back to its slab; the large run of the other kind is the caller's again, and no cell. */
void hak_cell_return(const struct hak_cell *cell);
void hak_cell_return_large(const struct hak_cell *cell);

/* The cell before this one in the slab, or behind it, that has zones, if there is one: one that is LIVE, LEAVING or QUARANTINED. The depot's lock is
 * held. A large cell is alone. */
bool hak_cell_previous(const struct hak_cell *cell, struct hak_cell *out);
bool hak_cell_next(const struct hak_cell *cell, struct hak_cell *out);

/* Takes and releases the lock that cells of the bin come and go under. */
void hak_cell_lock(unsigned bin);
void hak_cell_unlock(unsigned bin);

/* Calls visit for every cell that has zones, with that lock held. */
void hak_cell_visit(void (*visit)(const struct hak_cell *cell, void *argument), void *argument);

/* Takes and releases the lock of large cells around fork (thread.c calls them, in the order of lock.h). */
void hak_cell_fork_lock(void);
void hak_cell_fork_unlock(void);

/* The partly used slabs of a class's cells, as hak_sampled_slabs are; for audit.c. */
extern HAK_HIDDEN uint32_t hak_cell_buckets[HAK_CLASS_COUNT][HAK_DEPOT_BUCKETS];

#endif
