/* Reports of misuse: the exact text, and how many are printed. */
#include "lib/report.h"

#include "lib/stats.h"
#include "lib/trace.h"
#include "tests/unit/unit.h"

static void report_some(void *count)
{
	for (int i = 0; i < *(int *)count; i++) {
		hak_report(HAK_REPORT_DOUBLE_FREE, (void *)0x7f1234560010);
		hak_trace_flush();
	}
	_exit((int)hak_stat_get(misuse_reports));
}

static void text_of_a_report(void)
{
	char said[4096];
	int count = 1;
	int status = unit_in_child(report_some, &count, said, sizeof(said));
	UNIT_EQUAL(WEXITSTATUS(status), 1);
	UNIT_STRING(said, "hakmem: block freed twice (address=0x7f1234560010)\n");
}

/* A loop over bad pointers must not fill a disk: eight are printed, all are counted. */
static void only_the_first_are_printed(void)
{
	char said[4096];
	int count = 100;
	unsigned lines = 0;
	int status = unit_in_child(report_some, &count, said, sizeof(said));
	UNIT_EQUAL(WEXITSTATUS(status), 100);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "; further reports of this kind are only counted\n"));
	for (char *p = said; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	UNIT_EQUAL(lines, 8);
}

static void report_each_kind(void *ignored)
{
	(void)ignored;
	for (int kind = 0; kind < HAK_REPORT_COUNT; kind++)
		hak_report((enum hak_report_kind)kind, (void *)(uintptr_t)(kind + 1));
	hak_trace_flush();
}

static void each_kind_has_its_text(void)
{
	char said[4096];
	UNIT_EQUAL(unit_in_child(report_each_kind, NULL, said, sizeof(said)), 0);
	UNIT_STRING(said,
		"hakmem: free of an address that is not the start of a live block (address=0x1)\n"
		"hakmem: block freed twice (address=0x2)\n"
		"hakmem: realloc of an address that is not the start of a live block (address=0x3)\n"
		"hakmem: malloc_usable_size of an address that is not the start of a live block (address=0x4)\n"
		"hakmem: free list damaged by a write to freed memory (address=0x5)\n"
		"hakmem: block freed with a size or an alignment that it can't have (address=0x6)\n");
}

UNIT_MAIN("report", UNIT(text_of_a_report), UNIT(only_the_first_are_printed), UNIT(each_kind_has_its_text))
