/* ring.c: single-writer rings whose readers detect what they missed.
 *
 * A record is a sequence word and an event. For record number i (counted from 0 for the ring's whole life) its owner
 * stores the word 2i + 1, the event, the word 2i + 2, and then raises the ring's head to i + 1. A reader loads the
 * word, the event and the word again: it has record i, whole, if the word was 2i + 2 both times; otherwise the owner
 * has come round and the record is lost to this reader.
 *
 * Memory orders. Every word of the event is stored with release order, and loaded with acquire order. A reader that
 * loads even one word of a later event therefore also sees the odd word that was stored before it, so that its second
 * look at the sequence can't find the old value. The final sequence word and head are stored with release order, for
 * readers that load them with acquire order and so see the event. No fences, which thread sanitizers do not follow; on
 * x86-64 all of it is plain moves.
 *
 * Ownership. The first few rings are lent: a thread that has no ring of its own takes one of them for a single event.
 * So no thread's events go missing, however many there are, unless as many as there are such rings record at the same
 * instant. A ring's state goes FREE -> OWNED by compare-and-swap (acquire, which pairs with the release store below:
 * the new owner sees the head that the last one left) and OWNED -> FREE by its owner's release store. */
#include "introspect/ring.h"

#include <stddef.h>
#include <string.h>

#include "introspect/memory.h"
#include "lib/atomic.h"

#define RING_BYTES_MIN 4096u
#define RING_BYTES_WANTED (128u << 10)
#define RINGS_MIN 16u
#define RINGS_MAX 1024u
#define RINGS_A_LENT_ONE 8u /* of so many rings one is lent */
#define LOOK_INTERVAL 64u   /* a thread without a ring looks for one of its own again after so many events */
#define EVENT_WORDS (sizeof(struct hak_event) / sizeof(uint64_t))

/* At finding a lent ring that is free, over all of them and again. The model of the rings has its own number. */
#ifndef LENT_ATTEMPTS
#define LENT_ATTEMPTS 64u
#endif

enum ring_state { RING_FREE, RING_OWNED };

struct record {
	uint64_t sequence;
	uint64_t word[EVENT_WORDS];
};
_Static_assert(sizeof(struct record) == 64, "a record fills a cache line");

/* A ring's head has a cache line of its own: its owner writes there, others only look. */
struct ring {
	_Alignas(64) uint64_t head; /* records ever written; written by the owner */
	uint64_t first;             /* records before this one belong to the parent of fork */
	uint32_t state;             /* enum ring_state */
};

/* All rings. `count` is stored last, with release order, and loaded first, with acquire order, so that whoever sees it
 * unequal to 0 sees the rest. */
static struct {
	struct ring *rings;
	struct record *records; /* of ring r: records[r * size …] */
	uint64_t size;          /* records a ring, a power of two */
	uint32_t count;
	uint32_t lent;       /* the first ones are lent; constant once count is set */
	uint32_t used;       /* rings that may hold events: the first ones; relaxed, only grows, from `lent` on */
	uint32_t cursor;     /* where the next search for a dead thread's ring begins; relaxed */
	uint32_t borrowers;  /* threads that borrowed a ring, which spreads them over the lent ones; relaxed */
	uint64_t unrecorded; /* relaxed */
	uint64_t *shown;     /* where that stands in a file's memory, or NULL; relaxed */
} region;

static HAK_TLS struct ring *own_ring;
static HAK_TLS bool thread_is_dead;
static HAK_TLS uint32_t borrowed_events; /* counts while own_ring is NULL */
static HAK_TLS uint32_t lender;          /* the lent ring that served last, so that events keep their order */

_Static_assert(offsetof(struct ring, head) == HAK_RING_HEAD_AT && offsetof(struct ring, first) == HAK_RING_FIRST_AT &&
		offsetof(struct record, word) == HAK_RING_EVENT_AT, "the layout is what ring.h says");

