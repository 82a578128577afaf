/* From nothing to a working heap: it is there before main, and asking again changes nothing. */
#include "lib/init.h"

#include <pthread.h>
#include <sys/resource.h>

#include "lib/arena.h"
#include "lib/hakmem.h"
#include "tests/unit/unit.h"

static void ready_before_main(void)
{
	CU_ASSERT_TRUE(hak_is_ready());
	CU_ASSERT_TRUE(hak_heap.base != 0);
}

static void again_changes_nothing(void)
{
	uintptr_t base = hak_heap.base;
	uint64_t reserved = hak_arena_reserved_bytes();
	CU_ASSERT_TRUE(hak_init());
	UNIT_EQUAL(hak_heap.base, base);
	UNIT_EQUAL(hak_arena_reserved_bytes(), reserved);
}

static void *first_malloc(void *ignored)
{
	void *block = hak_malloc(100);
	memset(block, 1, 100);
	hak_free(block);
	return ignored;
}

static void threads_may_come_at_once(void)
{
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, first_malloc, NULL);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_TRUE(hak_is_ready());
}

UNIT_MAIN("init", UNIT(ready_before_main), UNIT(again_changes_nothing), UNIT(threads_may_come_at_once))
