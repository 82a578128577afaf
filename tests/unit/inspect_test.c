/* The read-only view: every sum that must hold, at rest exactly. */
#include "lib/inspect.h"

#include <pthread.h>

#include "lib/atomic.h"
#include "tests/unit/heap.h"

#define BLOCKS 5000
/* Looks at threads that run. A race that ThreadSanitizer sees, it sees at the first of them; each takes it a hundredfold
 * time. */
#define LOOKS (HAK_TSAN ? 25 : 200)
#define ROUNDS (HAK_TSAN ? 4 : 20)

static void *blocks[BLOCKS];

static size_t size_of(size_t i)
{
	return i % 100 == 0 ? 40000 + i * 300 : 1 + i * 131 % 20000;
}

static void fill(void)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = hak_malloc(size_of(i));
		CU_ASSERT_PTR_NOT_NULL_FATAL(blocks[i]);
	}
}

static void empty(void)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		hak_free(blocks[i]);
		blocks[i] = NULL;
	}
}

static void live_blocks_are_exact_at_rest(void)
{
	struct hak_inspect before = heap_look();
	fill();
	struct hak_inspect full = heap_look();
	UNIT_EQUAL(heap_live(&full) - heap_live(&before), BLOCKS);
	UNIT_EQUAL(full.large_allocs - before.large_allocs, BLOCKS / 100);
	uint64_t bytes = 0;
	for (size_t i = 0; i < BLOCKS; i++)
		bytes += hak_usable_size(blocks[i]);
	UNIT_EQUAL(full.live_bytes - before.live_bytes, bytes);
	empty();
	struct hak_inspect after = heap_look();
	UNIT_EQUAL(heap_live(&after), heap_live(&before));
	UNIT_EQUAL(after.live_bytes, before.live_bytes);
}

/* The equations between the map's rows and the figures beside it. */
static void check_map(const struct hak_inspect *heap)
{
	uint64_t slots[3] = {0}, seen_slabs[HAK_CLASS_COUNT] = {0}, used[HAK_CLASS_COUNT] = {0}, in_lru = 0, large = 0;
	CU_ASSERT_TRUE_FATAL(heap->superslab_count <= heap->superslab_capacity);
	for (size_t s = 0; s < heap->superslab_count; s++) {
		const struct hak_superslab_info *ss = &heap->superslabs[s];
		unsigned active = 0;
		in_lru += ss->in_lru;
		UNIT_EQUAL(ss->address % HAK_SS_BYTES, 0);
		for (unsigned i = 0; i < HAK_SLOTS_PER_SS; i++) {
			const struct hak_slot_info *slot = &ss->slots[i];
			slots[slot->state]++;
			active += slot->state == HAK_SLOT_ACTIVE;
			large += slot->state == HAK_SLOT_ACTIVE && slot->class == HAK_NO_CLASS;
			CU_ASSERT_TRUE(slot->used <= slot->capacity);
			if (slot->state == HAK_SLOT_ACTIVE && slot->class != HAK_NO_CLASS && slot->span != 0) {
				UNIT_EQUAL(slot->span, heap->classes[slot->class].slots_per_slab);
				seen_slabs[slot->class]++;
				used[slot->class] += slot->used;
			}
		}
		UNIT_EQUAL(ss->active_slots, active);
		CU_ASSERT_TRUE(ss->in_lru == (active == 0));
	}
	UNIT_EQUAL(heap->superslabs_in_use + heap->lru_length, heap->superslab_count);
	UNIT_EQUAL(in_lru, heap->lru_length);
	UNIT_EQUAL(slots[HAK_SLOT_EMPTY], heap->empty_slots);
	UNIT_EQUAL(large, heap->large_slots);
	uint64_t active = heap->large_slots;
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class++) {
		const struct hak_class_info *info = &heap->classes[class];
		UNIT_EQUAL(seen_slabs[class], info->slabs);
		UNIT_EQUAL(used[class], info->live_blocks + info->cached_blocks);
		UNIT_EQUAL(info->live_blocks, info->allocs - info->frees);
		CU_ASSERT_TRUE(info->converted <= info->stage2 && info->from_lru <= info->stage3);
		active += info->slabs * info->slots_per_slab;
	}
	UNIT_EQUAL(slots[HAK_SLOT_ACTIVE], active);
	UNIT_EQUAL(active * HAK_SLOT_BYTES, heap->live_bytes + heap->cached_bytes + heap->slack_bytes);
}

static void map_and_figures_agree(void)
{
	struct hak_inspect heap = heap_look();
	check_map(&heap);
	fill();
	heap = heap_look();
	check_map(&heap);
	for (size_t i = 0; i < BLOCKS; i += 2) {
		hak_free(blocks[i]);
		blocks[i] = NULL;
	}
	heap = heap_look();
	check_map(&heap);
	empty();
	heap = heap_look();
	check_map(&heap);
	hak_trim();
	heap = heap_look();
	check_map(&heap);
}

