/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules that a step of the engine can break: what came in and what left are
 * held against what the ends have said and heard. See rules.def.
 */
#ifndef SYNFRONT_EXPLORE_JUDGE_H
#define SYNFRONT_EXPLORE_JUDGE_H

#include "world.h"

/* One segment for a worker, judged; what leaves goes into the network. `forged`: its
 * sender has seen nothing of what was sent to the flow. */
void judge_receive(struct world *w, unsigned int worker, const struct seg *seg, bool forged);
/* A second passes. */
void judge_tick(struct world *w, unsigned int worker);
/* Of a new state of a worker's core: that its tables agree, and that nothing is left of it
 * when all has expired, which it has afterwards. */
void judge_core(struct world *w, unsigned int worker);

#endif
