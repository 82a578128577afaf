/* diff.h: what changed from one snapshot to another. They may be of one process or of two runs; then rows that have
 * the same index are compared. */
#ifndef VIEWER_DIFF_H
#define VIEWER_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "viewer/model.h"

/* A figure before and after. Counters reach 2^53 at most, so that every difference fits. */
struct change {
	uint64_t before, after;
};

/* A counter of one of the model's sections. */
struct diff_figure {
	const char *section, *name;
	struct change value;
};

#define DIFF_CLASS(X) X(live_bytes) X(live_blocks) X(cached_blocks) X(slabs) X(empty_slots) X(allocs) X(frees)
struct diff_class {
	unsigned class;
	uint64_t block_bytes;
#define DIFF_CHANGE(name) struct change name;
	DIFF_CLASS(DIFF_CHANGE)
#undef DIFF_CHANGE
};

struct diff_superslab {
	uint64_t index, address; /* the address is the later one */
	bool was, is;            /* in either snapshot */
	struct change used_bytes, active_slots;
};

struct diff {
	bool same_process;
	double seconds; /* between them, if it is one process; may be negative */
	struct diff_figure *figures; /* every counter, in the model's order */
	/* Those that changed, by growth of live and of used bytes, the largest first. */
	struct diff_class *classes;
	struct diff_superslab *superslabs;
	size_t figure_count, class_count, superslab_count;
};

int64_t change_growth(struct change change);
/* Works the difference out; to be freed. Returns false without memory. */
bool diff_make(struct diff *diff, const struct snapshot *before, const struct snapshot *after);
void diff_free(struct diff *diff);
/* A figure by its names, NULL: there is none. */
const struct diff_figure *diff_find(const struct diff *diff, const char *section, const char *name);
/* Bytes of a SuperSlab that are in blocks handed out, cached ones included, and in large allocations. */
uint64_t diff_used_bytes(const struct snapshot *snapshot, const struct superslab *superslab);

#endif
