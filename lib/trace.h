/* trace.h: tracepoints, and the sink that introspect puts behind them.
 *
 * A call site is hak_trace_NAME(args) for a row of trace_events.def. With its group off it costs one load, one test and
 * one branch; call sites stand on slow paths only. With HAKMEM_TRACE=OFF at build time it is nothing at all. */
#ifndef HAK_TRACE_H
#define HAK_TRACE_H

#include "atomic.h"
#include "base.h"

#ifndef HAK_TRACE
#define HAK_TRACE 1
#endif

/* The groups; HAKMEM_TRACE (introspect) names them in lower case. */
#define HAK_TRACE_GROUPS(X) \
	X(ACQUIRE, "acquire") \
	X(RELEASE, "release") \
	X(LRU, "lru") X(DRAIN, "drain") X(MEMORY, "memory") X(LARGE, "large") X(THREAD, "thread") X(ERROR, "error") X(MARK, "mark")

enum hak_trace_group_index {
#define X(name, text) HAK_GROUP_INDEX_##name,
	HAK_TRACE_GROUPS(X)
#undef X
		HAK_TRACE_GROUP_COUNT
};

enum hak_trace_group {
#define X(name, text) HAK_GROUP_##name = 1u << HAK_GROUP_INDEX_##name,
	HAK_TRACE_GROUPS(X)
#undef X
		HAK_GROUP_ALL = (1u << HAK_TRACE_GROUP_COUNT) - 1
};

enum hak_event_id {
#define HAK_EVENT2(name, ...) HAK_EVENT_ID_##name,
#define HAK_EVENT3 HAK_EVENT2
#define HAK_EVENT4 HAK_EVENT2
#define HAK_EVENT5 HAK_EVENT2
#include "trace_events.def"
#undef HAK_EVENT2
#undef HAK_EVENT3
#undef HAK_EVENT4
#undef HAK_EVENT5
	HAK_EVENT_ID_COUNT
};

#define HAK_EVENT_ARGS 5
#define HAK_TRACE_TEXT_MAX 40 /* bytes that fit the arguments */
_Static_assert(HAK_TRACE_TEXT_MAX == HAK_EVENT_ARGS * sizeof(uint64_t), "a text fills an event's arguments");

/* An event as the sink gets it: 56 bytes, so that a ring adds its 8-byte sequence word and has a 64-byte record. */
struct hak_event {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint32_t tid;     /* the kernel's thread id */
	uint16_t id;      /* enum hak_event_id */
	uint16_t reserved;
	uint64_t arg[HAK_EVENT_ARGS];
};

/* What is known of an event's type: the table behind JSON and debug lines, in the order of enum hak_event_id. */
struct hak_event_type {
	char name[20];
	char line[100]; /* empty: no debug line */
	uint32_t group; /* enum hak_trace_group */
	uint8_t args;
	char kind[HAK_EVENT_ARGS];    /* 'U' or 'P'; 'T': this one and all behind it are a text, ended by a zero or the end */
	char arg[HAK_EVENT_ARGS][12]; /* names */
};
extern HAK_HIDDEN const struct hak_event_type hak_event_types[HAK_EVENT_ID_COUNT];

/* Names of the groups, NULL at the end; word i is group bit i (the form that env.h wants). */
extern HAK_HIDDEN const char *const hak_trace_group_names[HAK_TRACE_GROUP_COUNT + 1];

/* A block that was sampled (sample.h), as the sink gets it. */
struct hak_sample {
	uintptr_t address;
	uint64_t bytes;       /* that the program asked for */
	uint64_t decided;     /* bytes whose chance decided: the class's block, or a large block's slots */
	uint64_t rate;        /* at which it was chosen */
	double weight;        /* blocks that it stands for: 1 / its probability */
	uintptr_t stand_in;   /* an ordinary block of its class that was taken and is freed with it; 0: a large block */
	uint64_t time_ns;     /* CLOCK_MONOTONIC, of its malloc */
	uint32_t tid;         /* the thread that allocated it */
	uint32_t mallocs;     /* that this thread had made, the lower half; at a rate of 1, samples that it had taken */
	uint32_t stack;       /* what the sink said of it, 0 if there is none */
	uint16_t samples;     /* the lower half of the samples that it had taken */
	uint8_t class;        /* HAK_SAMPLE_LARGE: a large block */
};
#define HAK_SAMPLE_LARGE 255

