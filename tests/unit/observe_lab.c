/* SPDX-License-Identifier: BSD-3-Clause */
#include "observe_lab.h"

#include "account.h"

/* Policies of reloads; [0] is not used. */
static struct policy after[3];
static struct service services_after[3][LAB_SERVICES];
static unsigned int n_after;

uint64_t
observe_would(const struct lab *lab, enum counter which)
{
	const struct counters *counters = core_would(lab->core);

	return counters != NULL ? counter_read(counters, which) : UINT64_MAX;
}

void
observe_start_as(struct lab *lab, bool observes)
{
	lab->params.seen = 1024;
	lab->services[0].observe = observes;
	lab->policy.observes = observes;
	lab->policy.may_observe = true;
	n_after = 0;
	lab_start(lab);
}

void
observe_start(struct lab *lab)
{
	observe_start_as(lab, true);
}

void
observe_reload(struct lab *lab, bool observes)
{
	struct policy *policy = &after[++n_after];
	uint32_t a, b;

	*policy = lab->policy;
	policy->generation += n_after;
	memcpy(services_after[n_after], lab->services, sizeof(lab->services));
	policy->services = services_after[n_after];
	services_after[n_after][0].observe = observes;
	policy->observes = observes;
	CHECK(policy_compile(policy, &a, &b) == NULL);
	core_set_policy(lab->core, policy);
}

void
observe_finish(struct lab *lab)
{
	struct account_equation row = account_observed(core_counters(lab->core),
	                                               core_would(lab->core));

	EQUAL(row.left, row.right);
	core_set_policy(lab->core, &lab->policy);
	for (; n_after > 0; n_after--)
		policy_free_index(&after[n_after]);
}

void
observe_check_crossed(struct lab *lab, enum side side)
{
	OUTCOME_IS(passed_observed);
	EQUAL(ONLY(side)->kind, ACTION_FORWARD);
}

void
observe_answered(struct lab *lab)
{
	lab->iss = lab->server_iss;
	CLIENT(TCP_SYN, lab->irs, 0, .options = lab->variant->options, .mss = 1460,
	       .wscale = lab->variant->wscale);
	observe_check_crossed(lab, SIDE_INSIDE);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .options = lab->variant->options,
	       .mss = 1460, .wscale = 7);
	observe_check_crossed(lab, SIDE_OUTSIDE);
}

void
observe_handshake(struct lab *lab)
{
	observe_answered(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	observe_check_crossed(lab, SIDE_INSIDE);
}
