/* SPDX-License-Identifier: BSD-3-Clause */
/* Caps and reserves, each to the last token: what the engine sends to those who have proven
 * nothing, and what it lets through for them. */
#include "core_lab.h"

#define BURST_MIN 8u /* tokens of the smallest bucket */

/* A bucket holds a tenth of a second's worth. */
static unsigned int
burst_of(unsigned int per_s)
{
	return per_s / 10 > BURST_MIN ? per_s / 10 : BURST_MIN;
}

/* Segments that belong to nothing, of `n` nets in turn; how many got an answer. */
static unsigned int
send_strays(struct lab *lab, unsigned int n, unsigned int n_nets)
{
	unsigned int n_answered = 0;

	for (unsigned int i = 0; i < n; i++)
		n_answered += CLIENT(TCP_ACK, i, i, .client = i % n_nets);
	return n_answered;
}

LAB_TEST_ONCE(test_caps_rst_per_second)
{
	const unsigned int per_s = 200;

	lab->policy.reflection.rst_per_s = per_s;
	lab_start(lab);
	EQUAL(send_strays(lab, 300, 100), burst_of(per_s));
	EQUAL(lab_count(lab, COUNTER_drop_rst_cap), 300 - burst_of(per_s));
	lab_tick(lab, 50);
	EQUAL(send_strays(lab, 300, 100), per_s / 20);
	lab_tick(lab, 100);
	EQUAL(send_strays(lab, 300, 100), burst_of(per_s));
	/* What was not used is not kept for later. */
	lab_tick(lab, 5000);
	EQUAL(send_strays(lab, 300, 100), burst_of(per_s));
}

/* RSTs count in the cap of the net that they go to. */
LAB_TEST_ONCE(test_caps_rst_per_net)
{
	lab->policy.reflection.per_net_per_s = 10;
	lab_start(lab);
	EQUAL(send_strays(lab, 50, 1), 10);
	EQUAL(CLIENT(TCP_ACK, 1, 1, .client = 2), 1);
	OUTCOME_IS(answered_rst);
	EQUAL(CLIENT(TCP_ACK, 1, 1), 0);
	OUTCOME_IS(drop_rst_cap);
}

/* A host of ours that asks is no reflector's victim. */
LAB_TEST_ONCE(test_caps_rst_to_inside_has_none)
{
	lab->policy.reflection.rst_per_s = 20;
	lab->policy.reflection.per_net_per_s = 5;
	lab_start(lab);
	for (unsigned int i = 0; i < 100; i++)
		EQUAL(SERVER(TCP_ACK, i, i, .client_port = (uint16_t)(1000 + i)), 1);
	EQUAL(lab_count(lab, COUNTER_answered_rst), 100);
}

LAB_TEST_ONCE(test_caps_challenge_per_second)
{
	const unsigned int per_s = 200;
	unsigned int n = 0;

	lab->policy.reflection.challenge_per_s = per_s;
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	lab_tick(lab, 1000);
	for (unsigned int i = 0; i < 100; i++)
		n += CLIENT(TCP_SYN, lab->irs + 5000 + i, 0);
	EQUAL(n, burst_of(per_s));
	EQUAL(lab_count(lab, COUNTER_challenge_sent), n);
	EQUAL(lab_count(lab, COUNTER_drop_challenge_cap), 100 - n);
}

LAB_TEST_ONCE(test_caps_challenge_per_net)
{
	unsigned int n = 0;

	lab->policy.reflection.per_net_per_s = 10;
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	lab_tick(lab, 3000);
	for (unsigned int i = 0; i < 100; i++)
		n += CLIENT(TCP_SYN, lab->irs + 5000 + i, 0);
	EQUAL(n, 10);
	OUTCOME_IS(drop_challenge_cap);
}

/* SYN-ACKs by cookie, by state and RSTs draw on one allowance of their net. */
LAB_TEST_ONCE(test_caps_net_is_one_for_all_answers)
{
	lab->policy.reflection.per_net_per_s = 6;
	lab_start(lab);
	lab_teach(lab);
	EQUAL(send_strays(lab, 2, 1), 2);
	for (unsigned int i = 0; i < 4; i++) {
		lab_syn_of(lab, i, 0);
		EQUAL(lab->n_out, 1);
	}
	EQUAL(send_strays(lab, 1, 1), 0);
	lab_syn_of(lab, 9, 0);
	OUTCOME_IS(drop_reflection);
}

