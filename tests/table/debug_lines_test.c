/* Debug lines are a contract with users' scripts, so each is written out here once more, with its arguments, and compared with what
 * the row of trace_events.def makes of them. Every row must appear: NULL for one without a line. */
#include "lib/trace.h"

#include "tests/unit/unit.h"

#define SS 0x7f3c00200000

static const struct {
	enum hak_event_id id;
	uint64_t arg[HAK_EVENT_ARGS];
	const char *line;
} documented[] = {
	{HAK_EVENT_ID_depot_hit, {6, 32}, NULL},
	{HAK_EVENT_ID_stage1, {6, SS, 12}, "[SP_ACQUIRE_STAGE1] class=6 reusing EMPTY slot (ss=0x7f3c00200000 slab=12)"},
	{HAK_EVENT_ID_stage2, {7, SS, 5}, "[SP_ACQUIRE_STAGE2] class=7 using UNUSED slot (ss=0x7f3c00200000 slab=5)"},
	{HAK_EVENT_ID_stage2_convert, {7, SS, 5, 6},
		"[SP_ACQUIRE_STAGE2] class=7 converting EMPTY slot (ss=0x7f3c00200000 slab=5 from=6)"},
	{HAK_EVENT_ID_stage3, {3, SS, 0}, "[SP_ACQUIRE_STAGE3] class=3 new SuperSlab (ss=0x7f3c00200000 from_lru=0)"},
	{HAK_EVENT_ID_release, {SS, 12, 6, 0, 1},
		"[SP_SLOT_RELEASE] ss=0x7f3c00200000 slab_idx=12 class=6 used=0 (marking EMPTY)"},
	{HAK_EVENT_ID_freelist_push, {6, 15, 31}, "[SP_SLOT_FREELIST] class=6 pushed slot count=15 active_slots=31/32"},
	{HAK_EVENT_ID_freelist_overflow, {6, SS, 12}, NULL},
	{HAK_EVENT_ID_lru_push, {SS, 3, 16}, "[SS_LRU_PUSH] ss=0x7f3c00200000 length=3/16"},
	{HAK_EVENT_ID_lru_pop, {SS, 2, 16}, "[SS_LRU_POP] ss=0x7f3c00200000 length=2/16"},
	{HAK_EVENT_ID_lru_evict, {SS, 10012, 15, 16}, "[SS_LRU_EVICT] ss=0x7f3c00200000 age_ms=10012 length=15/16"},
	{HAK_EVENT_ID_drain, {6, 32, 11}, "[TLS_SLL_DRAIN] class=6 drained=32 kept=11"},
	{HAK_EVENT_ID_commit, {SS, 4096}, NULL},
	{HAK_EVENT_ID_purge, {SS, 4096, 1}, NULL},
	{HAK_EVENT_ID_out_of_memory, {4096, 4096}, NULL},
	{HAK_EVENT_ID_large_alloc, {SS, 100000, 2}, NULL},
	{HAK_EVENT_ID_large_resize, {SS, 2, 3}, NULL},
	{HAK_EVENT_ID_large_free, {SS, 2}, NULL},
	{HAK_EVENT_ID_thread_birth, {1, 1}, NULL},
	{HAK_EVENT_ID_thread_death, {1, 0}, NULL},
	{HAK_EVENT_ID_fork_child, {1, 2}, NULL},
	{HAK_EVENT_ID_misuse, {1, SS}, NULL},
	{HAK_EVENT_ID_fatal, {6, SS + 16, SS, 0, 7}, NULL},
	{HAK_EVENT_ID_mark, {0x6968}, NULL},
};

static void every_row_makes_its_documented_line(void)
{
	UNIT_EQUAL(HAK_COUNT_OF(documented), HAK_EVENT_ID_COUNT);
	for (size_t i = 0; i < HAK_COUNT_OF(documented); i++) {
		char line[256] = "untouched";
		struct hak_event event = {.id = (uint16_t)documented[i].id};
		memcpy(event.arg, documented[i].arg, sizeof(event.arg));
		size_t length = hak_trace_format_line(line, sizeof(line), &event);
		UNIT_EQUAL(documented[i].id, i);
		UNIT_STRING(line, documented[i].line != NULL ? documented[i].line : "");
		UNIT_EQUAL(length, strlen(line));
	}
}

static void short_buffers_are_respected(void)
{
	char line[24];
	struct hak_event event = {.id = HAK_EVENT_ID_stage1, .arg = {6, SS, 12}};
	memset(line, '#', sizeof(line));
	UNIT_EQUAL(hak_trace_format_line(line, 16, &event), 15);
	UNIT_STRING(line, "[SP_ACQUIRE_STA");
	UNIT_EQUAL(line[16], '#');
}

static void rows_describe_their_arguments(void)
{
	for (size_t i = 0; i < HAK_EVENT_ID_COUNT; i++) {
		const struct hak_event_type *type = &hak_event_types[i];
		CU_ASSERT_TRUE(type->group != 0 && (type->group & (type->group - 1)) == 0 && type->group <= HAK_GROUP_ALL);
		CU_ASSERT_TRUE(type->args >= 2 && type->args <= HAK_EVENT_ARGS);
		for (unsigned a = 0; a < type->args; a++) {
			CU_ASSERT_TRUE(strchr("UPT", type->kind[a]) != NULL);
			CU_ASSERT_TRUE(type->arg[a][0] != '\0');
		}
	}
	UNIT_STRING(hak_event_types[HAK_EVENT_ID_lru_evict].name, "lru_evict");
	UNIT_STRING(hak_event_types[HAK_EVENT_ID_lru_evict].arg[1], "age_ms");
	UNIT_EQUAL(hak_event_types[HAK_EVENT_ID_lru_evict].kind[0], 'P');
}

UNIT_MAIN("debug_lines", UNIT(every_row_makes_its_documented_line), UNIT(short_buffers_are_respected),
	UNIT(rows_describe_their_arguments))
