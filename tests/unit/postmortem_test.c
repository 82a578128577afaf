/* The heap seen without locks: the same as with them when nothing moves; and what it knows of an address. */
#include "lib/postmortem.h"

#include "lib/size_class.h"
#include "lib/superslab.h"
#include "tests/unit/heap.h"

#define BYTES 3000 /* of a class of 3072 */

static struct hak_whereabouts look(const void *address)
{
	struct hak_whereabouts at;
	hak_postmortem_find((uintptr_t)address, &at);
	hak_postmortem_cached(&at);
	return at;
}

static void small_blocks(void)
{
	char *block = hak_malloc(BYTES), *other = hak_malloc(BYTES);
	struct hak_whereabouts at = look(block + 25);
	UNIT_EQUAL(at.kind, HAK_AT_live);
	UNIT_EQUAL(at.state, HAK_SLOT_ACTIVE);
	UNIT_EQUAL(at.block, (uintptr_t)block);
	UNIT_EQUAL(at.block_bytes, hak_usable_size(block));
	UNIT_EQUAL(at.offset, 25);
	UNIT_EQUAL(at.superslab, (uintptr_t)block & ~(HAK_SS_BYTES - 1));
	UNIT_EQUAL(hak_size_classes[at.class].block_bytes, at.block_bytes);
	UNIT_EQUAL(at.superslab + at.slot * HAK_SLOT_BYTES + at.block_number * at.block_bytes, at.block);
	hak_free(block);
	UNIT_EQUAL(look(block).kind, HAK_AT_cached);
	UNIT_EQUAL(look(other).kind, HAK_AT_live);
	/* The last bytes of the slab, which no block covers, and the block before them, which nobody has asked for. */
	uintptr_t start = at.superslab + at.slot * HAK_SLOT_BYTES;
	uint32_t capacity = hak_size_classes[at.class].capacity;
	UNIT_EQUAL(look((void *)(start + (capacity - 1) * at.block_bytes)).kind, HAK_AT_untouched);
	UNIT_EQUAL(look((void *)(start + capacity * at.block_bytes)).kind, HAK_AT_tail);
	/* `other` keeps the slab: of its neighbour the slab itself says that it is free. */
	hak_trim();
	UNIT_EQUAL(look(block).kind, HAK_AT_free);
	UNIT_EQUAL(look(other).kind, HAK_AT_live);
	hak_free(other);
}

static void large_blocks(void)
{
	char *run = hak_malloc(100000), *whole = hak_malloc(5 << 20);
	struct hak_whereabouts at = look(whole + (4 << 20) + 7);
	UNIT_EQUAL(at.kind, HAK_AT_live);
	UNIT_EQUAL(at.class, HAK_NO_CLASS);
	UNIT_EQUAL(at.block, (uintptr_t)whole);
	UNIT_EQUAL(at.offset, (4 << 20) + 7);
	UNIT_EQUAL(at.block_bytes, hak_usable_size(whole));
	UNIT_EQUAL(look(run + 99999).block, (uintptr_t)run);
	hak_free(run);
	UNIT_EQUAL(look(run).kind, HAK_AT_cached);
	hak_free(whole);
	UNIT_EQUAL(look(whole + (4 << 20)).kind, HAK_AT_unused);
}

static void other_addresses(void)
{
	char *block = hak_malloc(BYTES);
	int local = 0;
	UNIT_EQUAL(look(&local).kind, HAK_AT_foreign);
	UNIT_EQUAL(look(NULL).kind, HAK_AT_foreign);
	UNIT_EQUAL(look((void *)UINTPTR_MAX).kind, HAK_AT_foreign);
	UNIT_EQUAL(look(block + ((size_t)1 << 30)).kind, HAK_AT_reserved);
	/* Where a SuperSlab's addresses were given back others may map what they like. */
	struct hak_superslab *ss = hak_ss(hak_slot_ss((uint32_t)hak_slot_of_address(block)));
	ss->away = true;
	UNIT_EQUAL(look(block).kind, HAK_AT_foreign);
	ss->away = false;
	hak_free(block);
}

/* At rest the sums, the threads and the rows are those of hak_inspect; a damaged record is in motion. */
static void the_same_without_locks(void)
{
	void *blocks[500];
	for (size_t i = 0; i < 500; i++)
		blocks[i] = hak_malloc(1 + i * 97 % 60000);
	for (size_t i = 0; i < 500; i += 3)
		hak_free(blocks[i]);
	struct hak_inspect with = heap_look();
	struct hak_thread_info threads[4] = {{0}};
	struct hak_inspect without = {.threads = threads, .thread_capacity = 4};
	CU_ASSERT_TRUE(hak_inspect_threads(&without));
	hak_inspect_figures(&without);
	UNIT_EQUAL(memcmp(without.classes, with.classes, sizeof(with.classes)), 0);
	UNIT_EQUAL(without.live_bytes, with.live_bytes);
	UNIT_EQUAL(without.cached_bytes, with.cached_bytes);
	UNIT_EQUAL(without.slack_bytes, with.slack_bytes);
	UNIT_EQUAL(without.thread_count, with.thread_count);
	UNIT_EQUAL(threads[0].allocs, with.threads[0].allocs);
	size_t rows = 0;
	for (uint32_t index = 0; index < hak_inspect_superslabs(); index++) {
		struct hak_superslab_info row;
		bool in_motion;
		if (!hak_inspect_superslab(index, &row, &in_motion))
			continue;
		rows++;
		CU_ASSERT_FALSE(in_motion);
		UNIT_EQUAL(row.address, with.superslabs[0].address + (index - with.superslabs[0].index) * HAK_SS_BYTES);
		/* As if a slab were half on its way. */
		hak_ss(index)->class_slots[HAK_BIN_LARGE]++;
		CU_ASSERT_TRUE(hak_inspect_superslab(index, &row, &in_motion) && in_motion);
		hak_ss(index)->class_slots[HAK_BIN_LARGE]--;
	}
	UNIT_EQUAL(rows, with.superslab_count);
	for (size_t i = 0; i < 500; i++) {
		if (i % 3 != 0)
			hak_free(blocks[i]);
	}
}

UNIT_MAIN("postmortem", UNIT(small_blocks), UNIT(large_blocks), UNIT(other_addresses), UNIT(the_same_without_locks))
