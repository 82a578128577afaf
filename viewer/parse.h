/* parse.h: snapshots, dumps and deltas from JSON. It comes from another process or from a file and is not trusted: every
 * field's type and range is checked, and the first that is wrong is named. */
#ifndef VIEWER_PARSE_H
#define VIEWER_PARSE_H

#include <cjson/cJSON.h>

#include "viewer/model.h"
#include "viewer/problem.h"

/* Reads a snapshot or dump document. Returns NULL and says what is wrong with which field if it isn't one; free the
 * result with snapshot_free. Unknown keys are ignored. */
struct snapshot *snapshot_parse(const cJSON *document, struct problem *problem);

/* The snapshot that follows from `base` and a delta message that builds on it (that it does is the caller's to check). Returns
 * NULL and says why if it isn't one. The base stays as it is; but if the caller will `spend` it, looks no more at its slot map,
 * the new one may take over its rows and leave it none. */
struct snapshot *snapshot_apply(struct snapshot *base, bool spend, const cJSON *delta, struct problem *problem);

#endif
