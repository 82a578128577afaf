/* What is guarded, as JSON, word for word. */
#include "introspect/encode_guard.h"

#include "tests/unit/unit.h"

static char text[2048];

static const char *encoded(const struct hak_guard_counts *counts)
{
	struct hak_json json;
	hak_json_to_memory(&json, text, sizeof(text) - 1);
	hak_encode_guard(&json, counts);
	CU_ASSERT_TRUE(hak_json_finish(&json));
	text[json.length] = 0;
	return text;
}

static void nothing(void)
{
	const struct hak_guard_counts counts = {.choice = {.class = HAK_GUARD_ANY_CLASS, .rate = 1}};
	UNIT_STRING(encoded(&counts), "{\"level\":\"off\",\"rate\":1,\"class\":null,\"site\":null,\"seed\":0,\"slots\":0,\"armed\":0,\"taken\":0,"
		"\"lost\":0,\"quarantined_blocks\":0,\"quarantined_bytes\":0,\"checked\":0,\"reports\":0}");
}

/* What JSON's readers would round is cut. */
static void all_of_it(void)
{
	const struct hak_guard_counts counts = {.choice = {.level = HAK_GUARD_FULL, .class = 7, .rate = UINT64_MAX, .site = 0xabc},
		.seed = UINT64_MAX, .slots = 1, .armed = 2, .taken = 3, .lost = 4, .quarantined_blocks = 5, .quarantined_bytes = 6,
		.checked = 7, .reports = 8};
	UNIT_STRING(encoded(&counts), "{\"level\":\"full\",\"rate\":9007199254740991,\"class\":7,\"site\":\"0xabc\",\"seed\":9007199254740991,"
		"\"slots\":1,\"armed\":2,\"taken\":3,\"lost\":4,\"quarantined_blocks\":5,\"quarantined_bytes\":6,\"checked\":7,\"reports\":8}");
}

UNIT_MAIN("encode_guard", UNIT(nothing), UNIT(all_of_it))
