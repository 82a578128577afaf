/* A thread's cache: lists neither run dry nor overflow, drains give back what lies idle. */
#include "lib/front_cache.h"

#include "lib/poisson.h"
#include "lib/sample_table.h"
#include "lib/trace.h"
#include "tests/unit/cache.h"

/* What a thread doesn't use costs it no memory: neither a birth nor a flush writes to the records of other classes. */
static void unused_classes_stay_untouched(void)
{
	/* NOLINTBEGIN(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c): padding is memory too */
	static const struct hak_cache_class untouched;
	unsigned written = 0;
	start();
	release(allocate(BYTES));
	flush();
	for (unsigned bin = HAK_BIN_OF_CLASS(HAK_CLASS_OF_20480); bin < HAK_BIN_LARGE; bin++)
		written += memcmp(&cache.classes[bin], &untouched, sizeof(untouched)) != 0;
	UNIT_EQUAL(written, 0);
	CU_ASSERT_TRUE(memcmp(&cache.classes[BIN], &untouched, sizeof(untouched)) != 0);
	/* NOLINTEND(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c) */
}

static void blocks_are_distinct_and_whole(void)
{
	start();
	for (uintptr_t i = 0; i < MANY; i++) {
		uintptr_t *block = blocks[i] = allocate(BYTES);
		CU_ASSERT_PTR_NOT_NULL_FATAL(block);
		for (int word = 0; word < BYTES / 8; word++)
			block[word] = i;
	}
	unsigned wrong = 0;
	for (uintptr_t i = 0; i < MANY; i++) {
		for (int word = 0; word < BYTES / 8; word++)
			wrong += ((uintptr_t *)blocks[i])[word] != i;
	}
	UNIT_EQUAL(wrong, 0);
	for (int i = 0; i < MANY; i++)
		release(blocks[i]);
}

static void what_a_thread_keeps_is_bounded(void)
{
	start();
	for (unsigned class = 0; class <= HAK_CLASS_OF_32768; class ++) {
		size_t bytes = hak_size_classes[class].block_bytes;
		size_t count = (3u << 20) / bytes < MANY ? (3u << 20) / bytes : MANY;
		for (size_t i = 0; i < count; i++)
			blocks[i] = allocate(bytes);
		for (size_t i = 0; i < count; i++)
			release(blocks[i]);
		uint64_t cached = counts_of(HAK_BIN_OF_CLASS(class)).cached_blocks * bytes;
		/* A class keeps 256 KiB in batches, and two and a half in its hot list. */
		CU_ASSERT_TRUE(cached <= (256u << 10) + 3 * hak_size_classes[class].batch * bytes);
	}
	CU_ASSERT_TRUE(cache.stashed_bytes <= 2 << 20);
	hak_settings.cache_bytes = 64 << 10;
	for (int i = 0; i < MANY; i++)
		blocks[i] = allocate(BYTES);
	for (int i = 0; i < MANY; i++)
		release(blocks[i]);
	CU_ASSERT_TRUE(counts_of(BIN).cached_blocks <= 2 * hak_size_classes[3].batch);
}

/* Half the cache lies idle while the program uses the other half: the drain gives the idle part back and keeps the
 * rest. */
/* A program that frees somewhat more than it allocates must not carry one ever longer list between the hot list and the
 * batches. */
static void more_frees_than_mallocs_stay_bounded(void)
{
	start();
	hak_settings.cache_bytes = 64 << 10;
	int live = 0;
	uint64_t most = 0;
	while (live < MANY)
		blocks[live++] = allocate(BYTES);
	while (live > 17) {
		for (int i = 0; i < 17; i++)
			release(blocks[--live]);
		blocks[live++] = allocate(BYTES);
		blocks[live++] = allocate(BYTES);
		uint64_t cached = counts_of(BIN).cached_blocks;
		most = cached > most ? cached : most;
	}
	while (live > 0)
		release(blocks[--live]);
	CU_ASSERT_TRUE(most * BYTES <= (64 << 10) + 3 * hak_size_classes[3].batch * BYTES);
}

