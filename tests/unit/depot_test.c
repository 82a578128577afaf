/* The depot: batches pass through whole, slabs are filled fullest first, blocks that come back twice or from nowhere
 * are seen. */
#include "lib/depot.h"

#include "lib/trace.h"
#include "tests/unit/pool.h"

#define CLASS 3 /* 64 bytes: 1024 a slab, 32 a batch */

static void start(void)
{
	pool_start();
	hak_depot_trim();
}

static struct hak_batch fetch(unsigned class, uint32_t want)
{
	struct hak_batch batch = hak_depot_fetch(class, want);
	CU_ASSERT_TRUE_FATAL(batch.length > 0);
	return batch;
}

static void put(unsigned class, struct hak_batch batch)
{
	hak_depot_put(class, &batch, 1, HAK_RELEASE_DRAIN);
}

static uint32_t slab_of(const void *block)
{
	uint32_t slot = (uint32_t)hak_slot_of_address(block);
	return slot - hak_slot(slot)->distance;
}

static void a_new_slab_is_carved_in_order(void)
{
	start();
	struct hak_batch batch = fetch(CLASS, 32);
	uint32_t slab = slab_of(batch.head);
	uintptr_t expected = hak_slot_address(slab);
	UNIT_EQUAL(batch.length, 32);
	unsigned count = 0;
	for (struct hak_block *block = batch.head; block != NULL; block = block->next, expected += 64, count++)
		UNIT_EQUAL((uintptr_t)block, expected);
	UNIT_EQUAL(count, 32);
	UNIT_EQUAL(hak_slot(slab)->used, 32);
	UNIT_EQUAL(hak_slot(slab)->carved, 32);
	UNIT_EQUAL(hak_depots[CLASS].handed_out, 32);
	put(CLASS, batch);
	hak_depot_trim();
	UNIT_EQUAL(hak_depots[CLASS].handed_out, 0);
}

static void batches_pass_through_whole(void)
{
	start();
	struct hak_batch first = fetch(CLASS, 32), second = fetch(CLASS, 32);
	put(CLASS, first);
	put(CLASS, second);
	UNIT_EQUAL(hak_depot_cached_blocks(CLASS), 64);
	uint64_t hits = hak_depots[CLASS].hits;
	struct hak_batch again = fetch(CLASS, 32);
	CU_ASSERT_PTR_EQUAL(again.head, second.head); /* the one put last: its blocks are the likeliest to be warm */
	UNIT_EQUAL(again.length, 32);
	UNIT_EQUAL(hak_depots[CLASS].hits - hits, 1);
	put(CLASS, again);
	UNIT_EQUAL(hak_depots[CLASS].handed_out, 64); /* cached blocks count as handed out */
	hak_depot_trim();
	UNIT_EQUAL(hak_depot_cached_blocks(CLASS), 0);
	UNIT_EQUAL(hak_pool.kinds[CLASS].active_slabs, 0);
}

/* When the stack is full the coldest batch goes back to its slabs. */
static void a_full_stack_pushes_the_coldest_out(void)
{
	static struct hak_batch batches[HAK_DEPOT_BATCHES + 3];
	const unsigned count = HAK_COUNT_OF(batches);
	start();
	for (unsigned i = 0; i < count; i++)
		batches[i] = fetch(CLASS, 32);
	for (unsigned i = 0; i < count; i++)
		put(CLASS, batches[i]);
	UNIT_EQUAL(hak_depots[CLASS].batches, HAK_DEPOT_BATCHES);
	UNIT_EQUAL(hak_depots[CLASS].handed_out, HAK_DEPOT_BATCHES * 32);
	CU_ASSERT_PTR_EQUAL(hak_depot_parcel(&hak_depots[CLASS], 0)->batch.head, batches[3].head);
	/* The blocks of the first three batches are in their slab, and to be had again. */
	uint32_t slab = slab_of(batches[0].head);
	UNIT_EQUAL(hak_slot(slab)->free, 96);
	hak_depot_trim();
}

static void unused_batches_are_taken_apart_after_two_ticks(void)
{
	start();
	hak_depot_tick(CLASS);
	hak_depot_tick(CLASS);
	struct hak_batch first = fetch(CLASS, 32), second = fetch(CLASS, 32);
	put(CLASS, first);
	put(CLASS, second);
	for (int i = 0; i < 10; i++) { /* one batch is in use all the time, the other is not */
		hak_depot_tick(CLASS);
		put(CLASS, fetch(CLASS, 32));
	}
	UNIT_EQUAL(hak_depots[CLASS].batches, 1);
	for (int i = 0; i < 3; i++)
		hak_depot_tick(CLASS);
	UNIT_EQUAL(hak_depots[CLASS].batches, 0);
	UNIT_EQUAL(hak_depots[CLASS].handed_out, 0);
}

