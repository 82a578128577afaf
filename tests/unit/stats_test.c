/* The process-wide counters: additions of many threads are all counted. */
#include "lib/stats.h"

#include <pthread.h>

#include "tests/unit/unit.h"

#define THREADS 4
#define ROUNDS 50000

static void *add(void *ignored)
{
	for (int i = 0; i < ROUNDS; i++)
		hak_stat_add(releases, 2);
	return ignored;
}

static void nothing_is_lost(void)
{
	pthread_t threads[THREADS];
	uint64_t before = hak_stat_get(releases);
	uint64_t others = hak_stat_get(drains);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, add, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	UNIT_EQUAL(hak_stat_get(releases) - before, 2 * THREADS * ROUNDS);
	UNIT_EQUAL(hak_stat_get(drains), others);
}

/* The struct holds the table's rows and nothing else, so that readers may walk it as an array of counters. */
static void one_field_a_row(void)
{
	size_t rows = 0;
#define HAK_STAT(name, meaning) rows += sizeof(meaning) > 10;
#include "lib/stats.def"
#undef HAK_STAT
	UNIT_EQUAL(sizeof(struct hak_stats), rows * sizeof(uint64_t));
}

UNIT_MAIN("stats", UNIT(nothing_is_lost), UNIT(one_field_a_row))
