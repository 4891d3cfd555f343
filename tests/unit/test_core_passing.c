/* SPDX-License-Identifier: BSD-3-Clause */
/* A handshake that passes: nothing is proven by its SYN, and what is let through on it is what
 * its server has brought about. */
#include "core_lab.h"

/* Passes, and counts as of a handshake that passes. */
#define PASSES(from, ...)                                                                      \
	do {                                                                                   \
		passes(lab, &(struct lab_seg){ .side = (from), PASSES_SEGMENT(__VA_ARGS__) }); \
	} while (0)
#define PASSES_SEGMENT(flags_, seq_, ack_, ...) \
	.flags = (flags_), .seq = (seq_), .ack = (ack_), ##__VA_ARGS__
/* Comes from the client, and leaves by no side. */
#define KEPT(name, ...)                        \
	do {                                   \
		EQUAL(CLIENT(__VA_ARGS__), 0); \
		OUTCOME_IS(name);              \
	} while (0)

static void
passes(struct lab *lab, const struct lab_seg *spec)
{
	lab_in(lab, spec);
	lab_check_passed(lab, spec->side == SIDE_OUTSIDE ? SIDE_INSIDE : SIDE_OUTSIDE);
}

/* What acknowledges something else passes once for each segment of the server's, which then
 * tells it (RFC 9293, 3.10.7.4: SYN-RECEIVED). */
static void
refused(struct lab *lab, uint32_t ack, bool has_spoken)
{
	if (has_spoken)
		PASSES(SIDE_OUTSIDE, TCP_ACK, lab->irs + 1, ack);
	KEPT(drop_unanswered, TCP_ACK, lab->irs + 1, ack);
	KEPT(drop_unanswered, TCP_ACK, lab->irs + 1, ack, .payload_len = 1);
}

static uint32_t
half_open(const struct lab *lab)
{
	return core_service_view(lab->core, lab->services[0].id).half_open;
}

static void
transparent(struct lab *lab)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab_start(lab);
	lab_syn(lab);
	lab_check_passed(lab, SIDE_INSIDE);
}

static void
server_answers(struct lab *lab)
{
	PASSES(SIDE_INSIDE, TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .options = LAB_ALL,
	       .mss = 1400, .wscale = 5);
}

