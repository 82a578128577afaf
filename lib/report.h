/* report.h: what HAKMEM has to say about a program's mistakes. */
#ifndef HAK_REPORT_H
#define HAK_REPORT_H

#include "base.h"

/* The mistakes that are reported, with the text each is reported by. The block is leaked: nothing else is safe. */
#define HAK_REPORTS(X) \
	X(INVALID_FREE, "free of an address that is not the start of a live block") \
	X(DOUBLE_FREE, "block freed twice") \
	X(INVALID_REALLOC, "realloc of an address that is not the start of a live block") \
	X(INVALID_USABLE, "malloc_usable_size of an address that is not the start of a live block") \
	X(CORRUPT_LIST, "free list damaged by a write to freed memory") \
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
extern struct hak_last_report hak_last_report;

/* Reports a mistake as "hakmem: TEXT (address=0x…)". The first few of each kind are printed, all are counted and
 * traced. May be called with locks held: the line then waits for hak_trace_flush. */
void hak_report(enum hak_report_kind kind, const void *address);

#endif
