/* SPDX-License-Identifier: BSD-3-Clause */
/* SYNs that are answered by cookie, one after the other: see syn_lane.h. */
#include "syn_lane.h"

#include "act.h"
#include "admission.h"
#include "decision.h"
#include "located.h"
#include "segment_sum.h"
#include "syn_kind.h"
#include "talkers.h"

/* A run in the lane. What is counted of a service is counted once for all of its SYNs that come
 * one after the other, and what is counted of all once for the run. */
struct syn_lane {
	struct core *core;
	struct service_state *state; /* whose SYNs these are ... */
	unsigned int since;          /* ... from this number on */
	uint64_t found;              /* what is found of SYNs ... */
	const struct syn_plan *plan; /* ... of this kind, whose server gets none now, whatever is
	                               * asked about it */
	uint64_t dies_ms;            /* when a cookie that is sent now does */
	uint32_t now_s;
	uint8_t learned[2]; /* struct backend from `learn_s` on, of one that has taught enough */
	uint64_t usual[2];  /* lengths of SYNs by family: segment_sum_of_syn() */
	bool is_capped;
	struct rate_burst nets; /* answers to a net */
};

/* What was found of a SYN that has no entry, its kind, is one word with the lack of an entry. */
static inline uint64_t
syn_lane_found(const struct segment *seg)
{
	uint64_t found;

	memcpy(&found, &seg->found.entry, sizeof(found));
	return found;
}
_Static_assert(offsetof(struct segment_found, kind) == offsetof(struct segment_found, entry) + 4,
               "entry and kind are one word");

_Static_assert(offsetof(struct backend, n_learn) == offsetof(struct backend, learn_s) + 1,
               "when and how much is learned is one word");

#define SYN_LANE_FOUND_NOTHING UINT64_MAX /* of no SYN: each has a kind or an entry */

/* Does the server of SYNs of this kind get none now, whatever is asked about it? */
static inline bool
syn_lane_server(const struct syn_lane *lane, const struct syn_kind *kind)
{
	const struct backend *b = kind->backend;

	if (!syn_kind_shows_same(kind))
		return false;
	if (kind->asks == SYN_ASKS_NOTHING)
		return true;
	if (kind->asks == SYN_ASKS_LEARNED)
		return memcmp(&b->learn_s, lane->learned, sizeof(lane->learned)) == 0;
	return kind->asks == SYN_ASKS_AGAIN &&
	       !backend_asks_again(b, (uint8_t)kind->said, lane->now_s);
}

/* What needs be asked of each SYN. */
static inline bool
syn_lane_takes(struct syn_lane *lane, const struct segment *seg, const struct syn_planned *syn)
{
	uint64_t sum;

	if (seg->frame[0] & 1)
		return false;
	if (__builtin_expect(seg->shape == SHAPE_SYN_V4, 1))
		sum = segment_sum_of_syn(seg, true, &lane->usual[true]);
	else if (seg->shape == SHAPE_SYN_V6)
		sum = segment_sum_of_syn(seg, false, &lane->usual[false]);
	else
		sum = segment_sum_is_whole(seg) ? SUM_WHOLE : 1;
	if (!checksum_is_whole(sum))
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

/* Segment `number` is not found as those before it. Is it a SYN of another kind? A kind is of one
 * server and one state's mode, and nothing of these changes while the lane runs. */
static inline bool
syn_lane_turn(struct syn_lane *lane, const struct segment *seg, unsigned int number)
{
	if (seg->found.lane == SYN_LANE_NEVER || seg->found.entry != FLOW_NONE)
		return false;
	const struct syn_kind *kind = syn_kind_at(lane->core, seg->found.kind);
	if (!syn_lane_server(lane, kind))
		return false;
	if (kind->state != lane->state) {
		syn_lane_settle(lane, number);
		lane->state = kind->state;
		lane->since = number;
	}
	lane->found = syn_lane_found(seg);
	lane->plan = kind->plan;
	return true;
}

/* Count all n of them, from this one on. */
static __attribute__((noinline)) void
syn_lane_end(struct core *core, struct segment *seg, unsigned int n, const struct instant *now)
{
	core->cookie_out_ms = now->now_ms + COOKIE_LIFE_MAX_S * 1000u;
	counter_add(&core->counters, COUNTER_syn_received, n);
	counter_add(&core->counters, COUNTER_syn_ack_sent, n);
	counter_add(&core->counters, COUNTER_answered_syn_cookie, n);
	talkers_sample_run(core, seg, n, COUNTER_answered_syn_cookie, now);
}

/* By itself, so that what it needs stays in registers. */
__attribute__((noinline)) unsigned int
syn_lane_run(struct core *core, struct segment *seg, unsigned int first, unsigned int n,
             const struct instant *now, struct actions *out)
{
	struct action *a = &out->list[out->n];
	unsigned int i = first;
	struct syn_lane lane;

	if (core->draining || core->policy->reflection.per_port_per_s != 0)
		return 0;
	if (__builtin_expect(core->mutations != 0, 0))
		n = located_until(core, seg, first, n);
	lane.core = core;
	lane.dies_ms = now->now_ms + COOKIE_LIFE_MAX_S * 1000u;
	lane.now_s = instant_s(now);
	lane.learned[0] = (uint8_t)lane.now_s;
	lane.learned[1] = LEARN_PASSES_PER_S;
	lane.is_capped = core->reflect_cap != 0;
	lane.nets = rate_burst_start(&core->reflection, (uint32_t)now->now_ms, core->reflect_cap);
	lane.found = SYN_LANE_FOUND_NOTHING;
	lane.state = NULL;
	lane.usual[false] = segment_sum_usual(false);
	lane.usual[true] = segment_sum_usual(true);
	lane.since = first;
	for (; i < n; i++, a++) {
		if (__builtin_expect(syn_lane_found(&seg[i]) != lane.found, 0) &&
		    !syn_lane_turn(&lane, &seg[i], i))
			break;
		if (__builtin_expect(!syn_lane_takes(&lane, &seg[i], &core->syns[i]), 0))
			break;
		syn_lane_reply(a, &seg[i], i, &lane.plan->answer);
	}
	syn_lane_settle(&lane, i);
	if (i != first)
		syn_lane_end(core, &seg[first], i - first, now);
	out->n += i - first;
	return i - first;
}
