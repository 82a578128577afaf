#include "report.h"

#include "fmt.h"
#include "stats.h"
#include "trace.h"

#define REPORTS_PRINTED 8 /* of each kind; a loop over bad pointers must not fill a disk */

static const char *const report_texts[] = {
#define X(name, text) text,
	HAK_REPORTS(X)
#undef X
};

static uint32_t reports_seen[HAK_REPORT_COUNT];
struct hak_last_report hak_last_report;

void hak_report(enum hak_report_kind kind, const void *address)
{
	uint32_t seen = hak_add_relaxed(&reports_seen[kind], 1u);
	char line[160];
	struct hak_fmt fmt;

	hak_store_relaxed(&hak_last_report.address, (uintptr_t)address);
	hak_store_relaxed(&hak_last_report.text, report_texts[kind]);
	hak_stat_add(misuse_reports, 1);
	hak_trace_misuse(kind, (uintptr_t)address);
	if (seen >= REPORTS_PRINTED)
		return;
	hak_fmt_begin(&fmt, line, sizeof(line));
	hak_fmt_text(&fmt, "hakmem: ");
	hak_fmt_text(&fmt, report_texts[kind]);
	hak_fmt_text(&fmt, " (address=");
	hak_fmt_hex(&fmt, (uintptr_t)address);
	hak_fmt_text(&fmt, seen + 1 == REPORTS_PRINTED ? "); further reports of this kind are only counted" : ")");
	hak_trace_queue_line(line, 0);
}
