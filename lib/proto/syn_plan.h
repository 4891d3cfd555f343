/* SPDX-License-Identifier: BSD-3-Clause */
/* Planning the answer to a SYN: all of it but the cookie, whose profile it leaves in the
 * memo. Inside lib/proto only. */
#ifndef SYNFRONT_SYN_PLAN_H
#define SYNFRONT_SYN_PLAN_H

#include <stddef.h>

#include "admission.h"
#include "cookie.h"

/* The window of a SYN-ACK: what one connection may have held; never zero, or the first
 * data waits for a window probe. Never scaled (RFC 7323, 2.2). */
static inline uint16_t
syn_ack_window(const struct core *core, uint8_t mode)
{
	return mode == MODE_RESPOND
	               ? UINT16_MAX
	               : (uint16_t)pending_window(&core->pending, core->params.hold_bytes);
}

/* ... where nothing is held: what a kernel offers at first, whole segments (1460: 64,240). */
static inline uint16_t
syn_ack_window_of_kernel(uint32_t mss)
{
	return (uint16_t)(UINT16_MAX - UINT16_MAX % mss);
}

/* For struct service_state: services whose promise is their own (mode handoff) have a key of
 * their own, others one for each mode, which is that of the policy as in syn_plan_work_out().
 * Leaves bit 1 free, and where no service has its own those of a backend's address. The same in
 * each core: so are the places of plans. */
static inline uint64_t
syn_plan_key(const struct service_state *state)
{
	const struct service *service = state->service;
	uint64_t whose = service->mode == MODE_HANDOFF ? service->id + 1u : 0;

	return whose << 6 | (unsigned int)service->mode << 2 | 1;
}

/* What the plans of a burst have in common. */
struct syn_plan_memo {
	uint64_t stamp;  /* syn_plan_stamp() */
	uint32_t burst;  /* core->n_bursts */
	uint32_t serial; /* of the last plan asked for; 0: it lasts no longer than the burst */
	struct syn_plan_brief *next; /* where one goes that finds no place, and those after it */
};

/* What a SYN says, in 8 bytes: its option fields, and its shape, of which no plan depends. */
static inline uint64_t
syn_said(const struct segment *seg)
{
	uint64_t said;

	memcpy(&said, &seg->options, sizeof(said));
	return said;
}
#define SYN_SAID_MSS_SHIFT 32u
#define SYN_SAID_SHAPE (UINT64_C(0xff) << 56)
_Static_assert(offsetof(struct segment, shape) == offsetof(struct segment, options) + 7 &&
                       offsetof(struct segment, mss) == offsetof(struct segment, options) + 4,
               "what a SYN says lies in 8 bytes");

static __attribute__((noinline)) void
syn_plan_work_out(const struct core *core, const struct segment *seg, const struct service *service,
                  const struct backend *backend, const struct instant *now, struct syn_plan *plan)
{
	const struct promise promise = admission_promise(service, backend, seg->is_v4);
	struct tcp_offer offer = admission_offer(seg, &promise);
	struct packet *answer = &plan->answer;

	/* As listen_syn() and handoff_syn() have it, what is signed is not answered. */
	plan->lane = seg->options & (OPTION_MD5 | OPTION_AO) ? SYN_LANE_NEVER : 0;
	plan->profile = (uint8_t)cookie_profile_of(&offer, seg->is_v4);
	/* Granted is only what the cookie can bring back. */
	const struct tcp_offer row = cookie_profile_offer(plan->profile, seg->is_v4);
	if (row.wscale == WSCALE_NONE)
		offer.wscale = WSCALE_NONE;
	offer.sack = row.sack;
	plan->offer = offer;
	*answer = (struct packet){ .mss = promise.mss,
		                   .window = service->mode == MODE_HANDOFF
		                                     ? syn_ack_window_of_kernel(promise.mss)
		                                     : syn_ack_window(core, service->mode),
		                   .flags = TCP_SYN | TCP_ACK,
		                   .options = OPTION_MSS,
		                   .ttl = promise.ttl,
		                   .wscale = WSCALE_NONE };
	if (offer.wscale != WSCALE_NONE) {
		/* Without timestamps nothing brings back which scale was promised,
		 * so it is always the same. */
		answer->wscale = offer.timestamps ? promise.wscale : PROMISE_WSCALE;
		answer->options |= OPTION_WSCALE;
	}
	if (offer.sack)
		answer->options |= OPTION_SACK_PERMITTED;
	if (offer.timestamps) {
		answer->options |= OPTION_TIMESTAMPS;
		answer->tsval = cookie_ts_make(&offer, plan->profile, seg->is_v4, answer->wscale,
		                               now->wall_ms);
	}
}

/* What options of a SYN its plan depends on. */
#define SYN_PLAN_OPTIONS \
	(OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS | OPTION_MD5 | OPTION_AO)

/* A SYN whose plan differs from that of this one in nothing but what follows from MSS and scale:
 * syn_plan_derive(). All classes of profiles begin with the MSS that counts where none is said, but
 * for one, in which neither scale nor SACK is granted. */
static inline uint64_t
syn_plan_base(const struct segment *seg)
{
	uint64_t options = seg->options & SYN_PLAN_OPTIONS;
	bool is_low = seg->mss != 0 && seg->mss < mss_default(seg->is_v4);

	return options | (uint64_t)(is_low ? COOKIE_MSS_LEAST : 0) << SYN_SAID_MSS_SHIFT;
}

