/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The straight lane of what is no SYN: segments that cross, and blind ACKs, one after the other.
 * Most of any traffic is made of them.
 *
 *   takes it                                     does not
 *   ACK and data of a connection that is         URG apart, any other flag: SYN, RST, FIN; SACK
 *     spliced, or tracked and confirmed            blocks, whose edges are rewritten
 *   neither end has said its last; the server    half closed, closing; a server that is silent;
 *     has spoken; windows cross as they are        windows that are converted; adoption
 *   an ACK without data that no entry has and    one that proves something, has data or a FIN, or
 *     that proves nothing, of a service that       is answered by RST; while connections older
 *     drops those                                  than the engine are adopted
 *   modes that keep entries                      bypass; all that is under observe
 *   what is no client's SYN in handoff, if it    what a shield looks at; what a reload has made
 *     keeps nothing                                handoff
 *   what is of no service                        a SYN to a closed port of a protected host, or
 *                                                  anything to it where observe has room;
 *                                                  all of it after a reload with connections
 *   a candidate in the index that is the         another flow's; one that came, went or changed
 *     flow's                                       places since the burst was located
 *   one station                                  a group of them
 *   with an inside port                          in a responder, which forwards nothing
 *   a burst of which nobody wants notes          one that a capture looks at, or a trial of
 *                                                  explain: core_decide_noted()
 *
 * core_locate() says which kind a segment is, by its header, service and candidate alone;
 * plain_lane_run() looks at the entry. What does not take it goes by the decision table, and so
 * could all that does: spliced_segment(), tracked_segment(), listen_ack(), handoff_outside() and
 * decide_segment() come to the same bytes, counts and state, which tests/fuzz/fuzz_plain_lane.c holds against
 * each other. Inside lib/proto only.
 */
#ifndef SYNFRONT_PLAIN_LANE_H
#define SYNFRONT_PLAIN_LANE_H

#include "actions.h"
#include "core_state.h"

/* For segment_found.plain. */
enum plain_kind {
	PLAIN_DATA,    /* its flow has a candidate among connections */
	PLAIN_FOREIGN, /* of no service */
	PLAIN_HANDED,  /* of mode handoff */
	PLAIN_BLIND,   /* it has none, and its cookie is looked at */
	PLAIN_NEVER = UINT8_MAX
};

/* Of a segment whose service is none that is served: enum plain_kind. To a closed port of a
 * protected host what is TCP, and no SYN, is of no service either. */
static inline uint8_t
plain_unserved(const struct core *core, uint16_t service, bool is_no_syn)
{
	bool is_foreign = service == SERVICE_NONE || (is_no_syn && core->observer == NULL);

	return is_foreign ? PLAIN_FOREIGN : PLAIN_NEVER;
}

/* Deal with the segments of a burst from number `first` on, as far as the lane takes them one
 * after the other. Returns how many it has taken. */
unsigned int plain_lane_run(struct core *core, struct segment *seg, unsigned int first,
                            unsigned int n, const struct instant *now, struct actions *out);

#endif
