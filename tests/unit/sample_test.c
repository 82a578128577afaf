/* Samples: who becomes one, how free and its kin recognise it, and what the sums say meanwhile. */
#include "lib/sample.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>

#include "lib/audit.h"
#include "lib/depot.h"
#include "lib/hakmem.h"
#include "lib/inspect.h"
#include "lib/sample_table.h"
#include "lib/settings.h"
#include "lib/stats.h"
#include "lib/thread.h"
#include "tests/unit/heap.h"

#define MANY 4000

static void *blocks[MANY];

/* What the sink was told. */
static struct hak_sample last;
static unsigned taken, freed, temporary;
static bool sink_allocates;

static uint32_t on_sample(const struct hak_sample *sample)
{
	last = *sample;
	taken++;
	if (sink_allocates)
		hak_free(hak_malloc(sample->bytes));
	return taken;
}

static void on_freed(const struct hak_sample *sample, uint64_t lived_ns, bool is_temporary)
{
	(void)lived_ns;
	last = *sample;
	freed++;
	temporary += is_temporary;
	if (sink_allocates)
		hak_free(hak_malloc(sample->bytes));
}

static unsigned ticks;

/* What the end of a slow path may do: allocate for HAKMEM itself, of another class and of the same. */
static void on_tick(void)
{
	hak_trace_request_tick(false);
	hak_trace_busy = true;
	for (unsigned i = 0; i < 100; i++)
		hak_free(hak_malloc(i * 40));
	hak_free(hak_malloc(100000));
	hak_trace_busy = false;
	ticks++;
}

static const struct hak_sink sink = {.tick = on_tick, .sample = on_sample, .sample_freed = on_freed};

static void start(uint64_t rate)
{
	hak_trace_set_sink(&sink);
	CU_ASSERT_TRUE_FATAL(hak_sample_start(rate, 1, 20000));
	hak_free(hak_malloc(10)); /* this thread hears of it at its next slow path */
	hak_inspect_request_drain();
	taken = freed = temporary = 0;
}

static void stop(void)
{
	hak_sample_stop();
	hak_inspect_request_drain();
	hak_trace_set_sink(NULL);
}

static struct hak_sample_counts counts(void)
{
	struct hak_sample_counts now;
	hak_sample_count(&now);
	return now;
}

/* The samples that are live. */
static unsigned find_live(struct hak_sample *out, unsigned room)
{
	unsigned found = 0;
	for (uint32_t i = 0; i < hak_sample_end(); i++)
		found += found < room && hak_sample_look(i, &out[found]);
	return found;
}

static struct hak_sample sample_at(const void *block)
{
	struct hak_sample found;
	for (uint32_t i = 0; i < hak_sample_end(); i++) {
		if (hak_sample_look(i, &found) && found.address == (uintptr_t)block)
			return found;
	}
	return (struct hak_sample){.address = 0};
}

