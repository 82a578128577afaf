/* slotmap_zoom.h: the slot map from near: one SuperSlab, or one slot. */
#ifndef VIEWER_SLOTMAP_ZOOM_H
#define VIEWER_SLOTMAP_ZOOM_H

#include "viewer/panel.h"

/* A SuperSlab: its 32 slots, then its slabs and runs in words. The cursor is at place->column. */
void draw_superslab(struct area area, const struct watch *watch, struct panel_place *place,
	const struct superslab *superslab);
/* A slot: all that is known of it, and the events that touched it. */
void draw_one_slot(struct area area, const struct watch *watch, struct panel_place *place,
	const struct superslab *superslab);

/* How far in the user of the slot map is. */
enum slotmap_zoom { ZOOM_FOLDED, ZOOM_ROWS, ZOOM_SUPERSLAB, ZOOM_SLOT };

/* The addresses of the slot that is looked at from near: of its slab or run, in its SuperSlab. Returns false if none is. */
bool slotmap_looks_at(const struct watch *watch, const struct panel_place *place, uint64_t *from, uint64_t *to);

/* Whether an event was about the slab or run that slot `slot` belongs to: its arguments name the SuperSlab and one of the
 * run's slots, or an address in it. */
bool event_touches(const struct event *event, const struct snapshot *snapshot, const struct superslab *superslab,
	unsigned slot);

#endif
