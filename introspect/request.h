/* request.h: takes a request line apart. Pure. */
#ifndef HAK_REQUEST_H
#define HAK_REQUEST_H

#include "introspect/protocol.h"
#include "lib/base.h"

#define HAK_INTERVAL_MS_MIN 10
#define HAK_INTERVAL_MS_MAX 3600000
#define HAK_INTERVAL_MS_DEFAULT 200
#define HAK_FILTER_THREADS 16

/* Which events a subscriber wants. */
struct hak_event_filter {
	uint32_t groups;  /* bits of enum hak_trace_group */
	uint64_t classes; /* a bit a size class; 0: any, and events that have none */
	uint32_t threads; /* how many of tids there are; 0: any */
	uint32_t tids[HAK_FILTER_THREADS];
	uint64_t rate; /* events a second at most, 0: any number */
};

/* What `set` can change. A value is a number, for the first two bits of enum hak_trace_group. */
enum hak_control {
	HAK_CONTROL_TRACE,
	HAK_CONTROL_DEBUG,
	HAK_CONTROL_DRAIN_INTERVAL,
	HAK_CONTROL_PURGE_DELAY_MS,
	HAK_CONTROL_PROF_RATE, /* 0: off */
	/* What is guarded, as lib/guard.h's hak_guard_choice has it. */
	HAK_CONTROL_GUARD, /* enum hak_guard_level */
	HAK_CONTROL_GUARD_RATE,
	HAK_CONTROL_GUARD_CLASS, /* HAK_GUARD_ANY_CLASS: any */
	HAK_CONTROL_GUARD_SITE,  /* 0: any */
	HAK_CONTROL_COUNT
};

struct hak_request {
	enum hak_protocol_verb verb;
	/* subscribe: */
	bool snapshots, events;
	bool full; /* no deltas */
	uint64_t interval_ms;
	struct hak_event_filter filter;
	/* set: */
	uint32_t given; /* a bit for each enum hak_control that has a value */
	uint64_t value[HAK_CONTROL_COUNT];
	uint64_t for_ms; /* 0: for good */
	uint64_t meshable; /* stats: 1 if asked for */
	bool openmetrics;  /* stats: as OpenMetrics text */
	uint64_t address, bytes; /* guarded: a range; 0: none was given */
	/* Both point into the line and reach to its end: */
	const char *path; /* dump: NULL where HAKMEM_DUMP_PATH says where */
	const char *text; /* mark */
	/* Where parsing failed: */
	enum hak_protocol_error error;
	const char *message;
};

/* Parses `line`: `length` bytes without the newline, and a zero behind them. Returns false with error and message set
 * if it is not a request; a zero byte inside makes it none. The result points into `line`. */
bool hak_request_parse(struct hak_request *request, const char *line, size_t length);

#endif
