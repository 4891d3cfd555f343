/* SPDX-License-Identifier: BSD-3-Clause */
/* RESPONDING: mode respond, the engine is the server. */
#include "core_lab.h"

static void
start(struct lab *lab)
{
	lab->server_port = LAB_RESPOND;
	lab_start(lab);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	EQUAL(lab->n_out, 0);
	EQUAL(lab_state(lab), CONN_RESPONDING);
}

static void
check_ack(struct lab *lab, uint32_t seq, uint32_t ack, uint8_t flags)
{
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);

	EQUAL(out->seg.flags, flags);
	EQUAL(out->seg.seq, seq);
	EQUAL(out->seg.ack, ack);
	EQUAL(out->seg.payload_len, 0);
}

LAB_TEST(test_responding_ack_noted, "RESPONDING.OUTSIDE.ACK")
{
	start(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1), 0);
	EQUAL(lab_state(lab), CONN_RESPONDING);
}

LAB_TEST(test_responding_ack_outside_window_acked)
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 0x40000000, lab->iss + 1);
	check_ack(lab, lab->iss + 1, lab->irs + 1, TCP_ACK);
}

LAB_TEST(test_responding_data_acknowledged, "RESPONDING.OUTSIDE.DATA")
{
	start(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 600);
	OUTCOME_IS(answered_data);
	check_ack(lab, lab->iss + 1, lab->irs + 601, TCP_ACK);
	CHECK(ONLY(SIDE_OUTSIDE)->seg.window > 0);
	/* The same again, and one ahead of its turn: RCV.NXT as it is. */
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 600);
	check_ack(lab, lab->iss + 1, lab->irs + 601, TCP_ACK);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1601, lab->iss + 1, .payload_len = 600);
	check_ack(lab, lab->iss + 1, lab->irs + 601, TCP_ACK);
}

LAB_TEST(test_responding_data_carries_timestamps)
{
	start(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 600);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	EQUAL(out->seg.options, lab->timestamps ? OPTION_TIMESTAMPS : 0);
	if (lab->timestamps)
		EQUAL(out->seg.tsecr, lab->ts_clock[SIDE_OUTSIDE]);
}

/* TSecr is TS.Recent: of what was taken, whatever a segment that was not says
 * (RFC 7323, 4.3). */
LAB_TEST(test_responding_echo_is_of_what_was_taken)
{
	start(lab);
	if (!lab->timestamps)
		return;
	uint32_t taken = lab->ts_clock[SIDE_OUTSIDE] + 100;
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .tsval = taken);
	CLIENT(TCP_SYN, lab->irs + 4444, 0, .options = OPTION_TIMESTAMPS, .tsval = 0x70000000);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.tsecr, taken);
	CLIENT(TCP_RST, lab->irs + 2, 0, .options = OPTION_TIMESTAMPS, .tsval = 0x70000000);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.tsecr, taken);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 10000, .tsval = taken + 1);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.tsecr, taken);
	CLIENT(TCP_ACK, lab->irs + 0x40000000, lab->iss + 1, .tsval = taken + 2);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.tsecr, taken);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1001, lab->iss + 1, .payload_len = 9,
	       .tsval = taken + 3);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.tsecr, taken);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 9, .tsval = taken + 4);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.tsecr, taken + 4);
	/* Older, but in order: time does not go back. */
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 10, lab->iss + 1, .payload_len = 9,
	       .tsval = taken + 3);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.tsecr, taken + 4);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 19, lab->iss + 1, .tsval = taken + 5);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.tsecr, taken + 5);
}

LAB_TEST(test_responding_proof_with_data_acknowledged)
{
	lab->server_port = LAB_RESPOND;
	lab_start(lab);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 20);
	check_ack(lab, lab->iss + 1, lab->irs + 21, TCP_ACK);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

LAB_TEST(test_responding_fin_answered_with_fin, "RESPONDING.OUTSIDE.DATA")
{
	start(lab);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1, .payload_len = 5);
	check_ack(lab, lab->iss + 1, lab->irs + 7, TCP_ACK | TCP_FIN);
	/* It was lost: the client's again, and so the answer. */
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1, .payload_len = 5);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.ack, lab->irs + 7);
	CLIENT(TCP_ACK, lab->irs + 7, lab->iss + 2);
	lab_tick(lab, 1000 * (lab->policy.timeouts.closing + 2));
	EQUAL(lab_count(lab, COUNTER_completed), 1);
	EQUAL(core_remaining(lab->core), 0);
}

LAB_TEST(test_responding_syn_challenged, "RESPONDING.OUTSIDE.SYN")
{
	start(lab);
	CLIENT(TCP_SYN, lab->irs + 4444, 0);
	OUTCOME_IS(answered_ack);
	check_ack(lab, lab->iss + 1, lab->irs + 1, TCP_ACK);
}

