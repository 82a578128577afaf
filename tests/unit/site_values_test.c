#include "viewer/site_values.h"

#include "tests/unit/unit.h"

static void by_name(void)
{
	const struct site site = {.live_bytes = 1, .live_blocks = 2, .pinned_bytes = 3, .alloc_bytes = 4, .allocs = 5};
	static const char *const names[] = {"live", "blocks", "pinned", "allocated", "allocs"};
	for (int i = 0; i < 5; i++) {
		enum site_value value = site_value_named(names[i]);
		CU_ASSERT_DOUBLE_EQUAL(site_value_of(&site, value), i + 1, 0);
		CU_ASSERT_TRUE(site_value_is_bytes(value) == (strstr(site_value_words(value), "bytes") != NULL));
	}
	UNIT_EQUAL(site_value_named("bytes"), SITE_VALUE_COUNT);
	UNIT_EQUAL(site_value_named(""), SITE_VALUE_COUNT);
}

UNIT_MAIN("site_values", UNIT(by_name))
