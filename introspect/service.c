/* service.c: the verbs. Requests of one round that want a snapshot share one, taken after all of them had arrived, so
 * that many clients cost the pool's lock no more than one does. No lock is held while anything is encoded or written.
 * */
#include "introspect/service.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "introspect/dump.h"
#include "introspect/request.h"
#include "introspect/schema.h"
#include "lib/inspect.h"
#include "lib/trace.h"

#define EVENTS_A_MESSAGE 512

/* Takes and encodes this round's snapshot, unless that is done. Returns false if memory is refused. */
static bool prepare_document(struct hak_service *service)
{
	struct hak_json json;

	if (service->document_ready)
		return true;
	if (!hak_snapshot_take(&service->snapshot))
		return false;
	service->stats.snapshots++;
	service->document.length = 0;
	hak_json_to_buffer(&json, &service->document);
	hak_encode_snapshot(&json, &service->snapshot);
	hak_json_newline(&json);
	service->document_ready = hak_json_finish(&json);
	return service->document_ready;
}

static void reply_error(struct hak_service *service, struct hak_connection *client, const char *line,
	enum hak_protocol_error code, const char *message)
{
	struct hak_json json;

	service->stats.errors++;
	hak_connection_message(client, &json);
	hak_encode_error(&json, line, code, message);
	hak_connection_message_end(client, &json, hak_snapshot_now_us());
}

static void reply_ok(struct hak_connection *client, enum hak_protocol_verb verb, uint64_t bytes)
{
	struct hak_json json;

	hak_connection_message(client, &json);
	hak_encode_ok(&json, verb, bytes);
	hak_connection_message_end(client, &json, hak_snapshot_now_us());
}

static void reply_snapshot(struct hak_service *service, struct hak_connection *client, const char *line)
{
	if (prepare_document(service))
		hak_connection_queue(client, service->document.data, service->document.length, hak_snapshot_now_us());
	else
		reply_error(service, client, line, HAK_ERROR_no_memory, "no memory for the snapshot");
}

static void reply_dump(struct hak_service *service, struct hak_connection *client, const struct hak_request *request,
	const char *line)
{
	char path[HAK_DUMP_PATH_MAX], exe[HAK_PROC_TEXT_MAX];
	struct hak_json json;
	uint64_t bytes;
	int result = -ENAMETOOLONG;
	bool fits;

	hak_proc_exe(exe, sizeof(exe));
	if (request->path)
		fits = hak_dump_resolve(request->path, path, sizeof(path));
	else
		fits = hak_dump_expand(service->dump_pattern, exe, getpid(), path, sizeof(path));
	if (fits)
		result = hak_dump_write(path, "request", &bytes);
	if (result < 0) {
		reply_error(service, client, line, HAK_ERROR_io, strerrordesc_np(-result));
		return;
	}
	hak_connection_message(client, &json);
	hak_encode_dump_written(&json, path, bytes);
	hak_connection_message_end(client, &json, hak_snapshot_now_us());
}

/* Switches the tracepoints on while anybody listens, and back to the settings' choice afterwards. */
static void update_groups(const struct hak_service *service)
{
	uint32_t groups = service->trace_groups;

	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		if (service->clients[i].fd >= 0 && service->clients[i].events)
			groups = HAK_GROUP_ALL;
	}
	hak_trace_set_groups(groups);
}

static void unsubscribe(struct hak_service *service, struct hak_connection *client)
{
	bool had_events = client->events;

	client->snapshots = client->events = false;
	client->dropped = 0;
	hak_ring_reader_close(&client->reader);
	if (had_events)
		update_groups(service);
}

static void subscribe(struct hak_service *service, struct hak_connection *client, const struct hak_request *request,
	const char *line)
{
	unsubscribe(service, client);
	if (request->events) {
		client->events = hak_ring_start(service->trace_bytes) && hak_ring_reader_open(&client->reader, false);
		if (!client->events) {
			reply_error(service, client, line, HAK_ERROR_no_memory, "no memory for events");
			return;
		}
	}
	client->snapshots = request->snapshots;
	client->interval_us = request->interval_ms * 1000;
	client->due_us = hak_snapshot_now_us();
	if (client->events)
		update_groups(service);
	reply_ok(client, HAK_VERB_subscribe, 0);
}

/* Verbs whose answer is a document of their own. */
static void reply_document(struct hak_service *service, struct hak_connection *client, enum hak_protocol_verb verb)
{
	struct hak_json json;

	hak_connection_message(client, &json);
	if (verb == HAK_VERB_stats)
		hak_encode_stats(&json, &service->stats);
	else if (verb == HAK_VERB_schema)
		hak_encode_schema(&json, hak_schema_text, hak_schema_length());
	else
		hak_encode_pong(&json);
	hak_connection_message_end(client, &json, hak_snapshot_now_us());
}

