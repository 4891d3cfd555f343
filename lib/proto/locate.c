/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * core_locate(): which service and which entry each segment of a burst concerns, and the
 * cookies for all that need one. In passes, so that what one segment waits for from
 * memory overlaps with that of the others: services and index lines, then entries and
 * the plans of answers, then MACs.
 */
#include "core.h"

#include "syn_lane.h"
#include "syn_plan.h"

_Static_assert(FLOW_NONE == UINT32_MAX && SERVICE_NONE == UINT16_MAX &&
                       PROOF_UNCHECKED == UINT8_MAX && PROFILE_UNMADE == UINT8_MAX,
               "nothing known is all ones");

/* Of a service that keeps no connections: only a shield looks its flow up. */
static inline void
locate_handoff(struct core *core, struct segment *s)
{
	if (!core->services[s->found.service].is_shielded)
		return;
	s->found.hash = known_hash(core->params.known, &s->flow);
	known_prefetch(core->params.known, s->found.hash);
}

static inline bool
is_handoff(const struct core *core, const struct segment *s)
{
	return core->services[s->found.service].mode == MODE_HANDOFF;
}

static inline void
locate_index(struct core *core, struct segment *s, bool hands_off)
{
	memset(&s->found, 0xff, sizeof(s->found));
	if (s->class == SEGMENT_OTHER)
		return;
	s->found.service = destination_service(&core->destinations, core->policy, &s->flow,
	                                       s->is_v4);
	if (s->found.service >= SERVICES_MAX)
		return;
	if (hands_off && is_handoff(core, s)) {
		locate_handoff(core, s);
		return;
	}
	s->found.hash = flow_hash(&core->hash_key, &s->flow, s->tags);
	flow_index_prefetch(&core->index, s->found.hash);
	__builtin_prefetch(&core->services[s->found.service], 1, 3);
}

static inline void
locate_entry(struct core *core, struct segment *s)
{
	struct flow_slot at;
	uint32_t entry = flow_index_first(&core->index, s->found.hash, &at);

	if (entry == FLOW_NONE)
		return;
	s->found.entry = entry;
	s->found.at_bucket = at.bucket;
	s->found.at_slot = (uint8_t)at.slot;
	if (s->found.entry & FLOW_HALF_OPEN)
		__builtin_prefetch(&core->half_open.entries[FLOW_NUMBER(s->found.entry)]);
	else
		__builtin_prefetch(&core->conns.conns[s->found.entry]);
}

static void
lanes_start(struct core *core, const struct secret_set *secrets)
{
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		cookie_lane_start(&core->syn_lanes[is_v4], secrets, secrets->epoch & 1, is_v4);
		for (uint32_t parity = 0; parity < 2; parity++)
			cookie_lane_start(&core->ack_lanes[is_v4][parity], secrets, parity, is_v4);
	}
}

static void syn_finish(struct segment *seg, struct cookie_lane *lane);
static void ack_finish(struct segment *seg, struct cookie_lane *lane);

/* A lane under the keys of one service: if another's are in it, what has been added so far is
 * computed first. */
static inline void
lane_switch(struct segment *seg, struct cookie_lane *lane, const struct secret_set *secrets,
            uint32_t parity, void (*finish)(struct segment *seg, struct cookie_lane *lane))
{
	if (__builtin_expect(lane->keys == &secrets->parity[parity], 1))
		return;
	finish(seg, lane);
	cookie_lane_start(lane, secrets, parity, lane->is_v4);
}

/* `hands_off`: services may have keys of their own. */
static inline __attribute__((always_inline)) void
syn_add(struct core *core, struct segment *seg, unsigned int number, const struct instant *now,
        struct syn_plan_memo *memo, bool hands_off)
{
	struct segment *s = &seg[number];
	const struct service_state *state = &core->services[s->found.service];
	struct syn_planned *syn = &core->syns[number];
	const struct syn_plan *plan;

	plan = syn_plan_make(core, s, state, now, memo, syn);
	syn->net = source_net_hash_of(&core->hash_key, &s->flow.client, s->is_v4);
	rate_prefetch(&core->reflection, syn->net);
	s->found.profile = plan->profile;
	s->found.lane = syn_lane_now(state) | plan->lane;
	if (hands_off) {
		const struct secret_set *secrets = service_secrets(state, now);
		lane_switch(seg, &core->syn_lanes[s->is_v4], secrets, secrets->epoch & 1,
		            syn_finish);
	}
	if (s->is_v4)
		cookie_lane_add(&core->syn_lanes[true], true, &s->flow, s->seq, plan->profile,
		                number);
	else
		cookie_lane_add(&core->syn_lanes[false], false, &s->flow, s->seq, plan->profile,
		                number);
}

