/* The stress test of the same name under libc's names, so that the whole library is under it: the entry points that
 * programs call, posix_memalign and aligned_alloc among them, in a release build. */
#define INTEGRITY_LIBC
#include "tests/stress/integrity.c"
