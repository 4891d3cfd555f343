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
 * Each kind has one place, where one stands that was met twice within a while. Any other is
 * derived from its base, the kind of those that say the same but for MSS, scale and the order of
 * their options, on which nothing depends but profile and TSval: syn_plan_derive(). So a flood of
 * which no two SYNs say the same costs less than twice as much as one of one kind, and does not
 * push out what is met again and again. Nothing is keyed: who finds bases that share a place, of
 * which a server has few, has them found out each time. Inside lib/proto only.
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
	uint32_t n_more; /* that have no place */
};

_Static_assert(offsetof(struct syn_kind, server) + 8 == 16 &&
                       offsetof(struct syn_kind, port_be) - offsetof(struct syn_kind, server) ==
                               offsetof(struct flow, server_port_be) -
                                       offsetof(struct flow, server) &&
                       sizeof(struct segment) >= offsetof(struct segment, flow.server) + 24,
               "the end of a server's address and its port are one vector");

/* Is it the kind of who says this to the server of this SYN? `is_v4` is the family of both. */
static inline __attribute__((always_inline)) bool
syn_kind_is_of(const struct syn_kind *kind, const struct segment *seg, uint64_t said, bool is_v4)
{
	/* The address's second half, and the port behind that of the client. */
	const __m128i mask = _mm_setr_epi16(-1, -1, -1, -1, 0, -1, 0, 0);
	const uint8_t *half = seg->flow.server.bytes + 8;
	__m128i differ = _mm_xor_si128(
		_mm_loadu_si128((const __m128i *)half),
		_mm_load_si128((const __m128i *)(const void *)(kind->server.bytes + 8)));

	/* The server first: of many there may be floods, of layouts of options there are few. */
	return _mm_testz_si128(differ, mask) && said == kind->said &&
	       (is_v4 || kind->server.quads_be[0] == seg->flow.server.quads_be[0]);
}

/* Is it of this kind? */
static inline __attribute__((always_inline)) bool
syn_kind_is(const struct syn_kind *kind, const struct segment *seg, bool is_v4)
{
	return syn_kind_is_of(kind, seg, syn_said(seg), is_v4);
}

#define SYN_KIND_SHIFT 7u
_Static_assert(sizeof(struct syn_kind) == 1u << SYN_KIND_SHIFT, "found by a shift");

/* The upper bits of a product depend on all bits of a factor. */
static inline uint64_t
syn_kind_mixed(const struct segment *seg, uint64_t said)
{
	uint64_t both = seg->flow.server.quads_be[0] ^ seg->flow.server.quads_be[1];

	return (both + seg->flow.server_port_be + said) * 0x9e3779b97f4a7c15u;
}

static inline struct syn_kind *
syn_kind_place(struct core *core, const struct segment *seg)
{
	uint64_t at = syn_kind_mixed(seg, syn_said(seg)) >> (64 - SYN_KINDS_BITS - SYN_KIND_SHIFT) &
	              ~(sizeof(struct syn_kind) - 1);

	return (struct syn_kind *)(void *)((uint8_t *)core->kinds + at);
}

