/* service.c: the verbs. Requests of one round that want a snapshot share one, taken after all of them had arrived, so
 * that many clients cost the pool's lock no more than one does. No lock is held while anything is encoded or written.
 * */
#include "introspect/service.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "introspect/control.h"
#include "introspect/dump.h"
#include "introspect/encode_guard.h"
#include "introspect/event_stream.h"
#include "introspect/guards.h"
#include "introspect/openmetrics.h"
#include "introspect/profile.h"
#include "introspect/request.h"
#include "introspect/schema.h"
#include "lib/inspect.h"
#include "lib/trace.h"

#define ENTRY_KEPT_US 1000000 /* a free entry keeps its memory so long, for the next client */

/* Switches the tracepoints on that somebody listens to, and back to the settings' choice afterwards. */
static void update_groups(const struct hak_service *service)
{
	uint32_t groups = (uint32_t)hak_control_get(HAK_CONTROL_TRACE);

	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		if (service->clients[i].fd >= 0 && service->clients[i].events)
			groups |= service->clients[i].filter.groups;
	}
	hak_trace_set_groups(groups);
}

void hak_service_begin_round(struct hak_service *service, uint64_t now)
{
	service->state_ready = service->document_ready = false;
	service->change_base = 0;
	service->events_left = HAK_SERVICE_EVENTS;
	if (hak_control_revert(now))
		update_groups(service);
}

/* Takes this round's snapshot, unless that is done. Returns false if memory is refused. */
static bool prepare_state(struct hak_service *service)
{
	if (service->state_ready)
		return true;
	if (!hak_snapshot_take(&service->snapshot))
		return false;
	service->stats.snapshots++;
	service->state_ready = !service->snapshot.following || hak_delta_note(&service->delta, &service->snapshot);
	return service->state_ready;
}

/* Makes this round's message for who knows the snapshot with seq `base`, or none (0), unless that is done. Returns NULL
 * if memory is refused. */
static const struct hak_buffer *prepare_message(struct hak_service *service, uint64_t base)
{
	struct hak_buffer *message = base ? &service->change : &service->document;
	struct hak_json json;

	if (!prepare_state(service))
		return NULL;
	if (base ? service->change_base == base : service->document_ready)
		return message;
	message->length = 0;
	hak_json_to_buffer(&json, message);
	if (base)
		hak_delta_encode(&json, &service->delta, &service->snapshot, base);
	else
		hak_encode_snapshot(&json, &service->snapshot);
	hak_json_newline(&json);
	if (!hak_json_finish(&json))
		return NULL;
	service->stats.deltas += base != 0;
	if (base)
		service->change_base = base;
	else
		service->document_ready = true;
	return message;
}

/* Whether `length` bytes more may wait, of all clients' messages. */
static bool has_room(const struct hak_service *service, size_t length)
{
	size_t waiting = 0;

	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		if (service->clients[i].fd >= 0)
			waiting += hak_connection_pending(&service->clients[i]);
	}
	return waiting == 0 || waiting + length <= HAK_SERVICE_WAITING;
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

static void reply_ok(struct hak_connection *client, enum hak_protocol_verb verb, const struct hak_done *done)
{
	struct hak_json json;

	hak_connection_message(client, &json);
	hak_encode_ok(&json, verb, done);
	hak_connection_message_end(client, &json, hak_snapshot_now_us());
}

static void reply_snapshot(struct hak_service *service, struct hak_connection *client, const char *line)
{
	const struct hak_buffer *message = NULL;

	if (!has_room(service, service->document.length) || !(message = prepare_message(service, 0)))
		reply_error(service, client, line, HAK_ERROR_no_memory, "no memory for the snapshot");
	else
		hak_connection_queue(client, message->data, message->length, hak_snapshot_now_us());
}