void hak_ring_layout(uint64_t bytes, struct hak_ring_layout *out)
{
	uint64_t wanted = bytes / RING_BYTES_WANTED;
	uint64_t ring_bytes = RING_BYTES_MIN;

	out->rings = wanted < RINGS_MIN ? RINGS_MIN : wanted > RINGS_MAX ? RINGS_MAX : wanted;
	while (ring_bytes * 2 * out->rings <= bytes)
		ring_bytes *= 2;
	out->records = ring_bytes / sizeof(struct record);
	out->records_at = 0;
	out->record_stride = sizeof(struct record);
	out->rings_at = (size_t)(out->rings * ring_bytes);
	out->ring_stride = sizeof(struct ring);
	out->unrecorded_at = out->rings_at + (size_t)out->rings * sizeof(struct ring);
}

size_t hak_ring_bytes(uint64_t bytes)
{
	struct hak_ring_layout layout;

	hak_ring_layout(bytes, &layout);
	return layout.unrecorded_at + sizeof(uint64_t);
}

/* The rings begin; there are none yet. */
static void begin(char *memory, const struct hak_ring_layout *layout, uint64_t *shown)
{
	region.records = (struct record *)memory;
	region.rings = (struct ring *)(memory + layout->rings_at);
	region.size = layout->records;
	hak_store_relaxed(&region.shown, shown);
	region.lent = (uint32_t)layout->rings / RINGS_A_LENT_ONE;
	hak_store_relaxed(&region.used, region.lent);
	hak_store_release(&region.count, (uint32_t)layout->rings);
}

void hak_ring_start_in(void *memory, uint64_t bytes)
{
	struct hak_ring_layout layout;

	hak_ring_layout(bytes, &layout);
	begin(memory, &layout, (uint64_t *)((char *)memory + layout.unrecorded_at));
}

bool hak_ring_start(uint64_t bytes)
{
	struct hak_ring_layout layout;
	void *memory;

	if (hak_load_acquire(&region.count))
		return true;
	hak_ring_layout(bytes, &layout);
	/* Inherited over fork: a child made without handlers may record into its copy, and must not fault. */
	memory = hak_memory_map(layout.unrecorded_at, HAK_MEMORY_INHERIT);
	if (!memory)
		return false;
	begin(memory, &layout, NULL);
	return true;
}

void hak_ring_abandon(void)
{
	hak_store_relaxed(&region.count, 0);
	hak_store_relaxed(&region.used, 0); /* a child's child passes over them too */
	hak_store_relaxed(&region.shown, NULL);
	hak_store_relaxed(&region.unrecorded, 0);
	own_ring = NULL;
	borrowed_events = 0;
}

unsigned hak_ring_count(void)
{
	return hak_load_acquire(&region.count);
}

static bool claim(struct ring *ring)
{
	uint32_t expected = RING_FREE;

	return hak_load_relaxed(&ring->state) == RING_FREE && hak_cas_acquire_u32(&ring->state, &expected, RING_OWNED);
}

/* Claims a ring that nobody has used yet. */
static struct ring *claim_unused(void)
{
	uint32_t count = hak_load_acquire(&region.count);
	uint32_t used = hak_load_relaxed(&region.used);

	while (used < count) {
		if (__atomic_compare_exchange_n(&region.used, &used, used + 1, false, __ATOMIC_RELAXED,
			    __ATOMIC_RELAXED))
			return claim(&region.rings[used]) ? &region.rings[used] : NULL;
	}
	return NULL;
}

/* Claims a dead thread's ring: each in turn, so that those with the oldest events tend to go first. */
static struct ring *claim_released(void)
{
	uint32_t own = hak_load_relaxed(&region.used) - region.lent;

	for (uint32_t i = 0; i < own; i++) {
		struct ring *ring = &region.rings[region.lent + hak_add_relaxed(&region.cursor, 1) % own];

		if (claim(ring))
			return ring;
	}
	return NULL;
}

