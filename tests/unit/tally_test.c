/* What went, by stack: sums of all threads, tallies that change hands and are inherited, children of fork. */
#include "introspect/tally.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include "introspect/memory.h"
#include "lib/atomic.h"
#include "tests/unit/unit.h"

#define STACKS 1000u
#define APART 128u /* stacks whose numbers are so far from each other have one place in a tally */
#define ENOUGH 500 /* additions, with which a thread gets a tally */

static void begin(void)
{
	static bool begun;

	if (!begun)
		CU_ASSERT_TRUE_FATAL(hak_tally_begin(STACKS));
	begun = true;
}

static struct hak_tally_sums sums_of(uint32_t stack)
{
	struct hak_tally_sums sums;

	hak_tally_read(stack, true, &sums);
	return sums;
}

static double blocks_of(uint32_t stack)
{
	struct hak_tally_sums sums = sums_of(stack);
	double blocks = 0;

	for (unsigned i = 0; i < HAK_TALLY_LIFETIMES; i++)
		blocks += sums.lifetimes[i];
	return blocks;
}

static void add(uint32_t stack, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		hak_tally_add(stack, 1, 10, 0, 0, false);
}

/* Runs a function in a thread that ends as the allocator's threads do. */
static void *thread_main(void *argument)
{
	void (*run)(void);

	*(void **)&run = argument;
	run();
	hak_tally_thread_death();
	return NULL;
}

static void in_thread(void (*run)(void))
{
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, thread_main, *(void **)&run), 0);
	pthread_join(thread, NULL);
}

/* Before and after the thread has a tally. */
static void each_sum_is_its_own(void)
{
	begin();
	for (unsigned i = 1; i <= 2 * ENOUGH; i++) {
		struct hak_tally_sums sums;

		hak_tally_add(7, 2, 30, 5, i % HAK_TALLY_LIFETIMES, i % 2);
		sums = sums_of(7);
		CU_ASSERT_TRUE(sums.bytes == 30 * i && sums.variance == 5 * i && sums.temporary == i + i % 2);
		CU_ASSERT_TRUE(blocks_of(7) == 2 * i);
	}
	for (unsigned i = 0; i < HAK_TALLY_LIFETIMES; i++)
		CU_ASSERT_TRUE((sums_of(7).lifetimes[i] + 2) * HAK_TALLY_LIFETIMES > 4.0 * ENOUGH);
	CU_ASSERT_TRUE(blocks_of(8) == 0);
	/* Beyond the numbers. */
	add(STACKS + 7, 3);
	CU_ASSERT_TRUE(blocks_of(0) == 3);
}

/* Two stacks of one place, in turn and by themselves. */
static void two_stacks_in_one_place(void)
{
	begin();
	add(1, 2 * ENOUGH);
	for (unsigned i = 1; i <= 100; i++) {
		add(1, 1);
		add(1 + APART, 2);
		add(1 + 2 * APART, 1);
		CU_ASSERT_TRUE(blocks_of(1) == 2 * ENOUGH + i && sums_of(1).bytes == 10 * (2 * ENOUGH + i));
		CU_ASSERT_TRUE(blocks_of(1 + APART) == 2 * i && sums_of(1 + APART).bytes == 20 * i);
	}
	CU_ASSERT_TRUE(blocks_of(1 + 2 * APART) == 100);
}

static void add_few(void)
{
	add(2, ENOUGH / 2);
}

static void add_many(void)
{
	add(2, 2 * ENOUGH);
}

/* Threads that add few ask for no memory; one that adds many leaves its tally to the next. */
static void a_tally_is_inherited(void)
{
	uint64_t mapped;
	double before;

	begin();
	mapped = hak_memory_mapped();
	before = blocks_of(2);
	in_thread(add_few);
	UNIT_EQUAL(hak_memory_mapped(), mapped);
	in_thread(add_many);
	mapped = hak_memory_mapped();
	CU_ASSERT_TRUE(blocks_of(2) == before + 2.5 * ENOUGH);
	for (unsigned i = 0; i < 20; i++)
		in_thread(add_many);
	UNIT_EQUAL(hak_memory_mapped(), mapped);
	CU_ASSERT_TRUE(blocks_of(2) == before + 42.5 * ENOUGH);
}

static void *add_after_death(void *argument)
{
	add(3, 2 * ENOUGH);
	hak_tally_thread_death();
	add(3, 2 * ENOUGH);
	return argument;
}

/* They count, and leave the tally to the next thread. */
static void late_additions(void)
{
	uint64_t mapped;
	pthread_t thread;

	begin();
	in_thread(add_many);
	mapped = hak_memory_mapped();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, add_after_death, NULL), 0);
	pthread_join(thread, NULL);
	in_thread(add_many);
	UNIT_EQUAL(hak_memory_mapped(), mapped);
	CU_ASSERT_TRUE(blocks_of(3) == 4 * ENOUGH);
}

/* ---- Beside others ---- */

#define THREADS 4
#define TURNS (UNIT_TSAN ? 2000 : 50000)

static uint32_t stop, ended;

