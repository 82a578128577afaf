/* What is set stays set, or reverts to what it was before. */
#include "introspect/control.h"

#include "introspect/config.h"
#include "introspect/stack.h"
#include "lib/guard.h"
#include "lib/hakmem.h"
#include "lib/inspect.h"
#include "lib/trace.h"
#include "tests/unit/unit.h"

static void set(enum hak_control control, uint64_t value, uint64_t for_ms, uint64_t now)
{
	struct hak_request request = {.given = 1u << control, .for_ms = for_ms};
	request.value[control] = value;
	hak_control_set(&request, now);
}

static void for_good(void)
{
	uint64_t interval = hak_control_get(HAK_CONTROL_DRAIN_INTERVAL);
	set(HAK_CONTROL_DRAIN_INTERVAL, 50, 0, 1000);
	UNIT_EQUAL(hak_inspect_setting(HAK_SETTING_DRAIN_INTERVAL), 50);
	set(HAK_CONTROL_PURGE_DELAY_MS, 123, 0, 1000);
	UNIT_EQUAL(hak_inspect_setting(HAK_SETTING_PURGE_DELAY_MS), 123);
	set(HAK_CONTROL_DEBUG, HAK_GROUP_LRU, 0, 1000);
	UNIT_EQUAL(hak_trace_lines(), HAK_GROUP_LRU);
	set(HAK_CONTROL_DEBUG, 0, 0, 1000);
	UNIT_EQUAL(hak_control_due(), UINT64_MAX);
	CU_ASSERT_FALSE(hak_control_revert(UINT64_MAX));
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_DRAIN_INTERVAL), 50);
	set(HAK_CONTROL_DRAIN_INTERVAL, interval, 0, 1000);
}

static void for_a_time(void)
{
	set(HAK_CONTROL_PURGE_DELAY_MS, 1000, 0, 0);
	hak_control_begin(HAK_GROUP_DRAIN);
	set(HAK_CONTROL_PURGE_DELAY_MS, 7, 10, 5000);
	set(HAK_CONTROL_TRACE, HAK_GROUP_LRU, 20, 5000);
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_PURGE_DELAY_MS), 7);
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_TRACE), HAK_GROUP_LRU);
	UNIT_EQUAL(hak_control_due(), 15000);
	/* Once more, for longer: what it goes back to is still the first value. */
	set(HAK_CONTROL_PURGE_DELAY_MS, 8, 100, 6000);
	UNIT_EQUAL(hak_control_reverts_us(HAK_CONTROL_PURGE_DELAY_MS), 106000);
	CU_ASSERT_FALSE(hak_control_revert(24999));
	CU_ASSERT_TRUE(hak_control_revert(25000));
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_TRACE), HAK_GROUP_DRAIN);
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_PURGE_DELAY_MS), 8);
	CU_ASSERT_TRUE(hak_control_revert(106000));
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_PURGE_DELAY_MS), 1000);
	UNIT_EQUAL(hak_control_due(), UINT64_MAX);
	/* For good, while it would have reverted: it doesn't. */
	set(HAK_CONTROL_PURGE_DELAY_MS, 9, 10, 0);
	set(HAK_CONTROL_PURGE_DELAY_MS, 10, 0, 0);
	CU_ASSERT_FALSE(hak_control_revert(UINT64_MAX));
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_PURGE_DELAY_MS), 10);
}

/* The profiler's rate, which is 0 while it is off. */
static void the_rate_of_sampling(void)
{
	hak_config.unwind = HAK_STACK_FRAME_POINTERS;
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_PROF_RATE), 0);
	set(HAK_CONTROL_PROF_RATE, 65536, 0, 1000);
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_PROF_RATE), 65536);
	set(HAK_CONTROL_PROF_RATE, 1, 10, 1000);
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_PROF_RATE), 1);
	CU_ASSERT_TRUE(hak_control_revert(11000));
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_PROF_RATE), 65536);
	set(HAK_CONTROL_PROF_RATE, 0, 0, 1000);
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_PROF_RATE), 0);
}

/* What is guarded: several values of one request are one change. */
static void guards(void)
{
	struct hak_request request = {.given = 1u << HAK_CONTROL_GUARD | 1u << HAK_CONTROL_GUARD_RATE | 1u << HAK_CONTROL_GUARD_CLASS,
		.value = {[HAK_CONTROL_GUARD] = HAK_GUARD_SAMPLE, [HAK_CONTROL_GUARD_RATE] = 1000, [HAK_CONTROL_GUARD_CLASS] = 3}, .for_ms = 10};
	hak_free(hak_malloc(1)); /* what is guarded is known when the heap works */
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_GUARD), HAK_GUARD_OFF);
	uint64_t rate = hak_control_get(HAK_CONTROL_GUARD_RATE);
	CU_ASSERT_TRUE(hak_control_set(&request, 1000));
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_GUARD), HAK_GUARD_SAMPLE);
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_GUARD_RATE), 1000);
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_GUARD_CLASS), 3);
	CU_ASSERT_TRUE(hak_control_revert(11000));
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_GUARD), HAK_GUARD_OFF);
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_GUARD_RATE), rate);
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_GUARD_CLASS), HAK_GUARD_ANY_CLASS);
	/* A site is of no use where nobody knows stacks. */
	request = (struct hak_request){.given = 1u << HAK_CONTROL_GUARD_SITE, .value = {[HAK_CONTROL_GUARD_SITE] = 0x1234}};
	hak_trace_set_sink(NULL);
	CU_ASSERT_FALSE(hak_control_set(&request, 1000));
	UNIT_EQUAL(hak_control_get(HAK_CONTROL_GUARD_SITE), 0);
}

UNIT_MAIN("control", UNIT(guards), UNIT(for_good), UNIT(for_a_time), UNIT(the_rate_of_sampling))