static void drain_gives_back_what_lies_idle(void)
{
	start();
	for (int i = 0; i < 1000; i++)
		blocks[i] = allocate(BYTES);
	for (int i = 0; i < 1000; i++) {
		release(blocks[i]);
		if (i % 16 == 0)
			release(allocate(BYTES)); /* one that only frees would keep no batches */
	}
	uint64_t cached = counts_of(BIN).cached_blocks;
	uint64_t drains = hak_stat_get(drains), drained = hak_stat_get(drained_blocks);
	CU_ASSERT_TRUE_FATAL(cached >= 3 * hak_size_classes[3].batch);
	for (int i = 0; i < 5 * 1024; i++)
		release(allocate(BYTES));
	CU_ASSERT_TRUE(hak_stat_get(drains) - drains >= 1);
	CU_ASSERT_TRUE(hak_stat_get(drained_blocks) - drained >= hak_size_classes[3].batch);
	CU_ASSERT_TRUE(counts_of(BIN).cached_blocks <= 2 * hak_size_classes[3].batch);
	CU_ASSERT_TRUE(counts_of(BIN).cached_blocks > 0);
}

/* A thread may keep batches of a class once it had to fetch some, and fewer after each drain that finds them idle: one
 * that only frees keeps none, and its hot list goes as well when it is full. */
static void who_only_frees_keeps_no_batches(void)
{
	start();
	for (int i = 0; i < MANY; i++)
		blocks[i] = allocate(BYTES);
	unsigned may_keep = cache.classes[BIN].limit, most = 0;
	CU_ASSERT_TRUE(may_keep > 1);
	for (int i = 0; i < MANY; i++) {
		release(blocks[i]);
		most = cache.classes[BIN].batches > most ? cache.classes[BIN].batches : most;
	}
	UNIT_EQUAL(most, may_keep);
	UNIT_EQUAL(cache.classes[BIN].limit, 0);
	UNIT_EQUAL(cache.classes[BIN].batches, 0);
	CU_ASSERT_TRUE(counts_of(BIN).cached_blocks <= 2 * hak_size_classes[3].batch);
}

/* What is freed in a row goes into batches in that order, although only the first of them is found by walking. */
static void batches_hold_what_was_freed_first(void)
{
	unsigned batch = hak_size_classes[3].batch;
	start();
	hak_settings.drain_interval = 1u << 30;
	for (int i = 0; i < MANY; i++)
		blocks[i] = allocate(BYTES);
	flush();
	for (unsigned i = 0; i < 5 * batch; i++) {
		release(blocks[i]);
		CU_ASSERT_TRUE(i < 2 * batch || cache.classes[BIN].seam == blocks[i / batch * batch]);
	}
	UNIT_EQUAL(cache.classes[BIN].batches, 3);
	unsigned wrong = 0;
	for (unsigned number = 0; number < 3; number++) {
		const struct hak_block *block = cache.classes[BIN].batch[number].head;
		UNIT_EQUAL(cache.classes[BIN].batch[number].length, batch);
		for (unsigned i = (number + 1) * batch; i-- > number * batch; block = block->next)
			wrong += block != blocks[i];
		CU_ASSERT_PTR_NULL(block);
	}
	UNIT_EQUAL(wrong, 0);
	/* Whatever else happens to the list, the seam is forgotten. */
	flush();
	CU_ASSERT_PTR_NULL(cache.classes[BIN].seam);
	for (unsigned i = 5 * batch; i < 8 * batch; i++)
		release(blocks[i]);
	CU_ASSERT_PTR_NOT_NULL(cache.classes[BIN].seam);
	hak_cache_recount(&cache);
	CU_ASSERT_PTR_NULL(cache.classes[BIN].seam);
	for (unsigned i = 8 * batch; i < MANY; i++)
		release(blocks[i]);
	CU_ASSERT_PTR_NOT_NULL(cache.classes[BIN].seam);
	/* A refill forgets it too. */
	unsigned taken = 0;
	while (cache.classes[BIN].seam != NULL && taken < MANY)
		blocks[taken++] = allocate(BYTES);
	CU_ASSERT_PTR_NULL(cache.classes[BIN].seam);
	while (taken > 0)
		release(blocks[--taken]);
}

