/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kinds of SYNs: those that say the same to the same server. In a flood nearly all are of one kind,
 * or of as many as there are servers and programs that flood them. All but the client, its numbers
 * and the cookie is found out once for a kind, and holds until something is no more what it was
 * found out from: the policy (core_forget()), what the service is like at the moment, what its
 * server has shown and where that is, the second, time and window as they go into answers. That is
 * compared in each burst, when the first SYN of a kind comes. So a kind that is remembered says
 * what would be found out again, which tests/fuzz/fuzz_syn_lane.c holds it to.
 *
 * Each kind has one place, where the last one that was met stands. Nothing is keyed: who finds
 * kinds that share a place has them found out each time, as any is that comes but once. Inside
 * lib/proto only.
 */
#ifndef SYNFRONT_SYN_KIND_H
#define SYNFRONT_SYN_KIND_H

#include "plain_lane.h"
#include "syn_plan.h"

/* How segments of a destination are looked up. */
enum locate_way {
	LOCATE_KEPT,    /* connections are kept of it, or were */
	LOCATE_HANDOFF, /* mode handoff */
	LOCATE_NOTHING  /* of no service */
};

static inline uint8_t
locate_way_of(const struct core *core, uint16_t service)
{
	if (service >= SERVICES_MAX)
		return LOCATE_NOTHING;
	return core->services[service].mode == MODE_HANDOFF ? LOCATE_HANDOFF : LOCATE_KEPT;
}

/* What is found out in a burst. */
struct syn_kinds {
	struct syn_plan_memo memo;
	uint64_t turn;   /* number of the running one */
	uint32_t n_more; /* that found their place taken */
};

_Static_assert(offsetof(struct syn_kind, server) + 8 == 16 &&
                       offsetof(struct syn_kind, port_be) - offsetof(struct syn_kind, server) ==
                               offsetof(struct flow, server_port_be) -
                                       offsetof(struct flow, server) &&
                       sizeof(struct segment) >= offsetof(struct segment, flow.server) + 24,
               "the end of a server's address and its port are one vector");

/* Is it of this kind? `is_v4` is the family of both. */
static inline __attribute__((always_inline)) bool
syn_kind_is(const struct syn_kind *kind, const struct segment *seg, bool is_v4)
{
	/* The address's second half, and the port behind that of the client. */
	const __m128i mask = _mm_setr_epi16(-1, -1, -1, -1, 0, -1, 0, 0);
	const uint8_t *half = seg->flow.server.bytes + 8;
	__m128i differ = _mm_xor_si128(
		_mm_loadu_si128((const __m128i *)half),
		_mm_load_si128((const __m128i *)(const void *)(kind->server.bytes + 8)));

	return syn_said(seg) == kind->said && _mm_testz_si128(differ, mask) &&
	       (is_v4 || kind->server.quads_be[0] == seg->flow.server.quads_be[0]);
}

#define SYN_KIND_SHIFT 7u
_Static_assert(sizeof(struct syn_kind) == 1u << SYN_KIND_SHIFT, "found by a shift");

/* The upper bits of a product depend on all bits of a factor. */
static inline struct syn_kind *
syn_kind_place(struct core *core, const struct segment *seg)
{
	uint64_t both = seg->flow.server.quads_be[0] ^ seg->flow.server.quads_be[1];
	uint64_t mixed = (both + seg->flow.server_port_be + syn_said(seg)) * 0x9e3779b97f4a7c15u;
	uint64_t at = mixed >> (64 - SYN_KINDS_BITS - SYN_KIND_SHIFT) &
	              ~(sizeof(struct syn_kind) - 1);

	return (struct syn_kind *)(void *)((uint8_t *)core->kinds + at);
}
/* Kinds of a burst that begins: a turn, if there is one. */
static inline void
syn_kinds_begin(struct core *core, struct syn_kinds *kinds, const struct instant *now)
{
	struct syn_kinds_turn *turn = &core->kinds_turn;
	uint64_t stamp = syn_plan_stamp(core, now);

	if (turn->stamp != stamp || turn->now_s != core->sources.now_s ||
	    turn->n_placed != core->backends.n_placed) {
		turn->number++;
		turn->stamp = stamp;
		turn->now_s = core->sources.now_s;
		turn->n_placed = core->backends.n_placed;
	}
	kinds->memo = (struct syn_plan_memo){ .stamp = stamp,
		                              .burst = ++core->n_bursts,
		                              .next = core->plans };
	kinds->turn = turn->number;
	kinds->n_more = 0;
}

/* By number: as segment_found.kind has it. */
static inline const struct syn_kind *
syn_kind_at(const struct core *core, uint32_t at)
{
	return (const struct syn_kind *)(const void *)((const uint8_t *)core->kinds + at);
}

/* What a server has shown, its port, and whether it is down. */
static inline const uint64_t *
syn_kind_shows(const struct backend *backend)
{
	return (const uint64_t *)(const void *)&backend->port_be;
}
_Static_assert(offsetof(struct backend, port_be) % sizeof(uint64_t) == 0 &&
                       offsetof(struct backend, sack_votes) ==
                               offsetof(struct backend, port_be) + sizeof(uint64_t),
               "what a backend has shown is one word with its port");

static inline bool
syn_kind_shows_same(const struct syn_kind *kind)
{
	uint64_t shows;

	memcpy(&shows, kind->shows, sizeof(shows));
	return shows == kind->shown;
}

