#include "viewer/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"

#define FIRST_CAPACITY 4096
#define TEXT_MAX 4096 /* a longer one is none of ours */

uint8_t *bytes_extend(struct bytes *bytes, size_t count)
{
	if (bytes->failed)
		return NULL;
	if (bytes->capacity - bytes->length < count) {
		size_t capacity = bytes->capacity > 0 ? bytes->capacity : FIRST_CAPACITY;
		while (capacity - bytes->length < count)
			capacity *= 2;
		uint8_t *data = realloc(bytes->data, capacity);
		if (data == NULL) {
			bytes->failed = true;
			return NULL;
		}
		bytes->data = data;
		bytes->capacity = capacity;
	}
	bytes->length += count;
	return bytes->data + bytes->length - count;
}

void bytes_put(struct bytes *bytes, const void *data, size_t count)
{
	uint8_t *room = bytes_extend(bytes, count);
	if (room != NULL && count > 0)
		memcpy(room, data, count);
}

void bytes_byte(struct bytes *bytes, uint8_t byte)
{
	bytes_put(bytes, &byte, 1);
}

void bytes_number(struct bytes *bytes, uint64_t number)
{
	uint8_t out[10];
	size_t count = 0;
	do {
		out[count++] = (uint8_t)(number & 0x7f) | (number > 0x7f ? 0x80 : 0);
		number >>= 7;
	} while (number > 0);
	bytes_put(bytes, out, count);
}

void bytes_step(struct bytes *bytes, uint64_t from, uint64_t to)
{
	uint64_t step = to - from;
	bytes_number(bytes, step << 1 ^ (step >> 63 != 0 ? UINT64_MAX : 0));
}

void bytes_text(struct bytes *bytes, const char *text)
{
	size_t length = strlen(text);
	bytes_number(bytes, length);
	bytes_put(bytes, text, length);
}

void bytes_reset(struct bytes *bytes)
{
	bytes->length = 0;
	bytes->failed = false;
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->data);
	memset(bytes, 0, sizeof(*bytes));
}

size_t reader_left(const struct reader *reader)
{
	return reader->bad ? 0 : (size_t)(reader->end - reader->at);
}

uint8_t reader_byte(struct reader *reader)
{
	if (reader_left(reader) == 0) {
		reader->bad = true;
		return 0;
	}
	return *reader->at++;
}

uint64_t reader_number(struct reader *reader)
{
	uint64_t number = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = reader_byte(reader);
		if (shift == 63 && byte > 1)
			break;
		number |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return number;
	}
	reader->bad = true;
	return 0;
}

uint64_t reader_step(struct reader *reader, uint64_t from)
{
	uint64_t code = reader_number(reader);
	return from + (code >> 1 ^ ((code & 1) != 0 ? UINT64_MAX : 0));
}

void reader_text(struct reader *reader, char *out, size_t size)
{
	char text[TEXT_MAX + 1];
	uint64_t length = reader_number(reader);
	out[0] = '\0';
	if (length > TEXT_MAX || length > reader_left(reader)) {
		reader->bad = true;
		return;
	}
	memcpy(text, reader->at, length);
	text[length] = '\0';
	reader->at += length;
	format_printable(out, size, text);
}
