/* trace_layout.h: what a trace file looks like to whoever opens it; with protocol.h all that the viewer may include of
 * introspect.
 *
 * A trace file describes itself: behind a fixed header stands a table of sections, and behind that a table of fields. A
 * section is `count` rows of `stride` bytes; a field is a place in such a row, by name. So a reader looks up what it
 * knows by name and leaves the rest alone, in a file that an older or a newer HAKMEM wrote, on a machine of the other
 * byte order too. All integers are unsigned and stored in the writer's byte order.
 *
 * The file is memory that its process stored into until it ended, perhaps in the middle of something: every number in
 * it may be anything. Rows that change have a field `sequence`, odd while they do. */
#ifndef HAK_TRACE_LAYOUT_H
#define HAK_TRACE_LAYOUT_H

#include <stdint.h>

#define HAK_TRACE_FILE_MAGIC "HAKTRACE" /* without its terminating zero */
#define HAK_TRACE_FILE_VERSION 1        /* raised when a reader that goes by names would no longer understand */
#define HAK_TRACE_FILE_ORDER 0x01020304u
#define HAK_TRACE_FILE_SUFFIX ".trace"

struct hak_trace_header {
	char magic[8];       /* stored last, when all else is there */
	uint32_t byte_order; /* HAK_TRACE_FILE_ORDER */
	uint16_t version;
	uint16_t word_bytes; /* of a pointer of the writer's */
	uint64_t file_bytes;
	uint64_t sections_at; /* offset of the table */
	uint64_t fields_at;
	uint32_t sections, fields;            /* rows of the tables */
	uint32_t section_stride, field_stride; /* bytes of one, at least those below */
};

struct hak_trace_section {
	char name[16]; /* terminated */
	uint64_t at;   /* offset of row 0 */
	uint64_t count;
	uint64_t stride;
	uint32_t first_field, fields; /* its part of the table of fields */
};

enum hak_trace_kind { HAK_TRACE_NUMBER = 'N', HAK_TRACE_TEXT = 'T' };

/* A number of 1, 2, 4 or 8 bytes, or a text of `bytes` with a zero in it; `count` of them in a row of the section,
 * `stride` bytes from one to the next. */
struct hak_trace_field {
	char name[24]; /* terminated */
	uint32_t at;   /* offset in the row */
	uint16_t bytes;
	uint16_t kind; /* enum hak_trace_kind */
	uint32_t count, stride;
};

#endif
