/* Stacks: what the engines find, and that each different stack has one number. */
#include "introspect/stack.h"

#include <pthread.h>

#include "lib/atomic.h"
#include "tests/unit/unit.h"

#define CAPACITY 1024
#define BARRIER() __asm__ volatile("" ::: "memory")

static const uintptr_t *frames;

static bool holds(unsigned count, const void *address)
{
	for (unsigned i = 0; i < count; i++) {
		if (frames[i] == (uintptr_t)address)
			return true;
	}
	return false;
}

/* A call that is not turned into a jump, so that its frame is there. */
static __attribute__((noinline)) uint32_t inner(void **caller)
{
	*caller = __builtin_return_address(0);
	uint32_t number = hak_stack_capture();
	BARRIER();
	return number;
}

static __attribute__((noinline)) uint32_t outer(void **inner_caller, void **caller)
{
	*caller = __builtin_return_address(0);
	uint32_t number = inner(inner_caller);
	BARRIER();
	return number;
}

static int check_engine(enum hak_stack_engine wanted)
{
	struct hak_stack_counts counts;
	void *inner_caller, *caller;
	if (hak_stack_capture() != 0)
		return 1;
	hak_stack_count(&counts);
	if (counts.failures[HAK_STACK_FAILED_not_ready] != 1)
		return 2;
	if (!hak_stack_begin(wanted, CAPACITY) || hak_stack_engine() != wanted)
		return 3;
	uint32_t first = 0;
	for (volatile int i = 0; i < 3; i++) { /* volatile: not unrolled, which would make three calls of it */
		uint32_t number = outer(&inner_caller, &caller);
		unsigned count = hak_stack_frames(number, &frames);
		if (number == 0 || count < 3 || count > HAK_STACK_FRAMES)
			return 4;
		if (!holds(count, inner_caller) || !holds(count, caller))
			return 5;
		first = i ? first : number;
		if (number != first) /* the same stack */
			return 6;
	}
	if (outer(&inner_caller, &caller) == first) /* called from elsewhere */
		return 7;
	hak_stack_count(&counts);
	if (counts.lost || counts.capacity != CAPACITY || counts.stacks < 2)
		return 8;
	if (hak_stack_frames(0, &frames) || hak_stack_frames(hak_stack_end(), &frames) || hak_stack_frames(UINT32_MAX, &frames))
		return 9;
	return 0;
}

static void in_child(void *wanted)
{
	_exit(check_engine(*(enum hak_stack_engine *)wanted));
}

static void engines(void)
{
	static const enum hak_stack_engine all[] = {HAK_STACK_TABLES, HAK_STACK_LIBUNWIND, HAK_STACK_GCC, HAK_STACK_FRAME_POINTERS};
	char said[1000];
	UNIT_LEAVE_IF(unit_is_emulated(), "the libraries that unwind are not there");
	for (unsigned i = 0; i < 4; i++) {
		enum hak_stack_engine wanted = all[i];
		UNIT_EQUAL(WEXITSTATUS(unit_in_child(in_child, &wanted, said, sizeof(said))), 0);
		UNIT_STRING(said, "");
	}
}

/* A stack for each pattern of bits: at each depth one function or the other is called. */
/* NOLINTBEGIN(misc-no-recursion) */
static uint32_t branch(unsigned pattern, unsigned depth);

static __attribute__((noinline)) uint32_t left(unsigned pattern, unsigned depth)
{
	uint32_t number = branch(pattern, depth);
	BARRIER();
	return number;
}

static __attribute__((noinline)) uint32_t right(unsigned pattern, unsigned depth)
{
	uint32_t number = branch(pattern, depth);
	BARRIER();
	BARRIER();
	return number + 0 * depth;
}

static __attribute__((noinline)) uint32_t branch(unsigned pattern, unsigned depth)
{
	uint32_t number = depth == 0 ? hak_stack_capture() : pattern & 1 ? left(pattern >> 1, depth - 1) : right(pattern >> 1, depth - 1);
	BARRIER();
	return number;
}

/* NOLINTEND(misc-no-recursion) */

#define THREADS 4
static uint32_t numbers[THREADS][512];

static void *capture_all(void *argument)
{
	uint32_t *mine = argument;
	for (unsigned pattern = 0; pattern < 512; pattern++)
		mine[pattern] = branch(pattern, 9);
	return NULL;
}

/* Threads that capture the same stacks at the same time agree on their numbers; below the frames of the thread's start each
 * is another one. */
static void one_number_each(void)
{
	pthread_t threads[THREADS];
	CU_ASSERT_TRUE_FATAL(hak_stack_begin(HAK_STACK_GCC, CAPACITY));
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, capture_all, numbers[i]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	unsigned wrong = 0, unknown = 0, same = 0;
	for (unsigned pattern = 0; pattern < 512; pattern++) {
		unknown += numbers[0][pattern] == 0;
		for (int i = 1; i < THREADS; i++)
			wrong += numbers[i][pattern] != numbers[0][pattern];
		same += pattern && numbers[0][pattern] == numbers[0][pattern - 1];
	}
	UNIT_EQUAL(unknown, 0);
	UNIT_EQUAL(wrong, 0);
	UNIT_EQUAL(same, 0);
}

/* More stacks than there is room for: counted, and those that are there are found as before. */
static void a_full_table(void)
{
	struct hak_stack_counts before, after;
	CU_ASSERT_TRUE_FATAL(hak_stack_begin(HAK_STACK_GCC, CAPACITY));
	hak_stack_count(&before);
	uint32_t first = branch(5, 12);
	CU_ASSERT_TRUE(first != 0);
	unsigned without = 0;
	for (unsigned pattern = 0; pattern < 4096; pattern++)
		without += branch(pattern, 12) == 0;
	hak_stack_count(&after);
	CU_ASSERT_TRUE(after.stacks <= CAPACITY && after.stacks > before.stacks);
	UNIT_EQUAL(after.lost - before.lost, without);
	CU_ASSERT_TRUE(without >= 4096 - CAPACITY);
	CU_ASSERT_TRUE(hak_stack_end() <= CAPACITY + 1);
}

/* The child of a fork goes on capturing, whatever other threads were at. */
static bool stop;

static void *capture_on(void *ignored)
{
	(void)ignored;
	while (!hak_load_relaxed(&stop))
		hak_stack_capture();
	return NULL;
}

static void capture_in_child(void *ignored)
{
	(void)ignored;
	hak_stack_fork_child();
	_exit(hak_stack_capture() != 0 ? 0 : 1);
}

static void forks(void)
{
	pthread_t threads[2];
	char said[1000];
	hak_store_relaxed(&stop, false);
	CU_ASSERT_TRUE_FATAL(hak_stack_begin(HAK_STACK_GCC, CAPACITY));
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, capture_on, NULL);
	for (int i = 0; i < 20; i++) {
		hak_stack_fork_prepare();
		UNIT_EQUAL(hak_stack_capture(), 0); /* not now */
		UNIT_EQUAL(WEXITSTATUS(unit_in_child(capture_in_child, NULL, said, sizeof(said))), 0);
		hak_stack_fork_parent();
		CU_ASSERT_TRUE(hak_stack_capture() != 0);
	}
	hak_store_relaxed(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	struct hak_stack_counts counts;
	hak_stack_count(&counts);
	CU_ASSERT_TRUE(counts.failures[HAK_STACK_FAILED_fork] >= 20);
}

UNIT_MAIN("stack", UNIT(engines), UNIT(forks), UNIT(one_number_each), UNIT(a_full_table))