/* Kinds of a burst that begins: a turn, if there is one. */
static inline void
syn_kinds_begin(struct core *core, struct syn_kinds *kinds, const struct instant *now)
{
	struct syn_kinds_turn *turn = &core->kinds_turn;
	uint64_t stamp = syn_plan_stamp(core, now);

	if (turn->stamp != stamp || turn->now_s != core->sources.now_s) {
		turn->number++;
		turn->stamp = stamp;
		turn->now_s = core->sources.now_s;
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

/* What a server has shown, and whether it is down, behind the end of its address and its port. Of one
 * that is not here: whether any has come since. */
static inline const void *
syn_kind_shows(const struct core *core, const struct backend *backend)
{
	if (backend == NULL)
		return &core->backends.used;
	return backend->addr.bytes + 8;
}
_Static_assert(offsetof(struct backend, addr) == 0 && offsetof(struct backend, port_be) == 16 &&
                       offsetof(struct backend, sack_votes) == 24,
               "what a backend has shown is 16 bytes with the end of its address");
_Static_assert(offsetof(struct backend_table, n_placed) ==
                       offsetof(struct backend_table, used) + sizeof(uint64_t),
               "what changes when a backend comes is 16 bytes");

static inline bool
syn_kind_shows_same(const struct syn_kind *kind)
{
	__m128i differ = _mm_xor_si128(_mm_loadu_si128((const __m128i *)kind->shows),
	                               _mm_load_si128((const __m128i *)kind->shown));

	/* The beginning of its address, too: in its place may stand one of the same interface
	 * identifier in another net (RFC 4291, 2.5.4), after a third that was there for a while. */
	return _mm_testz_si128(differ, differ) &&
	       (kind->backend == NULL ||
	        kind->backend->addr.quads_be[0] == kind->server.quads_be[0]);
}
_Static_assert(offsetof(struct syn_kind, shown) % 16 == 0, "what was shown is one vector");

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

/* Is all that it was found out from the same, but for its plan? */
static inline bool
syn_kind_is_true(const struct syn_kind *kind, const struct syn_kinds *kinds)
{
	return kind->turn == kinds->turn && syn_kind_mode(kind->state) == kind->mode &&
	       syn_kind_shows_same(kind);
}

/* The same and its plan, whose place another one may have taken. */
static inline bool
syn_kind_holds(const struct syn_kind *kind, const struct syn_kinds *kinds)
{
	if (!syn_kind_is_true(kind, kinds))
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

/* What all have in common that go to this destination and offer the same. Returns the state of its
 * service; that of any if there is none, of which nothing is asked then. */
static inline struct service_state *
syn_kind_begin(struct core *core, const struct segment *seg, struct destination *to,
               const struct syn_kinds *kinds, struct syn_kind *kind)
{
	struct service_state *state = &core->services[0];
	struct backend *b = NULL;
	uint8_t plain = PLAIN_NEVER;

	kind->said = syn_said(seg);
	kind->server = seg->flow.server;
	kind->port_be = seg->flow.server_port_be;
	kind->is_v4 = seg->is_v4;
	kind->way = locate_way_of(core, to->service);
	if (kind->way == LOCATE_NOTHING)
		plain = plain_unserved(core, to->service, false);
	kind->burst = kinds->memo.burst;
	kind->profile = PROFILE_UNMADE;
	kind->turn = kinds->turn;
	kind->found[0] = FLOW_NONE;
	kind->found[1] = (uint32_t)((uint8_t *)kind - (uint8_t *)core->kinds);
	kind->found[2] = to->service | SYN_LANE_NEVER << 16 | (uint32_t)PROOF_UNCHECKED << 24;
	kind->found[3] = 0x00ff00ffu | PROFILE_UNMADE << 8 | (uint32_t)plain << 24;
	if (kind->way != LOCATE_NOTHING)
		state = &core->services[to->service];
	if (kind->way != LOCATE_NOTHING && state->mode == MODE_PROXY)
		b = syn_plan_seek(core, to, &seg->flow);
	kind->backend = b;
	kind->shows = kind->shown;
	if (state->mode == MODE_PROXY && kind->way != LOCATE_NOTHING)
		kind->shows = syn_kind_shows(core, b);
	memcpy(kind->shown, kind->shows, sizeof(kind->shown));
	kind->state = state;
	kind->mode = syn_kind_mode(state);
	kind->asks = syn_kind_asks(state, b, seg->options);
	return state;
}

/* What these are answered with: by profile ... */
static inline void
syn_kind_answer(struct syn_kind *kind, const struct syn_plan *plan)
{
	kind->plan = plan;
	kind->profile = plan->profile;
	kind->mask_at = (uint16_t)(offsetof(struct epoch_keys, profile_mask) +
	                           plan->profile * sizeof(__m128i));
	kind->found[3] = (kind->found[3] & 0xffff00ffu) | (uint32_t)plan->profile << 8;
}

/* ... and by which lane. */
static inline void
syn_kind_lane(struct syn_kind *kind, const struct syn_plan *plan)
{
	uint8_t lane = SYN_LANE_NEVER;

	if (kind->asks != SYN_ASKS_TABLE)
		lane = syn_lane_now(kind->state) | plan->lane;
	kind->found[2] = (kind->found[2] & 0xff00ffffu) | (uint32_t)lane << 16;
}

/* Find out all about the kind of this SYN, and remember it here. */
static __attribute__((noinline)) struct syn_kind *
syn_kind_find_out(struct core *core, const struct segment *seg, const struct instant *now,
                  struct syn_kinds *kinds, struct syn_kind *kind)
{
	struct destination *to = destination_find(&core->destinations, core->policy, &seg->flow,
	                                          seg->is_v4);
	const struct service_state *state = syn_kind_begin(core, seg, to, kinds, kind);

	kind->turn = 0;
	if (kind->way == LOCATE_NOTHING)
		return kind;
	const struct syn_plan *plan = syn_plan_for(core, seg, state, kind->backend, now,
	                                           &kinds->memo);
	syn_kind_answer(kind, plan);
	syn_kind_lane(kind, plan);
	/* A plan that has found no place is of this burst. */
	kind->serial = kinds->memo.serial;
	if (kind->serial != 0)
		kind->turn = kinds->turn;
	return kind;
}

/* Find out all about a base, and remember it here. */
static __attribute__((noinline)) void
syn_kind_find_base(struct core *core, const struct segment *seg, uint64_t said,
                   const struct instant *now, const struct syn_kinds *kinds, struct syn_base *base)
{
	struct destination *to = destination_find(&core->destinations, core->policy, &seg->flow,
	                                          seg->is_v4);
	struct segment of = *seg;

	memcpy(&of.options, &said, sizeof(said));
	const struct service_state *state = syn_kind_begin(core, &of, to, kinds, &base->kind);
	if (base->kind.way == LOCATE_NOTHING)
		return;
	struct syn_plan *plan = &base->of.plan;
	syn_plan_work_out(core, &of, state->service, base->kind.backend, now, plan);
	syn_kind_lane(&base->kind, plan);
	struct packet answer = plan->answer;
	answer.tsval = 0;
	emit_make(&base->of.made, &answer);
}

/* The kind of this SYN for this burst, out of what it has in common with those that say something
 * else in MSS, in scale, or in the order of their options. */
static inline struct syn_kind *
syn_kind_derive(struct core *core, const struct segment *seg, const struct instant *now,
                struct syn_kinds *kinds)
{
	struct syn_kind *kind = &core->kinds[SYN_KINDS + kinds->n_more++];
	uint64_t said = syn_plan_base(seg);
	struct syn_base *base = &core->bases[syn_kind_mixed(seg, said) >> (64 - SYN_BASES_BITS)];

	if (__builtin_expect(base->kind.is_v4 != seg->is_v4 ||
	                             !syn_kind_is_of(&base->kind, seg, said, seg->is_v4) ||
	                             !syn_kind_is_true(&base->kind, kinds),
	                     0))
		syn_kind_find_base(core, seg, said, now, kinds, base);
	*kind = base->kind;
	kind->said = syn_said(seg);
	kind->found[1] = (uint32_t)((uint8_t *)kind - (uint8_t *)core->kinds);
	if (base->kind.shows == base->kind.shown)
		kind->shows = kind->shown;
	if (kind->way == LOCATE_NOTHING)
		return kind;
	struct syn_plan_brief *brief = kinds->memo.next++;
	syn_plan_derive(seg, &base->of.plan, now, &brief->plan);
	emit_make_of(&brief->made, &base->of.made, brief->plan.answer.tsval);
	brief->plan.answer.made = &brief->made;
	syn_kind_answer(kind, &brief->plan);
	return kind;
}

/* Bursts within which a kind is met twice that is worth a place. */
#define SYN_KIND_WHILE 16u

/* May this SYN, whose kind does not stand here, or no more as it would be found out, have it
 * remembered here? Not in the place of one that this burst needs. And in that of another kind only
 * when it is met for the second time within a while, and the other was not between, be it in the
 * burst of the first time: the place would go to and fro between two of which each burst has both. */
static inline bool
syn_kind_may_stand(const struct segment *seg, const struct syn_kinds *kinds, uint32_t rival,
                   struct syn_kind *kind)
{
	uint32_t burst = kinds->memo.burst, before = kind->rival_burst;

	if (kind->burst == burst)
		return false;
	/* What its server shows may go to and fro until the turn ends; that some server has come is
	 * true from now on. */
	if (kind->is_v4 == seg->is_v4 && syn_kind_is(kind, seg, seg->is_v4))
		return kind->turn != kinds->turn ||
		       (kind->backend == NULL && !syn_kind_shows_same(kind));
	if (kind->rival == rival && burst - before < SYN_KIND_WHILE &&
	    burst - kind->burst > burst - before)
		return true;
	kind->rival = rival;
	kind->rival_burst = burst;
	return false;
}

static __attribute__((noinline)) struct syn_kind *
syn_kind_miss(struct core *core, const struct segment *seg, const struct instant *now,
              struct syn_kinds *kinds, struct syn_kind *kind)
{
	uint32_t rival = (uint32_t)(syn_kind_mixed(seg, syn_said(seg)) >> 32);

	if (__builtin_expect(syn_kind_may_stand(seg, kinds, rival, kind), 0))
		return syn_kind_find_out(core, seg, now, kinds, kind);
	return syn_kind_derive(core, seg, now, kinds);
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
	return syn_kind_miss(core, seg, now, kinds, kind);
}

#endif
