/* One connection over a socket pair: lines that come in pieces, bytes that nobody takes. */
#include "introspect/connection.h"

#include <sys/socket.h>

#include "tests/unit/unit.h"

static struct hak_connection connection;

static unsigned descriptors; /* open before */

/* Opens the connection; returns the peer's end. */
static int begin(void)
{
	int ends[2];
	descriptors = unit_descriptors();
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	hak_connection_open(&connection, ends[0], 1000);
	return ends[1];
}

static void end(int peer)
{
	hak_connection_close(&connection);
	hak_connection_release(&connection);
	UNIT_EQUAL(connection.fd, -1);
	UNIT_EQUAL(unit_descriptors(), descriptors + (peer >= 0));
	if (peer >= 0)
		close(peer);
}

static void put(int peer, const char *text)
{
	UNIT_EQUAL(write(peer, text, strlen(text)), strlen(text));
	hak_connection_receive(&connection);
}

static void lines_in_pieces(void)
{
	char line[HAK_PROTOCOL_LINE_MAX];
	size_t length;
	bool too_long;
	int peer = begin();
	hak_connection_receive(&connection); /* nothing is there: neither an end nor a wait */
	CU_ASSERT_FALSE(hak_connection_is_over(&connection));
	put(peer, "pi");
	CU_ASSERT_FALSE(hak_connection_next_line(&connection, line, &length, &too_long));
	put(peer, "ng\r\n\nlast");
	CU_ASSERT_TRUE(hak_connection_has_line(&connection));
	CU_ASSERT_TRUE(hak_connection_next_line(&connection, line, &length, &too_long));
	UNIT_STRING(line, "ping");
	UNIT_EQUAL(length, 4);
	CU_ASSERT_TRUE(hak_connection_next_line(&connection, line, &length, &too_long));
	UNIT_STRING(line, "");
	CU_ASSERT_FALSE(hak_connection_next_line(&connection, line, &length, &too_long));
	put(peer, "\n");
	shutdown(peer, SHUT_WR);
	hak_connection_receive(&connection);
	CU_ASSERT_TRUE(connection.end_of_input);
	CU_ASSERT_FALSE(hak_connection_is_over(&connection)); /* a request still waits */
	CU_ASSERT_TRUE(hak_connection_next_line(&connection, line, &length, &too_long));
	UNIT_STRING(line, "last");
	CU_ASSERT_TRUE(hak_connection_is_over(&connection));
	end(peer);
}

static void longest_line(void)
{
	char line[HAK_PROTOCOL_LINE_MAX], text[HAK_PROTOCOL_LINE_MAX + 1];
	size_t length;
	bool too_long;
	int peer = begin();
	memset(text, 'x', sizeof(text));
	text[HAK_PROTOCOL_LINE_MAX - 1] = '\n';
	text[HAK_PROTOCOL_LINE_MAX] = 0;
	put(peer, text);
	CU_ASSERT_TRUE(hak_connection_next_line(&connection, line, &length, &too_long));
	UNIT_EQUAL(strlen(line), HAK_PROTOCOL_LINE_MAX - 1);
	UNIT_EQUAL(length, HAK_PROTOCOL_LINE_MAX - 1);
	text[HAK_PROTOCOL_LINE_MAX - 1] = 'x';
	put(peer, text);
	CU_ASSERT_FALSE(hak_connection_next_line(&connection, line, &length, &too_long));
	CU_ASSERT_TRUE(too_long);
	CU_ASSERT_FALSE(hak_connection_next_line(&connection, line, &length, &too_long));
	CU_ASSERT_FALSE(too_long);
	end(peer);
}

