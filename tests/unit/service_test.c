/* What a client is answered and streamed, without a thread or a socket's file: over a socket pair, with a made-up
 * clock. */
#include "introspect/service.h"

#include <sys/socket.h>

#include "introspect/control.h"
#include "introspect/ring.h"
#include "lib/hakmem.h"
#include "lib/trace.h"
#include "tests/unit/unit.h"

static struct hak_service service;
static struct hak_connection *client;
static int peer;
static char got[8 << 20];
static unsigned descriptors; /* open before */

static void begin(void)
{
	int ends[2];
	descriptors = unit_descriptors();
	memset(&service, 0, sizeof(service));
	hak_service_init(&service);
	service.dump_pattern = "/nonexistent/%p";
	service.trace_bytes = 64 << 10;
	client = &service.clients[0];
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	hak_connection_open(client, ends[0], 0);
	peer = ends[1];
}

static void end(void)
{
	hak_service_free(&service);
	UNIT_EQUAL(unit_descriptors(), descriptors + 1); /* the peer */
	UNIT_EQUAL(hak_trace_groups(), 0);
	close(peer);
}

/* Sends what waits; returns all of it that has arrived, as a string. */
static const char *arrived(void)
{
	size_t length = 0;
	for (;;) {
		client->blocked = false; /* what poll would say after each read */
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
	hak_service_begin_round(&service, 0);
	client->requests_us = 0;
	hak_service_answer(&service, client, 0);
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
	CU_ASSERT_TRUE(starts(ask("drain"), "{\"type\":\"ok\",\"request\":\"drain\",\"threads\":"));
	CU_ASSERT_TRUE(starts(ask("purge"), "{\"type\":\"ok\",\"request\":\"purge\",\"bytes\":"));
	CU_ASSERT_TRUE(starts(ask("trim"), "{\"type\":\"ok\",\"request\":\"trim\",\"threads\":"));
	UNIT_STRING(ask("mark x"), "{\"type\":\"ok\",\"request\":\"mark\",\"recorded\":false}\n");
	UNIT_STRING(ask("resync"), "{\"type\":\"ok\",\"request\":\"resync\"}\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(ask("stats meshable=1"), "\"meshable\":{\"classes\":["));
	CU_ASSERT_PTR_NOT_NULL(strstr(ask("stats format=openmetrics"), "# EOF\\n\"}\n"));
	CU_ASSERT_TRUE(starts(ask("dump"), "{\"type\":\"error\",\"request\":\"dump\",\"code\":\"io\","));
	CU_ASSERT_TRUE(starts(ask("what"), "{\"type\":\"error\",\"request\":\"what\",\"code\":\"unknown_verb\","));
	UNIT_STRING(ask("unsubscribe"), "{\"type\":\"ok\",\"request\":\"unsubscribe\"}\n");
	CU_ASSERT_TRUE(starts(ask("snapshot"), "{\"type\":\"snapshot\","));
	UNIT_EQUAL(service.stats.requests, 14);
	UNIT_EQUAL(service.stats.errors, 2);
	UNIT_EQUAL(service.stats.snapshots, 3); /* meshable and openmetrics need one too */
	/* Several of one round share a snapshot; after a drain there is a new one. */
	UNIT_EQUAL(count_of(ask("snapshot\nsnapshot\ndrain\nsnapshot"), "\"type\":\"snapshot\""), 3);
	UNIT_EQUAL(service.stats.snapshots, 5);
	end();
}

static void snapshots_come_at_their_interval(void)
{
	begin();
	UNIT_STRING(ask("subscribe interval_ms=100"), "{\"type\":\"ok\",\"request\":\"subscribe\"}\n");
	uint64_t now = client->due_us;
	hak_service_stream(&service, client, now - 1);
	UNIT_STRING(arrived(), "");
	hak_service_begin_round(&service, 0);
	hak_service_stream(&service, client, now);
	UNIT_EQUAL(count_of(arrived(), "\"type\":\"snapshot\""), 1);
	UNIT_EQUAL(client->due_us, now + 100000);
	hak_service_stream(&service, client, now + 99999);
	UNIT_STRING(arrived(), "");
	/* Late by two and a half intervals: one snapshot, and the rhythm stays. */
	hak_service_begin_round(&service, 0);
	hak_service_stream(&service, client, now + 350000);
	UNIT_EQUAL(count_of(arrived(), "\"type\":\"delta\""), 1);
	UNIT_EQUAL(client->due_us, now + 400000);
	ask("unsubscribe");
	hak_service_stream(&service, client, now + 1000000);
	UNIT_STRING(arrived(), "");
	end();
}

