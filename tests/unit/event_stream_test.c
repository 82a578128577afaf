/* Which events a subscriber gets, and how fast: from rings of this test into a connection that nobody reads. */
#include "introspect/event_stream.h"

#include <sys/socket.h>

#include "lib/trace.h"
#include "tests/unit/unit.h"

static struct hak_connection client;
static uint64_t left; /* events that the round may have */

/* Subscribes to all events, at 10 ms. */
static void begin(void)
{
	CU_ASSERT_TRUE_FATAL(hak_ring_start(64 << 10));
	hak_connection_open(&client, socket(AF_UNIX, SOCK_STREAM, 0), 0);
	CU_ASSERT_TRUE_FATAL(hak_ring_reader_open(&client.reader, false));
	client.events = true;
	client.interval_us = 10000;
	client.filter.groups = HAK_GROUP_ALL;
	left = UINT64_MAX;
}

static void end(void)
{
	hak_connection_close(&client);
	hak_connection_release(&client);
}

/* What comes at `now`, as a string. */
static const char *stream(uint64_t now)
{
	client.out.length = client.sent = 0;
	hak_event_stream(&client, now, &left);
	CU_ASSERT_TRUE_FATAL(hak_buffer_append(&client.out, "", 1));
	return client.out.data;
}

static unsigned count_of(const char *text, const char *what)
{
	unsigned count = 0;
	for (const char *at = text; (at = strstr(at, what)); at++)
		count++;
	return count;
}

static void record(enum hak_event_id id, uint64_t time_ns, uint32_t tid, uint64_t first)
{
	struct hak_event event = {.time_ns = time_ns, .tid = tid, .id = (uint16_t)id, .arg = {first}};
	hak_ring_record(&event);
}

static void only_the_events_that_are_wanted(void)
{
	begin();
	client.filter = (struct hak_event_filter){.groups = HAK_GROUP_DRAIN | HAK_GROUP_MARK | HAK_GROUP_LRU,
		.classes = 1u << 6, .threads = 2, .tids = {11, 12}};
	UNIT_STRING(stream(1), ""); /* nothing happened: no message */
	record(HAK_EVENT_ID_drain, 1, 11, 6);      /* wanted */
	record(HAK_EVENT_ID_drain, 1, 12, 6);      /* wanted */
	record(HAK_EVENT_ID_drain, 1, 13, 6);      /* another thread */
	record(HAK_EVENT_ID_drain, 1, 11, 7);      /* another class */
	record(HAK_EVENT_ID_depot_hit, 1, 11, 6);  /* another group */
	record(HAK_EVENT_ID_lru_push, 1, 11, 6);   /* of no class */
	record(HAK_EVENT_ID_mark, 1, 11, 0x6968);  /* wanted */
	record(HAK_EVENT_ID_mark, 1, 13, 0x6968);  /* another thread */
	record((enum hak_event_id)9999, 1, 11, 6); /* of another version's file, at best */
	const char *text = stream(2);
	UNIT_EQUAL(count_of(text, "\"name\":\"drain\""), 2);
	UNIT_EQUAL(count_of(text, "\"name\":\"mark\""), 1);
	UNIT_EQUAL(count_of(text, "\"name\":"), 3);
	UNIT_EQUAL(count_of(text, "],\"filtered\":6,\"lost\":0}\n"), 1);
	end();
}

/* What the rate leaves waiting comes later, or is counted when it is overwritten. */
static void events_have_a_rate(void)
{
	unsigned sum = 0;
	unsigned long long lost = 0;
	begin();
	client.filter.rate = 1000; /* ten an interval */
	for (unsigned i = 0; i < 25; i++)
		record(HAK_EVENT_ID_drain, 1000 + i, 1, 1);
	UNIT_EQUAL(count_of(stream(1), "\"name\":\"drain\""), 10);
	UNIT_EQUAL(count_of(stream(2), "\"name\":\"drain\""), 10);
	/* Five are left. The ring has 64 records: of what is in it with the next ones, the first eight go. */
	for (unsigned i = 0; i < 64 + 3; i++)
		record(HAK_EVENT_ID_drain, 2000 + i, 1, 1);
	for (unsigned i = 0; i < 10; i++) {
		const char *text = stream(3 + i), *at = strstr(text, "\"lost\":");
		unsigned events = count_of(text, "\"name\":\"drain\"");
		CU_ASSERT_TRUE(events <= 10);
		sum += events;
		lost += at ? strtoull(at + strlen("\"lost\":"), NULL, 10) : 0;
	}
	UNIT_EQUAL(sum + lost, 5 + 64 + 3);
	CU_ASSERT_TRUE(lost >= 7 && lost <= 8); /* one of the five was in the reader's hand already */
	end();
}

/* A buffer that is half full gets no more: events wait in the rings, and those that are overwritten are counted. */
static void a_full_buffer_leaves_events_in_the_rings(void)
{
	begin();
	static char waiting[HAK_CONNECTION_BUFFER / 2];
	hak_connection_queue(&client, waiting, sizeof(waiting), 0);
	for (unsigned i = 0; i < 100; i++)
		record(HAK_EVENT_ID_drain, 1000 + i, 1, 1);
	hak_event_stream(&client, 1, &left);
	UNIT_EQUAL(hak_connection_pending(&client), sizeof(waiting));
	const char *text = stream(2);
	UNIT_EQUAL(count_of(text, "\"name\":\"drain\""), 64);
	UNIT_EQUAL(count_of(text, "\"lost\":36}\n"), 1);
	end();
}

/* What others of the round have had is not there for this one, which gets its part later. */
static void a_round_has_so_many_events(void)
{
	begin();
	for (unsigned i = 0; i < 25; i++)
		record(HAK_EVENT_ID_drain, 1000 + i, 1, 1);
	left = 10;
	UNIT_EQUAL(count_of(stream(1), "\"name\":\"drain\""), 10);
	UNIT_EQUAL(left, 0);
	UNIT_STRING(stream(2), "");
	left = 20;
	UNIT_EQUAL(count_of(stream(3), "\"name\":\"drain\""), 15);
	UNIT_EQUAL(left, 5);
	end();
}

UNIT_MAIN("event_stream", UNIT(only_the_events_that_are_wanted), UNIT(events_have_a_rate), UNIT(a_round_has_so_many_events),
	UNIT(a_full_buffer_leaves_events_in_the_rings))
