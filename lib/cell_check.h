/* cell_check.h: what is to stand around guarded blocks and in freed ones, whether it does, and the report if not.
 *
 * A write that ran over several cells of a slab is one mistake: it is reported of the block behind which it began, and what
 * it left in the others is put right, as everything is that was reported. */
#ifndef HAK_CELL_CHECK_H
#define HAK_CELL_CHECK_H

#include "cell.h"
#include "trace.h"

HAK_INLINE bool hak_cell_has(const struct hak_cell *cell, enum hak_cell_flags flag)
{
	return (hak_load_relaxed(&cell->record->flags) & flag) != 0;
}

/* Whether the cell ever held a block. */
HAK_INLINE bool hak_cell_is_known(const struct hak_cell *cell)
{
	return cell->record->alloc_tid != 0;
}

/* The size class that would serve `bytes`, HAK_SAMPLE_LARGE if none. */
uint8_t hak_cell_class_of(size_t bytes);

/* What is known of a cell's block. Async-signal-safe. */
void hak_cell_describe(const struct hak_cell *cell, struct hak_guarded *out);

/* Writes the zones around the block. */
void hak_cell_fill_zones(const struct hak_cell *cell);

/* Verifies a cell that no other thread changes, with no lock held. Returns whether all is as it should be. */
bool hak_cell_verify(const struct hak_cell *cell);

struct hak_cell_checked {
	uint64_t live, kept; /* blocks that were verified: live ones' zones, and what quarantine has */
	uint64_t damaged;    /* of them, those that were not as they should be */
};
/* Verifies all cells, a slab's at a time under the lock that they go by. Other threads may go on. */
void hak_cell_verify_all(struct hak_cell_checked *out);

#endif
