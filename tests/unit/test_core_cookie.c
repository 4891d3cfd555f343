/* SPDX-License-Identifier: BSD-3-Clause */
/* What the cookie alone carries a connection through. */
#include "core_lab.h"

static void
start(struct lab *lab)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
}

/* A keep-alive or window probe carries SEQ-1. */
LAB_TEST(test_cookie_keep_alive_proves)
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, lab->irs);
}

LAB_TEST(test_cookie_keep_alive_with_one_byte_proves)
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs, lab->iss + 1, .payload_len = 1);
	OUTCOME_IS(taken_proof);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	/* That byte stands before the first: it is no data for the server. */
	lab_server_syn_ack(lab, &syn);
	for (unsigned int i = 0; i < lab->n_out; i++)
		EQUAL(lab->out[i].seg.payload_len, 0);
	EQUAL(lab_state(lab), CONN_SPLICED);
}

LAB_TEST(test_cookie_one_below_with_data_or_fin_proves_nothing)
{
	start(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs, lab->iss + 1, .payload_len = 2), 0);
	EQUAL(CLIENT(TCP_ACK | TCP_FIN, lab->irs, lab->iss + 1), 0);
	EQUAL(lab_count(lab, COUNTER_opened), 0);
}

/* Any other sequence number, acknowledgment, port or address. */
LAB_TEST(test_cookie_of_another_proves_nothing)
{
	start(lab);
	for (unsigned int bit = 0; bit < 32; bit++) {
		CLIENT(TCP_ACK, lab->irs + 1, (lab->iss + 1) ^ 1u << bit);
		CLIENT(TCP_ACK, (lab->irs + 1) ^ 1u << bit, lab->iss + 1);
	}
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .client_port = 40001);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .server_port = LAB_RESPOND);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .client = 1);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .host = 1);
	/* irs + 1 with its lowest bit cleared may be one below: a probe. */
	CHECK(lab_count(lab, COUNTER_opened) <= 1);
}

LAB_TEST(test_cookie_lives_28_seconds_and_dies_at_60)
{
	lab->wall_ms += (EPOCH_S * 1000 - lab->wall_ms % (EPOCH_S * 1000)) - 10000;
	start(lab);
	lab_tick(lab, (EPOCH_S - EPOCH_LEAD_S) * 1000 - 100);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	lab->client_port++;
	lab->timestamps = false;
	lab_syn_ack(lab);
	lab_tick(lab, COOKIE_LIFE_MAX_S * 1000);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	CHECK(lab_grew(lab, COUNTER_opened) == 0);
}

/* The gate: while no cookie can be out, an ACK costs no MAC. */
LAB_TEST(test_cookie_gate_refuses_unchecked)
{
	lab->params.cookie_gate = true;
	lab_start(lab);
	lab_tick(lab, (COOKIE_LIFE_MAX_S + 1) * 1000);
	uint64_t checked = lab_count(lab, COUNTER_cookies_checked);
	CLIENT(TCP_ACK, 7, 8);
	EQUAL(lab_count(lab, COUNTER_cookies_checked), checked);
	EQUAL(lab_grew(lab, COUNTER_cookies_gated), 1);
	lab_teach(lab);
	lab_connecting(lab);
}

LAB_TEST(test_cookie_gate_open_after_start)
{
	lab->params.cookie_gate = true;
	lab_start(lab);
	CLIENT(TCP_ACK, 7, 8);
	EQUAL(lab_grew(lab, COUNTER_cookies_checked), 1);
}

/* A replay while the connection lives is a segment of it, not a second one. */
LAB_TEST(test_cookie_replayed_while_connecting_and_spliced)
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	EQUAL(lab->n_out, 0);
	lab_server_syn_ack(lab, &syn);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(spliced);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

/* A client that comes back with the ports of a live connection of which nothing is
 * left at its end: the challenge ACK, its RST, and then its SYN. */
LAB_TEST(test_cookie_client_restart_recovers)
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	lab_server_syn_ack(lab, &syn);
	uint32_t old = lab->irs;
	lab->irs += 123456;
	lab_syn(lab);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_ACK);
	uint32_t rst = ONLY(SIDE_OUTSIDE)->seg.ack;
	EQUAL(rst, old + 1);
	CLIENT(TCP_RST, rst, 0);
	EQUAL(lab_state(lab), CONN_CLOSING);
	lab->timestamps = false;
	lab->ts_clock[SIDE_OUTSIDE] += 1000;
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	EQUAL(lab_count(lab, COUNTER_opened), 2);
}

CU_TestInfo core_cookie_tests[] = {
	CHECK_TEST(test_cookie_keep_alive_proves),
	CHECK_TEST(test_cookie_keep_alive_with_one_byte_proves),
	CHECK_TEST(test_cookie_one_below_with_data_or_fin_proves_nothing),
	CHECK_TEST(test_cookie_of_another_proves_nothing),
	CHECK_TEST(test_cookie_lives_28_seconds_and_dies_at_60),
	CHECK_TEST(test_cookie_gate_refuses_unchecked),
	CHECK_TEST(test_cookie_gate_open_after_start),
	CHECK_TEST(test_cookie_replayed_while_connecting_and_spliced),
	CHECK_TEST(test_cookie_client_restart_recovers),
	CU_TEST_INFO_NULL,
};
