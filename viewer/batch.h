/* batch.h: frames as lines on a stream, for pipes, logs and terminals that can't be driven. */
#ifndef VIEWER_BATCH_H
#define VIEWER_BATCH_H

#include <stdbool.h>
#include <stdio.h>

#include "viewer/watch.h"

#define BATCH_WIDTH 80
#define BATCH_ROWS 27

/* Writes what `watch` shows as one frame of plain text, without escape sequences, each row at most BATCH_WIDTH
 * columns, and an empty line behind it. It goes out in as few writes as possible, so that a command's own lines don't
 * come between its rows. Returns false when `out` takes no more. */
bool batch_text(FILE *out, const struct watch *watch);
/* Writes a snapshot, whose JSON is valid, as one line; control characters that stand raw in it are escaped. Returns
 * false when `out` takes no more. */
bool batch_json(FILE *out, const char *json, size_t length);

#endif