static void a_slow_client_is_told(void)
{
	begin();
	ask("subscribe interval_ms=10 full=1");
	uint64_t now = client->due_us;
	/* Nobody reads: snapshots wait until there is no room, and from then on are dropped without being taken. */
	while (client->dropped == 0) {
		hak_service_begin_round(&service, 0);
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
	hak_service_begin_round(&service, 0);
	hak_service_stream(&service, client, now + 1);
	CU_ASSERT_TRUE(starts(arrived(), "{\"type\":\"dropped\",\"snapshots\":5}\n{\"type\":\"snapshot\","));
	UNIT_EQUAL(client->dropped, 0);
	end();
}

/* The number behind `key` in what arrived last, at its last occurrence. */
static unsigned long long number(const char *key)
{
	const char *found = NULL;
	for (const char *at = got; (at = strstr(at, key)); at++)
		found = at + strlen(key);
	return found ? strtoull(found, NULL, 10) : 0;
}

static const char *round_at(uint64_t now)
{
	hak_service_begin_round(&service, 0);
	hak_service_stream(&service, client, now);
	return arrived();
}

/* Each delta names the message before it, also where some had no room in between, and resync asks for a snapshot. */
static void deltas_name_their_base(void)
{
	begin();
	ask("subscribe interval_ms=10");
	uint64_t now = client->due_us;
	CU_ASSERT_TRUE(starts(round_at(now), "{\"type\":\"snapshot\","));
	unsigned long long base = number("\"seq\":");
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(starts(round_at(now += 10000), "{\"type\":\"delta\","));
		UNIT_EQUAL(number("\"base\":"), base);
		CU_ASSERT_TRUE(number("\"seq\":") > base);
		base = number("\"seq\":");
	}
	UNIT_EQUAL(service.stats.deltas, 3);
	while (client->dropped < 3) {
		hak_service_begin_round(&service, 0);
		hak_service_stream(&service, client, now += 10000);
		if (!client->dropped)
			base = client->base;
	}
	arrived();
	CU_ASSERT_TRUE(starts(round_at(now + 1), "{\"type\":\"dropped\",\"snapshots\":3}\n{\"type\":\"delta\","));
	UNIT_EQUAL(number("\"base\":"), base);
	UNIT_STRING(ask("resync"), "{\"type\":\"ok\",\"request\":\"resync\"}\n");
	CU_ASSERT_TRUE(starts(round_at(client->due_us), "{\"type\":\"snapshot\","));
	CU_ASSERT_TRUE(service.snapshot.following);
	ask("unsubscribe");
	CU_ASSERT_FALSE(service.snapshot.following);
	CU_ASSERT_TRUE(starts(ask("snapshot"), "{\"type\":\"snapshot\","));
	end();
}

static void requests_have_a_rate(void)
{
	begin();
	const char many[] = "ping\nping\nping\nsnapshot\nsnapshot\n";
	UNIT_EQUAL(write(peer, many, strlen(many)), strlen(many));
	hak_connection_receive(client);
	hak_service_begin_round(&service, 0);
	client->requests_us = 5000000 + HAK_REQUEST_AHEAD_US;
	hak_service_answer(&service, client, 4999999);
	UNIT_EQUAL(service.stats.requests, 0);
	hak_service_answer(&service, client, 5000000);
	UNIT_EQUAL(service.stats.requests, 1);
	UNIT_EQUAL(hak_connection_request_us(client), 5000000 + HAK_REQUEST_COST_US);
	hak_service_answer(&service, client, 5002000);
	UNIT_EQUAL(service.stats.requests, 3);
	hak_service_answer(&service, client, 5003000);
	UNIT_EQUAL(service.stats.requests, 4);
	UNIT_EQUAL(hak_connection_request_us(client), 5003000 + HAK_REQUEST_COST_US + HAK_REQUEST_COSTLY_US);
	arrived();
	/* Who has asked for nothing lately may ask for a second's worth at once. */
	hak_service_answer(&service, client, 60000000);
	UNIT_EQUAL(hak_connection_request_us(client),
		60000000 + HAK_REQUEST_COST_US + HAK_REQUEST_COSTLY_US - HAK_REQUEST_AHEAD_US);
	arrived();
	end();
}