/* A block that is guarded (guard.h), or was when it was freed and is still known, as the sink gets it. */
enum hak_guarded_state { HAK_GUARDED_LIVE, HAK_GUARDED_FREED };
struct hak_guarded {
	uintptr_t address; /* where it begins; 0: there is none */
	size_t bytes;      /* that the program asked for */
	uint8_t level;     /* enum hak_guard_level (settings.h) */
	uint8_t state;     /* enum hak_guarded_state */
	uint8_t class;     /* size class that serves so many bytes; HAK_SAMPLE_LARGE: none does */
	uint8_t align_shift; /* the logarithm of the alignment that the program asked for, or of HAK_ALIGNMENT */
	uint32_t alloc_stack, free_stack; /* what sink->capture said of them, 0 if there is none */
	uint32_t alloc_tid, free_tid;     /* 0: not freed */
	uint64_t alloc_ns, free_ns;       /* CLOCK_MONOTONIC; 0: not freed, or not kept */
};

/* What follows a report. */
enum hak_report_end { HAK_REPORT_GOES_ON, HAK_REPORT_ABORTS, HAK_REPORT_EXITS };
/* What the processor was about at a fault. */
enum hak_access { HAK_ACCESS_UNKNOWN, HAK_ACCESS_READ, HAK_ACCESS_WRITE };
#define HAK_REPORT_LINE_MAX 400

/* A report of misuse (report.h), as the sink gets it. */
struct hak_report_details {
	uint16_t kind;       /* enum hak_report_kind */
	uint8_t end;         /* enum hak_report_end, as HAKMEM_ON_ERROR has it */
	uint8_t exit_status; /* HAK_REPORT_EXITS: this */
	uint8_t access;      /* enum hak_access, of a fault */
	uint32_t tid;        /* whose call or access it was, with the stack that sink->capture tells, 0 if there is none */
	uint32_t stack;
	uint64_t time_ns;         /* CLOCK_MONOTONIC */
	const char *text;         /* the kind's */
	uintptr_t address;        /* that the call named, or was accessed, or the first byte that was written over */
	uintptr_t link;           /* a damaged list: the link that was found at the address */
	size_t bytes, alignment;  /* a free with a wrong size: what the call said, 0 if it didn't */
	size_t damage;            /* a write that was found later: bytes from address to the last that was written over */
	struct hak_guarded block; /* that it is about, if it is guarded */
	char line[HAK_REPORT_LINE_MAX]; /* all of it in one line, without the newline */
};

/* What introspect plugs into lib. Every function is called on an allocator slow path. */
struct hak_sink {
	/* Records an event. Called with allocator locks held: must not allocate, lock, block or call back into lib. */
	void (*event)(const struct hak_event *event);
	/* A thread's birth, on its first slow path. No lock is held. May be NULL. */
	void (*thread_birth)(void);
	/* A thread's last call before its allocator state goes: its ring may be closed. No locks are held. May be NULL.
	 */
	void (*thread_death)(void);
	/* Around fork, in the forking thread: before (all of lib's locks are then taken after it), in the parent after
	 * (lib's locks are free again), in the child after (likewise; no other thread exists). Each may be NULL. */
	void (*fork_prepare)(void);
	void (*fork_parent)(void);
	void (*fork_child)(void);
	/* Called at the end of a slow path, no lock held and the block already in hand, while hak_trace_request_tick is
	 * on. It may allocate and create threads; it is not called re-entrantly. May be NULL. */
	void (*tick)(void);
	/* `bytes` could not be had: the program is about to get NULL and ENOMEM. No lock is held. It may be called
	 * re-entrantly. May be NULL. */
	void (*out_of_memory)(uint64_t bytes);
	/* A block became a sample: returns the number of the stack that allocated it, for sample->stack. No lock is
	 * held. What is allocated meanwhile is no sample; it is not called re-entrantly. May be NULL. */
	uint32_t (*sample)(const struct hak_sample *sample);
	/* A sample was freed, `lived_ns` after its malloc: `temporary` says by the thread that allocated it, with no other
	 * sample of that thread between. The same holds. May be NULL. */
	void (*sample_freed)(const struct hak_sample *sample, uint64_t lived_ns, bool temporary);
	/* The number of the calling thread's stack, 0 if there is none. No lock is held. What is allocated meanwhile is
	 * neither a sample nor guarded. May be NULL. */
	uint32_t (*capture)(void);
	/* Whether the stack of this number comes by `address`, a return address as the call sites have it. No lock is held.
	 * May be NULL. */
	bool (*stack_has)(uint32_t stack, uintptr_t address);
	/* Prints a report, its line first. No lock is held, and the process ends afterwards if the report says so; it may
	 * allocate, and is not called re-entrantly. NULL: the line alone is printed. */
	void (*report)(const struct hak_report_details *details);
};

