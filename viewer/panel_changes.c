/* panel_changes.c: what changed since the mark, growth first. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "viewer/diff_report.h"
#include "viewer/format.h"
#include "viewer/panel.h"
#include "viewer/slots.h"

#define WHAT_WIDTH 30
#define NUMBER_WIDTH 11

/* What is listed, one group under another: each has a heading, then its rows. */
enum group { GROUP_MEMORY, GROUP_CLASSES, GROUP_STAGES, GROUP_SUPERSLABS, GROUP_OTHERS, GROUPS };
static const char *const headings[GROUPS] = {"Memory", "Classes, live bytes", "Stages", "SuperSlabs, used bytes", "Other counters"};

static bool is_of(const struct diff_figure *figure, enum group group)
{
	bool memory = strcmp(figure->section, "memory") == 0, stages = strcmp(figure->section, "stages") == 0;
	if (figure->value.before == figure->value.after)
		return false;
	return group == GROUP_MEMORY ? memory : group == GROUP_STAGES ? stages : group == GROUP_OTHERS && !memory && !stages;
}

static size_t rows_of(const struct diff *diff, enum group group)
{
	size_t count = 0;
	if (group == GROUP_CLASSES)
		return diff->class_count;
	if (group == GROUP_SUPERSLABS)
		return diff->superslab_count;
	for (size_t i = 0; i < diff->figure_count; i++)
		count += is_of(&diff->figures[i], group);
	return count;
}

static const struct diff_figure *figure_of(const struct diff *diff, enum group group, size_t row)
{
	for (size_t i = 0; i < diff->figure_count; i++) {
		if (is_of(&diff->figures[i], group) && row-- == 0)
			return &diff->figures[i];
	}
	return NULL;
}

static void draw_change(struct area area, int y, struct change change, bool bytes, const char *more)
{
	char text[FORMAT_MAX], growth[FORMAT_MAX + 1];
	int x = WHAT_WIDTH + NUMBER_WIDTH;
	area_right(area, x, y, STYLE_NORMAL, bytes ? format_bytes(text, change.before) : format_count(text, change.before));
	x += NUMBER_WIDTH;
	area_right(area, x, y, STYLE_NORMAL, bytes ? format_bytes(text, change.after) : format_count(text, change.after));
	x += NUMBER_WIDTH;
	area_right(area, x, y, change.after > change.before ? STYLE_SLACK : STYLE_GOOD, diff_growth_text(growth, change, bytes));
	area_text(area, x + 2, y, STYLE_FAINT, more);
}

static void draw_class(struct area area, int y, const struct diff_class *row)
{
	char size[FORMAT_MAX], blocks[FORMAT_MAX + 1], more[2 * FORMAT_MAX];
	area_put(area, 2, y, style_of_size(row->block_bytes), (uint32_t)class_symbol(row->class));
	area_printf(area, 4, y, STYLE_NORMAL, "C%u, %s", row->class, format_bytes(size, row->block_bytes));
	snprintf(more, sizeof(more), "%s blocks", diff_growth_text(blocks, row->live_blocks, false));
	draw_change(area, y, row->live_bytes, true, more);
}

static void draw_superslab(struct area area, int y, const struct diff_superslab *row)
{
	char more[64];
	area_printf(area, 2, y, STYLE_NORMAL, "0x%" PRIx64, row->address);
	snprintf(more, sizeof(more), "%s", !row->was ? "new" : !row->is ? "gone" : "");
	draw_change(area, y, row->used_bytes, true, more);
}

static void draw_figure(struct area area, int y, const struct diff_figure *figure, bool with_section)
{
	char label[FORMAT_MAX];
	area_printf(area, 2, y, STYLE_NORMAL, "%s%s%s", with_section ? figure->section : "", with_section ? ": " : "",
		diff_label(label, figure->name));
	draw_change(area, y, figure->value, diff_is_bytes(figure->name), "");
}

/* Row `row` of the list; 0 is the first group's heading. */
static void draw_row(struct area area, int y, const struct diff *diff, size_t row)
{
	for (int group = 0; group < GROUPS; group++) {
		size_t rows = rows_of(diff, (enum group)group);
		if (rows == 0)
			continue;
		if (row == 0)
			area_heading(area, y, headings[group]);
		else if (row <= rows && group == GROUP_CLASSES)
			draw_class(area, y, &diff->classes[row - 1]);
		else if (row <= rows && group == GROUP_SUPERSLABS)
			draw_superslab(area, y, &diff->superslabs[row - 1]);
		else if (row <= rows)
			draw_figure(area, y, figure_of(diff, (enum group)group, row - 1), group == GROUP_OTHERS);
		if (row <= rows)
			return;
		row -= rows + 1;
	}
}

static size_t count_rows(const struct diff *diff)
{
	size_t count = 0;
	for (int group = 0; group < GROUPS; group++) {
		size_t rows = rows_of(diff, (enum group)group);
		count += rows > 0 ? rows + 1 : 0;
	}
	return count;
}

/* "since the mark, 12.3s before". */
static void draw_head(struct area area, const struct watch *watch, const struct diff *diff)
{
	char age[FORMAT_MAX] = "", head[FORMAT_MAX];
	double seconds = diff->seconds < 0 ? -diff->seconds : diff->seconds;
	if (diff->same_process)
		format_age(age, (uint64_t)(seconds * 1000));
	const char *relation = !diff->same_process ? "another process" : diff->seconds < 0 ? " later" : " earlier";
	area_fill(area, 0, 0, area.width, STYLE_COLUMN_HEAD);
	snprintf(head, sizeof(head), "since %s", watch->marked ? "the mark" : "the start");
	int x = area_printf(area, 1, 0, STYLE_COLUMN_HEAD, "%s,", head);
	area_printf(area, x + 1, 0, STYLE_COLUMN_HEAD, "%s%s", age, relation);
	area_right(area, WHAT_WIDTH + NUMBER_WIDTH, 0, STYLE_COLUMN_HEAD, "  before");
	area_right(area, WHAT_WIDTH + 2 * NUMBER_WIDTH, 0, STYLE_COLUMN_HEAD, "after");
	area_right(area, WHAT_WIDTH + 3 * NUMBER_WIDTH, 0, STYLE_COLUMN_HEAD, "growth");
}

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	struct diff diff;
	if (draw_waiting(area, watch))
		return;
	place->body = 1;
	if (watch->mark == NULL) {
		panel_scroll(&panel_changes, place, 0, area.height - 1);
		area_text(area, 1, 1, STYLE_FAINT, "Nothing to compare with. m marks what is shown; 'hakmem-top --diff A B' compares files.");
		return;
	}
	if (!diff_make(&diff, watch->mark, watch->snapshot))
		return;
	size_t rows = count_rows(&diff);
	panel_scroll(&panel_changes, place, (int)rows, area.height - 1);
	draw_head(area, watch, &diff);
	for (int i = 0; i < place->page && place->first + i < (int)rows; i++)
		draw_row(area, 1 + i, &diff, (size_t)place->first + (size_t)i);
	if (rows == 0)
		area_text(area, 1, 1, STYLE_FAINT, "Nothing has changed. m marks what is shown, to compare with it later.");
	else if (with_cursor)
		area_reverse(area, 0, 1 + place->row - place->first, area.width);
	diff_free(&diff);
}

const struct panel panel_changes = {.draw = draw};