/* A block that is freed once more makes the list a circle, shorter than it was counted: the next walk sees that, at a
 * cut or at a refill, or malloc would run off its end. The one at the seam has another block below it then. */
static void make_a_circle(void *which)
{
	unsigned batch = hak_size_classes[3].batch, kind = *(unsigned *)which;
	start();
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	hak_settings.drain_interval = 1u << 30;
	for (int i = 0; i < MANY; i++)
		blocks[i] = allocate(BYTES);
	flush();
	for (unsigned i = 0; i < 4 * batch; i++) {
		release(blocks[i]);
		if (i == 2 * batch + 5)
			release(kind == 0 ? cache.classes[BIN].seam : blocks[i - 1]);
		if (kind == 2 && i == 2 * batch + 8)
			break;
	}
	for (unsigned i = 0; i < 6 * batch; i++) {
		if (allocate(BYTES) == NULL)
			_exit(1);
	}
	hak_trace_flush();
	_exit(0);
}

static void a_circle_is_seen(void)
{
	/* The first is cut through, so that what is left of it ends too early. */
	static const char *const said_of[] = {
		"hakmem: free list damaged by ", "hakmem: block freed twice (", "hakmem: block freed twice ("};

	for (unsigned kind = 0; kind < 3; kind++) {
		char said[1024];
		UNIT_EQUAL(unit_in_child(make_a_circle, &kind, said, sizeof(said)), 0);
		CU_ASSERT_TRUE(strncmp(said, said_of[kind], strlen(said_of[kind])) == 0);
	}
}

/* What is used all the time is not drained. */
static void drain_keeps_what_is_used(void)
{
	start();
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 64; i++)
			blocks[i] = allocate(BYTES);
		for (int i = 0; i < 64; i++)
			release(blocks[i]);
	}
	uint64_t drains = hak_stat_get(drains);
	uint64_t hits = hak_depots[3].hits;
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 64; i++)
			blocks[i] = allocate(BYTES);
		for (int i = 0; i < 64; i++)
			release(blocks[i]);
	}
	CU_ASSERT_TRUE(hak_stat_get(drains) - drains <= 1);
	CU_ASSERT_TRUE(hak_depots[3].hits - hits <= 4);
}

static void the_drain_interval_is_obeyed(void)
{
	start();
	hak_settings.drain_interval = 1000000;
	flush();
	hak_cache_begin(&cache);
	cache.classes[BIN].drain_at = cache.classes[BIN].frees + 1000000;
	hak_cache_end(&cache);
	for (int i = 0; i < 300; i++)
		blocks[i] = allocate(BYTES);
	for (int i = 0; i < 300; i++)
		release(blocks[i]);
	uint64_t drains = hak_stat_get(drains);
	for (int i = 0; i < 20000; i++)
		release(allocate(BYTES));
	UNIT_EQUAL(hak_stat_get(drains), drains);
}

static void flush_leaves_nothing(void)
{
	start();
	for (int i = 0; i < 1000; i++)
		blocks[i] = allocate(BYTES);
	for (int i = 0; i < 1000; i++)
		release(blocks[i]);
	flush();
	UNIT_EQUAL(counts_of(BIN).cached_blocks, 0);
	UNIT_EQUAL(hak_depots[3].handed_out, 0);
	UNIT_EQUAL(hak_pool.kinds[3].active_slabs, 0);
	CU_ASSERT_PTR_NULL(hak_bins.head[BIN]);
	release(allocate(BYTES)); /* and goes on working */
}

