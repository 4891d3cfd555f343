/* SPDX-License-Identifier: BSD-3-Clause */
/* SYNs that are answered by cookie, one after the other: see syn_lane.h. */
#include "syn_lane.h"

#include "act.h"
#include "admission.h"
#include "decision.h"
#include "segment_sum.h"

/* A run in the lane. */
struct syn_lane {
	struct core *core;
	struct actions *out;
	uint64_t dies_ms; /* when a cookie that is sent now is good no more */
	uint32_t now_ms, now_s, dies_s;
	uint32_t cap; /* of answers to a net */
	uint32_t n;   /* answered */
	bool is_open;
};

static inline void
syn_lane_begin(struct syn_lane *lane, struct core *core, const struct instant *now,
               struct actions *out)
{
	uint64_t dies_ms = now->now_ms + COOKIE_LIFE_MAX_S * 1000u;

	*lane = (struct syn_lane){
		.core = core,
		.out = out,
		.dies_ms = dies_ms,
		.now_ms = (uint32_t)now->now_ms,
		.now_s = instant_s(now),
		.dies_s = (uint32_t)(dies_ms / 1000) + 1,
		.cap = core->reflect_cap,
		.is_open = !core->draining && core->policy->reflection.per_port_per_s == 0,
	};
}

/* Does the server get no SYN now, whatever is asked about it? */
static inline bool
syn_lane_server(const struct syn_lane *lane, const struct service_state *state,
                const struct segment *seg, const struct backend *b)
{
	const struct flow *flow = &seg->flow;

	if (b == NULL || !backend_is(b, &flow->server, flow->server_port_be))
		return state->cookie_mode;
	if (b->down)
		return false;
	if (state->cookie_mode)
		return true;
	/* It has taught enough in this second; or there is nothing to learn. */
	if (backend_curious(b, seg->options))
		return b->learn_s == (uint8_t)lane->now_s && b->n_learn == LEARN_PASSES_PER_S;
	return !backend_asks_again(b, seg->options, lane->now_s);
}

static inline bool
syn_lane_takes(const struct syn_lane *lane, const struct service_state *state,
               const struct segment *seg, const struct syn_planned *syn)
{
	if (seg->found.entry != FLOW_NONE || lane->core->mutations != 0 || !lane->is_open)
		return false;
	if ((seg->options & (OPTION_MD5 | OPTION_AO)) || (seg->frame[0] & 1))
		return false;
	if (state->mode == MODE_PROXY && !syn_lane_server(lane, state, seg, syn->backend))
		return false;
	return seg->checksum_good || (seg->payload_here && segment_sum_is_whole(seg));
}

/* The answer as act_reply_with() would append it. */
static inline void
syn_lane_reply(const struct syn_lane *lane, const struct segment *seg, unsigned int number,
               const struct packet *answer)
{
	struct action *a = &lane->out->list[lane->out->n++];

	a->kind = ACTION_REPLY;
	a->out = SIDE_OUTSIDE;
	a->seg = number;
	a->packet = *answer;
	a->packet.seq = seg->found.cookie;
	a->packet.ack = seg->seq + 1;
	a->packet.tsecr = seg->tsval;
}

static inline bool
syn_lane_answers(const struct syn_lane *lane, struct segment *seg, unsigned int number)
{
	struct core *core = lane->core;

	struct service_state *state = &core->services[seg->found.service];
	const struct syn_planned *syn = &core->syns[number];

	if (__builtin_expect(!syn_lane_takes(lane, state, seg, syn), 0))
		return false;
	/* Over the cap nothing is counted, and it is dropped by the table. */
	if (lane->cap != 0 &&
	    rate_hit_up_to(&core->reflection, syn->net, lane->now_ms, lane->cap) > lane->cap)
		return false;

	core->cookie_out_ms = lane->dies_ms;
	state->cookies_until_ms = lane->dies_ms;
	if (core->params.cookies_until_s != NULL) {
		uint32_t *until_s = &core->params.cookies_until_s[seg->found.service];
		/* Once a second. */
		if (__atomic_load_n(until_s, __ATOMIC_RELAXED) < lane->dies_s)
			__atomic_store_n(until_s, lane->dies_s, __ATOMIC_RELAXED);
	}
	state->n_cookies++;
	sum_add(&state->syn, 1);
	sum_add(&state->syn_ack, 1);
	decision_note(state->mode == MODE_HANDOFF ? STATE_HANDOFF : STATE_LISTEN, SIDE_OUTSIDE,
	              EVENT_SYN);
	syn_lane_reply(lane, seg, number, &syn->plan->answer);
	return true;
}

/* Count what was answered. */
static inline void
syn_lane_end(const struct syn_lane *lane)
{
	struct counters *counters = &lane->core->counters;

	counter_add(counters, COUNTER_syn_received, lane->n);
	counter_add(counters, COUNTER_syn_ack_sent, lane->n);
	counter_add(counters, COUNTER_answered_syn_cookie, lane->n);
}

/* By itself, so that what it needs stays in registers. */
__attribute__((noinline)) unsigned int
syn_lane_run(struct core *core, struct segment *seg, unsigned int first, unsigned int n,
             const struct instant *now, struct actions *out)
{
	struct syn_lane lane;
	unsigned int i = first;

	syn_lane_begin(&lane, core, now, out);
	while (i < n && seg[i].found.lane != SYN_LANE_NEVER && syn_lane_answers(&lane, &seg[i], i))
		i++;
	lane.n = i - first;
	syn_lane_end(&lane);
	return lane.n;
}
