/* SPDX-License-Identifier: BSD-3-Clause */
/* Letting a segment without an entry pass, to be followed as TRACKED.
 * Inside lib/proto only. */
#ifndef SYNFRONT_PASS_H
#define SYNFRONT_PASS_H

#include "core_state.h"

/* An entry for a SYN that passes; false (counted) if it cannot be followed. `outbound`: a
 * protected host's own. */
bool track_begin(struct core *core, struct step *step, bool outbound);
/* A candidate for adoption: forwarded then; false if it may not be one. */
bool track_adopt(struct core *core, struct step *step);
/* Where a candidate counts from, by one of its segments. */
void adopt_seed(struct conn *conn, const struct segment *seg);

#endif
