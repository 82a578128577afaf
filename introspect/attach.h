/* attach.h: joins lib and introspect when the library is loaded, and parts them when the process ends or forks.
 *
 * There is nothing to call: attach.c's constructor reads the settings and, if any asks for something, plugs the sink
 * into lib/trace.h and starts the endpoint. Without such a setting there is no thread, no descriptor, no file and no
 * output. */
#ifndef HAK_ATTACH_H
#define HAK_ATTACH_H

#include "lib/base.h"

/* What HAKMEM_INTROSPECT, HAKMEM_TRACE and HAKMEM_DUMP_ON in `environment` ask for, done. The constructor calls it
 * once; a test that is linked without the constructor's effect calls it instead. Returns whether anything is on. */
bool hak_attach(char *const *environment);

/* What is due at the process's end: the exit dump, the socket's removal. Does nothing in a process that hak_attach or
 * the fork handler did not see (a child of vfork or of a bare clone). */
void hak_detach(void);

#endif