LAB_TEST(test_passing_unanswered_carries_nothing, "TRACKED.OUTSIDE.ACK", "TRACKED.OUTSIDE.DATA",
         "TRACKED.OUTSIDE.RST")
{
	transparent(lab);
	KEPT(drop_unanswered, TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	KEPT(drop_unanswered, TCP_ACK, lab->irs + 1, 0, .payload_len = 10);
	KEPT(drop_unanswered, TCP_ACK | TCP_FIN, lab->irs + 1, lab->server_iss + 1);
	KEPT(drop_unanswered, TCP_RST, lab->irs + 1, 0);
	server_answers(lab);
	refused(lab, lab->server_iss, true);
	refused(lab, lab->server_iss + 2, false);
	refused(lab, lab->server_iss + 0x80000000, false);
	server_answers(lab);
	refused(lab, lab->server_iss + 2, true);
	EQUAL(half_open(lab), 1);
	PASSES(SIDE_OUTSIDE, TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	EQUAL(half_open(lab), 0);
	EQUAL(lab_count(lab, COUNTER_tracked), 1);
	/* Of one that is complete its ends judge. */
	PASSES(SIDE_OUTSIDE, TCP_ACK, lab->irs + 77, lab->server_iss + 0x80000000,
	       .payload_len = 1);
}

/* A forged SYN after the entry of the real one has gone: the server goes by that one still. */
LAB_TEST(test_passing_answer_to_a_syn_of_before, "TRACKED.INSIDE.SYN_ACK")
{
	transparent(lab);
	server_answers(lab);
	lab_tick(lab, 12000);
	EQUAL(core_usage(lab->core).connections, 0);
	CLIENT(TCP_SYN, lab->irs + 0x40000000, 0);
	OUTCOME_IS(passed_syn);
	server_answers(lab);
	EQUAL(lab_grew(lab, COUNTER_learned), 0);
	PASSES(SIDE_OUTSIDE, TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	EQUAL(lab_grew(lab, COUNTER_tracked), 1);
}

/* The same where the server has the connection: its answer to the forged one says so. */
LAB_TEST(test_passing_connection_of_before, "TRACKED.INSIDE.ACK")
{
	transparent(lab);
	server_answers(lab);
	lab_tick(lab, 12000);
	CLIENT(TCP_SYN, lab->irs + 0x40000000, 0);
	PASSES(SIDE_INSIDE, TCP_ACK, lab->server_iss + 1, lab->irs + 1);
	PASSES(SIDE_OUTSIDE, TCP_ACK, lab->irs + 1, lab->server_iss + 1, .payload_len = 10);
	EQUAL(lab_grew(lab, COUNTER_tracked), 1);
	EQUAL(half_open(lab), 0);
}

/* The server's ISS may be any, that whose successor is 0 as well. */
LAB_TEST(test_passing_server_iss_before_zero)
{
	lab->server_iss = UINT32_MAX;
	transparent(lab);
	server_answers(lab);
	PASSES(SIDE_OUTSIDE, TCP_ACK, lab->irs + 1, 0);
	EQUAL(lab_count(lab, COUNTER_tracked), 1);
}

/* A client has reason for a RST where its server has spoken: an ACK of TIME-WAIT (RFC 9293,
 * 3.10.7.3), or a SYN-ACK that it does not want. One for each. */
LAB_TEST(test_passing_rst_answers_the_server, "TRACKED.OUTSIDE.RST", "TRACKED.INSIDE.ACK")
{
	transparent(lab);
	PASSES(SIDE_INSIDE, TCP_ACK, 7777, lab->irs - 1000);
	PASSES(SIDE_OUTSIDE, TCP_RST, lab->irs - 1000, 0);
	KEPT(drop_unanswered, TCP_RST, lab->irs - 1000, 0);
	lab_tick(lab, 1000);
	lab_syn(lab);
	lab_check_passed(lab, SIDE_INSIDE);
	server_answers(lab);
	PASSES(SIDE_OUTSIDE, TCP_RST, lab->irs + 1, 0);
	KEPT(drop_unanswered, TCP_RST, lab->irs + 1, 0);
	/* It did not get there. */
	server_answers(lab);
	PASSES(SIDE_OUTSIDE, TCP_RST, lab->irs + 1, 0);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	EQUAL(core_usage(lab->core).connections, 0);
}

/* Resends of a client's pass, whatever its clock: half a second, a second, twice as long each
 * time (RFC 6298, 5.5); copies do not. */
LAB_TEST(test_passing_same_syn_in_its_time, "TRACKED.OUTSIDE.SYN")
{
	static const uint16_t after_ms[] = { 500, 1000, 2000, 900, 512, 1100, 3000 };

	transparent(lab);
	for (unsigned int i = 0; i < sizeof(after_ms) / sizeof(after_ms[0]); i++) {
		KEPT(drop_syn_again, TCP_SYN, lab->irs, 0);
		lab_tick(lab, after_ms[i] / 2);
		if (after_ms[i] < 700)
			KEPT(drop_syn_again, TCP_SYN, lab->irs, 0);
		lab_tick(lab, after_ms[i] - after_ms[i] / 2);
		lab_syn(lab);
		lab_check_passed(lab, SIDE_INSIDE);
		EQUAL(lab_grew(lab, COUNTER_syn_received), 0);
	}
	EQUAL(half_open(lab), 1);
}

/* SYNs of one flow, each of another ISS, get past what SYNs of many flows must. */
LAB_TEST_ONCE(test_passing_syns_of_one_flow_are_capped, "TRACKED.OUTSIDE.SYN")
{
	const uint32_t most = 20, n = 2000;
	uint64_t passed = 0, by_cookie = 0;

	lab->policy.sources.syn_per_s_host = most;
	lab->policy.sources.syn_per_s_net = most;
	transparent(lab);
	for (uint32_t i = 1; i <= n; i++) {
		CLIENT(TCP_SYN, lab->irs + 99 * i, 0);
		passed += lab_grew(lab, COUNTER_passed_syn);
		by_cookie += lab_grew(lab, COUNTER_answered_syn_cookie);
	}
	EQUAL(passed, most - 1);
	EQUAL(by_cookie, n + 1 - most);
	EQUAL(half_open(lab), 1);
	/* And whoever is half-open already goes on. */
	server_answers(lab);
	PASSES(SIDE_OUTSIDE, TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	EQUAL(half_open(lab), 0);
}

/* The hole that a signed SYN must not be: what follows on its flow is answered as without it. */
LAB_TEST(test_passing_signed_syn_lets_nothing_else_through, "TRACKED.OUTSIDE.SYN",
         "TRACKED.OUTSIDE.ACK")
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	CLIENT(TCP_SYN, lab->irs, 0, .options = OPTION_AO);
	OUTCOME_IS(passed_syn);
	KEPT(drop_syn_again, TCP_SYN, lab->irs, 0, .options = OPTION_AO);
	/* Of a cookie that is to come, for all that is known. */
	KEPT(drop_unproven_data, TCP_ACK, lab->irs + 1, 99, .payload_len = 10);
	lab_tick(lab, 1000);
	CLIENT(TCP_SYN, lab->irs, 0, .options = OPTION_AO);
	OUTCOME_IS(passed_tracked);
	/* Of the same ISS, but not signed. */
	CLIENT(TCP_SYN, lab->irs, 0);
	OUTCOME_IS(answered_syn_cookie);
	lab->irs += 4711;
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_cookie);
	EQUAL(core_usage(lab->core).connections, 1);
	/* And that is good. */
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	EQUAL(lab_state(lab), CONN_CONNECTING);
	EQUAL(half_open(lab), 0);
	EQUAL(core_usage(lab->core).connections, 1);
}

/* Nor an ACK that might be of a connection older than the engine. */
LAB_TEST(test_passing_candidate_lets_no_syn_through, "TRACKED.OUTSIDE.SYN", "TRACKED.OUTSIDE.ACK")
{
	lab->policy.timeouts.adopt = 60;
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	CLIENT(TCP_ACK, 5000, 6000);
	OUTCOME_IS(passed_adopted);
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_cookie);
	/* Forged or not, the candidate is there still. */
	SERVER(TCP_ACK, 6000, 5000);
	EQUAL(lab_grew(lab, COUNTER_adopted), 1);
	lab->client_port++;
	CLIENT(TCP_ACK, 5000, 6000);
	OUTCOME_IS(passed_adopted);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	EQUAL(lab_state(lab), CONN_CONNECTING);
}

/* Data in the SYN (RFC 7413), of which the server acknowledges all, some or nothing. */
LAB_TEST(test_passing_data_in_syn, "TRACKED.INSIDE.SYN_ACK", "TRACKED.INSIDE.DATA")
{
	static const uint16_t acked[] = { 100, 60, 0 };

	for (unsigned int i = 0; i < 3; i++) {
		const uint32_t at = lab->irs + 1 + acked[i];

		lab->client_port++;
		lab->services[0].calm = CALM_TRANSPARENT;
		if (i == 0)
			lab_start(lab);
		CLIENT(TCP_SYN, lab->irs, 0, .options = LAB_ALL, .mss = 1460, .payload_len = 100);
		OUTCOME_IS(passed_syn);
		EQUAL(half_open(lab), 1);
		PASSES(SIDE_INSIDE, TCP_SYN | TCP_ACK, lab->server_iss, at, .options = LAB_ALL,
		       .mss = 1400, .wscale = 5);
		EQUAL(lab_grew(lab, COUNTER_learned), 1);
		/* The server need not wait for the client's ACK. */
		PASSES(SIDE_INSIDE, TCP_ACK, lab->server_iss + 1, at, .payload_len = 500);
		PASSES(SIDE_INSIDE, TCP_ACK, lab->server_iss + 501, at, .payload_len = 500);
		refused(lab, lab->server_iss + 1002, true);
		PASSES(SIDE_OUTSIDE, TCP_ACK, at, lab->server_iss + (i == 2 ? 1 : 501));
		EQUAL(lab_grew(lab, COUNTER_tracked), 1);
		EQUAL(half_open(lab), 0);
		for (unsigned int s = 0; s < 30; s += 5) {
			EQUAL(lab_tick(lab, 5000), 0);
			PASSES(SIDE_OUTSIDE, TCP_ACK, at + s, lab->server_iss + 1001,
			       .payload_len = 5);
			PASSES(SIDE_INSIDE, TCP_ACK, lab->server_iss + 1001, at + 5 + s);
		}
	}
}

/* More than is counted of what has not been acknowledged: within a window that has no scale. */
LAB_TEST(test_passing_much_data_before_the_ack)
{
	uint32_t at = lab->server_iss + 1;

	lab->services[0].calm = CALM_TRANSPARENT;
	lab_start(lab);
	CLIENT(TCP_SYN, lab->irs, 0, .payload_len = 10);
	PASSES(SIDE_INSIDE, TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 11);
	for (; at - lab->server_iss < 30000; at += 1000)
		PASSES(SIDE_INSIDE, TCP_ACK, at, lab->irs + 11, .payload_len = 1000);
	refused(lab, at - UINT16_MAX - 2, true);
	/* The SYN-ACK once more does not take back what came since. */
	PASSES(SIDE_INSIDE, TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 11);
	PASSES(SIDE_OUTSIDE, TCP_ACK, lab->irs + 11, at);
	EQUAL(lab_count(lab, COUNTER_tracked), 1);
}

LAB_TEST(test_passing_data_in_syn_refused, "TRACKED.INSIDE.RST")
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab_start(lab);
	for (uint32_t net = 1; net < 4; net++) {
		CLIENT(TCP_SYN, lab->irs, 0, .payload_len = 100, .client = net);
		PASSES(SIDE_INSIDE, TCP_RST | TCP_ACK, 0, lab->irs + 101, .client = net);
		EQUAL(lab_grew(lab, COUNTER_refused_by_server), 1);
		EQUAL(half_open(lab), 0);
	}
	EQUAL(lab_count(lab, COUNTER_backend_down), 1);
}

