#include "viewer/client.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "introspect/protocol.h"
#include "viewer/format.h"
#include "viewer/model.h"

#define READ_BYTES ((size_t)65536)

int64_t client_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	free(client->buffer);
	memset(client, 0, sizeof(*client));
	client->fd = -1;
}

/* The address of `path`, through its opened directory where it is longer than sun_path. *directory is the descriptor
 * to close. */
static bool make_address(struct sockaddr_un *address, const char *path, int *directory)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	size_t length = slash != NULL ? (size_t)(slash - path) : 1;
	*directory = -1;
	if (length >= sizeof(folder) || *name == '\0')
		return false;
	memcpy(folder, slash != NULL ? path : ".", length);
	folder[length] = '\0';
	*directory = open(length > 0 ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	memset(address, 0, sizeof(*address));
	return hak_protocol_address(address, folder, *directory, name);
}

/* Only a process of our own user, or root's, may feed the viewer; root may look at anybody's. */
static bool peer_is_trusted(struct client *client)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return false;
	client->peer_pid = peer.pid;
	client->peer_uid = peer.uid;
	return geteuid() == 0 || peer.uid == geteuid() || peer.uid == 0;
}

static enum client_connect_result open_socket(struct client *client, const char *path, struct problem *problem)
{
	struct sockaddr_un address;
	int directory;
	bool fits = make_address(&address, path, &directory);
	client->fd = fits ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	int error = !fits ? ENAMETOOLONG : client->fd < 0 ? errno : 0;
	if (error == 0 && connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		error = errno;
	if (directory >= 0)
		close(directory);
	if (error == 0 && !peer_is_trusted(client)) {
		problem_set(problem, "%s belongs to another user", path);
		return CLIENT_REFUSED;
	}
	if (error == 0)
		return CLIENT_CONNECTED;
	if (error == EAGAIN) { /* the queue of waiting clients is full: nobody accepts */
		problem_set(problem, "%s doesn't answer: the process is stopped or has too many clients", path);
		return CLIENT_SILENT;
	}
	if (error == ECONNREFUSED) {
		problem_set(problem, "%s: nobody listens there any more", path);
		return CLIENT_ABSENT;
	}
	problem_set(problem, "%s: %s", path, strerror(error));
	return error == ENOENT || error == ENOTDIR ? CLIENT_ABSENT : CLIENT_REFUSED;
}

static bool read_hello(struct client *client, const cJSON *hello, struct problem *problem)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(hello, "type");
	const cJSON *exe = cJSON_GetObjectItemCaseSensitive(hello, HAK_HELLO_EXE);
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(hello, HAK_HELLO_VERSION);
	const cJSON *capabilities = cJSON_GetObjectItemCaseSensitive(hello, HAK_HELLO_CAPABILITIES), *word;
	uint64_t protocol;
	if (cJSON_IsString(type) && strcmp(type->valuestring, HAK_TYPE_ERROR) == 0) {
		const cJSON *message = cJSON_GetObjectItemCaseSensitive(hello, "message");
		return problem_set(problem, "the endpoint refuses: %.200s",
			cJSON_IsString(message) ? message->valuestring : "no reason given");
	}
	if (!cJSON_IsString(type) || strcmp(type->valuestring, HAK_TYPE_HELLO) != 0 ||
		!model_number(cJSON_GetObjectItemCaseSensitive(hello, HAK_HELLO_PROTOCOL), &protocol) ||
		!model_number(cJSON_GetObjectItemCaseSensitive(hello, HAK_HELLO_PID), &client->pid) ||
		!cJSON_IsString(exe) ||
		!cJSON_IsString(version))
		return problem_set(problem, "what answers is not a HAKMEM endpoint");
	format_printable(client->version, sizeof(client->version), version->valuestring);
	format_printable(client->exe, sizeof(client->exe), exe->valuestring);
	if (protocol != HAK_PROTOCOL_VERSION)
		return problem_set(problem,
			"HAKMEM %s in process %llu speaks protocol %llu, this hakmem-top %d; use the hakmem-top "
			"that came with it", client->version, (unsigned long long)client->pid,
			(unsigned long long)protocol,
			HAK_PROTOCOL_VERSION);
	model_number(cJSON_GetObjectItemCaseSensitive(hello, HAK_HELLO_START_TIME), &client->start_time);
	cJSON_ArrayForEach(word, capabilities) {
		if (cJSON_IsString(word) && strcmp(word->valuestring, "events") == 0)
			client->has_events = true;
		if (cJSON_IsString(word) && strcmp(word->valuestring, "profile") == 0)
			client->has_profile = true;
		if (cJSON_IsString(word) && strcmp(word->valuestring, "guarded") == 0)
			client->has_guarded = true;
	}
	return true;
}

