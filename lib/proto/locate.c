/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * core_locate(): which service and which entry each segment of a burst concerns, and the
 * cookies for all that need one. In passes, so that what one segment waits for from
 * memory overlaps with that of the others: services and index lines, and what SYNs have in common
 * with others of their kind (syn_kind.h); then entries; then MACs.
 */
#include "core.h"

#include "locate_cookies.h"
#include "plain_lane.h"
#include "syn_kind.h"

_Static_assert(FLOW_NONE == UINT32_MAX && SERVICE_NONE == UINT16_MAX &&
                       PROOF_UNCHECKED == UINT8_MAX && PROFILE_UNMADE == UINT8_MAX &&
                       (uint32_t)KNOWN_NOT == FLOW_NONE,
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

/* The candidate in the index: FLOW_NONE, or noted. */
static inline uint32_t
locate_entry(struct core *core, const struct flow_index *index, struct segment *s)
{
	struct flow_slot at;
	uint32_t entry = flow_index_first(index, s->found.hash, &at);

	if (entry == FLOW_NONE)
		return FLOW_NONE;
	s->found.entry = entry;
	s->found.at_bucket = at.bucket;
	s->found.at_slot = (uint8_t)at.slot;
	if (entry & FLOW_HALF_OPEN)
		__builtin_prefetch(&core->half_open.entries[FLOW_NUMBER(entry)]);
	else
		__builtin_prefetch(&core->conns.conns[entry]);
	return entry;
}

/* Where ACKs of one family go, as the last one of them did; and what is found of each. */
struct alike_to {
	__m128i end;  /* the second half of the server's address, and its port: to_end_mask() */
	uint64_t net; /* IPv6: the first half */
	uint32_t found[4] __attribute__((aligned(16))); /* from `entry` to `plain` */
	uint8_t way;                                    /* enum locate_way */
};

/* What segments have in common with the one before them, if both go to the same place; and what
 * SYNs do with the one before them of their family, if both are of one kind. */
struct alike {
	struct destination *place;
	uint16_t service;
	uint8_t way; /* enum locate_way */

	/* By family: is it IPv4? */
	struct alike_to to[2];
	const struct syn_kind *kind[2];
	struct syn_kinds kinds;
	/* Copies, which no store can change: they stay in registers. */
	struct flow_index index;
	struct rate reflection;
	struct flow_hash_key key;
};

/* Of no SYN: no shape is like this. */
static const struct syn_kind kind_of_none = { .said = UINT64_MAX };

_Static_assert(offsetof(struct segment_found, kind) == offsetof(struct segment_found, entry) + 4 &&
                       offsetof(struct segment_found, service) ==
                               offsetof(struct segment_found, entry) + 8 &&
                       offsetof(struct segment_found, lane) ==
                               offsetof(struct segment_found, entry) + 10 &&
                       offsetof(struct segment_found, proof) ==
                               offsetof(struct segment_found, entry) + 11 &&
                       offsetof(struct segment_found, profile) ==
                               offsetof(struct segment_found, entry) + 13 &&
                       offsetof(struct segment_found, plain) ==
                               offsetof(struct segment_found, entry) + 15,
               "what is found of a SYN, or an ACK, is 16 bytes");

/* From here on it is about this place. */
static inline void
alike_begin(const struct core *core, struct alike *alike, struct destination *place)
{
	alike->place = place;
	alike->service = place->service;
	alike->way = locate_way_of(core, place->service);
}

/* Another destination than the one before. */
static inline void
alike_turn(struct core *core, const struct segment *s, struct alike *alike)
{
	alike_begin(core, alike,
	            destination_find(&core->destinations, core->policy, &s->flow, s->is_v4));
}

/* A SYN of another kind than the one before it. */
static inline __attribute__((always_inline)) const struct syn_kind *
alike_turn_syn(struct core *core, struct segment *seg, unsigned int number,
               const struct instant *now, struct alike *alike, bool has_shape, bool is_v4)
{
	const struct syn_kind *kind = syn_kind_of(core, &seg[number], now, &alike->kinds, has_shape,
	                                          is_v4);

	alike->kind[is_v4] = kind;
	if (core->hands_off && kind->way != LOCATE_NOTHING)
		syn_switch(seg, &core->syn_lanes[is_v4], service_secrets(kind->state, now));
	return kind;
}

/* The flow's entry will be looked up. */
static inline __attribute__((always_inline)) void
locate_flow(struct segment *s, const struct alike *alike, uint64_t hash)
{
	s->found.hash = hash;
	flow_index_prefetch(&alike->index, hash);
}

/* The first pass, of a SYN. */
static inline __attribute__((always_inline)) void
locate_syn(struct core *core, struct segment *seg, unsigned int number, const struct instant *now,
           struct alike *alike, bool has_shape, bool is_v4)
{
	struct segment *s = &seg[number];
	struct syn_planned *syn = &core->syns[number];
	const struct syn_kind *kind = alike->kind[is_v4];

	if (__builtin_expect(!syn_kind_is(kind, s, is_v4), 0))
		kind = alike_turn_syn(core, seg, number, now, alike, has_shape, is_v4);
	/* What is loaded before it is stored to is loaded once. */
	__m128i ends = flow_ends_v4(&s->flow);
	uint32_t irs = s->seq;
	_mm_storeu_si128((__m128i *)(void *)&s->found.entry,
	                 _mm_load_si128((const __m128i *)(const void *)kind->found));
	if (__builtin_expect(kind->way != LOCATE_KEPT, 0)) {
		s->found.hash = UINT64_MAX;
		if (kind->way == LOCATE_NOTHING)
			return;
		locate_handoff(core, s);
	} else if (has_shape && is_v4) {
		locate_flow(s, alike, flow_hash_ends(&alike->key, ends));
	} else {
		uint32_t tags = has_shape ? 0 : s->tags;
		locate_flow(s, alike, flow_hash_of(&alike->key, &s->flow, tags, is_v4));
	}
	uint64_t net = source_net_hash_of(&alike->key, &s->flow.client, is_v4);
	_mm_store_si128((__m128i *)(void *)syn,
	                _mm_load_si128((const __m128i *)(const void *)&kind->plan));
	syn->net = net;
	syn->net_at = rate_prefetch(&alike->reflection, net);
	struct cookie_lane *lane = &core->syn_lanes[is_v4];
	__m128i mask = _mm_load_si128(
		(const __m128i *)(const void *)((const uint8_t *)lane->keys + kind->mask_at));
	if (is_v4)
		cookie_lane_put_v4(lane, ends, irs, mask, kind->profile, number);
	else
		cookie_lane_put_v6(lane, &s->flow, irs, mask, kind->profile, number);
}
_Static_assert(offsetof(struct syn_kind, plan) % 16 == 0 &&
                       offsetof(struct syn_kind, backend) ==
                               offsetof(struct syn_kind, plan) + sizeof(void *) &&
                       offsetof(struct syn_kind, found) % 16 == 0 &&
                       offsetof(struct syn_planned, plan) == 0 &&
                       offsetof(struct syn_planned, backend) == sizeof(void *),
               "plan and backend are copied as one, and so is what is found");

/* The same of a SYN with a tag, or behind IP options or extension headers. */
static __attribute__((noinline)) void
locate_rare_syn(struct core *core, struct segment *seg, unsigned int number,
                const struct instant *now, struct alike *alike)
{
	if (seg[number].is_v4)
		locate_syn(core, seg, number, now, alike, false, true);
	else
		locate_syn(core, seg, number, now, alike, false, false);
}

/* The same of what is no SYN, to the place that `alike` is about. */
static inline __attribute__((always_inline)) void
locate_other(struct core *core, struct segment *s, const struct alike *alike, bool is_v4)
{
	s->found.service = alike->service;
	if (__builtin_expect(alike->way == LOCATE_KEPT, 1))
		locate_flow(s, alike, flow_hash_of(&core->hash_key, &s->flow, s->tags, is_v4));
	else if (alike->way == LOCATE_HANDOFF)
		locate_handoff(core, s);
	else
		s->found.plain = plain_unserved(core, alike->service,
		                                s->class == SEGMENT_TCP && !(s->flags & TCP_SYN));
}

/* The same of what is no SYN. */
static inline __attribute__((always_inline)) void
locate_any(struct core *core, struct segment *s, struct alike *alike)
{
	memset(&s->found, 0xff, sizeof(s->found));
	if (s->class == SEGMENT_OTHER) {
		s->found.plain = PLAIN_FOREIGN;
		return;
	}
	/* Another destination may have come to the place of the last one since, by a SYN or an ACK. */
	if (__builtin_expect(!destination_is(alike->place, &s->flow) ||
	                             alike->place->service != alike->service,
	                     0))
		alike_turn(core, s, alike);
	if (s->is_v4)
		locate_other(core, s, alike, true);
	else
		locate_other(core, s, alike, false);
}

/* Of a segment from the second half of the server's address on: its port stands behind the
 * client's. */
static inline __m128i
to_end_mask(void)
{
	return _mm_setr_epi16(-1, -1, -1, -1, 0, -1, 0, 0);
}

/* An ACK to another server than the one before it of its family. */
static __attribute__((noinline)) void
alike_turn_to(struct core *core, const struct segment *s, struct alike_to *to)
{
	uint16_t service = destination_service(&core->destinations, core->policy, &s->flow,
	                                       s->is_v4);
	uint8_t plain = PLAIN_NEVER;

	to->end = _mm_loadu_si128((const __m128i *)&s->flow.server.bytes[8]);
	to->net = s->flow.server.quads_be[0];
	to->way = locate_way_of(core, service);
	if (to->way == LOCATE_NOTHING)
		plain = plain_unserved(core, service, true);
	to->found[0] = FLOW_NONE;
	to->found[1] = UINT32_MAX;
	to->found[2] = service | (uint32_t)SYN_LANE_NEVER << 16 | PROOF_UNCHECKED << 24;
	to->found[3] = 0x00ffffffu | (uint32_t)plain << 24;
}

/* No server is like this: neither half begins with ones in an address that a segment is from. */
static inline void
alike_to_none(struct alike_to *to)
{
	to->end = _mm_set1_epi32(-1);
	to->net = UINT64_MAX;
}

/* The same of one with the shape of an ACK. */
static inline __attribute__((always_inline)) void
locate_ack(struct core *core, struct segment *s, struct alike *alike, bool is_v4)
{
	struct alike_to *to = &alike->to[is_v4];
	__m128i end = _mm_loadu_si128((const __m128i *)&s->flow.server.bytes[8]);

	if (__builtin_expect(!_mm_testz_si128(_mm_xor_si128(end, to->end), to_end_mask()) ||
	                             (!is_v4 && to->net != s->flow.server.quads_be[0]),
	                     0))
		alike_turn_to(core, s, to);
	_mm_storeu_si128((__m128i *)(void *)&s->found.entry,
	                 _mm_load_si128((const __m128i *)(const void *)to->found));
	if (__builtin_expect(to->way != LOCATE_KEPT, 0)) {
		s->found.hash = UINT64_MAX;
		if (to->way == LOCATE_HANDOFF)
			locate_handoff(core, s);
	} else if (is_v4) {
		locate_flow(s, alike, flow_hash_ends(&alike->key, flow_ends_v4(&s->flow)));
	} else {
		locate_flow(s, alike, flow_hash_of(&alike->key, &s->flow, 0, false));
	}
}

static inline __attribute__((always_inline)) void
locate_all_first(struct core *core, struct segment *seg, unsigned int n, const struct instant *now)
{
	struct alike alike;

	alike.kind[false] = alike.kind[true] = &kind_of_none;
	alike_to_none(&alike.to[false]);
	alike_to_none(&alike.to[true]);
	alike.index = core->index;
	alike.reflection = core->reflection;
	alike.key = core->hash_key;
	syn_kinds_begin(core, &alike.kinds, now);
	/* Whatever stands in a place is true. */
	alike_begin(core, &alike, &core->destinations.places[0]);
	for (unsigned int i = 0; i < n; i++) {
		if (seg[i].shape == SHAPE_SYN_V4)
			locate_syn(core, seg, i, now, &alike, true, true);
		else if (seg[i].shape == SHAPE_ACK_V4)
			locate_ack(core, &seg[i], &alike, true);
		else if (seg[i].shape == SHAPE_SYN_V6)
			locate_syn(core, seg, i, now, &alike, true, false);
		else if (seg[i].shape == SHAPE_ACK_V6)
			locate_ack(core, &seg[i], &alike, false);
		else if (seg[i].shape == SHAPE_ANY)
			locate_any(core, &seg[i], &alike);
		else
			locate_rare_syn(core, seg, i, now, &alike);
	}
}

/* Mode handoff: the flow, where there is a shield. */
static inline void
locate_known(const struct core *core, struct segment *s)
{
	if (core->services[s->found.service].is_shielded)
		s->found.entry = (uint32_t)known_look(core->params.known, s->found.hash, s->ack);
}

/* A TCP segment that is no SYN, of a service that keeps entries: its candidate, and the lane
 * that it may go by. */
static inline __attribute__((always_inline)) void
locate_plain(struct core *core, const struct flow_index *index, struct segment *seg,
             unsigned int number, const struct instant *now, bool hands_off, bool gate_open,
             struct half_open_acks *acks)
{
	struct segment *s = &seg[number];
	unsigned int flags = s->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	uint32_t entry = locate_entry(core, index, s);
	bool is_plain = flags == TCP_ACK;

	if (entry != FLOW_NONE && !(entry & FLOW_HALF_OPEN)) {
		if (is_plain && s->sack_count == 0)
			s->found.plain = PLAIN_DATA;
		return;
	}
	if ((!is_plain && flags != (TCP_ACK | TCP_FIN)) || s->side != SIDE_OUTSIDE || !gate_open)
		return;
	if (entry != FLOW_NONE) {
		acks->numbers[acks->n++] = (uint8_t)number;
		return;
	}
	ack_add_any(core, seg, number, now, hands_off);
	if (is_plain && s->payload_len == 0 && core->services[s->found.service].drops_unproven)
		s->found.plain = PLAIN_BLIND;
}

/* The same of one with the shape of an ACK, which says most of it. */
static inline __attribute__((always_inline)) void
locate_plain_ack(struct core *core, const struct flow_index *index, struct segment *seg,
                 unsigned int number, const struct instant *now, bool hands_off, bool gate_open,
                 struct half_open_acks *acks, bool is_v4)
{
	struct segment *s = &seg[number];
	uint32_t entry = locate_entry(core, index, s);

	if (entry != FLOW_NONE && !(entry & FLOW_HALF_OPEN)) {
		s->found.plain = PLAIN_DATA;
		return;
	}
	if (s->side != SIDE_OUTSIDE || !gate_open)
		return;
	if (entry != FLOW_NONE) {
		acks->numbers[acks->n++] = (uint8_t)number;
		return;
	}
	ack_add(core, seg, number, now, hands_off, is_v4);
	if (s->payload_len == 0 && core->services[s->found.service].drops_unproven)
		s->found.plain = PLAIN_BLIND;
}

/* The same of mode handoff. */
static inline void
locate_handed(struct core *core, struct segment *seg, unsigned int number,
              const struct instant *now, bool gate_open)
{
	struct segment *s = &seg[number];
	const struct service_state *state = &core->services[s->found.service];

	if (!state->is_shielded) {
		if (state->is_stateless)
			s->found.plain = PLAIN_HANDED;
		return;
	}
	locate_known(core, s);
	if (s->found.entry == FLOW_NONE && s->side == SIDE_OUTSIDE &&
	    (s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_ACK && gate_open)
		ack_add_any(core, seg, number, now, true);
}

/* The second pass. Where no service is of mode handoff, nothing of what these need is there. */
static inline __attribute__((always_inline)) void
locate_burst(struct core *core, struct segment *seg, unsigned int n, const struct instant *now,
             bool hands_off)
{
	bool gate_open = !core->params.cookie_gate || now->now_ms <= core->cookie_out_ms;
	/* A copy, which no store can change: it stays in registers. */
	const struct flow_index index = core->index;
	struct half_open_acks acks;

	acks.n = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct segment *s = &seg[i];

		/* A SYN, for which no more is to be found out than its entry. */
		if (s->found.profile != PROFILE_UNMADE) {
			if (hands_off && is_handoff(core, s))
				locate_known(core, s);
			else
				locate_entry(core, &index, s);
			continue;
		}
		if (s->found.service >= SERVICES_MAX)
			continue;
		if (hands_off && is_handoff(core, s)) {
			if (s->class == SEGMENT_TCP)
				locate_handed(core, seg, i, now, gate_open);
		} else if (s->shape == SHAPE_ACK_V4) {
			locate_plain_ack(core, &index, seg, i, now, hands_off, gate_open, &acks,
			                 true);
		} else if (s->shape == SHAPE_ACK_V6) {
			locate_plain_ack(core, &index, seg, i, now, hands_off, gate_open, &acks,
			                 false);
		} else if (s->class == SEGMENT_TCP) {
			locate_plain(core, &index, seg, i, now, hands_off, gate_open, &acks);
		}
	}
	if (__builtin_expect(acks.n != 0, 0))
		locate_half_open_acks(core, seg, &acks, now, hands_off);
}

/* Segments of a family for which cookies are asked. */
static inline unsigned int
n_asked(const struct core *core, bool is_v4)
{
	return core->syn_lanes[is_v4].n + core->tries[is_v4][0].n + core->tries[is_v4][1].n;
}

/* A few of the other family are foretold wrong for less than what sorting costs all. */
static void
note_mixed(struct core *core)
{
	unsigned int n_v4 = n_asked(core, true), n_v6 = n_asked(core, false);

	if (n_v4 + n_v6 != 0)
		core->is_mixed = 8 * (n_v4 < n_v6 ? n_v4 : n_v6) >= n_v4 + n_v6;
}

bool
core_is_mixed(const struct core *core)
{
	return core->is_mixed;
}

void
core_locate(struct core *core, struct segment *seg, unsigned int n, const struct instant *now)
{
	bool hands_off = core->hands_off;

	core->mutations = 0;
	core->sources.now_s = instant_s(now);
	lanes_start(core, now->secrets);
	locate_all_first(core, seg, n, now);
	if (__builtin_expect(hands_off, 0))
		locate_burst(core, seg, n, now, true);
	else
		locate_burst(core, seg, n, now, false);
	note_mixed(core);
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		syn_finish(seg, &core->syn_lanes[is_v4]);
		ack_finish(seg, &core->tries[is_v4][0]);
		ack_finish(seg, &core->tries[is_v4][1]);
	}
}
