/* Tracepoints: the sink gets what the call site said, groups switch events on and off, and debug lines are written whole. */
#include "lib/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "tests/unit/unit.h"

static struct hak_event seen[8];
static unsigned seen_count;

static void record(const struct hak_event *event)
{
	if (seen_count < HAK_COUNT_OF(seen))
		seen[seen_count] = *event;
	seen_count++;
}

static const struct hak_sink sink = {.event = record};

static void quiet(void)
{
	hak_trace_set_groups(0);
	hak_trace_set_lines(0);
	hak_trace_set_sink(NULL);
	seen_count = 0;
}

static uint32_t open_groups(void)
{
	uint32_t groups = 0;

	for (unsigned i = 0; i < HAK_TRACE_GROUP_COUNT; i++)
		groups |= hak_trace_is_open((enum hak_trace_group_index)i) ? 1u << i : 0;
	return groups;
}

static void sink_gets_the_arguments(void)
{
	quiet();
	hak_trace_set_sink(&sink);
	CU_ASSERT_PTR_EQUAL(hak_trace_sink(), &sink);
	hak_trace_set_groups(HAK_GROUP_RELEASE);
	struct timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	hak_trace_release(0x7f0000200000, 12, 6, 3, 1);
	clock_gettime(CLOCK_MONOTONIC, &after);
	UNIT_EQUAL(seen_count, 1);
	UNIT_EQUAL(seen[0].id, HAK_EVENT_ID_release);
	UNIT_EQUAL(seen[0].tid, syscall(SYS_gettid));
	UNIT_EQUAL(seen[0].arg[0], 0x7f0000200000);
	UNIT_EQUAL(seen[0].arg[1], 12);
	UNIT_EQUAL(seen[0].arg[2], 6);
	UNIT_EQUAL(seen[0].arg[3], 3);
	UNIT_EQUAL(seen[0].arg[4], 1);
	CU_ASSERT_TRUE(seen[0].time_ns >= (uint64_t)before.tv_sec * 1000000000 + (uint64_t)before.tv_nsec);
	CU_ASSERT_TRUE(seen[0].time_ns <= (uint64_t)after.tv_sec * 1000000000 + (uint64_t)after.tv_nsec);
	quiet();
}

static void groups_are_separate(void)
{
	quiet();
	hak_trace_set_sink(&sink);
	hak_trace_set_groups(HAK_GROUP_LRU | HAK_GROUP_DRAIN);
	UNIT_EQUAL(hak_trace_groups(), HAK_GROUP_LRU | HAK_GROUP_DRAIN);
	hak_trace_stage1(1, 2, 3);
	hak_trace_large_free(1, 2);
	UNIT_EQUAL(seen_count, 0);
	hak_trace_drain(6, 32, 11);
	hak_trace_lru_pop(1, 2, 3);
	UNIT_EQUAL(seen_count, 2);
	hak_trace_set_groups(0);
	hak_trace_drain(6, 32, 11);
	UNIT_EQUAL(seen_count, 2);
	quiet();
}

/* Lines go on without the sink's groups, and the sink's groups without lines. */
static void lines_and_groups_are_independent(void)
{
	quiet();
	hak_trace_set_sink(&sink);
	hak_trace_set_groups(HAK_GROUP_ACQUIRE);
	hak_trace_set_lines(HAK_GROUP_LRU);
	UNIT_EQUAL(open_groups(), HAK_GROUP_ACQUIRE | HAK_GROUP_LRU);
	hak_trace_set_lines(0);
	UNIT_EQUAL(open_groups(), HAK_GROUP_ACQUIRE);
	hak_trace_stage1(1, 2, 3);
	UNIT_EQUAL(seen_count, 1);
	quiet();
}

/* A tracer that counts a semaphore up opens that group's gate, whatever else is on or off, and gets nothing recorded. */
static void a_tracer_opens_a_gate(void)
{
	quiet();
	hak_trace_set_sink(&sink);
	hak_trace_set_groups(HAK_GROUP_LRU);
	hak_trace_gates[HAK_GROUP_INDEX_DRAIN].semaphore = 2;
	hak_trace_gates[HAK_GROUP_INDEX_MARK].semaphore = 1;
	UNIT_EQUAL(open_groups(), HAK_GROUP_LRU | HAK_GROUP_DRAIN | HAK_GROUP_MARK);
	hak_trace_drain(6, 32, 11);
	UNIT_EQUAL(seen_count, 0);
	CU_ASSERT_TRUE(hak_trace_text("somebody sees it"));
	hak_trace_set_groups(HAK_GROUP_DRAIN);
	hak_trace_drain(6, 32, 11);
	UNIT_EQUAL(seen_count, 1);
	hak_trace_set_groups(0);
	UNIT_EQUAL(open_groups(), HAK_GROUP_DRAIN | HAK_GROUP_MARK);
	hak_trace_gates[HAK_GROUP_INDEX_DRAIN].semaphore = 0;
	hak_trace_gates[HAK_GROUP_INDEX_MARK].semaphore = 0;
	UNIT_EQUAL(open_groups(), 0);
	CU_ASSERT_FALSE(hak_trace_text("nobody sees it"));
	quiet();
}

