/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * core_locate(): which service and which entry each segment of a burst concerns, and the
 * cookies for all that need one. In passes, so that what one segment waits for from
 * memory overlaps with that of the others: services and index lines, then entries and
 * the plans of answers, then MACs.
 */
#include "core.h"

#include "syn_plan.h"

_Static_assert(FLOW_NONE == UINT32_MAX && SERVICE_NONE == UINT16_MAX &&
                       PROOF_UNCHECKED == UINT8_MAX && PROFILE_UNMADE == UINT8_MAX,
               "nothing known is all ones");

static inline void
locate_index(struct core *core, struct segment *s)
{
	memset(&s->found, 0xff, sizeof(s->found));
	if (s->class == SEGMENT_OTHER)
		return;
	s->found.service = policy_find_id(core->policy, &s->flow.server, s->is_v4,
	                                  __builtin_bswap16(s->flow.server_port_be));
	if (s->found.service >= SERVICES_MAX)
		return;
	/* No entry is looked for. */
	if (core->hands_off && core->services[s->found.service].mode == MODE_HANDOFF)
		return;
	s->found.hash = flow_hash(&core->hash_key, &s->flow, s->tags);
	flow_index_prefetch(&core->index, s->found.hash);
	__builtin_prefetch(&core->services[s->found.service], 1, 3);
}

static inline void
locate_entry(struct core *core, struct segment *s)
{
	if (flow_index_lacks(&core->index, s->found.hash))
		return;
	struct flow_walk walk = flow_walk_start(&core->index, s->found.hash);

	s->found.entry = flow_walk_next(&walk);
	s->found.at_bucket = walk.at.bucket;
	s->found.at_slot = (uint8_t)walk.at.slot;
	if (s->found.entry == FLOW_NONE)
		return;
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

/* The lane for a SYN, under the key of its service: if another's is in it, what has been added
 * so far is computed first. */
static inline struct cookie_lane *
syn_lane(struct core *core, struct segment *seg, bool is_v4, const struct secret_set *secrets)
{
	struct cookie_lane *lane = &core->syn_lanes[is_v4];
	uint32_t parity = secrets->epoch & 1;

	if (__builtin_expect(lane->keys != &secrets->parity[parity], 0)) {
		syn_finish(seg, lane);
		cookie_lane_start(lane, secrets, parity, is_v4);
	}
	return lane;
}

static inline void
syn_add(struct core *core, struct segment *seg, unsigned int number, const struct instant *now,
        struct syn_plan_memo *memo)
{
	struct segment *s = &seg[number];
	const struct service_state *state = &core->services[s->found.service];
	const struct secret_set *secrets = service_secrets(state, now);
	struct syn_planned *syn = &core->syns[number];
	const struct syn_plan *plan;

	plan = syn_plan_make(core, s, state, now, memo, syn);
	syn->net = source_net_hash_of(&core->hash_key, &s->flow.client, s->is_v4);
	rate_prefetch(&core->reflection, syn->net);
	s->found.profile = plan->profile;
	if (s->is_v4)
		cookie_lane_add(syn_lane(core, seg, true, secrets), true, &s->flow, s->seq,
		                plan->profile, number);
	else
		cookie_lane_add(syn_lane(core, seg, false, secrets), false, &s->flow, s->seq,
		                plan->profile, number);
}

/* Both tries at once: of SEG.SEQ - 1, and of SEG.SEQ for what may be a probe. Whether the
 * second one counts is proof_check()'s to say. */
static inline void
ack_add(struct core *core, struct segment *s, unsigned int number)
{
	uint32_t low = cookie_low(s->ack - 1);
	struct cookie_lane *lane = &core->ack_lanes[s->is_v4][low >> 5];

	s->found.profile = low & 31;
	if (s->is_v4)
		cookie_lane_add_two(lane, true, &s->flow, s->seq - 1, s->found.profile, number);
	else
		cookie_lane_add_two(lane, false, &s->flow, s->seq - 1, s->found.profile, number);
}

static void
syn_finish(struct segment *seg, struct cookie_lane *lane)
{
	cookie_lane_run(lane);
	for (unsigned int i = 0; i < lane->n; i++) {
		struct segment *s = &seg[lane->number[i]];

		s->found.cookie = cookie_lane_get(lane, i, s->found.profile);
	}
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

void
core_locate(struct core *core, struct segment *seg, unsigned int n, const struct instant *now)
{
	bool gate_open = !core->params.cookie_gate || now->now_ms <= core->cookie_out_ms;
	struct syn_plan_memo memo = { .next = core->plans };

	core->mutations = 0;
	core->sources.now_s = instant_s(now);
	lanes_start(core, now->secrets);
	for (unsigned int i = 0; i < n; i++)
		locate_index(core, &seg[i]);
	for (unsigned int i = 0; i < n; i++) {
		struct segment *s = &seg[i];

		if (s->found.service >= SERVICES_MAX || s->class != SEGMENT_TCP)
			continue;
		bool keeps = !core->hands_off || core->services[s->found.service].mode != MODE_HANDOFF;
		if (keeps)
			locate_entry(core, s);
		if (s->side != SIDE_OUTSIDE)
			continue;
		uint8_t control = s->flags & (TCP_SYN | TCP_ACK | TCP_RST);
		if (control == TCP_SYN) {
			syn_add(core, seg, i, now, &memo);
		} else if (keeps && control == TCP_ACK && s->found.entry == FLOW_NONE &&
		           gate_open) {
			ack_add(core, s, i);
		}
	}
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		syn_finish(seg, &core->syn_lanes[is_v4]);
		ack_finish(seg, &core->ack_lanes[is_v4][0]);
		ack_finish(seg, &core->ack_lanes[is_v4][1]);
	}
}
