/* guard.h: blocks that are watched for misuse, at two levels (HAKMEM_GUARD), and what is known of each.
 *
 * sample: one malloc in so many, drawn by chance, gets a block that stands alone at the end or the beginning of pages of its
 * own, beside inaccessible ones, and is inaccessible itself when it is freed (guard_page.h). full: every block. Both answer
 * the same questions here. */
#ifndef HAK_GUARD_H
#define HAK_GUARD_H

#include "base.h"
#include "report.h"
#include "settings.h"
#include "trace.h"

#define HAK_GUARD_ANY_CLASS 255

/* What is to be guarded. */
struct hak_guard_choice {
	uint8_t level;  /* enum hak_guard_level */
	uint8_t class;  /* blocks of this size class alone; HAK_GUARD_ANY_CLASS: of each, and large ones where the level does */
	uint64_t rate;  /* sample: mallocs between two guarded ones on the average, at least 1 */
	uintptr_t site; /* blocks whose stack comes by this address alone (a return address); 0: all */
};

/* Goes by HAKMEM_GUARD. Once, at initialisation, when the heap works. */
void hak_guard_init(void);
/* In a child of fork: what it chooses is not what its parent and other children do, unless HAKMEM_GUARD_SEED fixes it. */
void hak_guard_fork_child(void);

/* Goes by `choice` from each thread's next slow path on; blocks that are guarded stay so. Returns false, and nothing has
 * changed, if that can't be done: a class that there isn't, a site without a sink that knows stacks, or no memory. One
 * caller at a time, with no lock held. */
bool hak_guard_set(const struct hak_guard_choice *choice);

struct hak_guard_counts {
	struct hak_guard_choice choice; /* what is in force */
	uint64_t seed;
	uint64_t slots;              /* blocks that can be guarded at level sample, 0 before it is first used */
	uint64_t armed;              /* of them, live ones */
	uint64_t taken;              /* blocks that were ever guarded, at either level */
	uint64_t lost;               /* chosen ones that stayed ordinary: no slot was free, or no memory */
	uint64_t quarantined_blocks; /* freed ones that are kept, at either level */
	uint64_t quarantined_bytes;
	uint64_t checked;            /* patterns that were verified */
	uint64_t reports;            /* of misuse, of all kinds, found by guards or not */
};
void hak_guard_count(struct hak_guard_counts *out);

struct hak_guard_checked {
	uint64_t live;        /* blocks whose zones were verified */
	uint64_t quarantined; /* freed ones that were verified as a whole */
	uint64_t damaged;     /* of all of them; each was reported */
};
/* Verifies now every pattern that is to be whole at level full. Other threads may go on. No lock is held. */
void hak_guard_check(struct hak_guard_checked *out);

/* The guarded block that `address` lies in, or that is nearest to it if it lies in a zone or a page that guards one. Returns
 * false if there is none; *out is all zero then. No lock is taken, and it is async-signal-safe; of a block that is changing
 * at this moment the facts may be mixed up. */
bool hak_guard_find(uintptr_t address, struct hak_guarded *out);

/* For the handler of a fault: whether the page of `address` is inaccessible because it guards. Then *details is the report,
 * counted and traced as any other, with stack 0; *printed says whether it should be printed, or there were many before.
 * Async-signal-safe. */
bool hak_guard_fault(uintptr_t address, enum hak_access access, struct hak_report_details *details, bool *printed);
/* Makes that page accessible, so that the program can go on. Returns false if the system refuses. Async-signal-safe. */
bool hak_guard_open(uintptr_t address);

/* For entry.c and realloc.c, with no lock held. */

/* The alignment of the request that a slow path serves, where that is above HAK_ALIGNMENT; else 0. The caller sets and resets
 * it. */
extern HAK_HIDDEN HAK_TLS size_t hak_guard_alignment;

/* `block` was returned by a slow path that set hak_sample_due, for a request of `bytes`. Makes it a sample, or a guarded
 * block, or both, and returns the block to give to the program. */
void *hak_guard_chosen(void *block, size_t bytes);

/* For an address in guard_page.h's mapping: bytes that may be used of the live block there, 0 if none begins there. */
size_t hak_guard_usable(const void *block);
/* The same: frees the block there. *ordinary is the block to be freed now, as any other. Returns false if none begins
 * there, which is reported. */
bool hak_guard_free(void *block, void **ordinary);

/* The same: a free of the block there says so many bytes (0: it doesn't) and this alignment. Reports it if they are not those
 * that were asked for. */
void hak_guard_check_size(const void *block, size_t bytes, size_t alignment);

/* Reports INVALID_… of any address with the guarded block that it belongs to, if there is one, and as what it is if that block
 * was freed. */
void hak_guard_misuse(enum hak_report_kind kind, const void *address);

#endif
