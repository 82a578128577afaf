/* The levels of guarding on a whole heap: which blocks are guarded, that they are as good as others, and what is said of them. */
#include "lib/guard.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>

#include "lib/entry.h"
#include "lib/guard_page.h"
#include "lib/os.h"
#include "lib/sample.h"
#include "lib/sample_table.h"
#include "lib/size_class.h"
#include "lib/stats.h"
#include "tests/unit/heap.h"
#include "tests/unit/reports.h"

#define SLOTS 128

/* ---- Who listens ---- */

static unsigned samples_freed;
static struct hak_sample last_sample;
static _Thread_local uint32_t stack_now = 1000; /* the numbers of a thread's stacks */
static uintptr_t site_now;

/* It may allocate: what it does is not guarded. */
static uint32_t capture(void)
{
	hak_free(hak_malloc(100));
	return ++stack_now;
}

static bool stack_has(uint32_t stack, uintptr_t address)
{
	return stack == stack_now && address == site_now;
}

static uint32_t keep_sample(const struct hak_sample *sample)
{
	last_sample = *sample;
	return 5;
}

static void count_freed(const struct hak_sample *sample, uint64_t lived_ns, bool temporary)
{
	(void)lived_ns;
	(void)temporary;
	samples_freed += sample->address == last_sample.address;
}

static const struct hak_sink sink = {.event = ignore_event, .report = keep_report, .capture = capture, .stack_has = stack_has,
	.sample = keep_sample, .sample_freed = count_freed};

static void guard(uint8_t level, uint64_t rate, uint8_t class, uintptr_t site)
{
	struct hak_guard_choice choice = {level, class, rate, site};
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	hak_trace_set_sink(&sink);
	CU_ASSERT_TRUE_FATAL(hak_guard_set(&choice));
	hak_drain(); /* a slow path of this thread's, which meets it */
	reported = 0;
}

static void guard_every_one(void)
{
	guard(HAK_GUARD_SAMPLE, 1, HAK_GUARD_ANY_CLASS, 0);
}

static void guard_none(void)
{
	guard(HAK_GUARD_OFF, 1, HAK_GUARD_ANY_CLASS, 0);
}

static struct hak_guard_counts counts(void)
{
	struct hak_guard_counts out;
	hak_guard_count(&out);
	return out;
}

/* ---- What is chosen ---- */

