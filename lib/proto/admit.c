/* SPDX-License-Identifier: BSD-3-Clause */
#include "admit.h"

#include "core.h"
#include "observe.h"

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
