#include "stats.h"

struct hak_stats hak_stats;
