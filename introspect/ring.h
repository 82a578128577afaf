/* ring.h: the last events of every thread, in rings of fixed records.
 *
 * Each thread that emits owns a ring: it alone writes there, overwriting the oldest record, and never waits. Any number
 * of readers follow at their own pace; what was overwritten before a reader came by is counted as lost for that reader,
 * exactly. A dead thread's ring goes to the next one that needs a ring, which writes on behind the old events: they
 * stay readable until they are overwritten. Threads that find no ring share some that are kept for them, event by
 * event. All rings lie in one region of HAKMEM_TRACE_BYTES that is mapped once, so that recording an event, which
 * happens under the allocator's locks, makes no system call. */
#ifndef HAK_RING_H
#define HAK_RING_H

#include "lib/base.h"
#include "lib/trace.h"

/* Maps the rings, `bytes` in all. Returns false if memory is refused. Once it has succeeded further calls change
 * nothing. From one thread at a time; events may be recorded meanwhile. */
bool hak_ring_start(uint64_t bytes);

/* The same in memory of the caller's: hak_ring_bytes(bytes) zeroed bytes, aligned to a page, that stay. For a file that
 * is to outlive the process. Not while there are rings. */
size_t hak_ring_bytes(uint64_t bytes);
void hak_ring_start_in(void *memory, uint64_t bytes);

/* Where things are in that memory, for whoever reads it as a file. Offsets and strides in bytes. */
struct hak_ring_layout {
	size_t rings_at, ring_stride, records_at, record_stride;
	uint64_t rings;
	uint64_t records; /* of one ring; record i of ring r is row r * records + i % records */
	size_t unrecorded_at; /* the count of events that found no ring */
};
void hak_ring_layout(uint64_t bytes, struct hak_ring_layout *out);
/* In a ring's row: records ever written, and the first of them that is this process's. In a record's: 2i + 2 once record
 * i is whole, 2i + 1 before; behind it the event. */
#define HAK_RING_HEAD_AT 0
#define HAK_RING_FIRST_AT 8
#define HAK_RING_EVENT_AT 8

/* In a child of fork whose parent's rings lie in a file: it has none until they are started again. */
void hak_ring_abandon(void);

/* The number of rings, 0 before hak_ring_start. For tests. */
unsigned hak_ring_count(void);

/* Records an event in the calling thread's ring. Lock-free, without system calls; any thread, any locks held. Before
 * hak_ring_start, and while every shared ring is being written to, events are counted as unrecorded. */
void hak_ring_record(const struct hak_event *event);

/* The calling thread ends: its ring becomes free for others. Events that it emits later still are recorded, one by one.
 * */
void hak_ring_thread_death(void);

/* In a child of fork, before it has a second thread: the rings start anew for the calling thread, as the events so far
 * are the parent's. */
void hak_ring_after_fork(void);

/* Sums over all rings, taken while events may be recorded. emitted = held + overwritten + unrecorded. */
struct hak_ring_totals {
	uint64_t emitted;
	uint64_t held;        /* can be read now */
	uint64_t overwritten; /* were recorded, and gave way to newer ones */
	uint64_t unrecorded;  /* found no ring free */
};
void hak_ring_totals(struct hak_ring_totals *totals);

/* A reader: what it has seen of each ring. One thread at a time uses it. */
struct hak_ring_cursor {
	uint64_t next;          /* index of the next record to read */
	uint64_t limit;         /* this round ends before this index */
	bool loaded;            /* `event` holds record next - 1, which was read and not yet given out */
	struct hak_event event;
};
struct hak_ring_reader {
	struct hak_ring_cursor *cursors; /* hak_ring_count() of them */
	unsigned count;
	unsigned active; /* rings that were in use when the round began: the first ones */
	uint64_t lost; /* records that were overwritten before this reader came by, or while it read them */
};

/* Prepares a reader. from_oldest: it sees all events that are held, else those that come from now on. Returns false if
 * memory is refused or the rings are not started. */
bool hak_ring_reader_open(struct hak_ring_reader *reader, bool from_oldest);
/* The same for a reader that is all zero or was opened before: its memory serves again. */
bool hak_ring_reader_reopen(struct hak_ring_reader *reader, bool from_oldest);
void hak_ring_reader_close(struct hak_ring_reader *reader);

/* Begins a round: hak_ring_reader_next will give out what has been recorded until now, so that a busy writer can't keep
 * it going for ever. Returns the number of events that the round holds, at most. */
uint64_t hak_ring_reader_begin(struct hak_ring_reader *reader);

/* Gives out the round's next event, ordered by time over all rings; events that were recorded in a shared ring at the
 * same instant may stand the other way round. Returns false at the round's end. */
bool hak_ring_reader_next(struct hak_ring_reader *reader, struct hak_event *event);

#endif
