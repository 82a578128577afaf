#include "viewer/travel.h"

#include "tests/unit/folder.h"
#include "tests/unit/past_heap.h"
#include "tests/unit/unit.h"
#include "viewer/snapshot_json.h"

static struct watch watch;
static struct snapshot *heap;
static uint32_t state;

/* Sends the heap as a target would. */
static void send_heap(void)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	snapshot_json(out, heap);
	fclose(out);
	CU_ASSERT_EQUAL_FATAL(watch_take(&watch, text, length, NULL), WATCH_SNAPSHOT);
	free(text);
}

static void send_event(uint64_t time_us)
{
	char text[200];
	snprintf(text, sizeof(text), "{\"type\":\"events\",\"events\":[{\"name\":\"stage1\",\"group\":\"acquire\",\"tid\":1,"
		"\"time_us\":%llu,\"args\":{}}],\"lost\":0}", (unsigned long long)time_us);
	CU_ASSERT_EQUAL_FATAL(watch_take(&watch, text, strlen(text), NULL), WATCH_EVENTS);
}

/* `count` moments, a second apart, with an event before each. */
static void live(unsigned count)
{
	memset(&watch, 0, sizeof(watch));
	state = 1;
	heap = heap_make(4, &state);
	heap->realtime_us = 1;
	for (unsigned i = 0; i < count; i++) {
		heap_move(heap, 1000000, 3, &state);
		send_event(heap->time_us - 5);
		send_heap();
	}
}

static void end(void)
{
	watch_free(&watch);
	snapshot_free(heap);
}

static void back_and_forward(void)
{
	char text[64];
	memset(&watch, 0, sizeof(watch));
	CU_ASSERT_FALSE(travel_possible(&watch));
	travel_by(&watch, -1);
	travel_by_time(&watch, 5);
	travel_begin(&watch);
	travel_end(&watch);
	live(20);
	CU_ASSERT_TRUE(travel_possible(&watch));
	UNIT_STRING(travel_banner(&watch, false, text, sizeof(text)), "");
	CU_ASSERT_FALSE(travel_is_away(&watch));
	travel_by(&watch, -1);
	CU_ASSERT_TRUE(watch.away && watch.paused && travel_is_away(&watch));
	UNIT_EQUAL(watch.snapshot->seq, 19);
	UNIT_EQUAL(watch.events.count, 19);
	UNIT_EQUAL(watch.courses.count, 19);
	CU_ASSERT_TRUE(watch.rates.known && !watch.rates_are_means);
	travel_by(&watch, -3);
	UNIT_EQUAL(watch.snapshot->seq, 16);
	CU_ASSERT_PTR_NOT_NULL(strstr(travel_banner(&watch, false, text, sizeof(text)), "4.0s ago, at "));
	UNIT_STRING(travel_banner(&watch, true, text, sizeof(text)), "-4.0s");
	/* The target goes on behind it. */
	heap_move(heap, 1000000, 3, &state);
	send_event(heap->time_us - 5);
	send_heap();
	UNIT_EQUAL(watch.snapshot->seq, 16);
	UNIT_EQUAL(watch.pending->seq, 21);
	UNIT_EQUAL(watch.events.count, 16);
	UNIT_STRING(travel_banner(&watch, true, text, sizeof(text)), "-5.0s");
	travel_by_time(&watch, -10000000);
	UNIT_EQUAL(watch.snapshot->seq, 6);
	travel_by_time(&watch, 3000000);
	UNIT_EQUAL(watch.snapshot->seq, 9);
	travel_begin(&watch);
	UNIT_EQUAL(watch.snapshot->seq, 1);
	CU_ASSERT_TRUE(watch.rates_are_means);
	UNIT_EQUAL(watch.courses.count, 1);
	travel_by(&watch, -1);
	UNIT_EQUAL(watch.snapshot->seq, 1);
	/* Now, with all that came in the meantime. */
	travel_end(&watch);
	CU_ASSERT_FALSE(watch.away || watch.paused || watch.pending != NULL);
	UNIT_EQUAL(watch.snapshot->seq, 21);
	UNIT_EQUAL(watch.events.count, 21);
	UNIT_EQUAL(watch.courses.count, 21);
	CU_ASSERT_DOUBLE_EQUAL(watch.rates.seconds, 1, 1e-6);
	UNIT_STRING(travel_banner(&watch, false, text, sizeof(text)), "");
	/* Forward over the end is now, too. */
	travel_by(&watch, -2);
	travel_by(&watch, 1);
	UNIT_EQUAL(watch.snapshot->seq, 20);
	travel_by(&watch, 1);
	CU_ASSERT_FALSE(watch.paused);
	UNIT_EQUAL(watch.snapshot->seq, 21);
	end();
}

/* From a pause one goes back from where it stands; a target that is lost can still be looked back on. */
static void from_a_pause_and_from_the_end(void)
{
	live(10);
	watch_pause(&watch, true);
	heap_move(heap, 1000000, 3, &state);
	send_heap();
	travel_by(&watch, -1);
	UNIT_EQUAL(watch.snapshot->seq, 9);
	watch_pause(&watch, false);
	UNIT_EQUAL(watch.snapshot->seq, 11);
	watch_lose(&watch, "ended");
	travel_by(&watch, -4);
	UNIT_EQUAL(watch.snapshot->seq, 7);
	UNIT_EQUAL(watch.state, WATCH_LOST);
	travel_end(&watch);
	UNIT_EQUAL(watch.snapshot->seq, 11);
	UNIT_EQUAL(watch.state, WATCH_LOST);
	travel_by(&watch, -4);
	end(); /* and everything is freed while away */
}

