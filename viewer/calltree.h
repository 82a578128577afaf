/* calltree.h: call sites as a tree of functions: from main down to those that allocate, or from these up to their callers. */
#ifndef VIEWER_CALLTREE_H
#define VIEWER_CALLTREE_H

#include "viewer/sites.h"
#include "viewer/symbols.h"

#define CALLTREE_NODES_MAX (1u << 22)

/* X(field): what is added up over the stacks that go through a function. */
#define CALLTREE_SUMS(X) \
	X(live_bytes) X(live_blocks) X(live_variance) X(pinned_bytes) X(allocs) X(alloc_bytes) X(temporary)

struct calltree_node {
	const struct symbol *symbol; /* one of those that are the same function; NULL: the root, or stacks without lines */
	uint32_t depth; /* 0: the root */
	uint32_t end;   /* the number of the first node that isn't below this one: its children begin behind it */
	CALLTREE_SUMS(PROFILE_DOUBLE)
};

struct calltree {
	struct calltree_node *nodes; /* each before those below it; 0 is the root */
	size_t count;
};

/* Makes the tree of these sites: with `bottom_up` from the functions that allocate. To be freed. Returns false without
 * memory. */
bool calltree_make(struct calltree *tree, const struct sites *sites, struct symbols *symbols, bool bottom_up);
void calltree_free(struct calltree *tree);
/* The numbers of a node's children, as `compare` orders them: qsort_r's, on two such numbers and the context. *children is to be
 * freed. Returns how many there are, none without memory, when *children is NULL. */
size_t calltree_children(const struct calltree *tree, uint32_t node, int (*compare)(const void *, const void *, void *), void *context,
	uint32_t **children);
/* Whether two lines are of the same function. */
bool calltree_same(const struct symbol *left, const struct symbol *right);

#endif
