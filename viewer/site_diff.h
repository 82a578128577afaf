/* site_diff.h: which call sites grew from one profile to another. They may be of one process or of two: a stack is known by the
 * files that it goes through and the places in them, wherever these were loaded. */
#ifndef VIEWER_SITE_DIFF_H
#define VIEWER_SITE_DIFF_H

#include <stdio.h>

#include "viewer/binaries.h"
#include "viewer/profile_source.h"
#include "viewer/sites.h"
#include "viewer/symbols.h"

#define SITE_DIFF_ROWS 10   /* sites in the text; the JSON has all */
#define SITE_DIFF_FRAMES 8  /* lines of each in the text */

/* A call site before and after; one of them may have nothing. */
struct site_change {
	char *key;
	struct site before, after;
	bool was, is;
};

struct site_diff {
	struct profile_source sources[2];
	struct symbols *symbols[2];
	struct site_change *rows; /* those that differ, by growth of live bytes, the largest first */
	size_t count;
};

/* Compares the live blocks of two profiles, of each without the youngest tenth of its samples: those are often just in
 * use. Takes over the sources. To be freed, also after false: out of memory. */
bool site_diff_make(struct site_diff *diff, const struct profile_source sources[2], const struct binaries_where *where);
void site_diff_free(struct site_diff *diff);
/* The growth of live bytes, and its standard error. */
double site_change_growth(const struct site_change *change);
double site_change_error(const struct site_change *change);

void site_diff_text(FILE *out, const struct site_diff *diff);
/* The member "sites", with a comma before it. */
void site_diff_json(FILE *out, const struct site_diff *diff);

#endif