static void a_choice_is_taken_or_refused(void)
{
	static const struct hak_guard_choice bad[] = {{HAK_GUARD_FULL + 1, HAK_GUARD_ANY_CLASS, 1, 0},
		{HAK_GUARD_SAMPLE, HAK_CLASS_COUNT, 1, 0}, {HAK_GUARD_SAMPLE, HAK_GUARD_ANY_CLASS, 0, 0},
		{HAK_GUARD_SAMPLE, HAK_GUARD_ANY_CLASS, 1, 0x1000}};
	struct hak_guard_choice good = {HAK_GUARD_OFF, 3, 77, 0};
	hak_trace_set_sink(NULL);
	CU_ASSERT_TRUE(hak_guard_set(&good));
	for (size_t i = 0; i < HAK_COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(hak_guard_set(&bad[i]));
	UNIT_EQUAL(counts().choice.level, HAK_GUARD_OFF);
	UNIT_EQUAL(counts().choice.class, 3);
	UNIT_EQUAL(counts().choice.rate, 77);
	/* A site needs somebody who knows stacks. */
	good.site = 0x1000;
	hak_trace_set_sink(&sink);
	CU_ASSERT_TRUE(hak_guard_set(&good));
	UNIT_EQUAL(counts().choice.site, 0x1000);
	guard_none();
}

static bool is_guarded(size_t bytes)
{
	void *block = hak_malloc(bytes);
	bool held = hak_guard_page_holds(block);
	hak_free(block);
	return held;
}

static void one_class_or_one_site(void)
{
	guard(HAK_GUARD_SAMPLE, 1, (uint8_t)HAK_CLASS_OF_BIN(hak_bin_of_size(200)), 0);
	CU_ASSERT_TRUE(is_guarded(200));
	CU_ASSERT_FALSE(is_guarded(100));
	uint64_t lost = counts().lost;
	guard(HAK_GUARD_SAMPLE, 1, HAK_GUARD_ANY_CLASS, 0x1234);
	site_now = 0x5678;
	CU_ASSERT_FALSE(is_guarded(200));
	site_now = 0x1234;
	CU_ASSERT_TRUE(is_guarded(200));
	UNIT_EQUAL(counts().lost, lost);
	guard_none();
	CU_ASSERT_FALSE(is_guarded(200));
	/* Those that level full leaves out are ordinary ones. */
	guard(HAK_GUARD_FULL, 1, (uint8_t)HAK_CLASS_OF_BIN(hak_bin_of_size(200)), 0);
	CU_ASSERT_FALSE(is_guarded(100));
	guard_none();
}

/* One in eight, within five standard deviations. */
static void some_by_chance(void)
{
	unsigned held = 0;
	guard(HAK_GUARD_SAMPLE, 8, HAK_GUARD_ANY_CLASS, 0);
	for (int i = 0; i < 8000; i++)
		held += is_guarded((size_t)i % 2000);
	CU_ASSERT_TRUE(held > 1000 - 148 && held < 1000 + 148);
	guard_none();
}

/* ---- As good as others ---- */

static void blocks_behave(void)
{
	guard_every_one();
	for (size_t bytes = 0; bytes < 40000; bytes = bytes * 2 + 7) {
		unsigned char *block = hak_malloc(bytes), *zero = hak_calloc(1, bytes), *moved;
		UNIT_EQUAL(hak_guard_page_holds(block), bytes <= 32768);
		CU_ASSERT_TRUE(hak_usable_size(block) >= bytes);
		if (bytes > 0 && bytes <= 32768)
			UNIT_EQUAL(hak_usable_size(block), bytes);
		for (size_t i = 0; i < bytes; i++)
			CU_ASSERT_TRUE_FATAL(zero[i] == 0);
		memset(block, 'x', hak_usable_size(block));
		memset(zero, 'y', hak_usable_size(zero));
		moved = hak_realloc(block, bytes + 1000);
		for (size_t i = 0; i < bytes; i++)
			CU_ASSERT_TRUE_FATAL(moved[i] == 'x');
		memset(moved, 'z', bytes + 1000);
		moved = hak_realloc(moved, bytes / 3 + 1);
		for (size_t i = 0; i < bytes / 3 + 1; i++)
			CU_ASSERT_TRUE_FATAL(moved[i] == 'z');
		memset(moved, 'z', hak_usable_size(moved));
		hak_free(moved);
		hak_entry_free_sized(zero, bytes, HAK_ALIGNMENT);
	}
	UNIT_EQUAL(reported, 0);
	UNIT_EQUAL(counts().armed, 0);
	guard_none();
}

static void alignments_are_kept(void)
{
	guard_every_one();
	for (size_t alignment = 16; alignment <= 65536; alignment *= 2) {
		for (size_t bytes = 1; bytes < 20000; bytes = bytes * 3 + 11) {
			char *block = hak_memalign(alignment, bytes);
			UNIT_EQUAL((uintptr_t)block % alignment, 0);
			if (alignment <= 4096)
				CU_ASSERT_TRUE(hak_guard_page_holds(block));
			memset(block, 'x', hak_usable_size(block));
			hak_entry_free_sized(block, bytes, alignment);
		}
	}
	/* It was for those alone: others stand at their end without. */
	for (int i = 0; i < 20; i++) {
		char *block = hak_malloc(130);
		CU_ASSERT_TRUE((uintptr_t)block % hak_os_page_size() == 0 || ((uintptr_t)block + 144) % hak_os_page_size() == 0);
		hak_free(block);
	}
	UNIT_EQUAL(reported, 0);
	guard_none();
}

/* What realloc leaves where it is would be known by the size that it had. */
static void a_size_that_realloc_made_is_known(void)
{
	guard_every_one();
	for (size_t bytes = 0; bytes <= 64; bytes++) {
		char *block = hak_realloc(hak_malloc(64), bytes + 1);
		CU_ASSERT_TRUE(hak_guard_page_holds(block));
		UNIT_EQUAL(hak_usable_size(block), bytes + 1);
		hak_entry_free_sized(block, bytes + 1, HAK_ALIGNMENT);
		block = hak_realloc(hak_malloc(0), bytes + 1);
		hak_entry_free_sized(block, bytes + 1, HAK_ALIGNMENT);
	}
	UNIT_EQUAL(reported, 0);
	guard_none();
}

/* What was guarded stays so until it is freed; the heap's counts know nothing of it. */
static void counts_stay_right(void)
{
	static void *blocks[300];
	guard_every_one();
	uint64_t lost = counts().lost;
	hak_drain();
	struct hak_inspect before = heap_look();
	for (int i = 0; i < 300; i++)
		blocks[i] = hak_malloc(200);
	UNIT_EQUAL(counts().slots, SLOTS);
	UNIT_EQUAL(counts().armed, SLOTS);
	UNIT_EQUAL(counts().lost - lost, 300 - SLOTS); /* the table is full: those are ordinary */
	guard_none();
	struct hak_inspect now = heap_look();
	UNIT_EQUAL(heap_live(&now) - heap_live(&before), 300);
	UNIT_EQUAL(now.live_bytes - before.live_bytes, 300 * 224);
	for (int i = 0; i < 300; i++) {
		memset(blocks[i], 'x', 200);
		hak_free(blocks[i]);
	}
	hak_drain();
	now = heap_look();
	UNIT_EQUAL(heap_live(&now), heap_live(&before));
	UNIT_EQUAL(counts().armed, 0);
	UNIT_EQUAL(counts().quarantined_blocks, SLOTS);
	UNIT_EQUAL(counts().quarantined_bytes, SLOTS * 200);
	UNIT_EQUAL(reported, 0);
}

/* A block can be a sample too, under the address that the program has. */
static void a_guarded_block_can_be_a_sample(void)
{
	struct hak_sample_counts samples;
	guard_every_one();
	CU_ASSERT_TRUE_FATAL(hak_sample_start(1, 7, 1024));
	char *block = hak_malloc(200);
	hak_sample_count(&samples);
	UNIT_EQUAL(samples.live, 1);
	CU_ASSERT_TRUE(hak_guard_page_holds(block));
	UNIT_EQUAL(last_sample.address, block);
	UNIT_EQUAL(last_sample.bytes, 200);
	CU_ASSERT_TRUE(hak_bin_is_class(hak_bin_of_address((void *)last_sample.stand_in)));
	UNIT_EQUAL(hak_sample_table_held(last_sample.class), 0);
	UNIT_EQUAL(hak_usable_size(block), 200);
	hak_sample_stop();
	guard_none();
	samples_freed = 0;
	block = hak_realloc(block, 300);
	UNIT_EQUAL(samples_freed, 1);
	hak_sample_count(&samples);
	UNIT_EQUAL(samples.live, 0);
	hak_free(block);
	UNIT_EQUAL(reported, 0);
}

/* ---- What is said ---- */

/* The last report is of this kind, address and block; *details is it. */
static void expect(enum hak_report_kind kind, const void *address, const void *block)
{
	const struct hak_report_details *last = &reports[0];
	UNIT_EQUAL(reported, 1);
	UNIT_EQUAL(last->kind, kind);
	UNIT_EQUAL(last->address, address);
	UNIT_EQUAL(last->block.address, block);
	CU_ASSERT_TRUE(last->stack > 1000);
	reported = 0;
}

static void misuse_is_told_with_its_block(void)
{
	char *block;
	guard_every_one();
	block = hak_malloc(200);
	uint32_t allocated = stack_now;
	hak_free(block + 16);
	expect(HAK_REPORT_INVALID_FREE, block + 16, block);
	UNIT_EQUAL(reports[0].block.alloc_stack, allocated);
	UNIT_EQUAL(hak_usable_size(block + 32), 0);
	expect(HAK_REPORT_INVALID_USABLE, block + 32, block);
	errno = 0;
	CU_ASSERT_PTR_NULL(hak_realloc(block + 48, 5));
	UNIT_EQUAL(errno, EINVAL);
	expect(HAK_REPORT_INVALID_REALLOC, block + 48, block);
	/* Of a guarded block the size is known exactly, and the alignment. */
	hak_entry_free_sized(block, 208, 16);
	UNIT_EQUAL(reports[0].bytes, 208);
	UNIT_EQUAL(reports[0].block.bytes, 200);
	expect(HAK_REPORT_WRONG_SIZE, block, block);
	uint32_t freed = stack_now;
	hak_free(block);
	UNIT_EQUAL(reports[0].block.alloc_stack, allocated);
	CU_ASSERT_TRUE(reports[0].block.free_stack > allocated && reports[0].block.free_stack <= freed);
	expect(HAK_REPORT_DOUBLE_FREE, block, block);
	CU_ASSERT_PTR_NULL(hak_realloc(block, 5));
	expect(HAK_REPORT_REALLOC_OF_FREED, block, block);
	block = hak_memalign(64, 200);
	hak_entry_free_sized(block, 0, 16);
	UNIT_EQUAL(reports[0].block.align_shift, 6);
	expect(HAK_REPORT_WRONG_SIZE, block, block);
	/* A byte too many, of a size that leaves some behind it. */
	block = hak_malloc(201);
	block[201] = 'x';
	hak_free(block);
	UNIT_EQUAL(reports[0].damage, 1);
	expect(HAK_REPORT_OVERFLOW, block + 201, block);
	guard_none();
}

static void faults_are_told(void)
{
	struct hak_report_details details;
	struct hak_guarded found;
	bool printed = false;
	guard_every_one();
	char *block = hak_malloc(200);
	uint64_t before = hak_stat_get(misuse_reports);
	CU_ASSERT_TRUE(hak_guard_find((uintptr_t)block + 40, &found));
	UNIT_EQUAL(found.address, block);
	CU_ASSERT_TRUE(hak_guard_fault((uintptr_t)block + 200, HAK_ACCESS_READ, &details, &printed));
	UNIT_EQUAL(details.kind, HAK_REPORT_FAULT_OVERFLOW);
	UNIT_EQUAL(details.access, HAK_ACCESS_READ);
	CU_ASSERT_TRUE(printed);
	CU_ASSERT_TRUE(hak_guard_fault((uintptr_t)block - 1, HAK_ACCESS_WRITE, &details, &printed));
	UNIT_EQUAL(details.kind, HAK_REPORT_FAULT_UNDERFLOW);
	hak_free(block);
	CU_ASSERT_TRUE(hak_guard_fault((uintptr_t)block + 199, HAK_ACCESS_WRITE, &details, &printed));
	UNIT_EQUAL(details.kind, HAK_REPORT_FAULT_AFTER_FREE);
	UNIT_EQUAL(details.block.address, block);
	CU_ASSERT_PTR_NOT_NULL(strstr(details.line, " offset=199 freed access=write)"));
	CU_ASSERT_FALSE(hak_guard_fault((uintptr_t)&details, HAK_ACCESS_WRITE, &details, &printed));
	UNIT_EQUAL(hak_stat_get(misuse_reports) - before, 3);
	CU_ASSERT_TRUE(hak_guard_open((uintptr_t)block));
	*(volatile char *)block = 'x'; /* no fault */
	UNIT_EQUAL(reported, 0);
	guard_none();
}

/* ---- Many threads, and a child ---- */

static void *work(void *seed)
{
	uint32_t random = (uint32_t)(uintptr_t)seed;
	char *blocks[20] = {NULL};
	struct hak_guarded found;
	for (int i = 0; i < 20000; i++) {
		random = random * 1664525 + 1013904223;
		char **place = &blocks[random >> 8 & 15];
		size_t bytes = random >> 16 & 1023;
		if (*place != NULL && (random >> 28) == 0)
			*place = hak_realloc(*place, bytes + 1);
		else if (*place != NULL)
			hak_free(*place), *place = NULL;
		else
			*place = hak_malloc(bytes + 1);
		if (*place != NULL) {
			memset(*place, 'x', hak_usable_size(*place));
			hak_guard_find((uintptr_t)*place, &found);
		}
	}
	for (int i = 0; i < 20; i++)
		hak_free(blocks[i]);
	return NULL;
}

static void many_threads(void)
{
	pthread_t threads[6];
	guard(HAK_GUARD_SAMPLE, 3, HAK_GUARD_ANY_CLASS, 0);
	for (uintptr_t i = 0; i < HAK_COUNT_OF(threads); i++)
		CU_ASSERT_TRUE_FATAL(pthread_create(&threads[i], NULL, work, (void *)(i * 99991 + 7)) == 0);
	for (size_t i = 0; i < HAK_COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
	UNIT_EQUAL(reported, 0);
	UNIT_EQUAL(counts().armed, 0);
	CU_ASSERT_TRUE(counts().taken > 1000);
	guard_none();
}

static char *inherited;

static void use_inherited(void *ignored)
{
	(void)ignored;
	if (!hak_guard_page_holds(inherited) || hak_usable_size(inherited) != 100 || inherited[99] != 'p')
		_exit(1);
	inherited[99] = 'c';
	hak_free(inherited);
	if (!is_guarded(100))
		_exit(2);
	hak_free(inherited);
	_exit(reported == 1 && reports[0].kind == HAK_REPORT_DOUBLE_FREE ? 0 : 3);
}

static void a_child_keeps_them(void)
{
	char said[1024];
	guard_every_one();
	inherited = hak_malloc(100);
	memset(inherited, 'p', 100);
	UNIT_EQUAL(unit_in_child(use_inherited, NULL, said, sizeof(said)), 0);
	UNIT_STRING(said, "");
	UNIT_EQUAL(inherited[99], 'p');
	hak_free(inherited);
	UNIT_EQUAL(reported, 0);
	guard_none();
}

/* What was asked for and can't be had is said. */
static void begin_with_nothing(void *ignored)
{
	struct rlimit limit = {1 << 20, 1 << 20};
	(void)ignored;
	hak_settings.guard = HAK_GUARD_SAMPLE;
	setrlimit(RLIMIT_AS, &limit);
	hak_guard_init();
	_exit(counts().choice.level == HAK_GUARD_OFF && counts().slots == 0 ? 0 : 1);
}

static void no_memory_is_told(void)
{
	char said[1024];
	UNIT_LEAVE_IF(UNIT_ASAN || UNIT_TSAN, "a sanitizer needs the address space");
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator ignores limits on the address space");
	UNIT_EQUAL(unit_in_child(begin_with_nothing, NULL, said, sizeof(said)), 0);
	CU_ASSERT_TRUE(strncmp(said, "hakmem: no memory for what HAKMEM_GUARD asks for: nothing is guarded; ", 70) == 0);
}

/* Which of a thousand mallocs are guarded, as a sum that tells one choice from another. */
static uint64_t choice_of_a_thousand(void)
{
	uint64_t sum = 0;
	for (int i = 0; i < 1000; i++)
		sum = sum * 31 + is_guarded(100);
	return sum;
}

static void choose_in_a_child(void *parent_seed)
{
	if (counts().seed == *(uint64_t *)parent_seed)
		_exit(1);
	fprintf(stderr, "%llx", (unsigned long long)choice_of_a_thousand());
}

/* What one child of a server chooses, the next one need not. */
static void children_choose_for_themselves(void)
{
	char one[64], other[64];
	guard(HAK_GUARD_SAMPLE, 10, HAK_GUARD_ANY_CLASS, 0);
	uint64_t seed = counts().seed;
	UNIT_EQUAL(unit_in_child(choose_in_a_child, &seed, one, sizeof(one)), 0);
	UNIT_EQUAL(unit_in_child(choose_in_a_child, &seed, other, sizeof(other)), 0);
	CU_ASSERT_TRUE(strlen(one) > 8 && strcmp(one, other) != 0);
	UNIT_EQUAL(counts().seed, seed);
	guard_none();
}

UNIT_MAIN("guard", UNIT(no_memory_is_told), UNIT(a_choice_is_taken_or_refused), UNIT(one_class_or_one_site), UNIT(some_by_chance), UNIT(blocks_behave), UNIT(alignments_are_kept), UNIT(a_size_that_realloc_made_is_known),
	UNIT(counts_stay_right), UNIT(a_guarded_block_can_be_a_sample), UNIT(misuse_is_told_with_its_block), UNIT(faults_are_told), UNIT(many_threads),
	UNIT(a_child_keeps_them), UNIT(children_choose_for_themselves))
