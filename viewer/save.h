/* save.h: a text as a file of the user's. */
#ifndef VIEWER_SAVE_H
#define VIEWER_SAVE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "viewer/problem.h"

/* The absolute path, without symbolic links, of the regular file that stands at `path` or would be made there. Returns
 * false where something else stands there, a link leads nowhere, or the folder is none. */
bool save_place(const char *path, char out[PATH_MAX]);
/* Writes `text` and a newline. A regular file is replaced in one step, so that half a text never stands under its name;
 * into a device, a FIFO or a link that leads nowhere it is written as it goes. Only the user may read a new file.
 * Returns false and says what is wrong; then a regular file is as it was. */
bool save_text(const char *path, const char *text, size_t length, struct problem *problem);
/* The same for bytes that are no text: no newline follows them. */
bool save_bytes(const char *path, const void *bytes, size_t length, struct problem *problem);

#endif