enum client_connect_result client_open(struct client *client, const char *path, struct problem *problem)
{
	memset(client, 0, sizeof(*client));
	client->fd = -1;
	enum client_connect_result result = open_socket(client, path, problem);
	if (result != CLIENT_CONNECTED)
		client_close(client);
	return result;
}

/* A socket may lie in a directory that others write to; then its name is only as true as its greeting. */
static bool name_fits(const struct client *client, const char *path, struct problem *problem)
{
	const char *slash = strrchr(path, '/');
	pid_t pid;
	uint64_t start_time;
	if (!hak_protocol_parse_name(slash != NULL ? slash + 1 : path, &pid, &start_time) ||
		(uint64_t)pid == client->pid)
		return true;
	return problem_set(problem, "what answers is process %llu, not the one that the socket is named after",
		(unsigned long long)client->pid);
}

enum client_connect_result client_greet(struct client *client, const char *path, int64_t deadline_ms,
	struct problem *problem)
{
	struct problem inner;
	size_t length;
	char *line = client_wait(client, deadline_ms, &length, &inner);
	if (line == NULL) {
		bool silent = client_now_ms() >= deadline_ms;
		if (silent)
			problem_set(problem, "%s doesn't answer: the process is stopped or very busy", path);
		else
			problem_set(problem, "%s: %s", path, inner.text);
		client_close(client);
		return silent ? CLIENT_SILENT : CLIENT_REFUSED;
	}
	cJSON *hello = cJSON_ParseWithLength(line, length);
	bool valid = read_hello(client, hello, &inner) && name_fits(client, path, &inner);
	cJSON_Delete(hello);
	if (valid)
		return CLIENT_CONNECTED;
	problem_set(problem, "%s: %s", path, inner.text);
	client_close(client);
	return CLIENT_REFUSED;
}

enum client_connect_result client_connect(struct client *client, const char *path, int timeout_ms,
	struct problem *problem)
{
	enum client_connect_result result = client_open(client, path, problem);
	if (result != CLIENT_CONNECTED)
		return result;
	return client_greet(client, path, client_now_ms() + timeout_ms, problem);
}

