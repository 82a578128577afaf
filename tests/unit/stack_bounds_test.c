/* Where stacks lie: as libc says, but of the first thread's without asking it. */
#include "introspect/stack_bounds.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct hak_stack_bounds by_libc(void)
{
	struct hak_stack_bounds bounds = {0};
	pthread_attr_t attributes;
	void *low;
	size_t size;
	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &low, &size);
	pthread_attr_destroy(&attributes);
	bounds.low = (uintptr_t)low;
	bounds.high = (uintptr_t)low + size;
	return bounds;
}

static bool lies_within(uintptr_t address, struct hak_stack_bounds bounds)
{
	return address >= bounds.low && address < bounds.high;
}

/* All that a walk may read lies within both: from here up to what the first function was called with. Libc, which isn't asked, tells
 * of the page in which that is: a little more or less. */
static void the_first_thread(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	struct hak_stack_bounds bounds = hak_stack_bounds_of(here), said = by_libc();
	struct rlimit limit;
	getrlimit(RLIMIT_STACK, &limit);
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator's stack is another one");
	UNIT_LEAVE_IF(limit.rlim_cur > 64u << 20, "the limit is higher than one that tells the bounds");
	CU_ASSERT_TRUE(lies_within(here, bounds));
	CU_ASSERT_TRUE(bounds.high + (1 << 20) > said.high && bounds.high < said.high + (1 << 20));
	CU_ASSERT_TRUE(bounds.high > (uintptr_t)environ);
	UNIT_EQUAL(bounds.high % sizeof(uintptr_t), 0);
	UNIT_EQUAL(bounds.high - bounds.low, limit.rlim_cur);
}

static void *in_thread(void *result)
{
	struct hak_stack_bounds bounds = hak_stack_bounds_of((uintptr_t)__builtin_frame_address(0)), said = by_libc();
	*(bool *)result = bounds.low == said.low && bounds.high == said.high;
	return NULL;
}

static void another_thread(void)
{
	pthread_t thread;
	bool same = false;
	pthread_create(&thread, NULL, in_thread, &same);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(same);
}

/* On a stack of the program's own making the bounds are those of the thread's: it doesn't lie within. */
static void another_stack(void)
{
	size_t bytes = 1 << 20;
	char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct hak_stack_bounds bounds = hak_stack_bounds_of((uintptr_t)stack + bytes / 2), said = by_libc();
	CU_ASSERT_TRUE(bounds.low == said.low && bounds.high == said.high);
	CU_ASSERT_FALSE(lies_within((uintptr_t)stack + bytes / 2, bounds));
	munmap(stack, bytes);
}

/* Where the limit says nothing, libc is asked: all memory below would be the stack. */
static void ask_without_limit(void *ignored)
{
	static const struct rlimit limits[] = {{RLIM_INFINITY, RLIM_INFINITY}, {1ul << 40, RLIM_INFINITY}};
	(void)ignored;
	for (unsigned i = 0; i < 2; i++) {
		if (setrlimit(RLIMIT_STACK, &limits[i]) != 0)
			_exit(2);
		struct hak_stack_bounds bounds = hak_stack_bounds_of((uintptr_t)__builtin_frame_address(0)), said = by_libc();
		if (bounds.low != said.low || bounds.high != said.high)
			_exit(1);
	}
}

static void no_limit(void)
{
	struct rlimit limit;
	char said[1000];
	getrlimit(RLIMIT_STACK, &limit);
	UNIT_LEAVE_IF(limit.rlim_max != RLIM_INFINITY, "the limit can't be raised");
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator's stack is another one");
	UNIT_EQUAL(unit_in_child(ask_without_limit, NULL, said, sizeof(said)), 0);
}

UNIT_MAIN("stack_bounds", UNIT(the_first_thread), UNIT(another_thread), UNIT(another_stack), UNIT(no_limit))