/* Why there is no dump: the file, and what is wrong with it. */
static void reply_no_dump(struct hak_service *service, struct hak_connection *client, const char *line,
	const char *path, int error)
{
	char message[HAK_DUMP_PATH_MAX + 64] = "";
	struct hak_protocol_text text = {message, sizeof(message), 0, false};

	hak_protocol_put(&text, path);
	hak_protocol_put(&text, *path ? ": " : "");
	hak_protocol_put(&text, error == ESPIPE ? "Not a regular file" : strerrordesc_np(error));
	reply_error(service, client, line, error == ENOMEM ? HAK_ERROR_no_memory : HAK_ERROR_io, message);
}

static void reply_dump(struct hak_service *service, struct hak_connection *client, const struct hak_request *request,
	const char *line)
{
	char path[HAK_DUMP_PATH_MAX] = "", exe[HAK_PROC_TEXT_MAX];
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
		result = hak_dump_write_file(path, "request", &bytes);
	if (result < 0) {
		reply_no_dump(service, client, line, fits ? path : "", -result);
		return;
	}
	hak_connection_message(client, &json);
	hak_encode_dump_written(&json, path, bytes);
	hak_connection_message_end(client, &json, hak_snapshot_now_us());
}

/* Follows the heap while anybody is sent deltas. */
static void update_following(struct hak_service *service)
{
	bool wanted = false;

	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		const struct hak_connection *client = &service->clients[i];

		wanted |= client->fd >= 0 && client->snapshots && !client->full;
	}
	if (wanted == service->snapshot.following)
		return;
	hak_snapshot_follow(&service->snapshot, wanted);
	/* What was taken in this round before is of the other kind. */
	service->state_ready = service->document_ready = false;
	service->change_base = 0;
}

static void unsubscribe(struct hak_service *service, struct hak_connection *client)
{
	bool had_events = client->events;

	client->snapshots = client->events = false;
	client->dropped = client->base = client->filtered = 0;
	if (had_events)
		update_groups(service);
}

static void subscribe(struct hak_service *service, struct hak_connection *client, const struct hak_request *request,
	const char *line)
{
	unsubscribe(service, client);
	if (request->events) {
		client->events = hak_ring_start(service->trace_bytes) && hak_ring_reader_reopen(&client->reader, false);
		if (!client->events) {
			update_following(service);
			reply_error(service, client, line, HAK_ERROR_no_memory, "no memory for events");
			return;
		}
	}
	client->snapshots = request->snapshots;
	client->full = request->full;
	client->filter = request->filter;
	client->interval_us = request->interval_ms * 1000;
	client->due_us = hak_snapshot_now_us();
	if (client->events)
		update_groups(service);
	update_following(service);
	reply_ok(client, HAK_VERB_subscribe, NULL);
}

static void reply_openmetrics(struct hak_service *service, struct hak_connection *client, const char *line)
{
	struct hak_buffer *text = &service->text;
	struct hak_json json;

	text->length = 0;
	if (!prepare_state(service) || !hak_openmetrics_write(text, &service->snapshot, &service->stats)) {
		reply_error(service, client, line, HAK_ERROR_no_memory, "no memory for the text");
	} else {
		hak_connection_message(client, &json);
		hak_encode_openmetrics(&json, text->data, text->length);
		hak_connection_message_end(client, &json, hak_snapshot_now_us());
	}
}

/* Verbs whose answer is a document of their own. */
static void reply_document(struct hak_service *service, struct hak_connection *client, const struct hak_request *request,
	const char *line)
{
	struct hak_json json;

	if (request->openmetrics) {
		reply_openmetrics(service, client, line);
		return;
	}
	if (request->meshable && !prepare_state(service)) {
		reply_error(service, client, line, HAK_ERROR_no_memory, "no memory for the snapshot");
		return;
	}
	hak_connection_message(client, &json);
	if (request->verb == HAK_VERB_stats)
		hak_encode_stats(&json, &service->stats, request->meshable ? &service->snapshot.heap : NULL);
	else if (request->verb == HAK_VERB_profile)
		hak_profile_message(&json);
	else if (request->verb == HAK_VERB_guarded)
		hak_guards_message(&json, request->address, request->bytes);
	else if (request->verb == HAK_VERB_schema)
		hak_encode_schema(&json, hak_schema_text, hak_schema_length());
	else
		hak_encode_pong(&json);
	hak_connection_message_end(client, &json, hak_snapshot_now_us());
}

