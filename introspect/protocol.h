/* protocol.h: what an endpoint and its clients agree on, and all that the viewer may include of introspect.
 *
 * An endpoint is a Unix stream socket. A request is one line of words, `verb key=value …`, ended by a newline; every
 * reply and every streamed message is one JSON document on one line. On connect the endpoint greets with a hello
 * message. The fields of every message are defined in schema.json, which the verb `schema` sends too.
 *
 * Everything here is usable inside a target (no malloc, no stdio, no getenv: values come as arguments) and by a client.
 * All functions are pure and thread-safe. */
#ifndef HAK_PROTOCOL_H
#define HAK_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/* Clients ignore keys and message types that they do not know; the version changes only when that does not suffice. */
#define HAK_PROTOCOL_VERSION 1

/* The longest request, its newline included. A longer line is answered with the error line_too_long and the connection
 * ends. */
#define HAK_PROTOCOL_LINE_MAX 4096

#define HAK_PROTOCOL_STACK_FRAMES 128 /* most of a stack that is told of: those nearest to the allocation */
#define HAK_PROTOCOL_GUARDED_MAX 2097152 /* bytes that one request `guarded` looks through */
#define HAK_PROTOCOL_PATH_MAX 512 /* a directory or a socket's path, with its terminating zero */
#define HAK_PROTOCOL_NAME_MAX 48  /* a socket's name, with its terminating zero */

/* The verbs: X(name, "arguments", "meaning"). The reply's type stands in brackets.
 * The value of path, and TEXT, reach to the end of the line, so that they may hold spaces; no other argument may follow.
 * */
#define HAK_PROTOCOL_VERBS(X) \
	X(snapshot, "", "the state of the heap, once [snapshot]") \
	X(subscribe, "what=snapshot,events interval_ms=N full=1 group=G,… class=N,… thread=N,… rate=N", \
		"stream these every N ms (10 to 3600000, default 200) from now on: a snapshot, then deltas, or snapshots " \
		"only; events of these groups, size classes and threads only, so many a second; replaces an earlier one [ok]") \
	X(unsubscribe, "", "end the stream [ok]") \
	X(resync, "", "let the stream go on with a snapshot [ok]") \
	X(schema, "", "the JSON Schema of all messages [schema]") \
	X(stats, "meshable=1 format=json|openmetrics", \
		"the process-wide counters and the endpoint's own; what merging sparse slabs could free [stats]; or the " \
		"state's figures as OpenMetrics text [openmetrics]") \
	X(dump, "path=PATH", "write a dump; without a path HAKMEM_DUMP_PATH says where [dump_written]") \
	X(drain, "", "ask every thread to give its cached blocks back at its next slow path [ok, with threads]") \
	X(purge, "", "return idle memory to the system now [ok, with bytes]") \
	X(trim, "", "both [ok, with threads and bytes]") \
	X(set, "trace=G,… debug=G,… drain_interval=N purge_delay_ms=N prof_rate=N|off guard=off|sample|full guard_rate=N " \
		"guard_class=N|any guard_site=0x…|any for_ms=N", \
		"change what is recorded, what is printed, and these settings; for N ms or for good; says what is set [ok]") \
	X(profile, "", "who allocated what lives, and what went: the heap profile [profile]") \
	X(check, "", "verify what stands around guarded blocks and in freed ones (guard=full); what is wrong is reported [ok, with " \
		"checked and damaged]") \
	X(guarded, "address=0x… bytes=N", \
		"the mistakes that were reported; and the guarded blocks in N bytes (1 to 2097152, default 1) at an address, or " \
		"around it; all with their stacks [guarded]") \
	X(mark, "TEXT", "an event of your own, of 1 to 40 bytes [ok, with recorded]") \
	X(ping, "", "see whether the endpoint answers [pong]")

