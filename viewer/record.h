/* record.h: writes a recording: what a target was, moment by moment, into a file of bounded size. README.md describes
 * the format; recording.h reads it. */
#ifndef VIEWER_RECORD_H
#define VIEWER_RECORD_H

#include <limits.h>

#include "viewer/chunk.h"
#include "viewer/events.h"

#define RECORD_BYTES_DEFAULT ((uint64_t)64 << 20)
#define RECORD_BYTES_MIN ((uint64_t)64 << 10)
#define RECORD_PROFILE_MS 5000 /* between two profiles */
#define RECORD_WHOLE_EVERY 64 /* moments at most that one is worked out from */

/* The first bytes of a file. */
#define RECORDING_MAGIC "\x89HAKREC\n"
#define RECORDING_VERSION 1
#define RECORDING_HEAD 32
struct recording_head {
	uint32_t version, part; /* part: 0 for a recording's first file, 1 for the one after its first rotation, … */
	uint64_t session;       /* the same in all parts of a recording */
};
void recording_put_head(uint8_t out[RECORDING_HEAD], const struct recording_head *head);
/* Returns false if the bytes don't begin a recording, or their checksum is wrong. */
bool recording_get_head(struct recording_head *head, const uint8_t in[RECORDING_HEAD]);

struct record {
	int fd;              /* -1: not recording, or no longer */
	char path[PATH_MAX];
	uint64_t limit;      /* a file's bytes; beyond them it becomes FILE.1 and a new one begins */
	uint64_t written;
	struct recording_head head;
	struct snapshot *last; /* as a reader would work it out */
	uint64_t since_whole, events_seen, time_us;
	struct bytes raw, packed;
	bool told;              /* watch.c has put the problem into the note */
	struct problem problem; /* why recording has ended; empty if it hasn't */
};

/* Begins a recording at `path`: a regular file, which is made anew. One that is there already is replaced if it is a
 * recording or empty. Returns false and says why it can't be. */
bool record_open(struct record *record, const char *path, uint64_t limit, struct problem *problem);
/* Writes a moment, and before it the events of `log` that came since the last one. Each write brings whole chunks, so
 * that the file can be read whenever the viewer is killed. When that fails the recording ends, and `problem` says so. */
void record_moment(struct record *record, const struct snapshot *snapshot, const struct event_log *log);
/* Writes a line of text: the user's mark (CHUNK_MARK), or what became of the target (CHUNK_NOTE). */
void record_text(struct record *record, enum chunk_type type, const char *text);
/* Writes a profile message. One that doesn't fit into what is left of the file is left out: the next one comes soon. */
void record_profile(struct record *record, const char *json, size_t length);
void record_close(struct record *record);

#endif
