/* site_values.h: the figure of a call site that a format of one figure shows. */
#ifndef VIEWER_SITE_VALUES_H
#define VIEWER_SITE_VALUES_H

#include "viewer/calltree.h"

/* X(name on the command line, member, what it is) */
#define SITE_VALUES(X) \
	X(live, live_bytes, "live bytes") \
	X(blocks, live_blocks, "live blocks") \
	X(pinned, pinned_bytes, "pinned bytes") \
	X(allocated, alloc_bytes, "allocated bytes") \
	X(allocs, allocs, "allocations")
#define SITE_VALUE_ENUM(name, member, what) SITE_VALUE_##name,
enum site_value { SITE_VALUES(SITE_VALUE_ENUM) SITE_VALUE_COUNT };

/* The value that the command line names; SITE_VALUE_COUNT: none. */
enum site_value site_value_named(const char *name);
const char *site_value_words(enum site_value value);
bool site_value_is_bytes(enum site_value value);
double site_value_of(const struct site *site, enum site_value value);
double site_value_of_node(const struct calltree_node *node, enum site_value value);

#endif
