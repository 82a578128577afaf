/* The profile: sums by stack, what lives, and the document. Its validity against the schema is tested by
 * tests/schema/validate.py, its estimates by tests/stress/sample_statistics.c. */
#include "introspect/profile.h"

#include <pthread.h>

#include "introspect/config.h"
#include "introspect/stack.h"
#include "introspect/tally.h"
#include "lib/hakmem.h"
#include "lib/inspect.h"
#include "lib/sample.h"
#include "tests/unit/unit.h"

/* Frames at a thread's start are none that each tool leaves alone: where this is set it is the stack of what the threads allocate. */
static uint32_t threads_stack;

static uint32_t on_sample(const struct hak_sample *sample)
{
	return threads_stack ? threads_stack : hak_profile_sample(sample);
}

static const struct hak_sink sink = {
	.sample = on_sample, .sample_freed = hak_profile_sample_freed, .thread_death = hak_tally_thread_death,
	.fork_prepare = hak_tally_fork_prepare, .fork_parent = hak_tally_fork_parent, .fork_child = hak_tally_fork_child};
static char text[1 << 20];

static void start(uint64_t rate)
{
	hak_config.unwind = HAK_STACK_FRAME_POINTERS;
	hak_trace_set_sink(&sink);
	CU_ASSERT_TRUE_FATAL(hak_profile_set_rate(rate));
}

static void stop(void)
{
	CU_ASSERT_TRUE(hak_profile_set_rate(0));
	hak_inspect_request_drain();
}

static const char *document(bool crashed)
{
	struct hak_json json;
	hak_json_to_memory(&json, text, sizeof(text) - 1);
	hak_json_object(&json);
	hak_profile_encode(&json, crashed);
	hak_json_end(&json);
	CU_ASSERT_TRUE(hak_json_finish(&json));
	text[json.length] = 0;
	return text;
}

static __attribute__((noinline)) void *here(size_t bytes)
{
	void *block = hak_malloc(bytes);
	__asm__ volatile("" ::: "memory");
	return block;
}

static __attribute__((noinline)) void *there(size_t bytes)
{
	void *block = here(bytes);
	__asm__ volatile("" ::: "memory");
	return block;
}

/* The stacks that hold something. */
static unsigned look(struct hak_profile_site *found, unsigned room)
{
	static struct hak_profile_site sites[1 << 17];
	unsigned count = 0;
	memset(sites, 0, sizeof(sites));
	hak_profile_live(sites, 1 << 17);
	for (unsigned i = 0; i < 1 << 17; i++) {
		if (sites[i].samples && count < room)
			found[count++] = sites[i];
	}
	return count;
}

static void what_lives_is_exact_at_a_rate_of_one(void)
{
	struct hak_profile_site found[8];
	void *blocks[30];
	CU_ASSERT_FALSE(hak_profile_has_data());
	CU_ASSERT_TRUE(hak_profile_prepare(0));
	UNIT_EQUAL(hak_profile_rate(), 0);
	start(1);
	UNIT_EQUAL(hak_profile_rate(), 1);
	CU_ASSERT_TRUE(hak_profile_has_data());
	for (int i = 0; i < 30; i++)
		blocks[i] = i % 3 ? here(100) : there(70000);
	UNIT_EQUAL(look(found, 8), 2);
	bool first = found[0].samples == 20;
	UNIT_EQUAL(found[!first].samples, 20);
	CU_ASSERT_TRUE(found[!first].blocks == 20 && found[!first].bytes == 2000 && found[!first].variance == 0);
	CU_ASSERT_TRUE(found[first].blocks == 10 && found[first].bytes == 700000);
	for (int i = 0; i < 30; i++) {
		if (i % 6 == 0 || i % 3)
			hak_free(blocks[i]);
	}
	UNIT_EQUAL(look(found, 8), 1);
	CU_ASSERT_TRUE(found[0].bytes == 350000);
	CU_ASSERT_PTR_NOT_NULL(strstr(document(false), "{\"rate\":1,\"state\":\"on\",\"engine\":\"frame_pointers\""));
	/* Ten of 70000 allocated, five freed within a time that nobody knows. */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ",10,700000,0,5,350000,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ",20,2000,0,20,2000,"));
	/* A large block has no class, and no slab of a stand-in's. */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ",70000,null,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ",1,0,0,0,0,0]"));
	blocks[3] = hak_realloc(blocks[3], 80000); /* in place: counted once */
	CU_ASSERT_PTR_NOT_NULL(strstr(document(false), ",10,710000,0,5,350000,"));
	blocks[0] = here(200);
	/* Its stand-in's slab: that block alone, or with what the caches hold of it. */
	CU_ASSERT_PTR_NOT_NULL(strstr(document(false), ",1,1,292,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ",65536,224]"));
	/* Without locks nothing is known of slabs; the rest is the same. */
	CU_ASSERT_PTR_NOT_NULL(strstr(document(true), ",10,710000,0,5,350000,"));
	CU_ASSERT_PTR_NULL(strstr(text, ",65536,224]"));
	hak_free(blocks[0]);
	for (int i = 3; i < 30; i += 6)
		hak_free(blocks[i]);
	UNIT_EQUAL(look(found, 8), 0);
	stop();
	UNIT_EQUAL(hak_profile_rate(), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(document(false), "{\"rate\":0,\"state\":\"off\""));
}

