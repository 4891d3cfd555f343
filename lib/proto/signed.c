/* SPDX-License-Identifier: BSD-3-Clause */
#include "signed.h"

#include "act.h"
#include "admit.h"
#include "pass.h"

bool
signed_admits(struct core *core, const struct step *step)
{
	const struct segment *seg = step->seg;
	const struct service *service = step->service;
	uint32_t now_ms = (uint32_t)step->now->now_ms;
	uint64_t net = source_net_hash(&core->hash_key, &seg->flow.client);
	bool in_flood = step->state->cookie_mode || step->state->cookies == COOKIES_ALWAYS;

	/* In the sketch of SYN rates, where plain SYNs do not count. */
	if (rate_hit_up_to(&core->syn_rate, net ^ SIGNED_SALT, now_ms, SIGNED_NET_PER_S) >
	    SIGNED_NET_PER_S)
		return false;
	/* Who is named in a list, or has shown lately that it is there. */
	if (service->n_allow != 0 || recent_has(&core->proven, net) ||
	    (live_verdict(core, service, &seg->flow.client) & LIVE_ALLOW))
		return bucket_take(&core->pass_bucket, PASSES_PER_S, now_ms);
	if (in_flood && !bucket_take(&core->signed_bucket, SIGNED_IN_FLOOD_PER_S, now_ms))
		return false;
	return bucket_take_above(&core->pass_bucket, PASSES_PER_S, now_ms,
	                         bucket_burst(PASSES_PER_S) / 4);
}

void
signed_syn(struct core *core, struct step *step)
{
	const struct service *service = step->service;

	if (service->signed_syn == REFUSE_RESET) {
		act_reset(core, step);
		return;
	}
	if (service->signed_syn == REFUSE_PASS && core->params.has_inside &&
	    signed_admits(core, step) && pass_begin(core, step, false)) {
		act_forward(core, step, COUNTER_passed_syn);
		return;
	}
	act_drop(core, step, COUNTER_drop_signed);
}
