/* SPDX-License-Identifier: BSD-3-Clause */
/* What teaches the engine about a server and what does not, and what was promised before. */
#include "core_lab.h"

/* Of a server that is known, a SYN with all options is answered with these. */
static void
check_promised(struct lab *lab, uint8_t options)
{
	CLIENT(TCP_SYN, 9, 0, .client_port = 9000, .client = 90, .options = LAB_ALL, .mss = 1400,
	       .wscale = 3, .tsval = 5);
	OUTCOME_IS(answered_syn_state);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.options, options);
}

/* A SYN-ACK that answers another SYN than the one that passed is no answer to it. */
LAB_TEST(test_learned_nothing_from_another_answer)
{
	lab_start(lab);
	lab_syn(lab);
	OUTCOME_IS(passed_syn);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 2, .options = LAB_ALL, .mss = 1400,
	       .wscale = 5);
	OUTCOME_IS(passed_tracked);
	EQUAL(lab_count(lab, COUNTER_learned), 0);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	EQUAL(lab_count(lab, COUNTER_tracked), 0);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .options = LAB_ALL, .mss = 1400,
	       .wscale = 5);
	EQUAL(lab_count(lab, COUNTER_learned), 1);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	EQUAL(lab_count(lab, COUNTER_tracked), 1);
}

/* What was not offered is not absent. */
LAB_TEST_ONCE(test_learned_absence_of_what_was_offered_alone)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab->services[0].high = 100;
	lab_start(lab);
	lab_teach(lab);
	for (uint16_t i = 0; i < 4; i++) {
		CLIENT(TCP_SYN, 1, 0, .client_port = (uint16_t)(100 + i), .client = 1u + i,
		       .options = OPTION_MSS | OPTION_SACK_PERMITTED, .mss = 1400);
		OUTCOME_IS(passed_syn);
		SERVER(TCP_SYN | TCP_ACK, 1, 2, .client_port = (uint16_t)(100 + i),
		       .client = 1u + i, .options = OPTION_MSS, .mss = lab->server_mss);
		CLIENT(TCP_ACK, 2, 2, .client_port = (uint16_t)(100 + i), .client = 1u + i);
		OUTCOME_IS(passed_tracked);
	}
	lab->services[0].calm = CALM_INTERCEPT;
	check_promised(lab, OPTION_MSS | OPTION_WSCALE | OPTION_TIMESTAMPS);
}

/* The same SYN gets the same SYN-ACK, whatever has been learned since. */
LAB_TEST_ONCE(test_learned_since_changes_no_answer)
{
	uint16_t more = lab->server_mss;

	lab->server_mss = 1300;
	lab_start(lab);
	lab_teach(lab);
	lab->irs = 7000;
	CLIENT(TCP_SYN, 7000, 0, .options = OPTION_MSS, .mss = 1400);
	OUTCOME_IS(answered_syn_state);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.mss, 1300);
	lab->server_mss = more;
	lab_splice_of(lab, 1, 1);
	CLIENT(TCP_SYN, 8000, 0, .client_port = 9000, .options = OPTION_MSS, .mss = 1400);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.mss, more);
	CLIENT(TCP_SYN, 7000, 0, .options = OPTION_MSS, .mss = 1400);
	OUTCOME_IS(answered_syn_state);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.mss, 1300);
}

/* Candidates that came to nothing leave room for others. */
LAB_TEST_ONCE(test_learned_candidates_come_and_go)
{
	lab->policy.timeouts.adopt = 600;
	lab->policy.adopt_per_net = 0;
	lab_start(lab);
	for (unsigned int round = 0; round < 3; round++) {
		for (uint16_t i = 0; i < 12; i++)
			CLIENT(TCP_ACK, 1000, 2000, .client = i,
			       .client_port = (uint16_t)(1000 + 100 * round + i));
		EQUAL(core_usage(lab->core).connections, 8); /* an eighth of 64 */
		EQUAL(lab_count(lab, COUNTER_passed_adopted), 8 * (round + 1));
		lab_tick(lab, 12000);
		EQUAL(core_usage(lab->core).connections, 0);
	}
}

/* `cookies` is stronger than `calm`: always, and a SYN that nobody learns from does not pass;
 * never, and it passes. */
LAB_TEST_ONCE(test_learned_transparent_by_cookies)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t cookies = i == 0 ? COOKIES_ALWAYS : COOKIES_NEVER;
		lab->services[0].calm = CALM_TRANSPARENT;
		lab->services[0].cookies = cookies;
		if (i == 0) {
			lab_start(lab);
			lab_teach(lab);
		}
		core_set_policy(lab->core, &lab->policy);
		CLIENT(TCP_SYN, 9, 0, .client_port = (uint16_t)(9000 + i), .options = OPTION_MSS,
		       .mss = 1400);
		CHECK(lab_grew(lab, i == 0 ? COUNTER_answered_syn_cookie : COUNTER_passed_syn) ==
		      1);
	}
}

/* Only an answer refuses: a RST that acknowledges nothing may be of anything. */
LAB_TEST(test_learned_refusal_acknowledges)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab_start(lab);
	lab_syn(lab);
	SERVER(TCP_RST, 0, lab->irs + 1);
	OUTCOME_IS(passed_tracked);
	EQUAL(lab_count(lab, COUNTER_refused_by_server), 0);
	SERVER(TCP_RST | TCP_ACK, 0, lab->irs + 2);
	EQUAL(lab_count(lab, COUNTER_refused_by_server), 0);
	SERVER(TCP_RST | TCP_ACK, 0, lab->irs + 1);
	EQUAL(lab_count(lab, COUNTER_refused_by_server), 1);
}

/* A source over its budget is not let through where others are. */
LAB_TEST_ONCE(test_learned_transparent_within_budget)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab->policy.sources.syn_per_s_host = 5;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 8; i++) {
		lab_syn_of(lab, i, 1);
		CHECK(lab_grew(lab, i < 5 ? COUNTER_passed_syn : COUNTER_answered_syn_cookie) == 1);
	}
	lab_syn_of(lab, 20, 2);
	OUTCOME_IS(passed_syn);
}

CU_TestInfo core_learned_tests[] = {
	CHECK_TEST(test_learned_nothing_from_another_answer),
	CHECK_TEST(test_learned_absence_of_what_was_offered_alone),
	CHECK_TEST(test_learned_since_changes_no_answer),
	CHECK_TEST(test_learned_candidates_come_and_go),
	CHECK_TEST(test_learned_transparent_by_cookies),
	CHECK_TEST(test_learned_refusal_acknowledges),
	CHECK_TEST(test_learned_transparent_within_budget),
	CU_TEST_INFO_NULL,
};