static struct hak_batch single(void *block)
{
	struct hak_block *head = block;
	head->next = NULL;
	return (struct hak_batch){.head = head, .length = 1};
}

/* The last block of a slab releases it; its bits are gone with it. */
static void the_last_block_releases_the_slab(void)
{
	start();
	uint64_t releases = hak_stat_get(releases);
	struct hak_batch batch = fetch(HAK_CLASS_OF_24576, 2); /* 24 KiB blocks: 21 in 8 slots */
	uint32_t slab = slab_of(batch.head);
	UNIT_EQUAL(hak_slot(slab)->span, 8);
	put(HAK_CLASS_OF_24576, batch);
	hak_depot_trim();
	UNIT_EQUAL(hak_stat_get(releases) - releases, 1);
	UNIT_EQUAL(hak_bin_of_address((void *)hak_slot_address(slab)), HAK_BIN_NONE);
}

/* Two slabs, one nearly full, one nearly empty: new blocks come from the fuller one. */
static void the_fullest_slab_is_used_first(void)
{
	static struct hak_block *blocks[2048];
	unsigned count = 0;
	start();
	while (count < 2048) {
		struct hak_batch batch = fetch(CLASS, 32);
		for (struct hak_block *block = batch.head; block != NULL; block = block->next)
			blocks[count++] = block;
	}
	uint32_t full = slab_of(blocks[0]), sparse = slab_of(blocks[2047]);
	CU_ASSERT_TRUE_FATAL(full != sparse);
	for (unsigned i = 0; i < 2048; i++) {
		if (i < 1024 ? i % 10 == 0 : i % 10 != 0) {
			put(CLASS, single(blocks[i]));
			blocks[i] = NULL;
		}
	}
	hak_depot_trim();
	UNIT_EQUAL(hak_slot(full)->free, 103);
	struct hak_batch batch = fetch(CLASS, 32);
	uintptr_t lowest = hak_slot_address(full);
	for (struct hak_block *block = batch.head; block != NULL; block = block->next)
		UNIT_EQUAL(slab_of(block), full);
	UNIT_EQUAL(hak_slot(full)->free, 71);
	CU_ASSERT_FALSE(hak_block_bits(full)[0] & 1);
	UNIT_EQUAL((uintptr_t)lowest, hak_slot_address(full));
	put(CLASS, batch);
	for (unsigned i = 0; i < 2048; i++) {
		if (blocks[i] != NULL)
			put(CLASS, single(blocks[i]));
	}
	hak_depot_trim();
	UNIT_EQUAL(hak_depots[CLASS].handed_out, 0);
}

struct damage {
	/* 0: freed twice; 1: inside a block; 2: another class's; then lists that run 3: into foreign memory, 4: to an
	 * odd address, 5: to NULL before their end, 6: into a block's inside, with more behind it */
	unsigned kind;
};

static void do_damage(void *argument)
{
	unsigned kind = ((struct damage *)argument)->kind;
	pool_start();
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	struct hak_batch batch = fetch(CLASS, 32);
	struct hak_block *block = batch.head;
	static struct hak_block foreign;
	uint32_t used;
	if (kind == 0) {
		put(CLASS, single(block->next));
		hak_depot_trim();
		put(CLASS, single(block->next));
	} else if (kind == 1) {
		put(CLASS, single((char *)block + 16));
	} else if (kind == 2) {
		put(CLASS + 1, single(block));
	} else {
		if (kind == 6)
			((struct hak_block *)((char *)block + 16))->next = block->next->next->next;
		block->next->next = kind == 3 ? &foreign
			: kind == 5           ? NULL
					      : (struct hak_block *)((char *)block + (kind == 4 ? 1 : 16));
		put(CLASS, (struct hak_batch){.head = block, .length = 32});
	}
	used = hak_slot(slab_of(block))->used;
	hak_depot_trim();
	hak_trace_flush();
	fprintf(stderr, "%u", used - hak_slot(slab_of(block))->used);
}

