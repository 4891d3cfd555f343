/* SPDX-License-Identifier: BSD-3-Clause */
/* LISTEN: ACKs and data, which prove a cookie or do not. */
#include "core_lab.h"

/* <SEQ=SEG.ACK><CTL=RST>, without ACK. */
LAB_TEST(test_listen_unproven_ack_reset, "LISTEN.OUTSIDE.ACK")
{
	lab_start(lab);
	lab_teach(lab);
	CLIENT(TCP_ACK, lab->irs, lab->server_iss);
	OUTCOME_IS(answered_rst);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	EQUAL(out->seg.flags, TCP_RST);
	EQUAL(out->seg.seq, lab->server_iss);
	EQUAL(out->seg.ack, 0);
	EQUAL(out->seg.options, 0);
}

LAB_TEST(test_listen_unproven_ack_dropped)
{
	lab->services[0].unproven = REFUSE_DROP;
	lab_start(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs, lab->server_iss), 0);
	OUTCOME_IS(drop_unproven_ack);
}

LAB_TEST(test_listen_unproven_data_calm_reset, "LISTEN.OUTSIDE.DATA")
{
	lab_start(lab);
	lab_teach(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs, lab->server_iss, .payload_len = 10);
	OUTCOME_IS(answered_rst);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_RST);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->server_iss);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs, lab->server_iss);
	OUTCOME_IS(answered_rst);
}

/* It may be the second segment of a client whose first one was lost. */
LAB_TEST(test_listen_unproven_data_cookie_mode_dropped)
{
	uint32_t *until_s = lab_share_cookies(lab);

	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	/* What this worker tells the others. */
	EQUAL(until_s[lab->services[0].id], lab->now_ms / 1000 + COOKIE_LIFE_MAX_S + 1);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1001, lab->iss + 1, .payload_len = 10), 0);
	OUTCOME_IS(drop_unproven_data);
	/* The first one comes again. */
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 1000);
	OUTCOME_IS(taken_proof);
}

/* In the first second no cookie is out either, with several workers. */
LAB_TEST(test_listen_unproven_data_no_cookie_of_any_worker_reset)
{
	lab_share_cookies(lab);
	lab->now_ms = 1;
	lab_start(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs, lab->server_iss, .payload_len = 10);
	OUTCOME_IS(answered_rst);
}

/* ... and another worker has answered its SYN. */
LAB_TEST(test_listen_unproven_data_cookie_of_another_worker_dropped)
{
	uint32_t *until_s = lab_share_cookies(lab);

	lab_start(lab);
	lab_teach(lab);
	until_s[lab->services[0].id] = (uint32_t)(lab->now_ms / 1000) + COOKIE_LIFE_MAX_S;
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1001, lab->server_iss, .payload_len = 10), 0);
	OUTCOME_IS(drop_unproven_data);
	lab_tick(lab, 1000 * (COOKIE_LIFE_MAX_S + 2));
	CLIENT(TCP_ACK, lab->irs + 1001, lab->server_iss, .payload_len = 10);
	OUTCOME_IS(answered_rst);
}

/* So may an ACK without data be: of a client to which a SYN-ACK came twice. With timestamps it
 * brings that SYN-ACK's back; what brings another back has no cookie that is alive. */
LAB_TEST(test_listen_unproven_ack_cookie_mode_by_its_echo)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	uint32_t echo = lab->ts_seen[SIDE_OUTSIDE];
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1001, lab->iss + 1), 0);
	OUTCOME_IS(drop_unproven_ack);
	lab_tick(lab, 1000 * (COOKIE_LIFE_MAX_S - 1));
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1001, lab->iss + 1, .tsecr = echo), 0);
	OUTCOME_IS(drop_unproven_ack);
	lab_tick(lab, 2000);
	CLIENT(TCP_ACK, lab->irs + 1001, lab->iss + 1, .tsecr = echo);
	if (lab->timestamps) {
		OUTCOME_IS(answered_rst);
		EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_RST);
		EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 1);
	} else {
		OUTCOME_IS(drop_unproven_ack);
	}
}

