/* chunk.h: a piece of a recording: a head of fixed size, then compressed bytes, each with a checksum. README.md
 * describes it. The last minutes in memory are kept in the same pieces. */
#ifndef VIEWER_CHUNK_H
#define VIEWER_CHUNK_H

#include "viewer/bytes.h"
#include "viewer/moment.h"

#define CHUNK_HEAD 32
#define CHUNK_TEXT_MAX 256

enum chunk_type {
	CHUNK_LAYOUT = 'L', /* the fields of moments, by name; the first of a file */
	CHUNK_WHOLE = 'W',  /* a moment from nothing */
	CHUNK_STEP = 'S',   /* a moment from the one before it */
	CHUNK_EVENTS = 'E', /* events up to the next moment */
	CHUNK_MARK = 'M',   /* the user's mark on the last moment; a text */
	CHUNK_NOTE = 'N',   /* what became of the target; a text */
	CHUNK_PROFILE = 'P', /* a heap profile of about the last moment: the target's message */
};

struct chunk {
	char type; /* enum chunk_type, or another, which is to be passed over */
	uint64_t time_us;
	uint32_t stored, raw; /* bytes: as they are stored behind the head, and unpacked */
	uint32_t checksum;    /* of the stored bytes */
};

/* Appends a chunk. Returns false without memory, and for more than MOMENT_BYTES_MAX. */
bool chunk_pack(struct bytes *out, char type, uint64_t time_us, const void *raw, size_t length);
/* Reads a head of CHUNK_HEAD bytes. Returns false if it is none. */
bool chunk_head(struct chunk *chunk, const uint8_t *head);
/* Unpacks the stored bytes, replacing what `raw` held; never more than the head says. Returns false if they are damaged
 * or memory is out. */
bool chunk_unpack(const struct chunk *chunk, const uint8_t *stored, struct bytes *raw);

#endif
