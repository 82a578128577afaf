/* json.c: the streaming writer. Room is asked for before each piece, so that a failure never leaves half an escape. */
#include "introspect/json.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define LONGEST_PIECE 32 /* bytes that are put at once: a number, an escape, punctuation */

static bool fail(struct hak_json *json, int error)
{
	if (!json->error)
		json->error = error;
	return false;
}

static bool grow_buffer(struct hak_json *json, size_t need)
{
	struct hak_buffer *buffer = json->buffer;
	size_t before = buffer->length;

	/* The bytes written so far lie behind the buffer's length; reserve counts them as part of what is wanted. */
	if (!hak_buffer_reserve(buffer, json->length + need))
		return fail(json, errno);
	json->data = buffer->data + before;
	json->capacity = buffer->capacity - before;
	return true;
}

/* Waits until `fd`, which does not wait by itself, takes more. Returns false if that does not happen in time. */
static bool wait_for_room(int fd)
{
	struct pollfd entry = {fd, POLLOUT, 0};
	int result;

	do
		result = poll(&entry, 1, HAK_JSON_WAIT_MS);
	while (result < 0 && errno == EINTR);
	if (result == 0)
		errno = ETIMEDOUT;
	return result > 0;
}

static bool flush_fd(struct hak_json *json, size_t need)
{
	size_t written = 0;

	while (written < json->length) {
		ssize_t result = write(json->fd, json->data + written, json->length - written);

		if (result < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_room(json->fd))))
			continue;
		if (result < 0)
			return fail(json, errno);
		written += (size_t)result;
	}
	json->total += written;
	json->length = 0;
	return need <= json->capacity || fail(json, ENOSPC);
}

void hak_json_to_memory(struct hak_json *json, void *data, size_t capacity)
{
	*json = (struct hak_json){.data = data, .capacity = capacity, .fd = -1};
}

void hak_json_to_buffer(struct hak_json *json, struct hak_buffer *buffer)
{
	*json = (struct hak_json){.make_room = grow_buffer, .buffer = buffer, .fd = -1};
}

void hak_json_to_fd(struct hak_json *json, int fd, void *chunk, size_t capacity)
{
	*json = (struct hak_json){.data = chunk, .capacity = capacity, .make_room = flush_fd, .fd = fd};
}

bool hak_json_finish(struct hak_json *json)
{
	if (json->depth || json->after_key)
		fail(json, EINVAL);
	if (!json->error && json->fd >= 0)
		flush_fd(json, 0);
	if (!json->error && json->buffer)
		json->buffer->length += json->length;
	return json->error == 0;
}

/* Puts bytes, at most LONGEST_PIECE of them, unless something failed already. */
static void put(struct hak_json *json, const char *bytes, size_t length)
{
	if (json->error)
		return;
	if (json->capacity - json->length < length) {
		if (!json->make_room) {
			fail(json, ENOSPC);
			return;
		}
		if (!json->make_room(json, length))
			return;
	}
	memcpy(json->data + json->length, bytes, length);
	json->length += length;
}

/* What stands before every value: a comma, if it is not the first member. */
static void begin_value(struct hak_json *json)
{
	uint64_t bit = 1ull << json->depth;

	if (json->after_key) {
		json->after_key = false;
		return;
	}
	/* Inside an object a value needs its key first. */
	if (json->depth && !(json->is_array & bit))
		fail(json, EINVAL);
	if (json->depth && (json->has_members & bit))
		put(json, ",", 1);
	json->has_members |= bit;
}

static void open_level(struct hak_json *json, const char *bracket, bool array)
{
	uint64_t bit;

	begin_value(json);
	if (json->depth == HAK_JSON_DEPTH) {
		fail(json, EOVERFLOW);
		return;
	}
	put(json, bracket, 1);
	bit = 1ull << ++json->depth;
	json->has_members &= ~bit;
	json->is_array = array ? json->is_array | bit : json->is_array & ~bit;
}

void hak_json_object(struct hak_json *json)
{
	open_level(json, "{", false);
}

void hak_json_array(struct hak_json *json)
{
	open_level(json, "[", true);
}

void hak_json_end(struct hak_json *json)
{
	if (json->depth == 0 || json->after_key) {
		fail(json, EINVAL);
		return;
	}
	put(json, json->is_array & (1ull << json->depth) ? "]" : "}", 1);
	json->depth--;
}

/* The length of the valid UTF-8 sequence at `text`, 0 if there is none: no overlong forms, no surrogates, nothing above
 * U+10FFFF. */
static size_t utf8_length(const unsigned char *text, size_t left)
{
	unsigned char lead = text[0];
	size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;

	if (length == 0 || length > left)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xC0) != 0x80)
			return 0;
	}
	if ((lead == 0xE0 && text[1] < 0xA0) || (lead == 0xED && text[1] > 0x9F))
		return 0;
	if ((lead == 0xF0 && text[1] < 0x90) || (lead == 0xF4 && text[1] > 0x8F))
		return 0;
	return length;
}

/* How many bytes at the front of `text` stand for themselves, of the first that are put at once. */
static size_t plain_length(const unsigned char *text, size_t left)
{
	size_t length = 0, limit = left < LONGEST_PIECE ? left : LONGEST_PIECE;

	while (length < limit && text[length] >= 0x20 && text[length] < 0x7F && text[length] != '"' &&
		text[length] != '\\')
		length++;
	return length;
}

