/* panel_sites.c: call sites as a table with the stack of the one under the cursor, or as a tree of functions. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/panel.h"
#include "viewer/site_rows.h"
#include "viewer/site_words.h"
#include "viewer/table.h"

#define WIDE 120  /* columns from which on there is room for all figures */
#define NARROW 60 /* below which there is room for one */
#define STACK_LEAST 6 /* rows of the table that a stack leaves it */

enum column {
	COLUMN_LIVE, COLUMN_ERROR, COLUMN_PINNED, COLUMN_RATE, COLUMN_TEMPORARY, COLUMN_BLOCKS, COLUMN_ALLOCATED, COLUMN_AGE, COLUMN_LIVES,
	COLUMN_SITE, COLUMN_COUNT
};

static const struct table_column wide_columns[COLUMN_COUNT] = {
	[COLUMN_LIVE] = {"Live", 7, TABLE_NUMBER}, [COLUMN_ERROR] = {"+-", 7, TABLE_NUMBER}, [COLUMN_PINNED] = {"Pinned", 8, TABLE_NUMBER},
	[COLUMN_RATE] = {"Alloc/s", 9, TABLE_NUMBER}, [COLUMN_TEMPORARY] = {"Temp%", 7, TABLE_NUMBER},
	[COLUMN_BLOCKS] = {"Blocks", 8, TABLE_NUMBER}, [COLUMN_ALLOCATED] = {"Alloc", 7, TABLE_NUMBER}, [COLUMN_AGE] = {"Age", 8, TABLE_NUMBER},
	[COLUMN_LIVES] = {"Lives", 10, TABLE_NAME}, [COLUMN_SITE] = {"Call site", 20, TABLE_WORDS},
};

/* The figures that are told of a function of the tree. */
static bool is_of_tree(int column)
{
	return column == COLUMN_LIVE || column == COLUMN_ERROR || column == COLUMN_PINNED || column == COLUMN_TEMPORARY ||
		column == COLUMN_ALLOCATED || column == COLUMN_SITE;
}

/* The columns that there is room for; the others have no width. */
static void choose(struct table_column columns[COLUMN_COUNT], int width, bool tree)
{
	for (int i = 0; i < COLUMN_COUNT; i++) {
		bool fits = width >= WIDE || (width >= NARROW ? i <= COLUMN_TEMPORARY : i == COLUMN_LIVE) || i == COLUMN_SITE;
		columns[i] = wide_columns[i];
		if (!fits || (tree && !is_of_tree(i)))
			columns[i] = (struct table_column){"", 0, wide_columns[i].kind};
	}
}

/* What is shown; it follows watch->profile. */
static struct site_rows shown;

static double number(const struct watch *watch, const void *cell, int column)
{
	const struct site_row *row = cell;
	(void)watch;
	switch (column) {
	case COLUMN_LIVE: return row->sum.live_bytes;
	case COLUMN_ERROR: return site_live_error(&row->sum);
	case COLUMN_PINNED: return row->sum.pinned_bytes;
	case COLUMN_RATE: return row->rate;
	case COLUMN_TEMPORARY: return row->sum.allocs > 0 ? 100 * row->sum.temporary / row->sum.allocs : -1;
	case COLUMN_BLOCKS: return row->sum.live_blocks;
	case COLUMN_ALLOCATED: return row->sum.alloc_bytes;
	case COLUMN_AGE: return row->sum.live_blocks > 0 ? row->sum.age_sum / row->sum.live_blocks : -1;
	default: return 0;
	}
}

/* The lifetimes as a row of heights, the shortest lives on the left. */
static void draw_lives(const struct site *site, char *out)
{
	static const char heights[] = " .:-=+*#";
	double most = 0;
	size_t count = shown.profile->lifetime_count;
	for (size_t i = 0; i < count; i++)
		most = fmax(most, site->lifetimes[i]);
	for (size_t i = 0; i < count; i++)
		out[i] = heights[most > 0 ? (size_t)ceil(7 * fmin(site->lifetimes[i] / most, 1)) : 0];
	out[count] = '\0';
}

