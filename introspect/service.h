/* service.h: what the endpoint does for its clients: answers requests, streams what they subscribed to. One thread uses
 * it. */
#ifndef HAK_SERVICE_H
#define HAK_SERVICE_H

#include "introspect/connection.h"
#include "introspect/delta.h"
#include "introspect/encode.h"
#include "introspect/snapshot.h"

#define HAK_SERVICE_CLIENTS 256 /* at once; further ones take the place of one that is idle, or are told `busy` */

/* Who has asked for nothing for so long, and is subscribed to nothing, is idle. */
#define HAK_SERVICE_IDLE_US 1000000

/* Requests of clients that are ahead of the clock count for all of them together as well, at one part of so many: whoever
 * opens many connections gets no more by that than some who keep to the rate of one. */
#define HAK_SERVICE_AHEAD_SHARE 4

/* Events that are queued in a round, for all clients together: as many as four of them have room for. */
#define HAK_SERVICE_EVENTS 6144

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
	struct hak_buffer greeting; /* for all who connect before the next hak_service_tidy; empty: to be made */
	uint64_t events_left; /* that may be queued in this round */
	uint64_t ahead_us; /* as a connection's requests_us, for those of clients that are ahead of the clock */
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

/* When the client's next request may be handled: not after `now`, or at the time returned. */
uint64_t hak_service_request_us(const struct hak_service *service, const struct hak_connection *client);

/* Queues what is due at `now` (CLOCK_MONOTONIC, microseconds) of the client's subscription. */
void hak_service_stream(struct hak_service *service, struct hak_connection *client, uint64_t now);

/* Ends the connection that has been idle for the longest at `now`, which is told; returns its entry, NULL if there is
 * none. */
struct hak_connection *hak_service_make_room(struct hak_service *service, uint64_t now);

/* Ends a connection. */
void hak_service_close(struct hak_service *service, struct hak_connection *client);

/* Gives memory back that connections had which ended more than a second before `now`, and has the greeting made anew. */
void hak_service_tidy(struct hak_service *service, uint64_t now);

#endif
