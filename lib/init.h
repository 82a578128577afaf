/* init.h: from nothing to a working heap, at the first call of any entry point. */
#ifndef HAK_INIT_H
#define HAK_INIT_H

#include "base.h"

/* Readies the heap if it isn't. Returns false if there is no address space for it; a later call tries again. Any
 * thread, any time from the moment ld.so first calls malloc: uses no getenv, dlsym, stdio or pthread_once. */
bool hak_init(void);

/* Ends the process with one clear line if it is built with a sanitizer, which needs malloc for itself, and got ours: it
 * would crash soon. malloc.c defines it; where that is not linked, libc's names are not ours and there is nothing to
 * refuse. */
__attribute__((weak)) void hak_refuse_sanitizers(void);

/* Whether hak_init has succeeded. */
bool hak_is_ready(void);

#endif
