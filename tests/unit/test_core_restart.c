/* SPDX-License-Identifier: BSD-3-Clause */
/* SYN-RECEIVED: a SYN of another ISS takes the place of the one before it, with all that counts. */
#include "core_lab.h"

static void
start(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_state);
}

/* From then on it is the newer one's entry: its time begins, and nothing of the older one's comes. */
LAB_TEST(test_restart_own_timer)
{
	start(lab);
	for (unsigned int again = 0; again < 2; again++) {
		lab_tick(lab, again == 0 ? 900 : 1900);
		EQUAL(lab->n_out, again);
		lab->irs += 100000;
		lab_syn_ack(lab);
		OUTCOME_IS(answered_syn_state);
		EQUAL(core_usage(lab->core).half_open, 1);
		EQUAL(lab_grew(lab, COUNTER_half_open_made), 1);
		EQUAL(lab_grew(lab, COUNTER_half_open_replaced), 1);
		lab_tick(lab, 900);
		EQUAL(lab->n_out, 0);
		lab_tick(lab, 200);
		EQUAL(ONLY(SIDE_OUTSIDE)->seg.ack, lab->irs + 1);
		EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss);
	}
	lab_connecting(lab);
	EQUAL(core_usage(lab->core).half_open, 0);
}

/* It takes the place of the older one in the budgets of its source, too. */
LAB_TEST_ONCE(test_restart_within_budget)
{
	lab->policy.sources.half_open_host = lab->policy.sources.half_open_net = 2;
	start(lab);
	lab->irs += 100000;
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_state);
	CLIENT(TCP_SYN, 5, 0, .client_port = 900);
	OUTCOME_IS(answered_syn_state);
	for (unsigned int i = 1; i < 4; i++) {
		CLIENT(TCP_SYN, 5 + i, 0, .client_port = 900);
		OUTCOME_IS(answered_syn_state);
		CLIENT(TCP_SYN, 5, 0, .client_port = 901);
		OUTCOME_IS(answered_syn_cookie);
		EQUAL(core_usage(lab->core).half_open, 2);
	}
	/* None is left when both have gone. */
	CLIENT(TCP_RST, 9, 0, .client_port = 900);
	lab_connecting(lab);
	EQUAL(core_usage(lab->core).half_open, 0);
	for (unsigned int i = 0; i < 3; i++) {
		CLIENT(TCP_SYN, 5, 0, .client_port = (uint16_t)(902 + i));
		CHECK(lab_grew(lab, i < 2 ? COUNTER_answered_syn_state
		                          : COUNTER_answered_syn_cookie) == 1);
	}
}

/* What may not have an entry takes that of the older one away. */
LAB_TEST(test_restart_over_rate_by_cookie)
{
	lab->policy.sources.syn_per_s_host = 1;
	start(lab);
	uint32_t old_iss = lab->iss, old_irs = lab->irs;
	lab->irs += 100000;
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_cookie);
	EQUAL(lab_grew(lab, COUNTER_half_open_replaced), 1);
	EQUAL(core_usage(lab->core).half_open, 0);
	CLIENT(TCP_ACK, old_irs + 1, old_iss + 1);
	OUTCOME_IS(taken_proof);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, old_irs);
}

LAB_TEST(test_restart_over_cap_dropped)
{
	lab->policy.reflection.per_net_per_s = 2;
	start(lab);
	lab->irs += 100000;
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_state);
	EQUAL(CLIENT(TCP_SYN, lab->irs + 5, 0), 0);
	OUTCOME_IS(drop_reflection);
	EQUAL(lab_grew(lab, COUNTER_half_open_replaced), 1);
	EQUAL(core_usage(lab->core).half_open, 0);
}

CU_TestInfo core_restart_tests[] = {
	CHECK_TEST(test_restart_own_timer),
	CHECK_TEST(test_restart_within_budget),
	CHECK_TEST(test_restart_over_rate_by_cookie),
	CHECK_TEST(test_restart_over_cap_dropped),
	CU_TEST_INFO_NULL,
};
