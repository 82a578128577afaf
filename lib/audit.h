/* audit.h: the invariants as code. Built into the test core and debug builds only.
 *
 * Each checker returns NULL if what it checks holds, else a text that names what doesn't. They walk everything, with
 * the locks held that the walk needs; hak_audit_all (hakmem.h) calls them all, and wants the heap at rest. */
#ifndef HAK_AUDIT_H
#define HAK_AUDIT_H

#include "base.h"

/* unused + active + empty are 32 distinct slots, counts by bin agree, class map bytes agree, the place agrees with the
 * slots. */
const char *hak_audit_superslabs(void);
/* Every set has exactly the members that the records say. */
const char *hak_audit_sets(void);
/* Each EMPTY slab is in exactly one place, and on the list by age; counts of slabs, slots and SuperSlabs agree. */
const char *hak_audit_pool(void);
/* used + free + uncarved = capacity for each slab; bits agree with `free`; slabs with room are in the right bucket,
 * full ones in none. */
const char *hak_audit_depots(void);
/* handed_out = live + cached in threads + cached in the depot, for each class. At rest only. */
const char *hak_audit_balance(void);

#endif
