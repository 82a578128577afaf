/* panel_slotmap.c: every SuperSlab. From far to near: all of them on one page, a cell for one or more; a row each, a cell
 * a slot; one SuperSlab; one slot. What lies under the cursor is explained in words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "viewer/format.h"
#include "viewer/panel.h"
#include "viewer/slotmap_zoom.h"
#include "viewer/slots.h"

#define WIDE 70 /* below, the words about a cell are short ones */

/* SuperSlabs come and go: the cursor stays on the one that it was on. */
static void keep_cursor(const struct snapshot *snapshot, struct panel_place *place)
{
	size_t count = snapshot->superslab_count;
	place->columns = MODEL_SLOTS;
	place->rows = (int)count;
	if (place->row == place->anchor_row && place->anchor != 0 &&
		((size_t)place->row >= count || snapshot->superslabs[place->row].address != place->anchor)) {
		for (size_t i = 0; i < count; i++) {
			if (snapshot->superslabs[i].address == place->anchor)
				place->row = (int)i;
		}
	}
	if ((size_t)place->row >= count)
		place->row = count > 0 ? (int)count - 1 : 0;
}

/* Whether a word of what is looked for is this slot's class or state. */
static bool slot_is(const struct slot *slot, const char *word, size_t length)
{
	char class[8];
	const char *state = slot_state_names[slot->state];
	snprintf(class, sizeof(class), slot->class == SLOT_NO_CLASS ? "large" : "C%u", slot->class);
	if (strlen(state) == length && strncasecmp(state, word, length) == 0)
		return true;
	return slot->state != SLOT_UNUSED && strlen(class) == length && strncasecmp(class, word, length) == 0;
}

/* Looks for all words of `find` in a SuperSlab: its number, an address in it, lru, or a slot's class or state, whose
 * column then is in *column. */
static bool superslab_matches(const struct snapshot *snapshot, const struct superslab *superslab, const char *find,
	int *column)
{
	for (size_t length; *(find += strspn(find, " ")) != '\0'; find += length) {
		char *end;
		bool hex = strncmp(find, "0x", 2) == 0, found = false;
		length = strcspn(find, " ");
		uint64_t value = strtoull(find, &end, hex ? 16 : 10);
		if (end == find + length && hex) {
			uint64_t offset = value - superslab->address, slot_bytes = snapshot->geometry.slot_bytes;
			found = offset < snapshot->geometry.superslab_bytes;
			if (found && slot_bytes > 0 && offset / slot_bytes < MODEL_SLOTS)
				*column = (int)(offset / slot_bytes);
		} else if (end == find + length) {
			found = value == superslab->index;
		} else if (length == 3 && strncasecmp(find, "lru", 3) == 0) {
			found = superslab->in_lru;
		}
		for (unsigned slot = 0; slot < MODEL_SLOTS && !found; slot++) {
			found = slot_is(&superslab->slots[slot], find, length);
			if (found)
				*column = (int)slot;
		}
		if (!found)
			return false;
	}
	return true;
}

static void find(const struct snapshot *snapshot, struct panel_place *place)
{
	for (int row; (row = panel_find(place, (int)snapshot->superslab_count)) >= 0;) {
		int column = place->column;
		if (superslab_matches(snapshot, &snapshot->superslabs[row], place->find, &column)) {
			panel_found(place, row);
			place->column = column;
		}
	}
}

static void draw_detail(struct area area, int y, const struct snapshot *snapshot, const struct superslab *superslab,
	unsigned slot)
{
	char age[FORMAT_MAX], bytes[FORMAT_MAX], percent[FORMAT_MAX];
	const struct slot *one = &superslab->slots[slot];
	const struct slot *first = one->lead >= 0 ? &superslab->slots[one->lead] : one;
	bool wide = area.width >= WIDE;
	int x = wide ? area_printf(area, 0, y, STYLE_TAB, "0x%llx slot %u%s: ", (unsigned long long)superslab->address,
		slot, superslab->in_lru ? " (in LRU)" : "") :
		area_printf(area, 0, y, STYLE_TAB, "%llu.%u ", (unsigned long long)superslab->index, slot);
	x = area_text(area, x, y, STYLE_TAB_ON, slot_state_names[one->state]);
	if (one->state != SLOT_UNUSED && one->class < snapshot->class_count)
		x = area_printf(area, x, y, STYLE_TAB, " C%u %lluB", one->class,
			(unsigned long long)snapshot->classes[one->class].block_bytes);
	else if (one->state == SLOT_ACTIVE)
		x = area_printf(area, x, y, STYLE_TAB, " large allocation of %s",
			format_bytes(bytes, (uint64_t)first->span * snapshot->geometry.slot_bytes));
	if (one->state == SLOT_ACTIVE && one->lead >= 0 && one->class != SLOT_NO_CLASS)
		x = area_printf(area, x, y, STYLE_TAB, wide ? ", %u/%u out (%s)" : " %u/%u", first->used, first->capacity,
			format_percent(percent, first->used, first->capacity));
	if (first->span > 1 && wide)
		x = area_printf(area, x, y, STYLE_TAB, ", run of %u", first->span);
	if (one->state != SLOT_UNUSED)
		area_printf(area, x, y, STYLE_TAB, wide ? ", for %s" : " %s", format_age(age, slot_age_ms(snapshot, first)));
	area_fill(area, 0, y, area.width, STYLE_TAB);
}

