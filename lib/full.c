#include "full.h"

#include <string.h>

#include "cell_check.h"
#include "front_cache.h"
#include "large.h"
#include "os.h"
#include "poisson.h"
#include "quarantine.h"
#include "report.h"
#include "sample.h"
#include "settings.h"
#include "zone.h"

/* Bytes of a new large block that are filled. The whole would bring pages into memory that the program never asked for. */
#define NEW_FILL_MAX HAK_SLOT_BYTES

bool hak_full_plain;
static bool on;
static uint8_t only_class = HAK_FULL_ANY_CLASS;
static uintptr_t only_site;
static uint64_t seed_now;
static uint64_t taken, lost, checked;

/* ---- What is known of a block ---- */

bool hak_full_find(uintptr_t address, struct hak_guarded *out)
{
	struct hak_cell cell;

	if (!hak_cell_find(address, &cell) || !hak_cell_is_known(&cell))
		return false;
	hak_cell_describe(&cell, out);
	return true;
}

static void verify(const struct hak_cell *cell)
{
	hak_add_relaxed(&checked, 1u);
	hak_cell_verify(cell);
}

/* ---- malloc ---- */

static uint64_t next_random(void)
{
	static HAK_TLS uint64_t state;

	if (HAK_UNLIKELY(!state))
		state = hak_random_begin(seed_now, (uint64_t)hak_os_tid());
	return hak_random_next(&state);
}

bool hak_full_wants(size_t bytes, uint32_t *stack)
{
	const struct hak_sink *sink;
	uintptr_t site = hak_load_relaxed(&only_site);
	uint8_t class = hak_load_relaxed(&only_class);

	if (!hak_load_relaxed(&on) || hak_trace_busy || (class != HAK_FULL_ANY_CLASS && class != hak_cell_class_of(bytes)))
		return false;
	*stack = hak_trace_capture();
	if (!site)
		return true;
	sink = hak_trace_sink();
	return sink && sink->stack_has && sink->stack_has(*stack, site);
}

/* A cell for a block of `bytes`, which begins `before` bytes from the cell's beginning at most; 0: a large one, where that
 * begins. */
static bool take_cell(size_t bytes, size_t before, size_t alignment, bool *zero, struct hak_cell *out)
{
	size_t need;
	void *run;

	*zero = false;
	if (__builtin_add_overflow(bytes, before + HAK_CELL_AFTER_MIN, &need) || need > HAK_MAX_REQUEST)
		return false;
	if (need <= HAK_MAX_SMALL && before)
		return hak_cell_take(HAK_CLASS_OF_BIN(hak_bin_of_size(need)), next_random(), out);
	run = hak_large_alloc(need, alignment, zero);
	if (run && !hak_cell_take_large(run, out)) {
		hak_large_free(run);
		run = NULL;
	}
	return run != NULL;
}

/* Makes a cell that was taken a live block. */
static void furnish(const struct hak_cell *cell, size_t before, size_t bytes, size_t alignment, uint32_t stack)
{
	struct hak_cell_record *record = cell->record;

	record->before = (uint16_t)(before / HAK_ALIGNMENT);
	record->after = (uint32_t)(cell->bytes - before - bytes) & HAK_CELL_AFTER_MAX;
	record->align_shift = (uint32_t)__builtin_ctzl(alignment < HAK_ALIGNMENT ? HAK_ALIGNMENT : alignment) & HAK_CELL_SHIFT_MAX;
	record->alloc_stack = stack;
	record->alloc_tid = (uint32_t)hak_os_tid();
	record->free_stack = record->free_tid = 0;
	hak_store_relaxed(&record->flags, 0);
	hak_cell_fill_zones(cell);
	hak_store_release(&record->state, HAK_CELL_LIVE);
}

static void fill_new(const struct hak_cell *cell, bool zeroed, bool zero)
{
	uintptr_t block = hak_cell_block(cell);
	size_t bytes = hak_cell_block_bytes(cell);

	if (zeroed) {
		if (!zero)
			memset((void *)block, 0, bytes);
	} else if (hak_settings.fill == HAK_FILL_BOTH || hak_settings.fill == HAK_FILL_ALLOC) {
		hak_zone_fill(block, bytes < NEW_FILL_MAX ? bytes : NEW_FILL_MAX, HAK_NEW_BYTE);
	}
}

bool hak_full_alloc(size_t bytes, size_t alignment, bool zeroed, uint32_t stack, struct hak_full_block *out)
{
	/* A large block begins in the first slot of its run, by which it is known. One that is to be aligned to more than that
	 * allows has its zone behind it only. */
	size_t before = alignment <= HAK_ALIGNMENT ? HAK_ALIGNMENT : alignment < HAK_SLOT_BYTES ? alignment : 0;
	struct hak_cell cell;
	bool zero;

	if (!take_cell(bytes, before, alignment, &zero, &cell)) {
		hak_add_relaxed(&lost, 1u);
		return false;
	}
	if (before)
		before = hak_align_up(cell.start + HAK_ALIGNMENT, alignment) - cell.start;
	furnish(&cell, before, bytes, alignment, stack);
	fill_new(&cell, zeroed, zero);
	hak_add_relaxed(&taken, 1u);
	*out = (struct hak_full_block){(void *)hak_cell_block(&cell), cell.bin, cell.bytes};
	return true;
}