/* The plan of a SYN, out of that for syn_plan_base() of it to the same server. */
static inline void
syn_plan_derive(const struct segment *seg, const struct syn_plan *base, const struct instant *now,
                struct syn_plan *plan)
{
	*plan = *base;
	plan->offer.mss = admission_mss(seg);
	if (base->offer.wscale != WSCALE_NONE)
		plan->offer.wscale = seg->wscale;
	plan->profile = (uint8_t)cookie_profile_of(&plan->offer, seg->is_v4);
	if (plan->offer.timestamps)
		plan->answer.tsval = cookie_ts_make(&plan->offer, plan->profile, seg->is_v4,
		                                    plan->answer.wscale, now->wall_ms);
}

/* Time and window as they go into plans: one of these, and another plan, each 4 ms. */
static inline uint64_t
syn_plan_stamp(const struct core *core, const struct instant *now)
{
	return now->wall_ms >> COOKIE_TS_UNIT_SHIFT << 16 | syn_ack_window(core, MODE_PROXY);
}

/* All of a backend that a promise is made of: MSS, scale, which options it has, and TTL. */
static inline uint64_t
syn_plan_shown(const struct backend *backend)
{
	uint64_t shown;

	if (backend == NULL)
		return 0;
	memcpy(&shown, &backend->port_be, sizeof(shown));
	return shown >> 16;
}
_Static_assert(offsetof(struct backend, mss) == offsetof(struct backend, port_be) + 2 &&
                       offsetof(struct backend, sack_votes) ==
                               offsetof(struct backend, port_be) + 8,
               "what a backend has shown lies behind its port");

/* What a plan is kept under beside memo->said and ->stamp, for this server. */
static inline uint64_t
syn_plan_to(const struct segment *seg, const struct service_state *state)
{
	return state->plan_key | (unsigned int)seg->is_v4 << 1;
}

/* Where it would be kept. */
static inline struct syn_plan_kept *
syn_plan_place(struct core *core, uint64_t said, uint64_t to, uint64_t shown)
{
	uint64_t mixed = (said ^ to << 32 ^ shown << 8) * 0x9e3779b97f4a7c15u;

	return &core->plans_kept[mixed >> (64 - SYN_PLANS_BITS)];
}

/* Make a plan, and keep it: but not in the place of one that this burst needs. */
static __attribute__((noinline)) const struct syn_plan *
syn_plan_keep(struct core *core, const struct segment *seg, const struct service_state *state,
              const struct backend *backend, const struct instant *now, struct syn_plan_memo *memo)
{
	uint64_t said = syn_said(seg) & ~SYN_SAID_SHAPE;
	uint64_t to = syn_plan_to(seg, state), shown = syn_plan_shown(backend);
	struct syn_plan_kept *kept = syn_plan_place(core, said, to, shown);

	if (kept->to != 0 && kept->burst == memo->burst) {
		struct syn_plan *plan = &memo->next++->plan;
		syn_plan_work_out(core, seg, state->service, backend, now, plan);
		memo->serial = 0;
		return plan;
	}
	kept->said = said;
	kept->to = to;
	kept->shown = shown;
	kept->stamp = memo->stamp;
	kept->burst = memo->burst;
	memo->serial = kept->serial = ++core->n_plans;
	syn_plan_work_out(core, seg, state->service, backend, now, &kept->plan);
	emit_make(&kept->made, &kept->plan.answer);
	kept->plan.answer.made = &kept->made;
	return &kept->plan;
}

/* The plan for a SYN to this server, as long as the burst lasts: one that is kept, if it would be
 * made again. */
static inline const struct syn_plan *
syn_plan_for(struct core *core, const struct segment *seg, const struct service_state *state,
             const struct backend *backend, const struct instant *now, struct syn_plan_memo *memo)
{
	uint64_t said = syn_said(seg) & ~SYN_SAID_SHAPE;
	uint64_t to = syn_plan_to(seg, state), shown = syn_plan_shown(backend);
	struct syn_plan_kept *kept = syn_plan_place(core, said, to, shown);

	if (((kept->said ^ said) | (kept->to ^ to) | (kept->shown ^ shown) |
	     (kept->stamp ^ memo->stamp)) != 0)
		return syn_plan_keep(core, seg, state, backend, now, memo);
	kept->burst = memo->burst;
	memo->serial = kept->serial;
	return &kept->plan;
}

/* The backend of a server where it was found last, or where it is; `place` is the server's. */
static inline struct backend *
syn_plan_seek(struct core *core, struct destination *place, const struct flow *flow)
{
	struct backend *b = backend_at(&core->backends, place->backend);

	if (b != NULL && backend_is(b, &flow->server, flow->server_port_be)) {
		b->seen_s = (uint16_t)core->sources.now_s;
		return b;
	}
	place->backend = backend_find(&core->backends, &flow->server, flow->server_port_be, false,
	                              core->sources.now_s);
	return backend_at(&core->backends, place->backend);
}

/* A copy of the plan, for who does not know the server. Fills *syn but for its net. */
static inline const struct syn_plan *
syn_plan_make(struct core *core, const struct segment *seg, const struct service_state *state,
              const struct instant *now, struct syn_plan_memo *memo, struct syn_planned *syn)
{
	struct syn_plan *copy = &memo->next->plan;

	syn->backend = NULL;
	if (state->mode == MODE_PROXY)
		syn->backend = syn_plan_seek(
			core, destination_place(&core->destinations, &seg->flow), &seg->flow);
	const struct syn_plan *plan = syn_plan_for(core, seg, state, syn->backend, now, memo);
	if (plan != copy)
		*copy = *plan;
	return syn->plan = copy;
}

#endif
