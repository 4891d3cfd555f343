/* SPDX-License-Identifier: BSD-3-Clause */
/* SYNs that are answered by cookie, one after the other: see syn_lane.h. */
#include "syn_lane.h"

#include "act.h"
#include "admission.h"
#include "decision.h"
#include "segment_sum.h"
#include "talkers.h"

/* A run in the lane. What is counted of a service is counted once for all of its SYNs that come
 * one after the other, and what is counted of all once for the run. */
struct syn_lane {
	struct core *core;
	struct service_state *state; /* whose SYNs these are ... */
	uint64_t found;              /* ... as syn_lane_found() says ... */
	unsigned int since;          /* ... from this number on */
	const struct syn_plan *plan; /* the one that was asked for last, of this state: whose
	                              * server gets no SYN now, whatever is asked about it */
	uint64_t dies_ms;            /* when a cookie that is sent now does */
	uint32_t now_s;
	bool is_capped;
	struct rate_burst nets; /* answers to a net */
};

/* What was found of a SYN that has no entry, from `entry` to `proof`, is one word: nobody asks for a
 * proof of it, and its service and lane are the same for those that go to one service. */
static inline uint64_t
syn_lane_found(const struct segment *seg)
{
	uint64_t found;

	memcpy(&found, &seg->found.entry, sizeof(found));
	return found;
}
_Static_assert(
	offsetof(struct segment_found, service) == offsetof(struct segment_found, entry) + 4 &&
		offsetof(struct segment_found, lane) == offsetof(struct segment_found, entry) + 6 &&
		offsetof(struct segment_found, proof) == offsetof(struct segment_found, entry) + 7,
	"entry to proof are one word");

#define SYN_LANE_FOUND_NOTHING 0u /* of no SYN: its entry is FLOW_NONE */

/* Does the server get no SYN now, whatever is asked about it? */
static inline bool
syn_lane_server(const struct syn_lane *lane, const struct segment *seg, const struct backend *b)
{
	const struct flow *flow = &seg->flow;
	bool in_flood = lane->state->cookie_mode;

	if (b == NULL || !backend_is(b, &flow->server, flow->server_port_be))
		return in_flood;
	if (b->down)
		return false;
	if (in_flood)
		return true;
	/* It has taught enough in this second; or there is nothing to learn. */
	if (backend_curious(b, seg->options))
		return b->learn_s == (uint8_t)lane->now_s && b->n_learn == LEARN_PASSES_PER_S;
	return !backend_asks_again(b, seg->options, lane->now_s);
}

/* Another plan than the SYN before had: is its server asked nothing? A plan is for one server, one
 * state's mode and what is said, and nothing of these changes while the lane runs. */
static inline bool
syn_lane_turn(struct syn_lane *lane, const struct segment *seg, const struct syn_planned *syn)
{
	if (lane->state->mode == MODE_PROXY && !syn_lane_server(lane, seg, syn->backend))
		return false;
	lane->plan = syn->plan;
	return true;
}

/* What needs be asked of each SYN; alike_turn_syn() in locate.c has asked for its options. */
static inline bool
syn_lane_takes(struct syn_lane *lane, const struct segment *seg, const struct syn_planned *syn)
{
	if (seg->frame[0] & 1)
		return false;
	if (__builtin_expect(syn->plan != lane->plan, 0) && !syn_lane_turn(lane, seg, syn))
		return false;
	if (!segment_sum_is_whole(seg))
		return false;
	/* Over the cap nothing is counted, and it is dropped by the table. */
	return !lane->is_capped || rate_burst_hit(&lane->nets, &syn->net, syn->net_at);
}

_Static_assert(offsetof(struct packet, ack) == 16 && offsetof(struct packet, seq) == 20,
               "what is of the plan is 16 bytes, and both numbers are one word");
_Static_assert(offsetof(struct packet, made) ==
                       offsetof(struct packet, payload) + sizeof(const uint8_t *),
               "no payload, and what is made, are copied as one");
_Static_assert(offsetof(struct action, kind) == 0 && offsetof(struct action, outcome) == 1 &&
                       offsetof(struct action, out) == 2,
               "what is done and where are one word");

/* The answer to segment `number` as act_reply_with() would append it. */
static inline void
syn_lane_reply(struct action *a, const struct segment *seg, unsigned int number,
               const struct packet *answer)
{
	const uint32_t what = ACTION_REPLY | COUNTER_answered_syn_cookie << 8 | SIDE_OUTSIDE << 16;
	uint64_t numbers = (uint64_t)seg->found.cookie << 32 | (seg->seq + 1);

	memcpy(a, &what, sizeof(what));
	a->seg = number;
	memcpy(&a->packet, answer, offsetof(struct packet, ack));
	memcpy(&a->packet.ack, &numbers, sizeof(numbers));
	a->packet.tsecr = seg->tsval;
	memcpy(&a->packet.payload, &answer->payload,
	       sizeof(answer->payload) + sizeof(answer->made));
}

