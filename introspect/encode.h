/* encode.h: the messages of the protocol as JSON. schema.json defines each field; the two change together.
 *
 * Every function writes one value at the writer's present place, without the newline that ends a message; failures stay
 * in the writer. Nothing allocates or locks. */
#ifndef HAK_ENCODE_H
#define HAK_ENCODE_H

#include "introspect/json.h"
#include "introspect/protocol.h"
#include "introspect/snapshot.h"
#include "lib/trace.h"

/* The greeting. exe is the program's path. */
void hak_encode_hello(struct hak_json *json, int32_t pid, uint64_t start_time, const char *exe);

/* A snapshot message. */
void hak_encode_snapshot(struct hak_json *json, const struct hak_snapshot *snapshot);

/* The members of a snapshot that a delta has whole if anything of them has changed, in their order. */
#define HAK_ENCODE_PARTS(X) \
	X(process) X(memory) X(stages) X(pool) X(large) X(lru) X(drain) X(syscalls) X(faults) X(guard) X(trace) X(threads)

enum hak_encode_part {
#define X(name) HAK_PART_##name,
	HAK_ENCODE_PARTS(X)
#undef X
	HAK_ENCODE_PART_COUNT
};

/* The member's name, and its value. */
const char *hak_encode_part_name(enum hak_encode_part part);
void hak_encode_part(struct hak_json *json, enum hak_encode_part part, const struct hak_snapshot *snapshot);

/* A row of classes, and one of superslabs, which `heap` may have from an earlier look (hak_inspect_changes). */
void hak_encode_class(struct hak_json *json, unsigned number, const struct hak_class_info *class);
void hak_encode_kept_superslab(
	struct hak_json *json, const struct hak_superslab_info *superslab, const struct hak_inspect *heap);

/* Opens a delta message, up to uptime_us. base is the seq that it builds on. */
void hak_encode_delta_begin(struct hak_json *json, const struct hak_snapshot *snapshot, uint64_t base);

/* Its members behind "type", for the object that is open: a dump goes on behind them. */
void hak_encode_snapshot_members(struct hak_json *json, const struct hak_snapshot *snapshot);

/* The same but "superslabs", which come last and of which each is one hak_encode_superslab: for a dump of a crash, which
 * has no memory for all at once. in_motion marks a row that was changing while it was read. */
void hak_encode_state_members(struct hak_json *json, const struct hak_snapshot *snapshot);
void hak_encode_superslab(struct hak_json *json, const struct hak_superslab_info *superslab, bool in_motion);

/* One event: {"time_us", "tid", "name", "group", "args": {…}}. An event with an id that is not in the table is skipped.
 * */
void hak_encode_event(struct hak_json *json, const struct hak_event *event);

/* What the endpoint knows of itself, for the stats message. */
struct hak_endpoint_stats {
	uint64_t clients;           /* connected now */
	uint64_t connections;       /* ever accepted */
	uint64_t requests;          /* lines read */
	uint64_t errors;            /* of them answered with an error */
	uint64_t snapshots;         /* taken, for deltas too */
	uint64_t deltas;            /* made */
	uint64_t dropped_snapshots; /* not queued, as the client's buffer was full */
	uint64_t disconnected;      /* clients thrown out: stuck, or idle where others came */
	uint64_t bytes_sent;
};
/* A stats message: every counter of lib/stats.def, the rings' totals, the endpoint's own figures; for `meshable`, unless
 * it is NULL, what merging its sparse slabs could free. */
void hak_encode_stats(
	struct hak_json *json, const struct hak_endpoint_stats *stats, const struct hak_inspect *meshable);

/* An openmetrics message: `text` is of openmetrics.h. */
void hak_encode_openmetrics(struct hak_json *json, const char *text, size_t length);

/* An error message. request is the line it answers (shortened here), message says what was wrong in words. */
void hak_encode_error(struct hak_json *json, const char *request, enum hak_protocol_error code, const char *message);

/* What a verb did. */
struct hak_done {
	uint64_t threads; /* drain, trim: asked to give their caches back */
	uint64_t bytes;   /* purge, trim: given back to the system */
	bool recorded;    /* mark: somebody listens */
	uint64_t checked; /* check: blocks, and of them those that were damaged */
	uint64_t damaged;
};
/* The reply of a verb that has no document of its own. */
void hak_encode_ok(struct hak_json *json, enum hak_protocol_verb verb, const struct hak_done *done);

/* The names of groups (bits of enum hak_trace_group), as a list. */
void hak_encode_groups(struct hak_json *json, uint32_t groups);

void hak_encode_pong(struct hak_json *json);
void hak_encode_dropped(struct hak_json *json, uint64_t snapshots);
void hak_encode_dump_written(struct hak_json *json, const char *path, uint64_t bytes);
/* The schema message: `text` is schema.json. */
void hak_encode_schema(struct hak_json *json, const char *text, size_t length);

#endif
