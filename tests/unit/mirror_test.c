/* The mirror says what hak_inspect says, at rest; under load what stands under even words is whole. */
#include "lib/mirror.h"

#include <pthread.h>
#include <sys/mman.h>

#include "tests/unit/heap.h"

#define ROWS 2048
#define THREADS 8

static struct hak_mirror_superslab superslabs[ROWS];
static struct hak_mirror_class classes[HAK_CLASS_COUNT];
static struct hak_mirror_pool pool;
static struct hak_mirror_thread threads[THREADS];
static uint32_t moving[ROWS];

/* A mirror with room for `rows` SuperSlabs, all zero. */
static struct hak_mirror *fresh(uint32_t rows)
{
	static struct hak_mirror mirror;
	hak_inspect_mirror(NULL);
	memset(superslabs, 0, sizeof(superslabs));
	memset(classes, 0, sizeof(classes));
	memset(&pool, 0, sizeof(pool));
	memset(threads, 0, sizeof(threads));
	mirror = (struct hak_mirror){.superslabs = superslabs, .superslab_count = rows, .classes = classes, .pool = &pool,
		.threads = threads, .thread_count = THREADS, .moving = moving};
	return &mirror;
}

static int differences; /* printed: the first few */

static void same(uint64_t actual, uint64_t expected, const char *what, uint64_t where)
{
	if (actual == expected)
		return;
	if (differences++ < 5)
		fprintf(stderr, "\n    %s of %llu: %llu, not %llu", what, (unsigned long long)where,
			(unsigned long long)actual, (unsigned long long)expected);
}

static void compare_slots(const struct hak_superslab_info *info, const struct hak_mirror_superslab *row)
{
	same(row->sequence & 1, 0, "motion", info->index);
	same(row->place, info->in_lru ? HAK_PLACE_LRU : HAK_PLACE_IN_USE, "place", info->index);
	same(row->active_slots, info->active_slots, "active slots", info->index);
	for (unsigned i = 0; i < HAK_SLOTS_PER_SS; i++) {
		uint64_t number = info->index * HAK_SLOTS_PER_SS + i;
		same(row->slots[i].state, info->slots[i].state, "state", number);
		same(row->slots[i].class, info->slots[i].class, "class", number);
		same(row->slots[i].capacity, info->slots[i].capacity, "capacity", number);
		same(row->slots[i].span, info->slots[i].span, "span", number);
		same(row->slots[i].used, info->slots[i].used, "used", number);
	}
}

/* Compares everything with what hak_inspect says. */
static void compare(void)
{
	struct hak_inspect heap = heap_look();
	differences = 0;
	same(pool.sequence & 1, 0, "motion of the pool", 0);
	same(pool.superslabs_in_use, heap.superslabs_in_use, "SuperSlabs in use", 0);
	same(pool.lru_length, heap.lru_length, "LRU length", 0);
	same(pool.large_slots, heap.large_slots, "large slots", 0);
	same(pool.empty_slots, heap.empty_slots, "EMPTY slots", 0);
	same(pool.stats.releases, heap.stats.releases, "releases", 0);
	for (size_t i = 0; i < heap.superslab_count; i++)
		compare_slots(&heap.superslabs[i], &superslabs[heap.superslabs[i].index]);
	for (unsigned c = 0; c < HAK_CLASS_COUNT; c++) {
		same(classes[c].slabs, heap.classes[c].slabs, "slabs", c);
		same(classes[c].empty_slots, heap.classes[c].empty_slots, "EMPTY slots of class", c);
		same(classes[c].stage1, heap.classes[c].stage1, "stage 1", c);
		same(classes[c].stage2, heap.classes[c].stage2, "stage 2", c);
		same(classes[c].stage3, heap.classes[c].stage3, "stage 3", c);
		same(classes[c].depot, heap.classes[c].depot, "depot", c);
	}
	UNIT_EQUAL(differences, 0);
}

/* Allocates and frees blocks of all kinds; what is left is freed when `rounds` is 0. */
static void churn(unsigned seed, int rounds)
{
	static _Thread_local void *blocks[3000];
	for (int i = 0; i < rounds; i++) {
		seed = seed * 1664525u + 1013904223u;
		void **place = &blocks[(seed >> 8) % HAK_COUNT_OF(blocks)];
		unsigned kind = (seed >> 24) % 64;
		size_t bytes = kind == 0 ? (size_t)(seed >> 8) % (5u << 20) : kind < 8 ? (seed >> 8) % 300000 : (seed >> 8) % 4000;
		if (kind == 1 && *place)
			*place = hak_realloc(*place, bytes + 1);
		else
			hak_free(*place), *place = hak_malloc(bytes);
	}
	for (size_t i = 0; rounds == 0 && i < HAK_COUNT_OF(blocks); i++)
		hak_free(blocks[i]), blocks[i] = NULL;
}

static void follows_every_change(void)
{
	churn(1, 20000);
	hak_inspect_mirror(fresh(ROWS)); /* what is there already is shown as well */
	compare();
	for (unsigned i = 0; i < 20; i++) {
		churn(i, 5000);
		compare();
	}
	churn(0, 0);
	compare();
	hak_inspect_purge();
	compare();
	/* The same SuperSlabs a second time: the words have been even before. */
	churn(7, 20000);
	compare();
	churn(0, 0);
	hak_inspect_mirror(NULL);
}

static void spans_of_several_superslabs(void)
{
	hak_inspect_mirror(fresh(ROWS));
	char *block = hak_malloc(20 << 20);
	compare();
	block = hak_realloc(block, 11 << 20);
	compare();
	block = hak_realloc(block, 15 << 20);
	compare();
	hak_free(block);
	compare();
	hak_inspect_mirror(NULL);
}

