#include "cell_check.h"

#include "report.h"
#include "settings.h"
#include "zone.h"

/* Of large blocks: bytes behind one that are its zone. The whole would bring pages into memory that the program never asked
 * for. */
#define ZONE_MAX ((size_t)4096)

/* ---- What is known of a block ---- */

uint8_t hak_cell_class_of(size_t bytes)
{
	return bytes > HAK_MAX_SMALL ? HAK_SAMPLE_LARGE : (uint8_t)HAK_CLASS_OF_BIN(hak_bin_of_size(bytes));
}

/* One that is being freed is looked at as it was until then. */
static bool is_freed(const struct hak_cell *cell)
{
	enum hak_cell_state state = hak_cell_state(cell);

	return state == HAK_CELL_FREE || state == HAK_CELL_QUARANTINED;
}

void hak_cell_describe(const struct hak_cell *cell, struct hak_guarded *out)
{
	const struct hak_cell_record *record = cell->record;

	*out = (struct hak_guarded){
		.address = hak_cell_block(cell),
		.bytes = hak_cell_block_bytes(cell),
		.level = HAK_GUARD_FULL,
		.state = is_freed(cell) ? HAK_GUARDED_FREED : HAK_GUARDED_LIVE,
		.align_shift = record->align_shift,
		.alloc_stack = record->alloc_stack,
		.free_stack = record->free_stack,
		.alloc_tid = record->alloc_tid,
		.free_tid = record->free_tid,
	};
	out->class = hak_cell_class_of(out->bytes);
}

/* ---- What stands in a cell, and whether it does ---- */

static uintptr_t after_block(const struct hak_cell *cell)
{
	return hak_cell_block(cell) + hak_cell_block_bytes(cell);
}

static size_t zone_after(const struct hak_cell *cell)
{
	return cell->bin != HAK_BIN_LARGE || cell->record->after < ZONE_MAX ? cell->record->after : ZONE_MAX;
}

void hak_cell_fill_zones(const struct hak_cell *cell)
{
	hak_zone_fill(cell->start, hak_cell_block(cell) - cell->start, HAK_ZONE_BYTE);
	hak_zone_fill(after_block(cell), zone_after(cell), HAK_ZONE_BYTE);
}

static struct hak_damage look_before(const struct hak_cell *cell)
{
	return hak_zone_look(cell->start, hak_cell_block(cell) - cell->start, HAK_ZONE_BYTE);
}

static struct hak_damage look_after(const struct hak_cell *cell)
{
	return hak_zone_look(after_block(cell), zone_after(cell), HAK_ZONE_BYTE);
}

/* Whether the block's bytes are to be as they were filled when it was freed. */
static bool holds_fill(const struct hak_cell *cell)
{
	return hak_cell_state(cell) == HAK_CELL_QUARANTINED && hak_cell_has(cell, HAK_CELL_FILLED);
}

static struct hak_damage look_inside(const struct hak_cell *cell)
{
	if (!holds_fill(cell))
		return (struct hak_damage){.first = 0};
	return hak_zone_look(hak_cell_block(cell), hak_cell_block_bytes(cell), HAK_FREED_BYTE);
}

static bool is_damaged(const struct hak_cell *cell)
{
	uintptr_t block = hak_cell_block(cell);
	size_t bytes = hak_cell_block_bytes(cell);

	if (hak_cell_has(cell, HAK_CELL_CLOSED))
		return false;
	return !hak_zone_is_whole(cell->start, block - cell->start, HAK_ZONE_BYTE) ||
		!hak_zone_is_whole(block + bytes, zone_after(cell), HAK_ZONE_BYTE) ||
		(holds_fill(cell) && !hak_zone_is_whole(block, bytes, HAK_FREED_BYTE));
}

/* ---- Writes that ran over several cells ----
 *
 * With the lock held that the cells go by (cell.h). */

static bool comes_from_before(const struct hak_cell *cell)
{
	return look_before(cell).first == cell->start;
}

static bool goes_on_behind(const struct hak_cell *cell)
{
	struct hak_damage damage = look_after(cell);

	return damage.first && damage.first + damage.bytes == cell->start + cell->bytes;
}

/* The cell in which the write began that damaged this one. */
static struct hak_cell origin_of(const struct hak_cell *cell)
{
	struct hak_cell at = *cell, previous;

	while (comes_from_before(&at) && hak_cell_previous(&at, &previous) && goes_on_behind(&previous))
		at = previous;
	return at;
}

