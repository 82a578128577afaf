/* guards.h: what introspection does for lib/guard.h: stacks for its blocks, the handler of the faults that its pages raise, and
 * the reports of misuse, printed with all that is known. */
#ifndef HAK_GUARDS_H
#define HAK_GUARDS_H

#include "introspect/fault.h"
#include "introspect/json.h"
#include "lib/guard.h"

/* Whether HAKMEM_GUARD has guards on from the start. */
bool hak_guards_wanted(void);

/* Readies what guards need: the engine that unwinds, records of reports. Once is enough. Returns false if memory is refused. It
 * loads libraries: to be called by the constructor or the endpoint's thread, not from within malloc. */
bool hak_guards_prepare(void);

/* Changes what is guarded; the first time that anything is, the handler of faults is installed. Returns false, and nothing has
 * changed, where hak_guard_set refuses. The endpoint's thread. */
bool hak_guards_set(const struct hak_guard_choice *choice);

/* For the sink. Reports are printed one at a time. A capture looks after the handler of faults, now and then. */
uint32_t hak_guards_capture(void);
void hak_guards_report(const struct hak_report_details *details);
bool hak_guards_stack_has(uint32_t stack, uintptr_t address);

/* For hak_fault_options.guard. The fault is reported; where HAKMEM_ON_ERROR has it so, its page is opened and the program goes
 * on, or the process ends by the status that it names; else the signal takes its course. */
bool hak_guards_fault(const struct hak_fault *fault);

/* The reply to the verb `guarded`: the reports that are kept, and the guarded blocks in `bytes` bytes at `address`, or with 0 the
 * one that it belongs to or is nearest to; with address 0 none. For the endpoint's thread. */
void hak_guards_message(struct hak_json *json, uintptr_t address, uint64_t bytes);

/* In a child of fork: nobody is reporting here. */
void hak_guards_after_fork(void);

#endif
