/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * core_locate(): which service and which entry each segment of a burst concerns, and the
 * cookies for all that need one. In passes, so that what one segment waits for from
 * memory overlaps with that of the others: services and index lines, then entries and
 * the plans of answers, then MACs.
 */
#include "core_state.h"
#include "syn_plan.h"

/* ACKs of a burst whose cookies are to be checked. */
struct ack_batch {
	struct cookie_job jobs[CORE_BURST_MAX];
	uint8_t segment[CORE_BURST_MAX]; /* number in the burst */
	unsigned int n;
};

static uint16_t
service_of(const struct core *core, const struct segment *seg)
{
	const struct service *service;

	switch (policy_find(core->policy, &seg->flow.server,
	                    __builtin_bswap16(seg->flow.server_port_be), &service)) {
	case POLICY_SERVICE:
		return service->id;
	case POLICY_CLOSED:
		return SERVICE_CLOSED;
	default:
		return SERVICE_NONE;
	}
}

static inline void
locate_index(struct core *core, struct segment *s)
{
	s->entry = FLOW_NONE;
	s->service = SERVICE_NONE;
	s->proof = PROOF_UNCHECKED;
	s->probe = PROOF_UNCHECKED;
	s->profile = PROFILE_UNMADE;
	if (s->class == SEGMENT_OTHER)
		return;
	s->service = service_of(core, s);
	if (s->service >= SERVICES_MAX)
		return;
	s->hash = flow_hash(&core->hash_key, &s->flow, s->tags);
	flow_index_prefetch(&core->index, s->hash);
	__builtin_prefetch(&core->services[s->service], 1, 3);
}

static inline void
locate_entry(struct core *core, struct segment *s)
{
	struct flow_walk walk = flow_walk_start(&core->index, s->hash);

	s->entry = flow_walk_next(&walk);
	s->at_bucket = walk.at.bucket;
	s->at_slot = (uint8_t)walk.at.slot;
	if (s->entry == FLOW_NONE)
		return;
	if (s->entry & FLOW_HALF_OPEN)
		__builtin_prefetch(&core->half_open.entries[FLOW_NUMBER(s->entry)]);
	else
		__builtin_prefetch(&core->conns.conns[s->entry]);
}

static inline void
ack_add(struct ack_batch *acks, const struct segment *s, unsigned int number, uint32_t irs)
{
	acks->jobs[acks->n] = (struct cookie_job){
		.flow = &s->flow, .irs = irs, .iss = s->ack - 1, .is_v4 = s->is_v4
	};
	acks->segment[acks->n++] = (uint8_t)number;
}

/* One MAC for each ACK, and a second one for what may be a probe and has not proven a
 * cookie by the first; see proof_check(). */
static void
check_acks(struct segment *seg, struct ack_batch *acks, const struct instant *now)
{
	uint8_t proof[CORE_BURST_MAX];
	unsigned int n = acks->n;

	cookie_check(now->secrets, acks->jobs, n, proof);
	acks->n = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct segment *s = &seg[acks->segment[i]];

		s->proof = proof[i];
		s->profile = acks->jobs[i].profile;
		if (proof[i] == PROOF_NONE && segment_may_probe(s))
			ack_add(acks, s, acks->segment[i], s->seq);
	}
	if (acks->n == 0)
		return;
	cookie_check(now->secrets, acks->jobs, acks->n, proof);
	for (unsigned int i = 0; i < acks->n; i++)
		seg[acks->segment[i]].probe = proof[i];
}

void
core_locate(struct core *core, struct segment *seg, unsigned int n, const struct instant *now)
{
	bool gate_open = !core->params.cookie_gate || now->now_ms <= core->cookie_out_ms;
	struct syn_plan_memo memo = { .to = 0 };
	struct ack_batch acks;
	uint8_t syn_segment[CORE_BURST_MAX];
	unsigned int n_syn = 0;

	acks.n = 0;
	core->mutations = 0;
	core->sources.now_s = (uint32_t)(now->now_ms / 1000);
	for (unsigned int i = 0; i < n; i++)
		locate_index(core, &seg[i]);
	for (unsigned int i = 0; i < n; i++) {
		struct segment *s = &seg[i];

		if (s->service >= SERVICES_MAX || s->class != SEGMENT_TCP)
			continue;
		locate_entry(core, s);
		if (s->side != SIDE_OUTSIDE)
			continue;
		uint8_t control = s->flags & (TCP_SYN | TCP_ACK | TCP_RST);
		if (control == TCP_SYN) {
			syn_plan_make(core, s, core->by_id[s->service], now, &memo, &core->plans[i],
			              &core->syn_jobs[n_syn]);
			rate_prefetch(&core->reflection, core->plans[i].net);
			syn_segment[n_syn++] = (uint8_t)i;
		} else if (control == TCP_ACK && s->entry == FLOW_NONE && gate_open) {
			ack_add(&acks, s, i, s->seq - 1);
		}
	}
	if (n_syn > 0)
		cookie_make(now->secrets, core->syn_jobs, n_syn);
	for (unsigned int i = 0; i < n_syn; i++) {
		/* cppcheck-suppress uninitvar ; filled up to n_syn above */
		seg[syn_segment[i]].cookie = core->syn_jobs[i].iss;
		seg[syn_segment[i]].profile = core->syn_jobs[i].profile;
	}
	if (acks.n > 0)
		check_acks(seg, &acks, now);
}
