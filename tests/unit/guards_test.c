/* Reports as they are printed, and the faults of guards' pages: each case in a child of its own. */
#include "introspect/guards.h"

#include <pthread.h>

#include "introspect/config.h"
#include "introspect/misuse.h"
#include "introspect/stack.h"
#include "lib/hakmem.h"
#include "tests/unit/unit.h"

static char said[1 << 16];

static const struct hak_sink sink = {
	.capture = hak_guards_capture, .stack_has = hak_guards_stack_has, .report = hak_guards_report};

static void prepare(void)
{
	hak_config.unwind = HAK_STACK_FRAME_POINTERS;
	hak_trace_set_sink(&sink);
	if (!hak_guards_prepare())
		_exit(1);
}

/* A block freed that isn't one: the line that lib makes, then what is known. */
static void free_a_variable(void *ignored)
{
	static long long variable[4] __attribute__((aligned(16)));
	(void)ignored;
	prepare();
	hak_free(variable);
	_exit(0);
}

static void free_an_inside(void *ignored)
{
	char *block = hak_malloc(200000);
	(void)ignored;
	prepare();
	hak_free(block + 65536);
	_exit(0);
}

static void a_report(void)
{
	UNIT_EQUAL(unit_in_child(free_a_variable, NULL, said, sizeof(said)), 0);
	CU_ASSERT_TRUE(strncmp(said, "hakmem: free of an address that is not HAKMEM's (address=0x", 58) == 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, " is not HAKMEM's\nhakmem:   called by thread "));
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "/unit_guards+0x"));
	CU_ASSERT_PTR_NULL(strstr(said, "the memory there"));
	UNIT_EQUAL(WTERMSIG(unit_in_child(free_an_inside, NULL, said, sizeof(said))), SIGABRT);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "hakmem:   the memory there:\n"));
}

/* Threads that report at the same time: whole blocks, one after the other. */
#define THREADS 4

static void *report_one(void *number)
{
	struct hak_report_details details = {.text = "a mistake", .address = 64, .tid = (uint32_t)gettid()};
	snprintf(details.line, sizeof(details.line), "hakmem: begin %lu", (unsigned long)(uintptr_t)number);
	hak_guards_report(&details);
	return NULL;
}

static void report_together(void *ignored)
{
	pthread_t threads[THREADS];
	(void)ignored;
	prepare();
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, report_one, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static void one_after_the_other(void)
{
	unsigned found = 0;
	UNIT_EQUAL(unit_in_child(report_together, NULL, said, sizeof(said)), 0);
	for (const char *at = said; (at = strstr(at, "hakmem: begin ")) != NULL; at++, found++)
		CU_ASSERT_PTR_EQUAL(strstr(at, "\nhakmem:   0x40 is not HAKMEM's\nhakmem:   called by thread "), at + 15);
	UNIT_EQUAL(found, THREADS);
}

static void call_sites(void)
{
	const uintptr_t *frames;
	prepare();
	uint32_t stack = hak_stack_capture();
	CU_ASSERT_TRUE_FATAL(hak_stack_frames(stack, &frames) > 0);
	CU_ASSERT_TRUE(hak_guards_stack_has(stack, frames[0]));
	CU_ASSERT_FALSE(hak_guards_stack_has(stack, 1));
	CU_ASSERT_FALSE(hak_guards_stack_has(0, frames[0]));
	hak_trace_set_sink(NULL);
}

UNIT_MAIN("guards", UNIT(a_report), UNIT(one_after_the_other), UNIT(call_sites))
