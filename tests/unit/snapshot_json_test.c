#include "viewer/snapshot_json.h"

#include "tests/unit/sample_snapshot.h"
#include "tests/unit/unit.h"
#include "viewer/parse.h"

static struct snapshot *parse(const char *json)
{
	cJSON *document = cJSON_Parse(json);
	struct problem problem = {""};
	struct snapshot *snapshot = snapshot_parse(document, &problem);
	UNIT_STRING(problem.text, "");
	cJSON_Delete(document);
	if (snapshot == NULL)
		abort();
	return snapshot;
}

static char *written(const struct snapshot *snapshot)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	if (out == NULL)
		abort();
	snapshot_json(out, snapshot);
	fclose(out);
	return text;
}

/* What is written and read again is the same snapshot. */
static void round_trip(void)
{
	char *json = sample_with("\"seq\":7", "\"seq\":7,\"version\":\"0.1\",\"realtime_us\":5,\"large\":{\"bytes\":6}");
	struct snapshot *first = parse(json);
	char *text = written(first);
	struct snapshot *second = parse(text);
	UNIT_EQUAL(second->seq, 7);
	UNIT_EQUAL(second->realtime_us, 5);
	UNIT_STRING(second->version, "0.1");
	UNIT_STRING(second->process.cmdline, "sample -x");
	UNIT_STRING(second->trace.groups, "acquire,lru");
#define SAME_SECTION(name, fields) CU_ASSERT_TRUE(memcmp(&first->name, &second->name, sizeof(first->name)) == 0);
	MODEL_SECTIONS(SAME_SECTION)
	CU_ASSERT_TRUE(memcmp(first->classes, second->classes, first->class_count * sizeof(*first->classes)) == 0);
	CU_ASSERT_TRUE(memcmp(first->threads, second->threads, first->thread_count * sizeof(*first->threads)) == 0);
	UNIT_EQUAL(second->superslab_count, 1);
	char *again = written(second);
	UNIT_STRING(again, text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "[\"ACTIVE\",1,8,32,3,200]"));
	free(again);
	snapshot_free(first);
	snapshot_free(second);
	free(text);
	free(json);
}

/* Text comes out as a string that is valid and drives no terminal. */
static void texts_are_escaped(void)
{
	static const char *const cases[][2] = {
		{"plain", "\"plain\""}, {"a\"b\\c", "\"a\\\"b\\\\c\""}, {"\x1b[31m\n\x7f", "\"\\u001b[31m\\u000a\\u007f\""},
		{"h\xc3\xa4ndler", "\"h\xc3\xa4ndler\""}, {"\xc2\x9b", "\"\\u009b\""}, {"\xff\xfe", "\"?\?\""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[64] = "";
		FILE *out = fmemopen(text, sizeof(text), "w");
		json_put_text(out, cases[i][0]);
		fclose(out);
		UNIT_STRING(text, cases[i][1]);
	}
}

UNIT_MAIN("snapshot_json", UNIT(round_trip), UNIT(texts_are_escaped))