static void draw_site(const struct site_row *row, char *out)
{
	char name[SYMBOL_TEXT] = "(no stack)", source[SYMBOL_TEXT] = "";
	/* Deep trees go on in the last column that can be told from others. */
	int indent = 2 * (int)(row->depth < 40 ? row->depth : 40);
	if (row->symbol != NULL) {
		symbol_name(name, row->symbol);
		symbol_source(source, row->symbol, false);
	}
	if (shown.view == SITE_VIEW_TABLE)
		snprintf(out, TABLE_TEXT, "%.150s%s%.80s", name, *source != '\0' ? "  " : "", source);
	else
		snprintf(out, TABLE_TEXT, "%*s%c %.140s", indent, "", row->opens ? (row->open ? '-' : '+') : ' ', name);
}

static void text(const struct watch *watch, const void *cell, int column, char *out)
{
	const struct site_row *row = cell;
	double value = number(watch, cell, column);
	out[0] = '\0';
	switch (column) {
	case COLUMN_SITE: draw_site(row, out); return;
	case COLUMN_LIVES: draw_lives(&row->sum, out); return;
	case COLUMN_TEMPORARY:
		if (value >= 0)
			snprintf(out, TABLE_TEXT, "%.0f", fmin(value, 100));
		return;
	case COLUMN_AGE:
		if (value >= 0)
			format_age(out, site_whole(value));
		return;
	case COLUMN_RATE:
		if (value >= 0)
			format_bytes(out, site_whole(value));
		return;
	case COLUMN_BLOCKS: format_count(out, site_whole(value)); return;
	default: format_bytes(out, site_whole(value)); return;
	}
}

static enum style style(const struct watch *watch, const void *cell, int column)
{
	const struct site_row *row = cell;
	if (column == COLUMN_SITE || column == COLUMN_LIVES)
		return row->symbol != NULL && row->symbol->function != NULL ? STYLE_NORMAL : STYLE_FAINT;
	if (!(number(watch, cell, column) > 0) || column == COLUMN_ERROR)
		return STYLE_FAINT;
	return column == COLUMN_LIVE ? STYLE_STRONG : column == COLUMN_PINNED ? STYLE_SLACK : STYLE_NORMAL;
}

static size_t rows(const struct watch *watch)
{
	(void)watch;
	return shown.count;
}

static const void *row_at(const struct watch *watch, size_t i)
{
	(void)watch;
	return &shown.rows[i];
}

static void draw_head(struct area area, const struct panel_place *place)
{
	static const char *const views[SITE_VIEWS] = {
		[SITE_VIEW_TABLE] = "table", [SITE_VIEW_DOWN] = "top-down", [SITE_VIEW_UP] = "bottom-up",
	};
	const struct profile *profile = shown.profile;
	char live[SITE_WORDS], blocks[SITE_WORDS], rate[SITE_WORDS], samples[FORMAT_MAX];
	/* In the place of figures that would be taken for what the filter was meant to leave. */
	if (*shown.wrong.text != '\0') {
		area_printf(area, 1, 0, STYLE_BAD, "%s", shown.wrong.text);
		return;
	}
	int x = area_printf(area, 1, 0, STYLE_STRONG, "%s", site_words_bytes(live, shown.total.live_bytes, site_live_error(&shown.total)));
	x = area_printf(area, x, 0, STYLE_NORMAL, " live in %s%s", site_words_blocks(blocks, &shown.total), *place->filter != '\0' ?
		" that pass" : "");
	x = area_printf(area, x, 0, STYLE_FAINT, "; %s samples, %s", format_count(samples, profile->samples),
		site_words_rate(rate, profile, false));
	if (profile->lost_samples + profile->lost_stacks > 0)
		x = area_printf(area, x, 0, STYLE_WARNING, "; %s lost", format_count(samples, profile->lost_samples + profile->lost_stacks));
	if (x + (int)strlen(views[shown.view]) + 2 <= area.width)
		area_right(area, area.width - 1, 0, STYLE_LABEL, views[shown.view]);
}

/* The stack of the row under the cursor, as far as there is room. */
static void draw_stack(struct area area, const struct site_row *row)
{
	char name[SYMBOL_TEXT], source[SYMBOL_TEXT], lives[SITE_WORDS], cut[SITE_WORDS], title[SITE_WORDS + 16] = "Stack";
	size_t count;
	const struct symbol *const *lines = symbols_of_stack(shown.symbols, row->sum.stack, &count);
	int y = 0;
	/* In the heading, as the last of so many lines is hardly ever on the screen. */
	if (site_words_cut(cut, &shown.profile->stacks[row->sum.stack]))
		snprintf(title, sizeof(title), "Stack (%s)", cut);
	area_heading(area, y++, title);
	if (site_words_lives(lives, shown.profile, &row->sum))
		area_printf(area, (int)strlen(title) + 3, 0, STYLE_FAINT, "freed after: %s", lives);
	for (size_t i = 0; i < count && y < area.height; i++, y++) {
		symbol_source(source, lines[i], area.width >= WIDE);
		int x = area_text(area, 1, y, STYLE_NORMAL, symbol_name(name, lines[i]));
		area_printf(area, x + 2, y, STYLE_FAINT, "%s%s", source, lines[i]->inlined ? " (inlined)" : "");
	}
}

