/* SPDX-License-Identifier: BSD-3-Clause */
/* Planning the answer to a SYN: all of it but the cookie, whose profile it leaves in the
 * memo. Inside lib/proto only. */
#ifndef SYNFRONT_SYN_PLAN_H
#define SYNFRONT_SYN_PLAN_H

#include <stddef.h>

#include "core_state.h"

/* The last plan of a burst. A SYN that says the same to the same is answered
 * the same: in a flood most do. */
struct syn_plan_memo {
	uint64_t said; /* the option fields of struct segment, shifted by the one byte more */
	uint64_t to;   /* backend, family and whether it is ours to promise; 0: nothing yet */
	struct syn_plan plan;
	uint8_t profile;
};

_Static_assert(offsetof(struct segment, wscale) == offsetof(struct segment, options) + 6,
               "what a SYN says lies in 7 bytes");

static __attribute__((noinline)) void
syn_plan_work_out(const struct segment *seg, const struct service *service,
                  const struct backend *backend, const struct instant *now,
                  struct syn_plan_memo *memo)
{
	const struct promise promise = admission_promise(service, backend, seg->is_v4);
	const struct tcp_offer offer = admission_offer(seg, &promise);
	struct syn_plan *plan = &memo->plan;

	memo->profile = (uint8_t)cookie_profile_of(&offer, seg->is_v4);
	*plan = (struct syn_plan){
		.offer = offer, .mss = promise.mss, .options = OPTION_MSS, .wscale = WSCALE_NONE
	};
	if (offer.wscale != WSCALE_NONE) {
		/* Without timestamps nothing brings back which scale was promised,
		 * so it is always the same. */
		plan->wscale = offer.timestamps ? promise.wscale : PROMISE_WSCALE;
		plan->options |= OPTION_WSCALE;
	}
	if (offer.sack)
		plan->options |= OPTION_SACK_PERMITTED;
	if (offer.timestamps) {
		plan->options |= OPTION_TIMESTAMPS;
		plan->ts_sent = cookie_ts_make(&offer, memo->profile, seg->is_v4, plan->wscale,
		                               now->wall_ms);
	}
}

static inline void
syn_plan_make(struct core *core, const struct segment *seg, const struct service_state *state,
              const struct instant *now, struct syn_plan_memo *memo, struct syn_plan *plan)
{
	const struct backend *backend = NULL;
	uint64_t said;

	if (state->mode == MODE_PROXY)
		backend = backend_at(&core->backends,
		                     backend_find(&core->backends, &seg->flow.server,
		                                  seg->flow.server_port_be, false,
		                                  (uint32_t)(now->now_ms / 1000)));
	uint64_t to = (uintptr_t)backend | (seg->is_v4 ? 4u : 2u) | (state->mode == MODE_RESPOND);
	memcpy(&said, &seg->options, sizeof(said));
	said <<= 8;
	if (said != memo->said || to != memo->to) {
		memo->said = said;
		memo->to = to;
		syn_plan_work_out(seg, state->service, backend, now, memo);
	}
	*plan = memo->plan;
	plan->net = core_net(core, &seg->flow);
}

#endif
