/* openmetrics.h: the figures of a snapshot as OpenMetrics text, for monitoring. */
#ifndef HAK_OPENMETRICS_H
#define HAK_OPENMETRICS_H

#include "introspect/encode.h"
#include "introspect/memory.h"
#include "introspect/snapshot.h"

/* Appends the text, from its first family to "# EOF" and a newline, to `out`. Only counters and gauges are used, which
 * readers of Prometheus's older format know too, and each sample has the labels pid and program, so that the texts of
 * several processes can stand side by side. The state is the snapshot's, the rest of now. Returns false if memory is
 * refused; `out` is as it was then. */
bool hak_openmetrics_write(
	struct hak_buffer *out, const struct hak_snapshot *snapshot, const struct hak_endpoint_stats *endpoint);

#endif