static void full_buffer(void)
{
	static char message[100000];
	static char got[1 << 20];
	int peer = begin();
	size_t queued = 0, taken = 0, sent = 0;
	memset(message, 'm', sizeof(message));
	CU_ASSERT_TRUE(hak_connection_has_room(&connection, 1 << 30)); /* nothing waits: any length is allowed once */
	while (hak_connection_has_room(&connection, sizeof(message))) {
		hak_connection_queue(&connection, message, sizeof(message), 2000);
		queued += sizeof(message);
	}
	UNIT_EQUAL(queued, 200000);
	UNIT_EQUAL(connection.progress_us, 2000);
	/* The socket's own buffer takes some, then progress stops. */
	do {
		size_t step = hak_connection_send(&connection, 3000);
		sent += step;
		while (hak_connection_has_room(&connection, sizeof(message))) {
			hak_connection_queue(&connection, message, sizeof(message), 4000);
			queued += sizeof(message);
		}
		if (step == 0)
			break;
	} while (true);
	CU_ASSERT_TRUE(hak_connection_pending(&connection) > HAK_CONNECTION_BUFFER - sizeof(message));
	hak_connection_send(&connection, 5000);
	CU_ASSERT_TRUE(connection.progress_us < 5000);
	CU_ASSERT_TRUE(connection.blocked);
	/* The peer reads; but nothing is tried until poll has said that there is room. */
	ssize_t first = read(peer, got, sizeof(got));
	CU_ASSERT_TRUE_FATAL(first > 0);
	taken += (size_t)first;
	UNIT_EQUAL(hak_connection_send(&connection, 5000), 0);
	connection.blocked = false;
	/* Then everything arrives. */
	while (taken < queued) {
		sent += hak_connection_send(&connection, 6000);
		connection.blocked = false;
		ssize_t step = read(peer, got, sizeof(got));
		CU_ASSERT_TRUE_FATAL(step > 0);
		taken += (size_t)step;
		sent += hak_connection_send(&connection, 6000);
	}
	UNIT_EQUAL(taken, queued);
	UNIT_EQUAL(sent, queued);
	UNIT_EQUAL(connection.progress_us, 6000);
	UNIT_EQUAL(hak_connection_pending(&connection), 0);
	CU_ASSERT_TRUE(connection.out.capacity <= HAK_CONNECTION_MAPPED);
	end(peer);
}

static void messages(void)
{
	struct hak_json json;
	char got[64];
	int peer = begin();
	hak_connection_message(&connection, &json);
	hak_json_string(&json, "one");
	hak_connection_message_end(&connection, &json, 7000);
	hak_connection_message(&connection, &json);
	hak_json_u64(&json, 2);
	hak_connection_message_end(&connection, &json, 8000);
	UNIT_EQUAL(connection.progress_us, 7000);
	UNIT_EQUAL(hak_connection_send(&connection, 9000), 8);
	UNIT_EQUAL(read(peer, got, sizeof(got)), 8);
	CU_ASSERT_TRUE(memcmp(got, "\"one\"\n2\n", 8) == 0);
	/* A message that can't be made ends the connection, rather than leaving a gap. */
	hak_connection_message(&connection, &json);
	hak_json_end(&json);
	hak_connection_message_end(&connection, &json, 9000);
	CU_ASSERT_TRUE(connection.broken);
	CU_ASSERT_TRUE(hak_connection_is_over(&connection));
	end(peer);
}

static void the_peer_vanishes(void)
{
	int peer = begin();
	hak_connection_queue(&connection, "text", 4, 1000);
	connection.closing = true;
	CU_ASSERT_FALSE(hak_connection_is_over(&connection)); /* first what waits */
	CU_ASSERT_FALSE(hak_connection_may_request(&connection));
	close(peer);
	UNIT_EQUAL(hak_connection_send(&connection, 2000), 0); /* without SIGPIPE */
	CU_ASSERT_TRUE(connection.broken);
	CU_ASSERT_TRUE(hak_connection_is_over(&connection));
	end(-1);
}

UNIT_MAIN("connection", UNIT(lines_in_pieces), UNIT(longest_line), UNIT(full_buffer), UNIT(messages),
	UNIT(the_peer_vanishes))
