#include "viewer/trace_reader.h"

#include <string.h>

static uint64_t read_number(const struct trace_file *file, const char *at, unsigned bytes)
{
	unsigned char raw[8];
	uint64_t value = 0;
	memcpy(raw, at, bytes);
	/* Byte by byte from the most significant one, which is the first where the order is big-endian. */
	bool big = (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) != file->swapped;
	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | raw[big ? i : bytes - 1 - i];
	return value;
}

#define READ(file, at, type, member) \
	read_number((file), (at) + offsetof(type, member), sizeof(((type *)0)->member))

bool trace_file_is(const char *bytes, size_t length)
{
	return length >= 8 && memcmp(bytes, HAK_TRACE_FILE_MAGIC, 8) == 0;
}

/* Whether `count` rows of `stride` bytes lie in the file from `at` on. */
static bool is_inside(uint64_t length, uint64_t at, uint64_t count, uint64_t stride)
{
	return at <= length && (count == 0 || (stride > 0 && count <= (length - at) / stride));
}

bool trace_file_open(struct trace_file *file, const char *bytes, size_t length, struct problem *problem)
{
	struct hak_trace_header *header = &file->header;
	*file = (struct trace_file){.bytes = bytes, .length = length};
	if (!trace_file_is(bytes, length))
		return problem_set(problem, "it does not begin like a trace file");
	if (length < sizeof(*header))
		return problem_set(problem, "the trace file ends within its header, after %zu bytes", length);
	memcpy(header, bytes, sizeof(*header));
	if (header->byte_order != HAK_TRACE_FILE_ORDER) {
		file->swapped = true;
		if (READ(file, bytes, struct hak_trace_header, byte_order) != HAK_TRACE_FILE_ORDER)
			return problem_set(problem, "the trace file's header is damaged: it has no byte order");
	}
#define TAKE(member) header->member = (__typeof__(header->member))READ(file, bytes, struct hak_trace_header, member);
	TAKE(version) TAKE(file_bytes) TAKE(sections_at) TAKE(fields_at) TAKE(sections) TAKE(fields)
	TAKE(section_stride) TAKE(field_stride)
	if (header->version != HAK_TRACE_FILE_VERSION)
		return problem_set(problem, "the trace file is of version %u; this viewer knows version %d",
			header->version, HAK_TRACE_FILE_VERSION);
	if (header->file_bytes > length)
		return problem_set(problem, "the trace file is cut off: %zu of its %llu bytes are there", length,
			(unsigned long long)header->file_bytes);
	if (header->section_stride < sizeof(struct hak_trace_section) ||
		header->field_stride < sizeof(struct hak_trace_field) ||
		!is_inside(length, header->sections_at, header->sections, header->section_stride) ||
		!is_inside(length, header->fields_at, header->fields, header->field_stride))
		return problem_set(problem, "the trace file's header is damaged: its tables lie outside the file");
	return true;
}

static bool has_name(const char *at, size_t size, const char *name)
{
	size_t length = strlen(name);
	return length < size && memcmp(at, name, length + 1) == 0;
}

static struct trace_column find(const struct trace_file *file, const char *section, const char *field, unsigned kind)
{
	const struct hak_trace_header *header = &file->header;
	const struct trace_column none = {.file = file};
	const char *at = file->bytes + header->sections_at, *end = at + (size_t)header->sections * header->section_stride;
	while (at < end && !has_name(at, sizeof(((struct hak_trace_section *)0)->name), section))
		at += header->section_stride;
	if (at == end)
		return none;
	uint64_t rows_at = READ(file, at, struct hak_trace_section, at);
	struct trace_column column = {.file = file, .rows = READ(file, at, struct hak_trace_section, count),
		.stride = READ(file, at, struct hak_trace_section, stride)};
	uint64_t first = READ(file, at, struct hak_trace_section, first_field);
	uint64_t fields = READ(file, at, struct hak_trace_section, fields);
	if (!is_inside(file->length, rows_at, column.rows, column.stride) || first > header->fields ||
		fields > header->fields - first)
		return none;
	at = file->bytes + header->fields_at + (size_t)first * header->field_stride;
	end = at + (size_t)fields * header->field_stride;
	for (; at < end; at += header->field_stride) {
		if (has_name(at, sizeof(((struct hak_trace_field *)0)->name), field) &&
			READ(file, at, struct hak_trace_field, kind) == kind)
			break;
	}
	if (at == end)
		return none;
	uint64_t in_row = READ(file, at, struct hak_trace_field, at);
	column.bytes = (uint16_t)READ(file, at, struct hak_trace_field, bytes);
	column.items = (uint32_t)READ(file, at, struct hak_trace_field, count);
	column.item_stride = (uint32_t)READ(file, at, struct hak_trace_field, stride);
	/* 32-bit numbers, whose product fits. */
	uint64_t last = column.items > 0 ? (uint64_t)(column.items - 1) * column.item_stride : 0;
	if (column.items == 0 || in_row + last + column.bytes > column.stride)
		return none;
	column.first = file->bytes + rows_at + in_row;
	return column;
}

struct trace_column trace_numbers(const struct trace_file *file, const char *section, const char *field)
{
	struct trace_column column = find(file, section, field, HAK_TRACE_NUMBER);
	if (column.bytes != 1 && column.bytes != 2 && column.bytes != 4 && column.bytes != 8)
		column.rows = 0;
	return column;
}

struct trace_column trace_texts(const struct trace_file *file, const char *section, const char *field)
{
	return find(file, section, field, HAK_TRACE_TEXT);
}

uint64_t trace_number(const struct trace_column *column, uint64_t row, uint32_t item)
{
	if (row >= column->rows || item >= column->items)
		return 0;
	return read_number(column->file, column->first + row * column->stride + (size_t)item * column->item_stride,
		column->bytes);
}

const char *trace_text(const struct trace_column *column, uint64_t row, uint32_t item, size_t *length)
{
	*length = 0;
	if (row >= column->rows || item >= column->items)
		return "";
	const char *text = column->first + row * column->stride + (size_t)item * column->item_stride;
	*length = strnlen(text, column->bytes);
	return text;
}
