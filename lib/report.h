/* report.h: what HAKMEM has to say about a program's mistakes, and what it does then (HAKMEM_ON_ERROR). */
#ifndef HAK_REPORT_H
#define HAK_REPORT_H

#include "base.h"
#include "trace.h"

/* The mistakes that are reported, with the text each is reported by. The first three are about addresses that were
 * never HAKMEM's: another allocator's, the stack's. The others show that the heap is damaged, or what the program knows
 * of it; but a wrong size, which only slow paths look for, does no harm. What guards find follows: writes that are seen
 * later, by what they left, and accesses that the processor stopped. */
#define HAK_REPORTS(X) \
	X(FOREIGN_FREE, "free of an address that is not HAKMEM's") \
	X(FOREIGN_REALLOC, "realloc of an address that is not HAKMEM's") \
	X(FOREIGN_USABLE, "malloc_usable_size of an address that is not HAKMEM's") \
	X(INVALID_FREE, "free of an address that is not the start of a live block") \
	X(INVALID_REALLOC, "realloc of an address that is not the start of a live block") \
	X(INVALID_USABLE, "malloc_usable_size of an address that is not the start of a live block") \
	X(DOUBLE_FREE, "block freed twice") \
	X(CORRUPT_LIST, "free list damaged by a write to freed memory, or by a free inside a block") \
	X(WRONG_SIZE, "block freed with a size or an alignment that it can't have") \
	X(REALLOC_OF_FREED, "realloc of a block that was freed") \
	X(OVERFLOW, "write beyond a block's end") \
	X(UNDERFLOW, "write before a block's beginning") \
	X(USE_AFTER_FREE, "write to a block that was freed") \
	X(FAULT_OVERFLOW, "access beyond a block's end") \
	X(FAULT_UNDERFLOW, "access before a block's beginning") \
	X(FAULT_AFTER_FREE, "access to a block that was freed")

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
 * May be called with locks held; the report waits for that flush too. */
void hak_report(enum hak_report_kind kind, const void *address);

/* The same of a block that is guarded, or was; nothing is made of the kind. */
void hak_report_guarded(enum hak_report_kind kind, const void *address, const struct hak_guarded *block);

/* Reports that `damage` bytes about a guarded block, or in it after it was freed, from `address` to the last that is not as it
 * was left, were written to: OVERFLOW, UNDERFLOW or USE_AFTER_FREE. */
void hak_report_damage(enum hak_report_kind kind, const void *address, size_t damage, const struct hak_guarded *block);

/* Reports WRONG_SIZE: what the call said of the block, 0 for what it didn't. `guarded` may be NULL. */
void hak_report_size(const void *block, size_t bytes, size_t alignment, const struct hak_guarded *guarded);

/* Reports an access that the processor refused, FAULT_…, as the others, but to the caller, a handler of the signal: the report
 * is put together in *out, and neither is it printed nor does the process end. HAK_REPORT_ABORTS says that it ends by
 * the signal, as it would have. Returns false if it is not to be printed, as there were many before. Async-signal-safe. */
bool hak_report_fault(enum hak_report_kind kind, uintptr_t address, enum hak_access access,
	const struct hak_guarded *block, struct hak_report_details *out);

/* Reports a link of a free list, CORRUPT_LIST, that leads to `link`; `block` holds it, NULL if that isn't known. */
void hak_report_link(const void *block, const void *link);

#endif
