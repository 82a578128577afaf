/* delta.h: what has changed of the heap's state since a client was last told.
 *
 * Everything that a snapshot shows has the seq of the snapshot in which it last changed: rows of the slot map by
 * hak_snapshot_follow, the rest here, by comparing. So a delta can be made from any earlier snapshot on, without
 * keeping that one, and a client that missed some gets one delta for all of them. One thread uses it. */
#ifndef HAK_DELTA_H
#define HAK_DELTA_H

#include "introspect/encode.h"
#include "introspect/json.h"
#include "introspect/snapshot.h"

struct hak_delta {
	struct {
		struct hak_buffer text; /* its value as JSON */
		uint64_t seq;           /* when it became that */
	} parts[HAK_ENCODE_PART_COUNT];
	struct hak_buffer scratch;
	struct {
		struct hak_class_info info;
		uint64_t seq;
	} classes[HAK_CLASS_COUNT];
};

/* Takes note of what differs in `snapshot` from the one before; each is noted once, in order. All zero is the state
 * before the first. Returns false if memory is refused: then what has changed counts as changed at the next one. */
bool hak_delta_note(struct hak_delta *delta, const struct hak_snapshot *snapshot);

/* Writes the delta message from the snapshot with seq `base` to `snapshot`, which was noted last, and which follows;
 * `base` was noted too. */
void hak_delta_encode(struct hak_json *json, const struct hak_delta *delta, const struct hak_snapshot *snapshot,
	uint64_t base);

/* Gives the memory back. */
void hak_delta_free(struct hak_delta *delta);

#endif