static void a_drain_request_is_met_once(void)
{
	start();
	/* The short ways leave it to the long one, which the very next slow path then takes. */
	void *block = allocate(BYTES);
	hak_cache_request_drain();
	CU_ASSERT_PTR_NULL(hak_cache_alloc_short(&cache, BIN));
	CU_ASSERT_FALSE(hak_cache_free_short(&cache, BIN, block));
	CU_ASSERT_TRUE(hak_cache_drain_wanted(&cache));
	release(block);
	CU_ASSERT_FALSE(hak_cache_drain_wanted(&cache));
	hak_cache_request_drain();
	CU_ASSERT_TRUE(hak_cache_drain_wanted(&cache));
	CU_ASSERT_FALSE(hak_cache_drain_wanted(&cache));
}

/* Asks for samples, and meets it. */
static void sample_at(uint64_t rate, uint64_t seed)
{
	hak_cache_request_sampling(rate, seed);
	hak_cache_begin(&cache);
	hak_cache_drain_wanted(&cache);
	hak_cache_end(&cache);
}

/* Each malloc whose number was drawn is a sample, and no other, whichever slow path it comes by, and however many frees
 * come between. The numbers can be told beforehand: the random source is known. */
static void samples_come_at_their_counts(void)
{
	const uint64_t rate = 2000, calls = 200000;
	start();
	hak_sample_due = 0;
	release(allocate(BYTES)); /* the class is in use */
	for (unsigned burst = 1; burst <= 1000; burst *= 10) {
		sample_at(rate, burst);
		uint64_t random = hak_random_begin(burst, cache.sampler.number), samples = 0, wrong = 0;
		(void)hak_poisson_bytes(&random, rate); /* large blocks' */
		for (unsigned bin = HAK_BIN_OF_CLASS(0); bin < BIN; bin++) {
			if (hak_cache_class_in_use(&cache.classes[bin]))
				(void)hak_poisson_blocks(&random, hak_size_classes[HAK_CLASS_OF_BIN(bin)].block_bytes, rate);
		}
		uint64_t next = hak_poisson_blocks(&random, BYTES, rate);
		for (unsigned bin = BIN + 1; bin < HAK_BIN_LARGE; bin++) {
			if (hak_cache_class_in_use(&cache.classes[bin]))
				(void)hak_poisson_blocks(&random, hak_size_classes[HAK_CLASS_OF_BIN(bin)].block_bytes, rate);
		}
		for (uint64_t call = 1; call <= calls; call += burst) {
			for (unsigned i = 0; i < burst; i++) {
				blocks[i] = allocate(BYTES);
				bool due = hak_sample_due != 0;
				hak_sample_due = 0;
				wrong += due != (call + i == next);
				samples += due;
				if (due)
					next += hak_poisson_blocks(&random, BYTES, rate);
			}
			for (unsigned i = 0; i < burst; i++)
				release(blocks[i]);
		}
		UNIT_EQUAL(wrong, 0);
		/* One in rate / BYTES blocks and a half of one: their number is Poisson's, four deviations wide. */
		CU_ASSERT_TRUE(samples > 6400 - 150 - 320 && samples < 6400 + 320);
		sample_at(0, 0);
	}
	UNIT_EQUAL(counts_of(BIN).allocs, counts_of(BIN).frees);
}

static void a_new_rate_is_met_once(void)
{
	start();
	void *block = allocate(BYTES);
	CU_ASSERT_FALSE(hak_cache_samples(&cache));
	hak_cache_request_sampling(1, 7);
	hak_cache_begin(&cache);
	CU_ASSERT_TRUE(hak_cache_drain_wanted(&cache));
	CU_ASSERT_FALSE(hak_cache_drain_wanted(&cache));
	hak_cache_end(&cache);
	CU_ASSERT_TRUE(hak_cache_samples(&cache));
	/* A block that is to be a sample is for the long way, as a drain is; a free is not. */
	CU_ASSERT_PTR_NULL(hak_cache_alloc_short(&cache, BIN));
	CU_ASSERT_TRUE(hak_cache_free_short(&cache, BIN, block));
	block = allocate(BYTES);
	hak_cache_request_drain();
	CU_ASSERT_PTR_NULL(hak_cache_alloc_short(&cache, BIN));
	CU_ASSERT_FALSE(hak_cache_free_short(&cache, BIN, block));
	sample_at(1, 7);
	for (int i = 0; i < 1000; i++) {
		hak_sample_due = 0;
		blocks[i] = allocate(BYTES);
		UNIT_EQUAL(hak_sample_due, 1); /* every one */
	}
	hak_sample_due = 0;
	sample_at(0, 7);
	CU_ASSERT_FALSE(hak_cache_samples(&cache));
	for (int i = 0; i < 1000; i++)
		release(blocks[i]);
	release(block);
	for (int i = 0; i < 1000; i++)
		release(allocate(BYTES));
	UNIT_EQUAL(hak_sample_due, 0);
}

