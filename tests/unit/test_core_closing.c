/* SPDX-License-Identifier: BSD-3-Clause */
/* CLOSING: both FINs or an exact RST seen. */
#include "core_lab.h"
#include "core_state.h"

static void
start(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	lab_close(lab);
}

LAB_TEST(test_closing_segments_rewritten, "CLOSING.OUTSIDE.ACK", "CLOSING.OUTSIDE.DATA",
         "CLOSING.INSIDE.ACK", "CLOSING.INSIDE.DATA")
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 2, lab->iss + 2);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.ack, lab->server_iss + 2);
	SERVER(TCP_ACK, lab->server_iss + 2, lab->irs + 2);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 2);
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 1, lab->irs + 2);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 1);
	/* The client's FIN again: it is no second proof of the cookie. */
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, lab->irs + 1);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

/* RFC 6191, RFC 9293 MAY-2: a higher ISS is a new incarnation. */
LAB_TEST(test_closing_newer_syn_fresh_handshake, "CLOSING.OUTSIDE.SYN")
{
	start(lab);
	lab->timestamps = false;
	lab->irs += 100000;
	lab->ts_clock[SIDE_OUTSIDE] += 1000;
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);
	EQUAL(syn.seg.flags, TCP_SYN);
	EQUAL(syn.seg.seq, lab->irs);
	EQUAL(lab_count(lab, COUNTER_opened), 2);
	lab->server_iss += 999999;
	lab_server_syn_ack(lab, &syn);
	EQUAL(lab_state(lab), CONN_SPLICED);
	EQUAL(lab_count(lab, COUNTER_completed), 1);
}

/* What opens must be whole, though what is carried need not be. */
LAB_TEST(test_closing_broken_proof_opens_nothing, "CLOSING.OUTSIDE.ACK")
{
	start(lab);
	lab->timestamps = false;
	lab->irs += 100000;
	lab->ts_clock[SIDE_OUTSIDE] += 1000;
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10, .bad_checksum = 5);
	OUTCOME_IS(drop_checksum);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(taken_proof);
}

LAB_TEST(test_closing_older_syn_challenged, "CLOSING.OUTSIDE.SYN")
{
	start(lab);
	CLIENT(TCP_SYN, lab->irs - 5000, 0);
	OUTCOME_IS(answered_ack);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_ACK);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 2);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.ack, lab->irs + 2);
	EQUAL(lab_state(lab), CONN_CLOSING);
}

LAB_TEST(test_closing_client_syn_ack_dropped, "CLOSING.OUTSIDE.SYN_ACK")
{
	start(lab);
	EQUAL(CLIENT(TCP_SYN | TCP_ACK, lab->irs + 2, lab->iss + 2), 0);
	OUTCOME_IS(drop_stray_syn_ack);
}

LAB_TEST(test_closing_client_rst_forwarded, "CLOSING.OUTSIDE.RST")
{
	start(lab);
	CLIENT(TCP_RST, lab->irs + 2, 0);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, lab->irs + 2);
	EQUAL(CLIENT(TCP_RST, lab->irs + 0x80000000, 0), 0);
	OUTCOME_IS(drop_rst_window);
}

LAB_TEST(test_closing_server_rst_forwarded, "CLOSING.INSIDE.RST")
{
	start(lab);
	SERVER(TCP_RST, lab->server_iss + 2, 0);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 2);
	EQUAL(SERVER(TCP_RST, lab->server_iss + 0x80000000, 0), 0);
	OUTCOME_IS(drop_rst_window);
}

/* Once the connection's cookie has died: before, its entry must stay. */
LAB_TEST(test_closing_inside_syn_passes, "CLOSING.INSIDE.SYN")
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	lab_tick(lab, 1000 * (COOKIE_LIFE_MAX_S + 2));
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1);
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 1, lab->irs + 2);
	SERVER(TCP_SYN, 5, 0);
	EQUAL(ONLY(SIDE_OUTSIDE)->kind, ACTION_FORWARD);
	EQUAL(lab_state(lab), CONN_TRACKED);
	EQUAL(lab_count(lab, COUNTER_completed), 1);
}