/* The server answers late, and it is the client's turn then, for as long as it had. */
LAB_TEST(test_passing_slow_handshake)
{
	transparent(lab);
	for (unsigned int s = 1; s <= 4; s *= 2) {
		lab_tick(lab, 1000 * s);
		lab_syn(lab);
		lab_check_passed(lab, SIDE_INSIDE);
	}
	lab_tick(lab, 2500);
	server_answers(lab);
	lab_tick(lab, 8000);
	server_answers(lab);
	EQUAL(half_open(lab), 1);
	lab_tick(lab, 1700);
	PASSES(SIDE_OUTSIDE, TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	EQUAL(lab_count(lab, COUNTER_tracked), 1);
	/* But no other SYN makes one live for longer. */
	lab->client_port++;
	lab_syn(lab);
	for (unsigned int s = 0; s < 9; s++) {
		lab_tick(lab, 1000);
		CLIENT(TCP_SYN, lab->irs + 5 * s, 0);
	}
	lab_tick(lab, 3000);
	EQUAL(half_open(lab), 0);
}

/* In a flood a SYN that has passed before it does not hold its way to the server by coming again,
 * nor cookie mode by what the server says again to a client that never asked. */
LAB_TEST(test_passing_ends_in_cookie_mode, "TRACKED.OUTSIDE.SYN", "TRACKED.INSIDE.SYN_ACK")
{
	lab->services[0].high = 1;
	lab->services[0].low = 0;
	transparent(lab);
	CLIENT(TCP_SYN, 1, 0, .client = 9);
	OUTCOME_IS(answered_syn_cookie);
	for (unsigned int s = 0; s < 4; s++) {
		lab_tick(lab, 1000);
		lab_syn(lab);
		lab_check_passed(lab, SIDE_INSIDE);
	}
	server_answers(lab);
	for (unsigned int s = 0; s < 8; s++) {
		lab_tick(lab, 1000);
		server_answers(lab);
	}
	EQUAL(half_open(lab), 1);
	lab_syn(lab);
	lab_check_passed(lab, SIDE_INSIDE);
	lab_tick(lab, 3000);
	EQUAL(half_open(lab), 0);
}

/* What a server answers to a signed SYN may be what it has answered to one of before. */
LAB_TEST_ONCE(test_passing_signed_teaches_nothing)
{
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int round = 0; round < 2; round++) {
		for (uint32_t net = 30; net < 34; net++) {
			CLIENT(TCP_SYN, 5000, 0, .client_port = 3000, .client = net,
			       .options = OPTION_AO | (round == 0 ? 0 : LAB_ALL), .mss = 1460,
			       .wscale = 7, .tsval = 5);
			OUTCOME_IS(passed_syn);
			PASSES(SIDE_INSIDE, TCP_SYN | TCP_ACK, 6000, 5001, .client_port = 3000,
			       .client = net, .options = OPTION_MSS, .mss = 1300);
			EQUAL(lab_grew(lab, COUNTER_learned), 0);
			if (round == 0)
				continue;
			PASSES(SIDE_OUTSIDE, TCP_ACK, 5001, 6001, .client_port = 3000,
			       .client = net);
		}
		lab_tick(lab, 30000);
	}
	lab_syn(lab);
	CLIENT(TCP_SYN, 1000, 0, .client_port = 3100, .options = LAB_ALL, .mss = 1460, .wscale = 7,
	       .tsval = 1);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.options, LAB_ALL);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.mss, lab->server_mss);
}

