#include "introspect/pace.h"

uint64_t hak_pace_rest_us(const struct hak_pace *pace, uint64_t now)
{
	return pace->paid_us > now + HAK_PACE_AHEAD_US ? pace->paid_us - now - HAK_PACE_AHEAD_US : 0;
}

void hak_pace_round(struct hak_pace *pace, uint64_t now, uint64_t cpu_us)
{
	uint64_t latest = now + HAK_PACE_AHEAD_US + HAK_PACE_REST_MAX_US;
	/* One long round, a dump of a big heap, is not made up for to the end. */
	uint64_t work = cpu_us < HAK_PACE_REST_MAX_US ? cpu_us : HAK_PACE_REST_MAX_US;

	pace->paid_us = (pace->paid_us > now ? pace->paid_us : now) + HAK_PACE_ROUND_US + work * HAK_PACE_SHARE;
	if (pace->paid_us > latest)
		pace->paid_us = latest;
}
