/* connection.h: one connection: the line that comes in, the bytes that wait to go out. Never blocks; one thread uses
 * it. */
#ifndef HAK_CONNECTION_H
#define HAK_CONNECTION_H

#include "introspect/json.h"
#include "introspect/memory.h"
#include "introspect/protocol.h"
#include "introspect/request.h"
#include "introspect/ring.h"

/* Bytes that may wait for a client before it counts as slow. A single longer message is queued too, when nothing else
 * waits. */
#define HAK_CONNECTION_BUFFER ((size_t)256 << 10)

/* What a client's buffer is mapped with: all that may wait, and a message of the usual kind more. */
#define HAK_CONNECTION_MAPPED (HAK_CONNECTION_BUFFER + ((size_t)32 << 10))

struct hak_connection {
	int fd; /* -1: this entry is free */
	char line[HAK_PROTOCOL_LINE_MAX];
	size_t line_at, line_length; /* in `line`, the bytes of requests that were received and not yet handled */
	struct hak_buffer out;
	size_t sent;         /* of out's first bytes */
	bool blocked;        /* the socket takes no more, until poll says that it does */
	bool end_of_input;   /* the client will send nothing more, but may still listen */
	bool closing;        /* the connection ends when everything has been sent */
	bool broken;         /* it has ended */
	uint64_t closed_us;   /* of an entry that is free, when it became so */
	uint64_t progress_us; /* when bytes were last taken, or the first one was queued */
	uint64_t asked_us;    /* when its last request was handled, or it began */
	/* What it has subscribed to. */
	bool snapshots, events;
	bool full;     /* no deltas */
	uint64_t base; /* seq of the snapshot that it knows, 0: it gets a whole one next */
	uint64_t interval_us;
	uint64_t due_us;              /* when the next messages are due */
	uint64_t dropped;             /* snapshots not queued and not yet told of */
	struct hak_ring_reader reader; /* open while `events` */
	struct hak_event_filter filter;
	uint64_t filtered;    /* events that it left out, not yet told of */
	uint64_t requests_us; /* requests may be handled until this is a second ahead of the clock; each moves it on */
};

/* How much ahead of the clock a client's requests may be, and what they count for: so a client gets 1,000 small answers
 * a second, or 90 of those that cost the program something: snapshots, drains, purges, settings. */
#define HAK_REQUEST_AHEAD_US 1000000
#define HAK_REQUEST_COST_US 1000
#define HAK_REQUEST_COSTLY_US 10000 /* more */

/* Begins with a connected, non-blocking socket, in an entry that is all zero or was closed: its memory serves again, as
 * each mapping that goes away interrupts the program's threads on all processors. */
void hak_connection_open(struct hak_connection *client, int fd, uint64_t now_us);

/* Closes the connection; hak_connection_release then gives the entry's memory back. */
void hak_connection_close(struct hak_connection *client);
void hak_connection_release(struct hak_connection *client);

/* Bytes that wait to be sent. */
size_t hak_connection_pending(const struct hak_connection *client);

/* Says whether a message of `length` bytes may be queued: nothing waits, or it fits the buffer. */
bool hak_connection_has_room(const struct hak_connection *client, size_t length);

/* Says whether the client's next request may be handled: its answer has room. */
bool hak_connection_may_request(const struct hak_connection *client);

/* Says whether it is subscribed to anything that it may still be sent. */
bool hak_connection_is_streaming(const struct hak_connection *client);

/* When its next request may be handled: not after `now`, or at the time returned. */
uint64_t hak_connection_request_us(const struct hak_connection *client);

/* Says whether a whole request has arrived. */
bool hak_connection_has_line(const struct hak_connection *client);

/* Receives what is there, as far as `line` has room. */
void hak_connection_receive(struct hak_connection *client);

/* Cuts the next request off, without its newline, zero-terminated, into `out`; *length is its length, as it may
 * hold zero bytes. Returns false if there is no whole line. A line that is too long sets *too_long instead, once; its
 * bytes are dropped. */
bool hak_connection_next_line(struct hak_connection *client, char out[HAK_PROTOCOL_LINE_MAX], size_t *length,
	bool *too_long);

/* Begins a message at the end of what waits; hak_connection_message_end queues it, newline added. Where memory is
 * refused the client is broken: a stream with a gap that nobody is told of would be worse. */
void hak_connection_message(struct hak_connection *client, struct hak_json *json);
void hak_connection_message_end(struct hak_connection *client, struct hak_json *json, uint64_t now_us);

/* Queues a ready message, its newline included. */
void hak_connection_queue(struct hak_connection *client, const char *bytes, size_t length, uint64_t now_us);

/* Sends what the socket takes, unless it is `blocked`, which this may set. Returns the bytes sent. */
size_t hak_connection_send(struct hak_connection *client, uint64_t now_us);

/* Says whether the connection is over: broken, or closing with everything sent, or without input and output for good.
 * */
bool hak_connection_is_over(const struct hak_connection *client);

#endif
