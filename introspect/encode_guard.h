/* encode_guard.h: what is guarded, and what guards have found, as JSON. */
#ifndef HAK_ENCODE_GUARD_H
#define HAK_ENCODE_GUARD_H

#include "introspect/json.h"
#include "lib/guard.h"

/* Writes an object: the snapshot's member "guard". */
void hak_encode_guard(struct hak_json *json, const struct hak_guard_counts *counts);

/* Writes values as `set` names them: a class or null for any, an address or null for any. */
void hak_encode_guard_class(struct hak_json *json, uint8_t class);
void hak_encode_guard_site(struct hak_json *json, uintptr_t site);

#endif
