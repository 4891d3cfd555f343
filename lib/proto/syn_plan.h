/* SPDX-License-Identifier: BSD-3-Clause */
/* Planning the answer to a SYN: all of it but the cookie, for which it leaves a
 * job. Inside lib/proto only. */
#ifndef SYNFRONT_SYN_PLAN_H
#define SYNFRONT_SYN_PLAN_H

#include "core_state.h"

static inline void
syn_plan_make(struct core *core, const struct segment *seg, const struct service *service,
              const struct instant *now, struct syn_plan *plan, struct cookie_job *job)
{
	const struct backend *backend = NULL;

	if (service->mode == MODE_PROXY)
		backend = backend_at(&core->backends,
		                     backend_find(&core->backends, &seg->flow.server,
		                                  seg->flow.server_port_be, false,
		                                  (uint32_t)(now->now_ms / 1000)));
	const struct promise promise = admission_promise(service, backend, seg->is_v4);
	const struct tcp_offer offer = admission_offer(seg, &promise);
	unsigned int profile = cookie_profile_of(&offer, seg->is_v4);
	uint8_t options = OPTION_MSS, wscale = WSCALE_NONE;

	if (offer.wscale != WSCALE_NONE) {
		/* Without timestamps nothing brings back which scale was promised,
		 * so it is always the same. */
		wscale = offer.timestamps ? promise.wscale : PROMISE_WSCALE;
		options |= OPTION_WSCALE;
	}
	if (offer.sack)
		options |= OPTION_SACK_PERMITTED;
	plan->ts_sent = 0;
	if (offer.timestamps) {
		options |= OPTION_TIMESTAMPS;
		plan->ts_sent = cookie_ts_make(&offer, profile, seg->is_v4, wscale, now->wall_ms);
	}
	plan->offer = offer;
	plan->mss = promise.mss;
	plan->options = options;
	plan->wscale = wscale;
	plan->net = core_net(core, &seg->flow);
	*job = (struct cookie_job){
		.flow = &seg->flow,
		.irs = seg->seq,
		.profile = (uint8_t)profile,
		.parity = now->secrets->epoch & 1,
		.is_v4 = seg->is_v4,
	};
}

#endif
