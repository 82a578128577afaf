/* event_stream.h: the events that a client has subscribed to, from the rings into messages. */
#ifndef HAK_EVENT_STREAM_H
#define HAK_EVENT_STREAM_H

#include "introspect/connection.h"

/* Queues messages with what was recorded since the last call and passes the client's filter, as far as its rate, its
 * buffer and `left` allow, which is how many more events may be queued in this round for all clients; it is lowered by
 * those that were. The client's reader is open. */
void hak_event_stream(struct hak_connection *client, uint64_t now, uint64_t *left);

#endif
