/* trace_reader.h: a trace file, which outlived its process, opened: its fields by name, every place checked.
 *
 * Nothing in the file is trusted: a process that was killed left it in whatever state it had, and a hostile one may have
 * anything in it. What the header's tables say is checked once, so that reading a number or a text afterwards can't leave
 * the file. */
#ifndef VIEWER_TRACE_READER_H
#define VIEWER_TRACE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "introspect/trace_layout.h"
#include "viewer/problem.h"

struct trace_file {
	const char *bytes;
	size_t length;
	bool swapped; /* written on a machine of the other byte order */
	struct hak_trace_header header;
};

/* A field of a section, for all its rows. All zero it has none. */
struct trace_column {
	const struct trace_file *file;
	const char *first; /* the field's first byte in row 0 */
	uint64_t rows, stride;
	uint32_t items, item_stride; /* of an array in the row */
	uint16_t bytes;
};

/* Whether bytes begin like a trace file. */
bool trace_file_is(const char *bytes, size_t length);
/* Reads the header. Returns false and says what is wrong. The bytes must stay. */
bool trace_file_open(struct trace_file *file, const char *bytes, size_t length, struct problem *problem);
/* A column of numbers or of texts; one without rows if the file has no such field, or not within its bounds. */
struct trace_column trace_numbers(const struct trace_file *file, const char *section, const char *field);
struct trace_column trace_texts(const struct trace_file *file, const char *section, const char *field);
/* The number in a row, of an array's item; 0 beyond either. */
uint64_t trace_number(const struct trace_column *column, uint64_t row, uint32_t item);
/* The text likewise, at most `*length` bytes without a zero; "" beyond. */
const char *trace_text(const struct trace_column *column, uint64_t row, uint32_t item, size_t *length);

#endif
