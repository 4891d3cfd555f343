/* SPDX-License-Identifier: BSD-3-Clause */
#include "admit.h"

#include "core.h"
#include "observe.h"
#include "syn_lane.h"

uint32_t
live_verdict(const struct core *core, const struct service *service, const struct ip_addr *client)
{
	return core->live == NULL ? core->verdict
	                          : live_set_find(core->live, client, 1u + service->id);
}

bool
admits(const struct core *core, const struct service *service, const struct ip_addr *client)
{
	uint32_t verdict = live_verdict(core, service, client);

	if (verdict != 0)
		return (verdict & LIVE_ALLOW) != 0;
	return policy_admits(core->policy, service, client);
}

bool
admits_signed(struct core *core, const struct step *step)
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

bool
admit_is_asked(const struct core *core, const struct service *service)
{
	return service->n_allow != 0 || service->n_deny != 0 ||
	       (core->live != NULL && live_set_concerns(core->live, 1u + service->id));
}

void
core_set_lists(struct core *core, const struct live_set *live)
{
	core->live = live;
	for (uint32_t i = 0; i < core->policy->n_services; i++) {
		const struct service *service = &core->policy->services[i];

		struct service_state *state = &core->services[service->id];

		state->is_listed = admit_is_asked(core, service);
		state->lane = syn_lane_of(state);
	}
	if (core->observer != NULL)
		core_set_lists(core->observer->shadow, live);
}
