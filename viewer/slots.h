/* slots.h: how the slot map shows slots and SuperSlabs: colours, symbols and sums. */
#ifndef VIEWER_SLOTS_H
#define VIEWER_SLOTS_H

#include "viewer/canvas.h"
#include "viewer/model.h"

/* What cells show. A slot's state is always the symbol: a dot is UNUSED, a circle EMPTY, everything else ACTIVE. */
enum slot_mode {
	SLOT_MIXED, /* colour by size class, density by fill */
	SLOT_CLASS, /* colour and letter by class */
	SLOT_FILL,  /* colour and density by fill */
	SLOT_AGE,   /* colour and density by the time since the state last changed */
	SLOT_MODES
};
extern const char *const slot_mode_names[SLOT_MODES];
extern const char *const slot_state_names[3];

/* The colour for a block size, and for a class (SLOT_NO_CLASS: large allocations). */
enum style style_of_size(uint64_t block_bytes);
enum style style_of_class(const struct snapshot *snapshot, unsigned class);
/* One slot in `columns` (1 or 2) columns of the screen. */
void draw_slot(struct area area, int x, int y, int columns, enum slot_mode mode, const struct snapshot *snapshot,
	const struct superslab *superslab, unsigned slot);
/* What the cells of a mode mean, in one row. */
void draw_slot_legend(struct area area, int y, enum slot_mode mode);

/* Several SuperSlabs as one. */
struct slot_sum {
	unsigned superslabs, in_lru;
	unsigned active, empty, unused; /* slots */
	double used;                    /* slots' worth of blocks that are out */
	unsigned class;                 /* the one with the most slots; SLOT_NO_CLASS: large allocations */
	unsigned class_slots;
	uint64_t youngest_ms;           /* since a slot's state last changed */
};
/* Of `count` rows of a snapshot. */
void slots_sum(const struct snapshot *snapshot, const struct superslab *first, size_t count, struct slot_sum *sum);
/* The sum in one cell. */
void draw_slot_sum(struct area area, int x, int y, enum slot_mode mode, const struct snapshot *snapshot,
	const struct slot_sum *sum);

/* A map of all SuperSlabs in `rows` rows: a cell stands for as many of them as it takes. */
struct fold {
	int left, across; /* where cells begin, and how many there are in a row */
	size_t each;      /* SuperSlabs a cell */
	int cells, rows;  /* that there are */
};
struct fold fold_for(size_t superslabs, int width, int rows);
void draw_folded_row(struct area area, int y, int row, const struct fold *fold, enum slot_mode mode,
	const struct snapshot *snapshot);

#endif