/* Debug builds see a second free in a row at once. */
static void free_twice_in_a_row(void *ignored)
{
	(void)ignored;
	start();
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	void *block = allocate(BYTES);
	release(block);
	struct hak_cache_counts before = counts_of(BIN);
	if (hak_cache_push(block) || hak_cache_free_short(&cache, BIN, block))
		_exit(1);
	hak_cache_begin(&cache);
	hak_cache_free(&cache, BIN, block);
	hak_cache_end(&cache);
	hak_trace_flush();
	if (counts_of(BIN).frees != before.frees || counts_of(BIN).cached_blocks != before.cached_blocks)
		_exit(2);
	_exit(allocate(BYTES) == block && allocate(BYTES) != block ? 0 : 3);
}

static void a_second_free_in_a_row_is_seen(void)
{
	char said[1024];
	UNIT_EQUAL(unit_in_child(free_twice_in_a_row, NULL, said, sizeof(said)), 0);
	CU_ASSERT_TRUE(strncmp(said, "hakmem: block freed twice (address=0x", 37) == 0);
}

/* A link in the hot list is written over, and met when a batch is cut off or at a refill. What was freed since stays in
 * use, with the block itself; the rest is lost, and malloc goes on from other blocks. */
static void damage_the_hot_list(void *cutting)
{
	unsigned batch = hak_size_classes[3].batch, count = *(bool *)cutting ? 2 * batch : 10, damaged = count - 5;
	start();
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	for (unsigned i = 0; i < 4 * batch; i++)
		blocks[i] = allocate(BYTES);
	flush();
	for (unsigned i = 0; i < count; i++)
		release(blocks[i]);
	memset(blocks[damaged], 0x5a, BYTES);
	if (*(bool *)cutting) {
		hak_settings.on_error = HAK_ON_ERROR_ABORT; /* or cuts don't look */
		release(blocks[count++]);
	}
	for (unsigned i = count; i-- > damaged;) {
		if (allocate(BYTES) != blocks[i])
			_exit(1);
	}
	for (unsigned i = 0; i < 3 * batch; i++) {
		void *block = allocate(BYTES);
		for (unsigned j = 0; j < 4 * batch; j++) {
			if (block == NULL || block == blocks[j])
				_exit(2);
		}
	}
	hak_trace_flush();
}

static void a_damaged_hot_list_is_cut_short(void)
{
	UNIT_LEAVE_IF(unit_is_emulated(), "the emulator has a line of its own for an abort");
	for (int i = 0; i < 2; i++) {
		char said[1024], *end;
		bool cutting = i;
		int status = unit_in_child(damage_the_hot_list, &cutting, said, sizeof(said));
		UNIT_EQUAL(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), cutting ? SIGABRT : 0);
		CU_ASSERT_TRUE(strncmp(said, "hakmem: free list damaged", 25) == 0);
		end = strchr(said, '\n');
		CU_ASSERT_TRUE(end != NULL && end[1] == '\0' && strstr(said, "link=0x5a5a5a5a5a5a5a5a)") != NULL);
	}
}

/* A few blocks for samples stay with the thread, in their places. A drain gives them back, and a thread that has not allocated of the
 * class, or takes no samples, keeps none. */
