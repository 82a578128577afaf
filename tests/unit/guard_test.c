/* The levels of guarding: what is to be guarded, and what is known of it. */
#include "lib/guard.h"

#include "lib/size_class.h"
#include "tests/unit/unit.h"

static uint32_t no_stack(void)
{
	return 0;
}

static bool no_site(uint32_t stack, uintptr_t address)
{
	(void)stack;
	(void)address;
	return false;
}

static void a_choice_is_taken_or_refused(void)
{
	static const struct hak_sink sink = {.capture = no_stack, .stack_has = no_site};
	struct hak_guard_counts counts;
	static const struct hak_guard_choice bad[] = {{HAK_GUARD_FULL + 1, HAK_GUARD_ANY_CLASS, 1, 0},
		{HAK_GUARD_SAMPLE, HAK_CLASS_COUNT, 1, 0}, {HAK_GUARD_SAMPLE, HAK_GUARD_ANY_CLASS, 0, 0},
		{HAK_GUARD_SAMPLE, HAK_GUARD_ANY_CLASS, 1, 0x1000}};
	struct hak_guard_choice good = {HAK_GUARD_OFF, 3, 77, 0};
	CU_ASSERT_TRUE(hak_guard_set(&good));
	for (size_t i = 0; i < HAK_COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(hak_guard_set(&bad[i]));
	hak_guard_count(&counts);
	UNIT_EQUAL(counts.choice.level, HAK_GUARD_OFF);
	UNIT_EQUAL(counts.choice.class, 3);
	UNIT_EQUAL(counts.choice.rate, 77);
	/* A site needs somebody who knows stacks. */
	good.site = 0x1000;
	hak_trace_set_sink(&sink);
	CU_ASSERT_TRUE(hak_guard_set(&good));
	hak_trace_set_sink(NULL);
	hak_guard_count(&counts);
	UNIT_EQUAL(counts.choice.site, 0x1000);
}

UNIT_MAIN("guard", UNIT(a_choice_is_taken_or_refused))