LAB_TEST(test_responding_syn_ack_dropped, "RESPONDING.OUTSIDE.SYN_ACK")
{
	start(lab);
	EQUAL(CLIENT(TCP_SYN | TCP_ACK, lab->irs + 1, lab->iss + 1), 0);
	OUTCOME_IS(drop_stray_syn_ack);
}

LAB_TEST(test_responding_rst_exact_closes, "RESPONDING.OUTSIDE.RST")
{
	start(lab);
	EQUAL(CLIENT(TCP_RST, lab->irs + 1, 0), 0);
	EQUAL(core_remaining(lab->core), 0);
	EQUAL(lab_count(lab, COUNTER_reset), 1);
}

LAB_TEST(test_responding_rst_in_window_challenged, "RESPONDING.OUTSIDE.RST")
{
	start(lab);
	CLIENT(TCP_RST, lab->irs + 2, 0);
	OUTCOME_IS(answered_ack);
	check_ack(lab, lab->iss + 1, lab->irs + 1, TCP_ACK);
	EQUAL(lab_state(lab), CONN_RESPONDING);
}

LAB_TEST(test_responding_rst_outside_window_dropped)
{
	start(lab);
	EQUAL(CLIENT(TCP_RST, lab->irs + 0x70000000, 0), 0);
	OUTCOME_IS(drop_rst_window);
	EQUAL(lab_state(lab), CONN_RESPONDING);
}

LAB_TEST(test_responding_inside_syn_passes, "RESPONDING.INSIDE.SYN")
{
	start(lab);
	EQUAL(SERVER(TCP_SYN, 4, 0), 0); /* the cookie lives */
	OUTCOME_IS(drop_stray);
	lab_tick(lab, 1000 * (COOKIE_LIFE_MAX_S + 2));
	SERVER(TCP_SYN, 4, 0);
	EQUAL(ONLY(SIDE_OUTSIDE)->kind, ACTION_FORWARD);
}

LAB_TEST(test_responding_inside_segments_reset, "RESPONDING.INSIDE.SYN_ACK",
         "RESPONDING.INSIDE.ACK", "RESPONDING.INSIDE.DATA", "RESPONDING.INSIDE.RST")
{
	static const uint8_t flags[] = { TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK | TCP_FIN };

	start(lab);
	for (unsigned int i = 0; i < 3; i++) {
		SERVER(flags[i], 4, 55);
		EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_RST);
		EQUAL(ONLY(SIDE_INSIDE)->seg.seq, 55);
	}
	EQUAL(SERVER(TCP_RST, 4, 55), 0);
	OUTCOME_IS(drop_stray_rst);
	EQUAL(lab_state(lab), CONN_RESPONDING);
}

LAB_TEST(test_responding_idle_resets_client, "RESPONDING.OUTSIDE.TIMER")
{
	start(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	lab_tick(lab, 1000 * (lab->policy.timeouts.idle + 2));
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	CHECK(out->seg.flags & TCP_RST);
	EQUAL(out->seg.seq, lab->iss + 1);
	EQUAL(lab_count(lab, COUNTER_expired), 1);
}

/* The topology with one port: nothing can be passed on. */
LAB_TEST(test_responding_alone_nothing_passes)
{
	lab->params.has_inside = false;
	lab->services[0].mode = lab->services[2].mode = lab->services[3].mode = MODE_RESPOND;
	lab->policy.closed_port = REFUSE_PASS;
	start(lab);
	EQUAL(CLIENT(TCP_SYN, 1, 0, .server_port = LAB_CLOSED), 0);
	OUTCOME_IS(drop_no_inside);
	EQUAL(CLIENT(TCP_SYN, 1, 0, .options = OPTION_MD5, .client_port = 999), 0);
	CHECK(lab_grew(lab, COUNTER_drop_no_inside) + lab_grew(lab, COUNTER_drop_signed) == 1);
}

CU_TestInfo core_responding_tests[] = {
	CHECK_TEST(test_responding_ack_noted),
	CHECK_TEST(test_responding_ack_outside_window_acked),
	CHECK_TEST(test_responding_data_acknowledged),
	CHECK_TEST(test_responding_data_carries_timestamps),
	CHECK_TEST(test_responding_echo_is_of_what_was_taken),
	CHECK_TEST(test_responding_proof_with_data_acknowledged),
	CHECK_TEST(test_responding_fin_answered_with_fin),
	CHECK_TEST(test_responding_syn_challenged),
	CHECK_TEST(test_responding_syn_ack_dropped),
	CHECK_TEST(test_responding_rst_exact_closes),
	CHECK_TEST(test_responding_rst_in_window_challenged),
	CHECK_TEST(test_responding_rst_outside_window_dropped),
	CHECK_TEST(test_responding_inside_syn_passes),
	CHECK_TEST(test_responding_inside_segments_reset),
	CHECK_TEST(test_responding_idle_resets_client),
	CHECK_TEST(test_responding_alone_nothing_passes),
	CU_TEST_INFO_NULL,
};
