/* panel_processes.c: this user's HAKMEM processes, as a tree of parents and children; Enter watches another one. */
#include <stdio.h>
#include <string.h>

#include "viewer/family.h"
#include "viewer/format.h"
#include "viewer/panel.h"
#include "viewer/table.h"

enum column { COLUMN_PID, COLUMN_STATE, COLUMN_HEAP, COLUMN_RESIDENT, COLUMN_THREADS, COLUMN_COMMAND, COLUMN_COUNT };

static const struct table_column columns[COLUMN_COUNT] = {
	[COLUMN_PID] = {"PID", 9, TABLE_NUMBER}, [COLUMN_STATE] = {"S", 3, TABLE_WORDS},
	[COLUMN_HEAP] = {"Endpoint", 10, TABLE_WORDS}, [COLUMN_RESIDENT] = {"Resident", 9, TABLE_NUMBER},
	[COLUMN_THREADS] = {"Thr", 5, TABLE_NUMBER}, [COLUMN_COMMAND] = {"Command", 20, TABLE_WORDS},
};

static bool is_watched(const struct watch *watch, const struct relative *row)
{
	const struct snapshot *snapshot = watch->snapshot;
	return snapshot != NULL && !snapshot->is_dump && snapshot->process.pid == (uint64_t)row->pid &&
		snapshot->process.start_time == row->start_time;
}

static double number(const struct watch *watch, const void *row, int column)
{
	(void)watch;
	(void)row;
	(void)column;
	return 0; /* the tree has an order of its own */
}

#define BRANCHES_MAX 16 /* generations that are drawn; later ones stand in the last one's column */

/* The lines of the tree that lead to a row. */
static int draw_branches(const struct relative *row, char *out)
{
	int length = 0;
	for (int depth = 1; depth < row->depth && depth < BRANCHES_MAX; depth++)
		length += snprintf(out + length, TABLE_TEXT - (size_t)length, "%s", row->lines >> depth & 1 ? "| " : "  ");
	if (row->depth > 0)
		length += snprintf(out + length, TABLE_TEXT - (size_t)length, "%s", row->last ? "`-" : "|-");
	return length;
}

static void text(const struct watch *watch, const void *cell, int column, char *out)
{
	const struct relative *row = cell;
	switch (column) {
	case COLUMN_PID: snprintf(out, TABLE_TEXT, "%d", (int)row->pid); return;
	case COLUMN_STATE: snprintf(out, TABLE_TEXT, "%c", row->state); return;
	case COLUMN_HEAP:
		snprintf(out, TABLE_TEXT, "%s", is_watched(watch, row) ? "watched" : row->open ? "open" :
			row->hakmem ? "off" : "");
		return;
	case COLUMN_RESIDENT: format_bytes(out, row->resident_bytes); return;
	case COLUMN_THREADS: snprintf(out, TABLE_TEXT, "%u", row->threads); return;
	default:
		out += draw_branches(row, out);
		snprintf(out, TABLE_TEXT - 2 * BRANCHES_MAX, "%.200s", row->command);
		return;
	}
}

static enum style style(const struct watch *watch, const void *cell, int column)
{
	const struct relative *row = cell;
	if (!row->hakmem)
		return STYLE_FAINT;
	if (column == COLUMN_HEAP)
		return is_watched(watch, row) ? STYLE_TAB_ON : row->open ? STYLE_GOOD : STYLE_FAINT;
	return column == COLUMN_COMMAND ? STYLE_STRONG : STYLE_NORMAL;
}

static size_t rows(const struct watch *watch)
{
	return watch->family != NULL ? watch->family->count : 0;
}

static const void *row_at(const struct watch *watch, size_t i)
{
	return &watch->family->rows[i];
}

static const struct table table = {
	.columns = columns, .count = COLUMN_COUNT, .fixed = 1, .unordered = true, .rows = rows, .row = row_at,
	.number = number, .text = text, .style = style, .nothing = "No process of this user runs on HAKMEM.",
};

/* A narrow terminal needs the room for the commands. */
static const struct table_column narrow_columns[COLUMN_COUNT] = {
	[COLUMN_PID] = {"PID", 9, TABLE_NUMBER}, [COLUMN_STATE] = {"", 0, TABLE_WORDS},
	[COLUMN_HEAP] = {"Endpoint", 10, TABLE_WORDS}, [COLUMN_RESIDENT] = {"", 0, TABLE_NUMBER},
	[COLUMN_THREADS] = {"", 0, TABLE_NUMBER}, [COLUMN_COMMAND] = {"Command", 12, TABLE_WORDS},
};

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	struct table narrow = table;
	narrow.columns = narrow_columns;
	const struct family *family = watch->family;
	/* Rows come and go above the cursor; it stays on its process. */
	if (family != NULL && place->row == place->anchor_row && *place->filter == '\0') {
		for (size_t i = 0; i < family->count; i++) {
			if ((uint64_t)family->rows[i].pid == place->anchor)
				place->row = (int)i;
		}
	}
	if (family == NULL) {
		area_text(area, 1, 2, STYLE_FAINT, "Looking for processes");
		return;
	}
	const struct relative *row = table_draw(area, &panel_processes, area.width < 60 ? &narrow : &table, watch, place,
		with_cursor);
	place->anchor = row != NULL ? (uint64_t)row->pid : 0;
	place->anchor_row = place->row;
}

static pid_t process(const struct watch *watch, const struct panel_place *place)
{
	for (size_t i = 0; watch->family != NULL && i < watch->family->count; i++) {
		const struct relative *row = &watch->family->rows[i];
		if ((uint64_t)row->pid == place->anchor)
			return row->open ? row->pid : 0;
	}
	return 0;
}

const struct panel panel_processes = {
	.keys = KEY_FINDS | KEY_FILTERS, .draw = draw, .process = process,
};
