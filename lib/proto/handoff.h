/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mode handoff: a SYN is answered by cookie, or passes in calm; everything else of the service
 * passes both ways as it is. The server's kernel checks the cookie and takes the connection over.
 * Nothing is kept of any flow, so any worker, and any node, may have any segment of it; what is
 * remembered for the shield (shield.h) may be lost at any time.
 * Inside lib/proto only.
 */
#ifndef SYNFRONT_HANDOFF_H
#define SYNFRONT_HANDOFF_H

#include "core_state.h"

/* A new policy: what the state of a service keeps of it for this mode, whatever its mode is.
 * `is_first`: there have been no connections before it. */
void handoff_set(struct core *core, struct service_state *state, bool is_first);
/* What else is about TCP of such a service: ICMP errors and first fragments. False for what is
 * not these. */
bool handoff_foreign(struct core *core, struct step *step);
/* A later fragment whose first one has not been seen: it may have come by another node. */
bool handoff_fragment(struct core *core, struct step *step);
/* Once a second: cookie mode ends when that second's SYNs are no more than half of what may
 * pass. */
void handoff_second(struct core *core, struct service_state *state);

/* Handlers of the decision table. */
void handoff_syn(struct core *core, struct step *step);
void handoff_outside(struct core *core, struct step *step);
void handoff_inside(struct core *core, struct step *step);

#endif
