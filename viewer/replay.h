/* replay.h: recordings as targets: by name, as frames, as a single state. */
#ifndef VIEWER_REPLAY_H
#define VIEWER_REPLAY_H

#include "viewer/options.h"
#include "viewer/watch.h"

/* Whether `target` names a recording, or a moment of one: FILE or FILE@MOMENT (recording_find). */
bool replay_names(const char *target);
/* The state at FILE@MOMENT, at the end without a moment. NULL: there is none, `problem` says why. */
struct snapshot *replay_snapshot(const char *target, struct problem *problem);
/* The profile message of FILE@MOMENT or of before, to be freed, and its length. NULL: there is none, `problem` says why. */
char *replay_profile(const char *target, size_t *length, struct problem *problem);
/* Opens the recording options->target and goes to its moment. A recording whose moment was named stands still. Returns
 * false and says why not. */
bool replay_open(struct watch *watch, const struct options *options, struct problem *problem);
/* Prints its moments as frames, text or JSON: from the first one on, or the one that was named. With a speed each comes at
 * its time, without as fast as they are read. Returns the viewer's exit status. */
int replay_batch(const struct options *options);

#endif