static void damage_is_reported_and_nothing_else_is_harmed(void)
{
	static const struct {
		const char *text;
		const char *returned; /* blocks that still found their way back */
	} expected[] = {
		{"hakmem: block freed twice (address=0x", "0"},
		{"hakmem: free of an address that is not the start of a live block (address=0x", "0"},
		{"hakmem: free list damaged by a write to freed memory, or by a free inside a block (address=0x", "0"},
		{"hakmem: free list damaged by a write to freed memory, or by a free inside a block (address=0x", "2"},
		{"hakmem: free of an address that is not the start of a live block (address=0x", "2"},
		{"hakmem: free list damaged by a write to freed memory, or by a free inside a block (address=0x", "2"},
		{"hakmem: free of an address that is not the start of a live block (address=0x", "2"},
	};
	for (unsigned kind = 0; kind < HAK_COUNT_OF(expected); kind++) {
		char said[1024];
		struct damage damage = {kind};
		UNIT_EQUAL(unit_in_child(do_damage, &damage, said, sizeof(said)), 0);
		CU_ASSERT_TRUE(strncmp(said, expected[kind].text, strlen(expected[kind].text)) == 0);
		const char *newline = strchr(said, '\n');
		CU_ASSERT_PTR_NOT_NULL_FATAL(newline);
		UNIT_STRING(newline + 1, expected[kind].returned);
	}
}

/* The walk of refills and cuts: which links it lets pass, and where the list ends then. */
static void walk_a_list(void *kind)
{
	static struct hak_block foreign;
	start();
	hak_settings.on_error = HAK_ON_ERROR_REPORT;
	struct hak_batch batch = fetch(CLASS, 32), other = fetch(CLASS + 1, 1);
	struct hak_block *third = batch.head->next->next;
	struct hak_block *odd = (struct hak_block *)((char *)third + 8);
	struct hak_block *const links[] = {third->next, &foreign, odd, NULL, other.head, third};
	third->next = links[*(int *)kind];
	struct hak_list list = hak_list_walk(HAK_BIN_OF_CLASS(CLASS), batch.head, 32);
	hak_trace_flush();
	fprintf(stderr, "%zu %d", list.length, list.last == third && third->next == NULL);
}

static void damaged_lists_end_where_they_are_whole(void)
{
	static const char damaged[] = "free list damaged";
	static const char *const texts[] = {"", damaged, damaged, damaged, damaged, "block freed twice"};
	for (int kind = 0; kind < (int)HAK_COUNT_OF(texts); kind++) {
		char said[1024];
		UNIT_EQUAL(unit_in_child(walk_a_list, &kind, said, sizeof(said)), 0);
		const char *newline = strchr(said, '\n');
		if (kind == 0) {
			UNIT_STRING(said, "32 0");
			continue;
		}
		CU_ASSERT_PTR_NOT_NULL_FATAL(newline);
		CU_ASSERT_TRUE(strncmp(said + strlen("hakmem: "), texts[kind], strlen(texts[kind])) == 0);
		UNIT_STRING(newline + 1, "3 1");
	}
}

/* A batch that was put for others comes out whole and looked at, whatever its length; one whose links were written over
 * in between is left for the refill to look at, which cuts it where it is whole. */
static void what_is_put_for_others_is_looked_at(void)
{
	static struct hak_block foreign;
	start();
	for (unsigned length = 1; length <= 64; length++) {
		struct hak_batch batch = fetch(CLASS, length);
		struct hak_block *second = batch.head->next;
		bool has_lanes = length >= 2 * HAK_DEPOT_LANES;
		hak_depot_put_for_others(CLASS, batch, HAK_RELEASE_OVERFLOW);
		struct hak_batch again = hak_depot_fetch(CLASS, 1);
		CU_ASSERT_PTR_EQUAL(again.head, batch.head);
		UNIT_EQUAL(again.length, length);
		UNIT_EQUAL(again.looked_at, has_lanes);
		/* Each link in turn leads out of the heap, then to another block of the batch, which from the last lane
		 * on can't be told from the right one. */
		unsigned last_lane = length / HAK_DEPOT_LANES * (HAK_DEPOT_LANES - 1);
		struct hak_block *block = again.head;
		for (unsigned i = 0; has_lanes && i + 1 < length; i++, block = block->next) {
			struct hak_block *const right = block->next;
			for (int kind = 0; kind < 2; kind++) {
				hak_depot_put_for_others(CLASS, again, HAK_RELEASE_OVERFLOW);
				block->next = kind ? second : &foreign;
				struct hak_batch damaged = hak_depot_fetch(CLASS, 1);
				UNIT_EQUAL(damaged.looked_at, kind && (i == 0 || i >= last_lane));
				block->next = right;
			}
		}
		put(CLASS, again);
		hak_depot_trim();
	}
}