void hak_full_sample(void *block, size_t bytes, uint64_t rate)
{
	struct hak_cell cell;
	unsigned class;

	if (!hak_cell_find((uintptr_t)block, &cell))
		return;
	class = cell.bin == HAK_BIN_LARGE ? HAK_SAMPLE_LARGE : HAK_CLASS_OF_BIN(cell.bin);
	if (hak_sample_note(block, bytes, class, cell.bytes, rate))
		hak_or_relaxed(&cell.record->flags, HAK_CELL_SAMPLED);
}

/* ---- The way out ---- */

static void free_large(const struct hak_cell *cell)
{
	if (hak_cell_has(cell, HAK_CELL_CLOSED) && !hak_os_protect(cell->start, cell->bytes, true))
		return; /* the system refuses: it can't be used any more */
	hak_cell_return_large(cell);
	hak_large_free((void *)cell->start);
}

/* Gives what a cell takes back to the heap. */
static void let_go(const struct hak_cell *cell)
{
	if (cell->bin == HAK_BIN_LARGE) {
		free_large(cell);
		return;
	}
	hak_cell_return(cell);
}

static bool make_room(uint64_t limit)
{
	struct hak_kept kept;
	struct hak_cell cell;
	bool any = false;

	while (hak_quarantine_take(limit, &kept)) {
		if (!hak_cell_find(kept.block, &cell))
			continue;
		verify(&cell);
		let_go(&cell);
		any = true;
	}
	return any;
}

bool hak_full_yield(void)
{
	bool any = make_room(0);

	hak_trace_flush();
	return any;
}

static uint64_t limit_now(void)
{
	return hak_load_relaxed(&on) ? hak_settings.quarantine_bytes : 0;
}

/* Makes a freed large block inaccessible, which costs no memory. */
static bool close_large(const struct hak_cell *cell)
{
	bool ok;

	hak_cell_lock(cell->bin);
	/* Said before: another thread that goes on using the block may fault at once, and its handler looks. */
	hak_or_relaxed(&cell->record->flags, HAK_CELL_CLOSED);
	hak_store_release(&cell->record->state, HAK_CELL_QUARANTINED);
	ok = hak_os_protect(cell->start, cell->bytes, false);
	if (ok) {
		hak_os_purge(cell->start, cell->bytes);
	} else {
		hak_and_relaxed(&cell->record->flags, (uint8_t)~HAK_CELL_CLOSED);
		hak_store_release(&cell->record->state, HAK_CELL_LEAVING);
	}
	hak_cell_unlock(cell->bin);
	return ok;
}

static void fill_freed(const struct hak_cell *cell)
{
	if (hak_settings.fill == HAK_FILL_BOTH || hak_settings.fill == HAK_FILL_FREE) {
		hak_zone_fill(hak_cell_block(cell), hak_cell_block_bytes(cell), HAK_FREED_BYTE);
		hak_or_relaxed(&cell->record->flags, HAK_CELL_FILLED);
	}
	hak_store_release(&cell->record->state, HAK_CELL_QUARANTINED);
}

/* Puts a block that was freed into quarantine, or lets it go at once. */
static void keep(const struct hak_cell *cell)
{
	bool is_large = cell->bin == HAK_BIN_LARGE;
	struct hak_kept kept = {.block = cell->start, .bin = cell->bin, .slots = is_large ? cell->bytes / HAK_SLOT_BYTES : 0};
	uint64_t limit = limit_now();
	bool kept_now = cell->bytes <= limit;

	if (kept_now && is_large)
		kept_now = close_large(cell);
	else if (kept_now)
		fill_freed(cell);
	if (!kept_now || !hak_quarantine_put(&kept))
		let_go(cell);
	make_room(limit);
}

/* ---- free ---- */

/* A call named an address in a cell, but not that of a live block. */
static void report_refused(const struct hak_cell *cell, const void *address, enum hak_report_kind kind, enum hak_report_kind freed)
{
	struct hak_guarded block;

	if (hak_cell_is_known(cell)) {
		hak_cell_describe(cell, &block);
		hak_report_guarded(block.address == (uintptr_t)address && block.state == HAK_GUARDED_FREED ? freed : kind, address, &block);
	} else {
		hak_report(kind, address);
	}
	hak_trace_flush();
}

/* Whether the address is that of a live block. */
static bool is_block(const struct hak_cell *cell, const void *address)
{
	return hak_cell_state(cell) == HAK_CELL_LIVE && hak_cell_block(cell) == (uintptr_t)address;
}