/* The last try of a line that loses has as much time as the first. */
LAB_TEST(test_passing_lives_on_by_retries)
{
	transparent(lab);
	lab_tick(lab, 8000);
	lab_syn(lab);
	lab_check_passed(lab, SIDE_INSIDE);
	server_answers(lab);
	lab_tick(lab, 8000);
	EQUAL(lab_state(lab), CONN_TRACKED);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	lab_check_passed(lab, SIDE_INSIDE);
	EQUAL(lab_count(lab, COUNTER_tracked), 1);
}

/* A handshake that passed and then was silent for longer than its entry lives: its server still
 * waits, and both its SYN-ACK and what the client sends cross. */
LAB_TEST(test_passing_expired_goes_on)
{
	transparent(lab);
	server_answers(lab);
	lab_tick(lab, 14000);
	EQUAL(lab_state(lab), CONN_FREE);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1, .payload_len = 10);
	OUTCOME_IS(passed_adopted);
	EQUAL(ONLY(SIDE_INSIDE)->seg.payload_len, 10);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 11);
	OUTCOME_IS(passed_adopted);
	EQUAL(lab_count(lab, COUNTER_adopted), 1);
}

LAB_TEST(test_passing_expired_is_answered)
{
	transparent(lab);
	lab_tick(lab, 14000);
	EQUAL(lab_state(lab), CONN_FREE);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .options = OPTION_MSS,
	       .mss = 1400);
	OUTCOME_IS(passed_adopted);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_SYN | TCP_ACK);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	OUTCOME_IS(passed_adopted);
	EQUAL(lab_count(lab, COUNTER_adopted), 1);
}

