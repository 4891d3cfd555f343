/* SPDX-License-Identifier: BSD-3-Clause */
/* adopt: flows that are older than the engine, confirmed in both directions. */
#include "core_lab.h"

LAB_TEST(test_adopted_client_first, "TRACKED.INSIDE.ACK")
{
	lab->policy.timeouts.adopt = 60;
	lab_start(lab);
	CLIENT(TCP_ACK, lab->irs + 1000, lab->server_iss + 2000, .payload_len = 50);
	OUTCOME_IS(passed_adopted);
	EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
	SERVER(TCP_ACK, lab->server_iss + 2000, lab->irs + 1050);
	EQUAL(ONLY(SIDE_OUTSIDE)->kind, ACTION_FORWARD);
	EQUAL(lab_count(lab, COUNTER_adopted), 1);
	EQUAL(lab_state(lab), CONN_TRACKED);
	CLIENT(TCP_ACK, lab->irs + 1050, lab->server_iss + 2000);
	lab_check_passed(lab, SIDE_INSIDE);
}

LAB_TEST(test_adopted_server_first, "TRACKED.OUTSIDE.ACK")
{
	lab->policy.timeouts.adopt = 60;
	lab_start(lab);
	SERVER(TCP_ACK, lab->server_iss + 2000, lab->irs + 1050, .payload_len = 10);
	OUTCOME_IS(passed_adopted);
	CLIENT(TCP_ACK, lab->irs + 1050, lab->server_iss + 2010);
	EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
	EQUAL(lab_count(lab, COUNTER_adopted), 1);
}

/* A service that comes by a reload, long after the start; another one does not. */
LAB_TEST(test_adopted_after_a_reload)
{
	lab->policy.timeouts.adopt = 60;
	lab_start(lab);
	lab_tick(lab, 61000);
	CLIENT(TCP_ACK, lab->irs + 1000, lab->server_iss + 2000, .payload_len = 50);
	OUTCOME_IS(answered_rst);
	core_adopt_anew(lab->core, &(struct instant){ .now_ms = lab->now_ms });
	CLIENT(TCP_ACK, lab->irs + 1000, lab->server_iss + 2000, .payload_len = 50);
	OUTCOME_IS(answered_rst);
	lab->services[0].adopts = true;
	core_adopt_anew(lab->core, &(struct instant){ .now_ms = lab->now_ms });
	CLIENT(TCP_ACK, lab->irs + 1000, lab->server_iss + 2000, .payload_len = 50);
	OUTCOME_IS(passed_adopted);
	SERVER(TCP_ACK, lab->server_iss + 2000, lab->irs + 1050);
	EQUAL(lab_count(lab, COUNTER_adopted), 1);
	lab->client_port++;
	lab_tick(lab, 59000);
	CLIENT(TCP_ACK, lab->irs + 1000, lab->server_iss + 2000, .payload_len = 50);
	OUTCOME_IS(passed_adopted);
	lab->client_port++;
	lab_tick(lab, 1000);
	CLIENT(TCP_ACK, lab->irs + 1000, lab->server_iss + 2000, .payload_len = 50);
	OUTCOME_IS(answered_rst);
}

/* Spliced by an earlier run: the two sides do not fit. The client is asked, and goes on
 * counting its own way: both are told in the end. */
