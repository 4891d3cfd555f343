/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last part of a packet's path: what the core has decided is carried out, the frames that are
 * to leave are staged for their port, and all of a burst are sent together.
 */
#ifndef SYNFRONT_EGRESS_H
#define SYNFRONT_EGRESS_H

#include "worker_state.h"

/* Carry out worker->actions; they refer to `mbufs`, parsed into worker->segments. */
void egress_act(struct worker *worker, struct rte_mbuf **mbufs);
/* Stage a frame that is no TCP of a service; its buffer is not the caller's any more. One that the
 * port cannot send is counted and lost. */
void egress_stage_first(struct worker *worker, enum side out, struct rte_mbuf *mbuf);
/* Send what is staged. */
void egress_flush(struct worker *worker);

#endif
