/* SPDX-License-Identifier: BSD-3-Clause */
/* Live lists: whom a service admits while they change. */
#include "core_lab.h"
#include "live_set.h"

static struct ip_addr
client_of(const struct lab *lab)
{
	return (lab->variant->is_v6 ? frame_spec_v6() : frame_spec_v4()).src;
}

/* The client's net, or its address alone. */
static struct prefix
prefix_of(const struct lab *lab, bool is_net)
{
	struct ip_addr addr = client_of(lab);
	uint8_t len = lab->variant->is_v6 ? 48 : 120;

	if (!is_net)
		len = 128;
	return (struct prefix){ ip_addr_mask(&addr, len), len };
}

static struct live_set *
live_new(struct lab *lab)
{
	struct live_set *set = live_set_new(1, 1);

	CHECK(set != NULL);
	return set;
}

static void
put(struct lab *lab, struct live_set *set, bool is_net, uint32_t scope, uint32_t verdict)
{
	struct prefix p = prefix_of(lab, is_net);

	CHECK(live_set_put(set, &p, scope, verdict));
	core_set_lists(lab->core, set);
}

/* None listens to it any more. */
static void
leave(struct lab *lab, struct live_set *set)
{
	core_set_lists(lab->core, NULL);
	live_set_free(set);
}

LAB_TEST(test_lists_deny_comes_and_goes)
{
	struct live_set *set = live_new(lab);

	lab_start(lab);
	lab_teach(lab);
	core_set_lists(lab->core, set);
	lab_syn_of(lab, 1, 0);
	OUTCOME_IS(answered_syn_state);
	put(lab, set, true, 0, LIVE_DENY);
	lab_syn_of(lab, 2, 0);
	OUTCOME_IS(drop_denied);
	lab_syn_of(lab, 3, 1);
	OUTCOME_IS(answered_syn_state);
	put(lab, set, true, 0, 0);
	lab_syn_of(lab, 4, 0);
	OUTCOME_IS(answered_syn_state);
	leave(lab, set);
}

/* However many SYNs the straight lane has taken. */
LAB_TEST(test_lists_deny_comes_while_cookies_are_out)
{
	struct live_set *set = live_new(lab);

	lab->services[1].cookies = COOKIES_ALWAYS;
	lab->server_port = LAB_RESPOND;
	lab_start(lab);
	lab_syn_of(lab, 1, 0);
	OUTCOME_IS(answered_syn_cookie);
	put(lab, set, true, 1u + 1, LIVE_DENY);
	lab_syn_of(lab, 2, 0);
	OUTCOME_IS(drop_denied);
	put(lab, set, true, 1u + 1, 0);
	lab_syn_of(lab, 3, 0);
	OUTCOME_IS(answered_syn_cookie);
	leave(lab, set);
}

LAB_TEST(test_lists_deny_of_one_service_is_not_anothers)
{
	struct live_set *set = live_new(lab);

	lab_start(lab);
	lab_teach(lab);
	put(lab, set, true, 1u + 1, LIVE_DENY); /* of respond */
	lab_syn_of(lab, 1, 0);
	OUTCOME_IS(answered_syn_state);
	CLIENT(TCP_SYN, 1, 0, .server_port = LAB_RESPOND);
	OUTCOME_IS(drop_denied);
	leave(lab, set);
}

/* What is allowed live goes before each list of the configuration; the longest prefix decides. */
LAB_TEST(test_lists_allow_goes_before_the_configuration)
{
	struct prefix net = prefix_of(lab, true);
	struct live_set *set = live_new(lab);

	lab->services[0].deny = &net;
	lab->services[0].n_deny = 1;
	lab_start(lab);
	lab_syn_of(lab, 1, 0);
	OUTCOME_IS(drop_denied);
	put(lab, set, false, 1, LIVE_ALLOW);
	lab_syn_of(lab, 2, 0);
	CHECK(lab_grew(lab, COUNTER_drop_denied) == 0);
	put(lab, set, true, 0, LIVE_DENY);
	lab_syn_of(lab, 3, 0);
	CHECK(lab_grew(lab, COUNTER_drop_denied) == 0);
	put(lab, set, false, 1, LIVE_ALLOW | LIVE_DENY);
	lab_syn_of(lab, 4, 0);
	CHECK(lab_grew(lab, COUNTER_drop_denied) == 0);
	put(lab, set, false, 1, LIVE_DENY);
	lab_syn_of(lab, 5, 0);
	OUTCOME_IS(drop_denied);
	leave(lab, set);
}

/* A reload does not forget them. */
LAB_TEST_ONCE(test_lists_outlive_a_policy)
{
	struct live_set *set = live_new(lab);
	struct policy again;
	uint32_t a, b;

	lab_start(lab);
	lab_teach(lab);
	put(lab, set, true, 1, LIVE_DENY);
	again = lab->policy;
	again.generation++;
	CHECK(policy_compile(&again, &a, &b) == NULL);
	core_set_policy(lab->core, &again);
	lab_syn_of(lab, 1, 0);
	OUTCOME_IS(drop_denied);
	core_set_policy(lab->core, &lab->policy);
	policy_free_index(&again);
	leave(lab, set);
}

LAB_TEST_ONCE(test_lists_handoff_denied)
{
	struct live_set *set = live_new(lab);

	lab_start(lab);
	put(lab, set, true, 0, LIVE_DENY);
	CLIENT(TCP_SYN, 1, 0, .server_port = LAB_HANDOFF);
	OUTCOME_IS(drop_denied);
	put(lab, set, true, 0, 0);
	CLIENT(TCP_SYN, 1, 0, .server_port = LAB_HANDOFF);
	EQUAL(lab_grew(lab, COUNTER_drop_denied), 0);
	leave(lab, set);
}

/* Under observe it would be dropped, and is not. */
LAB_TEST_ONCE(test_lists_observed_crosses)
{
	struct live_set *set = live_new(lab);

	lab->params.seen = 1024;
	lab->services[0].observe = true;
	lab->policy.observes = lab->policy.may_observe = true;
	lab_start(lab);
	put(lab, set, true, 0, LIVE_DENY);
	lab_syn(lab);
	OUTCOME_IS(passed_observed);
	EQUAL(counter_read(core_would(lab->core), COUNTER_drop_denied), 1);
	leave(lab, set);
}

CU_TestInfo core_lists_tests[] = {
	CHECK_TEST(test_lists_deny_comes_and_goes),
	CHECK_TEST(test_lists_deny_comes_while_cookies_are_out),
	CHECK_TEST(test_lists_deny_of_one_service_is_not_anothers),
	CHECK_TEST(test_lists_allow_goes_before_the_configuration),
	CHECK_TEST(test_lists_outlive_a_policy),
	CHECK_TEST(test_lists_handoff_denied),
	CHECK_TEST(test_lists_observed_crosses),
	CU_TEST_INFO_NULL,
};