/* The codes of error messages: X(code, "meaning"). After the codes that say so the endpoint closes the connection. */
#define HAK_PROTOCOL_ERRORS(X) \
	X(unknown_verb, "no such verb") \
	X(unknown_argument, "the verb does not take this argument") \
	X(bad_argument, "the argument's value is missing or not valid") \
	X(line_too_long, "a request of more than 4096 bytes; the connection ends") \
	X(forbidden, "the peer runs under another user id; the connection ends") \
	X(busy, "too many clients, and this one is new, or was silent for the longest; the connection ends") \
	X(no_memory, "the reply does not fit into memory that the system grants") \
	X(io, "a file could not be written; message says why")

enum hak_protocol_verb {
#define X(name, arguments, meaning) HAK_VERB_##name,
	HAK_PROTOCOL_VERBS(X)
#undef X
	HAK_VERB_COUNT
};

enum hak_protocol_error {
#define X(code, meaning) HAK_ERROR_##code,
	HAK_PROTOCOL_ERRORS(X)
#undef X
	HAK_ERROR_COUNT
};

/* The verb as it stands in a request and in the greeting. */
static inline const char *hak_protocol_verb_name(enum hak_protocol_verb verb)
{
	static const char *const names[] = {
#define X(name, arguments, meaning) #name,
		HAK_PROTOCOL_VERBS(X)
#undef X
	};

	return names[verb];
}

/* Values of the key "type". A delta has those members of a snapshot that differ from the one with seq `base`, which is
 * the last that this client was sent: sections whole, of classes and superslabs the rows; "superslabs_gone" has the
 * index of those that are shown no more. A snapshot and a dump have the same keys at the same places; a dump adds "reason", "events"
 * (the last ones, oldest first) and "modules". "dropped" tells a slow client how many snapshots it missed. */
#define HAK_TYPE_HELLO "hello"
#define HAK_TYPE_SNAPSHOT "snapshot"
#define HAK_TYPE_DELTA "delta"
#define HAK_TYPE_EVENTS "events"
#define HAK_TYPE_DROPPED "dropped"
#define HAK_TYPE_OK "ok"
#define HAK_TYPE_PONG "pong"
#define HAK_TYPE_STATS "stats"
#define HAK_TYPE_OPENMETRICS "openmetrics"
#define HAK_TYPE_PROFILE "profile"
#define HAK_TYPE_GUARDED "guarded"
#define HAK_TYPE_SCHEMA "schema"
#define HAK_TYPE_DUMP_WRITTEN "dump_written"
#define HAK_TYPE_ERROR "error"
#define HAK_TYPE_DUMP "dump"

/* Keys of the hello message besides "type". "capabilities" lists the verbs, and "events" where tracepoints are compiled
 * in. */
#define HAK_HELLO_PROTOCOL "protocol"
#define HAK_HELLO_VERSION "version"
#define HAK_HELLO_PID "pid"
#define HAK_HELLO_START_TIME "start_time" /* as in the socket's name */
#define HAK_HELLO_EXE "exe"
#define HAK_HELLO_CAPABILITIES "capabilities"

/* Text under construction: bytes go to data while they fit, and `overflow` says that some did not. */
struct hak_protocol_text {
	char *data;
	size_t size, length;
	bool overflow;
};

static inline void hak_protocol_put(struct hak_protocol_text *text, const char *bytes)
{
	for (; *bytes; bytes++) {
		if (text->length + 1 >= text->size) {
			text->overflow = true;
			return;
		}
		text->data[text->length++] = *bytes;
		text->data[text->length] = 0;
	}
}

