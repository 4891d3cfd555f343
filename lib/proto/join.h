/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's answer to the SYN of a proven client: two handshakes become one connection.
 * Inside lib/proto only. */
#ifndef SYNFRONT_JOIN_H
#define SYNFRONT_JOIN_H

#include "entry.h"

/* The second SYN-ACK does not come: go by the first. `p` has PENDING_ANSWERED. */
void join_late(struct core *core, struct pending *p, const struct instant *now,
               struct actions *out);
/* Does this segment, which is no SYN-ACK, answer the second of two SYNs? It is taken then. */
bool join_by_ack(struct core *core, struct step *step, struct conn *conn);
/* RST to the client as the server's own would look to it; the segment becomes it. */
void join_refuse(struct core *core, struct step *step, const struct conn *conn);

/* Handler of the decision table. */
void connecting_syn_ack(struct core *core, struct step *step);

#endif
