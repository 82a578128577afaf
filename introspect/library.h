/* library.h: libraries that are loaded into the program at run time.
 *
 * The names are weak: libhakmem.a doesn't have this module, as dlopen is nothing for static programs, and the linker says so
 * of each that refers to it. Who calls looks whether they are there. */
#ifndef HAK_LIBRARY_H
#define HAK_LIBRARY_H

#include "lib/base.h"

/* Loads the library `name` for ourselves alone (RTLD_LOCAL), for good. Returns NULL if it can't be had. Not from within malloc. */
__attribute__((weak)) void *hak_library_load(const char *name);

/* The address of a symbol of it, or with NULL of any library, in the order of the program's own look-ups. NULL if there is
 * none. */
__attribute__((weak)) void *hak_library_symbol(void *library, const char *symbol);

#endif
