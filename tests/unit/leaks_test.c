/* The text about what lives at the end: sums, the order of stacks, frames as file and offset. What it says of real programs is
 * tested by tests/profile/profiler.py. */
#include "introspect/leaks.h"

#include "introspect/config.h"
#include "introspect/profile.h"
#include "introspect/stack.h"
#include "lib/hakmem.h"
#include "lib/inspect.h"
#include "tests/unit/unit.h"

static const struct hak_sink sink = {.sample = hak_profile_sample, .sample_freed = hak_profile_sample_freed};

static __attribute__((noinline)) void *small(void)
{
	void *block = hak_malloc(100);
	__asm__ volatile("" ::: "memory");
	return block;
}

static __attribute__((noinline)) void *big(void)
{
	void *block = hak_malloc(50000);
	__asm__ volatile("" ::: "memory");
	return block;
}

static void program(void *argument)
{
	uint64_t rate = *(uint64_t *)argument;
	void *blocks[60];
	hak_config.unwind = HAK_STACK_FRAME_POINTERS;
	hak_trace_set_sink(&sink);
	if (!hak_profile_set_rate(rate))
		_exit(1);
	if (hak_leaks_report(false))
		_exit(2);
	hak_leaks_report(true);
	for (volatile int i = 0; i < 50; i++) /* volatile: not unrolled, or there would be stacks of several calls */
		blocks[i] = small();
	blocks[50] = big();
	blocks[51] = big();
	hak_leaks_report(true);
	for (int i = 0; i < 52; i++)
		hak_free(blocks[i]);
	_exit(hak_leaks_report(false) ? 3 : 0);
}

static void stacks_by_size(void)
{
	static char said[1 << 16];
	uint64_t rate = 1;
	UNIT_EQUAL(unit_in_child(program, &rate, said, sizeof(said)), 0);
	CU_ASSERT_PTR_EQUAL(strstr(said, "hakmem: live at the end: 0 bytes in 0 blocks of 0 stacks\n"), said);
	const char *total = strstr(said, "hakmem: live at the end: 105000 bytes in 52 blocks of 3 stacks\n");
	CU_ASSERT_PTR_NOT_NULL_FATAL(total);
	const char *first = strstr(total, "hakmem:   50000 bytes in 1 block from\n");
	const char *last = strstr(total, "hakmem:   5000 bytes in 50 blocks from\n");
	CU_ASSERT_TRUE_FATAL(first != NULL && last != NULL && first < last);
	/* Frames name this very program. */
	const char *frame = strstr(last, "hakmem:     /");
	CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
	CU_ASSERT_PTR_NOT_NULL(strstr(frame, "unit_leaks+0x"));
}

static void estimates_have_an_error(void)
{
	static char said[1 << 16];
	uint64_t rate = 60000;
	UNIT_EQUAL(unit_in_child(program, &rate, said, sizeof(said)), 0);
	/* Two large blocks and some small ones, each by chance: what is said has an error unless nothing was sampled. */
	const char *total = strstr(said + 1, "hakmem: live at the end: ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(total);
	CU_ASSERT_TRUE(strstr(total, " (+-") != NULL || strstr(total, "end: 0 bytes") != NULL);
}

static void overfull(void *argument)
{
	(void)argument;
	hak_config.unwind = HAK_STACK_FRAME_POINTERS;
	hak_config.prof_samples = 1024;
	hak_trace_set_sink(&sink);
	if (!hak_profile_set_rate(1))
		_exit(1);
	for (volatile int i = 0; i < 1000; i++)
		small();
	hak_leaks_report(true);
	for (volatile int i = 0; i < 1000; i++)
		small();
	hak_leaks_report(true);
	_exit(0);
}

/* More blocks than there is room for samples: the sum says that it is not the whole, and what to raise. */
static void losses_are_told(void)
{
	static char said[1 << 16];
	UNIT_EQUAL(unit_in_child(overfull, NULL, said, sizeof(said)), 0);
	const char *first = strstr(said, "hakmem: live at the end: 100000 bytes in 1000 blocks"), *second = NULL;
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	second = strstr(first + 1, "hakmem: live at the end: 102400 bytes in 1024 blocks");
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	const char *lost = strstr(said, "hakmem: not all is told of: 976 samples were lost for want of room; raise HAKMEM_PROF_SAMPLES, which is 1024\n");
	CU_ASSERT_TRUE(lost != NULL && lost > second);
	CU_ASSERT_PTR_NULL(strstr(said, "HAKMEM_PROF_STACKS"));
}

UNIT_MAIN("leaks", UNIT(stacks_by_size), UNIT(estimates_have_an_error), UNIT(losses_are_told))
