/* pace.h: how often the endpoint's thread may begin a round of work, and for what share of a processor.
 *
 * Each round takes a processor away from whatever of the program runs there. Clients that come a thousand times a second
 * are therefore served together, a few at a time, as network cards moderate their interrupts; and what a round
 * took is rested for. A burst is served at once: whoever asks now and then never waits. */
#ifndef HAK_PACE_H
#define HAK_PACE_H

#include "lib/base.h"

/* A round counts for so long, and further for a multiple of the processor time that it took, but in all for no more
 * than a moment that a client would notice. */
#define HAK_PACE_ROUND_US 4000
#define HAK_PACE_SHARE 16 /* of a processor: one part of so many */
#define HAK_PACE_REST_MAX_US 100000
/* How far rounds may be ahead of the clock: the whole snapshot of a heap of many GiB is encoded and sent without a rest. */
#define HAK_PACE_AHEAD_US 2000000

/* All zero at the beginning. One thread uses it. */
struct hak_pace {
	uint64_t paid_us; /* up to then the rounds so far count */
};

/* How long to rest at `now` before the next round, 0: not at all. All times are in microseconds. */
uint64_t hak_pace_rest_us(const struct hak_pace *pace, uint64_t now);

/* A round ends at `now` that took `cpu_us` of processor time. */
void hak_pace_round(struct hak_pace *pace, uint64_t now, uint64_t cpu_us);

#endif