/* Not in a flood: anybody may have sent the SYN. */
LAB_TEST(test_passing_expired_in_cookie_mode_is_dropped)
{
	lab->services[0].high = 1;
	transparent(lab);
	lab_tick(lab, 14000);
	lab_syn_of(lab, 1, 1);
	lab_syn_of(lab, 2, 2);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1, .payload_len = 10);
	OUTCOME_IS(drop_unproven_data);
}

CU_TestInfo core_passing_tests[] = {
	CHECK_TEST(test_passing_unanswered_carries_nothing),
	CHECK_TEST(test_passing_answer_to_a_syn_of_before),
	CHECK_TEST(test_passing_connection_of_before),
	CHECK_TEST(test_passing_server_iss_before_zero),
	CHECK_TEST(test_passing_rst_answers_the_server),
	CHECK_TEST(test_passing_same_syn_in_its_time),
	CHECK_TEST(test_passing_syns_of_one_flow_are_capped),
	CHECK_TEST(test_passing_signed_syn_lets_nothing_else_through),
	CHECK_TEST(test_passing_candidate_lets_no_syn_through),
	CHECK_TEST(test_passing_data_in_syn),
	CHECK_TEST(test_passing_much_data_before_the_ack),
	CHECK_TEST(test_passing_data_in_syn_refused),
	CHECK_TEST(test_passing_slow_handshake),
	CHECK_TEST(test_passing_ends_in_cookie_mode),
	CHECK_TEST(test_passing_signed_teaches_nothing),
	CHECK_TEST(test_passing_lives_on_by_retries),
	CHECK_TEST(test_passing_expired_goes_on),
	CHECK_TEST(test_passing_expired_is_answered),
	CHECK_TEST(test_passing_expired_in_cookie_mode_is_dropped),
	CU_TEST_INFO_NULL,
};
