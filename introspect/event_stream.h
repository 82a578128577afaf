/* event_stream.h: the events that a client has subscribed to, from the rings into messages. */
#ifndef HAK_EVENT_STREAM_H
#define HAK_EVENT_STREAM_H

#include "introspect/connection.h"

/* Queues messages with what was recorded since the last call and passes the client's filter, as far as its rate and its
 * buffer allow. Its reader is open. */
void hak_event_stream(struct hak_connection *client, uint64_t now);

#endif
