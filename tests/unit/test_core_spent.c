/* SPDX-License-Identifier: BSD-3-Clause */
/* SPENT: gone, remembered until its cookie has died. */
#include "core_lab.h"

static void
start(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	lab_spend(lab);
}

LAB_TEST(test_spent_same_cookie_reset, "SPENT.OUTSIDE.ACK", "SPENT.OUTSIDE.DATA")
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(answered_rst);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_RST);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 1);
	EQUAL(lab_grew(lab, COUNTER_spent_replayed), 1);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 100);
	OUTCOME_IS(answered_rst);
	CLIENT(TCP_ACK, lab->irs, lab->iss + 1);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

LAB_TEST(test_spent_newer_syn_opens, "SPENT.OUTSIDE.SYN")
{
	start(lab);
	lab->irs += 70000;
	lab->timestamps = false;
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_cookie);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.seq, lab->irs);
	EQUAL(lab_count(lab, COUNTER_opened), 2);
}

/* A late copy of the SYN that opened it: its cookie is the one that is spent. */
LAB_TEST(test_spent_same_syn_opens_nothing, "SPENT.OUTSIDE.SYN")
{
	start(lab);
	lab->timestamps = false;
	lab_syn(lab);
	for (unsigned int i = 0; i < lab->n_out; i++)
		EQUAL(lab->out[i].side, SIDE_OUTSIDE);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

/* Up to the end of its life, whatever the epoch. */
LAB_TEST(test_spent_replayed_all_its_life)
{
	start(lab);
	for (unsigned int s = 0; s < 2 * COOKIE_LIFE_MAX_S; s++) {
		lab_tick(lab, 1000);
		CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 10);
		EQUAL(lab_count(lab, COUNTER_opened), 1);
	}
}

/* A refused connection's cookie does not open again either. */
LAB_TEST(test_spent_after_refusal_reset)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	SERVER(TCP_RST | TCP_ACK, 0, lab->irs + 1);
	EQUAL(lab_state(lab), CONN_SPENT);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

LAB_TEST(test_spent_after_close_reset)
{
	lab_start(lab);
	lab_teach(lab);
	lab_close(lab);
	lab_tick(lab, 1000 * (lab->policy.timeouts.closing + 2));
	EQUAL(lab_state(lab), CONN_SPENT);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

LAB_TEST(test_spent_after_silence_reset)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	lab_tick(lab, 1000 * (lab->policy.timeouts.connecting + 8));
	EQUAL(lab_state(lab), CONN_SPENT);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

LAB_TEST(test_spent_stray_segments_dropped, "SPENT.OUTSIDE.SYN_ACK", "SPENT.OUTSIDE.RST",
         "SPENT.INSIDE.RST")
{
	start(lab);
	EQUAL(CLIENT(TCP_SYN | TCP_ACK, lab->irs + 1, lab->iss + 1), 0);
	OUTCOME_IS(drop_stray_syn_ack);
	EQUAL(CLIENT(TCP_RST, lab->irs + 1, 0), 0);
	OUTCOME_IS(drop_stray_rst);
	EQUAL(SERVER(TCP_RST, lab->server_iss + 1, 0), 0);
	OUTCOME_IS(drop_stray_rst);
	EQUAL(lab_state(lab), CONN_SPENT);
}

LAB_TEST(test_spent_inside_segments_reset, "SPENT.INSIDE.SYN_ACK", "SPENT.INSIDE.ACK",
         "SPENT.INSIDE.DATA")
{
	static const uint8_t flags[] = { TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK | TCP_FIN };

	start(lab);
	for (unsigned int i = 0; i < 3; i++) {
		SERVER(flags[i], lab->server_iss + 1, 4321);
		OUTCOME_IS(answered_rst);
		EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_RST);
		EQUAL(ONLY(SIDE_INSIDE)->seg.seq, 4321);
	}
}

/* It would forget the cookie: the host sends it again when that has died. */
LAB_TEST(test_spent_inside_syn_waits, "SPENT.INSIDE.SYN")
{
	start(lab);
	EQUAL(SERVER(TCP_SYN, 4, 0), 0);
	OUTCOME_IS(drop_stray);
	lab_tick(lab, 1000 * (COOKIE_LIFE_MAX_S + 2));
	SERVER(TCP_SYN, 4, 0);
	EQUAL(ONLY(SIDE_OUTSIDE)->kind, ACTION_FORWARD);
	EQUAL(lab_state(lab), CONN_TRACKED);
}

/* A protected host's own connection takes the ports of a spent one: the cookie
 * still opens nothing. */
LAB_TEST(test_spent_inside_syn_does_not_revive_cookie)
{
	start(lab);
	SERVER(TCP_SYN, 4, 0);
	SERVER(TCP_RST, 5, 0);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 12));
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

CU_TestInfo core_spent_tests[] = {
	CHECK_TEST(test_spent_same_cookie_reset),
	CHECK_TEST(test_spent_newer_syn_opens),
	CHECK_TEST(test_spent_same_syn_opens_nothing),
	CHECK_TEST(test_spent_replayed_all_its_life),
	CHECK_TEST(test_spent_after_refusal_reset),
	CHECK_TEST(test_spent_after_close_reset),
	CHECK_TEST(test_spent_after_silence_reset),
	CHECK_TEST(test_spent_stray_segments_dropped),
	CHECK_TEST(test_spent_inside_segments_reset),
	CHECK_TEST(test_spent_inside_syn_waits),
	CHECK_TEST(test_spent_inside_syn_does_not_revive_cookie),
	CU_TEST_INFO_NULL,
};
