/* html.h: a state, and how it came about, as one page for a browser. */
#ifndef VIEWER_HTML_H
#define VIEWER_HTML_H

#include <stdio.h>

#include "viewer/html_chart.h"
#include "viewer/options.h"
#include "viewer/watch.h"

#define HTML_SUPERSLABS_MAX 512 /* rows of the slot map; the page says how many are left out */
#define HTML_EVENTS_MAX 100

/* Writes what `watch` shows as a page that needs nothing else: no script, no other file. `trend` holds `points` points,
 * of a recording; 0: no chart. */
void html_page(FILE *out, const struct watch *watch, const struct trend_point *trend, size_t points);
/* --html: writes the page of options->target, a dump, a trace file, a recording or a process, to options->html. Returns
 * the exit status. */
int html_run(const struct options *options);

#endif