/* What is set now, and of what will revert, when. */
static void reply_settings(struct hak_connection *client, uint64_t now)
{
	static const char *const names[] = {"trace", "debug", "drain_interval", "purge_delay_ms", "prof_rate", "guard", "guard_rate",
		"guard_class", "guard_site"};
	struct hak_json json;

	hak_connection_message(client, &json);
	hak_json_object(&json);
	hak_json_member_string(&json, "type", HAK_TYPE_OK);
	hak_json_member_string(&json, "request", hak_protocol_verb_name(HAK_VERB_set));
	hak_json_key(&json, "settings");
	hak_json_object(&json);
	for (unsigned i = 0; i < HAK_CONTROL_COUNT; i++) {
		uint64_t value = hak_control_get((enum hak_control)i);

		hak_json_key(&json, names[i]);
		if (i == HAK_CONTROL_TRACE || i == HAK_CONTROL_DEBUG)
			hak_encode_groups(&json, (uint32_t)value);
		else if (i == HAK_CONTROL_GUARD)
			hak_json_string(&json, hak_guard_words[value]);
		else if (i == HAK_CONTROL_GUARD_CLASS)
			hak_encode_guard_class(&json, (uint8_t)value);
		else if (i == HAK_CONTROL_GUARD_SITE)
			hak_encode_guard_site(&json, value);
		else
			hak_json_u64(&json, value < HAK_JSON_NUMBER_MAX ? value : HAK_JSON_NUMBER_MAX);
	}
	hak_json_end(&json);
	hak_json_key(&json, "reverts_ms");
	hak_json_object(&json);
	for (unsigned i = 0; i < HAK_CONTROL_COUNT; i++) {
		uint64_t due = hak_control_reverts_us((enum hak_control)i);

		if (due)
			hak_json_member_u64(&json, names[i], due > now ? (due - now + 999) / 1000 : 0);
	}
	hak_json_end(&json);
	hak_json_end(&json);
	hak_connection_message_end(client, &json, now);
}

static void set(struct hak_service *service, struct hak_connection *client, const struct hak_request *request,
	const char *line)
{
	uint64_t now = hak_snapshot_now_us();

	if (request->value[HAK_CONTROL_TRACE] && !hak_ring_start(service->trace_bytes)) {
		reply_error(service, client, line, HAK_ERROR_no_memory, "no memory for events");
		return;
	}
	if (!hak_profile_prepare(request->value[HAK_CONTROL_PROF_RATE])) {
		reply_error(service, client, line, HAK_ERROR_no_memory, "no memory for the profile");
		return;
	}
	if (!hak_control_set(request, now)) {
		reply_error(service, client, line, HAK_ERROR_no_memory, "no memory for guards");
		return;
	}
	update_groups(service);
	reply_settings(client, now);
}

/* Verifies what is guarded: the reports come before the answer. */
static void check(struct hak_done *done)
{
	struct hak_guard_checked checked;

	hak_guard_check(&checked);
	hak_trace_flush();
	done->checked = checked.live + checked.quarantined;
	done->damaged = checked.damaged;
}

/* The verbs that do something to the heap. */
static void control(struct hak_service *service, struct hak_connection *client, const struct hak_request *request)
{
	struct hak_done done = {0};

	if (request->verb == HAK_VERB_mark)
		done.recorded = hak_trace_text(request->text);
	if (request->verb == HAK_VERB_check)
		check(&done);
	if (request->verb == HAK_VERB_drain || request->verb == HAK_VERB_trim)
		done.threads = hak_inspect_request_drain();
	if (request->verb == HAK_VERB_purge || request->verb == HAK_VERB_trim)
		done.bytes = hak_inspect_purge();
	/* Whoever asks after this wants to see its effect. */
	service->state_ready = service->document_ready = false;
	service->change_base = 0;
	reply_ok(client, request->verb, &done);
}