static inline void hak_protocol_put_number(struct hak_protocol_text *text, uint64_t number)
{
	char digits[21];
	char *first = digits + sizeof(digits) - 1;

	*first = 0;
	do {
		*--first = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	hak_protocol_put(text, first);
}

/* The directories in which sockets are looked for, best first: candidate 0, 1, … until the result is 0. With HAKMEM_DIR
 * set it is the only one; else $XDG_RUNTIME_DIR/hakmem, then /run/hakmem for root, then /tmp/hakmem-<uid>. A target
 * serves in the first that it can use; a client looks into all of them, as the target may have been started with
 * another environment.
 *
 * hakmem_dir and xdg_runtime_dir are the variables' values, NULL or empty where unset; an XDG_RUNTIME_DIR that is not
 * an absolute path counts as unset, as its specification says. uid is the effective user id. Writes at most `size`
 * bytes with the terminating zero; returns the length, or 0 if there is no such candidate or it does not fit. */
static inline size_t hak_protocol_directory(unsigned candidate, const char *hakmem_dir, const char *xdg_runtime_dir,
	uid_t uid, char *out, size_t size)
{
	struct hak_protocol_text text = {out, size, 0, size == 0};
	bool chosen = hakmem_dir && *hakmem_dir;

	if (chosen && candidate == 0)
		hak_protocol_put(&text, hakmem_dir);
	if (!chosen && xdg_runtime_dir && *xdg_runtime_dir == '/' && candidate-- == 0) {
		hak_protocol_put(&text, xdg_runtime_dir);
		hak_protocol_put(&text, "/hakmem");
	} else if (!chosen && uid == 0 && candidate-- == 0) {
		hak_protocol_put(&text, "/run/hakmem");
	} else if (!chosen && candidate == 0) {
		hak_protocol_put(&text, "/tmp/hakmem-");
		hak_protocol_put_number(&text, uid);
	}
	return text.overflow ? 0 : text.length;
}

/* The socket's name in its directory, `<pid>-<start time>.sock`; the start time is field 22 of /proc/PID/stat (clock
 * ticks since boot), which tells two processes apart that had the same pid. Returns the length, 0 if it does not fit.
 * */
static inline size_t hak_protocol_socket_name(pid_t pid, uint64_t start_time, char *out, size_t size)
{
	struct hak_protocol_text text = {out, size, 0, size == 0};

	hak_protocol_put_number(&text, (uint64_t)pid);
	hak_protocol_put(&text, "-");
	hak_protocol_put_number(&text, start_time);
	hak_protocol_put(&text, ".sock");
	return text.overflow ? 0 : text.length;
}

/* Reads a decimal number of 1 to 19 digits. Returns the byte behind it, NULL if there is none. */
static inline const char *hak_protocol_read_number(const char *text, uint64_t *number)
{
	const char *first = text;

	for (*number = 0; *text >= '0' && *text <= '9'; text++) {
		if (text - first == 19)
			return NULL;
		*number = *number * 10 + (uint64_t)(*text - '0');
	}
	return text == first ? NULL : text;
}

/* Takes a socket's name apart. Returns false, for any other name in the directory (temporary ones begin with a dot). */
static inline bool hak_protocol_parse_name(const char *name, pid_t *pid, uint64_t *start_time)
{
	uint64_t number;
	const char *rest = hak_protocol_read_number(name, &number);
	const char *suffix = ".sock";

	if (!rest || number == 0 || number > INT32_MAX || *rest != '-')
		return false;
	rest = hak_protocol_read_number(rest + 1, start_time);
	if (!rest)
		return false;
	for (; *suffix; suffix++, rest++) {
		if (*rest != *suffix)
			return false;
	}
	if (*rest)
		return false;
	*pid = (pid_t)number;
	return true;
}

/* Fills in the address of socket `name` in `directory`, for bind and connect. sun_path holds 107 bytes: where the path
 * is longer, directory_fd (the opened directory, or -1) is used as /proc/thread-self/fd/N/name. Returns false if
 * neither fits. */
static inline bool hak_protocol_address(struct sockaddr_un *address, const char *directory, int directory_fd,
	const char *name)
{
	struct hak_protocol_text text = {address->sun_path, sizeof(address->sun_path), 0, false};

	address->sun_family = AF_UNIX;
	hak_protocol_put(&text, directory);
	hak_protocol_put(&text, "/");
	hak_protocol_put(&text, name);
	if (text.overflow && directory_fd >= 0) {
		text = (struct hak_protocol_text){address->sun_path, sizeof(address->sun_path), 0, false};
		hak_protocol_put(&text, "/proc/thread-self/fd/");
		hak_protocol_put_number(&text, (uint64_t)directory_fd);
		hak_protocol_put(&text, "/");
		hak_protocol_put(&text, name);
	}
	return !text.overflow;
}

#endif
