/* site_report.h: what a profile says of the call sites, in words and as JSON. */
#ifndef VIEWER_SITE_REPORT_H
#define VIEWER_SITE_REPORT_H

#include <stdio.h>

#include "viewer/options.h"
#include "viewer/profile_source.h"
#include "viewer/sites.h"
#include "viewer/suppressions.h"
#include "viewer/symbols.h"

#define SITE_REPORT_ROWS 20 /* sites in the text; the JSON has all */

struct site_report {
	enum report kind; /* REPORT_SITES, REPORT_PINNED or REPORT_LEAKS */
	const struct profile_source *source;
	struct symbols *symbols;
	struct suppressions suppressions; /* of leaks */
	/* Worked out by site_report_make. */
	struct sites sites;
	struct site suppressed;  /* what they hold */
	size_t suppressed_count;
	uint64_t leak_age_ms;    /* younger blocks don't count as leaks */
};

/* Sums up what the report is about, the rows in its order. Returns false without memory. */
bool site_report_make(struct site_report *report);
void site_report_free(struct site_report *report);
void site_report_text(FILE *out, const struct site_report *report);
/* One line. Its form is described in hakmem-top's man page. */
void site_report_json(FILE *out, const struct site_report *report);

#endif
