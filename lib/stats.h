/* stats.h: the process-wide counters of stats.def. */
#ifndef HAK_STATS_H
#define HAK_STATS_H

#include "atomic.h"
#include "base.h"

struct hak_stats {
#define HAK_STAT(name, meaning) uint64_t name;
#include "stats.def"
#undef HAK_STAT
};
extern HAK_HIDDEN struct hak_stats hak_stats;

/* Adds n to counter `name`. Any thread; relaxed, for a count orders nothing. */
#define hak_stat_add(name, n) ((void)hak_add_relaxed(&hak_stats.name, (uint64_t)(n)))
/* The counter's present value. */
#define hak_stat_get(name) hak_load_relaxed(&hak_stats.name)

#endif
