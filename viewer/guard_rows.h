/* guard_rows.h: what guards know of a range of addresses, as rows of a panel: mistakes that were reported there, and guarded
 * blocks with the places that allocated and freed them. */
#ifndef VIEWER_GUARD_ROWS_H
#define VIEWER_GUARD_ROWS_H

#include "viewer/canvas.h"
#include "viewer/watch.h"

/* Draws them from row `y` on, `rows` at most with a heading, if watch->guards has any from `from` to before `to`. Returns the row
 * below. */
int draw_guarded(struct area area, int y, int rows, const struct watch *watch, uint64_t from, uint64_t to);

#endif
