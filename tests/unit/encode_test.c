/* Messages as JSON: the small ones word for word, a snapshot by its members. Their validity against the schema is
 * tested with a real validator, by tests/schema/validate.py. */
#include "introspect/encode.h"

#include <string.h>

#include "lib/hakmem.h"
#include "tests/unit/unit.h"

static char text[4 << 20];
static struct hak_json json;

static void begin(void)
{
	hak_json_to_memory(&json, text, sizeof(text) - 1);
}

/* Ends the message in `text`. */
static const char *finish(void)
{
	CU_ASSERT_TRUE(hak_json_finish(&json));
	text[json.length] = 0;
	return text;
}

static void small_messages(void)
{
	const struct hak_done done = {.threads = 3, .bytes = 5, .recorded = true, .checked = 6, .damaged = 1};
	begin();
	hak_encode_error(&json, "what \"is\"", HAK_ERROR_unknown_verb, "no");
	UNIT_STRING(finish(),
		"{\"type\":\"error\",\"request\":\"what \\\"is\\\"\",\"code\":\"unknown_verb\",\"message\":\"no\"}");
	begin();
	hak_encode_ok(&json, HAK_VERB_drain, &done);
	UNIT_STRING(finish(), "{\"type\":\"ok\",\"request\":\"drain\",\"threads\":3}");
	begin();
	hak_encode_ok(&json, HAK_VERB_purge, &done);
	UNIT_STRING(finish(), "{\"type\":\"ok\",\"request\":\"purge\",\"bytes\":5}");
	begin();
	hak_encode_ok(&json, HAK_VERB_trim, &done);
	UNIT_STRING(finish(), "{\"type\":\"ok\",\"request\":\"trim\",\"threads\":3,\"bytes\":5}");
	begin();
	hak_encode_ok(&json, HAK_VERB_mark, &done);
	UNIT_STRING(finish(), "{\"type\":\"ok\",\"request\":\"mark\",\"recorded\":true}");
	begin();
	hak_encode_ok(&json, HAK_VERB_check, &done);
	UNIT_STRING(finish(), "{\"type\":\"ok\",\"request\":\"check\",\"checked\":6,\"damaged\":1}");
	begin();
	hak_encode_ok(&json, HAK_VERB_unsubscribe, NULL);
	UNIT_STRING(finish(), "{\"type\":\"ok\",\"request\":\"unsubscribe\"}");
	begin();
	hak_encode_dropped(&json, 9);
	UNIT_STRING(finish(), "{\"type\":\"dropped\",\"snapshots\":9}");
	begin();
	hak_encode_dump_written(&json, "/a", 10);
	UNIT_STRING(finish(), "{\"type\":\"dump_written\",\"path\":\"/a\",\"bytes\":10}");
	begin();
	hak_encode_schema(&json, "{\n \"a\": 1\n}\n", 12);
	UNIT_STRING(finish(), "{\"type\":\"schema\",\"schema\":{\"a\": 1}}");
	begin();
	hak_encode_hello(&json, 12, 345, "/bin/x");
	CU_ASSERT_PTR_NOT_NULL(strstr(finish(), "{\"type\":\"hello\",\"protocol\":1,\"version\":\"" HAKMEM_VERSION
		"\",\"pid\":12,\"start_time\":345,\"exe\":\"/bin/x\",\"capabilities\":[\"snapshot\",\"subscribe\","));
	begin();
	hak_encode_pong(&json);
	CU_ASSERT_TRUE(strncmp(finish(), "{\"type\":\"pong\",\"time_us\":", 25) == 0);
}

static void a_request_is_shortened(void)
{
	char request[1000];
	memset(request, 'r', sizeof(request) - 1);
	request[sizeof(request) - 1] = 0;
	begin();
	hak_encode_error(&json, request, HAK_ERROR_unknown_verb, "");
	UNIT_EQUAL(strspn(strchr(finish(), 'q') + strlen("quest\":\""), "r"), 200);
}