/* What takes the pool's lock, writes a file or moves every thread counts for more than what merely answers. */
static bool is_costly(const struct hak_request *request)
{
	switch (request->verb) {
	case HAK_VERB_ping:
	case HAK_VERB_schema:
	case HAK_VERB_mark:
	case HAK_VERB_unsubscribe:
	case HAK_VERB_COUNT:
		return false;
	case HAK_VERB_stats:
		return request->meshable || request->openmetrics;
	case HAK_VERB_set:
		return request->given != 0;
	case HAK_VERB_snapshot:
	case HAK_VERB_subscribe:
	case HAK_VERB_resync:
	case HAK_VERB_dump:
	case HAK_VERB_profile:
	case HAK_VERB_check:
	case HAK_VERB_guarded:
	case HAK_VERB_drain:
	case HAK_VERB_purge:
	case HAK_VERB_trim:
		break;
	}
	return true;
}

static void handle(struct hak_service *service, struct hak_connection *client, const char *line, size_t length)
{
	struct hak_request request;

	service->stats.requests++;
	if (!hak_request_parse(&request, line, length)) {
		reply_error(service, client, line, request.error, request.message);
		return;
	}
	if (is_costly(&request))
		client->requests_us += HAK_REQUEST_COSTLY_US;
	switch (request.verb) {
	case HAK_VERB_snapshot:
		reply_snapshot(service, client, line);
		break;
	case HAK_VERB_subscribe:
		subscribe(service, client, &request, line);
		break;
	case HAK_VERB_unsubscribe:
		unsubscribe(service, client);
		update_following(service);
		reply_ok(client, request.verb, NULL);
		break;
	case HAK_VERB_resync:
		client->base = 0;
		client->due_us = hak_snapshot_now_us();
		reply_ok(client, request.verb, NULL);
		break;
	case HAK_VERB_dump:
		reply_dump(service, client, &request, line);
		break;
	case HAK_VERB_set:
		set(service, client, &request, line);
		break;
	case HAK_VERB_drain:
	case HAK_VERB_purge:
	case HAK_VERB_trim:
	case HAK_VERB_mark:
	case HAK_VERB_check:
		control(service, client, &request);
		break;
	case HAK_VERB_schema:
	case HAK_VERB_stats:
	case HAK_VERB_profile:
	case HAK_VERB_guarded:
	case HAK_VERB_ping:
	case HAK_VERB_COUNT:
		reply_document(service, client, &request, line);
		break;
	}
}

uint64_t hak_service_request_us(const struct hak_service *service, const struct hak_connection *client)
{
	uint64_t own = hak_connection_request_us(client);
	uint64_t shared = service->ahead_us > HAK_REQUEST_AHEAD_US ? service->ahead_us - HAK_REQUEST_AHEAD_US : 0;

	/* Those who are not ahead of the clock don't wait for those who are. */
	if (shared > client->requests_us)
		shared = client->requests_us;
	return own > shared ? own : shared;
}

void hak_service_answer(struct hak_service *service, struct hak_connection *client, uint64_t now)
{
	char line[HAK_PROTOCOL_LINE_MAX];
	bool too_long = false;
	size_t length;

	while (hak_connection_may_request(client) && hak_service_request_us(service, client) <= now &&
		hak_connection_next_line(client, line, &length, &too_long)) {
		bool ahead = client->requests_us > now;
		uint64_t before = ahead ? client->requests_us : now;

		client->requests_us = before + HAK_REQUEST_COST_US;
		client->asked_us = now;
		handle(service, client, line, length);
		if (ahead)
			service->ahead_us = (service->ahead_us > now ? service->ahead_us : now) +
				(client->requests_us - before) / HAK_SERVICE_AHEAD_SHARE;
	}
	if (too_long) {
		reply_error(service, client, "", HAK_ERROR_line_too_long, "a request has at most 4096 bytes");
		client->closing = true;
	}
}

