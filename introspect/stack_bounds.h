/* stack_bounds.h: where a thread's stack lies.
 *
 * Libc tells it, but of the first thread's it knows no more than anybody: it reads /proc/self/maps line by line, which takes longer
 * than all the rest of a first walk. The kernel puts the program's arguments on top of that stack: it is told from there. */
#ifndef HAK_STACK_BOUNDS_H
#define HAK_STACK_BOUNDS_H

#include "lib/base.h"

struct hak_stack_bounds {
	uintptr_t low, high; /* its addresses: low is the first, high the one behind the last. high 1: unknown */
};

/* The bounds of the stack of the calling thread, on which `address` lies if it is its own. Nothing is allocated where that is the
 * first thread's stack, of a limited size; else libc allocates. Any thread. */
struct hak_stack_bounds hak_stack_bounds_of(uintptr_t address);

#endif