/* The control character from U+007F to U+009F that `length` bytes at `text` are, 0 if they are none. JSON lets these
 * through, but terminals obey them. */
static unsigned char control_at(const unsigned char *text, size_t length)
{
	if (length == 1)
		return *text == 0x7F ? *text : 0;
	return length == 2 && text[0] == 0xC2 && text[1] < 0xA0 ? text[1] : 0;
}

/* Puts the escape of a control character or of a byte that JSON reserves. */
static void put_escape(struct hak_json *json, unsigned char byte)
{
	static const char digits[] = "0123456789abcdef";
	const char *short_form = byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : byte == '\r' ? "\\r" : NULL;
	char escape[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};

	if (byte == '"' || byte == '\\') {
		escape[1] = (char)byte;
		put(json, escape, 2);
	} else if (short_form) {
		put(json, short_form, 2);
	} else {
		put(json, escape, 6);
	}
}

void hak_json_string_n(struct hak_json *json, const char *text, size_t length)
{
	const unsigned char *byte = (const unsigned char *)text;

	begin_value(json);
	put(json, "\"", 1);
	json->in_string = true;
	while (length) {
		size_t plain = plain_length(byte, length);
		size_t step = plain ? plain : utf8_length(byte, length);

		if (plain) {
			put(json, (const char *)byte, plain);
		} else if (step == 0) {
			put(json, "\xEF\xBF\xBD", 3);
			step = 1;
		} else if (*byte < 0x20 || *byte == '"' || *byte == '\\') {
			put_escape(json, *byte);
		} else if (control_at(byte, step)) {
			put_escape(json, control_at(byte, step));
		} else {
			put(json, (const char *)byte, step);
		}
		byte += step;
		length -= step;
	}
	json->in_string = false;
	put(json, "\"", 1);
}

void hak_json_string(struct hak_json *json, const char *text)
{
	hak_json_string_n(json, text, strlen(text));
}

void hak_json_key(struct hak_json *json, const char *name)
{
	uint64_t bit = 1ull << json->depth;

	if (json->depth == 0 || json->after_key || (json->is_array & bit)) {
		fail(json, EINVAL);
		return;
	}
	if (json->has_members & bit)
		put(json, ",", 1);
	json->has_members |= bit;
	json->after_key = true; /* so that the name's string is written without a comma of its own */
	json->in_key = true;
	hak_json_string(json, name);
	put(json, ":", 1);
	json->in_key = false;
	json->after_key = true;
}

void hak_json_unwind(struct hak_json *json, unsigned depth)
{
	if (json->in_string)
		put(json, "\"", 1);
	if (json->in_key)
		put(json, ":", 1);
	if (json->in_key || json->after_key) {
		json->after_key = true;
		hak_json_null(json);
	}
	json->in_string = json->in_key = false;
	while (json->depth > depth)
		hak_json_end(json);
}

/* Writes `number` in `base` so that it ends before `end`; returns its first digit. */
static char *format_number(char *end, uint64_t number, unsigned base)
{
	do {
		*--end = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	return end;
}

void hak_json_u64(struct hak_json *json, uint64_t number)
{
	char digits[LONGEST_PIECE];
	char *end = digits + sizeof(digits);
	char *first = format_number(end, number, 10);

	begin_value(json);
	put(json, first, (size_t)(end - first));
}

void hak_json_i64(struct hak_json *json, int64_t number)
{
	char digits[LONGEST_PIECE];
	char *end = digits + sizeof(digits);
	char *first = format_number(end, number < 0 ? -(uint64_t)number : (uint64_t)number, 10);

	if (number < 0)
		*--first = '-';
	begin_value(json);
	put(json, first, (size_t)(end - first));
}

void hak_json_hex(struct hak_json *json, uint64_t address)
{
	char digits[LONGEST_PIECE];
	char *end = digits + sizeof(digits) - 1;
	char *first = format_number(end, address, 16);

	*end = '"';
	*--first = 'x';
	*--first = '0';
	*--first = '"';
	begin_value(json);
	put(json, first, (size_t)(end + 1 - first));
}

void hak_json_bool(struct hak_json *json, bool value)
{
	begin_value(json);
	put(json, value ? "true" : "false", value ? 4 : 5);
}

void hak_json_null(struct hak_json *json)
{
	begin_value(json);
	put(json, "null", 4);
}

void hak_json_raw(struct hak_json *json, const char *text, size_t length)
{
	bool at_line_start = true;

	begin_value(json);
	/* Strings hold no raw newlines, so what follows one is never inside a string. */
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n')
			at_line_start = true;
		else if (text[i] != ' ' && text[i] != '\t')
			at_line_start = false;
		if (!at_line_start)
			put(json, text + i, 1);
	}
}

void hak_json_newline(struct hak_json *json)
{
	put(json, "\n", 1);
}

void hak_json_member_string(struct hak_json *json, const char *name, const char *text)
{
	hak_json_key(json, name);
	hak_json_string(json, text);
}

void hak_json_member_u64(struct hak_json *json, const char *name, uint64_t number)
{
	hak_json_key(json, name);
	hak_json_u64(json, number);
}

void hak_json_member_hex(struct hak_json *json, const char *name, uint64_t address)
{
	hak_json_key(json, name);
	hak_json_hex(json, address);
}
