/* dwarf_scopes.h: which functions lie around an address, by debug information: each unit of compilation is gone through once,
 * and its functions are kept by address. */
#ifndef VIEWER_DWARF_SCOPES_H
#define VIEWER_DWARF_SCOPES_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>

/* Units that were gone through, for one file. Begins as NULL. */
typedef void *dwarf_scopes;

/* Finds the function that holds the code at `address` (as debug information has it), and within it those that were inlined there:
 * out[0] is the innermost, the last one the function itself. Returns the number, at most `limit`: functions further in are
 * left out. 0: none, or no memory. */
size_t dwarf_scopes_at(dwarf_scopes *scopes, Dwarf *debug, Dwarf_Die *unit, Dwarf_Addr address, Dwarf_Die *out, size_t limit);
void dwarf_scopes_free(dwarf_scopes *scopes);

#endif