LAB_TEST(test_adopted_unfit_reset, "TRACKED.INSIDE.DATA", "TRACKED.INSIDE.TIMER")
{
	lab->policy.timeouts.adopt = 60;
	lab_start(lab);
	CLIENT(TCP_ACK, lab->irs + 1000, lab->server_iss + 0x50000000, .payload_len = 50);
	OUTCOME_IS(passed_adopted);
	SERVER(TCP_ACK, lab->server_iss, lab->irs + 1050, .payload_len = 7);
	OUTCOME_IS(passed_adopted);
	const struct lab_out *asked = NTH(SIDE_OUTSIDE, 0);
	EQUAL(asked->seg.flags, TCP_ACK);
	EQUAL(asked->seg.seq, lab->server_iss + 7 - 1);
	EQUAL(asked->seg.ack, lab->irs + 1050);
	for (unsigned int s = 0; s < 9; s++) {
		EQUAL(lab_tick(lab, 1000), 0);
		CLIENT(TCP_ACK, lab->irs + 1050, lab->server_iss + 0x50000000);
		EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
	}
	EQUAL(lab_tick(lab, 3000), 2);
	const struct lab_out *client = NTH(SIDE_OUTSIDE, 0), *server = NTH(SIDE_INSIDE, 0);
	EQUAL(client->seg.flags, TCP_RST);
	EQUAL(client->seg.seq, lab->server_iss + 0x50000000);
	EQUAL(server->seg.flags, TCP_RST);
	EQUAL(server->seg.seq, lab->irs + 1050);
	EQUAL(lab_count(lab, COUNTER_adopt_asked), 1);
	EQUAL(lab_count(lab, COUNTER_adopt_refused), 1);
	EQUAL(lab_state(lab), CONN_FREE);
}

/* Who knows the ports of a connection cannot have it reset: its client answers when it
 * is asked, whatever else comes from outside. */
LAB_TEST(test_adopted_forged_segments_do_no_harm)
{
	lab->policy.timeouts.adopt = 60;
	lab_start(lab);
	CLIENT(TCP_ACK, lab->irs + 0x40000000, lab->server_iss + 0x40000000, .payload_len = 5);
	SERVER(TCP_ACK, lab->server_iss, lab->irs + 1050);
	CLIENT(TCP_ACK, lab->irs + 0x20000000, lab->server_iss);
	OUTCOME_IS(passed_adopted);
	CLIENT(TCP_ACK, lab->irs + 1050, lab->server_iss);
	EQUAL(lab_count(lab, COUNTER_adopted), 1);
	CLIENT(TCP_ACK, lab->irs + 0x40000000, lab->server_iss + 0x40000000, .payload_len = 5);
	for (unsigned int s = 0; s < 30; s++)
		EQUAL(lab_tick(lab, 1000), 0);
	SERVER(TCP_ACK, lab->server_iss, lab->irs + 1050, .payload_len = 7);
	lab_check_passed(lab, SIDE_OUTSIDE);
	EQUAL(lab_count(lab, COUNTER_adopt_refused), 0);
}

LAB_TEST(test_adopted_over_after_its_time)
{
	lab->policy.timeouts.adopt = 10;
	lab_start(lab);
	lab_tick(lab, 11000);
	CLIENT(TCP_ACK, lab->irs + 1000, lab->server_iss + 2000, .payload_len = 50);
	OUTCOME_IS(answered_rst);
}

LAB_TEST_ONCE(test_adopted_capped_per_net)
{
	unsigned int n = 0;

	lab->policy.timeouts.adopt = 60;
	lab->policy.adopt_per_net = 4;
	lab_start(lab);
	for (uint16_t i = 0; i < 20; i++) {
		CLIENT(TCP_ACK, 1000, 2000, .payload_len = 5, .client_port = (uint16_t)(1000 + i));
		n += lab_grew(lab, COUNTER_passed_adopted) != 0;
	}
	EQUAL(n, 4);
	CLIENT(TCP_ACK, 1000, 2000, .payload_len = 5, .client = 9);
	OUTCOME_IS(passed_adopted);
}

/* A SYN flood must not ride on adoption, nor a proven client be mistaken. */
LAB_TEST(test_adopted_proof_comes_first)
{
	lab->policy.timeouts.adopt = 60;
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
}

CU_TestInfo core_adopted_tests[] = {
	CHECK_TEST(test_adopted_client_first),
	CHECK_TEST(test_adopted_server_first),
	CHECK_TEST(test_adopted_after_a_reload),
	CHECK_TEST(test_adopted_unfit_reset),
	CHECK_TEST(test_adopted_forged_segments_do_no_harm),
	CHECK_TEST(test_adopted_over_after_its_time),
	CHECK_TEST(test_adopted_capped_per_net),
	CHECK_TEST(test_adopted_proof_comes_first),
	CU_TEST_INFO_NULL,
};