LAB_TEST(test_closing_inside_syn_ack_reset, "CLOSING.INSIDE.SYN_ACK")
{
	start(lab);
	SERVER(TCP_SYN | TCP_ACK, 5, 66);
	OUTCOME_IS(answered_rst);
	EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_RST);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, 66);
}

LAB_TEST(test_closing_timer_spends_then_frees, "CLOSING.INSIDE.TIMER", "SPENT.OUTSIDE.TIMER")
{
	start(lab);
	EQUAL(lab_tick(lab, 1000 * (lab->policy.timeouts.closing + 2)), 0);
	EQUAL(lab_state(lab), CONN_SPENT);
	EQUAL(lab_count(lab, COUNTER_completed), 1);
	EQUAL(lab_tick(lab, 1000 * COOKIE_LIFE_MAX_S), 0);
	EQUAL(lab_state(lab), CONN_FREE);
	EQUAL(core_usage(lab->core).connections, 0);
	EQUAL(core_usage(lab->core).paths, 0);
}

/* Its cookie is dead when it closes: nothing to remember. */
LAB_TEST_ONCE(test_closing_timer_old_connection_freed)
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	for (unsigned int i = 0; i < 4; i++) {
		lab_tick(lab, 20000);
		SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1);
	}
	CLIENT(TCP_RST, lab->irs + 1, 0);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	EQUAL(lab_state(lab), CONN_FREE);
}

/* The server has gone and answers each late copy of the request with RST. */
LAB_TEST(test_closing_reset_again_prolongs_nothing, "CLOSING.INSIDE.RST")
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .payload_len = 10);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	EQUAL(lab_state(lab), CONN_CLOSING);
	for (unsigned int i = 0; i < 2; i++) {
		lab_tick(lab, 500 * lab->policy.timeouts.reset_linger + 500);
		SERVER(TCP_RST, lab->server_iss + 1, 0);
	}
	EQUAL(lab_state(lab), CONN_SPENT);
}

/* The receiver goes on: the RST never reached it, or was not for it. */
LAB_TEST(test_closing_reset_linger_cancelled)
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	EQUAL(lab_state(lab), CONN_CLOSING);
	/* Under way when the RST came: says nothing. */
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .payload_len = 10);
	OUTCOME_IS(spliced);
	EQUAL(lab_state(lab), CONN_CLOSING);
	lab_tick(lab, 500 * lab->policy.timeouts.reset_linger + 500);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .payload_len = 10);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 1);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 5));
	EQUAL(lab_state(lab), CONN_SPLICED);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 11);
	OUTCOME_IS(spliced);
}

/* Anybody can forge it: the last words of the ends still cross. */
LAB_TEST(test_closing_forged_older_syn_changes_nothing, "CLOSING.OUTSIDE.SYN")
{
	start(lab);
	CLIENT(TCP_SYN, lab->irs - 0x10000000, 0, .options = OPTION_TIMESTAMPS, .tsval = 1);
	EQUAL(lab_state(lab), CONN_CLOSING);
	CLIENT(TCP_ACK, lab->irs + 2, lab->iss + 1);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.ack, lab->server_iss + 1);
	CLIENT(TCP_RST, lab->irs + 2, 0);
	OUTCOME_IS(spliced);
}

#define PIECE 1200u
#define FLIGHT (5000 * PIECE) /* more than 4 MiB */

/* All that a large window holds is under way when the last FIN passes: what the client
 * acknowledges of it is the connection's own, though no cookie is out. */
