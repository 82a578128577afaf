#include "viewer/events.h"

#include "tests/unit/unit.h"

static struct event_log log_;

static void add(const char *json)
{
	cJSON *array = cJSON_Parse(json);
	events_add(&log_, array);
	cJSON_Delete(array);
}

static void an_event_is_read(void)
{
	add("[{\"name\":\"stage1\",\"group\":\"acquire\",\"tid\":12,\"time_us\":500,"
	    "\"class\":6,\"ss\":\"0x20\",\"ok\":true,\"n\":null}]");
	UNIT_EQUAL(log_.count, 1);
	UNIT_STRING(events_at(&log_, 0)->name, "stage1");
	UNIT_STRING(events_at(&log_, 0)->group, "acquire");
	UNIT_STRING(events_at(&log_, 0)->arguments, "class=6 ss=0x20 ok=true n=-");
	UNIT_EQUAL(events_at(&log_, 0)->tid, 12);
	UNIT_EQUAL(log_.base_us, 500);
	events_free(&log_);
}

static void arguments_may_have_an_object(void)
{
	add("[{\"name\":\"drain\",\"group\":\"drain\",\"tid\":1,\"time_us\":1,\"args\":{\"class\":6,\"kept\":11}}]");
	UNIT_STRING(events_at(&log_, 0)->arguments, "class=6 kept=11");
	events_free(&log_);
}

static void other_things_are_counted(void)
{
	add("[1,{},{\"name\":5,\"group\":\"a\",\"tid\":1,\"time_us\":1},"
	    "{\"name\":\"a\",\"group\":\"a\",\"tid\":-1,\"time_us\":1},"
	    "{\"name\":\"a\",\"group\":\"a\",\"tid\":1,\"time_us\":1}]");
	UNIT_EQUAL(log_.count, 1);
	UNIT_EQUAL(log_.malformed, 4);
	add("{\"a\":1}");
	add("7");
	events_add(&log_, NULL);
	UNIT_EQUAL(log_.count, 1);
	events_free(&log_);
}

static void long_arguments_are_left_out_whole(void)
{
	char json[1024], text[200];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	snprintf(json, sizeof(json),
		"[{\"name\":\"%s\",\"group\":\"%s\",\"tid\":1,\"time_us\":1,\"a\":\"%s\",\"b\":\"%s\",\"c\":1234567}]",
		text, text, text, text);
	add(json);
	UNIT_EQUAL(strlen(events_at(&log_, 0)->name), sizeof(events_at(&log_, 0)->name) - 1);
	CU_ASSERT_PTR_NULL(strstr(events_at(&log_, 0)->arguments, "b="));
	events_free(&log_);
}

static void control_characters_are_not_kept(void)
{
	add("[{\"name\":\"\\u001b[2J\",\"group\":\"\\u0007\",\"tid\":1,\"time_us\":1,\"\\u001b\":\"\\n\"}]");
	UNIT_STRING(events_at(&log_, 0)->name, "?[2J");
	UNIT_STRING(events_at(&log_, 0)->arguments, "?=?");
	events_free(&log_);
}

static void a_full_log_forgets_the_oldest(void)
{
	char json[160];
	for (int i = 0; i < EVENTS_MAX + 5; i++) {
		snprintf(json, sizeof(json), "[{\"name\":\"e\",\"group\":\"g\",\"tid\":%d,\"time_us\":%d}]", i,
			1000 + i);
		add(json);
	}
	UNIT_EQUAL(log_.count, EVENTS_MAX);
	UNIT_EQUAL(log_.received, EVENTS_MAX + 5);
	UNIT_EQUAL(events_at(&log_, 0)->tid, 5);
	UNIT_EQUAL(events_at(&log_, EVENTS_MAX - 1)->tid, EVENTS_MAX + 4);
	UNIT_EQUAL(log_.base_us, 1000);
	events_free(&log_);
}

UNIT_MAIN("events", UNIT(an_event_is_read), UNIT(arguments_may_have_an_object), UNIT(other_things_are_counted),
	UNIT(long_arguments_are_left_out_whole), UNIT(control_characters_are_not_kept),
	UNIT(a_full_log_forgets_the_oldest))
