#include "viewer/slotmap_zoom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/guard_rows.h"
#include "viewer/slots.h"

#define LABEL_WIDTH 11

/* The value of an argument of an event, read from its text. */
static bool argument(const struct event *event, const char *name, uint64_t *value)
{
	size_t length = strlen(name);
	for (const char *at = event->arguments; (at = strstr(at, name)) != NULL; at++) {
		if ((at == event->arguments || at[-1] == ' ') && at[length] == '=') {
			char *end;
			*value = strtoull(at + length + 1, &end, 0);
			return end > at + length + 1;
		}
	}
	return false;
}

/* The slots of the run that a slot belongs to: from `first` to before `end`. */
static void run_of(const struct superslab *superslab, unsigned slot, unsigned *first, unsigned *end)
{
	int lead = superslab->slots[slot].lead;
	*first = lead >= 0 ? (unsigned)lead : 0;
	*end = slot + 1;
	while (*end < MODEL_SLOTS && superslab->slots[*end].lead == lead)
		(*end)++;
}

bool slotmap_looks_at(const struct watch *watch, const struct panel_place *place, uint64_t *from, uint64_t *to)
{
	const struct snapshot *snapshot = watch->snapshot;
	unsigned first, end;
	if (snapshot == NULL || place->zoom != ZOOM_SLOT || place->row < 0 || (size_t)place->row >= snapshot->superslab_count ||
		place->column < 0 || place->column >= MODEL_SLOTS)
		return false;
	const struct superslab *superslab = &snapshot->superslabs[place->row];
	run_of(superslab, (unsigned)place->column, &first, &end);
	*from = superslab->address + first * snapshot->geometry.slot_bytes;
	*to = superslab->address + end * snapshot->geometry.slot_bytes;
	return true;
}

bool event_touches(const struct event *event, const struct snapshot *snapshot, const struct superslab *superslab,
	unsigned slot)
{
	uint64_t value, bytes;
	unsigned first, end;
	run_of(superslab, slot, &first, &end);
	if (argument(event, "ss", &value) && value == superslab->address)
		return !argument(event, "slab", &bytes) || (bytes >= first && bytes < end);
	if (!argument(event, "address", &value))
		return false;
	if (!argument(event, "bytes", &bytes))
		bytes = argument(event, "slots", &bytes) ? bytes * snapshot->geometry.slot_bytes : 1;
	uint64_t from = superslab->address + first * snapshot->geometry.slot_bytes;
	uint64_t to = superslab->address + end * snapshot->geometry.slot_bytes;
	return value < to && (bytes > to - value || value + bytes > from);
}

/* The newest events that touched a slot (or, without one, the SuperSlab), the last of them in the last row. */
static void draw_events(struct area area, const struct watch *watch, const struct superslab *superslab, int slot)
{
	const struct event_log *log = &watch->events;
	int rows = area.height - 1, found = 0;
	if (rows < 1)
		return;
	area_heading(area, 0, slot >= 0 ? "Events that touched it" : "Events that touched this SuperSlab");
	for (size_t i = log->count; i > 0 && found < rows; i--) {
		const struct event *event = events_at(log, i - 1);
		bool touched = slot >= 0 && event_touches(event, watch->snapshot, superslab, (unsigned)slot);
		for (unsigned j = 0; slot < 0 && !touched && j < MODEL_SLOTS; j++)
			touched = event_touches(event, watch->snapshot, superslab, j);
		if (touched)
			draw_event(area, 1 + found++, event, log->base_us);
	}
	if (found == 0)
		area_text(area, 1, 1, STYLE_FAINT, log->count == 0 ? "No events yet." : "None among those that are kept.");
}

static int draw_title(struct area area, const struct superslab *superslab, int slot)
{
	area_fill(area, 0, 0, area.width, STYLE_TAB);
	int x = area_text(area, 1, 0, STYLE_TAB_KEY, "SuperSlab ");
	x = area_printf(area, x, 0, STYLE_TAB, "%llu ", (unsigned long long)superslab->index);
	x = area_printf(area, x, 0, STYLE_TAB, "0x%llx ", (unsigned long long)superslab->address);
	if (slot >= 0)
		x = area_printf(area, x, 0, STYLE_TAB_ON, " slot %d ", slot) + 1;
	if (superslab->in_lru)
		area_text(area, x, 0, STYLE_TAB, "in the LRU cache");
	return 1;
}