/* What a row's slots are together, where there is room for it. */
static void draw_sum(struct area area, int x, int y, const struct snapshot *snapshot, const struct superslab *superslab)
{
	struct slot_sum sum;
	if (area.width - x < 6)
		return;
	area_printf(area, x + 1, y, STYLE_FAINT, "%2u/32", superslab->active_slots);
	if (area.width - x < 40)
		return;
	slots_sum(snapshot, superslab, 1, &sum);
	area_printf(area, x + 8, y, STYLE_NORMAL, "%3.0f%%", 100 * sum.used / MODEL_SLOTS);
	int width = area.width - x - 36 < 32 ? area.width - x - 36 : 32;
	const struct bar_part parts[] = {
		{sum.used / MODEL_SLOTS, STYLE_LIVE, GLYPH_FULL},
		{((double)sum.active - sum.used) / MODEL_SLOTS, STYLE_SLACK, GLYPH_MEDIUM},
		{(double)sum.empty / MODEL_SLOTS, STYLE_IDLE, GLYPH_LIGHT},
	};
	area_bar(area, x + 13, y, width, parts, sizeof(parts) / sizeof(parts[0]));
	if (sum.active > 0 && sum.class != SLOT_NO_CLASS)
		area_printf(area, x + 15 + width, y, style_of_class(snapshot, sum.class), "C%u %lluB x%u", sum.class,
			(unsigned long long)snapshot->classes[sum.class].block_bytes, sum.class_slots);
	else if (sum.active > 0)
		area_printf(area, x + 15 + width, y, STYLE_LARGE, "large x%u", sum.class_slots);
}

static void draw_row(struct area area, int y, const struct snapshot *snapshot, const struct superslab *superslab,
	const struct panel_place *place)
{
	if (place->left >= 21)
		area_printf(area, 0, y, STYLE_FAINT, "%4llu  %12llx", (unsigned long long)superslab->index,
			(unsigned long long)superslab->address);
	else if (place->left >= 15) /* the low digits tell SuperSlabs apart; the detail line has the whole address */
		area_printf(area, 0, y, STYLE_FAINT, "%4llu %08llx", (unsigned long long)superslab->index,
			(unsigned long long)(superslab->address & 0xffffffff));
	else
		area_printf(area, 0, y, STYLE_FAINT, "%4llu", (unsigned long long)superslab->index);
	if (superslab->in_lru)
		area_put(area, place->left - 1, y, STYLE_STAGE2, 'L');
	for (unsigned slot = 0; slot < MODEL_SLOTS; slot++)
		draw_slot(area, place->left + (int)slot * place->step, y, place->step, (enum slot_mode)place->mode,
			snapshot, superslab, slot);
	draw_sum(area, place->left + MODEL_SLOTS * place->step, y, snapshot, superslab);
}

static void draw_rows(struct area area, const struct snapshot *snapshot, struct panel_place *place, bool with_cursor)
{
	place->step = area.width >= 5 + 2 * MODEL_SLOTS ? 2 : 1;
	place->left = area.width >= 21 + 2 * MODEL_SLOTS ? 21 : area.width >= 15 + 2 * MODEL_SLOTS ?
		15 : area.width >= 6 + MODEL_SLOTS ? 6 : 5;
	place->body = 1;
	place->stride = 1;
	panel_scroll(&panel_slotmap, place, (int)snapshot->superslab_count, area.height - 2);
	draw_slot_legend(area, 0, (enum slot_mode)place->mode);
	for (int i = 0; i < place->page && place->first + i < place->rows; i++)
		draw_row(area, 1 + i, snapshot, &snapshot->superslabs[place->first + i], place);
	if (!with_cursor)
		return;
	area_reverse(area, place->left + place->column * place->step, place->body + place->row - place->first,
		place->step);
	draw_detail(area, area.height - 1, snapshot, &snapshot->superslabs[place->row], (unsigned)place->column);
}