/* A block that goes before the thread's next sample comes is temporary. */
static void temporary_blocks(void)
{
	start(1);
	for (volatile int i = 0; i < 5; i++) { /* volatile: not unrolled, or each turn would have a stack of its own */
		void *block = there(333);
		hak_free(block);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(document(false), ",5,1665,0,5,1665,5,["));
	stop();
}

/* Weights have decimals, and the sums with them. */
static void estimates(void)
{
	void *blocks[200];
	struct hak_profile_site found[8];
	start(4096);
	for (int i = 0; i < 200; i++)
		blocks[i] = here(2048);
	UNIT_EQUAL(look(found, 8), 1);
	/* Five standard deviations of 17.7: another seed at each run. */
	CU_ASSERT_TRUE(found[0].blocks > 110 && found[0].blocks < 290);
	CU_ASSERT_TRUE(found[0].variance > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(document(false), ",2.541494,")); /* 1 / (1 - exp(-1/2)) */
	for (int i = 0; i < 200; i++)
		hak_free(blocks[i]);
	stop();
}

/* ---- Threads and children ---- */

#define THREADS 3
#define BLOCKS 1000

static __attribute__((noinline)) void *come_and_go(void *argument)
{
	for (int i = 0; i < BLOCKS; i++)
		hak_free(here(555));
	return argument;
}

static void run_threads(unsigned count)
{
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < count; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void in_child(void *argument)
{
	(void)argument;
	if (!strstr(document(false), ",3000,1665000,0,3000,1665000,"))
		_exit(1);
	run_threads(1);
	if (!strstr(document(false), ",4000,2220000,0,4000,2220000,") || !strstr(document(true), ",4000,2220000,0,4000,2220000,"))
		_exit(2);
	_exit(0);
}

/* What threads freed counts on when they are gone, and once in a child. */
static void threads_and_children(void)
{
	static char said[1 << 12];
	start(1);
	threads_stack = hak_stack_capture();
	run_threads(THREADS);
	CU_ASSERT_PTR_NOT_NULL(strstr(document(false), ",3000,1665000,0,3000,1665000,"));
	UNIT_EQUAL(unit_in_child(in_child, NULL, said, sizeof(said)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(document(false), ",3000,1665000,0,3000,1665000,"));
	threads_stack = 0;
	stop();
}

/* What lives and what went make up what was allocated, also for the handler of a crash, and by the second of two dumps. */
static void crashed(void)
{
	void *blocks[10];
	start(1);
	for (volatile int i = 0; i < 10; i++)
		blocks[i] = there(777);
	for (int i = 0; i < 4; i++)
		hak_free(blocks[i]);
	CU_ASSERT_PTR_NOT_NULL(strstr(document(true), ",10,7770,0,4,3108,"));
	hak_free(blocks[4]);
	CU_ASSERT_PTR_NOT_NULL(strstr(document(true), ",10,7770,0,5,3885,"));
	for (int i = 5; i < 10; i++)
		hak_free(blocks[i]);
	CU_ASSERT_PTR_NOT_NULL(strstr(document(true), ",10,7770,0,10,7770,"));
	stop();
}

UNIT_MAIN("profile", UNIT(what_lives_is_exact_at_a_rate_of_one), UNIT(temporary_blocks), UNIT(estimates), UNIT(threads_and_children), UNIT(crashed))
