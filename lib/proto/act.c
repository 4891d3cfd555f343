/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Appending actions. The caller's list has room for ACTIONS_PER_EVENT beyond
 * one action a segment; SENDs never use the room that segments still need.
 */
#include "act.h"

#include "admission.h"
#include "talkers.h"

static inline __attribute__((always_inline)) struct action *
act_append(struct core *core, struct step *step, enum action_kind kind, enum side out,
           enum counter outcome)
{
	if (__builtin_expect(out == SIDE_INSIDE && !core->params.has_inside, 0)) {
		kind = ACTION_DROP;
		outcome = COUNTER_drop_no_inside;
	}
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

static struct packet *
act_packet(struct action *a, uint8_t flags)
{
	memset(&a->packet, 0, sizeof(a->packet));
	a->packet.flags = flags;
	return &a->packet;
}

struct packet *
act_reply(struct core *core, struct step *step, enum counter outcome, uint8_t flags)
{
	return act_packet(act_append(core, step, ACTION_REPLY, step->seg->side, outcome), flags);
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
act_onward(struct core *core, struct step *step, enum side out, enum counter outcome, uint8_t flags)
{
	return act_packet(act_append(core, step, ACTION_ONWARD, out, outcome), flags);
}

struct packet *
act_send(struct core *core, struct actions *out, const struct flow *flow, uint16_t path,
         const struct link *link, enum side side, uint8_t flags)
{
	if (link == NULL && path == 0)
		return NULL;
	if (out->n + CORE_BURST_MAX >= out->max) {
		core_count(core, COUNTER_actions_full);
		return NULL;
	}
	struct action *a = &out->list[out->n++];
	a->kind = ACTION_SEND;
	a->out = (uint8_t)side;
	a->seg = ACTION_NO_SEGMENT;
	a->flow = *flow;
	a->link = link != NULL ? *link : path_link(&core->paths, path, side);
	return act_packet(a, flags);
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
		act_reply(core, step, COUNTER_answered_rst, TCP_RST)->seq = seg->ack;
		return;
	}
	act_reply(core, step, COUNTER_answered_rst, TCP_RST | TCP_ACK)->ack = seg->seq +
	                                                                      segment_seq_len(seg);
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
