/* travel.h: going to another moment: back in what was seen of a target, or anywhere in a recording. */
#ifndef VIEWER_TRAVEL_H
#define VIEWER_TRAVEL_H

#include "viewer/watch.h"

#define TRAVEL_FAR_US 10000000 /* a long step */
#define TRAVEL_SPEED_MIN (1.0 / 64)
#define TRAVEL_SPEED_MAX 1024.0

/* Whether there are moments to go to. */
bool travel_possible(const struct watch *watch);
/* Whether another moment is shown than now, or than a recording's last. */
bool travel_is_away(const struct watch *watch);
/* Goes on or back by so many moments, or by a time. Forward from the last moment of a target it is now again. What
 * comes from the target in the meantime is kept. */
void travel_by(struct watch *watch, int moments);
void travel_by_time(struct watch *watch, int64_t microseconds);
/* To the first moment; to now, or a recording's last. */
void travel_begin(struct watch *watch);
void travel_end(struct watch *watch);

/* Stops what is shown, or lets it go on: a target, or a recording, which begins anew at its end. */
void travel_pause(struct watch *watch, bool paused);
/* Makes a recording run twice as fast, or half. */
void travel_faster(struct watch *watch, bool faster);

/* Opens a recording and shows its first moment; it runs at `speed`. Returns false and says why not. */
bool travel_open(struct watch *watch, const char *path, double speed, struct problem *problem);
/* Shows moment `number` of a recording, what came before it first. Returns false if it can't be read; a note says why. */
bool travel_to(struct watch *watch, uint64_t number);
/* Goes on with a recording that runs. `now_ms` is client_now_ms. Returns whether another moment is shown. */
bool travel_run(struct watch *watch, int64_t now_ms);
/* Milliseconds until travel_run has something to do, at most `longest`. */
int travel_patience(const struct watch *watch, int64_t now_ms, int longest);

/* Says which moment is shown, in about 12 columns if `brief`, else 40: "12.4s ago, at 14:03:22", "0:12 of 1:30, 2x". An
 * empty text if it is now. */
const char *travel_banner(const struct watch *watch, bool brief, char *out, size_t size);

#endif
