/* How often the endpoint's thread may work: a burst at once, then in turn with rests. */
#include "introspect/pace.h"

#include "tests/unit/unit.h"

#define START_US 5000000

/* Runs rounds of `cpu_us` back to back from `*now` on, resting when told to. Returns how long `rounds` took. */
static uint64_t run(struct hak_pace *pace, uint64_t *now, unsigned rounds, uint64_t cpu_us)
{
	uint64_t began = *now;
	for (unsigned i = 0; i < rounds; i++) {
		*now += hak_pace_rest_us(pace, *now) + cpu_us;
		hak_pace_round(pace, *now, cpu_us);
	}
	return *now - began;
}

static void a_burst_is_served_at_once(void)
{
	struct hak_pace pace = {0};
	uint64_t now = START_US;
	UNIT_EQUAL(hak_pace_rest_us(&pace, now), 0);
	UNIT_EQUAL(run(&pace, &now, HAK_PACE_AHEAD_US / HAK_PACE_ROUND_US, 0), 0);
	UNIT_EQUAL(hak_pace_rest_us(&pace, now), 0);
	hak_pace_round(&pace, now, 0);
	CU_ASSERT_TRUE(hak_pace_rest_us(&pace, now) > 0);
	/* And again when some time has passed. */
	now += HAK_PACE_AHEAD_US + HAK_PACE_ROUND_US;
	UNIT_EQUAL(run(&pace, &now, HAK_PACE_AHEAD_US / HAK_PACE_ROUND_US, 0), 0);
}

static void rounds_without_end_are_so_many_a_second(void)
{
	struct hak_pace pace = {0};
	uint64_t now = START_US;
	run(&pace, &now, 1000, 0);
	UNIT_EQUAL(run(&pace, &now, 1000, 0), 1000 * HAK_PACE_ROUND_US);
}

static void work_takes_a_share(void)
{
	struct hak_pace pace = {0};
	uint64_t now = START_US;
	run(&pace, &now, 100, 5000);
	UNIT_EQUAL(run(&pace, &now, 100, 5000), 100 * (HAK_PACE_ROUND_US + 5000 * HAK_PACE_SHARE));
}

static void no_rest_is_long(void)
{
	struct hak_pace pace = {0};
	/* One that is long may be the first of a day. */
	hak_pace_round(&pace, START_US, 3600000000u);
	UNIT_EQUAL(hak_pace_rest_us(&pace, START_US), 0);
	hak_pace_round(&pace, START_US, 3600000000u);
	UNIT_EQUAL(hak_pace_rest_us(&pace, START_US), HAK_PACE_REST_MAX_US);
	UNIT_EQUAL(hak_pace_rest_us(&pace, START_US + HAK_PACE_REST_MAX_US), 0);
	/* A clock that says nonsense does no harm. */
	hak_pace_round(&pace, START_US, UINT64_MAX);
	UNIT_EQUAL(hak_pace_rest_us(&pace, START_US), HAK_PACE_REST_MAX_US);
}

/* The snapshot of 10 GiB: 60 ms to encode, then 30 rounds in which a socket takes some of it. */
static void a_big_snapshot_comes_without_a_rest(void)
{
	struct hak_pace pace = {0};
	uint64_t now = START_US;
	UNIT_EQUAL(run(&pace, &now, 1, 60000) + run(&pace, &now, 30, 300), 60000 + 30 * 300);
	UNIT_EQUAL(hak_pace_rest_us(&pace, now), 0);
}

UNIT_MAIN("pace", UNIT(a_burst_is_served_at_once), UNIT(rounds_without_end_are_so_many_a_second), UNIT(work_takes_a_share),
	UNIT(no_rest_is_long), UNIT(a_big_snapshot_comes_without_a_rest))