/* The 32 slots in a row, with the cursor; where they don't fit two columns each, in one. */
static int draw_strip(struct area area, int y, const struct watch *watch, struct panel_place *place,
	const struct superslab *superslab)
{
	place->step = area.width >= 2 + 2 * MODEL_SLOTS ? 2 : 1;
	place->left = area.width >= 2 + MODEL_SLOTS ? 1 : 0;
	place->body = y;
	place->page = 1;
	place->stride = 0;
	for (unsigned slot = 0; slot < MODEL_SLOTS; slot++)
		draw_slot(area, place->left + (int)slot * place->step, y, place->step, (enum slot_mode)place->mode,
			watch->snapshot, superslab, slot);
	area_reverse(area, place->left + place->column * place->step, y, place->step);
	return y + 1;
}

/* Steps up and down go from run to run. */
static void move_by_runs(struct panel_place *place, const struct superslab *superslab)
{
	unsigned first, end;
	for (; place->pending != 0; place->pending += place->pending > 0 ? -1 : 1) {
		run_of(superslab, (unsigned)place->column, &first, &end);
		if (place->pending > 0 && end < MODEL_SLOTS)
			place->column = (int)end;
		else if (place->pending < 0 && first > 0) {
			run_of(superslab, first - 1, &first, &end);
			place->column = (int)first;
		}
	}
}

static void draw_run(struct area area, int y, const struct watch *watch, const struct superslab *superslab,
	unsigned slot, unsigned end)
{
	const struct snapshot *snapshot = watch->snapshot;
	const struct slot *one = &superslab->slots[slot];
	char size[FORMAT_MAX] = "", age[FORMAT_MAX] = "", percent[FORMAT_MAX];
	enum style style = one->state == SLOT_ACTIVE ? style_of_class(snapshot, one->class) :
		one->state == SLOT_EMPTY ? STYLE_EMPTY : STYLE_UNUSED;
	bool slab = one->state == SLOT_ACTIVE && one->class < snapshot->class_count;
	if (end > slot + 1)
		area_printf(area, 1, y, STYLE_FAINT, "%2u-%u", slot, end - 1);
	else
		area_printf(area, 1, y, STYLE_FAINT, "%2u", slot);
	area_text(area, 8, y, style, slot_state_names[one->state]);
	if (one->state != SLOT_UNUSED && one->class < snapshot->class_count)
		area_printf(area, 15, y, style, "%c C%u %lluB", class_symbol(one->class), one->class,
			(unsigned long long)snapshot->classes[one->class].block_bytes);
	else if (one->state != SLOT_UNUSED)
		area_printf(area, 15, y, style, "@ large %s",
			format_bytes(size, (uint64_t)(end - slot) * snapshot->geometry.slot_bytes));
	if (one->state != SLOT_UNUSED)
		area_right(area, area.width, y, STYLE_FAINT, format_age(age, slot_age_ms(snapshot, one)));
	if (!slab || one->lead < 0)
		return;
	area_right(area, area.width < 46 ? 33 : 36, y, STYLE_NORMAL, format_percent(percent, one->used, one->capacity));
	if (area.width < 60)
		return;
	const struct bar_part part = {slot_fill(superslab, slot), style, GLYPH_FULL};
	area_bar(area, 38, y, area.width - 60 < 40 ? area.width - 60 : 40, &part, 1);
	snprintf(percent, sizeof(percent), "%u/%u", one->used, one->capacity);
	area_right(area, area.width - 9, y, STYLE_NORMAL, percent);
}

void draw_superslab(struct area area, const struct watch *watch, struct panel_place *place,
	const struct superslab *superslab)
{
	unsigned starts[MODEL_SLOTS + 1], runs = 0, cursor = 0;
	move_by_runs(place, superslab);
	int y = draw_strip(area, draw_title(area, superslab, -1), watch, place, superslab);
	for (unsigned slot = 0, first, end; slot < MODEL_SLOTS; slot = end) {
		run_of(superslab, slot, &first, &end);
		cursor = (int)slot <= place->column ? runs : cursor;
		starts[runs++] = slot;
	}
	starts[runs] = MODEL_SLOTS;
	/* A third of what is left is the events'. */
	int rows = area.height - y, events = rows >= 12 ? rows / 3 : 0;
	int page = rows - events;
	unsigned from = page > 0 && cursor >= (unsigned)page ? cursor - (unsigned)page + 1 : 0;
	for (int i = 0; i < page && from + (unsigned)i < runs; i++) {
		unsigned run = from + (unsigned)i;
		draw_run(area, y + i, watch, superslab, starts[run], starts[run + 1]);
		if (run == cursor)
			area_reverse(area, 0, y + i, area.width);
	}
	int used = (int)(runs - from) < page ? (int)(runs - from) : page;
	draw_events(area_part(area, 0, y + used, area.width, rows - used), watch, superslab, -1);
}