static void draw_rows(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	struct table_column columns[COLUMN_COUNT];
	bool tree = shown.view != SITE_VIEW_TABLE;
	int stack_rows = tree || area.height < 2 * STACK_LEAST ? 0 : place->zoom > 0 ? area.height - STACK_LEAST : area.height / 3;
	char filter[PANEL_WORDS];
	choose(columns, area.width, tree);
	const struct table table = {
		.columns = columns, .count = COLUMN_COUNT, .fixed = COLUMN_COUNT, .unordered = tree, .rows = rows, .row = row_at, .number = number,
		.text = text, .style = style, .nothing = *place->filter != '\0' ? "Nothing passes the filter." : "No block has been sampled yet.",
	};
	/* The filter has been at work already, on the whole stacks. */
	memcpy(filter, place->filter, sizeof(filter));
	place->filter[0] = '\0';
	const struct site_row *row = table_draw(area_part(area, 0, 1, area.width, area.height - 1 - stack_rows), &panel_sites, &table, watch, place,
		with_cursor);
	memcpy(place->filter, filter, sizeof(filter));
	place->head++;
	place->body++;
	if (row != NULL && stack_rows > 0)
		draw_stack(area_part(area, 0, area.height - stack_rows, area.width, stack_rows), row);
}

static void draw_nothing(struct area area, const struct watch *watch)
{
	if (watch->state == WATCH_LIVE && watch->profile == NULL) {
		area_text(area, 1, 1, STYLE_FAINT, "Waiting for the profile.");
		return;
	}
	area_text(area, 1, 1, STYLE_FAINT, watch->profile != NULL ? "No profile: the profiler is off." : "No profile.");
	area_text(area, 1, 2, STYLE_FAINT, "HAKMEM_PROF=1 starts it with the program; a request to its socket while it runs:");
	area_text(area, 1, 3, STYLE_FAINT, "  printf '" PROFILE_REQUEST "\\n' | socat - UNIX-CONNECT:PATH");
}

static void draw(struct area area, const struct watch *watch, struct panel_place *place, bool with_cursor)
{
	enum site_view view = (enum site_view)(place->mode % SITE_VIEWS);
	if (watch->profile == NULL || watch->profile->samples + watch->profile->rate == 0) {
		panel_scroll(&panel_sites, place, 0, area.height);
		draw_nothing(area, watch);
		return;
	}
	if (place->pending != 0 && place->row < (int)shown.count && view == shown.view && view != SITE_VIEW_TABLE)
		site_rows_turn(&shown, shown.rows[place->row].path);
	place->pending = 0;
	place->sorts = view == SITE_VIEW_TABLE ? COLUMN_COUNT : 0;
	site_rows_update(&shown, watch->profile, &watch->where, view, place->filter);
	draw_head(area, place);
	draw_rows(area, watch, place, with_cursor);
}

static bool act(struct panel_place *place, enum act act)
{
	if (act == ACT_TREE) {
		place->mode = (place->mode + 1) % SITE_VIEWS;
		place->row = place->first = place->zoom = 0;
		return true;
	}
	if (act == ACT_ENTER && place->mode != SITE_VIEW_TABLE) {
		place->pending = 1;
		return true;
	}
	return false;
}

static int column_at(const struct panel_place *place, int width, int x)
{
	struct table_column columns[COLUMN_COUNT];
	(void)place;
	choose(columns, width, false);
	for (int i = 0, left = 0; i < COLUMN_COUNT; left += columns[i++].width) {
		if (x >= left && x < (i == COLUMN_SITE ? width : left + columns[i].width))
			return i;
	}
	return -1;
}

static const char *column_name(int column)
{
	return wide_columns[column].head;
}

const struct panel panel_sites = {
	.sorts = COLUMN_COUNT, .first_sort = COLUMN_LIVE, .zooms = 1, .keys = KEY_FINDS | KEY_FILTERS | KEY_TREES, .draw = draw, .act = act,
	.column_at = column_at, .column_name = column_name,
};
