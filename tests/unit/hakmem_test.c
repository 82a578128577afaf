/* The public C API, as a program would use it. */
#include "lib/hakmem.h"

#include <errno.h>
#include <pthread.h>

#include "lib/os.h"
#include "lib/stats.h"
#include "lib/trace.h"
#include "tests/unit/unit.h"

static void blocks(void)
{
	char *a = hak_malloc(0), *b = hak_malloc(0), *c = hak_calloc(10, 10);
	CU_ASSERT_TRUE(a != NULL && b != NULL && c != NULL && a != b);
	UNIT_EQUAL(hak_usable_size(NULL), 0);
	UNIT_EQUAL(hak_usable_size(a), 16);
	UNIT_EQUAL(c[99], 0);
	c = hak_realloc(c, 200);
	c[199] = 1;
	char *d = hak_memalign(4096, 10);
	UNIT_EQUAL((uintptr_t)d % 4096, 0);
	hak_free(a);
	hak_free(b);
	hak_free(c);
	hak_free(d);
	hak_free(NULL);
	errno = 0;
	CU_ASSERT_PTR_NULL(hak_malloc(SIZE_MAX));
	UNIT_EQUAL(errno, ENOMEM);
}

/* Slabs of a class that the program then frees: the stages move by exactly that. */
static void stages(void)
{
	struct hak_stage_counts before, after;
	void *taken[100];
	hak_stage_counts(&before);
	for (int i = 0; i < 100; i++)
		taken[i] = hak_malloc(14336); /* 18 in a slab of 4 slots */
	hak_stage_counts(&after);
	UNIT_EQUAL(after.stage1 + after.stage2 + after.stage3 - before.stage1 - before.stage2 - before.stage3, 6);
	CU_ASSERT_TRUE(after.superslabs >= 1);
	CU_ASSERT_TRUE(after.converted <= after.stage2 && after.from_lru <= after.stage3);
	for (int i = 0; i < 100; i++)
		hak_free(taken[i]);
}

static void trim(void)
{
	char *big = hak_malloc(10 << 20);
	memset(big, 1, 10 << 20);
	hak_free(big);
	CU_ASSERT_TRUE(hak_trim());
	CU_ASSERT_FALSE(hak_trim());
}

/* A block in use keeps its own pages, not those of the free blocks beside it. */
static void trim_inside_slabs(void)
{
	static char *kept[1000];
	const unsigned count = HAK_COUNT_OF(kept);
	for (unsigned i = 0; i < count; i++)
		kept[i] = memset(hak_malloc(1024), 'x', 1024);
	for (unsigned i = 0; i < count; i++) {
		if (i % 50 != 0) {
			hak_free(kept[i]);
			kept[i] = NULL;
		}
	}
	uint64_t purged = hak_stat_get(purged_bytes);
	CU_ASSERT_TRUE(hak_trim());
	CU_ASSERT_TRUE(hak_stat_get(purged_bytes) - purged >= count * 1024 - count / 50 * 2 * hak_os_page_size());
	for (unsigned i = 0; i < count; i += 50) {
		for (unsigned byte = 0; byte < 1024; byte++)
			CU_ASSERT_EQUAL_FATAL(kept[i][byte], 'x');
	}
	CU_ASSERT_FALSE(hak_trim());
	for (unsigned i = 0; i < count; i += 50)
		hak_free(kept[i]);
}

static void *allocate_and_free(void *ignored)
{
	hak_free(hak_malloc(100));
	return ignored;
}

static void drain_and_purge(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, allocate_and_free, NULL);
	pthread_join(thread, NULL);
	hak_free(hak_malloc(100));
	UNIT_EQUAL(hak_drain(), 1);
	char *big = memset(hak_malloc(10 << 20), 1, 10 << 20);
	hak_free(big);
	CU_ASSERT_TRUE(hak_purge() >= 10 << 20);
	UNIT_EQUAL(hak_purge(), 0);
}

static struct hak_event last_event;

static void remember(const struct hak_event *event)
{
	last_event = *event;
}

static void marks(void)
{
	static const struct hak_sink sink = {.event = remember};
	CU_ASSERT_FALSE(hak_mark("nobody listens"));
	hak_trace_set_sink(&sink);
	hak_trace_set_groups(HAK_GROUP_MARK);
	CU_ASSERT_TRUE(hak_mark("a text of more than forty bytes, the rest of which is left out"));
	UNIT_EQUAL(last_event.id, HAK_EVENT_ID_mark);
	UNIT_EQUAL(memcmp(last_event.arg, "a text of more than forty bytes, the res", 40), 0);
	CU_ASSERT_TRUE(hak_mark("hi"));
	UNIT_EQUAL(last_event.arg[0], 0x6968);
	UNIT_EQUAL(last_event.arg[1], 0);
	hak_trace_set_groups(0);
	hak_trace_set_sink(NULL);
}

/* What the core library says: the one with introspection has its own (api_test.c). */
static void no_introspection(void)
{
	char text[8] = "as ever";
	UNIT_EQUAL(hak_snapshot(text, sizeof(text)), -ENOSYS);
	UNIT_STRING(text, "as ever");
	UNIT_EQUAL(hak_snapshot_to(-1), -ENOSYS);
	UNIT_EQUAL(hak_dump("/nonexistent/dump"), -ENOSYS);
}

static void version(void)
{
	UNIT_STRING(hak_version(), HAKMEM_VERSION);
}

UNIT_MAIN("hakmem", UNIT(blocks), UNIT(stages), UNIT(trim), UNIT(trim_inside_slabs), UNIT(drain_and_purge),
	UNIT(marks), UNIT(no_introspection), UNIT(version))
