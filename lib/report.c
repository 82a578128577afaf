#include "report.h"

#include "fmt.h"
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

static bool must_abort(enum hak_report_kind kind)
{
	return hak_settings.on_error == HAK_ON_ERROR_ABORT ||
		(hak_settings.on_error == HAK_ON_ERROR_AUTO && kind >= FOREIGN_KINDS && kind != HAK_REPORT_WRONG_SIZE);
}

static void report(
	enum hak_report_kind kind, const void *address, const struct whereabouts *at, const void *const *link)
{
	uint32_t seen = hak_add_relaxed(&reports_seen[kind], 1u);
	bool fatal = must_abort(kind) && hak_trace_abort();
	char line[400];
	struct hak_fmt fmt;

	hak_store_relaxed(&hak_last_report.address, (uintptr_t)address);
	hak_store_relaxed(&hak_last_report.text, report_texts[kind]);
	hak_stat_add(misuse_reports, 1);
	hak_trace_misuse(kind, (uintptr_t)address);
	if (fatal)
		hak_trace_fatal(kind, (uintptr_t)address, at->ours ? hak_ss_address(hak_slot_ss(at->slab)) : 0,
			hak_slot_place(at->slab), at->bin);
	if (seen >= REPORTS_PRINTED)
		return;
	hak_fmt_begin(&fmt, line, sizeof(line));
	hak_fmt_text(&fmt, "hakmem: ");
	hak_fmt_text(&fmt, report_texts[kind]);
	put_hex(&fmt, " (address=", (uintptr_t)address);
	if (at->ours)
		put_whereabouts(&fmt, at);
	if (link)
		put_hex(&fmt, " link=", (uintptr_t)*link);
	hak_fmt_char(&fmt, ')');
	if (fatal)
		hak_fmt_text(&fmt, "; ending by abort, as HAKMEM_ON_ERROR demands");
	else if (seen + 1 == REPORTS_PRINTED)
		hak_fmt_text(&fmt, "; further reports of this kind are only counted");
	hak_trace_queue_line(line, 0);
}

void hak_report(enum hak_report_kind kind, const void *address)
{
	struct whereabouts at = find(address);

	if (!at.ours && kind >= FOREIGN_KINDS && kind - FOREIGN_KINDS < FOREIGN_KINDS)
		kind -= FOREIGN_KINDS;
	/* The start of a large run that waits in a thread's cache: nothing but a free brings it there. */
	if (kind == HAK_REPORT_INVALID_FREE && at.bin == HAK_BIN_LARGE && at.offset == 0 && hak_slot(at.slab)->free)
		kind = HAK_REPORT_DOUBLE_FREE;
	report(kind, address, &at, NULL);
}

void hak_report_link(const void *block, const void *link)
{
	struct whereabouts at = find(block ? block : link);

	report(HAK_REPORT_CORRUPT_LIST, block ? block : link, &at, block ? &link : NULL);
}
