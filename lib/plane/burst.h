/* SPDX-License-Identifier: BSD-3-Clause */
/* The path of a packet through a worker: a burst in, what becomes of it out. */
#ifndef SYNFRONT_BURST_H
#define SYNFRONT_BURST_H

#include "worker_state.h"

/* One burst from our queue of a port. Returns how many frames came. */
unsigned int burst_receive(struct worker *worker, enum side side);
/* What other workers received for us; how many. */
unsigned int burst_take_over(struct worker *worker);
/* Carry out worker->actions; they refer to `mbufs`, parsed into worker->segments. */
void burst_act(struct worker *worker, struct rte_mbuf **mbufs);
/* Send what is staged. */
void burst_flush(struct worker *worker);

#endif
