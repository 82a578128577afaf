/* The rings (introspect/ring.c): readers get whole events, in order, and count exactly what they missed; a ring has
 * one owner at a time, who goes on where the last one left. */
#include <string.h>

#include "introspect/memory.h"
#include "tests/model/atomic.h"

#undef HAK_TLS
#define HAK_TLS __attribute__((section("model_tls")))
#define LENT_ATTEMPTS 2u
#define hak_memory_map(bytes, kind) model_memory(bytes)
#define hak_memory_unmap(memory, bytes) ((void)(memory), (void)(bytes))
#define memcpy(to, from, bytes) (require_rings(), __builtin_memcpy(to, from, bytes))
static void *model_memory(size_t bytes);
static void require_rings(void);
#include "introspect/ring.c"
#undef memcpy

#define RINGS 2
#define RECORDS 4

static struct ring rings[RINGS];
static struct record records[RINGS * RECORDS];
static struct hak_ring_cursor cursors[RINGS];
static struct hak_ring_reader reader;
static uint64_t last_time;
static unsigned given, recorded;

/* ---- What hak_ring_start is given ---- */

static _Alignas(64) char memory[RINGS_MIN * (sizeof(struct ring) + RING_BYTES_MIN)];

/* Stands for what region says of the rings, which the explorer doesn't see: it is written when their memory is there,
 * and must be known to whoever copies an event to or from a ring. */
static uint32_t rings_are_there;

static void require_rings(void)
{
	model_require(hak_load_relaxed(&rings_are_there), "who uses a ring knows where it is");
}

static void *model_memory(size_t bytes)
{
	hak_store_relaxed(&rings_are_there, 1);
	if (bytes > sizeof(memory))
		return NULL;
	for (size_t i = 0; i < RINGS_MIN; i++)
		((struct ring *)(memory + RINGS_MIN * RING_BYTES_MIN))[i] = (struct ring){0};
	return memory;
}

/* ---- Events ---- */

/* Every word of an event says which it is. */
static void record(uint64_t number)
{
	uint64_t words[EVENT_WORDS];
	struct hak_event event;

	for (size_t i = 0; i < EVENT_WORDS; i++)
		words[i] = number * 100 + i;
	memcpy(&event, words, sizeof(event));
	hak_ring_record(&event);
}

static uint64_t number_of(const struct hak_event *event)
{
	uint64_t words[EVENT_WORDS];

	memcpy(words, event, sizeof(words));
	for (size_t i = 0; i < EVENT_WORDS; i++)
		model_require(words[i] == words[0] + i, "an event is whole");
	return words[0] / 100;
}

/* One ring of `size` records that belongs to thread 0; rings from `lent` on are owned. */
static void make_rings(uint64_t size, uint32_t count, uint32_t lent)
{
	memset(rings, 0, sizeof(rings));
	memset(records, 0, sizeof(records));
	memset(cursors, 0, sizeof(cursors));
	memset(&region, 0, sizeof(region));
	region.rings = rings;
	region.records = records;
	region.size = size;
	region.count = region.used = count;
	region.lent = lent;
	rings_are_there = count > 0;
	reader = (struct hak_ring_reader){.cursors = cursors, .count = count};
	last_time = 0;
	given = recorded = 0;
}

static void read_round(void)
{
	struct hak_event event;

	hak_ring_reader_begin(&reader);
	while (hak_ring_reader_next(&reader, &event)) {
		uint64_t number = number_of(&event);

		model_require(number > last_time, "events come in order, each once");
		last_time = number;
		given++;
	}
}

/* ---- A reader beside a writer ---- */

static void setup_one(void)
{
	make_rings(1, 1, 0);
	rings[0].state = RING_OWNED;
}

static void setup_two(void)
{
	make_rings(2, 1, 0);
	rings[0].state = RING_OWNED;
}

static void write_two(void)
{
	own_ring = &rings[0];
	record(1);
	record(2);
}

static void write_three(void)
{
	write_two();
	record(3);
}

