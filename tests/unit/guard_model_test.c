/* Guarded blocks and reports as they are read; what is wrong is named, and nothing of it taken. */
#include "viewer/guard_model.h"

#include "tests/unit/sample_guards.h"

static struct guards *read_sample(void)
{
	struct problem problem = {""};
	struct guards *guards = sample_guards_parse(sample_guards, &problem);
	UNIT_STRING(problem.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(guards);
	return guards;
}

static uint64_t frame_of(const struct guards *guards, uint32_t stack, unsigned number)
{
	const struct profile_stack *found = &guards->profile->stacks[stack];
	return number < found->depth ? found->frames[number] : 0;
}

static void blocks(void)
{
	struct guards *guards = read_sample();
	UNIT_EQUAL(guards->time_us, 5000000);
	CU_ASSERT_FALSE(guards->is_dump);
	UNIT_EQUAL(guards->block_count, 2);
	/* By address. */
	const struct guard_block *live = &guards->blocks[0], *freed = &guards->blocks[1];
	UNIT_EQUAL(live->address, 0x7f5a00000080);
	CU_ASSERT_TRUE(live->bytes == 24 && live->class == 1 && !live->freed);
	UNIT_STRING(live->level, "full");
	CU_ASSERT_TRUE(live->allocated.tid == 5 && live->allocated.time_us == 4000000);
	UNIT_EQUAL(frame_of(guards, live->allocated.stack, 0), 0x500123);
	UNIT_EQUAL(frame_of(guards, live->allocated.stack, 1), 0x401010);
	CU_ASSERT_TRUE(freed->freed && freed->class == PROFILE_NO_CLASS && freed->gone.tid == 6 && freed->gone.time_us == 3000000);
	UNIT_EQUAL(freed->allocated.time_us, 0);
	UNIT_EQUAL(guards->profile->stacks[freed->gone.stack].depth, 0);
	CU_ASSERT_PTR_EQUAL(guards_block_at(guards, 0x7f5a00000100), freed);
	CU_ASSERT_PTR_NULL(guards_block_at(guards, 0x7f5a00000101));
	UNIT_EQUAL(guards->profile->module_count, 2);
	guards_free(guards);
}

static void reports(void)
{
	struct guards *guards = read_sample();
	UNIT_EQUAL(guards->report_count, 1);
	const struct guard_report *report = &guards->reports[0];
	UNIT_STRING(report->text, "write beyond a block's end");
	UNIT_STRING(report->access, "write");
	UNIT_STRING(report->thread, "worker");
	UNIT_STRING(report->end, "aborts");
	CU_ASSERT_TRUE(report->address == 0x7f5a0000009a && report->damage == 2 && report->superslab == 0x7f5a00000000 && report->slot == 0);
	CU_ASSERT_TRUE(report->by.tid == 6 && report->by.time_us == 4500000);
	/* The instruction comes first, as if it were behind a call. */
	UNIT_EQUAL(frame_of(guards, report->by.stack, 0), 0x401001);
	UNIT_EQUAL(frame_of(guards, report->by.stack, 1), 0x401020);
	UNIT_EQUAL(report->block.address, 0x7f5a00000080);
	CU_ASSERT_TRUE(report->row_count == 2 && report->readable[0] && !report->readable[1]);
	UNIT_EQUAL(report->memory[0][11], 11);
	guards_free(guards);
}

/* Of a dump: what its crash is about, each block once. */
static void dumps(void)
{
	static const char dump[] =
		"{\"type\":\"dump\",\"crash\":{\"heap\":{\"address\":\"0x7f5a00000099\",\"kind\":\"foreign\",\"guarded\":" SAMPLE_LIVE_BLOCK "},"
		"\"pointers\":[{\"address\":\"0x7f5a00000080\",\"guarded\":" SAMPLE_LIVE_BLOCK "},{\"address\":\"0x1\"}]},\"modules\":[]}";
	struct problem problem = {""};
	cJSON *document = cJSON_Parse(dump), *other = cJSON_Parse("{\"type\":\"dump\",\"crash\":{\"heap\":{},\"pointers\":[{}]},\"modules\":[]}");
	CU_ASSERT_TRUE(guards_are_in(document));
	CU_ASSERT_FALSE(guards_are_in(other));
	/* A register's block alone, as where a null pointer was read. */
	cJSON_DeleteItemFromObject(cJSON_GetObjectItem(document, "crash"), "heap");
	CU_ASSERT_TRUE(guards_are_in(document));
	struct guards *guards = guards_parse(document, &problem);
	UNIT_STRING(problem.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(guards);
	CU_ASSERT_TRUE(guards->block_count == 1 && guards->report_count == 0 && guards->is_dump);
	guards_free(guards);
	cJSON_Delete(document);
	cJSON_Delete(other);
	document = cJSON_Parse("{\"type\":\"dump\",\"report\":{\"guarded\":" SAMPLE_LIVE_BLOCK "},\"modules\":[]}");
	CU_ASSERT_TRUE(guards_are_in(document));
	cJSON_Delete(document);
}

static void what_is_wrong(void)
{
	static const char *const cases[][3] = {
		{"\"address\":\"0x7f5a00000080\",", "", "a block's address"},
		{"\"address\":\"0x7f5a00000080\"", "\"address\":\"0x0\"", "a block's address"},
		{"\"bytes\":1,", "\"bytes\":-1,", "a block's bytes"},
		{"\"allocated\":{\"tid\":5,\"frames\"", "\"allocated\":{\"tid\":\"5\",\"frames\"", "tid"},
		{"[\"0x401010\"]},\"freed\"", "[\"0x401010\",7]},\"freed\"", "frames"},
		{"[\"0x401010\"]},\"freed\"", "[\"401010\"]},\"freed\"", "profile.frames"},
		{"\"frames\":[]", "\"frames\":{}", "frames"},
		{"\"address\":\"0x7f5a0000009a\",", "\"address\":5,", "a report's address"},
		{"\"0001", "\"00", "a row of memory"},
		{"\"0001", "\"xy01", "a row of memory"},
		{"\"memory\":{\"address\":\"0x7f5a00000090\",", "\"memory\":{", "memory.address"},
		{"\"modules\":[", "\"modules\":5,\"other\":[", "profile.modules"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct problem problem = {""};
		char *text = sample_replace(sample_guards, cases[i][0], cases[i][1]);
		struct guards *guards = sample_guards_parse(text, &problem);
		CU_ASSERT_PTR_NULL(guards);
		if (strstr(problem.text, cases[i][2]) == NULL)
			fprintf(stderr, "\n    %zu: \"%s\" doesn't say %s\n", i, problem.text, cases[i][2]);
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, cases[i][2]));
		guards_free(guards);
		free(text);
	}
}

UNIT_MAIN("guard_model", UNIT(blocks), UNIT(reports), UNIT(dumps), UNIT(what_is_wrong))