static void superslabs_beyond_its_room(void)
{
	struct hak_mirror *mirror = fresh(2);
	hak_inspect_mirror(mirror);
	void *block = hak_malloc(40 << 20);
	UNIT_EQUAL(pool.sequence & 1, 0);
	UNIT_EQUAL(superslabs[2].sequence, 0);
	CU_ASSERT_TRUE(pool.superslabs_taken > 2);
	hak_free(block);
	hak_inspect_mirror(NULL);
}

static void *count_in_thread(void *argument)
{
	for (int i = 0; i < 1000; i++)
		*(void **)argument = hak_malloc(48), hak_free(*(void **)argument);
	hak_free(hak_malloc(300000));
	return NULL;
}

/* Counts of living threads are as of their last slow path, those of dead ones exact. */
static void counts_of_threads(void)
{
	static void *keep;
	unsigned bin = hak_bin_of_size(48);
	pthread_t thread;
	hak_inspect_mirror(fresh(ROWS));
	uint64_t before = threads[HAK_MIRROR_ROW_DEAD].bins[bin].allocs;
	for (int i = 0; i < 1000; i++)
		keep = hak_malloc(48);
	UNIT_EQUAL(threads[1].kind, HAK_MIRROR_THREAD);
	UNIT_EQUAL(threads[1].tid, gettid());
	CU_ASSERT_TRUE(threads[1].bins[bin].allocs >= 1000 - 3 * 64);
	UNIT_EQUAL(threads[2].kind, HAK_MIRROR_FREE);
	pthread_create(&thread, NULL, count_in_thread, &keep);
	pthread_join(thread, NULL);
	/* The dead are shown from the first death on, with all there were. */
	UNIT_EVENTUALLY(threads[HAK_MIRROR_ROW_DEAD].bins[bin].allocs >= before + 1000);
	UNIT_EQUAL(threads[2].kind, HAK_MIRROR_FREE);
	UNIT_EQUAL(threads[2].bins[bin].allocs, 0);
	hak_inspect_mirror(NULL);
	/* Nothing is stored any more. */
	uint64_t allocs = threads[1].bins[bin].allocs;
	for (int i = 0; i < 1000; i++)
		keep = hak_malloc(48);
	UNIT_EQUAL(threads[1].bins[bin].allocs, allocs);
	/* The next mirror knows this thread anew. */
	hak_inspect_mirror(fresh(ROWS));
	for (int i = 0; i < 1000; i++)
		keep = hak_malloc(48);
	CU_ASSERT_TRUE(threads[1].bins[bin].allocs > allocs);
	hak_inspect_mirror(NULL);
}

static uint32_t stop;

static void *churn_on(void *argument)
{
	for (unsigned i = 0; !hak_load_relaxed(&stop); i++)
		churn((unsigned)(uintptr_t)argument + i, 1000);
	churn(0, 0);
	return NULL;
}

/* A copy taken under the same even word adds up. */
static void whole_while_it_changes(void)
{
	static struct hak_mirror_superslab copy;
	pthread_t busy[3];
	int looks = 0;
	hak_store_relaxed(&stop, 0);
	hak_inspect_mirror(fresh(ROWS));
	for (uintptr_t i = 0; i < HAK_COUNT_OF(busy); i++)
		pthread_create(&busy[i], NULL, churn_on, (void *)(i * 1000));
	for (int i = 0; looks < 20000 && i < 10000000; i++) {
		const struct hak_mirror_superslab *row = &superslabs[i % 16];
		uint32_t sequence = hak_load_acquire(&row->sequence);
		unsigned active = 0;
		if (sequence == 0 || (sequence & 1))
			continue;
		for (unsigned s = 0; s < HAK_SLOTS_PER_SS; s++)
			active += hak_load_acquire(&row->slots[s].state) == HAK_SLOT_ACTIVE;
		copy.active_slots = hak_load_acquire(&row->active_slots);
		copy.place = hak_load_acquire(&row->place);
		if (hak_load_relaxed(&row->sequence) != sequence)
			continue;
		looks++;
		differences = 0;
		same(active, copy.active_slots, "ACTIVE slots", i % 16);
		same(copy.place == HAK_PLACE_IN_USE, active > 0, "use", i % 16);
		if (differences)
			break;
	}
	hak_store_relaxed(&stop, 1);
	for (size_t i = 0; i < HAK_COUNT_OF(busy); i++)
		pthread_join(busy[i], NULL);
	UNIT_EQUAL(differences, 0);
	CU_ASSERT_TRUE(looks > 0);
	compare();
	hak_inspect_mirror(NULL);
}

/* In a child that no handler prepared, the record is wiped, and there is no mirror. */
static void wiped(void)
{
	struct hak_mirror *control = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*control = *fresh(ROWS);
	hak_inspect_mirror(control);
	void *block = hak_malloc(3 << 20);
	uint32_t sequence = pool.sequence;
	memset(control, 0, sizeof(*control));
	hak_free(block);
	churn(3, 5000);
	churn(0, 0);
	UNIT_EQUAL(pool.sequence, sequence);
	hak_inspect_mirror(NULL);
	munmap(control, 4096);
}

UNIT_MAIN("mirror", UNIT(follows_every_change), UNIT(spans_of_several_superslabs), UNIT(superslabs_beyond_its_room),
	UNIT(counts_of_threads), UNIT(whole_while_it_changes), UNIT(wiped))
