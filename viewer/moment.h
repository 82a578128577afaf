/* moment.h: a snapshot in few bytes: what differs from the snapshot before it. The last minutes in memory and recordings
 * consist of moments; README.md describes the bytes.
 *
 * Counters are written in the order of a layout, which a recording names field by field: so a viewer that knows more of
 * them, or fewer, reads it all the same. */
#ifndef VIEWER_MOMENT_H
#define VIEWER_MOMENT_H

#include "viewer/bytes.h"
#include "viewer/model.h"
#include "viewer/problem.h"

/* What a hostile file can make the viewer hold: 256 GiB of heap take 104 MB. A heap beyond these is not kept. */
#define MOMENT_SUPERSLABS_MAX 131072u
#define MOMENT_THREADS_MAX 16384u
#define MOMENT_BYTES_MAX ((size_t)32 << 20)
#define MOMENT_FIELDS_MAX 255 /* of each kind, in a layout */

/* Where a field lies in its struct; MOMENT_UNKNOWN: another viewer's, to be read past. */
#define MOMENT_UNKNOWN UINT16_MAX
struct moment_fields {
	unsigned count;
	uint16_t at[MOMENT_FIELDS_MAX];
};

struct moment_layout {
	struct moment_fields counters, texts, classes, threads;
};

/* This viewer's own layout, and its names: lines of "counter memory.live_bytes", "class allocs", … */
const struct moment_layout *moment_layout(void);
void moment_write_layout(struct bytes *out);
/* Reads such lines. Returns false and says why if they aren't any, or if a field is missing without which there is no
 * snapshot. */
bool moment_read_layout(struct moment_layout *layout, const uint8_t *text, size_t length, struct problem *problem);

/* Whether `next` can be written as what differs from `base`: the same process, and later. */
bool moment_follows(const struct snapshot *base, const struct snapshot *next);
/* Appends `next`, as what differs from `base` (NULL: all of it). Ages may come out 2 ms older or younger. Returns
 * false for a heap beyond the limits above, or without memory. */
bool moment_encode(struct bytes *out, const struct snapshot *base, const struct snapshot *next);
/* Makes of *snapshot the one that bytes written by moment_encode add up to; NULL for one that was written whole.
 * Returns false and says why if they don't; then *snapshot is freed and NULL. What comes out keeps every promise that
 * parse.h's snapshots keep. */
bool moment_decode(struct snapshot **snapshot, const struct moment_layout *layout, const uint8_t *data, size_t length,
	struct problem *problem);

/* A copy that shares nothing; NULL without memory. */
struct snapshot *moment_copy(const struct snapshot *snapshot);

#endif
