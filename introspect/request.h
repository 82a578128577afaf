/* request.h: takes a request line apart. Pure. */
#ifndef HAK_REQUEST_H
#define HAK_REQUEST_H

#include "introspect/protocol.h"
#include "lib/base.h"

#define HAK_INTERVAL_MS_MIN 10
#define HAK_INTERVAL_MS_MAX 3600000
#define HAK_INTERVAL_MS_DEFAULT 200

struct hak_request {
	enum hak_protocol_verb verb;
	bool snapshots, events; /* subscribe: what */
	uint64_t interval_ms;   /* subscribe */
	const char *path;       /* dump: points into the line; NULL where HAKMEM_DUMP_PATH says where */
	/* Where parsing failed: */
	enum hak_protocol_error error;
	const char *message;
};

/* Parses `line`: `length` bytes without the newline, and a zero behind them. Returns false with error and message set
 * if it is not a request; a zero byte inside makes it none. The result points into `line`. */
bool hak_request_parse(struct hak_request *request, const char *line, size_t length);

#endif