static void stages_agree_with_the_public_counts(void)
{
	struct hak_stage_counts stages;
	fill();
	struct hak_inspect heap = heap_look();
	hak_stage_counts(&stages);
	UNIT_EQUAL(stages.depot, HEAP_SUM(&heap, depot));
	UNIT_EQUAL(stages.stage1, HEAP_SUM(&heap, stage1));
	UNIT_EQUAL(stages.stage2, HEAP_SUM(&heap, stage2));
	UNIT_EQUAL(stages.stage3, HEAP_SUM(&heap, stage3));
	UNIT_EQUAL(stages.converted, HEAP_SUM(&heap, converted));
	UNIT_EQUAL(stages.from_lru, HEAP_SUM(&heap, from_lru));
	UNIT_EQUAL(stages.superslabs, heap.stats.superslabs_created);
	empty();
}

static void rows_beyond_the_room_are_counted(void)
{
	struct hak_superslab_info rows[2];
	struct hak_inspect small = {.superslabs = rows, .superslab_capacity = 1};
	memset(rows, 0xAB, sizeof(rows));
	fill();
	hak_inspect(&small);
	CU_ASSERT_TRUE(small.superslab_count > 1);
	CU_ASSERT_TRUE(small.thread_count >= 1);
	UNIT_EQUAL(rows[1].index, 0xABABABAB);
	CU_ASSERT_TRUE(rows[0].address != 0);
	empty();
}

static void an_address_is_found(void)
{
	uintptr_t superslab;
	unsigned index;
	struct hak_slot_info slot;
	char *block = hak_malloc(100), *large = hak_malloc(200000);
	CU_ASSERT_TRUE(hak_inspect_address(block, &superslab, &index, &slot));
	UNIT_EQUAL(superslab, (uintptr_t)block & ~(HAK_SS_BYTES - 1));
	UNIT_EQUAL(index, ((uintptr_t)block & (HAK_SS_BYTES - 1)) / HAK_SLOT_BYTES);
	UNIT_EQUAL(slot.state, HAK_SLOT_ACTIVE);
	UNIT_EQUAL(slot.class, 6);
	CU_ASSERT_TRUE(slot.used > 0);
	CU_ASSERT_TRUE(hak_inspect_address(large + 100000, &superslab, &index, &slot));
	UNIT_EQUAL(slot.class, HAK_NO_CLASS);
	UNIT_EQUAL(slot.span, 0);
	CU_ASSERT_FALSE(hak_inspect_address(&slot, &superslab, &index, &slot));
	CU_ASSERT_FALSE(hak_inspect_address(NULL, &superslab, &index, &slot));
	hak_free(block);
	hak_free(large);
}

static void purge_and_drain(void)
{
	fill();
	for (size_t i = 0; i < BLOCKS; i++)
		memset(blocks[i], 1, size_of(i));
	empty();
	struct hak_inspect before = heap_look();
	CU_ASSERT_TRUE(before.cached_bytes > 0);
	hak_inspect_request_drain();
	CU_ASSERT_TRUE(hak_inspect_purge() > 0);
	struct hak_inspect after = heap_look();
	UNIT_EQUAL(after.cached_bytes, 0);
	UNIT_EQUAL(after.lru_length, 0);
	CU_ASSERT_TRUE(after.stats.purged_bytes > before.stats.purged_bytes);
}

static uint32_t stop;

static void *churn(void *ignored)
{
	void *mine[64] = {NULL};
	unsigned seed = 3;
	while (!hak_load_acquire(&stop)) {
		seed = seed * 1664525u + 1013904223u;
		void **place = &mine[seed >> 20 & 63];
		if (*place != NULL) {
			hak_free(*place);
			*place = NULL;
		} else {
			*place = hak_malloc(size_of(seed >> 12 & 4095));
		}
	}
	for (int i = 0; i < 64; i++)
		hak_free(mine[i]);
	return ignored;
}

/* From a heap in motion: what is of one moment agrees, and no counter runs backwards. */
static void pictures_of_a_running_program(void)
{
	pthread_t threads[3];
	hak_store_release(&stop, 0u);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, churn, NULL);
	struct hak_inspect last = heap_look();
	unsigned wrong = 0;
	for (int i = 0; i < LOOKS; i++) {
		struct hak_inspect now = heap_look();
		uint64_t active = 0, expected = now.large_slots;
		for (size_t s = 0; s < now.superslab_count; s++)
			active += now.superslabs[s].active_slots;
		for (unsigned class = 0; class < HAK_CLASS_COUNT; class++) {
			const struct hak_class_info *info = &now.classes[class];
			expected += info->slabs * info->slots_per_slab;
			wrong += info->allocs < last.classes[class].allocs || info->frees < last.classes[class].frees;
			wrong += info->stage1 < last.classes[class].stage1 || info->stage2 < last.classes[class].stage2;
		}
		wrong += active != expected;
		wrong += now.stats.releases < last.stats.releases || now.large_allocs < last.large_allocs;
		last = now;
	}
	hak_store_release(&stop, 1u);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	UNIT_EQUAL(wrong, 0);
	last = heap_look();
	check_map(&last);
}