static void blocks_for_samples(void)
{
	unsigned class = HAK_CLASS_OF_BIN(BIN);
	struct hak_sample_place *place[HAK_CACHE_SPARES + 1];
	CU_ASSERT_TRUE_FATAL(hak_sample_table_make(1024));
	start();
	flush();
	uint64_t releases = hak_stat_get(releases), handed_out = hak_depots[class].handed_out;
	release(allocate(BYTES));
	uint64_t cached = counts_of(BIN).cached_blocks;
	cache.sampler.rate = 1;
	UNIT_EQUAL(hak_cache_take_spare(&cache, BIN), HAK_NO_SPARE);
	for (unsigned i = 0; i <= HAK_CACHE_SPARES; i++) {
		void *block = hak_depot_take_sampled(class);
		CU_ASSERT_PTR_NOT_NULL_FATAL(block);
		place[i] = hak_sample_place_take((uintptr_t)block, class);
		UNIT_EQUAL(hak_cache_keep_spare(&cache, BIN, hak_sample_place_number(place[i])), i < HAK_CACHE_SPARES);
	}
	UNIT_EQUAL(counts_of(BIN).cached_blocks, cached); /* the table counts them */
	UNIT_EQUAL(hak_sample_table_held(class), HAK_CACHE_SPARES + 1);
	UNIT_EQUAL(hak_stat_get(releases), releases);
	UNIT_EQUAL(hak_cache_take_spare(&cache, BIN), hak_sample_place_number(place[HAK_CACHE_SPARES - 1])); /* kept last */
	CU_ASSERT_TRUE(hak_cache_keep_spare(&cache, BIN, hak_sample_place_number(place[HAK_CACHE_SPARES - 1])));
	flush();
	UNIT_EQUAL(hak_sample_table_held(class), 1);
	UNIT_EQUAL(hak_depots[class].handed_out, handed_out + 1);
	unsigned unused = HAK_BIN_OF_CLASS(0);
	while (unused < HAK_BIN_LARGE && hak_cache_class_in_use(&cache.classes[unused]))
		unused++;
	CU_ASSERT_TRUE_FATAL(unused < HAK_BIN_LARGE);
	CU_ASSERT_FALSE(hak_cache_keep_spare(&cache, unused, hak_sample_place_number(place[HAK_CACHE_SPARES])));
	cache.sampler.rate = 0; /* there will be no next one */
	CU_ASSERT_FALSE(hak_cache_keep_spare(&cache, BIN, hak_sample_place_number(place[HAK_CACHE_SPARES])));
	cache.sampler.rate = 1;
	CU_ASSERT_TRUE_FATAL(hak_sample_table_reserve(1024 / 8)); /* other threads keep as much as may be */
	CU_ASSERT_FALSE(hak_cache_keep_spare(&cache, BIN, hak_sample_place_number(place[HAK_CACHE_SPARES])));
	hak_sample_table_unreserve(1024 / 8);
	cache.sampler.rate = 0;
	void *block = (void *)place[HAK_CACHE_SPARES]->sample.address;
	hak_sample_place_return(place[HAK_CACHE_SPARES], class);
	hak_depot_return_sampled(class, block, HAK_RELEASE_DRAIN);
	UNIT_EQUAL(hak_sample_table_held(class), 0);
}

UNIT_MAIN("front_cache", UNIT(unused_classes_stay_untouched), UNIT(blocks_are_distinct_and_whole),
	UNIT(what_a_thread_keeps_is_bounded), UNIT(more_frees_than_mallocs_stay_bounded),
	UNIT(drain_gives_back_what_lies_idle), UNIT(who_only_frees_keeps_no_batches),
	UNIT(batches_hold_what_was_freed_first), UNIT(a_circle_is_seen), UNIT(drain_keeps_what_is_used),
	UNIT(the_drain_interval_is_obeyed), UNIT(flush_leaves_nothing), UNIT(a_drain_request_is_met_once),
	UNIT(samples_come_at_their_counts), UNIT(a_new_rate_is_met_once), UNIT(a_second_free_in_a_row_is_seen), UNIT(a_damaged_hot_list_is_cut_short),
	UNIT(blocks_for_samples))