/* Of every size: recognised, usable, freed; the sums hold at each stage. */
static void every_block(void)
{
	struct hak_inspect before, during, after;
	hak_inspect_request_drain();
	hak_depot_trim();
	before = heap_look();
	start(1);
	for (unsigned i = 0; i < MANY; i++) {
		size_t bytes = (size_t)i * i % 70001;
		blocks[i] = hak_malloc(bytes);
		CU_ASSERT_PTR_NOT_NULL_FATAL(blocks[i]);
		UNIT_EQUAL(hak_bin_of_address(blocks[i]), HAK_BIN_SAMPLED);
		UNIT_EQUAL(last.address, (uintptr_t)blocks[i]);
		UNIT_EQUAL(last.bytes, bytes);
		CU_ASSERT_TRUE(last.weight == 1 && last.stack == 0); /* the answer is what makes its stack */
		CU_ASSERT_TRUE(hak_usable_size(blocks[i]) >= bytes);
		memset(blocks[i], (int)i, bytes);
	}
	UNIT_EQUAL(taken, MANY);
	UNIT_EQUAL(counts().live, MANY);
	during = heap_look();
	UNIT_EQUAL(heap_live(&during) - heap_live(&before), MANY);
	CU_ASSERT_PTR_NULL(hak_audit_all());
	for (unsigned i = 0; i < MANY; i++) {
		size_t bytes = (size_t)i * i % 70001;
		const unsigned char *block = blocks[i];
		CU_ASSERT_TRUE(bytes == 0 || (block[0] == (unsigned char)i && block[bytes - 1] == (unsigned char)i));
		hak_free(blocks[i]);
		UNIT_EQUAL(last.address, (uintptr_t)blocks[i]);
		UNIT_EQUAL(last.stack, i + 1);
	}
	UNIT_EQUAL(freed, MANY);
	UNIT_EQUAL(temporary, 1); /* the last one allocated, the last one freed */
	UNIT_EQUAL(counts().live, 0);
	stop();
	hak_depot_trim();
	after = heap_look();
	UNIT_EQUAL(heap_live(&after), heap_live(&before));
	UNIT_EQUAL(HEAP_SUM(&after, cached_blocks), 0); /* no stand-in is left */
	UNIT_EQUAL(HEAP_SUM(&after, slabs), HEAP_SUM(&before, slabs));
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

/* A block is temporary if its thread allocated nothing before it freed it, whether that would have been a sample or not. */
static void temporary_blocks(void)
{
	static const size_t between[] = {0, 40, 300000};
	start(4096);
	for (unsigned i = 0; i < 3; i++) {
		unsigned before;
		do {
			void *block, *next;
			before = taken;
			block = hak_malloc(100);
			next = taken != before && between[i] ? hak_malloc(between[i]) : NULL;
			temporary = 0;
			hak_free(block);
			UNIT_EQUAL(temporary, taken != before && !next);
			hak_free(next);
		} while (taken == before);
	}
	stop();
}

/* A block that is a sample lies apart; its stand-in is an ordinary block that goes with it. */
static void stand_ins(void)
{
	start(1);
	char *block = hak_malloc(500);
	UNIT_EQUAL(last.class, HAK_CLASS_OF_BIN(hak_bin_of_size(500)));
	UNIT_EQUAL(hak_bin_of_address((void *)last.stand_in), hak_bin_of_size(500));
	UNIT_EQUAL(hak_sample_table_held(last.class), 1);
	void *stand_in = (void *)last.stand_in;
	hak_free(block);
	UNIT_EQUAL(hak_sample_table_held(last.class), 1); /* the sample's own block is kept for the next one */
	CU_ASSERT_PTR_EQUAL(hak_malloc(500), block);
	CU_ASSERT_PTR_EQUAL((void *)last.stand_in, stand_in);
	stop();
	hak_free(block);
	CU_ASSERT_PTR_EQUAL(hak_malloc(500), stand_in); /* freed last */
	hak_free(stand_in);
	UNIT_EQUAL(hak_sample_table_held(last.class), 0); /* nor is anything kept for a next one that won't come */
	start(1);
	char *large = hak_malloc(300000);
	UNIT_EQUAL(last.class, HAK_SAMPLE_LARGE);
	UNIT_EQUAL(last.stand_in, 0);
	UNIT_EQUAL(last.decided, 5 * HAK_SLOT_BYTES);
	hak_free(large);
	stop();
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

static void alignments(void)
{
	start(1);
	for (size_t alignment = 16; alignment <= 1 << 20; alignment *= 2) {
		for (size_t bytes = 1; bytes < 200000; bytes = bytes * 3 + 1) {
			char *block = hak_memalign(alignment, bytes);
			UNIT_EQUAL((uintptr_t)block % alignment, 0);
			UNIT_EQUAL(last.bytes, bytes); /* and not the class's */
			CU_ASSERT_TRUE(hak_usable_size(block) >= bytes);
			memset(block, 1, bytes);
			hak_free(block);
		}
	}
	for (size_t bytes = 1; bytes < 1000000; bytes = bytes * 3 + 1) {
		unsigned char *block = hak_calloc(1, bytes);
		unsigned dirt = 0;
		for (size_t i = 0; i < bytes; i++)
			dirt |= block[i];
		UNIT_EQUAL(dirt, 0);
		memset(block, 1, bytes);
		hak_free(block);
	}
	UNIT_EQUAL(taken, freed);
	stop();
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

/* In place it is told, and counted once; elsewhere it is a new sample, and the old one is freed. */
static void reallocs(void)
{
	start(1);
	uint64_t before = counts().taken;
	char *block = hak_malloc(1000);
	CU_ASSERT_PTR_EQUAL(hak_realloc(block, 1020), block);
	UNIT_EQUAL(sample_at(block).bytes, 1020);
	CU_ASSERT_TRUE(sample_at(block).stack == 1 && sample_at(block).weight == 1);
	UNIT_EQUAL(counts().taken, before + 1);
	memset(block, 'a', 1020);
	char *moved = hak_realloc(block, 3000);
	CU_ASSERT_TRUE(moved != block && moved[1019] == 'a');
	UNIT_EQUAL(taken, 2);
	UNIT_EQUAL(freed, 1);
	moved = hak_realloc(moved, 3010); /* by a small step: room for more, but the sample says what was asked for */
	moved = hak_realloc(moved, 200000);
	UNIT_EQUAL(moved[1019], 'a');
	UNIT_EQUAL(hak_bin_of_address(moved), HAK_BIN_SAMPLED);
	before = taken;
	char *grown = hak_realloc(moved, 400000);
	CU_ASSERT_PTR_EQUAL(grown, moved); /* the neighbours were free */
	UNIT_EQUAL(taken, before);
	UNIT_EQUAL(sample_at(grown).bytes, 400000);
	UNIT_EQUAL(sample_at(grown).decided, 7 * HAK_SLOT_BYTES);
	UNIT_EQUAL(hak_usable_size(grown), 7 * HAK_SLOT_BYTES);
	UNIT_EQUAL(hak_bin_of_address(grown), HAK_BIN_SAMPLED);
	CU_ASSERT_PTR_NULL(hak_audit_all());
	moved = hak_realloc(grown, 20);
	UNIT_EQUAL(moved[19], 'a');
	UNIT_EQUAL(last.class, HAK_SAMPLE_LARGE); /* that one went */
	CU_ASSERT_PTR_NULL(hak_realloc(moved, 0));
	UNIT_EQUAL(counts().live, 0);
	errno = 0;
	block = hak_malloc(100);
	CU_ASSERT_PTR_NULL(hak_realloc(block, SIZE_MAX / 2 + 10));
	UNIT_EQUAL(errno, ENOMEM);
	hak_free(block);
	stop();
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

/* What is not the start of a live block is reported, as anywhere. */
static void misuse(void *ignored)
{
	(void)ignored;
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	start(1);
	char *block = hak_malloc(200), *large = hak_malloc(100000), *other = hak_malloc(200);
	hak_free(block + 16);
	hak_free(large + 16);
	hak_free(block);
	hak_free(block);
	if (hak_usable_size(other + 16) != 0 || hak_realloc(other + 16, 500) != NULL || errno != EINVAL)
		_exit(3);
	hak_free(other);
	hak_free(large);
	_exit(hak_audit_all() != NULL ? 4 : 0);
}

static void misuse_is_reported(void)
{
	static const char *const expected[] = {"free of an address that is not the start", "free of an address that is not the start",
		"block freed twice", "malloc_usable_size of an address that is not the start", "realloc of an address that is not the start"};
	char said[4096];
	UNIT_EQUAL(unit_in_child(misuse, NULL, said, sizeof(said)), 0);
	char *line = strtok(said, "\n");
	for (size_t i = 0; i < HAK_COUNT_OF(expected); i++, line = strtok(NULL, "\n")) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(line);
		CU_ASSERT_TRUE(strncmp(line, "hakmem: ", 8) == 0 && strncmp(line + 8, expected[i], strlen(expected[i])) == 0);
	}
	CU_ASSERT_PTR_NULL(line);
}

/* The sink may allocate: that is no sample, and it is not called from within itself. */
static void the_sink_may_allocate(void)
{
	start(1);
	sink_allocates = true;
	for (int i = 0; i < 100; i++) {
		void *block = hak_malloc(100);
		UNIT_EQUAL(last.address, (uintptr_t)block);
		hak_free(block);
	}
	sink_allocates = false;
	UNIT_EQUAL(taken, 100);
	UNIT_EQUAL(freed, 100);
	stop();
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

/* A full table: blocks are ordinary ones, and counted. */
static void a_full_table(void)
{
	uint64_t capacity, lost;
	start(1);
	capacity = counts().capacity;
	lost = counts().lost;
	CU_ASSERT_TRUE_FATAL(capacity >= 1024 && capacity <= 200000);
	void **some = calloc(capacity + 100, sizeof(*some));
	for (uint64_t i = 0; i < capacity + 100; i++)
		some[i] = hak_malloc(16);
	UNIT_EQUAL(counts().live, capacity);
	UNIT_EQUAL(counts().lost - lost, 100);
	UNIT_EQUAL(hak_bin_of_address(some[capacity + 50]), hak_bin_of_size(16));
	CU_ASSERT_PTR_NULL(hak_audit_all());
	/* No slab of samples is made for a block that can't be one. */
	uint64_t releases = hak_stat_get(releases);
	void *other = hak_malloc(5000);
	UNIT_EQUAL(hak_bin_of_address(other), hak_bin_of_size(5000));
	UNIT_EQUAL(hak_stat_get(releases), releases);
	hak_free(other);
	hak_free(some[0]);
	some[0] = hak_malloc(10); /* there is room for one again */
	UNIT_EQUAL(hak_bin_of_address(some[0]), HAK_BIN_SAMPLED);
	hak_free(some[0]);
	stop();
	for (uint64_t i = 1; i < capacity + 100; i++)
		hak_free(some[i]);
	UNIT_EQUAL(counts().live, 0);
	free(some);
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

static pthread_barrier_t barrier;

/* Blocks for samples that are kept have places in the table, of all classes and sums. */
static uint64_t held(void)
{
	uint64_t count = 0;
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class++)
		count += hak_sample_table_held(class);
	return count;
}

/* Frees as many samples of each of many classes as a thread may keep. */
static void *keep_many(void *ignored)
{
	void *some[HAK_CACHE_SPARES];
	for (unsigned class = 0; class < 24; class++) {
		for (unsigned i = 0; i < HAK_CACHE_SPARES; i++)
			some[i] = hak_malloc(hak_size_classes[class].block_bytes);
		for (unsigned i = 0; i < HAK_CACHE_SPARES; i++)
			hak_free(some[i]);
	}
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return ignored;
}

/* However many threads keep some: most of the table is for samples. */
static void what_threads_keep_is_bounded(void)
{
	pthread_t threads[16];
	start(1);
	hak_trace_set_sink(NULL); /* ours is one thread's */
	uint64_t before = held();
	CU_ASSERT_TRUE_FATAL(counts().capacity / 8 < HAK_COUNT_OF(threads) * 24 * HAK_CACHE_SPARES / 2);
	pthread_barrier_init(&barrier, NULL, HAK_COUNT_OF(threads) + 1);
	for (unsigned i = 0; i < HAK_COUNT_OF(threads); i++)
		pthread_create(&threads[i], NULL, keep_many, NULL);
	pthread_barrier_wait(&barrier);
	CU_ASSERT_TRUE(held() > before + HAK_CACHE_SPARES);
	CU_ASSERT_TRUE(held() <= before + counts().capacity / 8);
	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < HAK_COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
	UNIT_EQUAL(held(), before);
	stop();
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

static pthread_key_t key;

/* The thread's first malloc comes in the last round of exit hooks: nobody is told of its end. */
static void last_round(void *round)
{
	if ((intptr_t)round < PTHREAD_DESTRUCTOR_ITERATIONS) {
		pthread_setspecific(key, (char *)round + 1);
		return;
	}
	for (unsigned i = 0; i < 10; i++)
		hak_free(hak_malloc(i * 100 + 1));
}

static void *end_unnoticed(void *ignored)
{
	pthread_setspecific(key, (void *)1);
	return ignored;
}

/* Whoever looks at all threads finds that it is gone, and then what it kept goes back. */
static void what_a_vanished_thread_kept_goes_back(void)
{
	pthread_t thread;
	UNIT_LEAVE_IF(UNIT_TSAN, "the sanitizer's own part of a thread is gone by the last round");
	start(1);
	uint64_t before = held(), taken_before = counts().taken;
	pthread_key_create(&key, last_round);
	pthread_create(&thread, NULL, end_unnoticed, NULL);
	pthread_join(thread, NULL);
	UNIT_EQUAL(counts().taken - taken_before, 10);
	for (unsigned i = 0; i < 10000 && held() > before; i++) { /* the kernel has it a little longer than join */
		heap_look();
		sched_yield();
	}
	UNIT_EQUAL(held(), before);
	pthread_key_delete(key);
	stop();
}

/* Another thread takes samples from its next slow path on, and frees those of others. */
static void *free_all(void *ignored)
{
	(void)ignored;
	for (unsigned i = 0; i < 1000; i++)
		hak_free(blocks[i]);
	hak_free(hak_malloc(50));
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier); /* the rate has changed */
	while (!hak_cache_samples(hak_cache_mine))
		hak_free(hak_malloc(50));
	blocks[0] = hak_malloc(50);
	return NULL;
}

static void other_threads(void)
{
	pthread_t thread;
	start(1);
	for (unsigned i = 0; i < 1000; i++)
		blocks[i] = hak_malloc(100);
	stop();
	hak_trace_set_sink(&sink);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, free_all, NULL);
	pthread_barrier_wait(&barrier);
	UNIT_EQUAL(freed, 1000);
	UNIT_EQUAL(temporary, 0);
	UNIT_EQUAL(counts().live, 0);
	start(1);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	UNIT_EQUAL(hak_bin_of_address(blocks[0]), HAK_BIN_SAMPLED);
	CU_ASSERT_TRUE(last.tid != (uint32_t)gettid());
	temporary = 0;
	hak_free(blocks[0]);
	UNIT_EQUAL(temporary, 0); /* by another thread */
	pthread_barrier_destroy(&barrier);
	stop();
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

/* The child has the samples, and frees them; the parent's stay. */
static void in_child(void *live)
{
	struct hak_sample found[64];
	if (find_live(found, 64) != *(unsigned *)live)
		_exit(1);
	for (unsigned i = 0; i < 20; i++)
		hak_free(blocks[i]);
	void *block = hak_malloc(64);
	_exit(counts().live != 1 || hak_bin_of_address(block) != HAK_BIN_SAMPLED || hak_audit_all() != NULL ? 2 : 0);
}

static void forks(void)
{
	struct hak_sample found[64];
	char said[1000];
	start(1);
	for (unsigned i = 0; i < 20; i++)
		blocks[i] = hak_malloc(i * 5000);
	unsigned live = find_live(found, 64);
	UNIT_EQUAL(live, 20);
	UNIT_EQUAL(unit_in_child(in_child, &live, said, sizeof(said)), 0);
	UNIT_STRING(said, "");
	UNIT_EQUAL(counts().live, 20);
	UNIT_EQUAL(find_live(found, 64), 20);
	for (unsigned i = 0; i < 20; i++)
		hak_free(blocks[i]);
	stop();
}

/* Slabs of samples that lie idle lose their free pages, as others do. */
static void free_pages_are_swept(void)
{
	start(1);
	for (unsigned i = 0; i < 800; i++)
		blocks[i] = memset(hak_malloc(1280), 'x', 1280);
	stop();
	for (unsigned i = 0; i < 800; i++) {
		if (i % 40 != 0)
			hak_free(blocks[i]);
	}
	hak_inspect_request_drain();
	const volatile char *page = (char *)hak_align_up((uintptr_t)blocks[1], 4096);
	UNIT_EQUAL(*page, 'x');
	CU_ASSERT_TRUE(hak_inspect_purge() > 0);
	UNIT_EQUAL(*page, 0);
	for (unsigned i = 0; i < 800; i += 40) {
		UNIT_EQUAL(((char *)blocks[i])[1279], 'x');
		hak_free(blocks[i]);
	}
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

/* What is allocated at the end of a slow path is nobody's sample, and the block of that slow path is one all the same. */
static void ticks_take_no_samples(void)
{
	start(1);
	ticks = 0;
	for (unsigned i = 0; i < 200; i++) {
		hak_trace_request_tick(true);
		blocks[i] = hak_malloc(i * 400);
		UNIT_EQUAL(hak_bin_of_address(blocks[i]), HAK_BIN_SAMPLED);
	}
	UNIT_EQUAL(ticks, 200);
	UNIT_EQUAL(taken, 200);
	for (unsigned i = 0; i < 200; i++)
		hak_free(blocks[i]);
	UNIT_EQUAL(freed, 200);
	stop();
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

/* A large block grows in place, a slot at a time, and each slot has its chance: as often as one of its length at once. */
static void growth_is_sampled(void)
{
	unsigned sampled = 0, rounds = 0;
	start(10 * HAK_SLOT_BYTES);
	for (unsigned i = 0; i < 1000; i++) {
		char *block = hak_malloc(40000), *at_first = block;
		for (unsigned slots = 2; slots <= 10; slots++)
			block = hak_realloc(block, slots * HAK_SLOT_BYTES);
		rounds += block == at_first; /* the others found something in the way */
		if (block == at_first && hak_bin_of_address(block) == HAK_BIN_SAMPLED) {
			struct hak_sample found[16];
			unsigned live = find_live(found, 16);
			UNIT_EQUAL(live, 1);
			UNIT_EQUAL(found[0].bytes, 10 * HAK_SLOT_BYTES);
			CU_ASSERT_TRUE(fabs(found[0].weight - 1 / (1 - exp(-1))) < 1e-9);
			sampled++;
		}
		hak_free(block);
		hak_inspect_request_drain(); /* the next finds room to grow */
	}
	CU_ASSERT_TRUE(rounds > 300);
	/* 1 - 1/e of them, within four deviations. */
	CU_ASSERT_TRUE(fabs(sampled - (1 - exp(-1)) * rounds) < 4 * sqrt(0.2325 * rounds));
	stop();
	CU_ASSERT_PTR_NULL(hak_audit_all());
}

UNIT_MAIN("sample", UNIT(growth_is_sampled), UNIT(reallocs), UNIT(every_block), UNIT(temporary_blocks), UNIT(stand_ins), UNIT(alignments), UNIT(misuse_is_reported), UNIT(the_sink_may_allocate),
	UNIT(a_full_table), UNIT(what_threads_keep_is_bounded), UNIT(ticks_take_no_samples), UNIT(other_threads), UNIT(forks), UNIT(free_pages_are_swept),
	UNIT(what_a_vanished_thread_kept_goes_back)) /* last: ordinary blocks that it cached stay out of use */
