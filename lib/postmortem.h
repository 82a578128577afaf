/* postmortem.h: what the heap knows of an address, for one who may take no lock: a signal handler, after a crash.
 *
 * The answers are read from records that may be in the midst of a change, and are as good as these. Nothing waits, and
 * nothing is written. */
#ifndef HAK_POSTMORTEM_H
#define HAK_POSTMORTEM_H

#include "inspect.h"

/* What lies at an address of HAKMEM's: X(name, "meaning"). */
#define HAK_WHEREABOUTS(X) \
	X(foreign, "not HAKMEM's") \
	X(reserved, "address space that HAKMEM has not brought into use") \
	X(unused, "an UNUSED slot, or a SuperSlab out of use") \
	X(untouched, "a block that was never handed out since its slab was made") \
	X(free, "a block that was freed, and lies in its slab or an EMPTY slot") \
	X(cached, "a block that was freed, and lies in a thread's cache or on its way between threads") \
	X(live, "a block that the program was given and has not freed") \
	X(tail, "the bytes behind a slab's last block")

enum hak_whereabouts_kind {
#define X(name, meaning) HAK_AT_##name,
	HAK_WHEREABOUTS(X)
#undef X
};

struct hak_whereabouts {
	uint8_t kind;  /* enum hak_whereabouts_kind; of the rest, only what it allows is meant */
	uint8_t state; /* enum hak_slot_state */
	uint8_t class; /* size class, HAK_NO_CLASS for large blocks and UNUSED slots */
	uintptr_t superslab;
	unsigned slot;         /* of the SuperSlab: where the slab or large run begins, if that is in it, else 0 */
	uintptr_t block;       /* where the block begins, 0 if the address lies in none */
	uint64_t block_number; /* in its slab */
	uint64_t block_bytes;
	uint64_t offset;       /* of the address in the block */
};

/* Looks an address up in the records. A block that a thread has cached seems live: ask hak_postmortem_cached. */
void hak_postmortem_find(uintptr_t address, struct hak_whereabouts *out);

/* Looks for the block of a `live` answer in the caches of all threads and in the depot, and makes it `cached` if it is
 * there. Lists end where they are damaged. */
void hak_postmortem_cached(struct hak_whereabouts *at);

/* The text of the last mistake that was reported, with its address; NULL if none was. */
const char *hak_postmortem_report(uintptr_t *address);

/* The names of enum hak_whereabouts_kind. */
extern HAK_HIDDEN const char *const hak_whereabouts_names[];

#endif
