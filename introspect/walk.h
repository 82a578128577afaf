/* walk.h: from a frame to its callers, by the rules of cfi.h.
 *
 * A walk takes no lock for what the cache of rules holds, needs no descriptor, and reads nothing outside the bounds of the stack
 * that it is given. */
#ifndef HAK_WALK_H
#define HAK_WALK_H

#include "introspect/cfi.h"
#include "introspect/trail.h"

/* Readies the cache, once. Returns false if memory is refused: then each frame is looked up under the loader's lock. */
bool hak_walk_begin(void);

/* The rule for the instruction at `pc`. Any thread. */
struct hak_cfi_rule hak_walk_find(uintptr_t pc);

/* The registers of a moment: of one that a signal interrupted. */
struct hak_walk_start {
	uintptr_t pc, sp, fp;
	uintptr_t ra; /* aarch64: x30, for functions that haven't saved it; else 0 */
};

/* Those of the function that it stands in, of one moment: what the table says of that instruction fits them. */
#if defined(__x86_64__)
#define hak_walk_here(start) \
	__asm__ volatile("lea 0(%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2" \
			 : "=&r"((start).pc), "=&r"((start).sp), "=&r"((start).fp))
#elif defined(__aarch64__)
#define hak_walk_here(start) \
	__asm__ volatile("adr %0, .\n\tmov %1, sp\n\tmov %2, x29" : "=&r"((start).pc), "=&r"((start).sp), "=&r"((start).fp))
#endif

/* Walks from `start` upwards, in a function that hasn't returned since, on a stack that ends at `end`. Writes return addresses,
 * `room` at most, and returns how many. *last is the kind of the rule that ended it: HAK_CFI_OUTERMOST where there was no more,
 * or no room; else it may have missed some. Notes in *trail what it went by; NULL: that isn't wanted. */
unsigned hak_walk(const struct hak_walk_start *start, uintptr_t *frames, unsigned room, uintptr_t end, enum hak_cfi_kind *last,
	struct hak_trail *trail);

/* Files that had been unloaded when rules were last looked up: others may lie where they did. */
uint64_t hak_walk_unloads(void);

/* In a child of fork: any thread of the parent's may have been in the loader, which another process can't wait for. From here on
 * rules are found without the loader's lock, where libc can do that (2.35), but files that are unloaded are not noticed. */
void hak_walk_fork_child(void);

/* The same in a signal's handler, from the moment that it interrupted: no lock is taken where object.h needs none. start->pc itself
 * is not among the frames. */
unsigned hak_walk_in_handler(
	const struct hak_walk_start *start, uintptr_t *frames, unsigned room, uintptr_t end, enum hak_cfi_kind *last);

#endif
