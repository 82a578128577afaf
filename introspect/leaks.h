/* leaks.h: what lives at the program's end, by stack, as text. */
#ifndef HAK_LEAKS_H
#define HAK_LEAKS_H

#include "lib/base.h"

/* Where HAKMEM_PROF_REPORT says so. */
enum hak_prof_report { HAK_PROF_REPORT_EXIT = 1 };
/* Its words, NULL at the end; word i is bit i. */
extern const char *const hak_prof_report_words[];

/* Has libc give back what it keeps for itself (buffers of stdio, after writing them out), so that only the program's blocks
 * are left. At the very end of the process. */
void hak_leaks_free_libcs_own(void);

/* Writes the samples that live, summed up by stack, the biggest first, to stderr or HAKMEM_LOG_FILE: each frame as
 * file+offset, for addr2line and its like. Returns whether there are any. Not from within malloc. */
bool hak_leaks_report(bool print);

#endif