/* Takes a live block from whoever else frees it at the same moment. */
static bool claim(const struct hak_cell *cell, const void *address)
{
	uint8_t state = HAK_CELL_LIVE;

	return is_block(cell, address) && hak_cas_acquire_u8(&cell->record->state, &state, HAK_CELL_LEAVING);
}

enum hak_full_answer hak_full_free(void *block, unsigned *bin)
{
	struct hak_cell cell;

	if (!hak_cell_find((uintptr_t)block, &cell))
		return HAK_FULL_OTHER;
	if (!claim(&cell, block)) {
		report_refused(&cell, block, HAK_REPORT_INVALID_FREE, HAK_REPORT_DOUBLE_FREE);
		return HAK_FULL_REFUSED;
	}
	cell.record->free_tid = (uint32_t)hak_os_tid();
	cell.record->free_stack = hak_trace_capture();
	verify(&cell);
	if (HAK_UNLIKELY(hak_cell_has(&cell, HAK_CELL_SAMPLED)))
		hak_sample_forget(block);
	*bin = cell.bin;
	keep(&cell);
	return HAK_FULL_DONE;
}

bool hak_full_usable(const void *block, size_t *bytes)
{
	struct hak_cell cell;

	if (!hak_cell_find((uintptr_t)block, &cell) || !is_block(&cell, block))
		return false;
	*bytes = hak_cell_block_bytes(&cell);
	return true;
}

/* ---- realloc ---- */

/* A large block becomes `bytes` long in its run, if the run has room for that and not a slot too much. */
static bool resize_large(const struct hak_cell *cell, size_t bytes)
{
	size_t room = cell->bytes - cell->record->before * (size_t)HAK_ALIGNMENT;
	bool fits = bytes > HAK_MAX_SMALL && bytes + HAK_CELL_AFTER_MIN <= room && room - bytes <= HAK_SLOT_BYTES;

	if (!fits)
		return false;
	verify(cell);
	hak_cell_lock(cell->bin);
	cell->record->after = (uint32_t)(room - bytes) & HAK_CELL_AFTER_MAX;
	hak_cell_fill_zones(cell);
	hak_cell_unlock(cell->bin);
	if (hak_cell_has(cell, HAK_CELL_SAMPLED))
		hak_sample_resize((void *)hak_cell_block(cell), bytes);
	return true;
}

enum hak_full_answer hak_full_resize(void *block, size_t bytes, size_t *old)
{
	struct hak_cell cell;

	if (!hak_cell_find((uintptr_t)block, &cell))
		return HAK_FULL_OTHER;
	if (!is_block(&cell, block)) {
		report_refused(&cell, block, HAK_REPORT_INVALID_REALLOC, HAK_REPORT_REALLOC_OF_FREED);
		return HAK_FULL_REFUSED;
	}
	*old = hak_cell_block_bytes(&cell);
	if (bytes == *old || (cell.bin == HAK_BIN_LARGE && bytes <= HAK_MAX_REQUEST && resize_large(&cell, bytes)))
		return HAK_FULL_DONE;
	/* Small ones move at each change, so that who goes on with the old address is found out. */
	return HAK_FULL_MOVE;
}

/* ---- Faults ---- */

static bool find_closed(uintptr_t address, struct hak_cell *out)
{
	return hak_cell_find(address, out) && hak_cell_has(out, HAK_CELL_CLOSED);
}

bool hak_full_is_closed(uintptr_t address)
{
	struct hak_cell cell;

	return find_closed(address, &cell);
}

bool hak_full_open(uintptr_t address)
{
	struct hak_cell cell;

	/* It stays marked as closed: what is done to it now is not looked at. */
	return find_closed(address, &cell) && hak_os_protect(cell.start, cell.bytes, true);
}

/* ---- On, off, and on request ---- */

bool hak_full_start(unsigned class, uintptr_t site, uint64_t seed)
{
	if (!hak_cell_begin())
		return false;
	hak_store_relaxed(&seed_now, seed);
	hak_store_relaxed(&only_class, (uint8_t)class);
	hak_store_relaxed(&only_site, site);
	hak_store_relaxed(&on, true);
	hak_store_release(&hak_full_plain, false);
	hak_cache_request_guards(&(struct hak_guarding){.rate = 1, .seed = seed, .class = class, .level = HAK_GUARD_FULL});
	return true;
}

void hak_full_stop(void)
{
	if (!hak_load_relaxed(&on))
		return;
	hak_store_relaxed(&on, false);
	hak_cache_request_guards(&(struct hak_guarding){.rate = 0});
	hak_store_release(&hak_full_plain, true);
	hak_full_yield();
}

void hak_full_check(struct hak_cell_checked *out)
{
	hak_cell_verify_all(out);
	hak_add_relaxed(&checked, out->live + out->kept);
	hak_trace_flush();
}

void hak_full_count(struct hak_full_counts *out)
{
	out->taken = hak_load_relaxed(&taken);
	out->lost = hak_load_relaxed(&lost);
	out->checked = hak_load_relaxed(&checked);
}
