#include "viewer/calltree.h"

#include <stdlib.h>
#include <string.h>

/* A stack on its way into the tree. */
struct path {
	const struct symbol *const *lines;
	size_t count;
	const struct site *site;
	bool bottom_up;
};

/* Line `depth` from where the tree begins. */
static const struct symbol *line_at(const struct path *path, size_t depth)
{
	return path->lines[path->bottom_up ? depth : path->count - 1 - depth];
}

/* An order in which the same functions come together. Names are the same pointers for the same texts; where there is none
 * each instruction is for itself. */
static int compare_symbols(const struct symbol *left, const struct symbol *right)
{
	if (left->function != right->function)
		return left->function < right->function ? -1 : 1;
	if (left->function != NULL)
		return 0;
	if (left->module != right->module)
		return left->module < right->module ? -1 : 1;
	return left->offset < right->offset ? -1 : left->offset > right->offset;
}

bool calltree_same(const struct symbol *left, const struct symbol *right)
{
	return compare_symbols(left, right) == 0;
}

static int compare_paths(const void *a, const void *b)
{
	const struct path *left = a, *right = b;
	for (size_t i = 0; i < left->count && i < right->count; i++) {
		int order = compare_symbols(line_at(left, i), line_at(right, i));
		if (order != 0)
			return order;
	}
	return left->count < right->count ? -1 : left->count > right->count;
}

static void add_sums(struct calltree_node *node, const struct site *site)
{
#define ADD(name) node->name += site->name;
	CALLTREE_SUMS(ADD)
#undef ADD
}

/* Puts paths that are in order one behind the other: what a path has in common with the one before it is there already. */
static void grow(struct calltree *tree, const struct path *paths, size_t count, uint32_t *open)
{
	size_t depth = 0;
	tree->nodes[0] = (struct calltree_node){.symbol = NULL};
	tree->count = 1;
	open[0] = 0;
	for (size_t i = 0; i < count; i++) {
		const struct path *path = &paths[i];
		size_t common = 0;
		while (common < depth && common < path->count && calltree_same(tree->nodes[open[common + 1]].symbol, line_at(path, common)))
			common++;
		for (; depth > common; depth--)
			tree->nodes[open[depth]].end = (uint32_t)tree->count;
		for (; depth < path->count && tree->count < CALLTREE_NODES_MAX; depth++) {
			open[depth + 1] = (uint32_t)tree->count;
			tree->nodes[tree->count++] = (struct calltree_node){.symbol = line_at(path, depth), .depth = (uint32_t)depth + 1};
		}
		for (size_t level = 0; level <= depth; level++)
			add_sums(&tree->nodes[open[level]], path->site);
	}
	for (size_t level = 0; level <= depth; level++)
		tree->nodes[open[level]].end = (uint32_t)tree->count;
}

bool calltree_make(struct calltree *tree, const struct sites *sites, struct symbols *symbols, bool bottom_up)
{
	struct path *paths = calloc(sites->count + 1, sizeof(*paths));
	size_t nodes = 1, deepest = 0;
	memset(tree, 0, sizeof(*tree));
	for (size_t i = 0; paths != NULL && i < sites->count; i++) {
		paths[i] = (struct path){.site = &sites->rows[i], .bottom_up = bottom_up};
		paths[i].lines = symbols_of_stack(symbols, sites->rows[i].stack, &paths[i].count);
		nodes += paths[i].count;
		deepest = paths[i].count > deepest ? paths[i].count : deepest;
	}
	nodes = nodes < CALLTREE_NODES_MAX ? nodes : CALLTREE_NODES_MAX;
	uint32_t *open = calloc(deepest + 2, sizeof(*open));
	tree->nodes = malloc(nodes * sizeof(*tree->nodes));
	bool made = paths != NULL && open != NULL && tree->nodes != NULL;
	if (made) {
		if (sites->count > 1)
			qsort(paths, sites->count, sizeof(*paths), compare_paths);
		grow(tree, paths, sites->count, open);
	}
	free(paths);
	free(open);
	if (!made)
		calltree_free(tree);
	return made;
}

void calltree_free(struct calltree *tree)
{
	free(tree->nodes);
	memset(tree, 0, sizeof(*tree));
}

size_t calltree_children(const struct calltree *tree, uint32_t node, int (*compare)(const void *, const void *, void *), void *context,
	uint32_t **children)
{
	size_t count = 0;
	for (uint32_t i = node + 1; i < tree->nodes[node].end; i = tree->nodes[i].end)
		count++;
	*children = malloc((count + 1) * sizeof(**children));
	if (*children == NULL)
		return 0;
	count = 0;
	for (uint32_t i = node + 1; i < tree->nodes[node].end; i = tree->nodes[i].end)
		(*children)[count++] = i;
	if (count > 1)
		qsort_r(*children, count, sizeof(**children), compare, context);
	return count;
}
