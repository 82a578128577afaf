#include "introspect/delta.h"

#include <string.h>

static bool note_part(struct hak_delta *delta, enum hak_encode_part part, const struct hak_snapshot *snapshot)
{
	struct hak_buffer *text = &delta->parts[part].text;
	struct hak_buffer *scratch = &delta->scratch;
	struct hak_buffer before = *text;
	struct hak_json json;

	scratch->length = 0;
	hak_json_to_buffer(&json, scratch);
	hak_encode_part(&json, part, snapshot);
	if (!hak_json_finish(&json))
		return false;
	if (scratch->length == before.length && memcmp(scratch->data, before.data, before.length) == 0)
		return true;
	*text = *scratch;
	*scratch = before;
	delta->parts[part].seq = snapshot->seq;
	return true;
}

bool hak_delta_note(struct hak_delta *delta, const struct hak_snapshot *snapshot)
{
	bool ok = true;

	for (unsigned part = 0; part < HAK_ENCODE_PART_COUNT; part++)
		ok &= note_part(delta, (enum hak_encode_part)part, snapshot);
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		const struct hak_class_info *now = &snapshot->heap.classes[class];

		if (memcmp(now, &delta->classes[class].info, sizeof(*now)) == 0)
			continue;
		delta->classes[class].info = *now;
		delta->classes[class].seq = snapshot->seq;
	}
	return ok;
}

/* The rows of the slot map that have changed, then the numbers of those that are gone. */
static void encode_rows(struct hak_json *json, const struct hak_snapshot *snapshot, uint64_t base)
{
	const struct hak_inspect *heap = &snapshot->heap;
	const uint64_t *versions = snapshot->versions.data;

	hak_json_key(json, "superslabs");
	hak_json_array(json);
	for (size_t i = 0; i < heap->superslab_count; i++) {
		if (versions[i] > base && heap->superslabs[i].address)
			hak_encode_kept_superslab(json, &heap->superslabs[i], heap);
	}
	hak_json_end(json);
	hak_json_key(json, "superslabs_gone");
	hak_json_array(json);
	for (size_t i = 0; i < heap->superslab_count; i++) {
		if (versions[i] > base && !heap->superslabs[i].address)
			hak_json_u64(json, i);
	}
	hak_json_end(json);
}

void hak_delta_encode(struct hak_json *json, const struct hak_delta *delta, const struct hak_snapshot *snapshot,
	uint64_t base)
{
	hak_encode_delta_begin(json, snapshot, base);
	for (unsigned part = 0; part < HAK_ENCODE_PART_COUNT; part++) {
		const struct hak_buffer *text = &delta->parts[part].text;

		if (delta->parts[part].seq <= base)
			continue;
		hak_json_key(json, hak_encode_part_name((enum hak_encode_part)part));
		hak_json_raw(json, text->data, text->length);
	}
	hak_json_key(json, "classes");
	hak_json_array(json);
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		if (delta->classes[class].seq > base)
			hak_encode_class(json, class, &delta->classes[class].info);
	}
	hak_json_end(json);
	encode_rows(json, snapshot, base);
	hak_json_end(json);
}

void hak_delta_free(struct hak_delta *delta)
{
	for (unsigned part = 0; part < HAK_ENCODE_PART_COUNT; part++)
		hak_buffer_free(&delta->parts[part].text);
	hak_buffer_free(&delta->scratch);
}
