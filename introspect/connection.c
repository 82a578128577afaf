#include "introspect/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void hak_connection_open(struct hak_connection *client, int fd, uint64_t now_us)
{
	/* Member by member: the line's 4 KiB need no clearing. */
	client->fd = fd;
	client->line_at = client->line_length = 0;
	client->out.length = client->sent = 0;
	client->blocked = client->end_of_input = client->closing = client->broken = false;
	client->progress_us = client->asked_us = now_us;
	client->snapshots = client->events = client->full = false;
	client->interval_us = client->due_us = client->dropped = 0;
	client->base = client->filtered = client->requests_us = 0;
	client->filter = (struct hak_event_filter){0};
}

void hak_connection_close(struct hak_connection *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	client->out.length = client->sent = 0;
	client->snapshots = client->events = false;
}

void hak_connection_release(struct hak_connection *client)
{
	hak_buffer_free(&client->out);
	hak_ring_reader_close(&client->reader);
}

size_t hak_connection_pending(const struct hak_connection *client)
{
	return client->out.length - client->sent;
}

bool hak_connection_has_room(const struct hak_connection *client, size_t length)
{
	size_t pending = hak_connection_pending(client);

	return pending == 0 || pending + length <= HAK_CONNECTION_BUFFER;
}

bool hak_connection_may_request(const struct hak_connection *client)
{
	return !client->closing && !client->broken && hak_connection_pending(client) < HAK_CONNECTION_BUFFER;
}

bool hak_connection_is_streaming(const struct hak_connection *client)
{
	return (client->snapshots || client->events) && !client->closing && !client->broken;
}

uint64_t hak_connection_request_us(const struct hak_connection *client)
{
	return client->requests_us > HAK_REQUEST_AHEAD_US ? client->requests_us - HAK_REQUEST_AHEAD_US : 0;
}

bool hak_connection_has_line(const struct hak_connection *client)
{
	return memchr(client->line + client->line_at, '\n', client->line_length) != NULL;
}

void hak_connection_receive(struct hak_connection *client)
{
	size_t room = sizeof(client->line) - client->line_length;
	ssize_t got;

	if (room == 0 || client->end_of_input)
		return;
	if (client->line_at)
		memmove(client->line, client->line + client->line_at, client->line_length);
	client->line_at = 0;
	got = recv(client->fd, client->line + client->line_length, room, MSG_DONTWAIT);
	if (got > 0)
		client->line_length += (size_t)got;
	else if (got == 0)
		client->end_of_input = true;
	else if (errno != EAGAIN && errno != EINTR)
		client->broken = true;
}

bool hak_connection_next_line(struct hak_connection *client, char out[HAK_PROTOCOL_LINE_MAX], size_t *length,
	bool *too_long)
{
	const char *line = client->line + client->line_at;
	const char *newline = memchr(line, '\n', client->line_length);
	size_t used;

	*too_long = false;
	if (!newline) {
		*too_long = client->line_length == sizeof(client->line);
		if (*too_long)
			client->line_length = 0;
		return false;
	}
	used = (size_t)(newline - line);
	memcpy(out, line, used);
	*length = used > 0 && out[used - 1] == '\r' ? used - 1 : used;
	out[*length] = 0;
	client->line_at += used + 1;
	client->line_length -= used + 1;
	return true;
}

/* Drops the bytes that are sent from the buffer's front, when that moves no more than it frees. */
static void compact(struct hak_connection *client)
{
	if (client->sent && client->sent >= hak_connection_pending(client)) {
		hak_buffer_consume(&client->out, client->sent);
		client->sent = 0;
	}
}

/* Makes room for all that normally waits, at once: a buffer that grows is moved, and what that costs falls on the
 * program's threads too. Where so much is refused it begins with less. */
static void prepare(struct hak_connection *client)
{
	compact(client);
	if (!client->out.data)
		(void)hak_buffer_reserve(&client->out, HAK_CONNECTION_MAPPED);
}

void hak_connection_message(struct hak_connection *client, struct hak_json *json)
{
	prepare(client);
	hak_json_to_buffer(json, &client->out);
}

void hak_connection_message_end(struct hak_connection *client, struct hak_json *json, uint64_t now_us)
{
	bool was_empty = hak_connection_pending(client) == 0;

	hak_json_newline(json);
	if (!hak_json_finish(json))
		client->broken = true;
	if (was_empty)
		client->progress_us = now_us;
}

void hak_connection_queue(struct hak_connection *client, const char *bytes, size_t length, uint64_t now_us)
{
	prepare(client);
	if (hak_connection_pending(client) == 0)
		client->progress_us = now_us;
	if (!hak_buffer_append(&client->out, bytes, length))
		client->broken = true;
}

size_t hak_connection_send(struct hak_connection *client, uint64_t now_us)
{
	size_t total = 0;

	while (!client->broken && !client->blocked && hak_connection_pending(client)) {
		ssize_t got = send(client->fd, client->out.data + client->sent, hak_connection_pending(client),
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		client->blocked = got < 0 && errno == EAGAIN;
		if (got < 0 && errno != EAGAIN && errno != ENOBUFS)
			client->broken = true;
		if (got <= 0)
			break;
		client->sent += (size_t)got;
		client->progress_us = now_us;
		total += (size_t)got;
	}
	if (hak_connection_pending(client) == 0) {
		client->out.length = client->sent = 0;
		/* A buffer that a big message has grown is not kept for every client that once asked. */
		if (client->out.capacity > HAK_CONNECTION_MAPPED)
			hak_buffer_trim(&client->out, HAK_CONNECTION_MAPPED);
	}
	return total;
}

bool hak_connection_is_over(const struct hak_connection *client)
{
	if (client->broken)
		return true;
	if (hak_connection_pending(client))
		return false;
	if (client->closing)
		return true;
	return client->end_of_input && !hak_connection_has_line(client) && !client->snapshots && !client->events;
}
