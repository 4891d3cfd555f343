/* SPDX-License-Identifier: BSD-3-Clause */
#include "group_secrets.h"

void
group_secrets_of(struct secret_ring *ring, const struct policy *policy)
{
	const char *groups[SECRET_SETS] = { NULL };

	/* Those of the running policy stay for as long as nobody needs their place. */
	for (unsigned int i = 1; i < SECRET_SETS; i++)
		groups[i] = ring->groups[i];
	for (uint32_t i = 0; i < policy->n_services; i++)
		if (policy->services[i].mode == MODE_HANDOFF)
			groups[policy->services[i].group_id] = policy->services[i].group;
	secret_set_groups(ring, groups);
}
