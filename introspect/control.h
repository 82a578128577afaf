/* control.h: what the verb `set` changes, and changes back when its time is over. One thread uses it: the endpoint's.
 * A child of fork goes on where its parent was. */
#ifndef HAK_CONTROL_H
#define HAK_CONTROL_H

#include "introspect/request.h"

/* Begins with `trace`: the groups that are recorded although nobody has subscribed to them. */
void hak_control_begin(uint32_t trace);

/* The present value. */
uint64_t hak_control_get(enum hak_control control);

/* Sets the values that `request` gives, at `now` (CLOCK_MONOTONIC, microseconds). With for_ms they revert after that
 * time to what they were when the first of such requests in a row came; without, for good. HAK_CONTROL_TRACE is only
 * noted: who streams events decides what is recorded. Returns false if guards could not be set as it says: memory is refused.
 */
bool hak_control_set(const struct hak_request *request, uint64_t now);

/* When the next value reverts, UINT64_MAX if none does. */
uint64_t hak_control_due(void);

/* When this one reverts, 0 if it doesn't. */
uint64_t hak_control_reverts_us(enum hak_control control);

/* Reverts what is due. Returns whether anything was. */
bool hak_control_revert(uint64_t now);

#endif