/* Finds a ring for a living thread: an unused one while there are any, because a dead thread's ring still holds its
 * last events. */
static struct ring *claim_own(void)
{
	struct ring *ring;

	if (hak_load_acquire(&region.count) == 0)
		return NULL;
	ring = claim_unused();
	return ring ? ring : claim_released();
}

/* Claims a lent ring, for a single event: the last one again if it is free. */
static struct ring *borrow(void)
{
	if (hak_load_acquire(&region.count) == 0)
		return NULL;
	if (borrowed_events++ == 0)
		lender = hak_add_relaxed(&region.borrowers, 1);
	for (uint32_t i = 0; i < LENT_ATTEMPTS; i++) {
		struct ring *ring = &region.rings[lender % region.lent];

		if (claim(ring))
			return ring;
		lender++;
	}
	return NULL;
}

static void release(struct ring *ring)
{
	hak_store_release(&ring->state, RING_FREE);
}

/* The place of record `index` of `ring`. */
static struct record *record_at(const struct ring *ring, uint64_t index)
{
	return &region.records[(uint64_t)(ring - region.rings) * region.size + (index & (region.size - 1))];
}

static void write_record(struct ring *ring, const struct hak_event *event)
{
	uint64_t index = hak_load_relaxed(&ring->head);
	struct record *record = record_at(ring, index);
	uint64_t words[EVENT_WORDS];

	memcpy(words, event, sizeof(words));
	hak_store_relaxed(&record->sequence, 2 * index + 1);
	for (size_t i = 0; i < EVENT_WORDS; i++)
		hak_store_release(&record->word[i], words[i]);
	hak_store_release(&record->sequence, 2 * index + 2);
	hak_store_release(&ring->head, index + 1);
}

static void count_unrecorded(void)
{
	uint64_t count = hak_add_relaxed(&region.unrecorded, 1) + 1;
	uint64_t *shown = hak_load_relaxed(&region.shown);

	/* In a file it may fall back by one when two threads meet here. */
	if (shown)
		hak_store_relaxed(shown, count);
}

void hak_ring_record(const struct hak_event *event)
{
	struct ring *ring = own_ring;

	if (HAK_UNLIKELY(!ring)) {
		if (!thread_is_dead && borrowed_events % LOOK_INTERVAL == 0)
			ring = own_ring = claim_own();
		if (!ring)
			ring = borrow();
		if (!ring) {
			count_unrecorded();
			return;
		}
	}
	write_record(ring, event);
	if (HAK_UNLIKELY(ring != own_ring))
		release(ring);
}

void hak_ring_thread_death(void)
{
	thread_is_dead = true;
	if (own_ring)
		release(own_ring);
	own_ring = NULL;
}

void hak_ring_after_fork(void)
{
	uint32_t used = hak_load_relaxed(&region.used);

	for (uint32_t i = 0; i < used; i++) {
		struct ring *ring = &region.rings[i];

		hak_store_relaxed(&ring->first, hak_load_relaxed(&ring->head));
		if (ring != own_ring)
			release(ring);
	}
	hak_store_relaxed(&region.unrecorded, 0);
}

/* The first record that `ring` can still hold when its head is `head`. */
static uint64_t oldest_of(const struct ring *ring, uint64_t head)
{
	uint64_t first = hak_load_relaxed(&ring->first);
	uint64_t oldest = head > region.size ? head - region.size : 0;

	return oldest > first ? oldest : first;
}

void hak_ring_totals(struct hak_ring_totals *totals)
{
	uint32_t count = hak_load_acquire(&region.count) ? hak_load_relaxed(&region.used) : 0;

	*totals = (struct hak_ring_totals){.unrecorded = hak_load_relaxed(&region.unrecorded)};
	for (uint32_t i = 0; i < count; i++) {
		const struct ring *ring = &region.rings[i];
		uint64_t head = hak_load_acquire(&ring->head);
		uint64_t oldest = oldest_of(ring, head);

		totals->held += head - oldest;
		totals->overwritten += oldest - hak_load_relaxed(&ring->first);
	}
	totals->emitted = totals->held + totals->overwritten + totals->unrecorded;
}

