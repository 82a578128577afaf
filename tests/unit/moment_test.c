#include "viewer/moment.h"

#include "tests/unit/past_heap.h"
#include "tests/unit/unit.h"

static bool decode(struct snapshot **snapshot, const struct bytes *bytes)
{
	struct problem problem;
	bool ok = moment_decode(snapshot, moment_layout(), bytes->data, bytes->length, &problem);
	if (!ok)
		fprintf(stderr, "%s\n", problem.text);
	return ok;
}

/* A heap whose slots change and whose SuperSlabs come, go, and pass into the LRU cache and out of it. */
static void steps_add_up(void)
{
	uint32_t state = 1;
	struct snapshot *heap = heap_make(50, &state), *read = NULL;
	struct bytes bytes = {0};
	CU_ASSERT_TRUE_FATAL(moment_encode(&bytes, NULL, heap));
	CU_ASSERT_TRUE_FATAL(decode(&read, &bytes));
	CU_ASSERT_TRUE(heap_same(read, heap));
	for (unsigned round = 0; round < 300; round++) {
		struct snapshot *before = moment_copy(read);
		heap_move(heap, 333333, round % 3 * 20, &state);
		size_t at = heap_random(&state) % heap->superslab_count;
		struct superslab *rows = heap->superslabs;
		if (round % 4 == 1 && heap->superslab_count > 2) { /* one goes */
			memmove(&rows[at], &rows[at + 1], (heap->superslab_count - at - 1) * sizeof(*rows));
			heap->superslab_count--;
		} else if (round % 4 == 2 && heap->superslab_count < 50) { /* one comes, at the end of those in use or of all */
			heap_row(&rows[heap->superslab_count], heap->time_us / 1000, 1000 + round, &state);
			rows[heap->superslab_count++].in_lru = round % 8 == 2;
		} else if (round % 4 == 3) { /* another one stands in its place */
			heap_row(&rows[at], heap->time_us / 1000, rows[at].index, &state);
			rows[at].address += 4096;
		}
		if (round % 7 == 0)
			heap->thread_count = 1 + round % 3;
		if (round == 100)
			strcpy(heap->threads[0].name, "renamed");
		CU_ASSERT_TRUE(moment_follows(before, heap));
		bytes_reset(&bytes);
		CU_ASSERT_TRUE_FATAL(moment_encode(&bytes, before, heap));
		CU_ASSERT_TRUE_FATAL(decode(&read, &bytes));
		CU_ASSERT_TRUE(heap_same(read, heap));
		snapshot_free(before);
	}
	bytes_free(&bytes);
	snapshot_free(heap);
	snapshot_free(read);
}

/* Time alone costs a few bytes, however large the heap. */
static void time_alone_is_short(void)
{
	uint32_t state = 2;
	struct snapshot *heap = heap_make(500, &state), *before = moment_copy(heap);
	struct bytes bytes = {0};
	heap->time_us += 100000;
	for (size_t i = 0; i < heap->superslab_count; i++) {
		for (unsigned j = 0; j < MODEL_SLOTS; j++)
			heap->superslabs[i].slots[j].since_ms -= j % 3; /* rounded somewhere else */
	}
	CU_ASSERT_TRUE(moment_encode(&bytes, before, heap));
	CU_ASSERT_TRUE(bytes.length < 250);
	bytes_free(&bytes);
	snapshot_free(before);
	snapshot_free(heap);
}

static void what_follows(void)
{
	uint32_t state = 3;
	struct snapshot *a = heap_make(1, &state), *b = moment_copy(a);
	CU_ASSERT_TRUE(moment_follows(a, b));
	b->time_us--;
	CU_ASSERT_FALSE(moment_follows(a, b));
	b->time_us = a->time_us;
	b->process.start_time++;
	CU_ASSERT_FALSE(moment_follows(a, b));
	snapshot_free(a);
	snapshot_free(b);
}