/* Behind the last byte of the cell that was written over; 0 if none was. */
static uintptr_t end_of_damage(const struct hak_cell *cell)
{
	struct hak_damage damages[] = {look_before(cell), look_inside(cell), look_after(cell)};
	uintptr_t end = 0;

	for (unsigned i = 0; i < HAK_COUNT_OF(damages); i++)
		end = damages[i].first ? damages[i].first + damages[i].bytes : end;
	return end;
}

/* Does something to this cell, and to those behind it that the same write damaged. Returns where that ended, as far as is
 * known. */
static uintptr_t follow(const struct hak_cell *cell, void (*act)(const struct hak_cell *cell))
{
	struct hak_cell at = *cell, next;
	uintptr_t end;
	bool goes_on;

	for (;;) {
		end = end_of_damage(&at);
		goes_on = goes_on_behind(&at) && hak_cell_next(&at, &next) && comes_from_before(&next);
		act(&at);
		if (!goes_on)
			return end;
		at = next;
	}
}

static void mark(const struct hak_cell *cell)
{
	hak_or_relaxed(&cell->record->flags, HAK_CELL_REPORTED);
}

static void mend(const struct hak_cell *cell)
{
	hak_cell_fill_zones(cell);
	if (holds_fill(cell))
		hak_zone_fill(hak_cell_block(cell), hak_cell_block_bytes(cell), HAK_FREED_BYTE);
	hak_and_relaxed(&cell->record->flags, (uint8_t)~HAK_CELL_REPORTED);
}

/* ---- Reports ---- */

static void report(enum hak_report_kind kind, uintptr_t first, uintptr_t end, const struct hak_cell *cell)
{
	struct hak_guarded block;

	hak_cell_describe(cell, &block);
	hak_report_damage(kind, (const void *)first, end - first, &block);
}

static void report_damage(const struct hak_cell *cell)
{
	struct hak_cell origin = origin_of(cell);
	struct hak_damage before = look_before(&origin), inside = look_inside(&origin), after = look_after(&origin);
	uintptr_t first = before.first ? before.first : inside.first ? inside.first : after.first;
	uintptr_t end = follow(&origin, mark);

	if (hak_cell_state(&origin) == HAK_CELL_QUARANTINED) {
		report(HAK_REPORT_USE_AFTER_FREE, first, end, &origin);
		return;
	}
	if (before.first)
		report(HAK_REPORT_UNDERFLOW, before.first, before.first + before.bytes, &origin);
	if (after.first)
		report(HAK_REPORT_OVERFLOW, after.first, end, &origin);
}

/* Whether damage is to be reported that was not yet. */
static bool is_news(const struct hak_cell *cell)
{
	return is_damaged(cell) && !hak_cell_has(cell, HAK_CELL_REPORTED);
}

/* Whether the cell is still there, and in it a block's bytes. */
static bool is_in_use(const struct hak_cell *cell)
{
	struct hak_cell now;

	return hak_cell_find(cell->start, &now) && now.record == cell->record && hak_cell_state(cell) >= HAK_CELL_LIVE;
}

/* Reports damage that was not reported yet, and mends. Returns whether there was any. */
static bool settle(const struct hak_cell *cell)
{
	struct hak_cell origin;
	bool news;

	hak_cell_lock(cell->bin);
	news = is_in_use(cell) && is_news(cell);
	if (news)
		report_damage(cell);
	hak_cell_unlock(cell->bin);
	/* The report shows the memory as it is, so it is mended only then. */
	hak_trace_flush();
	hak_cell_lock(cell->bin);
	if (is_in_use(cell) && is_damaged(cell)) {
		origin = origin_of(cell);
		follow(&origin, mend);
	}
	hak_cell_unlock(cell->bin);
	return news;
}

bool hak_cell_verify(const struct hak_cell *cell)
{
	return HAK_LIKELY(!is_damaged(cell)) || !settle(cell);
}

/* ---- All of them ---- */

#define FOUND_MAX 64

struct search {
	struct hak_cell_checked *sums;
	struct hak_cell found[FOUND_MAX]; /* damaged ones: they are reported when no lock is held */
	unsigned count;
};

static void look_at(const struct hak_cell *cell, void *argument)
{
	struct search *search = argument;

	if (hak_cell_state(cell) == HAK_CELL_QUARANTINED)
		search->sums->kept++;
	else
		search->sums->live++;
	if (is_news(cell) && search->count < FOUND_MAX)
		search->found[search->count++] = *cell;
}

void hak_cell_verify_all(struct hak_cell_checked *out)
{
	struct search search = {.sums = out};

	*out = (struct hak_cell_checked){.live = 0};
	hak_cell_visit(look_at, &search);
	for (unsigned i = 0; i < search.count; i++)
		out->damaged += settle(&search.found[i]);
}