/* ---- Following what changes ---- */

#define ROWS 4096

static struct hak_superslab_info kept[ROWS];
static uint64_t versions[ROWS];
static uint64_t version;

/* Brings the rows that are kept up to date; returns how many were written. */
static unsigned follow(bool all)
{
	static struct hak_thread_info threads[HEAP_THREADS];
	struct hak_inspect heap = {.superslabs = kept, .superslab_capacity = ROWS, .threads = threads,
		.thread_capacity = HEAP_THREADS};
	unsigned written = 0;
	CU_ASSERT_TRUE_FATAL(hak_inspect_changes(&heap, versions, ++version, all));
	for (size_t i = 0; i < heap.superslab_count; i++)
		written += versions[i] == version;
	return written;
}

/* The rows that are kept are those that a look at all of the heap finds. */
static void compare_rows(void)
{
	struct hak_inspect heap = heap_look();
	size_t shown = 0;
	unsigned wrong = 0;
	for (size_t i = 0; i < ROWS; i++)
		shown += kept[i].address != 0;
	UNIT_EQUAL(shown, heap.superslab_count);
	for (size_t i = 0; i < heap.superslab_count; i++) {
		struct hak_superslab_info now = heap.superslabs[i], *then = &kept[now.index];
		wrong += now.address != then->address || now.index != then->index || now.in_lru != then->in_lru ||
			now.active_slots != then->active_slots;
		for (unsigned slot = 0; slot < HAK_SLOTS_PER_SS; slot++) {
			const struct hak_slot_info *a = &now.slots[slot], *b = &then->slots[slot];
			wrong += a->state != b->state || a->class != b->class || a->used != b->used ||
				a->capacity != b->capacity || a->span != b->span;
			/* Ages grow by the time between the two looks, whatever the rounding of their clock. */
			wrong += a->age_ms - b->age_ms != now.taken_ms - then->taken_ms;
		}
	}
	UNIT_EQUAL(wrong, 0);
}

static void changes_are_followed(void)
{
	memset(kept, 0, sizeof(kept));
	hak_inspect_follow(true);
	follow(true);
	compare_rows();
	UNIT_EQUAL(follow(false), 0);
	fill();
	CU_ASSERT_TRUE(follow(false) > 1);
	compare_rows();
	/* Large runs that grow, shrink and go, within a SuperSlab and over several. */
	char *large = hak_malloc(3 << 20);
	follow(false);
	compare_rows();
	unsigned written = 0;
	for (size_t bytes = 100 << 10; bytes < 20u << 20; bytes += bytes / 2) {
		large = hak_realloc(large, bytes);
		written += follow(false);
		compare_rows();
	}
	CU_ASSERT_TRUE(written > 10);
	for (size_t bytes = 20u << 20; bytes > 100 << 10; bytes -= bytes / 3) {
		large = hak_realloc(large, bytes);
		follow(false);
		compare_rows();
	}
	hak_free(large);
	empty();
	hak_trim();
	follow(false);
	compare_rows();
	UNIT_EQUAL(follow(false), 0);
	hak_inspect_follow(false);
	fill();
	UNIT_EQUAL(follow(false), 0);
	empty();
}

static void changes_beyond_the_room_are_not_forgotten(void)
{
	struct hak_inspect small = {.superslabs = kept, .superslab_capacity = 1};
	hak_inspect_follow(true);
	follow(true);
	fill();
	CU_ASSERT_FALSE(hak_inspect_changes(&small, versions, ++version, false));
	CU_ASSERT_TRUE(small.superslab_count > 1);
	follow(false);
	compare_rows();
	empty();
	hak_inspect_follow(false);
}

/* However the looks fall between the changes: when all threads are done, the next one finds the last of them. */
static void changes_of_running_threads_are_followed(void)
{
	pthread_t threads[3];
	hak_inspect_follow(true);
	follow(true);
	for (int round = 0; round < ROUNDS; round++) {
		hak_store_release(&stop, 0u);
		for (int i = 0; i < 3; i++)
			pthread_create(&threads[i], NULL, churn, NULL);
		for (int i = 0; i < LOOKS; i++)
			follow(false);
		hak_store_release(&stop, 1u);
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		follow(false);
		compare_rows();
	}
	hak_inspect_follow(false);
}

UNIT_MAIN("inspect", UNIT(live_blocks_are_exact_at_rest), UNIT(map_and_figures_agree),
	UNIT(stages_agree_with_the_public_counts), UNIT(rows_beyond_the_room_are_counted), UNIT(an_address_is_found),
	UNIT(purge_and_drain), UNIT(pictures_of_a_running_program), UNIT(changes_are_followed),
	UNIT(changes_beyond_the_room_are_not_forgotten), UNIT(changes_of_running_threads_are_followed))
