#include "introspect/event_stream.h"

#include <string.h>

#include "introspect/encode.h"
#include "lib/trace.h"

#define EVENTS_A_MESSAGE 512

/* Whether a subscriber wants to see an event. Marks are of no class. */
static bool passes(const struct hak_event_filter *filter, const struct hak_event *event)
{
	const struct hak_event_type *type;

	if (event->id >= HAK_EVENT_ID_COUNT)
		return false;
	type = &hak_event_types[event->id];
	if (!(filter->groups & type->group))
		return false;
	for (unsigned i = 0; filter->threads; i++) {
		if (i == filter->threads)
			return false;
		if (filter->tids[i] == event->tid)
			break;
	}
	if (!filter->classes || type->group == HAK_GROUP_MARK)
		return true;
	for (unsigned i = 0; i < type->args; i++) {
		if (strcmp(type->arg[i], "class") == 0)
			return event->arg[i] < HAK_CLASS_COUNT && (filter->classes >> event->arg[i] & 1);
	}
	return false;
}

/* The round's next event that the client wants. */
static bool next_event(struct hak_connection *client, struct hak_event *event)
{
	while (hak_ring_reader_next(&client->reader, event)) {
		if (passes(&client->filter, event))
			return true;
		client->filtered++;
	}
	return false;
}

/* Queues one message of events, at most `limit` of the reader's round, unless nothing happened. Returns how many. */
static unsigned stream_event_message(struct hak_connection *client, unsigned limit, uint64_t now)
{
	struct hak_ring_reader *reader = &client->reader;
	struct hak_event event;
	struct hak_json json;
	unsigned count = 0;
	bool got = next_event(client, &event);

	if (!got && reader->lost == 0)
		return 0;
	hak_connection_message(client, &json);
	hak_json_object(&json);
	hak_json_member_string(&json, "type", HAK_TYPE_EVENTS);
	hak_json_member_u64(&json, "time_us", now);
	hak_json_key(&json, "events");
	hak_json_array(&json);
	while (got) {
		hak_encode_event(&json, &event);
		got = ++count < limit && next_event(client, &event);
	}
	hak_json_end(&json);
	/* Last, as reading the events is what finds out. */
	hak_json_member_u64(&json, "filtered", client->filtered);
	hak_json_member_u64(&json, "lost", reader->lost);
	hak_json_end(&json);
	hak_connection_message_end(client, &json, now);
	reader->lost = client->filtered = 0;
	return count;
}

/* How many events the client's rate allows an interval, at least one. */
static uint64_t events_an_interval(const struct hak_connection *client)
{
	uint64_t events = client->filter.rate * (client->interval_us / 1000) / 1000;

	return !client->filter.rate ? UINT64_MAX : events ? events : 1;
}

void hak_event_stream(struct hak_connection *client, uint64_t now, uint64_t *left)
{
	bool more = hak_ring_reader_begin(&client->reader) > 0;
	uint64_t allowed = events_an_interval(client);

	/* What has no room, or is more than is allowed, stays in the rings; should it be overwritten there, it is
	 * counted as lost. */
	while (more && allowed && *left && !client->broken && hak_connection_pending(client) < HAK_CONNECTION_BUFFER / 2) {
		uint64_t most = allowed < *left ? allowed : *left;
		unsigned limit = most < EVENTS_A_MESSAGE ? (unsigned)most : EVENTS_A_MESSAGE;
		unsigned count = stream_event_message(client, limit, now);

		allowed -= count;
		*left -= count;
		more = count == limit;
	}
}
