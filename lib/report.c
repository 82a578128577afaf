#include "report.h"

#include "fmt.h"
#include "os.h"
#include "settings.h"
#include "stats.h"
#include "superslab.h"
#include "trace.h"

#define REPORTS_PRINTED 8 /* of each kind; a loop over bad pointers must not fill a disk */

static const char *const report_texts[] = {
#define X(name, text) text,
	HAK_REPORTS(X)
#undef X
};

#define FOREIGN_KINDS HAK_REPORT_INVALID_FREE /* kinds below it; as many above it say the same of our addresses */
_Static_assert(HAK_REPORT_INVALID_USABLE - FOREIGN_KINDS == HAK_REPORT_FOREIGN_USABLE, "each has its partner");

static uint32_t reports_seen[HAK_REPORT_COUNT];
struct hak_last_report hak_last_report;

/* What the records say of an address. They are read without locks: of a block that is misused at this moment any answer
 * will do. */
struct whereabouts {
	bool ours;
	uint32_t slab;   /* first slot of the slab or large run that it lies in, its own slot if that is UNUSED */
	unsigned bin;    /* HAK_BIN_NONE if UNUSED */
	uint64_t offset; /* from the slab's start */
};

static struct whereabouts find(const void *address)
{
	size_t slot = hak_slot_of_address(address);
	struct whereabouts at = {.ours = slot < hak_load_relaxed(&hak_heap.slots)};

	if (!at.ours)
		return at;
	at.slab = (uint32_t)slot;
	at.bin = hak_slot(at.slab)->bin;
	if (at.bin != HAK_BIN_NONE)
		at.slab = hak_slot_first(at.slab);
	at.offset = (uintptr_t)address - hak_slot_address(at.slab);
	return at;
}

static void put_hex(struct hak_fmt *fmt, const char *name, uint64_t value)
{
	hak_fmt_text(fmt, name);
	hak_fmt_hex(fmt, value);
}

static void put_number(struct hak_fmt *fmt, const char *name, uint64_t value)
{
	hak_fmt_text(fmt, name);
	hak_fmt_unsigned(fmt, value);
}

static void put_whereabouts(struct hak_fmt *fmt, const struct whereabouts *at)
{
	static const char *const states[] = {
		[HAK_SLOT_UNUSED] = "UNUSED", [HAK_SLOT_ACTIVE] = "ACTIVE", [HAK_SLOT_EMPTY] = "EMPTY"};

	put_hex(fmt, " ss=", hak_ss_address(hak_slot_ss(at->slab)));
	put_number(fmt, " slab=", hak_slot_place(at->slab));
	hak_fmt_text(fmt, " state=");
	hak_fmt_text(fmt, states[hak_slot_state(at->slab)]);
	if (at->bin == HAK_BIN_LARGE) {
		put_number(fmt, " large slots=", hak_slot(at->slab)->span);
		put_number(fmt, " offset=", at->offset);
	} else if (at->bin != HAK_BIN_NONE) {
		const struct hak_size_class *class = &hak_size_classes[HAK_CLASS_OF_BIN(at->bin)];

		put_number(fmt, " class=", HAK_CLASS_OF_BIN(at->bin));
		put_number(fmt, " block=", at->offset / class->block_bytes);
		put_number(fmt, " offset=", at->offset % class->block_bytes);
	}
}