/* Cookies of this service are out, which other workers ask for. */
static __attribute__((noinline)) void
syn_lane_tell(const struct syn_lane *lane)
{
	const struct core *core = lane->core;
	uint32_t *until_s = &core->params.cookies_until_s[lane->state - core->services];
	uint32_t dies_s = (uint32_t)(lane->dies_ms / 1000) + 1;

	/* Once a second. */
	if (__atomic_load_n(until_s, __ATOMIC_RELAXED) < dies_s)
		__atomic_store_n(until_s, dies_s, __ATOMIC_RELAXED);
}

/* Count the SYNs of this service that were answered, up to number `until`. */
static inline void
syn_lane_settle(const struct syn_lane *lane, unsigned int until)
{
	struct service_state *state = lane->state;
	unsigned int n = until - lane->since;

	if (n == 0)
		return;
	state->cookies_until_ms = lane->dies_ms;
	state->n_cookies += n;
	sum_add(&state->syn, n);
	sum_add(&state->syn_ack, n);
	decision_note(state->mode == MODE_HANDOFF ? STATE_HANDOFF : STATE_LISTEN, SIDE_OUTSIDE,
	              EVENT_SYN);
	if (__builtin_expect(lane->core->params.cookies_until_s != NULL, 0))
		syn_lane_tell(lane);
}

/* Segment `number` is not found as those before it. Is it one of another service? */
static inline bool
syn_lane_serve(struct syn_lane *lane, const struct segment *seg, unsigned int number)
{
	if (seg->found.lane == SYN_LANE_NEVER || seg->found.entry != FLOW_NONE)
		return false;
	syn_lane_settle(lane, number);
	lane->state = &lane->core->services[seg->found.service];
	lane->found = syn_lane_found(seg);
	lane->since = number;
	lane->plan = NULL;
	return true;
}

/* Of a run of n those whose turn it is to be looked at (talkers.h): act_append() counts one by
 * one. */
static inline void
syn_lane_sample(struct core *core, struct segment *seg, unsigned int n, const struct instant *now)
{
	const enum counter outcome = COUNTER_answered_syn_cookie;
	uint32_t *left = &core->talk_left[outcome];
	unsigned int at = 0;

	/* From 0 it is a long way, as it is for who takes one first. */
	while (__builtin_expect(n - at > *left - 1, 0)) {
		at += *left;
		const struct step step = { .seg = &seg[at - 1], .now = now };
		talkers_sample(core, &step, outcome); /* a new *left, of 1 or more */
	}
	*left -= n - at;
}

/* Count all n of them, from this one on. */
static __attribute__((noinline)) void
syn_lane_end(struct core *core, struct segment *seg, unsigned int n, const struct instant *now)
{
	core->cookie_out_ms = now->now_ms + COOKIE_LIFE_MAX_S * 1000u;
	counter_add(&core->counters, COUNTER_syn_received, n);
	counter_add(&core->counters, COUNTER_syn_ack_sent, n);
	counter_add(&core->counters, COUNTER_answered_syn_cookie, n);
	syn_lane_sample(core, seg, n, now);
}

/* By itself, so that what it needs stays in registers. */
__attribute__((noinline)) unsigned int
syn_lane_run(struct core *core, struct segment *seg, unsigned int first, unsigned int n,
             const struct instant *now, struct actions *out)
{
	struct action *a = &out->list[out->n];
	unsigned int i = first;
	struct syn_lane lane;

	if (core->draining || core->mutations != 0 || core->policy->reflection.per_port_per_s != 0)
		return 0;
	lane.core = core;
	lane.dies_ms = now->now_ms + COOKIE_LIFE_MAX_S * 1000u;
	lane.now_s = instant_s(now);
	lane.is_capped = core->reflect_cap != 0;
	lane.nets = rate_burst_start(&core->reflection, (uint32_t)now->now_ms, core->reflect_cap);
	lane.found = SYN_LANE_FOUND_NOTHING;
	lane.since = first;
	for (; i < n; i++, a++) {
		if (__builtin_expect(syn_lane_found(&seg[i]) != lane.found, 0) &&
		    !syn_lane_serve(&lane, &seg[i], i))
			break;
		if (__builtin_expect(!syn_lane_takes(&lane, &seg[i], &core->syns[i]), 0))
			break;
		syn_lane_reply(a, &seg[i], i, &core->syns[i].plan->answer);
	}
	syn_lane_settle(&lane, i);
	if (i != first)
		syn_lane_end(core, &seg[first], i - first, now);
	out->n += i - first;
	return i - first;
}
