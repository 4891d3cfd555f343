/* SPDX-License-Identifier: BSD-3-Clause */
/* The path of a packet through a worker, from a port or another worker to the core; egress.h goes
 * on with what the core has decided. */
#ifndef SYNFRONT_BURST_H
#define SYNFRONT_BURST_H

#include "worker_state.h"

/* One burst from our queue of a port. Returns how many frames came. */
unsigned int burst_receive(struct worker *worker, enum side side);
/* The same from its queue of SYNs; only where it has one. */
unsigned int burst_receive_syns(struct worker *worker);
/* What other workers received for us; how many. */
unsigned int burst_take_over(struct worker *worker);

#endif