static void draw_fold_detail(struct area area, int y, const struct snapshot *snapshot, size_t first, size_t count)
{
	struct slot_sum sum;
	char percent[FORMAT_MAX];
	bool wide = area.width >= WIDE;
	slots_sum(snapshot, &snapshot->superslabs[first], count, &sum);
	uint64_t slots = (uint64_t)count * MODEL_SLOTS;
	int x = area_printf(area, wide, y, STYLE_TAB, wide ? "SuperSlab %llu" : "%llu",
		(unsigned long long)snapshot->superslabs[first].index);
	if (count > 1)
		x = area_printf(area, x, y, STYLE_TAB, " to %llu",
			(unsigned long long)snapshot->superslabs[first + count - 1].index);
	x = area_printf(area, x, y, STYLE_TAB, wide ? ": %s of it used, " : ": %s used, ",
		format_percent(percent, (uint64_t)(sum.used + 0.5), slots));
	x = area_printf(area, x, y, STYLE_TAB, wide ? "%u slots ACTIVE, %u EMPTY, %u UNUSED" : "%u/%u/%u", sum.active,
		sum.empty, sum.unused);
	if (sum.active > 0 && sum.class != SLOT_NO_CLASS)
		x = area_printf(area, x, y, STYLE_TAB, ", most of C%u", sum.class);
	else if (sum.active > 0)
		x = area_text(area, x, y, STYLE_TAB, ", most of large ones");
	if (sum.in_lru > 0)
		area_printf(area, x, y, STYLE_TAB, ", %u in the LRU cache", sum.in_lru);
	area_fill(area, 0, y, area.width, STYLE_TAB);
}

static void draw_folded(struct area area, const struct snapshot *snapshot, struct panel_place *place, bool with_cursor)
{
	struct fold fold = fold_for(snapshot->superslab_count, area.width, area.height - 2);
	place->step = 1;
	place->left = fold.left;
	place->columns = fold.across;
	place->body = 1;
	place->page = area.height - 2;
	place->stride = fold.across * (int)fold.each;
	place->sideways = (int)fold.each;
	draw_slot_legend(area, 0, (enum slot_mode)place->mode);
	for (int i = 0; i < fold.rows && i < area.height - 2; i++)
		draw_folded_row(area, 1 + i, i, &fold, (enum slot_mode)place->mode, snapshot);
	if (!with_cursor)
		return;
	size_t cell = (size_t)place->row / fold.each, first = cell * fold.each;
	size_t left = snapshot->superslab_count - first;
	area_reverse(area, fold.left + (int)(cell % (size_t)fold.across), 1 + (int)(cell / (size_t)fold.across), 1);
	draw_fold_detail(area, area.height - 1, snapshot, first, left < fold.each ? left : fold.each);
}

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	if (draw_waiting(area, watch))
		return;
	const struct snapshot *snapshot = watch->snapshot;
	if (snapshot->superslab_count == 0) {
		area_text(area, 0, 1, STYLE_FAINT, "No SuperSlab yet.");
		return;
	}
	keep_cursor(snapshot, place);
	find(snapshot, place);
	place->sideways = 0;
	place->pending = place->zoom >= ZOOM_SUPERSLAB ? place->pending : 0;
	if (place->zoom == ZOOM_FOLDED)
		draw_folded(area, snapshot, place, with_cursor);
	else if (place->zoom == ZOOM_ROWS)
		draw_rows(area, snapshot, place, with_cursor);
	else if (place->zoom == ZOOM_SUPERSLAB)
		draw_superslab(area, watch, place, &snapshot->superslabs[place->row]);
	else
		draw_one_slot(area, watch, place, &snapshot->superslabs[place->row]);
	place->anchor = snapshot->superslabs[place->row].address;
	place->anchor_row = place->row;
}

/* From near, up and down go from slab to slab, and pages from SuperSlab to SuperSlab. */
static bool act(struct panel_place *place, enum act act)
{
	if (place->zoom < ZOOM_SUPERSLAB)
		return false;
	switch (act) {
	case ACT_UP: place->pending--; return true;
	case ACT_DOWN: place->pending++; return true;
	case ACT_PAGE_UP: place->row -= place->row > 0; return true;
	case ACT_PAGE_DOWN: place->row += place->row + 1 < place->rows; return true;
	case ACT_FIRST: place->column = 0; return true;
	case ACT_LAST: place->column = MODEL_SLOTS - 1; return true;
	default: return false;
	}
}

const struct panel panel_slotmap = {
	.columns = MODEL_SLOTS, .modes = SLOT_MODES, .zooms = ZOOM_SLOT, .zoom = ZOOM_ROWS, .keys = KEY_FINDS,
	.draw = draw, .act = act,
};