static int draw_line(struct area area, int y, const char *label, const char *value)
{
	area_text(area, 1, y, STYLE_LABEL, label);
	area_text(area, LABEL_WIDTH, y, STYLE_NORMAL, value);
	return y + 1;
}

static int draw_blocks(struct area area, int y, const struct snapshot *snapshot, const struct slot *first)
{
	char line[128], percent[FORMAT_MAX], out[FORMAT_MAX], left[FORMAT_MAX];
	uint64_t each = snapshot->classes[first->class].block_bytes;
	uint64_t unused = first->capacity > first->used ? first->capacity - first->used : 0;
	snprintf(line, sizeof(line), "%u of %u handed out (%s)", first->used, first->capacity,
		format_percent(percent, first->used, first->capacity));
	y = draw_line(area, y, "Blocks", line);
	const struct bar_part part = {first->capacity > 0 ? (double)first->used / first->capacity : 0,
		style_of_class(snapshot, first->class), GLYPH_FULL};
	if (area.height >= 12)
		area_bar(area, LABEL_WIDTH, y++, area.width - LABEL_WIDTH - 1 < 64 ? area.width - LABEL_WIDTH - 1 : 64, &part, 1);
	snprintf(line, sizeof(line), "%s handed out, %s free", format_bytes(out, first->used * each),
		format_bytes(left, unused * each));
	return draw_line(area, y, "Memory", line);
}

void draw_one_slot(struct area area, const struct watch *watch, struct panel_place *place,
	const struct superslab *superslab)
{
	const struct snapshot *snapshot = watch->snapshot;
	char line[128], size[FORMAT_MAX], age[FORMAT_MAX];
	unsigned begin, end;
	move_by_runs(place, superslab);
	unsigned slot = (unsigned)place->column;
	const struct slot *one = &superslab->slots[slot];
	const struct slot *first = one->lead >= 0 ? &superslab->slots[one->lead] : one;
	run_of(superslab, slot, &begin, &end);
	int y = draw_strip(area, draw_title(area, superslab, (int)slot), watch, place, superslab);
	y += area.height >= 16;
	snprintf(line, sizeof(line), "%s%s%s", slot_state_names[one->state], one->state != SLOT_UNUSED ? " for " : "",
		one->state != SLOT_UNUSED ? format_age(age, slot_age_ms(snapshot, first)) : "");
	y = draw_line(area, y, "State", line);
	bool classed = one->state != SLOT_UNUSED && one->class < snapshot->class_count;
	if (classed)
		snprintf(line, sizeof(line), "C%u, blocks of %llu bytes (%c in the map)", one->class,
			(unsigned long long)snapshot->classes[one->class].block_bytes, class_symbol(one->class));
	else
		snprintf(line, sizeof(line), one->state == SLOT_UNUSED ? "none" : "none: a large allocation");
	y = draw_line(area, y, "Class", line);
	if (end > begin + 1 && one->state != SLOT_UNUSED)
		snprintf(line, sizeof(line), "%u to %u, %s", begin, end - 1,
			format_bytes(size, (end - begin) * snapshot->geometry.slot_bytes));
	else
		snprintf(line, sizeof(line), "%u, %s", slot, format_bytes(size, snapshot->geometry.slot_bytes));
	y = draw_line(area, y, "Slots", line);
	if (classed && one->state == SLOT_ACTIVE && one->lead >= 0)
		y = draw_blocks(area, y, snapshot, first);
	unsigned long long slot_bytes = snapshot->geometry.slot_bytes, address = superslab->address;
	snprintf(line, sizeof(line), "0x%llx to 0x%llx", address + begin * slot_bytes, address + end * slot_bytes);
	y = draw_line(area, y, "Memory at", line);
	y += area.height >= 16;
	/* The events have half of what is left. */
	y = draw_guarded(area, y, (area.height - y) / 2, watch, address + begin * slot_bytes, address + end * slot_bytes);
	draw_events(area_part(area, 0, y, area.width, area.height - y), watch, superslab, (int)slot);
}