/* Each has two stacks of one place by turns, one of which it has for itself. */
static void *take_turns(void *argument)
{
	uint32_t mine = 5 + (uint32_t)(uintptr_t)argument * APART;

	for (unsigned i = 0; i < TURNS; i++) {
		hak_tally_add(5, 1, 10, 0, 0, true);
		hak_tally_add(mine, 1, 10, 0, 0, true);
	}
	hak_tally_thread_death();
	hak_add_relaxed(&ended, 1u);
	return NULL;
}

/* What is read meanwhile never goes back, though it moves from one place to another all the time. */
static void sums_do_not_go_back(void)
{
	pthread_t threads[THREADS];
	double last = 0;

	begin();
	hak_store_relaxed(&ended, 0u);
	for (uintptr_t i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, take_turns, (void *)(i + 1)), 0);
	do {
		struct hak_tally_sums sums = sums_of(5);

		CU_ASSERT_TRUE(sums.temporary <= sums.lifetimes[0] && sums.lifetimes[0] >= last);
		last = sums.lifetimes[0];
		CU_ASSERT_TRUE(last <= (double)THREADS * TURNS);
	} while (hak_load_relaxed(&ended) < THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_TRUE(blocks_of(5 + (i + 1) * APART) == TURNS);
	}
	CU_ASSERT_TRUE(blocks_of(5) == (double)THREADS * TURNS && sums_of(5).temporary == (double)THREADS * TURNS);
}

/* ---- Fork ---- */

#define BYTES 16384.0 /* of each block: of a sum that was moved in part it shows */

static void *go_on(void *argument)
{
	(void)argument;
	while (!hak_load_relaxed(&stop)) {
		hak_tally_add(6, 1, BYTES, 0, 0, false);
		hak_tally_add(6 + APART, 1, BYTES, 0, 0, false);
	}
	hak_tally_thread_death();
	return NULL;
}

/* In a child, which has this thread alone: each block is there with its bytes, but for one that was being added, and what the child
 * adds comes to that. */
static int child(double *found)
{
	struct hak_tally_sums sums;

	for (uint32_t i = 0; i < 2; i++) {
		hak_tally_read(6 + i * APART, false, &sums);
		found[i] = sums.lifetimes[0];
		if (sums.bytes - found[i] * BYTES > BYTES || sums.bytes < found[i] * BYTES)
			return 1;
	}
	add(6, 1000);
	return blocks_of(6) == found[0] + 1000 ? 0 : 2;
}

static void a_child_has_them_once(void)
{
	unsigned children = UNIT_TSAN ? 10 : 200;
	pthread_t thread;
	double *found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), before[2];

	begin();
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(found, MAP_FAILED);
	hak_store_relaxed(&stop, 0u);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, go_on, NULL), 0);
	while (blocks_of(6) < 2 * ENOUGH)
		sched_yield();
	for (unsigned i = 0; i < children; i++) {
		int status;
		pid_t pid;

		before[0] = blocks_of(6);
		before[1] = blocks_of(6 + APART);
		hak_tally_fork_prepare();
		pid = fork();
		if (pid == 0) {
			hak_tally_fork_child();
			_exit(child(found));
		}
		hak_tally_fork_parent();
		CU_ASSERT_TRUE_FATAL(pid > 0);
		CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
		UNIT_EQUAL(status, 0);
		CU_ASSERT_TRUE(found[0] >= before[0] && found[0] <= blocks_of(6));
		CU_ASSERT_TRUE(found[1] >= before[1] && found[1] <= blocks_of(6 + APART));
	}
	hak_store_relaxed(&stop, 1u);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(sums_of(6).bytes == blocks_of(6) * BYTES && blocks_of(6) == blocks_of(6 + APART));
	munmap(found, 4096);
}

static void *hold_one(void *argument)
{
	add_many();
	hak_add_relaxed(&ended, 1u);
	while (!hak_load_relaxed(&stop))
		sched_yield();
	hak_tally_thread_death();
	return argument;
}

/* In a thread without a tally, which goes on in a child. */
static void fork_and_add(void)
{
	uint64_t mapped = hak_memory_mapped();
	int status;
	pid_t pid;

	hak_tally_fork_prepare();
	pid = fork();
	if (pid == 0) {
		hak_tally_fork_child();
		add_many();
		_exit(hak_memory_mapped() != mapped);
	}
	hak_tally_fork_parent();
	CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	UNIT_EQUAL(status, 0);
}

/* The tallies of the parent's other threads are there for the child's. */
static void a_child_takes_them_over(void)
{
	pthread_t threads[2 * THREADS + 8];
	uint64_t mapped;
	unsigned count = 0;

	begin();
	hak_store_relaxed(&stop, 0u);
	hak_store_relaxed(&ended, 0u);
	/* Until no other one is left. */
	mapped = hak_memory_mapped();
	while (hak_memory_mapped() == mapped && count < HAK_COUNT_OF(threads)) {
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[count++], NULL, hold_one, NULL), 0);
		while (hak_load_relaxed(&ended) < count)
			sched_yield();
	}
	CU_ASSERT_TRUE(hak_memory_mapped() > mapped);
	in_thread(fork_and_add);
	hak_store_relaxed(&stop, 1u);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

UNIT_MAIN("tally", UNIT(each_sum_is_its_own), UNIT(two_stacks_in_one_place), UNIT(a_tally_is_inherited), UNIT(late_additions),
	UNIT(sums_do_not_go_back), UNIT(a_child_has_them_once), UNIT(a_child_takes_them_over))
