/* html_chart.h: the parts of a page that are drawn, and text that is safe in it. */
#ifndef VIEWER_HTML_CHART_H
#define VIEWER_HTML_CHART_H

#include <stdio.h>

#include "viewer/model.h"
#include "viewer/recording.h"

#define TREND_POINTS_MAX 600

/* One point of a recording's trend. Rates are NaN where they aren't known. */
struct trend_point {
	double seconds; /* from the first moment on */
	double live, committed, resident, allocs, frees;
};

/* Text with what means something in HTML escaped; it comes out printable. */
void html_text(FILE *out, const char *text);

/* Reads the trend of a recording into `points`. Returns how many there are. */
size_t trend_read(struct recording *recording, struct trend_point points[TREND_POINTS_MAX]);
/* Two charts, memory and rates, over the same time, with the user's marks. */
void html_trend(FILE *out, const struct trend_point *points, size_t count, const struct recording *recording);
/* The slot map's first `rows` SuperSlabs. */
void html_slot_map(FILE *out, const struct snapshot *snapshot, size_t rows);

#endif
