/* SPDX-License-Identifier: BSD-3-Clause */
/* Observe begins, or ends, by a reload: what was there goes on. */
#include "observe_lab.h"

/* When it ends, what is there goes on, and what is new is answered. */
LAB_TEST(test_observe_ends_and_connections_go_on)
{
	observe_start(lab);
	observe_handshake(lab);
	observe_reload(lab, false);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1, .payload_len = 10);
	OUTCOME_IS(passed_tracked);
	EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 11, .payload_len = 20);
	OUTCOME_IS(passed_tracked);
	EQUAL(ONLY(SIDE_OUTSIDE)->kind, ACTION_FORWARD);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 11, lab->server_iss + 21);
	OUTCOME_IS(passed_tracked);
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 21, lab->irs + 12);
	OUTCOME_IS(passed_tracked);
	CHECK(!core_service_view(lab->core, 0).is_observed);
	CLIENT(TCP_ACK, 77, 88, .client_port = 2000);
	OUTCOME_IS(answered_rst);
	observe_finish(lab);
}

/* Of one that is older than observe the server's word is enough. */
LAB_TEST_ONCE(test_observe_server_speaks_connection_followed)
{
	observe_start(lab);
	CLIENT(TCP_ACK, 1000, 2000, .payload_len = 10);
	observe_check_crossed(lab, SIDE_INSIDE);
	EQUAL(lab_state(lab), CONN_FREE);
	SERVER(TCP_RST, 2000, 1010);
	EQUAL(lab_state(lab), CONN_FREE);
	SERVER(TCP_ACK, 2000, 1010);
	observe_check_crossed(lab, SIDE_OUTSIDE);
	EQUAL(lab_state(lab), CONN_TRACKED);
	observe_reload(lab, false);
	CLIENT(TCP_ACK, 1010, 2000, .payload_len = 10);
	OUTCOME_IS(passed_tracked);
	observe_finish(lab);
}

/* What was split before goes on like that, and who holds a SYN-ACK of ours gets in. */
LAB_TEST(test_observe_begins_and_split_connections_go_on)
{
	observe_start_as(lab, false);
	lab_teach(lab);
	lab_splice(lab);
	observe_reload(lab, true);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.ack, lab->server_iss + 1);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 11, .payload_len = 20);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 1);
	observe_finish(lab);
}

/* Its SYN was answered before. */
static void
check_gets_in(struct lab *lab)
{
	observe_start_as(lab, false);
	lab_teach(lab);
	lab_syn_ack(lab);
	observe_reload(lab, true);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	observe_finish(lab);
}

LAB_TEST_ONCE(test_observe_begins_and_half_open_gets_in)
{
	check_gets_in(lab);
}

/* Its SYN had passed: the ACK that its server asks for confirms it. */
LAB_TEST_ONCE(test_observe_begins_in_mid_handshake)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	observe_start_as(lab, false);
	CLIENT(TCP_SYN, lab->irs, 0, .options = OPTION_MSS, .mss = 1460);
	OUTCOME_IS(passed_syn);
	observe_reload(lab, true);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .options = OPTION_MSS,
	       .mss = 1460);
	observe_check_crossed(lab, SIDE_OUTSIDE);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	observe_check_crossed(lab, SIDE_INSIDE);
	EQUAL(lab_grew(lab, COUNTER_tracked), 1);
	observe_finish(lab);
}

/* A candidate for adoption is one no more when its server speaks: another may be one, and
 * nothing is half-open. */
LAB_TEST_ONCE(test_observe_begins_and_candidate_is_confirmed)
{
	lab->params.connections = 8; /* of which one at a time may be a candidate */
	lab->policy.timeouts.adopt = 60;
	observe_start_as(lab, false);
	CLIENT(TCP_ACK, 1000, 2000, .payload_len = 10);
	OUTCOME_IS(passed_adopted);
	CLIENT(TCP_ACK, 1000, 2000, .payload_len = 10, .client_port = 2000);
	OUTCOME_IS(answered_rst);
	observe_reload(lab, true);
	SERVER(TCP_ACK, 2000, 1010);
	observe_check_crossed(lab, SIDE_OUTSIDE);
	EQUAL(lab_grew(lab, COUNTER_tracked), 1);
	EQUAL(core_service_view(lab->core, 0).half_open, 0);
	EQUAL(lab_entry(lab)->flags, CONN_CONFIRMED);
	observe_reload(lab, false);
	CLIENT(TCP_ACK, 1000, 2000, .payload_len = 10, .client_port = 2000);
	OUTCOME_IS(passed_adopted);
	observe_finish(lab);
}

LAB_TEST_ONCE(test_observe_begins_and_cookie_gets_in)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	check_gets_in(lab);
}

/* What is spent is, and nothing is opened by its cookie once more. */
LAB_TEST_ONCE(test_observe_begins_and_spent_cookie_crosses)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	observe_start_as(lab, false);
	lab_teach(lab);
	lab_spend(lab);
	EQUAL(lab_state(lab), CONN_SPENT);
	observe_reload(lab, true);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	observe_check_crossed(lab, SIDE_INSIDE);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
	observe_finish(lab);
}

/* Nothing was kept meanwhile, so when it ends any worker may have any segment. */
LAB_TEST_ONCE(test_observe_handoff_ends_and_keeps_nothing)
{
	const struct lab_seg ack = { .side = SIDE_OUTSIDE, .flags = TCP_ACK, .client_port = 3000 };

	lab->services[2].observe = true;
	lab->server_port = LAB_HANDOFF;
	observe_start(lab);
	CHECK(!lab_answers_anywhere(lab, &ack));
	lab->services[2].observe = false;
	observe_reload(lab, false);
	CHECK(lab_answers_anywhere(lab, &ack));
	observe_finish(lab);
}

/* A handshake that crosses when a reload ends observe: the ACK that its server has asked for passes,
 * and so does what follows. */
LAB_TEST(test_observe_ends_in_handshake)
{
	observe_start(lab);
	observe_answered(lab);
	observe_reload(lab, false);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	OUTCOME_IS(passed_adopted);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .payload_len = 20);
	OUTCOME_IS(passed_adopted);
	EQUAL(lab_count(lab, COUNTER_adopted), 1);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 2, .client_port = 4567);
	OUTCOME_IS(answered_rst);
	observe_finish(lab);
}

CU_TestInfo core_observe_reload_tests[] = {
	CHECK_TEST(test_observe_ends_and_connections_go_on),
	CHECK_TEST(test_observe_ends_in_handshake),
	CHECK_TEST(test_observe_server_speaks_connection_followed),
	CHECK_TEST(test_observe_begins_and_split_connections_go_on),
	CHECK_TEST(test_observe_begins_and_half_open_gets_in),
	CHECK_TEST(test_observe_begins_in_mid_handshake),
	CHECK_TEST(test_observe_begins_and_candidate_is_confirmed),
	CHECK_TEST(test_observe_begins_and_cookie_gets_in),
	CHECK_TEST(test_observe_begins_and_spent_cookie_crosses),
	CHECK_TEST(test_observe_handoff_ends_and_keeps_nothing),
	CU_TEST_INFO_NULL,
};