/* A quarter of the port's budget is kept for nets that have completed a connection. */
LAB_TEST_ONCE(test_caps_port_reserve_for_proven_nets)
{
	const unsigned int per_s = 400;
	unsigned int n = 0;

	lab->policy.reflection.per_port_per_s = per_s;
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_splice_of(lab, 1, 1);
	lab_tick(lab, 1000);
	for (unsigned int i = 0; i < 200; i++) {
		lab_syn_of(lab, i, 2);
		n += lab->n_out;
	}
	EQUAL(n, burst_of(per_s - per_s / 4));
	/* Nothing is left for strangers; a net that is known has its own share. */
	n = 0;
	for (unsigned int i = 0; i < 200; i++) {
		lab_syn_of(lab, 100 + i, 1);
		n += lab->n_out;
	}
	EQUAL(n, burst_of(per_s / 4));
	lab_syn_of(lab, 700, 3);
	OUTCOME_IS(drop_reflection);
	/* Long ago is as good as never. */
	lab_tick(lab, 200000);
	n = 0;
	for (unsigned int i = 0; i < 200; i++) {
		lab_syn_of(lab, 100 + i, 1);
		n += lab->n_out;
	}
	EQUAL(n, burst_of(per_s - per_s / 4));
}

/* Who completes a handshake that passes has proven its net, too. */
LAB_TEST_ONCE(test_caps_port_reserve_for_tracked)
{
	const unsigned int per_s = 400;
	unsigned int n = 0;

	lab->policy.reflection.per_port_per_s = per_s;
	lab_start(lab);
	/* The server is not known yet: the first handshake passes. */
	CLIENT(TCP_SYN, 100, 0, .client = 1);
	SERVER(TCP_SYN | TCP_ACK, 200, 101, .client = 1, .options = OPTION_MSS, .mss = 1400);
	CLIENT(TCP_ACK, 101, 201, .client = 1);
	EQUAL(lab_count(lab, COUNTER_tracked), 1);
	lab_tick(lab, 1000);
	for (unsigned int i = 0; i < 200; i++) {
		lab_syn_of(lab, i, 1);
		n += lab->n_out;
	}
	EQUAL(n, burst_of(per_s - per_s / 4) + burst_of(per_s / 4));
}

/* One of three workers sends a third, rounded up. */
LAB_TEST_ONCE(test_caps_net_shared_among_workers)
{
	lab->params.n_workers = 3;
	lab->policy.reflection.per_net_per_s = 10;
	lab_start(lab);
	EQUAL(send_strays(lab, 50, 1), 4);
}

LAB_TEST_ONCE(test_caps_sources_shared_among_workers)
{
	lab->params.n_workers = 3;
	lab->policy.sources.half_open_net = 7;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 6; i++) {
		lab_syn_of(lab, i, 1);
		EQUAL(lab_grew(lab, COUNTER_answered_syn_state), i < 3);
	}
}

/* Where several share the low watermark, a worker's part of it is rounded down. */
LAB_TEST_ONCE(test_caps_watermarks_shared_among_workers)
{
	lab->params.n_workers = 3;
	lab->services[0].high = 13;
	lab->services[0].low = 5;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 5; i++) {
		CHECK(!core_service_view(lab->core, 0).cookie_mode);
		lab_syn_of(lab, i, 0);
	}
	CHECK(core_service_view(lab->core, 0).cookie_mode);
	for (unsigned int i = 0; i < 3; i++)
		CLIENT(TCP_RST, 1001 + i, 0, .client_port = (uint16_t)(1000 + i));
	lab_tick(lab, 1000);
	EQUAL(core_service_view(lab->core, 0).half_open, 2);
	CHECK(core_service_view(lab->core, 0).cookie_mode);
	CLIENT(TCP_RST, 1004, 0, .client_port = 1003);
	lab_tick(lab, 1000);
	CHECK(!core_service_view(lab->core, 0).cookie_mode);
}

CU_TestInfo core_caps_tests[] = {
	CHECK_TEST(test_caps_rst_per_second),
	CHECK_TEST(test_caps_rst_per_net),
	CHECK_TEST(test_caps_rst_to_inside_has_none),
	CHECK_TEST(test_caps_challenge_per_second),
	CHECK_TEST(test_caps_challenge_per_net),
	CHECK_TEST(test_caps_net_is_one_for_all_answers),
	CHECK_TEST(test_caps_port_reserve_for_proven_nets),
	CHECK_TEST(test_caps_port_reserve_for_tracked),
	CHECK_TEST(test_caps_net_shared_among_workers),
	CHECK_TEST(test_caps_sources_shared_among_workers),
	CHECK_TEST(test_caps_watermarks_shared_among_workers),
	CU_TEST_INFO_NULL,
};