static void print_lines(void *ignored)
{
	(void)ignored;
	quiet();
	hak_trace_set_lines(HAK_GROUP_DRAIN | HAK_GROUP_LRU);
	hak_trace_drain(6, 32, 11);
	hak_trace_stage1(1, 2, 3);
	hak_trace_lru_push(0x200000, 3, 16);
	hak_trace_flush();
}

static void lines_are_written_at_the_flush(void)
{
	char said[512];
	UNIT_EQUAL(unit_in_child(print_lines, NULL, said, sizeof(said)), 0);
	UNIT_STRING(said, "[TLS_SLL_DRAIN] class=6 drained=32 kept=11\n[SS_LRU_PUSH] ss=0x200000 length=3/16\n");
}

#define PRINTERS 4
#define LINES_EACH 2000

static void *print_many(void *thread)
{
	for (uint64_t i = 0; i < LINES_EACH; i++) {
		hak_trace_drain((uintptr_t)thread, i, 0);
		hak_trace_flush();
	}
	return NULL;
}

static void print_from_threads(void *ignored)
{
	(void)ignored;
	pthread_t threads[PRINTERS];
	quiet();
	hak_trace_set_lines(HAK_GROUP_DRAIN);
	for (uintptr_t i = 0; i < PRINTERS; i++)
		pthread_create(&threads[i], NULL, print_many, (void *)i);
	for (int i = 0; i < PRINTERS; i++)
		pthread_join(threads[i], NULL);
}

/* No line is lost or torn by another thread's, and each thread's lines keep their order. */
static void lines_of_threads_stay_whole(void)
{
	size_t size = 1 << 20;
	char *said = malloc(size);
	unsigned long next[PRINTERS] = {0};
	unsigned lines = 0, strange = 0;
	UNIT_EQUAL(unit_in_child(print_from_threads, NULL, said, size), 0);
	for (char *line = strtok(said, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		unsigned thread;
		unsigned long number;
		char end;
		if (sscanf(line, "[TLS_SLL_DRAIN] class=%u drained=%lu kept=0%c", &thread, &number, &end) != 2 ||
		    thread >= PRINTERS || number != next[thread]++)
			strange++;
		lines++;
	}
	UNIT_EQUAL(lines, PRINTERS * LINES_EACH);
	UNIT_EQUAL(strange, 0);
	free(said);
}

/* A closed pipe switches the group off instead of ending the program, and later lines cost nothing. */
static void print_into_closed_pipe(void *ignored)
{
	int ends[2];
	(void)ignored;
	quiet();
	if (pipe(ends) != 0)
		_exit(2);
	dup2(ends[1], STDERR_FILENO);
	close(ends[0]);
	hak_trace_set_lines(HAK_GROUP_DRAIN);
	for (int i = 0; i < 100; i++) {
		hak_trace_drain(6, 32, 11);
		hak_trace_flush();
	}
	_exit(open_groups() & HAK_GROUP_DRAIN ? 3 : 0);
}

static void closed_pipe_switches_the_group_off(void)
{
	char said[64];
	UNIT_EQUAL(unit_in_child(print_into_closed_pipe, NULL, said, sizeof(said)), 0);
}

static uint32_t nested;

/* What it allocates may ask for a stack in turn, which must not come back to it. */
static uint32_t number_of_stack(void)
{
	nested = hak_trace_capture();
	return 7;
}

static void a_stack_is_captured_once(void)
{
	static const struct hak_sink knows = {.event = record, .capture = number_of_stack};
	quiet();
	UNIT_EQUAL(hak_trace_capture(), 0);
	hak_trace_set_sink(&sink); /* which knows no stacks */
	UNIT_EQUAL(hak_trace_capture(), 0);
	hak_trace_set_sink(&knows);
	nested = 1;
	for (int i = 0; i < 2; i++)
		UNIT_EQUAL(hak_trace_capture(), 7);
	UNIT_EQUAL(nested, 0);
	CU_ASSERT_FALSE(hak_trace_busy);
	quiet();
}

static void group_names(void)
{
	static const char *const expected[] = {"acquire", "release", "lru", "drain", "memory", "large", "thread", "error", "mark", NULL};
	for (unsigned i = 0; i < HAK_COUNT_OF(expected); i++) {
		if (expected[i] != NULL)
			UNIT_STRING(hak_trace_group_names[i], expected[i]);
	}
	CU_ASSERT_PTR_NULL(hak_trace_group_names[HAK_TRACE_GROUP_COUNT]);
}

static void record_is_56_bytes(void)
{
	UNIT_EQUAL(sizeof(struct hak_event), 64 - sizeof(uint64_t));
}

UNIT_MAIN("trace", UNIT(sink_gets_the_arguments), UNIT(groups_are_separate), UNIT(lines_and_groups_are_independent),
	UNIT(a_tracer_opens_a_gate),
	UNIT(lines_are_written_at_the_flush), UNIT(lines_of_threads_stay_whole), UNIT(closed_pipe_switches_the_group_off),
	UNIT(a_stack_is_captured_once), UNIT(group_names), UNIT(record_is_56_bytes))