bool client_send(struct client *client, const char *line)
{
	char request[HAK_PROTOCOL_LINE_MAX];
	int length = snprintf(request, sizeof(request), "%s\n", line);
	if (client->fd < 0 || length < 0 || (size_t)length >= sizeof(request))
		return false;
	for (int sent = 0; sent < length;) {
		ssize_t count = send(client->fd, request + sent, (size_t)(length - sent), MSG_NOSIGNAL);
		if (count > 0) {
			sent += (int)count;
		} else if (errno == EAGAIN) {
			/* A request is far below the socket's buffer: only an endpoint that has stopped reading gets
			 * us here. */
			struct pollfd writable = {client->fd, POLLOUT, 0};
			if (poll(&writable, 1, 1000) <= 0)
				return false;
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* Brings the bytes that were not handed out to the buffer's front and makes room for another read. */
static bool make_room(struct client *client)
{
	if (client->taken > 0) {
		client->length -= client->taken;
		memmove(client->buffer, client->buffer + client->taken, client->length);
		client->taken = 0;
	}
	if (client->capacity - client->length > READ_BYTES)
		return true;
	size_t capacity = client->capacity < READ_BYTES ? 4 * READ_BYTES : client->capacity * 2;
	if (capacity > CLIENT_LINE_MAX)
		return false;
	char *buffer = realloc(client->buffer, capacity);
	if (buffer == NULL)
		return false;
	client->buffer = buffer;
	client->capacity = capacity;
	return true;
}

bool client_fill(struct client *client)
{
	/* At most this many reads, so that a target that never stops sending can't starve the keyboard. */
	for (int reads = 0; reads < 64; reads++) {
		if (client->fd < 0 || !make_room(client))
			return false;
		ssize_t count = read(client->fd, client->buffer + client->length,
			client->capacity - client->length - 1);
		if (count > 0)
			client->length += (size_t)count;
		else if (count < 0 && errno == EAGAIN)
			return true;
		else if (count == 0 || errno != EINTR)
			return false;
	}
	return true;
}

char *client_line(struct client *client, size_t *length)
{
	if (client->buffer == NULL)
		return NULL;
	char *line = client->buffer + client->taken;
	size_t left = client->length - client->taken;
	char *newline = memchr(line + client->scanned, '\n', left - client->scanned);
	if (newline == NULL) {
		client->scanned = left;
		return NULL;
	}
	*newline = '\0';
	*length = (size_t)(newline - line);
	client->taken += *length + 1;
	client->scanned = 0;
	return line;
}

char *client_wait(struct client *client, int64_t deadline_ms, size_t *length, struct problem *problem)
{
	bool open = true, late = false;
	for (;;) {
		char *line = client_line(client, length);
		if (line != NULL)
			return line;
		if (!open) {
			if (client->length - client->taken + READ_BYTES >= CLIENT_LINE_MAX)
				problem_set(problem, "the message is too long: over %zu MiB", CLIENT_LINE_MAX >> 20);
			else
				problem_set(problem, "the connection ended");
			return NULL;
		}
		/* What has come already is read even after the deadline, once: several may share one. */
		int64_t left = deadline_ms - client_now_ms();
		struct pollfd readable = {client->fd, POLLIN, 0};
		int ready = late ? 0 : poll(&readable, 1, left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left);
		late = left <= 0;
		if (ready == 0) {
			problem_set(problem, "no answer in time");
			return NULL;
		}
		if (ready > 0)
			open = client_fill(client);
	}
}

/* Keeps the reason that an error message gives. */
static void explain(const cJSON *error, const char *lacks, struct problem *problem)
{
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(error, "message");
	if (cJSON_IsString(code) && strcmp(code->valuestring, "unknown_verb") == 0)
		problem_set(problem, "its libhakmem.so is of a version that %s", lacks);
	else
		problem_set(problem, "the target answers: %.200s", cJSON_IsString(message) ? message->valuestring : "error");
}

cJSON *client_ask(struct client *client, const char *verb, const char *type, const char *lacks, struct problem *problem)
{
	int64_t deadline = client_now_ms() + CLIENT_ANSWER_MS;
	size_t length;
	client_send(client, verb);
	for (char *line; (line = client_wait(client, deadline, &length, problem)) != NULL;) {
		cJSON *document = cJSON_ParseWithLength(line, length);
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(document, "type");
		const char *word = cJSON_IsString(item) ? item->valuestring : "";
		bool refused = strcmp(word, HAK_TYPE_ERROR) == 0;
		if (strcmp(word, type) == 0)
			return document;
		if (document == NULL)
			problem_set(problem, "its answer is not JSON");
		else if (refused)
			explain(document, lacks, problem);
		bool over = document == NULL || refused;
		cJSON_Delete(document);
		if (over)
			return NULL;
	}
	return NULL;
}
