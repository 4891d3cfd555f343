/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Appending actions. The caller's list has room for ACTIONS_PER_EVENT beyond
 * one action a segment; SENDs never use the room that segments still need.
 */
#include "act.h"

#include "admission.h"

__attribute__((noinline)) struct action *
act_nowhere(struct core *core, struct step *step)
{
	return act_append_one(core, step, ACTION_DROP, SIDE_INSIDE, COUNTER_drop_no_inside);
}

void
act_drop(struct core *core, struct step *step, enum counter outcome)
{
	act_append(core, step, ACTION_DROP, SIDE_OUTSIDE, outcome);
}

void
act_forward(struct core *core, struct step *step, enum counter outcome)
{
	act_append(core, step, ACTION_FORWARD, step->seg->side ^ 1, outcome);
}

struct rewrite *
act_edit(struct core *core, struct step *step, enum counter outcome)
{
	struct action *a = act_append(core, step, ACTION_EDIT, step->seg->side ^ 1, outcome);

	memset(&a->rewrite, 0, sizeof(a->rewrite));
	return &a->rewrite;
}

static inline __attribute__((always_inline)) struct packet *
reply(struct core *core, struct step *step, enum counter outcome, uint8_t flags)
{
	return act_packet(act_append(core, step, ACTION_REPLY, step->seg->side, outcome), flags);
}

struct packet *
act_reply(struct core *core, struct step *step, enum counter outcome, uint8_t flags)
{
	return reply(core, step, outcome, flags);
}

struct packet *
act_reply_with(struct core *core, struct step *step, enum counter outcome,
               const struct packet *packet)
{
	struct action *a = act_append(core, step, ACTION_REPLY, step->seg->side, outcome);

	a->packet = *packet;
	return &a->packet;
}

struct packet *
act_send(struct core *core, struct actions *out, const struct flow *flow, uint16_t path,
         const struct link *link, enum side side, uint8_t flags)
{
	if (link != NULL)
		return act_send_by(core, out, flow, link, side, flags);
	if (path == 0)
		return NULL;
	const struct link known = path_link(&core->paths, path, side);
	return act_send_by(core, out, flow, &known, side, flags);
}

void
act_reset(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	const struct instant *now = step->now;
	/* Servers are not flooded from: only answers to the outside are capped. */
	if (seg->side == SIDE_OUTSIDE &&
	    (!bucket_take(&core->rst_bucket, core->policy->reflection.rst_per_s,
	                  (uint32_t)now->now_ms) ||
	     !admission_reflect(core, core_net(core, &seg->flow), now))) {
		act_drop(core, step, COUNTER_drop_rst_cap);
		return;
	}
	core_count(core, COUNTER_rst_sent);
	/* RFC 9293, 3.10.7.1: with ACK <SEQ=SEG.ACK><CTL=RST>, without it
	 * <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>. */
	if (seg->flags & TCP_ACK) {
		reply(core, step, COUNTER_answered_rst, TCP_RST)->seq = seg->ack;
		return;
	}
	uint32_t ack = seg->seq + segment_seq_len(seg);
	reply(core, step, COUNTER_answered_rst, TCP_RST | TCP_ACK)->ack = ack;
}

struct packet *
act_challenge(struct core *core, struct step *step, uint32_t seq, uint32_t ack, uint16_t window)
{
	if (!bucket_take(&core->challenge_bucket, core->policy->reflection.challenge_per_s,
	                 (uint32_t)step->now->now_ms) ||
	    !admission_reflect(core, core_net(core, &step->seg->flow), step->now)) {
		act_drop(core, step, COUNTER_drop_challenge_cap);
		return NULL;
	}
	core_count(core, COUNTER_challenge_sent);
	struct packet *p = act_reply(core, step, COUNTER_answered_ack, TCP_ACK);
	p->seq = seq;
	p->ack = ack;
	p->window = window;
	return p;
}