/* Links that lead nowhere when the batch is put are found by who takes it. */
static void a_damaged_batch_is_put_without_lanes(void)
{
	static struct hak_block foreign;
	start();
	struct hak_batch batch = fetch(CLASS, 32);
	struct hak_block *third = batch.head->next->next, *const right = third->next;
	third->next = &foreign;
	hak_depot_put_for_others(CLASS, batch, HAK_RELEASE_OVERFLOW);
	UNIT_EQUAL(hak_depot_parcel(&hak_depots[CLASS], 0)->lane[0], 0);
	struct hak_batch again = hak_depot_fetch(CLASS, 1);
	CU_ASSERT_FALSE(again.looked_at);
	third->next = right;
	put(CLASS, again);
	hak_depot_trim();
}

/* So are blocks that are their own successors, and circles back to the first, which lanes would not show. */
static void a_circle_is_put_without_lanes(void)
{
	start();
	struct hak_batch batch = fetch(CLASS, 2 * HAK_DEPOT_LANES + 3);
	struct hak_block *block = batch.head;
	for (uint32_t i = 0; i < batch.length; i++) {
		struct hak_block *right = block->next;
		for (int kind = 0; kind < 2; kind++) {
			block->next = kind ? batch.head : block;
			hak_depot_put_for_others(CLASS, batch, HAK_RELEASE_OVERFLOW);
			UNIT_EQUAL(hak_depot_parcel(&hak_depots[CLASS], 0)->lane[0], 0);
			block->next = right;
			batch = hak_depot_fetch(CLASS, 1);
		}
		block = right;
	}
	hak_depot_put_for_others(CLASS, batch, HAK_RELEASE_OVERFLOW);
	CU_ASSERT_TRUE(hak_depot_parcel(&hak_depots[CLASS], 0)->lane[0] != 0);
	hak_depot_trim();
}

/* Blocks for samples lie in slabs of their own, which come and go with them. */
static void slabs_of_samples(void)
{
	start();
	uint64_t releases = hak_stat_get(releases), handed_out = hak_depots[CLASS].handed_out;
	void *first = hak_depot_take_sampled(CLASS), *second = hak_depot_take_sampled(CLASS);
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	UNIT_EQUAL(hak_bin_of_address(first), HAK_BIN_SAMPLED);
	UNIT_EQUAL(hak_slot_of_address(first), hak_slot_of_address(second));
	UNIT_EQUAL(hak_depots[CLASS].handed_out - handed_out, 2);
	hak_depot_return_sampled(CLASS, first, HAK_RELEASE_TRIM);
	UNIT_EQUAL(hak_stat_get(releases) - releases, 0);
	hak_depot_return_sampled(CLASS, second, HAK_RELEASE_TRIM);
	UNIT_EQUAL(hak_stat_get(releases) - releases, 1);
	UNIT_EQUAL(hak_depots[CLASS].handed_out - handed_out, 0);
}

static void out_of_memory(void)
{
	start();
	uint32_t slabs = 0;
	while (hak_pool_acquire_slab(HAK_CLASS_OF_32768) != HAK_NO_SLOT)
		slabs++;
	CU_ASSERT_TRUE(slabs > 1000);
	struct hak_batch batch = hak_depot_fetch(CLASS, 32);
	UNIT_EQUAL(batch.length, 0);
	CU_ASSERT_PTR_NULL(batch.head);
}

/* out_of_memory stands last: it uses the heap up. */
UNIT_MAIN("depot", UNIT(damage_is_reported_and_nothing_else_is_harmed), UNIT(damaged_lists_end_where_they_are_whole),
	UNIT(a_new_slab_is_carved_in_order), UNIT(batches_pass_through_whole),
	UNIT(a_full_stack_pushes_the_coldest_out), UNIT(unused_batches_are_taken_apart_after_two_ticks),
	UNIT(the_last_block_releases_the_slab), UNIT(the_fullest_slab_is_used_first),
	UNIT(what_is_put_for_others_is_looked_at), UNIT(a_damaged_batch_is_put_without_lanes),
	UNIT(a_circle_is_put_without_lanes), UNIT(slabs_of_samples), UNIT(out_of_memory))
