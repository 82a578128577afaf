/* service.h: what the endpoint does for its clients: answers requests, streams what they subscribed to. One thread uses
 * it. */
#ifndef HAK_SERVICE_H
#define HAK_SERVICE_H

#include "introspect/connection.h"
#include "introspect/delta.h"
#include "introspect/encode.h"
#include "introspect/snapshot.h"

#define HAK_SERVICE_CLIENTS 256 /* at once; further ones are told `busy` */

/* What may wait for all clients together, but for a single longer message. */
#define HAK_SERVICE_WAITING ((size_t)64 << 20)

struct hak_service {
	/* Set by the owner before use: */
	const char *dump_pattern; /* HAKMEM_DUMP_PATH, for `dump` without a path */
	uint64_t trace_bytes;     /* for the rings, if they are not started yet */
	uint64_t start_time;      /* the process's, for the greeting */
	struct hak_endpoint_stats stats;

	struct hak_snapshot snapshot;
	struct hak_delta delta;
	bool state_ready;           /* this round's snapshot has been taken */
	struct hak_buffer document; /* its message */
	bool document_ready;
	struct hak_buffer change;   /* the delta message of this round that was made last */
	uint64_t change_base;       /* and what it builds on; 0: none was made */
	struct hak_buffer text;     /* OpenMetrics text that was made last */
	struct hak_connection clients[HAK_SERVICE_CLIENTS];
};

/* Prepares a zeroed service: no clients. */
void hak_service_init(struct hak_service *service);

/* Closes every connection and gives the memory back. */
void hak_service_free(struct hak_service *service);

/* Queues the greeting for a new client. */
void hak_service_greet(struct hak_service *service, struct hak_connection *client);

/* Begins a round at `now`, after everything was received: snapshots are taken anew, settings revert that are due. */
void hak_service_begin_round(struct hak_service *service, uint64_t now);

/* Answers the requests that have arrived, as long as their answers have room and they are not too many. */
void hak_service_answer(struct hak_service *service, struct hak_connection *client, uint64_t now);

/* Queues what is due at `now` (CLOCK_MONOTONIC, microseconds) of the client's subscription. */
void hak_service_stream(struct hak_service *service, struct hak_connection *client, uint64_t now);

/* Ends a connection. */
void hak_service_close(struct hak_service *service, struct hak_connection *client);

/* Gives memory back that connections had which ended more than a second before `now`. */
void hak_service_tidy(struct hak_service *service, uint64_t now);

#endif
