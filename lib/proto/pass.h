/* SPDX-License-Identifier: BSD-3-Clause */
/* Letting a segment without an entry pass, to be followed as TRACKED.
 * Inside lib/proto only. */
#ifndef SYNFRONT_PASS_H
#define SYNFRONT_PASS_H

#include "core_state.h"

/* An entry for a SYN that passes; false (counted) if it cannot be followed. `outbound`: a
 * protected host's own. */
bool pass_begin(struct core *core, struct step *step, bool outbound);
/* May this SYN of a proxy's go to its server untouched: to be followed (calm: transparent,
 * drain) or to teach (what is not known of it)? Of a server that is down, too, its owner alone
 * knows what becomes of it. `b`: the server, if it is known. */
bool syn_may_pass(const struct core *core, const struct service_state *state,
                  const struct backend *b, const struct segment *seg, const struct instant *now);
/* And does it, to a server that is not down? It has an entry then, and is the caller's to
 * forward. */
bool syn_passes(struct core *core, struct step *step, struct backend *b);
/* Has the SYN of this segment's flow passed, and its entry expired before the handshake was
 * complete; or did that cross under observe, which a reload has ended? Not in a flood: it may be
 * anybody's. */
bool pass_resumes(const struct core *core, const struct step *step);
/* A candidate for adoption, older than the engine or such a one: forwarded then; false if it
 * may not be one. */
bool pass_adopt(struct core *core, struct step *step);
/* Where a candidate counts from, by one of its segments. */
void pass_seed(struct conn *conn, const struct segment *seg);

#endif
