/* gcc.h: libgcc's unwinder, which follows the tables of exceptions wherever they lead.
 *
 * A copy of it is a part of this library: to load libgcc_s.so.1 takes longer than the whole start of the profiler, and most programs
 * never need it. The program's own knows more, code that was made at run time and registered with it. It is taken where it is there
 * before us, as it is in every C++ program.
 *
 * The names are weak: libhakmem.a doesn't have this module, as programs that are linked with it would have to have libgcc_s too. Who
 * calls looks whether they are there. */
#ifndef HAK_GCC_H
#define HAK_GCC_H

#include "lib/base.h"

/* Chooses one, before anybody walks: the program's, which with `load` is loaded if it isn't there, or else the copy. Not from within
 * malloc. */
__attribute__((weak)) void hak_gcc_begin(bool load);

/* Walks from its caller upwards: writes return addresses, `room` at most, and returns how many. Any thread, after hak_gcc_begin. It
 * allocates only where the program has registered code of its own, and may take the loader's lock. */
__attribute__((weak)) unsigned hak_gcc_walk(uintptr_t *frames, unsigned room);

#endif
