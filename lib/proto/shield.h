/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What keeps blind segments from the servers of a service that keeps no connections: not by
 * knowing which are true, but by letting those pass first for which something speaks. In
 * order:
 *
 *   - a flow that is known (known.h): its cookie was proven here, or its server has sent data,
 *     as none does before its client has acknowledged its ISS;
 *   - what acknowledges what its server has sent, data or not, and so has seen it. A SYN-ACK goes
 *     to whoever a SYN names, and from then on an ACK to whoever a segment out of its window
 *     names: these let nothing else pass;
 *   - what proves a cookie;
 *   - what carries timestamps as a live connection does;
 *   - anything else.
 *
 * The first three always pass, the second and third making their flow known. The others share the service's `unknown_per_s`: below it nothing is
 * lost, above it those with timestamps get what the last leave and a reserve that these cannot
 * touch. Losing the cache, by a restart or for want of room, loses nothing but that order. A
 * service without `unknown_per_s` has no shield, and costs nothing.
 * Inside lib/proto only.
 */
#ifndef SYNFRONT_SHIELD_H
#define SYNFRONT_SHIELD_H

#include "core_state.h"

/* May this segment from outside pass to its server? core_locate() has looked its flow up. */
bool shield_admits(struct core *core, struct step *step);
/* This one came from inside: its server speaks on the flow. */
void shield_note_inside(struct core *core, const struct step *step);

#endif
