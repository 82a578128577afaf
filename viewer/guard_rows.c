#include "viewer/guard_rows.h"

#include <stdio.h>

#include "viewer/format.h"
#include "viewer/guard_model.h"
#include "viewer/panel.h"
#include "viewer/symbols.h"

#define WIDE 100

/* The names of what was drawn last; they follow watch->guards. */
static struct {
	struct symbols *symbols;
	uint64_t serial; /* of the profile */
} names;

static struct symbols *names_of(const struct watch *watch)
{
	const struct profile *profile = watch->guards->profile;
	if (names.symbols != NULL && names.serial == profile->serial)
		return names.symbols;
	if (names.symbols == NULL)
		names.symbols = symbols_open(profile, &watch->where);
	else if (!symbols_move(names.symbols, profile)) {
		symbols_close(names.symbols);
		names.symbols = NULL;
	}
	names.serial = profile->serial;
	return names.symbols;
}

/* "make uaf.c:5": where a stack comes from, as a user would call it. */
static void place_of(char out[SYMBOL_TEXT], struct symbols *symbols, uint32_t stack)
{
	char name[SYMBOL_TEXT], source[SYMBOL_TEXT];
	size_t count = 0;
	const struct symbol *const *lines = symbols != NULL ? symbols_of_stack(symbols, stack, &count) : NULL;
	snprintf(out, SYMBOL_TEXT, "(no stack)");
	if (count == 0)
		return;
	const struct symbol *line = lines[symbols_place(lines, count)];
	symbol_source(source, line, false);
	snprintf(out, SYMBOL_TEXT, "%.200s%s%.200s", symbol_name(name, line), *source != '\0' ? " " : "", source);
}

static bool block_is_in(const struct guard_block *block, uint64_t from, uint64_t to)
{
	return block->address < to && block->address + block->bytes > from;
}

static bool report_is_in(const struct guard_report *report, uint64_t from, uint64_t to)
{
	return (report->address >= from && report->address < to) || (report->block.address != 0 && block_is_in(&report->block, from, to));
}

static void draw_report(struct area area, int y, struct symbols *symbols, const struct guard_report *report)
{
	char place[SYMBOL_TEXT];
	place_of(place, symbols, report->by.stack);
	int x = area_printf(area, 1, y, STYLE_WARNING, " %s ", report->text);
	area_printf(area, x + 1, y, STYLE_NORMAL, "0x%llx by thread %llu, %s", (unsigned long long)report->address,
		(unsigned long long)report->by.tid, place);
}

static void draw_block(struct area area, int y, struct symbols *symbols, const struct guards *guards, const struct guard_block *block)
{
	char place[SYMBOL_TEXT], age[FORMAT_MAX] = "", bytes[FORMAT_MAX];
	const struct guard_deed *last = block->freed ? &block->gone : &block->allocated;
	if (last->time_us > 0 && last->time_us <= guards->time_us)
		format_age(age, (guards->time_us - last->time_us) / 1000);
	area_printf(area, 1, y, STYLE_FAINT, "0x%llx", (unsigned long long)block->address);
	area_right(area, 23, y, STYLE_NORMAL, format_bytes(bytes, block->bytes));
	area_text(area, 24, y, block->freed ? STYLE_FREE : STYLE_LIVE, block->freed ? "freed" : "live");
	area_right(area, 37, y, STYLE_FAINT, age);
	place_of(place, symbols, block->allocated.stack);
	int x = area_text(area, 39, y, STYLE_NORMAL, place);
	if (!block->freed || area.width < WIDE)
		return;
	place_of(place, symbols, block->gone.stack);
	area_printf(area, x, y, STYLE_FAINT, "; freed by %s", place);
}

int draw_guarded(struct area area, int y, int rows, const struct watch *watch, uint64_t from, uint64_t to)
{
	const struct guards *guards = watch->guards;
	size_t blocks = 0;
	int first = y, end = y + rows;
	if (guards == NULL || rows < 2)
		return y;
	struct symbols *symbols = names_of(watch);
	for (size_t i = 0; i < guards->report_count && y + 1 < end; i++) {
		if (report_is_in(&guards->reports[i], from, to))
			draw_report(area, ++y, symbols, &guards->reports[i]);
	}
	for (size_t i = 0; i < guards->block_count; i++) {
		if (!block_is_in(&guards->blocks[i], from, to))
			continue;
		blocks++;
		if (y + 1 < end)
			draw_block(area, ++y, symbols, guards, &guards->blocks[i]);
	}
	if (y == first)
		return y;
	char heading[64];
	snprintf(heading, sizeof(heading), "Guarded blocks: %zu%s", blocks, watch->state == WATCH_FILE ? " known to the dump" : "");
	area_heading(area, first, heading);
	return y + 1;
}
