/* The rings: what readers get and what they are told they lost must add up, whatever the writers do meanwhile. */
#include "introspect/ring.h"

#include <pthread.h>

#include "lib/atomic.h"
#include "tests/unit/unit.h"

#define BYTES (64u << 10) /* 16 rings of 64 records less the heads' share: the smallest region */
#define WRITERS 6
#define EVENTS 200000u

static uint64_t ring_records(void)
{
	return BYTES / 16 / 64;
}

/* An event whose every word follows from its writer and number, so that a torn one can't look whole. */
static struct hak_event make_event(uint32_t writer, uint64_t number)
{
	struct hak_event event = {.time_ns = number * 1000 + writer, .tid = writer, .id = HAK_EVENT_ID_stage1};
	for (unsigned i = 0; i < HAK_EVENT_ARGS; i++)
		event.arg[i] = number * 0x9E3779B97F4A7C15ull + writer + i;
	return event;
}

static bool is_whole(const struct hak_event *event)
{
	struct hak_event expected = make_event(event->tid, event->time_ns / 1000);
	return memcmp(event, &expected, sizeof(expected)) == 0;
}

static void record(uint32_t writer, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++) {
		struct hak_event event = make_event(writer, i);
		hak_ring_record(&event);
	}
}

/* Reads a whole round; returns the events got, and checks that each is whole and time does not run backwards. */
static uint64_t read_round(struct hak_ring_reader *reader)
{
	struct hak_event event;
	uint64_t got = 0, last = 0;
	bool good = true;
	hak_ring_reader_begin(reader);
	for (; hak_ring_reader_next(reader, &event); got++) {
		good = good && is_whole(&event) && event.time_ns >= last;
		last = event.time_ns;
	}
	CU_ASSERT_TRUE(good);
	return got;
}

/* The order of the cases matters: this one must run before the rings are started. */
static void before_the_start(void)
{
	struct hak_ring_reader reader;
	struct hak_ring_totals totals;
	UNIT_EQUAL(hak_ring_count(), 0);
	CU_ASSERT_FALSE(hak_ring_reader_open(&reader, true));
	record(1, 0, 3);
	hak_ring_totals(&totals);
	UNIT_EQUAL(totals.unrecorded, 3);
	UNIT_EQUAL(totals.emitted, 3);
	CU_ASSERT_TRUE(hak_ring_start(BYTES));
	UNIT_EQUAL(hak_ring_count(), 16);
	CU_ASSERT_TRUE(hak_ring_start(1u << 30));
	UNIT_EQUAL(hak_ring_count(), 16);
}

static void one_writer_one_reader(void)
{
	struct hak_ring_reader reader, late, present;
	struct hak_ring_totals totals;
	uint64_t records = ring_records();
	hak_ring_start(BYTES);
	hak_ring_totals(&totals);
	uint64_t unrecorded = totals.unrecorded;
	CU_ASSERT_TRUE_FATAL(hak_ring_reader_open(&reader, true));
	UNIT_EQUAL(read_round(&reader), 0);
	record(1, 0, 10);
	UNIT_EQUAL(read_round(&reader), 10);
	UNIT_EQUAL(read_round(&reader), 0);
	/* A full ring is read without loss; one record more than that costs the oldest. */
	record(1, 10, records);
	UNIT_EQUAL(read_round(&reader), records);
	UNIT_EQUAL(reader.lost, 0);
	record(1, 10 + records, records + 5);
	UNIT_EQUAL(read_round(&reader), records);
	UNIT_EQUAL(reader.lost, 5);
	hak_ring_totals(&totals);
	UNIT_EQUAL(totals.emitted, 15 + 2 * records + unrecorded);
	UNIT_EQUAL(totals.held, records);
	UNIT_EQUAL(totals.overwritten, 15 + records);
	/* A reader that comes late sees what is held, or only what comes. */
	CU_ASSERT_TRUE(hak_ring_reader_open(&late, true));
	CU_ASSERT_TRUE(hak_ring_reader_open(&present, false));
	UNIT_EQUAL(read_round(&late), records);
	UNIT_EQUAL(late.lost, 0);
	record(1, 15 + 2 * records, 1);
	UNIT_EQUAL(read_round(&present), 1);
	/* What is recorded during a round belongs to the next one. */
	struct hak_event event;
	record(1, 16 + 2 * records, 1);
	UNIT_EQUAL(hak_ring_reader_begin(&present), 1);
	record(1, 17 + 2 * records, 1);
	CU_ASSERT_TRUE(hak_ring_reader_next(&present, &event));
	CU_ASSERT_FALSE(hak_ring_reader_next(&present, &event));
	UNIT_EQUAL(read_round(&present), 1);
	hak_ring_reader_close(&reader);
	hak_ring_reader_close(&late);
	hak_ring_reader_close(&present);
}

static uint32_t writers_done;

