#include "viewer/diff.h"

#include "tests/unit/sample_snapshot.h"
#include "tests/unit/unit.h"
#include "viewer/parse.h"

/* The sample with its first `from` replaced; `from` NULL: as it is. */
static struct snapshot *sample(const char *from, const char *to)
{
	char *json = from != NULL ? sample_with(from, to) : strdup(sample_snapshot);
	cJSON *document = cJSON_Parse(json);
	struct problem problem = {""};
	struct snapshot *snapshot = snapshot_parse(document, &problem);
	UNIT_STRING(problem.text, "");
	cJSON_Delete(document);
	free(json);
	if (snapshot == NULL)
		abort();
	return snapshot;
}

static void nothing_changed(void)
{
	struct snapshot *a = sample(NULL, NULL);
	struct diff diff;
	CU_ASSERT_TRUE_FATAL(diff_make(&diff, a, a));
	CU_ASSERT_TRUE(diff.same_process);
	UNIT_EQUAL(diff.class_count, 0);
	UNIT_EQUAL(diff.superslab_count, 0);
	for (size_t i = 0; i < diff.figure_count; i++)
		UNIT_EQUAL(change_growth(diff.figures[i].value), 0);
	diff_free(&diff);
	snapshot_free(a);
}

static void counters_by_name(void)
{
	struct snapshot *a = sample(NULL, NULL), *b = sample("\"live_bytes\":1048576", "\"live_bytes\":1048000");
	struct diff diff;
	b->stages.stage3 = 5;
	b->uptime_us += 1500000;
	CU_ASSERT_TRUE_FATAL(diff_make(&diff, a, b));
	CU_ASSERT_DOUBLE_EQUAL(diff.seconds, 1.5, 1e-9);
	const struct diff_figure *live = diff_find(&diff, "memory", "live_bytes"), *stage = diff_find(&diff, "stages", "stage3");
	CU_ASSERT_PTR_NOT_NULL_FATAL(live);
	CU_ASSERT_PTR_NOT_NULL_FATAL(stage);
	CU_ASSERT_TRUE(change_growth(live->value) == -576);
	UNIT_EQUAL(stage->value.before, 1);
	UNIT_EQUAL(stage->value.after, 5);
	UNIT_STRING(diff.figures[0].section, "geometry");
	CU_ASSERT_PTR_NULL(diff_find(&diff, "memory", "dead_bytes"));
	diff_free(&diff);
	snapshot_free(a);
	snapshot_free(b);
}

static void classes_by_growth(void)
{
	struct snapshot *a = sample(NULL, NULL), *b = sample(NULL, NULL);
	struct diff diff;
	b->classes[0].live_blocks -= 10;
	b->classes[1].live_blocks += 1;
	CU_ASSERT_TRUE_FATAL(diff_make(&diff, a, b));
	UNIT_EQUAL(diff.class_count, 2);
	UNIT_EQUAL(diff.classes[0].class, 1);
	CU_ASSERT_TRUE(change_growth(diff.classes[0].live_bytes) == 6144);
	CU_ASSERT_TRUE(change_growth(diff.classes[1].live_bytes) == -160);
	diff_free(&diff);
	/* Only one of them knows class 1. */
	b->class_count = 1;
	CU_ASSERT_TRUE_FATAL(diff_make(&diff, a, b));
	UNIT_EQUAL(diff.classes[1].class, 1);
	UNIT_EQUAL(diff.classes[1].block_bytes, 6144);
	UNIT_EQUAL(diff.classes[1].live_blocks.after, 0);
	diff_free(&diff);
	b->class_count = 2;
	snapshot_free(a);
	snapshot_free(b);
}

static void used_bytes_of_a_superslab(void)
{
	struct snapshot *a = sample(NULL, NULL);
	UNIT_EQUAL(diff_used_bytes(a, &a->superslabs[0]), 4032 * 16 + 8 * 6144 + 2 * 65536);
	snapshot_free(a);
}

static void superslabs_come_and_go(void)
{
	struct snapshot *a = sample(NULL, NULL), *b = sample("\"index\":3", "\"index\":2");
	struct diff diff;
	b->superslabs[0].slots[0].used = 4000;
	CU_ASSERT_TRUE_FATAL(diff_make(&diff, a, b));
	UNIT_EQUAL(diff.superslab_count, 2);
	CU_ASSERT_TRUE(!diff.superslabs[0].was && diff.superslabs[0].is);
	UNIT_EQUAL(diff.superslabs[0].index, 2);
	CU_ASSERT_TRUE(diff.superslabs[1].was && !diff.superslabs[1].is);
	UNIT_EQUAL(diff.superslabs[1].used_bytes.after, 0);
	diff_free(&diff);
	/* The same one with fewer blocks. */
	b->superslabs[0].index = 3;
	CU_ASSERT_TRUE_FATAL(diff_make(&diff, a, b));
	UNIT_EQUAL(diff.superslab_count, 1);
	CU_ASSERT_TRUE(change_growth(diff.superslabs[0].used_bytes) == -32 * 16);
	diff_free(&diff);
	snapshot_free(a);
	snapshot_free(b);
}

/* Figures that no heap has: no overflow that a sanitizer would see. */
static void absurd_figures(void)
{
	struct snapshot *a = sample(NULL, NULL), *b = sample("\"pid\":4711", "\"pid\":4712");
	struct diff diff;
	b->classes[1].live_blocks = b->classes[1].block_bytes = 1ull << 53;
	b->superslabs[0].slots[1].used = UINT32_MAX;
	CU_ASSERT_TRUE_FATAL(diff_make(&diff, a, b));
	CU_ASSERT_TRUE(!diff.same_process);
	CU_ASSERT_TRUE(diff.seconds == 0);
	diff_free(&diff);
	snapshot_free(a);
	snapshot_free(b);
}

UNIT_MAIN("diff", UNIT(nothing_changed), UNIT(counters_by_name), UNIT(classes_by_growth), UNIT(used_bytes_of_a_superslab),
	UNIT(superslabs_come_and_go), UNIT(absurd_figures))