/* A service's lane and whether it is in cookie mode. */
static inline uint16_t
syn_kind_mode(const struct service_state *state)
{
	uint16_t mode;

	memcpy(&mode, &state->lane, sizeof(mode));
	return mode;
}
_Static_assert(offsetof(struct service_state, cookie_mode) ==
                       offsetof(struct service_state, lane) + 1,
               "lane and cookie mode are one word");

/* Is all that it was found out from the same? Its server is in its place as long as it is the same
 * turn, and was used in it; another plan may have taken the place of its own. */
static inline bool
syn_kind_holds(const struct syn_kind *kind, const struct syn_kinds *kinds)
{
	if (kind->turn != kinds->turn || syn_kind_mode(kind->state) != kind->mode ||
	    !syn_kind_shows_same(kind))
		return false;
	struct syn_plan_kept *kept =
		(struct syn_plan_kept *)(uintptr_t)((const uint8_t *)kind->plan -
	                                            offsetof(struct syn_plan_kept, plan));
	if (kept->serial != kind->serial)
		return false;
	kept->burst = kinds->memo.burst;
	return true;
}

/* What is asked of the server when one is decided on: syn_lane.c. */
static inline uint8_t
syn_kind_asks(const struct service_state *state, const struct backend *b, uint8_t options)
{
	if (state->mode != MODE_PROXY)
		return SYN_ASKS_NOTHING;
	if (b == NULL)
		return state->cookie_mode ? SYN_ASKS_NOTHING : SYN_ASKS_TABLE;
	if (b->down)
		return SYN_ASKS_TABLE;
	if (state->cookie_mode)
		return SYN_ASKS_NOTHING;
	if (backend_curious(b, options))
		return SYN_ASKS_LEARNED;
	return options & b->absent ? SYN_ASKS_AGAIN : SYN_ASKS_NOTHING;
}

/* Of a service: what it is answered with, and by which lane. */
static inline uint8_t
syn_kind_plan(struct core *core, const struct segment *seg, struct destination *to,
              const struct instant *now, struct syn_kinds *kinds, struct syn_kind *kind)
{
	struct service_state *state = &core->services[to->service];
	struct backend *b = state->mode == MODE_PROXY ? syn_plan_seek(core, to, &seg->flow) : NULL;
	const struct syn_plan *plan = syn_plan_for(core, seg, state, b, now, &kinds->memo);

	kind->plan = plan;
	kind->backend = b;
	kind->shown = 0;
	kind->shows = &kind->shown;
	if (b != NULL) {
		kind->shows = syn_kind_shows(b);
		memcpy(&kind->shown, kind->shows, sizeof(kind->shown));
	}
	kind->state = state;
	kind->mode = syn_kind_mode(state);
	kind->profile = plan->profile;
	kind->mask_at = (uint16_t)(offsetof(struct epoch_keys, profile_mask) +
	                           plan->profile * sizeof(__m128i));
	kind->asks = syn_kind_asks(state, b, seg->options);
	/* A plan that has found no place is of this burst. */
	kind->serial = kinds->memo.serial;
	kind->turn = kind->serial != 0 ? kinds->turn : 0;
	if (kind->asks == SYN_ASKS_TABLE)
		return SYN_LANE_NEVER;
	return syn_lane_now(state) | plan->lane;
}

/* Find out all about the kind of this SYN. */
static __attribute__((noinline)) struct syn_kind *
syn_kind_find_out(struct core *core, const struct segment *seg, const struct instant *now,
                  struct syn_kinds *kinds, struct syn_kind *kind)
{
	struct destination *to = destination_find(&core->destinations, core->policy, &seg->flow,
	                                          seg->is_v4);
	uint8_t lane = SYN_LANE_NEVER, plain = PLAIN_NEVER;

	if (kind->burst == kinds->memo.burst)
		kind = &core->kinds[SYN_KINDS + kinds->n_more++];
	kind->said = syn_said(seg);
	kind->server = seg->flow.server;
	kind->port_be = seg->flow.server_port_be;
	kind->is_v4 = seg->is_v4;
	kind->way = locate_way_of(core, to->service);
	kind->burst = kinds->memo.burst;
	kind->profile = PROFILE_UNMADE;
	kind->turn = 0;
	if (kind->way != LOCATE_NOTHING)
		lane = syn_kind_plan(core, seg, to, now, kinds, kind);
	else
		plain = plain_unserved(core, to->service, false);
	kind->found[0] = FLOW_NONE;
	kind->found[1] = (uint32_t)((uint8_t *)kind - (uint8_t *)core->kinds);
	kind->found[2] = to->service | (uint32_t)lane << 16 | PROOF_UNCHECKED << 24;
	kind->found[3] = 0x00ff00ffu | (uint32_t)kind->profile << 8 | (uint32_t)plain << 24;
	return kind;
}

/* The kind of this SYN, which is none that was at hand. It stays as it is until the burst ends. A
 * shape, which is part of what is said, tells the family. */
static inline __attribute__((always_inline)) const struct syn_kind *
syn_kind_of(struct core *core, const struct segment *seg, const struct instant *now,
            struct syn_kinds *kinds, bool has_shape, bool is_v4)
{
	struct syn_kind *kind = syn_kind_place(core, seg);

	if (__builtin_expect((has_shape || kind->is_v4 == is_v4) && syn_kind_is(kind, seg, is_v4) &&
	                             syn_kind_holds(kind, kinds),
	                     1)) {
		kind->burst = kinds->memo.burst;
		return kind;
	}
	return syn_kind_find_out(core, seg, now, kinds, kind);
}

#endif
