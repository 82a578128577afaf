/* export.h: what a target holds in the formats of other people's tools. Each returns the viewer's exit status. */
#ifndef VIEWER_EXPORT_H
#define VIEWER_EXPORT_H

#include "viewer/link.h"
#include "viewer/options.h"

/* Records the target's events into options->chrome (chrome.h) until it ends, a signal comes, or options->frames
 * snapshots were taken. */
int export_live_events(struct link *link, const struct options *options);
/* Writes the events that a dump or a trace file holds. */
int export_file_events(const struct options *options);
/* Prints the target's figures as OpenMetrics text. */
int export_metrics(struct link *link);

#endif
