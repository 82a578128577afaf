/* site_rows.h: the rows of the panel of call sites: as a table, or as a tree that opens and closes. They follow the profile as
 * it comes anew; files are read once. */
#ifndef VIEWER_SITE_ROWS_H
#define VIEWER_SITE_ROWS_H

#include "viewer/calltree.h"
#include "viewer/profile_model.h"
#include "viewer/sites.h"
#include "viewer/symbols.h"

enum site_view { SITE_VIEW_TABLE, SITE_VIEW_DOWN, SITE_VIEW_UP, SITE_VIEWS };

struct site_row {
	struct site sum;             /* of a tree only what CALLTREE_SUMS names */
	double rate;                 /* allocated bytes a second since the profile before; negative: unknown. Of a table only */
	const struct symbol *symbol; /* the place, or the function; NULL: none */
	uint32_t depth;              /* in a tree */
	bool opens, open;            /* there is something below; it is shown */
	uint64_t path;               /* what the row stays known by */
};

/* Begins empty: all zeros. */
struct site_rows {
	struct site_row *rows;
	size_t count;
	struct site total;       /* of all that pass the filter */
	bool failed;             /* memory was out: there are no rows */
	struct problem wrong;    /* what is wrong with the filter; "" where nothing is */
	/* What they were made of. */
	const struct profile *profile;
	uint64_t serial;
	enum site_view view;
	char filter[128];
	struct symbols *symbols;
	struct sites sites;
	/* Nodes that are not as they would be by themselves, by their paths, sorted. */
	uint64_t *turned;
	size_t turned_count;
	bool turned_since;
	/* What stacks had allocated at this profile and at the one before, by id. */
	struct site_then *then, *before;
	size_t then_count, before_count;
	uint64_t then_us, before_us;
};

/* Makes the rows, unless they are of these already. The filter's words have all to fit: class=6, class=large, thread=123, age=60 (at
 * least so many seconds), others the name of a function, file or module of the stack. */
void site_rows_update(struct site_rows *rows, const struct profile *profile, const struct binaries_where *where, enum site_view view,
	const char *filter);
/* Opens a node of the tree, or closes it; the next update shows it. */
void site_rows_turn(struct site_rows *rows, uint64_t path);
void site_rows_free(struct site_rows *rows);

/* What a filter asks of blocks, and in `words` (as large as the filter) what it asks of names. A word whose value is none is
 * left out: then it returns false, and says of the first such what it takes. */
bool site_rows_filter(const char *filter, struct sites_filter *out, char *words, struct problem *problem);

#endif