LAB_TEST(test_closing_far_behind_of_a_large_answer, "CLOSING.OUTSIDE.ACK", "CLOSING.OUTSIDE.DATA")
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	lab_tick(lab, 100000);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1);
	for (uint32_t at = 0; at < FLIGHT; at += PIECE)
		SERVER(TCP_ACK, lab->server_iss + 1 + at, lab->irs + 2, .payload_len = PIECE);
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 1 + FLIGHT, lab->irs + 2);
	EQUAL(lab_state(lab), CONN_CLOSING);
	for (uint32_t at = 0; at < FLIGHT; at += FLIGHT / 8) {
		CLIENT(TCP_ACK, lab->irs + 2, lab->iss + 1 + at);
		OUTCOME_IS(spliced);
		EQUAL(ONLY(SIDE_INSIDE)->seg.ack, lab->server_iss + 1 + at);
	}
	/* Its FIN was lost behind here. */
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1 + PIECE);
	OUTCOME_IS(spliced);
	SERVER(TCP_ACK, lab->server_iss + 1 + PIECE, lab->irs + 2, .payload_len = PIECE);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 1 + PIECE);
	CLIENT(TCP_ACK, lab->irs + 2, lab->iss + 2 + FLIGHT);
	OUTCOME_IS(spliced);
	EQUAL(lab_count(lab, COUNTER_rst_sent), 0);
	/* More than any window is nobody's. */
	CLIENT(TCP_ACK, lab->irs + 2, lab->iss + 2 + FLIGHT - WINDOW_MAX - 1);
	OUTCOME_IS(answered_rst);
}

/* So is what it sends again: a RST that its server has not taken, under a large upload. */
LAB_TEST(test_closing_far_behind_of_a_large_upload)
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	lab_tick(lab, 100000);
	for (uint32_t at = 0; at < FLIGHT; at += PIECE)
		CLIENT(TCP_ACK, lab->irs + 1 + at, lab->iss + 1, .payload_len = PIECE);
	SERVER(TCP_RST, lab->server_iss + 1, 0);
	EQUAL(lab_state(lab), CONN_CLOSING);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = PIECE);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, lab->irs + 1);
}

/* An ACK that was overtaken says nothing of what is acknowledged: closed it stays. */
LAB_TEST(test_closing_overtaken_ack_reopens_nothing)
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 11, lab->iss + 1);
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 1, lab->irs + 12);
	EQUAL(lab_state(lab), CONN_CLOSING);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1);
	OUTCOME_IS(spliced);
	EQUAL(core_service_view(lab->core, 0).connections, 0);
	lab_tick(lab, 1000 * (lab->policy.timeouts.closing + 2));
	EQUAL(lab_count(lab, COUNTER_completed), 1);
	EQUAL(core_service_view(lab->core, 0).connections, 0);
}

CU_TestInfo core_closing_tests[] = {
	CHECK_TEST(test_closing_segments_rewritten),
	CHECK_TEST(test_closing_newer_syn_fresh_handshake),
	CHECK_TEST(test_closing_broken_proof_opens_nothing),
	CHECK_TEST(test_closing_older_syn_challenged),
	CHECK_TEST(test_closing_forged_older_syn_changes_nothing),
	CHECK_TEST(test_closing_client_syn_ack_dropped),
	CHECK_TEST(test_closing_client_rst_forwarded),
	CHECK_TEST(test_closing_server_rst_forwarded),
	CHECK_TEST(test_closing_inside_syn_passes),
	CHECK_TEST(test_closing_inside_syn_ack_reset),
	CHECK_TEST(test_closing_timer_spends_then_frees),
	CHECK_TEST(test_closing_timer_old_connection_freed),
	CHECK_TEST(test_closing_reset_again_prolongs_nothing),
	CHECK_TEST(test_closing_reset_linger_cancelled),
	CHECK_TEST(test_closing_far_behind_of_a_large_answer),
	CHECK_TEST(test_closing_far_behind_of_a_large_upload),
	CHECK_TEST(test_closing_overtaken_ack_reopens_nothing),
	CU_TEST_INFO_NULL,
};
