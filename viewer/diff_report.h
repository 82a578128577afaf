/* diff_report.h: a difference in words, and as JSON. */
#ifndef VIEWER_DIFF_REPORT_H
#define VIEWER_DIFF_REPORT_H

#include <stdio.h>

#include "viewer/diff.h"
#include "viewer/format.h"
#include "viewer/site_diff.h"

#define DIFF_ROWS_SHOWN 20 /* classes and SuperSlabs in the text; the JSON has all */

/* One of the two that are compared: what the user named, and what was found there. */
struct diff_side {
	char name[256];
	const struct snapshot *snapshot;
};

void diff_text(FILE *out, const struct diff *diff, const struct diff_side *before, const struct diff_side *after);
/* One line, with the call sites too unless they are NULL. Its form is described in hakmem-top's man page. */
void diff_json(FILE *out, const struct diff *diff, const struct diff_side *before, const struct diff_side *after,
	const struct site_diff *sites);

/* "+1.50M", "-3", "0": a growth in bytes, or a count. */
const char *diff_growth_text(char out[FORMAT_MAX + 1], struct change change, bool bytes);
/* Whether a figure's name says that it counts bytes. */
bool diff_is_bytes(const char *name);
/* A figure's name as it is shown: without underscores and _bytes. */
const char *diff_label(char out[FORMAT_MAX], const char *name);

#endif
