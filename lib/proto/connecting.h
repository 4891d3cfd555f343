/* SPDX-License-Identifier: BSD-3-Clause */
/* What connect.c, which asks the server, and join.c, which takes its answer, share. Inside
 * lib/proto only. */
#ifndef SYNFRONT_CONNECTING_H
#define SYNFRONT_CONNECTING_H

#include "core_state.h"

#define ANSWER_WAIT_MS 5u /* for the second of two SYN-ACKs */

static inline struct pending *
pending_of(struct core *core, const struct conn *conn)
{
	return &core->pending.records[conn->pending];
}

static inline struct backend *
pending_backend(struct core *core, const struct pending *p)
{
	return backend_at(&core->backends, p->backend);
}

/* The client's window as it stands where it is not scaled, as in a SYN. */
static inline uint16_t
pending_unscaled_window(const struct pending *p)
{
	uint32_t window = (uint32_t)p->window << wscale_shift(p->offer.wscale);

	return window > UINT16_MAX ? UINT16_MAX : (uint16_t)window;
}

/* Our TSval towards the client: milliseconds, up from what its echo says. */
static inline uint32_t
pending_clock(const struct pending *p, const struct instant *now)
{
	return p->ts_base + (uint32_t)(now->now_ms - p->started_ms);
}

/* RST to the client as the server's own would look to it; the segment becomes it. */
void connect_reset_client(struct core *core, struct step *step, const struct conn *conn);

/* The second SYN-ACK does not come: go by the first. `p` has PENDING_ANSWERED. */
void join_late(struct core *core, struct pending *p, const struct instant *now,
               struct actions *out);
/* Does this segment, which is no SYN-ACK, answer the second of two SYNs? It is taken then. */
bool join_by_ack(struct core *core, struct step *step, struct conn *conn);

#endif
