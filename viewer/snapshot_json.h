/* snapshot_json.h: JSON that the viewer writes: strings, and a snapshot as a target would have sent it. */
#ifndef VIEWER_SNAPSHOT_JSON_H
#define VIEWER_SNAPSHOT_JSON_H

#include <stdio.h>

#include "viewer/model.h"

/* Writes UTF-8 text as a JSON string that can't drive a terminal: control characters are escaped, what is no UTF-8
 * becomes '?'. */
void json_put_text(FILE *out, const char *text);
/* Writes a snapshot message, one line with a newline; introspect/schema.json describes it. */
void snapshot_json(FILE *out, const struct snapshot *snapshot);

#endif
