/* SPDX-License-Identifier: BSD-3-Clause */
/* TRACKED: connections that pass as they are. Inside lib/proto only. */
#ifndef SYNFRONT_TRACK_H
#define SYNFRONT_TRACK_H

#include "core_state.h"

/* Before its entry goes: RST to both ends of a candidate that did not fit. */
/* Begun by a client's SYN, and not yet complete? */
static inline bool
track_is_begun(const struct conn *conn)
{
	return !(conn->flags & (CONN_OUTBOUND | CONN_CONFIRMED | CONN_ADOPTING));
}

void track_expire(struct core *core, const struct conn *conn, const struct instant *now,
                  struct actions *out);

/* Handlers of the decision table. */
void outbound_syn(struct core *core, struct step *step);
void tracked_syn(struct core *core, struct step *step);
void tracked_syn_ack(struct core *core, struct step *step);
void tracked_segment(struct core *core, struct step *step);
void tracked_rst(struct core *core, struct step *step);

#endif
