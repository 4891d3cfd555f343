/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker: one thread, one core, its queue on each port. */
#ifndef SYNFRONT_WORKER_H
#define SYNFRONT_WORKER_H

#include "worker_state.h"

/* Builds all but the thread. NULL with the reason logged. */
struct worker *worker_new(struct plane *plane, unsigned int id, const uint8_t seed[64]);
void worker_free(struct worker *worker);

/* The thread; `arg` is a struct worker. Runs until plane->stopping. */
int worker_run(void *arg);

#endif