/* Opens another connection, which has asked `text`; returns the peer's end. */
static int open_other(unsigned number, const char *text)
{
	int ends[2];
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	hak_connection_open(&service.clients[number], ends[0], 0);
	UNIT_EQUAL(write(ends[1], text, strlen(text)), strlen(text));
	hak_connection_receive(&service.clients[number]);
	return ends[1];
}

/* Clients that are ahead of the clock share a rate; whoever is not, never waits for them. */
static void requests_of_all_have_a_rate(void)
{
	static char many[2000 * 2 + 1];
	int peers[8];
	begin();
	for (unsigned i = 0; i < 2000; i++)
		memcpy(many + (size_t)2 * i, "x\n", 2);
	hak_service_begin_round(&service, 0);
	for (unsigned i = 1; i < 8; i++) {
		peers[i] = open_other(i, many);
		hak_service_answer(&service, &service.clients[i], 1);
	}
	/* A second's worth of each, as long as there is any: one part of four counts, and the first of each does not. */
	uint64_t one = HAK_REQUEST_AHEAD_US / HAK_REQUEST_COST_US + 1;
	UNIT_EQUAL(service.stats.requests, 4 * one + 1 + 3);
	CU_ASSERT_TRUE(hak_connection_request_us(&service.clients[7]) <= 1);
	CU_ASSERT_TRUE(hak_service_request_us(&service, &service.clients[7]) > 1);
	CU_ASSERT_TRUE(starts(ask("ping"), "{\"type\":\"pong\","));
	/* Time passes: they go on, one after another. */
	uint64_t before = service.stats.requests;
	hak_service_answer(&service, &service.clients[7], hak_service_request_us(&service, &service.clients[7]));
	UNIT_EQUAL(service.stats.requests, before + 1);
	for (unsigned i = 1; i < 8; i++) {
		hak_service_close(&service, &service.clients[i]);
		close(peers[i]);
	}
	end();
}

/* The one that was silent for the longest goes, and is told; not one that is subscribed, has asked, or still reads. */
static void the_idle_make_room(void)
{
	int peers[6];
	char text[256];
	begin();
	hak_service_begin_round(&service, 0);
	for (unsigned i = 1; i < 6; i++)
		peers[i] = open_other(i, i == 5 ? "ping\n" : i == 2 ? "subscribe\n" : "");
	uint64_t now = 5000000;
	client->asked_us = now;
	hak_service_answer(&service, &service.clients[2], 0);
	while (hak_connection_pending(&service.clients[2]))
		hak_connection_send(&service.clients[2], 0);
	hak_connection_queue(&service.clients[1], "x", 1, 0);
	service.clients[3].asked_us = now - HAK_SERVICE_IDLE_US - 1;
	service.clients[4].asked_us = now - HAK_SERVICE_IDLE_US;
	CU_ASSERT_PTR_EQUAL(hak_service_make_room(&service, now), &service.clients[3]);
	ssize_t length = read(peers[3], text, sizeof(text) - 1);
	CU_ASSERT_TRUE_FATAL(length > 0);
	text[length] = 0;
	CU_ASSERT_TRUE(starts(text, "{\"type\":\"error\",\"request\":\"\",\"code\":\"busy\","));
	UNIT_EQUAL(read(peers[3], text, sizeof(text)), 0);
	UNIT_EQUAL(service.clients[3].fd, -1);
	CU_ASSERT_PTR_EQUAL(hak_service_make_room(&service, now), &service.clients[4]);
	CU_ASSERT_PTR_NULL(hak_service_make_room(&service, now));
	for (unsigned i = 1; i < 6; i++) {
		if (service.clients[i].fd >= 0)
			hak_service_close(&service, &service.clients[i]);
		close(peers[i]);
	}
	end();
}

/* Connections that come and go, and subscriptions in one that stays, map nothing after the first: each mapping that goes
 * interrupts the program's threads. What they had goes a second after the last of them. */
static void connections_use_memory_again(void)
{
	uint64_t before = hak_memory_mapped(), mapped = 0;
	begin();
	for (int i = 0; i < 20; i++) {
		int ends[2];
		ask("snapshot\nsnapshot\nsubscribe what=events\nsubscribe what=events");
		ask("stats format=openmetrics\nsubscribe what=snapshot,events");
		hak_service_close(&service, client);
		close(peer);
		if (i == 0)
			mapped = hak_memory_mapped();
		UNIT_EQUAL(hak_memory_mapped(), mapped);
		CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		hak_connection_open(client, ends[0], 0);
		peer = ends[1];
	}
	hak_service_close(&service, client);
	hak_service_tidy(&service, client->closed_us + 1000000);
	UNIT_EQUAL(hak_memory_mapped(), mapped);
	hak_service_tidy(&service, client->closed_us + 1000001);
	CU_ASSERT_TRUE(hak_memory_mapped() <= mapped - HAK_CONNECTION_MAPPED);
	client->fd = -1;
	end();
	CU_ASSERT_TRUE(hak_memory_mapped() <= before + (1 << 20)); /* the rings stay */
}

