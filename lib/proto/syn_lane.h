/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The straight lane: SYNs that are answered by cookie, one after the other, with nothing
 * looked at that the burst has in common. A flood is made of them.
 *
 *   takes it                                     does not
 *   modes proxy and respond, with cookies        calm, or cookies: never; allow or deny lists, of
 *     always or while in cookie mode               the policy or live; bypass; all that is under
 *                                                  observe, and all that its shadow decides
 *   handoff, if it keeps nothing, and no         calm: transparent but with cookies always;
 *     SYN passes in calm                           what a reload has made handoff
 *   proxy, of a server that gets no SYN now      of one that is down, or that this SYN may pass
 *                                                  to, for something to be learned of it
 *   any options                                  a signature: MD5, AO
 *   a flow that the index knows nothing of       a candidate in it; what has changed since the burst
 *                                                  was located: that, this server, or, if it was
 *                                                  not here, that any has come
 *   a good checksum, to one station              a bad one, or parts elsewhere; to a group
 *   below the cap of its net                     above it; all while the port has a cap, too,
 *                                                  and while draining
 *   a burst of which nobody wants notes          one that a capture looks at, or a trial of
 *                                                  explain: core_decide_noted()
 *
 * It is said in syn_lane_of() for a service, in syn_plan_work_out() for options, in
 * syn_kind_asks() for a server, in syn_lane_run() and what it calls for the rest. What does not take it goes by the decision
 * table, and so could all that does: listen_syn() and handoff_syn() come to the same bytes,
 * counts and state, which tests/fuzz/fuzz_syn_lane.c holds against each other. Whatever might
 * make a difference is theirs. Inside lib/proto only.
 */
#ifndef SYNFRONT_SYN_LANE_H
#define SYNFRONT_SYN_LANE_H

#include "actions.h"
#include "core_state.h"

/* Answer the segments of a burst from number `first` on, as far as the lane takes them one
 * after the other. Returns how many it has taken. */
unsigned int syn_lane_run(struct core *core, struct segment *seg, unsigned int first,
                          unsigned int n, const struct instant *now, struct actions *out);

#endif
