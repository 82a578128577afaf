#include "introspect/encode_guard.h"

#include "lib/inspect.h"

void hak_encode_guard_class(struct hak_json *json, uint8_t class)
{
	if (class < HAK_CLASS_COUNT)
		hak_json_u64(json, class);
	else
		hak_json_null(json);
}

void hak_encode_guard_site(struct hak_json *json, uintptr_t site)
{
	if (site)
		hak_json_hex(json, site);
	else
		hak_json_null(json);
}

/* A rate and a seed may be any; JSON readers round what is above 2^53. */
static uint64_t clamp(uint64_t number)
{
	return number < HAK_JSON_NUMBER_MAX ? number : HAK_JSON_NUMBER_MAX;
}

void hak_encode_guard(struct hak_json *json, const struct hak_guard_counts *counts)
{
	hak_json_object(json);
	hak_json_member_string(json, "level", hak_guard_words[counts->choice.level]);
	hak_json_member_u64(json, "rate", clamp(counts->choice.rate));
	hak_json_key(json, "class");
	hak_encode_guard_class(json, counts->choice.class);
	hak_json_key(json, "site");
	hak_encode_guard_site(json, counts->choice.site);
	hak_json_member_u64(json, "seed", clamp(counts->seed));
	hak_json_member_u64(json, "slots", counts->slots);
	hak_json_member_u64(json, "armed", counts->armed);
	hak_json_member_u64(json, "taken", counts->taken);
	hak_json_member_u64(json, "lost", counts->lost);
	hak_json_member_u64(json, "quarantined_blocks", counts->quarantined_blocks);
	hak_json_member_u64(json, "quarantined_bytes", counts->quarantined_bytes);
	hak_json_member_u64(json, "checked", counts->checked);
	hak_json_member_u64(json, "reports", counts->reports);
	hak_json_end(json);
}
