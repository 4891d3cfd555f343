/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker does between packets. */
#ifndef SYNFRONT_HOUSEKEEPING_H
#define SYNFRONT_HOUSEKEEPING_H

#include "worker_state.h"

/* Ticks, snapshot, mailbox, drain. */
void housekeeping(struct worker *worker);

#endif
