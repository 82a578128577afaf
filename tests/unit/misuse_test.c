/* What is put together at the moment of a mistake, and kept. */
#include "introspect/misuse.h"

#include <pthread.h>
#include <sys/mman.h>

#include "lib/hakmem.h"
#include "tests/unit/unit.h"

static char text[1 << 20];

static struct hak_report_details details_of(const void *address)
{
	struct hak_report_details details = {.text = "a mistake", .line = "hakmem: a mistake (address=…)",
		.address = (uintptr_t)address, .tid = (uint32_t)gettid(), .time_ns = 7000};
	return details;
}

static const char *encoded(void)
{
	struct hak_json json;
	hak_json_to_memory(&json, text, sizeof(text) - 1);
	hak_json_object(&json);
	hak_misuse_encode(&json);
	hak_json_end(&json);
	CU_ASSERT_TRUE(hak_json_finish(&json));
	text[json.length] = 0;
	return text;
}

static unsigned count_of(const char *what)
{
	unsigned count = 0;
	for (const char *at = encoded(); (at = strstr(at, what)) != NULL; at++)
		count++;
	return count;
}

static void nothing_yet(void)
{
	UNIT_STRING(encoded(), "{}");
	CU_ASSERT_TRUE(hak_misuse_prepare() && hak_misuse_prepare());
	UNIT_STRING(encoded(), "{}");
}

/* Nothing is read where neither the heap nor a guard has the memory, whether or not it could be, and nothing is shown: not what
 * another report left in the last record, which this one takes, either. */
static void memory_of_others(void)
{
	static char in_data[4096];
	char *block = hak_malloc(100);
	memset(block, 0x5a, 100);
	const void *others[] = {in_data + 2048, block + ((size_t)1 << 28), (void *)8};
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct hak_report_details details = details_of(block);
		for (unsigned j = 0; j < HAK_MISUSE_KEPT; j++)
			hak_misuse_end(hak_misuse_begin(&details, NULL));
		details = details_of(others[i]);
		snprintf(details.line, sizeof(details.line), "of another's");
		struct hak_misuse *misuse = hak_misuse_begin(&details, NULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(misuse);
		UNIT_EQUAL(misuse->at.kind, i == 1 ? HAK_AT_reserved : HAK_AT_foreign);
		UNIT_EQUAL(misuse->memory_at, 0);
		hak_misuse_end(misuse);
		const char *report = strstr(encoded(), "\"line\":\"of another's\"");
		CU_ASSERT_PTR_NOT_NULL_FATAL(report);
		CU_ASSERT_PTR_NULL(strstr(report, "\"memory\""));
	}
	hak_free(block);
}

/* The memory around a guarded block's address, also where the program can't read it; what isn't there can't be read. */
static void memory_around(void)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(page, 0xa5, 4096);
	mprotect(page, 4096, PROT_NONE);
	munmap(page + 4096, 4096);
	struct hak_report_details details = details_of(page + 4096 - 20);
	details.block = (struct hak_guarded){.address = (uintptr_t)page, .bytes = 4096, .level = 1, .state = HAK_GUARDED_FREED};
	/* A name of its own: what a program's first thread is called depends on how the program was started. */
	pthread_setname_np(pthread_self(), "culprit");
	struct hak_misuse *misuse = hak_misuse_begin(&details, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(misuse);
	UNIT_EQUAL(misuse->memory_at, page + 4096 - 64);
	for (unsigned i = 0; i < HAK_MISUSE_ROWS; i++)
		UNIT_EQUAL(misuse->readable[i], i < 4);
	for (unsigned i = 0; i < 64; i++)
		UNIT_EQUAL(misuse->memory[i], 0xa5);
	UNIT_EQUAL(misuse->at.kind, HAK_AT_foreign);
	UNIT_STRING(misuse->thread, "culprit");
	hak_misuse_end(misuse);
	munmap(page, 4096);
}

