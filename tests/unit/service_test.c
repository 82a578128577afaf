/* What a client is answered and streamed, without a thread or a socket's file: over a socket pair, with a made-up
 * clock. */
#include "introspect/service.h"

#include <sys/socket.h>

#include "introspect/descriptor.h"
#include "introspect/ring.h"
#include "lib/trace.h"
#include "tests/unit/unit.h"

static struct hak_service service;
static struct hak_connection *client;
static int peer;
static char got[8 << 20];

static void begin(void)
{
	int ends[2];
	memset(&service, 0, sizeof(service));
	hak_service_init(&service);
	service.dump_pattern = "/nonexistent/%p";
	service.trace_bytes = 64 << 10;
	client = &service.clients[0];
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	hak_fd_lock();
	int fd = hak_fd_adopt(ends[0]);
	hak_fd_unlock();
	hak_connection_open(client, fd, 0);
	peer = ends[1];
}

static void end(void)
{
	hak_service_free(&service);
	UNIT_EQUAL(hak_fd_count(), 0);
	UNIT_EQUAL(hak_trace_groups(), 0);
	close(peer);
}

/* Sends what waits; returns all of it that has arrived, as a string. */
static const char *arrived(void)
{
	size_t length = 0;
	for (;;) {
		hak_connection_send(client, 1);
		ssize_t step = recv(peer, got + length, sizeof(got) - 1 - length, MSG_DONTWAIT);
		if (step <= 0)
			break;
		length += (size_t)step;
	}
	got[length] = 0;
	return got;
}

static const char *ask(const char *line)
{
	UNIT_EQUAL(write(peer, line, strlen(line)), strlen(line));
	UNIT_EQUAL(write(peer, "\n", 1), 1);
	hak_connection_receive(client);
	service.document_ready = false;
	hak_service_answer(&service, client);
	return arrived();
}