static void events(void)
{
	struct hak_event event = {
		.time_ns = 1234567, .tid = 9, .id = HAK_EVENT_ID_stage2_convert, .arg = {6, 0x7f0000200000, 5, 7}};
	begin();
	hak_encode_event(&json, &event);
	UNIT_STRING(finish(), "{\"time_us\":1234,\"tid\":9,\"name\":\"stage2_convert\",\"group\":\"acquire\","
		"\"args\":{\"class\":6,\"ss\":\"0x7f0000200000\",\"slab\":5,\"from\":7}}");
	/* Every row of the table has a name, a group and names for its arguments. */
	for (unsigned id = 0; id < HAK_EVENT_ID_COUNT; id++) {
		char expected[64];
		event.id = (uint16_t)id;
		begin();
		hak_encode_event(&json, &event);
		snprintf(expected, sizeof(expected), "\"name\":\"%.20s\",\"group\":\"", hak_event_types[id].name);
		CU_ASSERT_PTR_NOT_NULL(strstr(finish(), expected));
		CU_ASSERT_PTR_NULL(strstr(text, "\"group\":\"\""));
	}
	/* Readers of JSON would round what is above 2^53, up to another number. Addresses are text. */
	event = (struct hak_event){.id = HAK_EVENT_ID_out_of_memory, .arg = {UINT64_MAX - 4096, (1ull << 53) - 1}};
	begin();
	hak_encode_event(&json, &event);
	CU_ASSERT_PTR_NOT_NULL(strstr(finish(), "{\"bytes\":9007199254740991,\"committed\":9007199254740991}"));
	/* A text ends at its zero, or fills all arguments. */
	event = (struct hak_event){.id = HAK_EVENT_ID_mark};
	memcpy(event.arg, "ab \"c\"", 6);
	begin();
	hak_encode_event(&json, &event);
	CU_ASSERT_PTR_NOT_NULL(strstr(finish(), "\"group\":\"mark\",\"args\":{\"text\":\"ab \\\"c\\\"\"}}"));
	memset(event.arg, 'x', sizeof(event.arg));
	begin();
	hak_encode_event(&json, &event);
	UNIT_EQUAL(strspn(strstr(finish(), "text\":\"") + 7, "x"), 40);
	event.id = HAK_EVENT_ID_COUNT;
	begin();
	hak_encode_event(&json, &event);
	UNIT_STRING(finish(), "");
}

static void a_snapshot(void)
{
	static struct hak_snapshot snapshot;
	void *small = hak_malloc(100), *large = hak_malloc(100000);
	hak_snapshot_init(&snapshot);
	CU_ASSERT_TRUE_FATAL(hak_snapshot_take(&snapshot));
	begin();
	hak_encode_snapshot(&json, &snapshot);
	finish();
	CU_ASSERT_TRUE(strncmp(text, "{\"type\":\"snapshot\",\"protocol\":1,", 32) == 0);
	static const char *const members[] = {"seq", "time_us", "uptime_us", "process", "geometry", "memory", "stages",
		"pool", "lru", "drain", "syscalls", "classes", "threads", "slot_fields", "superslabs", "trace", "large",
		"faults", "guard"};
	for (size_t i = 0; i < HAK_COUNT_OF(members); i++) {
		char quoted[32];
		snprintf(quoted, sizeof(quoted), ",\"%s\":", members[i]);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, quoted));
	}
	/* 100000 bytes are a run of two slots: its rows, with no class. */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "[\"ACTIVE\",null,1,1,2,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "[\"ACTIVE\",null,0,0,0,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "[\"UNUSED\",null,0,0,0,"));
	/* With one byte too few it is an error, not a shorter snapshot. */
	size_t length = json.length;
	hak_json_to_memory(&json, text, length - 1);
	hak_encode_snapshot(&json, &snapshot);
	CU_ASSERT_FALSE(hak_json_finish(&json));
	hak_snapshot_free(&snapshot);
	hak_free(small);
	hak_free(large);
}

static void stats(void)
{
	struct hak_endpoint_stats own = {.clients = 2, .requests = 71, .bytes_sent = 1234};
	begin();
	hak_encode_stats(&json, &own, NULL);
	finish();
#define HAK_STAT(name, meaning) CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"" #name "\":"));
#include "lib/stats.def"
#undef HAK_STAT
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"requests\":71"));
	CU_ASSERT_PTR_NULL(strstr(text, "meshable"));
}

/* Three slabs of class 1 (of 100 blocks) with 10, 40 and 50 in use and one with 51, and one of class 0: what the first
 * three hold fits one. */
static void sparse_slabs(void)
{
	static struct hak_superslab_info row = {.address = HAK_SS_BYTES};
	static struct hak_inspect heap = {.superslabs = &row, .superslab_count = 1};
	static const uint16_t used[] = {10, 40, 50, 51, 1};
	struct hak_endpoint_stats own = {0};
	heap.classes[0].slots_per_slab = 1;
	heap.classes[1].slots_per_slab = 3;
	for (unsigned i = 0; i < HAK_SLOTS_PER_SS; i++)
		row.slots[i].class = HAK_NO_CLASS;
	for (unsigned i = 0; i < HAK_COUNT_OF(used); i++)
		row.slots[3 * i] = (struct hak_slot_info){
			.state = HAK_SLOT_ACTIVE, .class = i < 4, .used = used[i], .capacity = 100, .span = i < 4 ? 3 : 1};
	begin();
	hak_encode_stats(&json, &own, &heap);
	char expected[300];
	snprintf(expected, sizeof(expected), "\"meshable\":{\"classes\":["
		"{\"class\":0,\"slabs\":1,\"used\":1,\"capacity\":100,\"bytes\":0},"
		"{\"class\":1,\"slabs\":3,\"used\":100,\"capacity\":100,\"bytes\":%zu}],\"bytes\":%zu}}",
		6 * HAK_SLOT_BYTES, 6 * HAK_SLOT_BYTES);
	CU_ASSERT_PTR_NOT_NULL(strstr(finish(), expected));
}

UNIT_MAIN("encode", UNIT(small_messages), UNIT(a_request_is_shortened), UNIT(events), UNIT(a_snapshot), UNIT(stats),
	UNIT(sparse_slabs))