static void put_signed(struct hak_fmt *fmt, const char *name, int64_t value)
{
	hak_fmt_text(fmt, name);
	if (value < 0)
		hak_fmt_char(fmt, '-');
	hak_fmt_unsigned(fmt, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

static void put_guarded(struct hak_fmt *fmt, uintptr_t address, const struct hak_guarded *block)
{
	put_hex(fmt, " guarded block=", block->address);
	put_number(fmt, " bytes=", block->bytes);
	put_signed(fmt, " offset=", (int64_t)(address - block->address));
	hak_fmt_text(fmt, block->state == HAK_GUARDED_FREED ? " freed" : " live");
}

static enum hak_report_end end_of(enum hak_report_kind kind)
{
	switch (hak_settings.on_error & UINT8_MAX) {
	case HAK_ON_ERROR_ABORT:
		return HAK_REPORT_ABORTS;
	case HAK_ON_ERROR_EXIT:
		return HAK_REPORT_EXITS;
	case HAK_ON_ERROR_AUTO:
		return kind >= FOREIGN_KINDS && kind != HAK_REPORT_WRONG_SIZE ? HAK_REPORT_ABORTS : HAK_REPORT_GOES_ON;
	default:
		return HAK_REPORT_GOES_ON;
	}
}

/* Counts and traces a report, of which kind, address and what only the caller knows are there, and fills in the rest but
 * for its line. Returns how many of the kind there were. */
static uint32_t begin(struct hak_report_details *about, const struct whereabouts *at)
{
	uint32_t seen = hak_add_relaxed(&reports_seen[about->kind], 1u);

	about->text = report_texts[about->kind];
	about->tid = (uint32_t)hak_os_tid();
	about->time_ns = hak_os_clock_ns();
	hak_store_relaxed(&hak_last_report.address, about->address);
	hak_store_relaxed(&hak_last_report.text, about->text);
	hak_stat_add(misuse_reports, 1);
	hak_trace_misuse(about->kind, about->address);
	if (about->end != HAK_REPORT_GOES_ON)
		hak_trace_fatal(about->kind, about->address, at->ours ? hak_ss_address(hak_slot_ss(at->slab)) : 0,
			hak_slot_place(at->slab), at->bin);
	return seen;
}

static void put_facts(struct hak_fmt *fmt, const struct hak_report_details *about, const struct whereabouts *at, bool link)
{
	put_hex(fmt, " (address=", about->address);
	if (at->ours)
		put_whereabouts(fmt, at);
	if (about->block.address)
		put_guarded(fmt, about->address, &about->block);
	if (about->damage)
		put_number(fmt, " damage=", about->damage);
	if (about->access != HAK_ACCESS_UNKNOWN)
		hak_fmt_text(fmt, about->access == HAK_ACCESS_WRITE ? " access=write" : " access=read");
	if (about->bytes)
		put_number(fmt, " said_bytes=", about->bytes);
	if (about->alignment)
		put_number(fmt, " said_alignment=", about->alignment);
	if (link)
		put_hex(fmt, " link=", about->link);
	hak_fmt_char(fmt, ')');
}

/* The report as a line; `link` says that it has one. */
static void put_line(
	struct hak_report_details *about, const struct whereabouts *at, bool link, uint32_t seen)
{
	struct hak_fmt fmt;

	hak_fmt_begin(&fmt, about->line, sizeof(about->line));
	hak_fmt_text(&fmt, "hakmem: ");
	hak_fmt_text(&fmt, about->text);
	put_facts(&fmt, about, at, link);
	if (about->end == HAK_REPORT_ABORTS && about->kind >= HAK_REPORT_FAULT_OVERFLOW)
		hak_fmt_text(&fmt, "; ending by the signal");
	else if (about->end == HAK_REPORT_ABORTS)
		hak_fmt_text(&fmt, "; ending by abort, as HAKMEM_ON_ERROR demands");
	else if (about->end == HAK_REPORT_EXITS)
		put_number(&fmt, "; ending by exit, as HAKMEM_ON_ERROR demands, with the status ", about->exit_status);
	else if (seen + 1 == REPORTS_PRINTED)
		hak_fmt_text(&fmt, "; further reports of this kind are only counted");
}

static void report(struct hak_report_details *about, const struct whereabouts *at, bool link)
{
	uint32_t seen;

	about->end = (uint8_t)end_of((enum hak_report_kind)about->kind);
	about->exit_status = (uint8_t)HAK_ENV_NUMBER_BEHIND(hak_settings.on_error);
	if (about->end != HAK_REPORT_GOES_ON &&
		!hak_trace_end(about->end == HAK_REPORT_EXITS ? about->exit_status : HAK_TRACE_ABORT))
		about->end = HAK_REPORT_GOES_ON;
	seen = begin(about, at);
	if (seen >= REPORTS_PRINTED)
		return;
	put_line(about, at, link, seen);
	hak_trace_queue_report(about);
}

/* Whether an address is the start of a block that the records know to be free as a whole. */
static bool is_start_of_freed(const struct whereabouts *at)
{
	bool empty = hak_slot_state(at->slab) == HAK_SLOT_EMPTY;

	if (at->bin == HAK_BIN_LARGE)
		return at->offset == 0 && (empty || hak_slot(at->slab)->free);
	return empty && at->offset % hak_size_classes[HAK_CLASS_OF_BIN(at->bin)].block_bytes == 0;
}

void hak_report(enum hak_report_kind kind, const void *address)
{
	struct whereabouts at = find(address);
	struct hak_report_details about = {.address = (uintptr_t)address};

	if (!at.ours && kind >= FOREIGN_KINDS && kind - FOREIGN_KINDS < FOREIGN_KINDS)
		kind -= FOREIGN_KINDS;
	/* The start of a large run that waits in a thread's cache: nothing but a free brings it there. */
	if (kind == HAK_REPORT_INVALID_FREE && at.bin == HAK_BIN_LARGE && at.offset == 0 && hak_slot(at.slab)->free)
		kind = HAK_REPORT_DOUBLE_FREE;
	/* A block of an EMPTY slab was live once, if it ever was one. */
	if (kind == HAK_REPORT_INVALID_REALLOC && at.ours && is_start_of_freed(&at))
		kind = HAK_REPORT_REALLOC_OF_FREED;
	about.kind = (uint16_t)kind;
	report(&about, &at, false);
}

void hak_report_link(const void *block, const void *link)
{
	struct whereabouts at = find(block ? block : link);
	struct hak_report_details about = {.kind = HAK_REPORT_CORRUPT_LIST,
		.address = (uintptr_t)(block ? block : link),
		.link = block ? (uintptr_t)link : 0};

	report(&about, &at, block != NULL);
}

void hak_report_guarded(enum hak_report_kind kind, const void *address, const struct hak_guarded *block)
{
	hak_report_damage(kind, address, 0, block);
}

void hak_report_damage(enum hak_report_kind kind, const void *address, size_t damage, const struct hak_guarded *block)
{
	struct whereabouts at = find(address);
	struct hak_report_details about = {
		.kind = (uint16_t)kind, .address = (uintptr_t)address, .damage = damage, .block = *block};

	report(&about, &at, false);
}

void hak_report_size(const void *block, size_t bytes, size_t alignment, const struct hak_guarded *guarded)
{
	struct whereabouts at = find(block);
	struct hak_report_details about = {
		.kind = HAK_REPORT_WRONG_SIZE, .address = (uintptr_t)block, .bytes = bytes, .alignment = alignment};

	if (guarded)
		about.block = *guarded;
	report(&about, &at, false);
}

bool hak_report_fault(enum hak_report_kind kind, uintptr_t address, enum hak_access access,
	const struct hak_guarded *block, struct hak_report_details *out)
{
	struct whereabouts at = find((const void *)address);
	uint32_t seen;

	*out = (struct hak_report_details){.kind = (uint16_t)kind,
		.address = address,
		.access = (uint8_t)access,
		.block = *block,
		.end = (uint8_t)end_of(kind),
		.exit_status = (uint8_t)HAK_ENV_NUMBER_BEHIND(hak_settings.on_error)};
	seen = begin(out, &at);
	put_line(out, &at, false, seen);
	return seen < REPORTS_PRINTED;
}
