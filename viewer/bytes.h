/* bytes.h: bytes that grow as they are written, and bytes that are read with care: variable-length integers and
 * texts. What a recording consists of. */
#ifndef VIEWER_BYTES_H
#define VIEWER_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	uint8_t *data;
	size_t length, capacity;
	bool failed; /* memory ran out: what was written since is not there */
};

/* Appends `count` bytes of room and returns where they are; NULL without memory. */
uint8_t *bytes_extend(struct bytes *bytes, size_t count);
void bytes_put(struct bytes *bytes, const void *data, size_t count);
void bytes_byte(struct bytes *bytes, uint8_t byte);
/* Seven bits a byte, the lowest first; the top bit says that another byte follows. */
void bytes_number(struct bytes *bytes, uint64_t number);
/* The difference of two numbers, small in either direction: 0, -1, 1, -2, … become 0, 1, 2, 3, … */
void bytes_step(struct bytes *bytes, uint64_t from, uint64_t to);
/* The length, then the text without a terminator. */
void bytes_text(struct bytes *bytes, const char *text);
/* Forgets what was written, and keeps the room. */
void bytes_reset(struct bytes *bytes);
void bytes_free(struct bytes *bytes);

/* A reader. What is read past the end, or is no number, reads as 0 and sets `bad`. */
struct reader {
	const uint8_t *at, *end;
	bool bad;
};

size_t reader_left(const struct reader *reader);
uint8_t reader_byte(struct reader *reader);
uint64_t reader_number(struct reader *reader);
/* The number that is a step away from `from`. */
uint64_t reader_step(struct reader *reader, uint64_t from);
/* A text, made printable (format_printable) and cut to size - 1 bytes. */
void reader_text(struct reader *reader, char *out, size_t size);

#endif