static unsigned count_of(const char *text, const char *what)
{
	unsigned count = 0;
	for (const char *at = text; (at = strstr(at, what)); at++)
		count++;
	return count;
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static void answers(void)
{
	begin();
	hak_service_greet(&service, client);
	CU_ASSERT_TRUE(starts(arrived(), "{\"type\":\"hello\",\"protocol\":1,"));
	CU_ASSERT_TRUE(starts(ask("ping"), "{\"type\":\"pong\","));
	CU_ASSERT_TRUE(starts(ask("stats"), "{\"type\":\"stats\","));
	CU_ASSERT_TRUE(starts(ask("schema"), "{\"type\":\"schema\",\"schema\":{\"$schema\":"));
	UNIT_STRING(ask("drain"), "{\"type\":\"ok\",\"request\":\"drain\"}\n");
	CU_ASSERT_TRUE(starts(ask("purge"), "{\"type\":\"ok\",\"request\":\"purge\",\"bytes\":"));
	CU_ASSERT_TRUE(starts(ask("dump"), "{\"type\":\"error\",\"request\":\"dump\",\"code\":\"io\","));
	CU_ASSERT_TRUE(starts(ask("what"), "{\"type\":\"error\",\"request\":\"what\",\"code\":\"unknown_verb\","));
	UNIT_STRING(ask("unsubscribe"), "{\"type\":\"ok\",\"request\":\"unsubscribe\"}\n");
	CU_ASSERT_TRUE(starts(ask("snapshot"), "{\"type\":\"snapshot\","));
	UNIT_EQUAL(service.stats.requests, 9);
	UNIT_EQUAL(service.stats.errors, 2);
	UNIT_EQUAL(service.stats.snapshots, 1);
	/* Several of one round share a snapshot; after a drain there is a new one. */
	UNIT_EQUAL(count_of(ask("snapshot\nsnapshot\ndrain\nsnapshot"), "\"type\":\"snapshot\""), 3);
	UNIT_EQUAL(service.stats.snapshots, 3);
	end();
}

static void snapshots_come_at_their_interval(void)
{
	begin();
	UNIT_STRING(ask("subscribe interval_ms=100"), "{\"type\":\"ok\",\"request\":\"subscribe\"}\n");
	uint64_t now = client->due_us;
	hak_service_stream(&service, client, now - 1);
	UNIT_STRING(arrived(), "");
	hak_service_stream(&service, client, now);
	UNIT_EQUAL(count_of(arrived(), "\"type\":\"snapshot\""), 1);
	UNIT_EQUAL(client->due_us, now + 100000);
	hak_service_stream(&service, client, now + 99999);
	UNIT_STRING(arrived(), "");
	/* Late by two and a half intervals: one snapshot, and the rhythm stays. */
	hak_service_stream(&service, client, now + 350000);
	UNIT_EQUAL(count_of(arrived(), "\"type\":\"snapshot\""), 1);
	UNIT_EQUAL(client->due_us, now + 400000);
	ask("unsubscribe");
	hak_service_stream(&service, client, now + 1000000);
	UNIT_STRING(arrived(), "");
	end();
}

static void a_slow_client_is_told(void)
{
	begin();
	ask("subscribe interval_ms=10");
	uint64_t now = client->due_us;
	/* Nobody reads: snapshots wait until there is no room, and from then on are dropped without being taken. */
	while (client->dropped == 0) {
		service.document_ready = false;
		hak_service_stream(&service, client, now += 10000);
	}
	uint64_t taken = service.stats.snapshots;
	for (int i = 0; i < 4; i++)
		hak_service_stream(&service, client, now += 10000);
	UNIT_EQUAL(client->dropped, 5);
	UNIT_EQUAL(service.stats.dropped_snapshots, 5);
	UNIT_EQUAL(service.stats.snapshots, taken);
	CU_ASSERT_FALSE(hak_connection_may_request(client) && hak_connection_pending(client) >= HAK_CONNECTION_BUFFER);
	arrived();
	/* As soon as it has read, and before the next one is due: how many, and a fresh one. */
	service.document_ready = false;
	hak_service_stream(&service, client, now + 1);
	CU_ASSERT_TRUE(starts(arrived(), "{\"type\":\"dropped\",\"snapshots\":5}\n{\"type\":\"snapshot\","));
	UNIT_EQUAL(client->dropped, 0);
	end();
}

static void record(unsigned from, unsigned count)
{
	for (unsigned i = from; i < from + count; i++) {
		struct hak_event event = {
			.time_ns = (uint64_t)i * 1000, .tid = 1, .id = HAK_EVENT_ID_drain, .arg = {1, 2, 3}};
		hak_ring_record(&event);
	}
}

static void events_are_streamed_and_losses_counted(void)
{
	begin();
	UNIT_EQUAL(hak_trace_groups(), 0);
	UNIT_STRING(ask("subscribe what=events interval_ms=10"), "{\"type\":\"ok\",\"request\":\"subscribe\"}\n");
	UNIT_EQUAL(hak_trace_groups(), HAK_GROUP_ALL);
	hak_trace_set_groups(0); /* only the events of this test */
	uint64_t now = client->due_us;
	hak_service_stream(&service, client, now);
	UNIT_STRING(arrived(), ""); /* nothing happened: no message */
	record(1000, 3);
	hak_service_stream(&service, client, now += 10000);
	CU_ASSERT_TRUE(starts(arrived(), "{\"type\":\"events\",\"time_us\":"));
	UNIT_EQUAL(count_of(got, "\"name\":\"drain\""), 3);
	UNIT_EQUAL(count_of(got, "],\"lost\":0}\n"), 1);
	/* A ring has 64 records: of 100 events 36 are lost, and this is said once. */
	record(2000, 100);
	hak_service_stream(&service, client, now += 10000);
	arrived();
	UNIT_EQUAL(count_of(got, "\"name\":\"drain\""), 64);
	UNIT_EQUAL(count_of(got, "],\"lost\":36}\n"), 1);
	record(3000, 1);
	hak_service_stream(&service, client, now += 10000);
	UNIT_EQUAL(count_of(arrived(), "],\"lost\":0}\n"), 1);
	UNIT_EQUAL(count_of(got, "\"type\":\"events\""), 1);
	hak_service_close(&service, client);
	UNIT_EQUAL(hak_trace_groups(), 0);
	end();
}

static void a_line_too_long_ends_it(void)
{
	char line[HAK_PROTOCOL_LINE_MAX + 1];
	begin();
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = 0;
	CU_ASSERT_TRUE(starts(ask(line), "{\"type\":\"error\",\"request\":\"\",\"code\":\"line_too_long\","));
	CU_ASSERT_TRUE(hak_connection_is_over(client));
	end();
}

UNIT_MAIN("service", UNIT(answers), UNIT(snapshots_come_at_their_interval), UNIT(a_slow_client_is_told),
	UNIT(events_are_streamed_and_losses_counted), UNIT(a_line_too_long_ends_it))