/* Every byte changed in every way, and every length: an answer, and no harm (sanitizers look on). */
static void damage_is_refused(void)
{
	uint32_t state = 4;
	struct snapshot *heap = heap_make(3, &state);
	struct bytes bytes = {0};
	unsigned good = 0, bad = 0;
	CU_ASSERT_TRUE_FATAL(moment_encode(&bytes, NULL, heap));
	for (size_t length = 0; length < bytes.length; length++) {
		struct snapshot *read = NULL;
		CU_ASSERT_FALSE(moment_decode(&read, moment_layout(), bytes.data, length, NULL));
		CU_ASSERT_PTR_NULL(read);
	}
	for (size_t i = 0; i < bytes.length; i++) {
		for (unsigned change = 1; change < 256; change += change < 8 ? 1 : 31) {
			struct snapshot *read = NULL;
			bytes.data[i] ^= (uint8_t)change;
			if (moment_decode(&read, moment_layout(), bytes.data, bytes.length, NULL)) {
				good++;
				for (size_t row = 0; row < read->superslab_count; row++) {
					for (unsigned j = 0; j < MODEL_SLOTS; j++) {
						const struct slot *slot = &read->superslabs[row].slots[j];
						CU_ASSERT_TRUE(slot->state <= SLOT_EMPTY && slot->lead <= (int)j);
						CU_ASSERT_TRUE(slot->class == SLOT_NO_CLASS || slot->class < read->class_count);
					}
				}
			} else {
				bad++;
			}
			snapshot_free(read);
			bytes.data[i] ^= (uint8_t)change;
		}
	}
	CU_ASSERT_TRUE(good > 100 && bad > 100);
	bytes_free(&bytes);
	snapshot_free(heap);
}

/* A few bytes can't ask for a heap of any size. */
static void bombs_are_refused(void)
{
	uint32_t state = 5;
	struct snapshot *heap = heap_make(0, &state), *read = NULL;
	struct bytes bytes = {0};
	CU_ASSERT_TRUE_FATAL(moment_encode(&bytes, NULL, heap));
	bytes.length -= 3; /* the number of SuperSlabs, whether they move, the end of their list */
	bytes_number(&bytes, 100000);
	bytes_byte(&bytes, 1);
	CU_ASSERT_FALSE(moment_decode(&read, moment_layout(), bytes.data, bytes.length, NULL));
	bytes_free(&bytes);
	snapshot_free(heap);
	heap = heap_make(0, &state);
	heap->superslab_count = MOMENT_SUPERSLABS_MAX + 1;
	CU_ASSERT_FALSE(moment_encode(&bytes, NULL, heap));
	heap->superslab_count = 0;
	snapshot_free(heap);
	bytes_free(&bytes);
}

/* A viewer with other fields: what it doesn't know is read past, what it needs is asked for by name. */
static void layouts_differ(void)
{
	uint32_t state = 6;
	struct snapshot *heap = heap_make(2, &state), *read = NULL;
	struct moment_layout layout, other;
	struct bytes text = {0}, bytes = {0};
	struct problem problem;
	moment_write_layout(&text);
	CU_ASSERT_TRUE_FATAL(moment_read_layout(&layout, text.data, text.length, &problem));
	CU_ASSERT_TRUE(memcmp(&layout.counters.at, &moment_layout()->counters.at, layout.counters.count * 2) == 0);
	UNIT_EQUAL(layout.classes.count, moment_layout()->classes.count);
	/* The fields of the file: one counter more, and version (the last text) called something else. */
	bytes_byte(&text, '\0');
	char *names = strdup((const char *)text.data), *version = strstr(names, "text version");
	CU_ASSERT_PTR_NOT_NULL_FATAL(version);
	memcpy(version, "text verdict", 12);
	memcpy(strstr(names, "counter realtime_us"), "counter realtime_xx", 19);
	CU_ASSERT_TRUE_FATAL(moment_read_layout(&other, (const uint8_t *)names, strlen(names), &problem));
	heap->realtime_us = 99;
	heap->seq = 5;
	strcpy(heap->version, "9.9");
	CU_ASSERT_TRUE_FATAL(moment_encode(&bytes, NULL, heap));
	CU_ASSERT_TRUE_FATAL(moment_decode(&read, &other, bytes.data, bytes.length, &problem));
	UNIT_EQUAL(read->realtime_us, 0);
	UNIT_STRING(read->version, "");
	UNIT_EQUAL(read->seq, 5);
	CU_ASSERT_TRUE(heap_same(read, heap));
	snapshot_free(read);
	memcpy(strstr(names, "counter memory.live_bytes"), "counter memory.life_bytes", 25);
	CU_ASSERT_FALSE(moment_read_layout(&other, (const uint8_t *)names, strlen(names), &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "memory.live_bytes"));
	static const char *const bad[] = {"nonsense", "counter", "counter seq\ncounter seq\n", "\x1b[1m x\n"};
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_FALSE(moment_read_layout(&other, (const uint8_t *)bad[i], strlen(bad[i]), &problem));
	free(names);
	bytes_free(&text);
	bytes_free(&bytes);
	snapshot_free(heap);
}

UNIT_MAIN("moment", UNIT(steps_add_up), UNIT(time_alone_is_short), UNIT(what_follows), UNIT(damage_is_refused),
	UNIT(bombs_are_refused), UNIT(layouts_differ))
