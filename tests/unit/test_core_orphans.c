/* SPDX-License-Identifier: BSD-3-Clause */
/* A reload takes a service away, or serves it no more: its connections live on. */
#include "core_lab.h"

/* The policy after the reload. */
static struct policy policy_after;
static struct service services_after[LAB_SERVICES];

static void
reload(struct lab *lab, bool removed)
{
	uint32_t a, b;

	policy_after = lab->policy;
	policy_after.generation++;
	memcpy(services_after, lab->services, sizeof(services_after));
	policy_after.services = services_after;
	if (removed) {
		policy_after.services = services_after + 1;
		policy_after.n_services = LAB_SERVICES - 1;
	} else {
		services_after[0].mode = MODE_BYPASS;
	}
	CHECK(policy_compile(&policy_after, &a, &b) == NULL);
	core_set_policy(lab->core, &policy_after);
}

static void
forget(struct lab *lab)
{
	core_set_policy(lab->core, &lab->policy);
	policy_free_index(&policy_after);
}

static void
start(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
}

/* Both directions are rewritten as before, and the end is followed. */
static void
check_carried(struct lab *lab)
{
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.ack, lab->server_iss + 1);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 11, .payload_len = 20);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 1);
	/* Garbage is not carried just because the service is gone. */
	CLIENT(TCP_RST, lab->irs + 0x7000000, 0);
	OUTCOME_IS(drop_rst_window);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 11, lab->iss + 21);
	OUTCOME_IS(spliced);
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 21, lab->irs + 12);
	OUTCOME_IS(spliced);
	CLIENT(TCP_ACK, lab->irs + 12, lab->iss + 22);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.ack, lab->server_iss + 22);
	EQUAL(lab_state(lab), CONN_CLOSING);
}

LAB_TEST(test_orphans_of_a_removed_service_are_carried)
{
	start(lab);
	reload(lab, true);
	check_carried(lab);
	/* What it was is over: no one answers for the port any more. */
	lab_tick(lab, 1000 * (lab->policy.timeouts.closing + 2));
	EQUAL(lab_state(lab), CONN_SPENT);
	CLIENT(TCP_ACK, lab->irs + 12, lab->iss + 22);
	OUTCOME_IS(passed_other);
	EQUAL(lab_count(lab, COUNTER_completed), 1);
	forget(lab);
}

LAB_TEST(test_orphans_of_a_bypassed_service_are_carried)
{
	start(lab);
	reload(lab, false);
	check_carried(lab);
	forget(lab);
}

/* Newcomers are treated as the new policy says. */
LAB_TEST(test_orphans_leave_newcomers_alone)
{
	start(lab);
	reload(lab, true);
	CLIENT(TCP_SYN, 77, 0, .client_port = 1234);
	OUTCOME_IS(answered_rst);
	CLIENT(TCP_ACK, 77, 99, .client_port = 1235);
	OUTCOME_IS(passed_other);
	forget(lab);
	reload(lab, false);
	CLIENT(TCP_SYN, 77, 0, .client_port = 1234);
	OUTCOME_IS(passed_bypass);
	CLIENT(TCP_ACK, 77, 99, .client_port = 1235);
	OUTCOME_IS(passed_bypass);
	forget(lab);
}

/* An idle one is reset to both ends, as always. */
LAB_TEST(test_orphans_expire)
{
	start(lab);
	reload(lab, true);
	EQUAL(lab_tick(lab, 1000 * (lab->policy.timeouts.idle + 2)), 2);
	CHECK(NTH(SIDE_OUTSIDE, 0)->seg.flags & TCP_RST);
	CHECK(NTH(SIDE_INSIDE, 0)->seg.flags & TCP_RST);
	EQUAL(lab_count(lab, COUNTER_expired), 1);
	forget(lab);
}

/* A half-open one has nothing to lose: its client begins anew. */
LAB_TEST_ONCE(test_orphans_half_open_are_none)
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice_of(lab, 1, 1);
	lab_syn_ack(lab);
	reload(lab, true);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(passed_other);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
	forget(lab);
}

/* Where nothing was open there is nothing to look for. */
LAB_TEST_ONCE(test_orphans_none_after_reload_without_connections)
{
	lab_start(lab);
	lab_teach(lab);
	EQUAL(core_usage(lab->core).connections, 0);
	reload(lab, true);
	CLIENT(TCP_ACK, 77, 99);
	OUTCOME_IS(passed_other);
	forget(lab);
}

CU_TestInfo core_orphans_tests[] = {
	CHECK_TEST(test_orphans_of_a_removed_service_are_carried),
	CHECK_TEST(test_orphans_of_a_bypassed_service_are_carried),
	CHECK_TEST(test_orphans_leave_newcomers_alone),
	CHECK_TEST(test_orphans_expire),
	CHECK_TEST(test_orphans_half_open_are_none),
	CHECK_TEST(test_orphans_none_after_reload_without_connections),
	CU_TEST_INFO_NULL,
};