static void check_all(unsigned written)
{
	struct hak_ring_totals totals;

	read_round();
	model_require(given + reader.lost == written, "what was written is given or counted as lost");
	hak_ring_totals(&totals);
	model_require(totals.emitted == written, "the totals count each event once");
}

static void check_two(void)
{
	check_all(2);
	model_require(region.size < 2 || reader.lost == 0, "nothing is lost that was not overwritten");
}

static void check_three(void)
{
	check_all(3);
	/* Lost are at most those that were overwritten. */
	model_require(reader.lost <= 3 - region.size, "nothing is lost that was not overwritten");
}

/* ---- Owners of a ring, one after the other ---- */

static void setup_lent(void)
{
	make_rings(4, 1, 1);
}

static void borrow_first(void)
{
	record(1);
}

static void borrow_second(void)
{
	record(2);
}

/* Whatever found a ring free must be there, in either order. */
static void check_lent(void)
{
	struct hak_event event;
	struct hak_ring_totals totals;
	uint64_t seen = 0;

	hak_ring_reader_begin(&reader);
	while (hak_ring_reader_next(&reader, &event)) {
		uint64_t bit = UINT64_C(1) << number_of(&event);

		model_require(!(seen & bit), "each event is there once");
		seen |= bit;
	}
	hak_ring_totals(&totals);
	model_require(reader.lost == 0 && totals.overwritten == 0, "no event was written over another");
	model_require((unsigned)__builtin_popcountll(seen) + totals.unrecorded == 2, "events are there or counted");
	model_require(totals.unrecorded <= 1, "the first one finds the ring free");
}

/* The first thread's own ring goes to the second, which may come before or after its end. */
static void setup_heirs(void)
{
	make_rings(4, 2, 1);
	rings[1].state = RING_OWNED;
}

static void record_and_die(void)
{
	own_ring = &rings[1];
	record(1);
	hak_ring_thread_death();
}

/* ---- The start ---- */

static void setup_start(void)
{
	make_rings(4, 0, 0);
}

static void start(void)
{
	model_require(hak_ring_start(RING_BYTES_MIN), "the rings start");
}

static void check_start(void)
{
	struct hak_ring_totals totals;

	hak_ring_totals(&totals);
	model_require(totals.emitted == 1, "an event is recorded or counted");
	model_require(region.used >= region.lent && region.used <= region.lent + 1, "one thread takes at most one ring");
	for (uint32_t i = 0; i < region.count; i++)
		model_require(region.rings[i].state == (i >= region.lent && i < region.used ? RING_OWNED : RING_FREE),
			"nobody owns a ring that is lent");
}

int main(void)
{
	static const struct model models[] = {
		{"two events in a ring of one, and a reader", setup_one, {write_two, read_round}, check_two, {0}},
		{"two events in a ring of two, and a reader", setup_two, {write_two, read_round}, check_two, {0}},
		{"three events in a ring of two, and a reader", setup_two, {write_three, read_round}, check_three, {0}},
		{"two borrow one ring", setup_lent, {borrow_first, borrow_second}, check_lent, {0}},
		{"a ring is inherited", setup_heirs, {record_and_die, borrow_second}, check_lent, {0}},
		{"the start", setup_start, {start, borrow_first}, check_start, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"write_record", 1, "write_record", 2, "who has the head has the record, up to this word"},
		{"read_record", 0, NULL, 0, "the same: the head was loaded before, twice"},
		{"hak_ring_reader_begin", 0, "load_cursor", 0, "the head is loaded twice"},
		{"load_cursor", 0, "hak_ring_reader_begin", 0, "the head is loaded twice"},
		{"claim_own", 0, "claim_unused", 0, "the count is loaded twice"},
		{"claim_unused", 0, "claim_own", 0, "the count is loaded twice"},
		{"hak_ring_totals", 0, NULL, 0, "figures: they are exact at rest"},
		{"hak_ring_totals", 1, NULL, 0, "figures: they are exact at rest"},
		{"hak_ring_start", 0, NULL, 0, "from one thread at a time"},
		{0},
	};

	return model_main(models, spares);
}
