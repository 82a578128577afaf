/* walk.h: from a frame to its callers, by the rules of cfi.h.
 *
 * A walk takes no lock for what the cache of rules holds, needs no descriptor, and reads nothing outside the bounds of the stack
 * that it is given. Each thread remembers its last walk, in 12 KiB that are mapped at its first; what is still there at the next
 * one is compared instead of looked up. */
#ifndef HAK_WALK_H
#define HAK_WALK_H

#include "introspect/cfi.h"

/* Readies the cache, once. Returns false if memory is refused: then each frame is looked up under the loader's lock. */
bool hak_walk_begin(void);

/* The rule for the instruction at `pc`. Any thread. */
struct hak_cfi_rule hak_walk_find(uintptr_t pc);

/* Walks from the calling function's frame upwards, on a stack that ends at `end`. Writes return addresses, `room` at most, and
 * returns how many. *last is the kind of the rule that ended it: HAK_CFI_OUTERMOST where there was no more, or no room; else it
 * may have missed some. */
unsigned hak_walk(uintptr_t *frames, unsigned room, uintptr_t end, enum hak_cfi_kind *last);

/* Ends what the calling thread remembers of its last walk. */
void hak_walk_thread_death(void);

/* The registers of a moment: of one that a signal interrupted. */
struct hak_walk_start {
	uintptr_t pc, sp, fp;
	uintptr_t ra; /* aarch64: x30, for functions that haven't saved it; else 0 */
};

/* The same from `start` upwards, in a signal's handler: no lock is taken where object.h needs none.
 * start->pc itself is not among the frames. */
unsigned hak_walk_from(
	const struct hak_walk_start *start, uintptr_t *frames, unsigned room, uintptr_t end, enum hak_cfi_kind *last);

#endif