static void deltas_go_on_behind_it(void)
{
	char text[400];
	live(5);
	travel_by(&watch, -2);
	snprintf(text, sizeof(text), "{\"type\":\"delta\",\"seq\":6,\"base\":5,\"time_us\":%llu,\"uptime_us\":%llu,\"classes\":[],"
		"\"superslabs\":[],\"superslabs_gone\":[0]}", (unsigned long long)heap->time_us + 7, (unsigned long long)heap->uptime_us + 7);
	UNIT_EQUAL(watch_take(&watch, text, strlen(text), NULL), WATCH_SNAPSHOT);
	UNIT_EQUAL(watch.snapshot->seq, 3);
	travel_end(&watch);
	UNIT_EQUAL(watch.snapshot->seq, 6);
	UNIT_EQUAL(watch.snapshot->superslab_count, 3);
	end();
}

static void marks(void)
{
	live(5);
	UNIT_EQUAL(watch.mark->seq, 1); /* from the beginning on */
	CU_ASSERT_FALSE(watch.marked);
	travel_by(&watch, -2);
	watch_mark(&watch);
	CU_ASSERT_TRUE(watch.marked);
	UNIT_EQUAL(watch.mark->seq, 3);
	end();
}

/* A recording of 30 moments, a second apart, with a mark and the target's end. */
static void recorded(void)
{
	static struct record record;
	struct problem problem;
	make_folder();
	live(0);
	CU_ASSERT_TRUE_FATAL(record_open(&record, below("r"), RECORD_BYTES_DEFAULT, &problem));
	watch.record = &record;
	for (unsigned i = 0; i < 30; i++) {
		heap_move(heap, 1000000, 3, &state);
		send_event(heap->time_us - 5);
		send_heap();
		if (i == 9)
			watch_mark(&watch);
	}
	watch_lose(&watch, "ended with status 3");
	record_close(&record);
	watch.record = NULL;
	end();
	memset(&watch, 0, sizeof(watch));
	heap = NULL;
}

static void a_recording_runs(void)
{
	struct problem problem = {""};
	char text[64];
	recorded();
	CU_ASSERT_TRUE_FATAL(travel_open(&watch, below("r"), 2, &problem));
	UNIT_EQUAL(watch.state, WATCH_REPLAY);
	UNIT_EQUAL(watch.snapshot->seq, 1);
	CU_ASSERT_FALSE(travel_run(&watch, 1000));
	UNIT_EQUAL(travel_patience(&watch, 1000, 5000), 501);
	CU_ASSERT_TRUE(travel_run(&watch, 1500));
	UNIT_EQUAL(watch.snapshot->seq, 2);
	UNIT_EQUAL(watch.events.count, 2);
	CU_ASSERT_TRUE(watch.rates.known);
	CU_ASSERT_TRUE(travel_run(&watch, 4600)); /* late: moments are passed over */
	UNIT_EQUAL(watch.snapshot->seq, 8);
	UNIT_EQUAL(watch.courses.count, 8);
	UNIT_EQUAL(watch.events.count, 8);
	UNIT_STRING(travel_banner(&watch, false, text, 12), "0:07 of 0:2");
	travel_faster(&watch, true);
	CU_ASSERT_DOUBLE_EQUAL(watch.replay->speed, 4, 1e-9);
	CU_ASSERT_FALSE(travel_run(&watch, 4600));
	CU_ASSERT_TRUE(travel_run(&watch, 4850));
	UNIT_EQUAL(watch.snapshot->seq, 9);
	/* A step stops it. */
	travel_by(&watch, -1);
	CU_ASSERT_TRUE(watch.paused);
	UNIT_EQUAL(watch.snapshot->seq, 8);
	CU_ASSERT_FALSE(travel_run(&watch, 100000));
	UNIT_EQUAL(travel_patience(&watch, 100000, 5000), 5000);
	travel_pause(&watch, false);
	CU_ASSERT_FALSE(travel_run(&watch, 200000));
	CU_ASSERT_TRUE(travel_run(&watch, 900000));
	UNIT_EQUAL(watch.snapshot->seq, 30);
	UNIT_STRING(watch.note, "ended with status 3");
	CU_ASSERT_TRUE(travel_run(&watch, 900001)); /* it stands still at its end */
	CU_ASSERT_TRUE(watch.paused);
	CU_ASSERT_FALSE(travel_is_away(&watch));
	travel_pause(&watch, false); /* and begins anew */
	UNIT_EQUAL(watch.snapshot->seq, 1);
	UNIT_STRING(watch.note, "");
	travel_end(&watch);
	UNIT_EQUAL(watch.snapshot->seq, 30);
	UNIT_EQUAL(watch.courses.count, 30);
	travel_by_time(&watch, -10000000);
	UNIT_EQUAL(watch.snapshot->seq, 20);
	UNIT_EQUAL(watch.events.count, 20);
	for (int i = 0; i < 20; i++)
		travel_faster(&watch, i < 0);
	CU_ASSERT_DOUBLE_EQUAL(watch.replay->speed, TRAVEL_SPEED_MIN, 1e-9);
	watch_free(&watch);
	unlink(below("r"));
	rmdir(folder);
}

UNIT_MAIN("travel", UNIT(back_and_forward), UNIT(from_a_pause_and_from_the_end), UNIT(deltas_go_on_behind_it), UNIT(marks),
	UNIT(a_recording_runs))
