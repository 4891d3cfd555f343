/* SPDX-License-Identifier: BSD-3-Clause */
/* Appending actions to the list of a burst or a tick. Inside lib/proto only. */
#ifndef SYNFRONT_ACT_H
#define SYNFRONT_ACT_H

#include "actions.h"
#include "core_state.h"
#include "talkers.h"

/* What disposes of the step's segment. */
static inline __attribute__((always_inline)) struct action *
act_append_one(struct core *core, struct step *step, enum action_kind kind, enum side out,
               enum counter outcome)
{
	struct action *a = &step->out->list[step->out->n++];

	/* One store for the outcome and its kind. */
	a->what = (uint16_t)(kind | outcome << 8);
	a->out = (uint8_t)out;
	a->seg = step->number;
	core_count(core, outcome);
	if (__builtin_expect(--core->talk_left[outcome] == 0, 0))
		talkers_sample(core, step, outcome);
	return a;
}

/* What would leave by a side that is not there. */
struct action *act_nowhere(struct core *core, struct step *step);

static inline __attribute__((always_inline)) struct action *
act_append(struct core *core, struct step *step, enum action_kind kind, enum side out,
           enum counter outcome)
{
	if (__builtin_expect(out == SIDE_INSIDE && !core->params.has_inside, 0))
		return act_nowhere(core, step);
	return act_append_one(core, step, kind, out, outcome);
}

static inline struct packet *
act_packet(struct action *a, uint8_t flags)
{
	memset(&a->packet, 0, sizeof(a->packet));
	a->packet.flags = flags;
	return &a->packet;
}

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
static inline __attribute__((always_inline)) struct packet *
act_onward(struct core *core, struct step *step, enum side out, enum counter outcome, uint8_t flags)
{
	return act_packet(act_append(core, step, ACTION_ONWARD, out, outcome), flags);
}

/* A packet of its own; NULL: no room. */
static inline __attribute__((always_inline)) struct packet *
act_send_by(struct core *core, struct actions *out, const struct flow *flow,
            const struct link *link, enum side side, uint8_t flags)
{
	if (__builtin_expect(out->n + CORE_BURST_MAX >= out->max, 0)) {
		core_count(core, COUNTER_actions_full);
		return NULL;
	}
	struct action *a = &out->list[out->n++];
	a->kind = ACTION_SEND;
	a->out = (uint8_t)side;
	a->seg = ACTION_NO_SEGMENT;
	a->flow = *flow;
	a->link = *link;
	return act_packet(a, flags);
}
/* The same. `link` NULL: from the path; NULL if there is none or no room. */
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
