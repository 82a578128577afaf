/* report.h: what a dump says, as text for somebody who looks at it after a crash. */
#ifndef VIEWER_REPORT_H
#define VIEWER_REPORT_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "viewer/watch.h"

/* Prints the report on `watch`, whose document is also there as JSON, for what the model doesn't hold. Returns whether the
 * sums hold: what the slot map's rows add up to is what the counts beside them say, and nothing is missing. */
bool report_heap(FILE *out, const struct watch *watch, const cJSON *document);

#endif
