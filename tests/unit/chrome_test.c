#include "viewer/chrome.h"

#include <cjson/cJSON.h>

#include "tests/unit/sample_snapshot.h"
#include "tests/unit/unit.h"

static struct chrome chrome;
static struct problem problem;
static char *text;
static size_t size;

static void begin(void)
{
	free(text);
	text = NULL;
	FILE *out = open_memstream(&text, &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	chrome_begin(&chrome, out);
}

static bool take(const char *json)
{
	return chrome_take(&chrome, json, strlen(json), &problem);
}

/* What was recorded, parsed. */
static cJSON *finish(void)
{
	CU_ASSERT_TRUE(chrome_end(&chrome));
	fclose(chrome.out);
	cJSON *list = cJSON_Parse(text);
	CU_ASSERT_TRUE_FATAL(cJSON_IsArray(list));
	return list;
}

static const char *string_of(const cJSON *object, const char *name)
{
	const char *string = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
	return string != NULL ? string : "(none)";
}

static double number_of(const cJSON *object, const char *name)
{
	return cJSON_GetNumberValue(cJSON_GetObjectItem(object, name));
}

/* How many of the list have this phase and name. */
static int count(const cJSON *list, const char *phase, const char *name)
{
	const cJSON *event;
	int found = 0;
	cJSON_ArrayForEach(event, list) {
		found += strcmp(string_of(event, "ph"), phase) == 0 && strcmp(string_of(event, "name"), name) == 0;
		UNIT_EQUAL(number_of(event, "pid"), 4711);
		CU_ASSERT_TRUE(number_of(event, "tid") > 0 && number_of(event, "ts") >= 0);
	}
	return found;
}

static const cJSON *find(const cJSON *list, const char *name)
{
	const cJSON *event;
	cJSON_ArrayForEach(event, list) {
		if (strcmp(string_of(event, "name"), name) == 0)
			return event;
	}
	CU_FAIL_FATAL("no such event");
	return NULL;
}

static const char events[] = "{\"type\":\"events\",\"time_us\":9100000,\"events\":["
	"{\"time_us\":9000001,\"tid\":4712,\"name\":\"stage2\",\"group\":\"acquire\",\"args\":{\"class\":6,\"ss\":\"0x200000\"}},"
	"{\"time_us\":9000002,\"tid\":4711,\"name\":\"mark\",\"group\":\"mark\",\"args\":{\"text\":\"here\"}}],"
	"\"filtered\":0,\"lost\":3}";

static void snapshots_and_events(void)
{
	begin();
	CU_ASSERT_TRUE(take(sample_snapshot));
	CU_ASSERT_TRUE(take("{\"type\":\"ok\",\"request\":\"subscribe\"}"));
	CU_ASSERT_TRUE(take(events));
	CU_ASSERT_TRUE(take(sample_snapshot));
	UNIT_EQUAL(chrome.events, 2);
	UNIT_EQUAL(chrome.lost, 3);
	cJSON *list = finish();
	/* Names come once, counters with each snapshot. */
	UNIT_EQUAL(count(list, "M", "process_name"), 1);
	UNIT_EQUAL(count(list, "M", "thread_name"), 2);
	UNIT_EQUAL(count(list, "C", "heap"), 2);
	UNIT_STRING(string_of(cJSON_GetObjectItem(find(list, "process_name"), "args"), "name"), "sample");
	const cJSON *heap = find(list, "heap"), *stage = find(list, "stage2"), *mark = find(list, "here"), *lost = find(list, "events lost");
	UNIT_EQUAL(number_of(heap, "ts"), 9000000);
	UNIT_EQUAL(number_of(cJSON_GetObjectItem(heap, "args"), "live"), 1048576);
	UNIT_STRING(string_of(stage, "ph"), "i");
	UNIT_STRING(string_of(stage, "s"), "t");
	UNIT_STRING(string_of(stage, "cat"), "acquire");
	UNIT_EQUAL(number_of(stage, "ts"), 9000001);
	UNIT_EQUAL(number_of(stage, "tid"), 4712);
	UNIT_STRING(string_of(cJSON_GetObjectItem(stage, "args"), "ss"), "0x200000");
	UNIT_STRING(string_of(mark, "s"), "p");
	UNIT_EQUAL(number_of(cJSON_GetObjectItem(lost, "args"), "lost"), 3);
	cJSON_Delete(list);
}

/* A thread that changes its name gets the new one too. */
static void new_names(void)
{
	char *renamed = sample_with("\"name\":\"helper\"", "\"name\":\"another\"");
	begin();
	CU_ASSERT_TRUE(take(sample_snapshot));
	CU_ASSERT_TRUE(take(renamed));
	cJSON *list = finish();
	UNIT_EQUAL(count(list, "M", "thread_name"), 3);
	cJSON_Delete(list);
	free(renamed);
}

static void nothing_is_an_empty_array(void)
{
	begin();
	cJSON *list = finish();
	UNIT_EQUAL(cJSON_GetArraySize(list), 0);
	cJSON_Delete(list);
}

/* Whatever stands where something else belongs, what is written is valid; control characters and broken UTF-8 don't come out raw. */
static void nonsense(void)
{
	static const char *const lines[] = {
		"[]", "7", "\"x\"", "{}", "{\"type\":7}", "{\"type\":\"events\"}", "{\"type\":\"events\",\"events\":[7,null,[],{}]}",
		"{\"type\":\"events\",\"events\":{\"a\":1},\"lost\":\"x\"}", "{\"type\":\"snapshot\"}",
		"{\"type\":\"events\",\"events\":[{\"time_us\":-1,\"tid\":1e999}],\"lost\":1e999}",
		"{\"type\":\"snapshot\",\"process\":[],\"threads\":[1,{}],\"memory\":7}",
		"{\"type\":\"events\",\"events\":[{\"name\":\"\x1b[31m\xff\\u009b\\\"\",\"tid\":1,\"args\":[]}]}",
	};
	begin();
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		CU_ASSERT_TRUE(take(lines[i]));
	CU_ASSERT_FALSE(take("{"));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "no JSON"));
	CU_ASSERT_FALSE(take("{\"type\":\"error\",\"code\":\"no_memory\",\"message\":\"no memory for events\"}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "no memory for events"));
	UNIT_EQUAL(chrome.lost, 0);
	cJSON *list = finish();
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\\u001b[31m?\\u009b\\\""));
	cJSON_Delete(list);
}

/* A recording that was cut off needs nothing but the bracket that readers do without. */
static void cut_off(void)
{
	begin();
	CU_ASSERT_TRUE(take(sample_snapshot));
	CU_ASSERT_TRUE(take(events));
	fflush(chrome.out);
	char *so_far = malloc(size + 2);
	snprintf(so_far, size + 2, "%s]", text);
	cJSON *list = cJSON_Parse(so_far);
	CU_ASSERT_TRUE(cJSON_IsArray(list));
	cJSON_Delete(list);
	free(so_far);
	cJSON_Delete(finish());
	free(text);
	text = NULL;
}

UNIT_MAIN("chrome", UNIT(snapshots_and_events), UNIT(new_names), UNIT(nothing_is_an_empty_array), UNIT(nonsense), UNIT(cut_off))
