/* SPDX-License-Identifier: BSD-3-Clause */
/* Carrying out what the core decided, and looking at every frame that leaves. */
#ifndef SYNFRONT_WORLD_OUT_H
#define SYNFRONT_WORLD_OUT_H

#include "world.h"

struct instant world_now(const struct world *w);

/* A line about a segment, if FUZZ_TRACE is in the environment. */
void world_trace(const struct world *w, const char *what, const struct segment *seg);

/* All of w->actions; `frames` and `seg` are the burst that they are about (NULL and 0 for
 * timers). */
void world_carry_out(struct world *w, const struct world_frame *frames, const struct segment *seg,
                     unsigned int n);

#endif
