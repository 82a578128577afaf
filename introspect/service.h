/* service.h: what the endpoint does for its clients: answers requests, streams what they subscribed to. One thread uses
 * it. */
#ifndef HAK_SERVICE_H
#define HAK_SERVICE_H

#include "introspect/connection.h"
#include "introspect/encode.h"
#include "introspect/snapshot.h"

#define HAK_SERVICE_CLIENTS 256 /* at once; further ones are told `busy` */

struct hak_service {
	/* Set by the owner before use: */
	const char *dump_pattern; /* HAKMEM_DUMP_PATH, for `dump` without a path */
	uint32_t trace_groups;    /* groups that stay on while nobody subscribes to events */
	uint64_t trace_bytes;     /* for the rings, if they are not started yet */
	uint64_t start_time;      /* the process's, for the greeting */
	struct hak_endpoint_stats stats;

	struct hak_snapshot snapshot;
	struct hak_buffer document; /* the snapshot message of this round */
	bool document_ready;        /* set false at each round's begin, after everything was received */
	struct hak_connection clients[HAK_SERVICE_CLIENTS];
};

/* Prepares a zeroed service: no clients. */
void hak_service_init(struct hak_service *service);

/* Closes every connection and gives the memory back. */
void hak_service_free(struct hak_service *service);

/* Queues the greeting for a new client. */
void hak_service_greet(struct hak_service *service, struct hak_connection *client);

/* Answers the requests that have arrived, as long as their answers have room. */
void hak_service_answer(struct hak_service *service, struct hak_connection *client);

/* Queues what is due at `now` (CLOCK_MONOTONIC, microseconds) of the client's subscription. */
void hak_service_stream(struct hak_service *service, struct hak_connection *client, uint64_t now);

/* Ends a connection. */
void hak_service_close(struct hak_service *service, struct hak_connection *client);

#endif
