#include "viewer/chunk.h"

#include <string.h>
#include <zlib.h>

#define CHUNK_MAGIC 0x4b4d4148u /* "HAMK" */
#define LEVEL 3
#define DEFAULT_MEM_LEVEL 8 /* of zlib, which doesn't name it */
/* Beyond so many bytes only runs are looked for: a whole moment of 5,000 SuperSlabs would hold up the screen for 50 ms. */
#define QUICK_BYTES ((size_t)128 << 10)

static void put_32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get_32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool deflate_into(uint8_t *out, size_t room, const void *raw, size_t length, size_t *stored)
{
	z_stream stream = {.next_in = (z_const Bytef *)raw, .avail_in = (uInt)length, .next_out = out, .avail_out = (uInt)room};
	if (deflateInit2(&stream, LEVEL, Z_DEFLATED, MAX_WBITS, DEFAULT_MEM_LEVEL, length > QUICK_BYTES ? Z_RLE : Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
	*stored = stream.total_out;
	return deflateEnd(&stream) == Z_OK && done;
}

bool chunk_pack(struct bytes *out, char type, uint64_t time_us, const void *raw, size_t length)
{
	if (length > MOMENT_BYTES_MAX)
		return false;
	size_t before = out->length;
	/* That bound holds for the default window and memory, whatever the strategy. */
	size_t room = compressBound((uLong)length), stored = 0;
	uint8_t *head = bytes_extend(out, CHUNK_HEAD + room);
	if (head == NULL || !deflate_into(head + CHUNK_HEAD, room, raw, length, &stored)) {
		out->length = before;
		return false;
	}
	out->length = before + CHUNK_HEAD + stored;
	memset(head, 0, CHUNK_HEAD);
	put_32(head, CHUNK_MAGIC);
	head[4] = (uint8_t)type;
	put_32(head + 8, (uint32_t)time_us);
	put_32(head + 12, (uint32_t)(time_us >> 32));
	put_32(head + 16, (uint32_t)stored);
	put_32(head + 20, (uint32_t)length);
	put_32(head + 24, (uint32_t)crc32(0, head + CHUNK_HEAD, (uInt)stored));
	put_32(head + 28, (uint32_t)crc32(0, head, 28));
	return true;
}

bool chunk_head(struct chunk *chunk, const uint8_t *head)
{
	if (get_32(head) != CHUNK_MAGIC || get_32(head + 28) != (uint32_t)crc32(0, head, 28))
		return false;
	*chunk = (struct chunk){
		.type = (char)head[4], .time_us = get_32(head + 8) | (uint64_t)get_32(head + 12) << 32,
		.stored = get_32(head + 16), .raw = get_32(head + 20), .checksum = get_32(head + 24),
	};
	return chunk->raw <= MOMENT_BYTES_MAX && chunk->stored <= compressBound(MOMENT_BYTES_MAX);
}

bool chunk_unpack(const struct chunk *chunk, const uint8_t *stored, struct bytes *raw)
{
	uLongf length = chunk->raw;
	bytes_reset(raw);
	uint8_t *room = bytes_extend(raw, chunk->raw + 1); /* zlib wants a place even for nothing */
	if (room == NULL || (uint32_t)crc32(0, stored, chunk->stored) != chunk->checksum ||
		uncompress(room, &length, stored, chunk->stored) != Z_OK || length != chunk->raw) {
		bytes_reset(raw);
		return false;
	}
	raw->length = chunk->raw;
	return true;
}
