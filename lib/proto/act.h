/* SPDX-License-Identifier: BSD-3-Clause */
/* Appending actions to the list of a burst or a tick. Inside lib/proto only. */
#ifndef SYNFRONT_ACT_H
#define SYNFRONT_ACT_H

#include "actions.h"
#include "core_state.h"

/* Each that takes an outcome counts it. */
void act_drop(struct core *core, struct step *step, enum counter outcome);
void act_forward(struct core *core, struct step *step, enum counter outcome);
struct rewrite *act_edit(struct core *core, struct step *step, enum counter outcome);
/* The packets come zeroed but for flags. */
struct packet *act_reply(struct core *core, struct step *step, enum counter outcome, uint8_t flags);
/* The same for a packet that is ready but for what the caller still changes. */
struct packet *act_reply_with(struct core *core, struct step *step, enum counter outcome,
                              const struct packet *packet);
/* `out`: the side that the segment did not come by. */
struct packet *act_onward(struct core *core, struct step *step, enum side out,
                          enum counter outcome, uint8_t flags);
/* A packet of its own. `link` NULL: from the path; NULL if there is none or no room. */
struct packet *act_send(struct core *core, struct actions *out, const struct flow *flow,
                        uint16_t path, const struct link *link, enum side side, uint8_t flags);
/* RST as RFC 9293 3.10.7.1 wants it, under the caps; else dropped. */
void act_reset(struct core *core, struct step *step);
/* <SEQ=seq><ACK=ack> as an answer, under the challenge cap (RFC 5961, 10): NULL over it. */
struct packet *act_challenge(struct core *core, struct step *step, uint32_t seq, uint32_t ack,
                             uint16_t window);

/* Once agreed, timestamps belong on every segment but RST (RFC 7323, 3.2). */
static inline void
packet_stamp(struct packet *p, uint32_t tsval, uint32_t tsecr)
{
	p->options |= OPTION_TIMESTAMPS;
	p->tsval = tsval;
	p->tsecr = tsecr;
}

#endif