static void stream_snapshot(struct hak_service *service, struct hak_connection *client, uint64_t now)
{
	uint64_t base = client->full ? 0 : client->base;
	size_t expected = base ? service->change.length : service->document.length;
	const struct hak_buffer *message = NULL;
	struct hak_json json;

	/* Without room no snapshot is taken for this client at all. */
	if (hak_connection_has_room(client, expected) && has_room(service, expected))
		message = prepare_message(service, base);
	if (!message || !hak_connection_has_room(client, message->length)) {
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
	hak_connection_queue(client, message->data, message->length, now);
	client->base = service->snapshot.seq;
}

void hak_service_stream(struct hak_service *service, struct hak_connection *client, uint64_t now)
{
	if (!hak_connection_is_streaming(client))
		return;
	/* A client that missed snapshots gets a fresh one as soon as it has taken what waited. */
	if (now < client->due_us && !(client->dropped && hak_connection_pending(client) == 0))
		return;
	if (client->snapshots)
		stream_snapshot(service, client, now);
	if (client->events)
		hak_event_stream(client, now, &service->events_left);
	/* The next multiple of the interval: a late round neither shifts the rhythm nor is made up for. */
	if (client->due_us <= now)
		client->due_us += ((now - client->due_us) / client->interval_us + 1) * client->interval_us;
}

/* Makes the greeting, unless that is done. Returns whether there is one. */
static bool prepare_greeting(struct hak_service *service)
{
	char exe[HAK_PROC_TEXT_MAX];
	struct hak_json json;

	if (service->greeting.length)
		return true;
	hak_proc_exe(exe, sizeof(exe));
	hak_json_to_buffer(&json, &service->greeting);
	hak_encode_hello(&json, getpid(), service->start_time, exe);
	hak_json_newline(&json);
	return hak_json_finish(&json);
}

void hak_service_greet(struct hak_service *service, struct hak_connection *client)
{
	if (prepare_greeting(service))
		hak_connection_queue(client, service->greeting.data, service->greeting.length, hak_snapshot_now_us());
	else
		client->broken = true;
}

struct hak_connection *hak_service_make_room(struct hak_service *service, uint64_t now)
{
	struct hak_connection *silent = NULL;

	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		struct hak_connection *client = &service->clients[i];

		if (client->fd < 0 || client->snapshots || client->events || hak_connection_pending(client) ||
			hak_connection_has_line(client) || client->asked_us + HAK_SERVICE_IDLE_US > now)
			continue;
		if (!silent || client->asked_us < silent->asked_us)
			silent = client;
	}
	if (!silent)
		return NULL;
	reply_error(service, silent, "", HAK_ERROR_busy, "too many clients, and this one was silent for the longest");
	(void)hak_connection_send(silent, now);
	hak_service_close(service, silent);
	return silent;
}

void hak_service_close(struct hak_service *service, struct hak_connection *client)
{
	unsubscribe(service, client);
	hak_connection_close(client);
	client->closed_us = hak_snapshot_now_us();
	update_following(service);
}

void hak_service_tidy(struct hak_service *service, uint64_t now)
{
	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		struct hak_connection *client = &service->clients[i];

		if (client->fd < 0 && client->closed_us + ENTRY_KEPT_US < now)
			hak_connection_release(client);
	}
	/* The program's file may be renamed. */
	service->greeting.length = 0;
}

void hak_service_init(struct hak_service *service)
{
	/* A child of fork may have been made while its parent's endpoint followed. */
	hak_inspect_follow(false);
	hak_snapshot_init(&service->snapshot);
	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++)
		service->clients[i].fd = -1;
}

void hak_service_free(struct hak_service *service)
{
	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		if (service->clients[i].fd >= 0)
			hak_service_close(service, &service->clients[i]);
		hak_connection_release(&service->clients[i]);
	}
	hak_buffer_free(&service->text);
	hak_buffer_free(&service->greeting);
	hak_snapshot_free(&service->snapshot);
	hak_buffer_free(&service->document);
	hak_buffer_free(&service->change);
	hak_delta_free(&service->delta);
}
