/* panel_slotmap.c: a row a SuperSlab, a cell a slot; the slot under the cursor is explained in words. */
#include <stdio.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/panel.h"

static const char *const state_names[] = {"UNUSED", "ACTIVE", "EMPTY"};
static const char *const mode_names[SLOT_MODES] = {"by fill", "by class", "by age"};

static int draw_legend_entry(struct area area, int x, int y, enum style style, enum glyph glyph, const char *text)
{
	area_glyph(area, x, y, style, glyph);
	return area_text(area, x + 2, y, STYLE_FAINT, text) + 2;
}

static void draw_legend(struct area area, int y, enum slot_mode mode)
{
	int x = area_printf(area, 0, y, STYLE_TITLE, "%s ", mode_names[mode]) + 1;
	if (mode == SLOT_BY_FILL) {
		x = draw_legend_entry(area, x, y, STYLE_NORMAL, GLYPH_LIGHT, "<25%");
		x = draw_legend_entry(area, x, y, STYLE_NORMAL, GLYPH_MEDIUM, "<50%");
		x = draw_legend_entry(area, x, y, STYLE_NORMAL, GLYPH_DARK, "<88%");
		x = draw_legend_entry(area, x, y, STYLE_NORMAL, GLYPH_FULL, "full");
	} else if (mode == SLOT_BY_CLASS) {
		x = area_text(area, x, y, STYLE_FAINT, "0-9 a-z A-Z class") + 2;
		x = area_text(area, x, y, STYLE_FAINT, "@ large") + 2;
	} else {
		x = draw_legend_entry(area, x, y, STYLE_NORMAL, GLYPH_LIGHT, "<1s");
		x = draw_legend_entry(area, x, y, STYLE_NORMAL, GLYPH_MEDIUM, "<10s");
		x = draw_legend_entry(area, x, y, STYLE_NORMAL, GLYPH_DARK, "<100s");
		x = draw_legend_entry(area, x, y, STYLE_NORMAL, GLYPH_FULL, "older");
	}
	if (mode != SLOT_BY_AGE)
		x = draw_legend_entry(area, x, y, STYLE_EMPTY, GLYPH_EMPTY, "EMPTY");
	x = draw_legend_entry(area, x, y, STYLE_UNUSED, GLYPH_UNUSED, "UNUSED");
	static const char *const sizes[] = {"64", "128", "256", "512", "1K", "2K", "4K", "8K", "16K", "32K", "large"};
	int needed = 0;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		needed += (int)strlen(sizes[i]) + 1;
	if (x + needed > area.width)
		return;
	x = area.width - needed;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		x = area_text(area, x, y, (enum style)(STYLE_SIZE0 + i), sizes[i]) + 1;
}

static void draw_detail(struct area area, int y, const struct snapshot *snapshot, const struct superslab *superslab,
	unsigned slot)
{
	char age[FORMAT_MAX], bytes[FORMAT_MAX], percent[FORMAT_MAX];
	const struct slot *one = &superslab->slots[slot];
	const struct slot *first = one->lead >= 0 ? &superslab->slots[one->lead] : one;
	area_fill(area, 0, y, area.width, STYLE_TAB);
	int x = area_printf(area, 1, y, STYLE_TAB, "0x%llx slot %u%s: ", (unsigned long long)superslab->address, slot,
		superslab->in_lru ? " (in LRU)" : "");
	x = area_text(area, x, y, STYLE_TAB_ON, state_names[one->state]) + 1;
	if (one->state != SLOT_UNUSED && one->class < snapshot->class_count)
		x = area_printf(area, x, y, STYLE_TAB, "class %u (%lluB) ", one->class,
			(unsigned long long)snapshot->classes[one->class].block_bytes);
	else if (one->state == SLOT_ACTIVE)
		x = area_printf(area, x, y, STYLE_TAB, "large allocation of %s ",
			format_bytes(bytes, (uint64_t)first->span * snapshot->geometry.slot_bytes));
	if (one->state == SLOT_ACTIVE && one->lead >= 0 && one->class != SLOT_NO_CLASS)
		x = area_printf(area, x, y, STYLE_TAB, "%u/%u blocks out (%s) ", first->used, first->capacity,
			format_percent(percent, first->used, first->capacity));
	if (first->span > 1)
		x = area_printf(area, x, y, STYLE_TAB, "run of %u ", first->span);
	if (one->state != SLOT_UNUSED)
		area_printf(area, x, y, STYLE_TAB, "for %s", format_age(age, first->age_ms));
	area_fill(area, 0, y, area.width, STYLE_TAB);
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
			snapshot, superslab,
			slot);
	int end = place->left + MODEL_SLOTS * place->step;
	if (area.width - end >= 6)
		area_printf(area, end + 1, y, STYLE_FAINT, "%2u/32", superslab->active_slots);
}

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	if (draw_waiting(area, watch))
		return;
	const struct snapshot *snapshot = watch->snapshot;
	place->step = area.width >= 5 + 2 * MODEL_SLOTS ? 2 : 1;
	place->left = area.width >= 21 + 2 * MODEL_SLOTS ? 21 : area.width >= 15 + 2 * MODEL_SLOTS ?
		15 : area.width >= 6 + MODEL_SLOTS ? 6 : 5;
	place->body = 1;
	panel_scroll(&panel_slotmap, place, (int)snapshot->superslab_count, area.height - 2);
	draw_legend(area, 0, (enum slot_mode)place->mode);
	if (snapshot->superslab_count == 0) {
		area_text(area, 0, 1, STYLE_FAINT, "No SuperSlab yet.");
		return;
	}
	for (int i = 0; i < place->page && place->first + i < place->rows; i++)
		draw_row(area, 1 + i, snapshot, &snapshot->superslabs[place->first + i], place);
	if (!with_cursor)
		return;
	area_reverse(area, place->left + place->column * place->step, place->body + place->row - place->first,
		place->step);
	draw_detail(area, area.height - 1, snapshot, &snapshot->superslabs[place->row], (unsigned)place->column);
}

const struct panel panel_slotmap = {
	.columns = MODEL_SLOTS, .modes = SLOT_MODES, .draw = draw,
};