/* What costs the program something counts for more. */
static void some_requests_count_for_more(void)
{
	static const char *const costly[] = {"snapshot", "subscribe", "unsubscribe\nresync", "dump", "drain", "purge", "trim",
		"set debug=none", "stats meshable=1", "stats format=openmetrics", "guarded address=0x10", "check"};
	static const char *const cheap[] = {"ping", "stats", "schema", "set", "mark x", "unsubscribe", "nonsense", "dump x"};
	begin();
	for (size_t i = 0; i < HAK_COUNT_OF(costly); i++) {
		ask(costly[i]);
		CU_ASSERT_TRUE(client->requests_us >= HAK_REQUEST_COST_US + HAK_REQUEST_COSTLY_US);
	}
	for (size_t i = 0; i < HAK_COUNT_OF(cheap); i++) {
		ask(cheap[i]);
		UNIT_EQUAL(client->requests_us, HAK_REQUEST_COST_US);
	}
	end();
}

/* Of what isn't guarded there is nothing to tell. */
static void guarded_blocks(void)
{
	begin();
	ask("guarded address=0x10000 bytes=65536");
	CU_ASSERT_TRUE(strncmp(got, "{\"type\":\"guarded\",\"time_us\":", 28) == 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(got, ",\"guard\":{\"level\":\"off\","));
	CU_ASSERT_PTR_NOT_NULL(strstr(got, ",\"blocks\":[],\"modules\":[{\"path\":\""));
	ask("guarded bytes=16");
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "\"code\":\"bad_argument\",\"message\":\"address says where to look\""));
	end();
}

static void settings_are_told_and_revert(void)
{
	begin();
	hak_free(hak_malloc(1)); /* what is guarded is known when the heap works */
	hak_control_begin(0);
	ask("set drain_interval=100 purge_delay_ms=1000 guard_rate=7");
	UNIT_STRING(got, "{\"type\":\"ok\",\"request\":\"set\",\"settings\":{\"trace\":[],\"debug\":[],"
		"\"drain_interval\":100,\"purge_delay_ms\":1000,\"prof_rate\":0,\"guard\":\"off\",\"guard_rate\":7,\"guard_class\":null,"
		"\"guard_site\":null},\"reverts_ms\":{}}\n");
	ask("set trace=lru,drain drain_interval=200 for_ms=5000");
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "\"trace\":[\"lru\",\"drain\"],"));
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "\"reverts_ms\":{\"trace\":5000,\"drain_interval\":5000}}"));
	UNIT_EQUAL(hak_trace_groups(), HAK_GROUP_LRU | HAK_GROUP_DRAIN);
	hak_service_begin_round(&service, hak_control_due());
	UNIT_EQUAL(hak_trace_groups(), 0);
	ask("set");
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "\"trace\":[],\"debug\":[],\"drain_interval\":100,"));
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
	UNIT_EQUAL(count_of(got, "],\"filtered\":0,\"lost\":0}\n"), 1);
	/* A ring has 64 records: of 100 events 36 are lost, and this is said once. */
	record(2000, 100);
	hak_service_stream(&service, client, now += 10000);
	arrived();
	UNIT_EQUAL(count_of(got, "\"name\":\"drain\""), 64);
	UNIT_EQUAL(count_of(got, "],\"filtered\":0,\"lost\":36}\n"), 1);
	record(3000, 1);
	hak_service_stream(&service, client, now + 10000);
	UNIT_EQUAL(count_of(arrived(), "],\"filtered\":0,\"lost\":0}\n"), 1);
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
	UNIT(deltas_name_their_base), UNIT(requests_have_a_rate), UNIT(some_requests_count_for_more),
	UNIT(connections_use_memory_again), UNIT(guarded_blocks), UNIT(settings_are_told_and_revert),
	UNIT(requests_of_all_have_a_rate), UNIT(the_idle_make_room),
	UNIT(events_are_streamed_and_losses_counted), UNIT(a_line_too_long_ends_it))