/* The sink is at work for this thread: what it allocates is neither sampled nor guarded, and doesn't end the process before
 * it is done. Who calls its sample…, capture and report sets it meanwhile. */
extern HAK_HIDDEN HAK_TLS bool hak_trace_busy;

/* Installs the sink (NULL: none); one at a time, for the process's life or until replaced. The struct must stay valid.
 */
void hak_trace_set_sink(const struct hak_sink *sink);
/* The installed sink or NULL (acquire). */
const struct hak_sink *hak_trace_sink(void);

/* The number of the calling thread's stack by sink->capture; 0 if no sink tells it, or the sink is at work for this thread. No
 * lock is held. Any thread, any time. It is a part of its caller, as a function of its own would be one more frame to walk over. */
HAK_INLINE uint32_t hak_trace_capture(void)
{
	const struct hak_sink *sink = hak_trace_sink();
	uint32_t stack;

	if (!sink || !sink->capture || hak_trace_busy)
		return 0;
	hak_trace_busy = true;
	stack = sink->capture();
	hak_trace_busy = false;
	return stack;
}

/* Chooses the groups (bits of enum hak_trace_group) whose events go to the sink. Any thread, any time. */
void hak_trace_set_groups(uint32_t groups);
uint32_t hak_trace_groups(void);
/* Chooses the groups whose lines are printed; HAKMEM_*_DEBUG call it at start. */
void hak_trace_set_lines(uint32_t groups);
uint32_t hak_trace_lines(void);
/* Asks for sink->tick at slow paths' ends (true), or no longer (false). */
void hak_trace_request_tick(bool on);

/* A group's gate: not 0 as a whole while anybody wants its events. A tracepoint reads both halves at once, so that a
 * tracer's interest costs nothing while there is none. Relaxed: an event more or less at the moment of switching is right. */
union hak_trace_gate {
	uint32_t open;
	struct {
		uint16_t listens;   /* 1: the sink or the debug lines want the group */
		uint16_t semaphore; /* of the group's USDT probes: tracers count it up while they look at one of them. It
				       is written by the kernel, or by a debugger while the process stands still. */
	};
};
_Static_assert(sizeof(union hak_trace_gate) == sizeof(uint32_t), "a gate is read as one word");
extern HAK_HIDDEN union hak_trace_gate hak_trace_gates[HAK_TRACE_GROUP_COUNT];

HAK_INLINE bool hak_trace_is_open(enum hak_trace_group_index group)
{
	return HAK_UNLIKELY(hak_load_relaxed(&hak_trace_gates[group].open) != 0);
}

/* Fills in time and thread, gives the event to the sink, and formats its debug line. Use the typed call sites instead.
 */
void hak_trace_emit(enum hak_event_id id, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);

/* Formats an event as its debug line, without the newline, into `out` (`size` > 0 bytes, always terminated). Returns
 * the length, 0 for an event without a line. Pure. */
size_t hak_trace_format_line(char *out, size_t size, const struct hak_event *event);

/* Queues `line` for this thread's next hak_trace_flush. `group` (enum hak_trace_group) is switched off if the line
 * turns out not to be writable; 0 for lines that don't belong to one: those are never lost for want of memory. */
void hak_trace_queue_line(const char *line, uint32_t group);

/* Queues a report for this thread's next hak_trace_flush, which gives it to the sink, or prints its line. It is never
 * lost for want of memory: then its line is printed at once. */
