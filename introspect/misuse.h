/* misuse.h: what is known of a program's mistake (lib/report.h) at the moment when it is found.
 *
 * What lib reports is put beside what the heap's records say of the address, the frames of the access, and the memory around
 * it; nothing is read where that isn't HAKMEM's. All of it allocates nothing and takes no lock, so that it can be done in the
 * handler of a fault too. The first few reports are kept, and the last one, for dumps. */
#ifndef HAK_MISUSE_H
#define HAK_MISUSE_H

#include "introspect/json.h"
#include "introspect/proc.h"
#include "introspect/stack.h"
#include "lib/postmortem.h"
#include "lib/trace.h"

#define HAK_MISUSE_KEPT 16 /* the first ones, and the last */
#define HAK_MISUSE_ROW 16u
#define HAK_MISUSE_ROWS 6u

struct hak_misuse {
	uint32_t state; /* misuse.c's */
	struct hak_report_details details;
	struct hak_whereabouts at; /* of details.address */
	char thread[HAK_PROC_NAME_MAX];
	uintptr_t pc; /* the instruction, of an access that a fault stopped; 0: it was a call, whose stack is details.stack */
	uintptr_t frames[HAK_STACK_FRAMES]; /* the callers of pc: return addresses */
	unsigned frame_count;
	uintptr_t memory_at; /* of the rows, which lie one behind the other; 0: the address is not HAKMEM's, and none was read */
	uint8_t memory[HAK_MISUSE_ROWS * HAK_MISUSE_ROW];
	bool readable[HAK_MISUSE_ROWS];
};

/* Maps what is needed, once. Returns false if memory is refused. */
bool hak_misuse_prepare(void);

/* Puts a report together; context: ucontext_t, in the handler of a fault, else NULL. Returns NULL without memory. */
struct hak_misuse *hak_misuse_begin(const struct hak_report_details *details, const void *context);
/* From now on the report is among those that are kept, or gone if others took the places. */
void hak_misuse_end(struct hak_misuse *misuse);

/* The return addresses of the call or access, behind pc if there is one. Returns how many. */
unsigned hak_misuse_frames(const struct hak_misuse *misuse, const uintptr_t **frames);

/* Writes the member "reports" for the object that is open, a list of those that are kept; nothing if there is none. No lock is
 * taken. */
void hak_misuse_encode(struct hak_json *json);

/* Writes an object: what is known of a guarded block, with its stacks. */
void hak_misuse_encode_block(struct hak_json *json, const struct hak_guarded *block);

#endif
