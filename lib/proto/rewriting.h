/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments of a spliced connection, from one end's numbers to the other's.
 * Inside lib/proto only. */
#ifndef SYNFRONT_REWRITING_H
#define SYNFRONT_REWRITING_H

#include "core_state.h"

/* Forward, rewritten if the connection is spliced; nothing is followed. */
void splice_forward(struct core *core, struct step *step, enum counter outcome);

#endif