void hak_trace_queue_report(const struct hak_report_details *details);

/* Ends the process at the calling thread's next hak_trace_flush, by _exit(status), or by abort() if it is
 * HAK_TRACE_ABORT: when its lines are written and no lock is held, so that a handler of SIGABRT may do what it likes.
 * Returns false in a thread that has begun to: its handler may go on. */
#define HAK_TRACE_ABORT (-1)
bool hak_trace_end(int status);

/* Writes the lines that this thread collected while it held locks. Slow paths call it when they have released them all.
 */
void hak_trace_flush(void);

/* Takes and releases the module's lock around fork (thread.c calls them, in the order of lock.h). */
void hak_trace_fork_lock(void);
void hak_trace_fork_unlock(void);

/* A probe's semaphore is a variable of its name: trace.c makes all of a group's one and the same. */
#if HAK_TRACE && defined(HAK_USDT)
#define _SDT_HAS_SEMAPHORES 1 /* the header's own name. NOLINT(bugprone-reserved-identifier) */
#include <sys/sdt.h>
#define HAK_EVENT2(name, ...) extern uint16_t hakmem_##name##_semaphore __attribute__((visibility("hidden")));
#define HAK_EVENT3 HAK_EVENT2
#define HAK_EVENT4 HAK_EVENT2
#define HAK_EVENT5 HAK_EVENT2
#include "trace_events.def"
#undef HAK_EVENT2
#undef HAK_EVENT3
#undef HAK_EVENT4
#undef HAK_EVENT5
#define HAK_USDT_PROBE(name, a, b, c, d, e) DTRACE_PROBE5(hakmem, name, a, b, c, d, e)
#else
#define HAK_USDT_PROBE(name, a, b, c, d, e) ((void)0)
#endif

#if HAK_TRACE
#define HAK_TRACE_BODY(name, group, a, b, c, d, e) \
	if (hak_trace_is_open(HAK_GROUP_INDEX_##group)) { \
		HAK_USDT_PROBE(name, a, b, c, d, e); \
		hak_trace_emit(HAK_EVENT_ID_##name, a, b, c, d, e); \
	}
#else
#define HAK_TRACE_BODY(name, group, a, b, c, d, e) (void)(a), (void)(b), (void)(c), (void)(d), (void)(e);
#endif

#define HAK_EVENT2(name, group, line, k1, a1, k2, a2) \
	HAK_INLINE void hak_trace_##name(uint64_t a1##_, uint64_t a2##_) \
	{ \
		HAK_TRACE_BODY(name, group, a1##_, a2##_, 0, 0, 0) \
	}
#define HAK_EVENT3(name, group, line, k1, a1, k2, a2, k3, a3) \
	HAK_INLINE void hak_trace_##name(uint64_t a1##_, uint64_t a2##_, uint64_t a3##_) \
	{ \
		HAK_TRACE_BODY(name, group, a1##_, a2##_, a3##_, 0, 0) \
	}
#define HAK_EVENT4(name, group, line, k1, a1, k2, a2, k3, a3, k4, a4) \
	HAK_INLINE void hak_trace_##name(uint64_t a1##_, uint64_t a2##_, uint64_t a3##_, uint64_t a4##_) \
	{ \
		HAK_TRACE_BODY(name, group, a1##_, a2##_, a3##_, a4##_, 0) \
	}
#define HAK_EVENT5(name, group, line, k1, a1, k2, a2, k3, a3, k4, a4, k5, a5) \
	HAK_INLINE void hak_trace_##name( \
		uint64_t a1##_, uint64_t a2##_, uint64_t a3##_, uint64_t a4##_, uint64_t a5##_) \
	{ \
		HAK_TRACE_BODY(name, group, a1##_, a2##_, a3##_, a4##_, a5##_) \
	}
#include "trace_events.def"
#undef HAK_EVENT2
#undef HAK_EVENT3
#undef HAK_EVENT4
#undef HAK_EVENT5

/* Emits the event mark with the first HAK_TRACE_TEXT_MAX bytes of `text`. Returns whether anybody listens. No lock is
 * held. */
bool hak_trace_text(const char *text);

#endif