static void handle(struct hak_service *service, struct hak_connection *client, const char *line, size_t length)
{
	struct hak_request request;

	service->stats.requests++;
	if (!hak_request_parse(&request, line, length)) {
		reply_error(service, client, line, request.error, request.message);
		return;
	}
	switch (request.verb) {
	case HAK_VERB_snapshot:
		reply_snapshot(service, client, line);
		break;
	case HAK_VERB_subscribe:
		subscribe(service, client, &request, line);
		break;
	case HAK_VERB_unsubscribe:
		unsubscribe(service, client);
		reply_ok(client, request.verb, 0);
		break;
	case HAK_VERB_dump:
		reply_dump(service, client, &request, line);
		break;
	case HAK_VERB_drain:
		hak_inspect_request_drain();
		service->document_ready = false; /* whoever asks after this wants to see its effect */
		reply_ok(client, request.verb, 0);
		break;
	case HAK_VERB_purge:
		reply_ok(client, request.verb, hak_inspect_purge());
		service->document_ready = false;
		break;
	case HAK_VERB_schema:
	case HAK_VERB_stats:
	case HAK_VERB_ping:
	case HAK_VERB_COUNT:
		reply_document(service, client, request.verb);
		break;
	}
}

void hak_service_answer(struct hak_service *service, struct hak_connection *client)
{
	char line[HAK_PROTOCOL_LINE_MAX];
	bool too_long = false;
	size_t length;

	while (hak_connection_may_request(client) && hak_connection_next_line(client, line, &length, &too_long))
		handle(service, client, line, length);
	if (too_long) {
		reply_error(service, client, "", HAK_ERROR_line_too_long, "a request has at most 4096 bytes");
		client->closing = true;
	}
}

/* Queues one message of events, at most EVENTS_A_MESSAGE of the reader's round, unless nothing happened. Returns true
 * if the round may hold more. */
static bool stream_event_message(struct hak_connection *client, uint64_t now)
{
	struct hak_ring_reader *reader = &client->reader;
	struct hak_event event;
	struct hak_json json;
	bool got = hak_ring_reader_next(reader, &event);

	if (!got && reader->lost == 0)
		return false;
	hak_connection_message(client, &json);
	hak_json_object(&json);
	hak_json_member_string(&json, "type", HAK_TYPE_EVENTS);
	hak_json_member_u64(&json, "time_us", now);
	hak_json_key(&json, "events");
	hak_json_array(&json);
	for (unsigned count = 0; got; got = hak_ring_reader_next(reader, &event)) {
		hak_encode_event(&json, &event);
		if (++count == EVENTS_A_MESSAGE)
			break;
	}
	hak_json_end(&json);
	/* Last, as reading the events is what finds out. */
	hak_json_member_u64(&json, "lost", reader->lost);
	hak_json_end(&json);
	hak_connection_message_end(client, &json, now);
	reader->lost = 0;
	return got;
}

static void stream_events(struct hak_connection *client, uint64_t now)
{
	bool more = hak_ring_reader_begin(&client->reader) > 0;

	/* What has no room stays in the rings; should it be overwritten there, it is counted as lost. */
	while (more && !client->broken && hak_connection_pending(client) < HAK_CONNECTION_BUFFER / 2)
		more = stream_event_message(client, now);
}

static void stream_snapshot(struct hak_service *service, struct hak_connection *client, uint64_t now)
{
	struct hak_json json;

	/* Without room no snapshot is taken for this client at all. */
	if (!hak_connection_has_room(client, service->document.length) || !prepare_document(service) ||
	    !hak_connection_has_room(client, service->document.length)) {
		client->dropped++;
		service->stats.dropped_snapshots++;
		return;
	}
	if (client->dropped) {
		hak_connection_message(client, &json);
		hak_encode_dropped(&json, client->dropped);
		hak_connection_message_end(client, &json, now);
		client->dropped = 0;
	}
	hak_connection_queue(client, service->document.data, service->document.length, now);
}

void hak_service_stream(struct hak_service *service, struct hak_connection *client, uint64_t now)
{
	if (!(client->snapshots || client->events) || client->closing || client->broken)
		return;
	/* A client that missed snapshots gets a fresh one as soon as it has taken what waited. */
	if (now < client->due_us && !(client->dropped && hak_connection_pending(client) == 0))
		return;
	if (client->snapshots)
		stream_snapshot(service, client, now);
	if (client->events)
		stream_events(client, now);
	/* The next multiple of the interval: a late round neither shifts the rhythm nor is made up for. */
	if (client->due_us <= now)
		client->due_us += ((now - client->due_us) / client->interval_us + 1) * client->interval_us;
}

void hak_service_greet(struct hak_service *service, struct hak_connection *client)
{
	char exe[HAK_PROC_TEXT_MAX];
	struct hak_json json;

	hak_proc_exe(exe, sizeof(exe));
	hak_connection_message(client, &json);
	hak_encode_hello(&json, getpid(), service->start_time, exe);
	hak_connection_message_end(client, &json, hak_snapshot_now_us());
}

void hak_service_close(struct hak_service *service, struct hak_connection *client)
{
	unsubscribe(service, client);
	hak_connection_close(client);
}

void hak_service_init(struct hak_service *service)
{
	hak_snapshot_init(&service->snapshot);
	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++)
		service->clients[i].fd = -1;
}

void hak_service_free(struct hak_service *service)
{
	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		if (service->clients[i].fd >= 0)
			hak_service_close(service, &service->clients[i]);
	}
	hak_snapshot_free(&service->snapshot);
	hak_buffer_free(&service->document);
}