/* Where no cookie is out, or none for so long that all have died, nobody can be let in. */
LAB_TEST(test_listen_unproven_ack_after_cookies_reset)
{
	uint32_t *until_s = lab_share_cookies(lab);

	lab_start(lab);
	lab_teach(lab);
	until_s[lab->services[0].id] = (uint32_t)(lab->now_ms / 1000) + COOKIE_LIFE_MAX_S;
	uint32_t echo = cookie_ts_again(0, lab->wall_ms);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1001, lab->server_iss, .tsecr = echo), 0);
	OUTCOME_IS(drop_unproven_ack);
	lab_tick(lab, 1000 * (COOKIE_LIFE_MAX_S + 2));
	echo = cookie_ts_again(0, lab->wall_ms);
	CLIENT(TCP_ACK, lab->irs + 1001, lab->server_iss, .tsecr = echo);
	OUTCOME_IS(answered_rst);
}

/* An entry lives for seconds, its cookie for most of a minute: what its client sends behind a first
 * segment that was lost is dropped as where cookies are out, and the first one opens. */
LAB_TEST(test_listen_unproven_of_expired_entry_dropped)
{
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	lab_tick(lab, 20000);
	EQUAL(core_usage(lab->core).half_open, 0);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1001, lab->iss + 1, .payload_len = 10), 0);
	OUTCOME_IS(drop_unproven_data);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1001, lab->iss + 1), 0);
	OUTCOME_IS(drop_unproven_ack);
	/* That of another flow is nobody's. */
	CLIENT(TCP_ACK, lab->irs + 1001, lab->iss + 1, .client_port = 4567, .payload_len = 10);
	OUTCOME_IS(answered_rst);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 1000);
	OUTCOME_IS(taken_proof);
}

LAB_TEST(test_listen_unproven_long_after_entry_reset)
{
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	lab_tick(lab, 20000);
	lab_tick(lab, 121000);
	CLIENT(TCP_ACK, lab->irs + 1001, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(answered_rst);
}

LAB_TEST(test_listen_unproven_ack_bad_checksum_dropped)
{
	lab_start(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs, lab->server_iss, .bad_checksum = 0x100), 0);
	OUTCOME_IS(drop_checksum);
}

LAB_TEST(test_listen_proving_ack_opens)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	EQUAL(lab_state(lab), CONN_CONNECTING);
	EQUAL(lab_grew(lab, COUNTER_cookies_good), 1);
}

LAB_TEST(test_listen_proving_data_opens)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 300);
	OUTCOME_IS(taken_proof);
	EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_SYN);
	EQUAL(ONLY(SIDE_INSIDE)->seg.payload_len, 0);
	EQUAL(lab_state(lab), CONN_CONNECTING);
}

LAB_TEST(test_listen_proving_ack_bad_checksum_dropped)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .bad_checksum = 1), 0);
	OUTCOME_IS(drop_checksum);
	EQUAL(lab_state(lab), CONN_FREE);
}

CU_TestInfo core_listen_ack_tests[] = {
	CHECK_TEST(test_listen_unproven_ack_reset),
	CHECK_TEST(test_listen_unproven_ack_dropped),
	CHECK_TEST(test_listen_unproven_data_calm_reset),
	CHECK_TEST(test_listen_unproven_data_cookie_mode_dropped),
	CHECK_TEST(test_listen_unproven_data_no_cookie_of_any_worker_reset),
	CHECK_TEST(test_listen_unproven_data_cookie_of_another_worker_dropped),
	CHECK_TEST(test_listen_unproven_ack_cookie_mode_by_its_echo),
	CHECK_TEST(test_listen_unproven_ack_after_cookies_reset),
	CHECK_TEST(test_listen_unproven_of_expired_entry_dropped),
	CHECK_TEST(test_listen_unproven_long_after_entry_reset),
	CHECK_TEST(test_listen_unproven_ack_bad_checksum_dropped),
	CHECK_TEST(test_listen_proving_ack_opens),
	CHECK_TEST(test_listen_proving_data_opens),
	CHECK_TEST(test_listen_proving_ack_bad_checksum_dropped),
	CU_TEST_INFO_NULL,
};
