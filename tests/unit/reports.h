/* reports.h: what the tests of misuse share: the listeners of a sink that keeps what is reported. */
#ifndef HAK_TESTS_REPORTS_H
#define HAK_TESTS_REPORTS_H

#include "lib/base.h"
#include "lib/trace.h"

static struct hak_report_details reports[16]; /* the first ones since `reported` was 0 */
static unsigned reported;

static inline void keep_report(const struct hak_report_details *details)
{
	if (reported < HAK_COUNT_OF(reports))
		reports[reported] = *details;
	reported++;
}

/* A sink must have a listener for events. */
static inline void ignore_event(const struct hak_event *event)
{
	(void)event;
}

#endif
