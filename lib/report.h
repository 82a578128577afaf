/* report.h: what HAKMEM has to say about a program's mistakes, and what it does then (HAKMEM_ON_ERROR). */
#ifndef HAK_REPORT_H
#define HAK_REPORT_H

#include "base.h"

/* The mistakes that are reported, with the text each is reported by. The first three are about addresses that were
 * never HAKMEM's: another allocator's, the stack's. The others show that the heap is damaged, or what the program knows
 * of it; but a wrong size, which only debug builds look for, does no harm. */
#define HAK_REPORTS(X) \
	X(FOREIGN_FREE, "free of an address that is not HAKMEM's") \
	X(FOREIGN_REALLOC, "realloc of an address that is not HAKMEM's") \
	X(FOREIGN_USABLE, "malloc_usable_size of an address that is not HAKMEM's") \
	X(INVALID_FREE, "free of an address that is not the start of a live block") \
	X(INVALID_REALLOC, "realloc of an address that is not the start of a live block") \
	X(INVALID_USABLE, "malloc_usable_size of an address that is not the start of a live block") \
	X(DOUBLE_FREE, "block freed twice") \
	X(CORRUPT_LIST, "free list damaged by a write to freed memory, or by a free inside a block") \
	X(WRONG_SIZE, "block freed with a size or an alignment that it can't have")

enum hak_report_kind {
#define X(name, text) HAK_REPORT_##name,
	HAK_REPORTS(X)
#undef X
		HAK_REPORT_COUNT
};

/* The latest report, for a dump of what may come of it; text is NULL while there was none. Relaxed: two reports at the same
 * moment may be mixed up. */
struct hak_last_report {
	const char *text;
	uintptr_t address;
};
extern HAK_HIDDEN struct hak_last_report hak_last_report;

/* Reports a mistake as "hakmem: TEXT (address=0x… …)" with what is known of the address; nothing there is read. Of
 * INVALID_… it makes FOREIGN_… where the address isn't HAKMEM's, and DOUBLE_FREE where that is certain. The first few
 * of each kind are printed, all are counted and traced. The caller goes on without the block, which is leaked: nothing
 * else is safe. Where HAKMEM_ON_ERROR demands it, the process is ended by abort at the thread's next hak_trace_flush.
 * May be called with locks held; the line waits for that flush too. */
void hak_report(enum hak_report_kind kind, const void *address);

/* Reports a link of a free list, CORRUPT_LIST, that leads to `link`; `block` holds it, NULL if that isn't known. */
void hak_report_link(const void *block, const void *link);

#endif
