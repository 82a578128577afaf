#include "viewer/output.h"

#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"

static size_t count_newlines(const char *bytes, size_t length)
{
	size_t newlines = 0;
	for (size_t i = 0; i < length; i++)
		newlines += bytes[i] == '\n'; /* NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult): all was written */
	return newlines;
}

/* Forgets old lines until `count` bytes have room; all of a line that is longer than what is kept. */
static void make_room(struct output *output, size_t count)
{
	if (output->length + count <= OUTPUT_BYTES_MAX)
		return;
	/* A quarter more than needed, so that a chatty command doesn't move a megabyte a write. */
	size_t drop = output->length + count - OUTPUT_BYTES_MAX + OUTPUT_BYTES_MAX / 4;
	if (drop > output->length)
		drop = output->length;
	char *newline = drop < output->length ? memchr(output->bytes + drop, '\n', output->length - drop) : NULL;
	if (newline != NULL)
		drop = (size_t)(newline - output->bytes) + 1;
	output->newlines -= count_newlines(output->bytes, drop);
	output->length -= drop;
	output->forgotten += drop;
	memmove(output->bytes, output->bytes + drop, output->length);
}

void output_add(struct output *output, const char *bytes, size_t count)
{
	if (output->bytes == NULL && (output->bytes = malloc(OUTPUT_BYTES_MAX)) == NULL) {
		output->forgotten += count;
		return;
	}
	if (count > OUTPUT_BYTES_MAX) {
		output->forgotten += count - OUTPUT_BYTES_MAX;
		bytes += count - OUTPUT_BYTES_MAX;
		count = OUTPUT_BYTES_MAX;
	}
	make_room(output, count);
	memcpy(output->bytes + output->length, bytes, count);
	output->length += count;
	output->newlines += count_newlines(bytes, count);
	output->lines = output->newlines + (output->length > 0 && output->bytes[output->length - 1] != '\n');
}

/* The end of an escape sequence that begins at `i`: CSI up to its final byte, OSC up to BEL or ST, else two bytes. */
static size_t skip_escape(const char *line, size_t i, size_t length)
{
	if (i + 1 >= length)
		return length;
	char kind = line[i + 1];
	i += 2;
	if (kind == '[') {
		while (i < length && !(line[i] >= 0x40 && line[i] <= 0x7e))
			i++;
		return i < length ? i + 1 : length;
	}
	if (kind == ']') {
		while (i < length && line[i] != '\a' && line[i] != 0x1b)
			i++;
		return i < length && line[i] == 0x1b ? (i + 2 < length ? i + 2 : length) : i < length ? i + 1 : length;
	}
	return i;
}

static void show_line(const char *line, size_t length, char *out, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < length && used + 1 < size;) {
		if (line[i] == 0x1b) {
			i = skip_escape(line, i, length);
		} else if (line[i] == '\r') {
			i++;
			if (i < length)
				used = 0;
		} else if (line[i] == '\t') {
			i++;
			do
				out[used++] = ' ';
			while (used % 8 != 0 && used + 1 < size);
		} else {
			out[used++] = (char)(line[i] != '\0' ? line[i] : '?');
			i++;
		}
	}
	out[used] = '\0';
}

void output_line(const struct output *output, size_t *cursor, char *out, size_t size)
{
	out[0] = '\0';
	if (*cursor >= output->length)
		return;
	const char *line = output->bytes + *cursor;
	const char *newline = memchr(line, '\n', output->length - *cursor);
	size_t length = newline != NULL ? (size_t)(newline - line) : output->length - *cursor;
	show_line(line, length, out, size);
	*cursor += length + 1;
}

size_t output_seek(const struct output *output, size_t back)
{
	size_t at = output->length;
	if (at > 0 && output->bytes[at - 1] == '\n')
		at--;
	while (at > 0 && back > 0) {
		if (output->bytes[at - 1] == '\n' && --back == 0)
			break;
		at--;
	}
	return at;
}

void output_free(struct output *output)
{
	free(output->bytes);
	memset(output, 0, sizeof(*output));
}