bool hak_ring_reader_reopen(struct hak_ring_reader *reader, bool from_oldest)
{
	uint32_t count = hak_load_acquire(&region.count);

	if (reader->count != count)
		hak_ring_reader_close(reader);
	if (count == 0)
		return false;
	if (!reader->cursors)
		reader->cursors = hak_memory_map(count * sizeof(*reader->cursors), HAK_MEMORY_PRIVATE);
	if (!reader->cursors)
		return false;
	reader->count = count;
	reader->active = 0;
	reader->lost = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t head = hak_load_acquire(&region.rings[i].head);

		reader->cursors[i].next = from_oldest ? oldest_of(&region.rings[i], head) : head;
		reader->cursors[i].limit = reader->cursors[i].next;
		reader->cursors[i].loaded = false;
	}
	return true;
}

bool hak_ring_reader_open(struct hak_ring_reader *reader, bool from_oldest)
{
	*reader = (struct hak_ring_reader){0};
	return hak_ring_reader_reopen(reader, from_oldest);
}

void hak_ring_reader_close(struct hak_ring_reader *reader)
{
	if (reader->cursors)
		hak_memory_unmap(reader->cursors, reader->count * sizeof(*reader->cursors));
	*reader = (struct hak_ring_reader){0};
}

uint64_t hak_ring_reader_begin(struct hak_ring_reader *reader)
{
	uint64_t events = 0;

	reader->active = hak_load_relaxed(&region.used);
	for (unsigned i = 0; i < reader->active; i++) {
		struct hak_ring_cursor *cursor = &reader->cursors[i];

		cursor->limit = hak_load_acquire(&region.rings[i].head);
		events += cursor->limit - cursor->next + cursor->loaded;
	}
	return events;
}

/* Copies record `index`; returns false if it has been overwritten, wholly or in part. */
static bool read_record(const struct ring *ring, uint64_t index, struct hak_event *event)
{
	const struct record *record = record_at(ring, index);
	uint64_t words[EVENT_WORDS];

	if (hak_load_acquire(&record->sequence) != 2 * index + 2)
		return false;
	for (size_t i = 0; i < EVENT_WORDS; i++)
		words[i] = hak_load_acquire(&record->word[i]);
	if (hak_load_relaxed(&record->sequence) != 2 * index + 2)
		return false;
	memcpy(event, words, sizeof(words));
	return true;
}

/* Brings the ring's next record that can still be read into the cursor. */
static bool load_cursor(struct hak_ring_reader *reader, unsigned ring_index)
{
	struct hak_ring_cursor *cursor = &reader->cursors[ring_index];
	const struct ring *ring = &region.rings[ring_index];

	while (!cursor->loaded && cursor->next < cursor->limit) {
		uint64_t oldest = oldest_of(ring, hak_load_acquire(&ring->head));

		if (cursor->next < oldest) {
			reader->lost += oldest - cursor->next;
			cursor->next = oldest;
			continue;
		}
		if (read_record(ring, cursor->next, &cursor->event))
			cursor->loaded = true;
		else
			reader->lost++;
		cursor->next++;
	}
	return cursor->loaded;
}

bool hak_ring_reader_next(struct hak_ring_reader *reader, struct hak_event *event)
{
	struct hak_ring_cursor *earliest = NULL;

	for (unsigned i = 0; i < reader->active; i++) {
		struct hak_ring_cursor *cursor = &reader->cursors[i];

		if (load_cursor(reader, i) && (!earliest || cursor->event.time_ns < earliest->event.time_ns))
			earliest = cursor;
	}
	if (!earliest)
		return false;
	*event = earliest->event;
	earliest->loaded = false;
	return true;
}