static void where_it_was(void)
{
	char *block = hak_malloc(100);
	memset(block, 0x5a, 100);
	struct hak_report_details details = details_of(block + 8);
	struct hak_misuse *misuse = hak_misuse_begin(&details, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(misuse);
	UNIT_EQUAL(misuse->at.kind, HAK_AT_live);
	UNIT_EQUAL(misuse->at.block, block);
	UNIT_EQUAL(misuse->at.offset, 8);
	UNIT_EQUAL(misuse->pc, 0);
	for (uintptr_t i = 0; i < 48; i++)
		UNIT_EQUAL(misuse->memory[(uintptr_t)block + i - misuse->memory_at], 0x5a);
	hak_misuse_end(misuse);
	CU_ASSERT_PTR_NOT_NULL(strstr(encoded(), "\"kind\":\"live\",\"ss\":\"0x"));
	hak_free(block);
}

static void blocks_with_their_stacks(void)
{
	struct hak_report_details details = details_of(&text);
	CU_ASSERT_TRUE_FATAL(hak_stack_begin(HAK_STACK_FRAME_POINTERS, 1024));
	details.block = (struct hak_guarded){.address = 0x1000, .bytes = 24, .level = 1, .class = 1, .alloc_tid = 11, .alloc_ns = 5000,
		.alloc_stack = hak_stack_capture()};
	details.damage = 3;
	hak_misuse_end(hak_misuse_begin(&details, NULL));
	const char *block = strstr(encoded(), "\"block\":{\"address\":\"0x1000\",\"bytes\":24,\"class\":1,\"level\":\"sample\",\"state\":\"live\",");
	CU_ASSERT_PTR_NOT_NULL_FATAL(block);
	CU_ASSERT_PTR_NOT_NULL(strstr(block, "\"allocated\":{\"tid\":11,\"time_us\":5,\"frames\":[\"0x"));
	CU_ASSERT_PTR_NULL(strstr(block, "\"freed\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"damage\":3,"));
	details.block.state = HAK_GUARDED_FREED;
	details.block.free_tid = 12;
	details.damage = 0;
	hak_misuse_end(hak_misuse_begin(&details, NULL));
	CU_ASSERT_PTR_NOT_NULL(strstr(encoded(), "\"freed\":{\"tid\":12,\"frames\":[]}"));
}

/* The first ones stay, and the last one takes the last place; those in between are gone. */
static void the_first_and_the_last(void)
{
	struct hak_report_details details = details_of(text);
	for (unsigned i = 0; i < 2 * HAK_MISUSE_KEPT; i++) {
		snprintf(details.line, sizeof(details.line), "line %u.", i);
		hak_misuse_end(hak_misuse_begin(&details, NULL));
	}
	UNIT_EQUAL(count_of("\"time_us\":7,\"text\""), HAK_MISUSE_KEPT);
	UNIT_EQUAL(count_of("line 31."), 1);
	UNIT_EQUAL(count_of("line 30."), 0);
	UNIT_EQUAL(count_of("line 0."), 1);
}

/* A report takes the last place when it is whole; until then the one before is there. */
static void two_at_a_time(void)
{
	struct hak_report_details details = details_of(text);
	snprintf(details.line, sizeof(details.line), "outer");
	struct hak_misuse *outer = hak_misuse_begin(&details, NULL);
	UNIT_EQUAL(count_of("\"time_us\":7,\"text\""), HAK_MISUSE_KEPT);
	UNIT_EQUAL(count_of("outer"), 0);
	UNIT_EQUAL(count_of("line 31."), 1);
	snprintf(details.line, sizeof(details.line), "inner");
	struct hak_misuse *inner = hak_misuse_begin(&details, NULL);
	CU_ASSERT_TRUE_FATAL(outer != NULL && inner != NULL && inner != outer);
	hak_misuse_end(inner);
	UNIT_EQUAL(count_of("inner"), 1);
	hak_misuse_end(outer);
	UNIT_EQUAL(count_of("outer"), 1);
	UNIT_EQUAL(count_of("inner"), 0);
}

UNIT_MAIN("misuse", UNIT(nothing_yet), UNIT(memory_around), UNIT(where_it_was), UNIT(blocks_with_their_stacks),
	UNIT(the_first_and_the_last), UNIT(two_at_a_time), UNIT(memory_of_others))