static void *write_many(void *argument)
{
	record((uint32_t)(uintptr_t)argument, 0, EVENTS);
	hak_ring_thread_death();
	__atomic_fetch_add(&writers_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

struct reading {
	struct hak_ring_reader reader;
	uint64_t got;
	uint64_t next[WRITERS + 1]; /* per writer, the least number that may still come */
	bool good;
};

/* Reads without a pause until the writers have ended, and once more after that. */
static void *read_many(void *argument)
{
	struct reading *reading = argument;
	bool last = false;
	for (reading->good = true;; last = __atomic_load_n(&writers_done, __ATOMIC_ACQUIRE) == WRITERS) {
		bool stop = last;
		struct hak_event event;
		hak_ring_reader_begin(&reading->reader);
		for (; hak_ring_reader_next(&reading->reader, &event); reading->got++) {
			uint64_t number = event.time_ns / 1000;
			if (!is_whole(&event) || event.tid > WRITERS || number < reading->next[event.tid]) {
				reading->good = false;
				return NULL;
			}
			reading->next[event.tid] = number + 1;
		}
		if (stop)
			return NULL;
	}
}

/* Writers overwrite as fast as they can while two readers follow: each event is either got, whole and in order, or
 * counted as lost, by each reader on its own. */
static void got_and_lost_add_up(void)
{
	static struct reading readings[2];
	pthread_t writers[WRITERS], readers[2];
	struct hak_ring_totals before, after;
	hak_ring_start(BYTES);
	writers_done = 0;
	hak_ring_totals(&before);
	for (int i = 0; i < 2; i++) {
		readings[i] = (struct reading){0};
		CU_ASSERT_TRUE_FATAL(hak_ring_reader_open(&readings[i].reader, false));
		pthread_create(&readers[i], NULL, read_many, &readings[i]);
	}
	for (uintptr_t i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, write_many, (void *)(i + 1));
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	hak_ring_totals(&after);
	UNIT_EQUAL(after.unrecorded, before.unrecorded);
	UNIT_EQUAL(after.emitted - before.emitted, (uint64_t)WRITERS * EVENTS);
	UNIT_EQUAL(after.emitted, after.held + after.overwritten + after.unrecorded);
	for (int i = 0; i < 2; i++) {
		pthread_join(readers[i], NULL);
		CU_ASSERT_TRUE(readings[i].good);
		CU_ASSERT_TRUE(readings[i].got > 0);
		UNIT_EQUAL(readings[i].got + readings[i].reader.lost, (uint64_t)WRITERS * EVENTS);
		hak_ring_reader_close(&readings[i].reader);
	}
}

static void *write_few(void *argument)
{
	record((uint32_t)(uintptr_t)argument, 0, 3);
	hak_ring_thread_death();
	return NULL;
}

/* A dead thread's events stay readable, and its ring serves again: many more threads than rings lose nothing. */
static void rings_are_used_again(void)
{
	struct hak_ring_reader reader;
	struct hak_ring_totals before, after;
	hak_ring_start(BYTES);
	hak_ring_totals(&before);
	CU_ASSERT_TRUE_FATAL(hak_ring_reader_open(&reader, false));
	for (uintptr_t i = 0; i < 100; i++) {
		pthread_t thread;
		pthread_create(&thread, NULL, write_few, (void *)(i + 1));
		pthread_join(thread, NULL);
	}
	struct hak_event event;
	uint64_t got = 0;
	hak_ring_reader_begin(&reader);
	while (hak_ring_reader_next(&reader, &event))
		got += is_whole(&event);
	UNIT_EQUAL(got, 300);
	UNIT_EQUAL(reader.lost, 0);
	hak_ring_totals(&after);
	UNIT_EQUAL(after.unrecorded, before.unrecorded);
	hak_ring_reader_close(&reader);
}

static void *die_and_write(void *argument)
{
	(void)argument;
	record(9, 0, 2);
	hak_ring_thread_death();
	record(9, 2, 2);
	return NULL;
}

static void events_after_death_are_recorded(void)
{
	struct hak_ring_reader reader;
	pthread_t threads[40];
	hak_ring_start(BYTES);
	CU_ASSERT_TRUE_FATAL(hak_ring_reader_open(&reader, false));
	/* More threads than rings: none of them may keep a ring after its death. */
	for (int i = 0; i < 40; i++) {
		pthread_create(&threads[i], NULL, die_and_write, NULL);
		pthread_join(threads[i], NULL);
	}
	uint64_t got = 0;
	struct hak_event event;
	hak_ring_reader_begin(&reader);
	while (hak_ring_reader_next(&reader, &event))
		got += is_whole(&event);
	UNIT_EQUAL(got, 160);
	hak_ring_reader_close(&reader);
}

#define MANY 60
static pthread_barrier_t all_alive;

static void *record_and_stay(void *argument)
{
	record((uint32_t)(uintptr_t)argument, 0, 2);
	pthread_barrier_wait(&all_alive);
	pthread_barrier_wait(&all_alive);
	hak_ring_thread_death();
	return NULL;
}

/* Threads beyond the rings' number share rings: of their events none is missing while all threads live. One writes at a
 * time, as two that share a ring at the same instant may leave an event out. */
static void more_threads_than_rings(void)
{
	struct hak_ring_reader reader;
	struct hak_ring_totals before, after;
	struct hak_event event;
	pthread_t threads[MANY];
	unsigned seen[MANY + 1] = {0};
	hak_ring_start(BYTES);
	record(1, 0, 1); /* this thread has its ring before the others come */
	hak_ring_totals(&before);
	CU_ASSERT_TRUE_FATAL(hak_ring_reader_open(&reader, false));
	pthread_barrier_init(&all_alive, NULL, MANY + 1);
	for (uintptr_t i = 0; i < MANY; i++) {
		struct hak_ring_totals totals;
		pthread_create(&threads[i], NULL, record_and_stay, (void *)(i + 1));
		UNIT_EVENTUALLY((hak_ring_totals(&totals), totals.emitted == before.emitted + 2 * (i + 1)));
	}
	pthread_barrier_wait(&all_alive);
	hak_ring_totals(&after);
	UNIT_EQUAL(after.unrecorded, before.unrecorded);
	hak_ring_reader_begin(&reader);
	while (hak_ring_reader_next(&reader, &event)) {
		if (is_whole(&event) && event.tid <= MANY)
			seen[event.tid]++;
	}
	UNIT_EQUAL(reader.lost, 0);
	for (unsigned i = 1; i <= MANY; i++)
		UNIT_EQUAL(seen[i], 2);
	hak_ring_reader_close(&reader);
	pthread_barrier_wait(&all_alive);
	for (int i = 0; i < MANY; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&all_alive);
}

#define AT_ONCE 500u

static void *record_at_once(void *argument)
{
	pthread_barrier_wait(&all_alive);
	record((uint32_t)(uintptr_t)argument, 0, AT_ONCE);
	pthread_barrier_wait(&all_alive);
	hak_ring_thread_death();
	return NULL;
}

/* All of them at the same time: whatever is not held any more is counted, as overwritten or as unrecorded. */
static void shared_rings_add_up(void)
{
	struct hak_ring_reader reader;
	struct hak_ring_totals before, after;
	struct hak_event event;
	pthread_t threads[MANY];
	uint64_t got = 0;
	bool good = true;
	hak_ring_start(BYTES);
	record(1, 0, 1);
	hak_ring_totals(&before);
	CU_ASSERT_TRUE_FATAL(hak_ring_reader_open(&reader, false));
	pthread_barrier_init(&all_alive, NULL, MANY + 1);
	for (uintptr_t i = 0; i < MANY; i++)
		pthread_create(&threads[i], NULL, record_at_once, (void *)(i + 1));
	pthread_barrier_wait(&all_alive);
	pthread_barrier_wait(&all_alive);
	hak_ring_totals(&after);
	UNIT_EQUAL(after.emitted - before.emitted, (uint64_t)MANY * AT_ONCE);
	hak_ring_reader_begin(&reader);
	for (; hak_ring_reader_next(&reader, &event); got++)
		good = good && is_whole(&event);
	CU_ASSERT_TRUE(good);
	UNIT_EQUAL(got + reader.lost + (after.unrecorded - before.unrecorded), (uint64_t)MANY * AT_ONCE);
	hak_ring_reader_close(&reader);
	for (int i = 0; i < MANY; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&all_alive);
}

/* In the child: only its own events show. */
static void child_of_fork(void *argument)
{
	struct hak_ring_reader reader;
	struct hak_ring_totals totals;
	(void)argument;
	hak_ring_after_fork();
	hak_ring_totals(&totals);
	fprintf(stderr, "%d ", (int)totals.emitted);
	record(5, 0, 4);
	hak_ring_totals(&totals);
	fprintf(stderr, "%d ", (int)totals.emitted);
	hak_ring_reader_open(&reader, true);
	fprintf(stderr, "%d", (int)read_round(&reader));
	hak_ring_reader_close(&reader);
}

static void a_child_starts_anew(void)
{
	char seen[64];
	hak_ring_start(BYTES);
	record(1, 0, 7);
	UNIT_EQUAL(unit_in_child(child_of_fork, NULL, seen, sizeof(seen)), 0);
	UNIT_STRING(seen, "0 4 4");
}

UNIT_MAIN("ring", UNIT(before_the_start), UNIT(one_writer_one_reader), UNIT(got_and_lost_add_up),
	UNIT(rings_are_used_again), UNIT(events_after_death_are_recorded), UNIT(more_threads_than_rings),
	UNIT(shared_rings_add_up), UNIT(a_child_starts_anew))