/* Both tries at once: of SEG.SEQ - 1, and of SEG.SEQ for what may be a probe. Whether the
 * second one counts is proof_check()'s to say. */
static inline __attribute__((always_inline)) void
ack_add(struct core *core, struct segment *seg, unsigned int number, const struct instant *now,
        bool hands_off)
{
	struct segment *s = &seg[number];
	uint32_t low = cookie_low(s->ack - 1);
	struct cookie_lane *lane = &core->ack_lanes[s->is_v4][low >> 5];

	s->found.profile = low & 31;
	if (hands_off)
		lane_switch(seg, lane, service_secrets(&core->services[s->found.service], now),
		            low >> 5, ack_finish);
	if (s->is_v4)
		cookie_lane_add_two(lane, true, &s->flow, s->seq - 1, s->found.profile, number);
	else
		cookie_lane_add_two(lane, false, &s->flow, s->seq - 1, s->found.profile, number);
}

static void
syn_finish(struct segment *seg, struct cookie_lane *lane)
{
	unsigned int i = 0;

	cookie_lane_run(lane);
	for (; i + 4 <= lane->n; i += 4) {
		__m128i cookies = cookie_lane_get_four(lane, i);

		seg[lane->number[i]].found.cookie = (uint32_t)_mm_cvtsi128_si32(cookies);
		seg[lane->number[i + 1]].found.cookie = (uint32_t)_mm_extract_epi32(cookies, 1);
		seg[lane->number[i + 2]].found.cookie = (uint32_t)_mm_extract_epi32(cookies, 2);
		seg[lane->number[i + 3]].found.cookie = (uint32_t)_mm_extract_epi32(cookies, 3);
	}
	for (; i < lane->n; i++)
		seg[lane->number[i]].found.cookie = cookie_lane_get(lane, i, lane->profile[i]);
}

static void
ack_finish(struct segment *seg, struct cookie_lane *lane)
{
	cookie_lane_run(lane);
	for (unsigned int i = 0; i < lane->n; i += 2) {
		struct segment *s = &seg[lane->number[i]];
		uint32_t iss = s->ack - 1;

		s->found.proof = cookie_lane_get(lane, i, s->found.profile) == iss ? PROOF_EXACT
		                                                                   : PROOF_NONE;
		s->found.probe = cookie_lane_get(lane, i + 1, s->found.profile) == iss ? PROOF_EXACT
		                                                                       : PROOF_NONE;
	}
}

/* Is there anything to be looked up in what is kept of its service? False: not even the cookie
 * of an ACK. */
static inline bool
locate_kept(struct core *core, struct segment *s, bool hands_off)
{
	if (!hands_off || !is_handoff(core, s)) {
		locate_entry(core, s);
		return true;
	}
	if (!core->services[s->found.service].is_shielded)
		return false;
	if (known_has(core->params.known, s->found.hash))
		s->found.entry = 0;
	return true;
}

/* The second pass. Where no service is of mode handoff, nothing of what these need is there. */
static inline __attribute__((always_inline)) void
locate_burst(struct core *core, struct segment *seg, unsigned int n, const struct instant *now,
             bool hands_off)
{
	bool gate_open = !core->params.cookie_gate || now->now_ms <= core->cookie_out_ms;
	struct syn_plan_memo memo = { .stamp = syn_plan_stamp(core, now), .next = core->plans };

	for (unsigned int i = 0; i < n; i++) {
		struct segment *s = &seg[i];

		if (s->found.service >= SERVICES_MAX || s->class != SEGMENT_TCP)
			continue;
		bool kept = locate_kept(core, s, hands_off);
		if (s->side != SIDE_OUTSIDE)
			continue;
		uint8_t control = s->flags & (TCP_SYN | TCP_ACK | TCP_RST);
		if (control == TCP_SYN) {
			syn_add(core, seg, i, now, &memo, hands_off);
		} else if (control == TCP_ACK && s->found.entry == FLOW_NONE && gate_open && kept) {
			ack_add(core, seg, i, now, hands_off);
		}
	}
}

void
core_locate(struct core *core, struct segment *seg, unsigned int n, const struct instant *now)
{
	bool hands_off = core->hands_off;

	core->mutations = 0;
	core->sources.now_s = instant_s(now);
	lanes_start(core, now->secrets);
	/* One loop for both: the look-up of the service is worth inlining once only. */
	for (unsigned int i = 0; i < n; i++)
		locate_index(core, &seg[i], hands_off);
	if (__builtin_expect(hands_off, 0))
		locate_burst(core, seg, n, now, true);
	else
		locate_burst(core, seg, n, now, false);
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		syn_finish(seg, &core->syn_lanes[is_v4]);
		ack_finish(seg, &core->ack_lanes[is_v4][0]);
		ack_finish(seg, &core->ack_lanes[is_v4][1]);
	}
}
