/* crash.h: the dump that a process writes when it can't do it at leisure: in a signal handler, or when memory is out.
 *
 * The same document as dump.h's, with what is known of the moment: the signal, the registers, the stack, and what the
 * heap knows of the addresses in question. Written without allocation and without a lock; all memory that it takes was
 * mapped before. The heap is read as it lies: a SuperSlab that was being changed is marked "in_motion", a part of the
 * document that crashed while it was written is cut there and named in "incomplete". */
#ifndef HAK_CRASH_H
#define HAK_CRASH_H

#include "introspect/fault.h"

/* Maps what the dumps need. `pattern` is HAKMEM_DUMP_PATH and must stay valid. Once, before hak_fault_install. Returns
 * false if memory is refused. */
bool hak_crash_prepare(const char *pattern);

/* Writes a dump of a signal: the function for hak_fault_options.dump. */
void hak_crash_dump(const struct hak_fault *fault);

/* Writes a dump because `bytes` could not be had. Does nothing if it is not the process's first. Any thread, but not in
 * a signal handler; no lock is held. */
void hak_crash_out_of_memory(uint64_t bytes);

/* In a child of fork, whose memory is not out. */
void hak_crash_after_fork(void);

#endif
