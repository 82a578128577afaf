/* pool.h: what the tests of the pool's layer share: starting it, and reading its record. */
#ifndef HAK_TESTS_POOL_H
#define HAK_TESTS_POOL_H

#include "lib/empty_list.h"
#include "lib/lru.h"
#include "lib/purge.h"
#include "lib/settings.h"
#include "lib/shared_pool.h"
#include "lib/stats.h"
#include "tests/unit/unit.h"

/* Readies the layers up to the pool, once, and sets its settings back to calm defaults: nothing is purged or converted by age. */
static inline void pool_start(void)
{
	if (!hak_arena_init((size_t)16 << 30))
		abort();
	hak_settings.ss_shared = 1;
	hak_settings.ss_affinity = 1;
	hak_settings.ss_free_list = 256;
	hak_settings.ss_lru = 16;
	hak_settings.ss_lru_age_ms = 86400000;
	hak_settings.purge_delay_ms = 86400000;
	hak_purge_all();
}

static inline struct hak_superslab *pool_ss(uint32_t slab)
{
	return hak_ss(slab / HAK_SLOTS_PER_SS);
}

/* The slab's slot within its SuperSlab. */
static inline unsigned pool_place(uint32_t slab)
{
	return slab % HAK_SLOTS_PER_SS;
}

#endif
