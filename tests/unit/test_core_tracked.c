/* SPDX-License-Identifier: BSD-3-Clause */
/* TRACKED: passed through, never rewritten. */
#include "core_lab.h"

/* A transparent handshake, whole. */
static void
start(struct lab *lab)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab_start(lab);
	lab_syn(lab);
	lab_check_passed(lab, SIDE_INSIDE);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .options = LAB_ALL, .mss = 1400,
	       .wscale = 5);
	lab_check_passed(lab, SIDE_OUTSIDE);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	lab_check_passed(lab, SIDE_INSIDE);
	EQUAL(lab_state(lab), CONN_TRACKED);
}

LAB_TEST(test_tracked_handshake_passes, "TRACKED.OUTSIDE.ACK", "TRACKED.INSIDE.SYN_ACK")
{
	start(lab);
	EQUAL(lab_count(lab, COUNTER_tracked), 1);
	EQUAL(lab_count(lab, COUNTER_learned), 1);
	EQUAL(core_remaining(lab->core), 0);
}

LAB_TEST(test_tracked_data_passes, "TRACKED.OUTSIDE.DATA", "TRACKED.INSIDE.DATA",
         "TRACKED.INSIDE.ACK")
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1, .payload_len = 10);
	lab_check_passed(lab, SIDE_INSIDE);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 11, .payload_len = 1000);
	lab_check_passed(lab, SIDE_OUTSIDE);
	SERVER(TCP_ACK, lab->server_iss + 1001, lab->irs + 11);
	lab_check_passed(lab, SIDE_OUTSIDE);
	CLIENT(TCP_ACK, lab->irs + 11, lab->server_iss + 1, .payload_len = 3, .bad_checksum = 5);
	lab_check_passed(lab, SIDE_INSIDE);
}

LAB_TEST(test_tracked_same_syn_passes, "TRACKED.OUTSIDE.SYN")
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab_start(lab);
	lab_syn(lab);
	lab_tick(lab, 1000);
	lab_syn(lab);
	lab_check_passed(lab, SIDE_INSIDE);
	EQUAL(core_usage(lab->core).connections, 1);
}

/* The challenge ACK of a live one is the server's to send. */
LAB_TEST(test_tracked_syn_on_live_connection_passes, "TRACKED.OUTSIDE.SYN")
{
	start(lab);
	CLIENT(TCP_SYN, lab->irs + 77777, 0);
	lab_check_passed(lab, SIDE_INSIDE);
	EQUAL(core_usage(lab->core).connections, 1);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1);
	lab_check_passed(lab, SIDE_OUTSIDE);
}

LAB_TEST(test_tracked_syn_on_ended_connection_fresh)
{
	start(lab);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	lab_check_passed(lab, SIDE_INSIDE);
	lab->irs += 5000;
	lab_syn(lab);
	lab_check_passed(lab, SIDE_INSIDE);
	EQUAL(core_usage(lab->core).connections, 1);
	EQUAL(lab_state(lab), CONN_TRACKED);
}

/* The client has had the SYN-ACK of another worker, by cookie, to a SYN of this ISS. */
static void
answered_elsewhere(struct lab *lab, const struct flow *flow, uint32_t irs)
{
	const struct secret_set *secrets = secret_current(&lab->secrets);
	uint32_t *until_s = &lab->params.cookies_until_s[lab->services[0].id];
	struct cookie_job job = {
		.flow = flow,
		.irs = irs,
		.parity = secrets->epoch & 1,
		.is_v4 = !lab->variant->is_v6,
	};

	cookie_make(secrets, &job, 1);
	*until_s = (uint32_t)(lab->now_ms / 1000) + COOKIE_LIFE_MAX_S;
	lab->irs = irs;
	lab->iss = job.iss;
	lab->timestamps = false;
}

/* A SYN that passed, and that another worker has answered when it came again. */
static void
passed_and_answered(struct lab *lab)
{
	lab_share_cookies(lab);
	lab->services[0].calm = CALM_TRANSPARENT;
	lab_start(lab);
	lab_syn(lab);
	const struct flow flow = ONLY(SIDE_INSIDE)->seg.flow;
	answered_elsewhere(lab, &flow, lab->irs);
}

static void
check_reopened(struct lab *lab)
{
	OUTCOME_IS(taken_proof);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.flags, TCP_SYN);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.seq, lab->irs);
	EQUAL(lab_state(lab), CONN_CONNECTING);
	EQUAL(core_usage(lab->core).connections, 1);
}

LAB_TEST(test_tracked_ended_cookie_of_another_worker_opens, "TRACKED.OUTSIDE.ACK")
{
	lab_share_cookies(lab);
	start(lab);
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 1, lab->irs + 1);
	const struct flow flow = ONLY(SIDE_OUTSIDE)->seg.flow;
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->server_iss + 2);
	SERVER(TCP_ACK, lab->server_iss + 2, lab->irs + 2);
	/* Last words and what was under way pass. */
	CLIENT(TCP_ACK, lab->irs + 2, lab->server_iss + 2);
	lab_check_passed(lab, SIDE_INSIDE);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	lab_check_passed(lab, SIDE_INSIDE);
	answered_elsewhere(lab, &flow, lab->irs + 5000);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	check_reopened(lab);
}

/* What a client that offers all is promised now, when calm is over. */
static uint8_t
promised_options(struct lab *lab)
{
	lab->services[0].calm = CALM_INTERCEPT;
	core_set_policy(lab->core, &lab->policy);
	CLIENT(TCP_SYN, 1000, 0, .client_port = 3100, .options = LAB_ALL, .mss = 1460, .wscale = 7,
	       .tsval = 1);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_SYN | TCP_ACK);
	return ONLY(SIDE_OUTSIDE)->seg.options;
}

static void
syn_of_net(struct lab *lab, uint32_t net, uint32_t seq, uint8_t options)
{
	CLIENT(TCP_SYN, seq, 0, .client_port = 3000, .client = net, .options = options, .mss = 1460,
	       .wscale = 7, .tsval = 1);
	lab_check_passed(lab, SIDE_INSIDE);
}

static void
bare_syn_ack_of_net(struct lab *lab, uint32_t net)
{
	SERVER(TCP_SYN | TCP_ACK, 77, 1001, .client_port = 3000, .client = net,
	       .options = OPTION_MSS, .mss = 1460);
	lab_check_passed(lab, SIDE_OUTSIDE);
}

/* The server answers one of two SYNs: nothing is absent that one of them did not offer,
 * whichever came first and whatever ISS it has. */
LAB_TEST_ONCE(test_tracked_repeated_syn_teaches_nothing_absent)
{
	static const uint32_t seq[][2] = { { 1000, 1000 }, { 2000, 1000 }, { 1000, 2000 } };

	for (unsigned int i = 0; i < 12; i++) {
		if (i == 0) {
			lab->services[0].calm = CALM_TRANSPARENT;
			lab_start(lab);
			lab_teach(lab);
		}
		syn_of_net(lab, 1 + i, seq[i / 4][0], i & 1 ? LAB_ALL : OPTION_MSS);
		lab_tick(lab, 1000);
		syn_of_net(lab, 1 + i, seq[i / 4][1], i & 1 ? OPTION_MSS : LAB_ALL);
		bare_syn_ack_of_net(lab, 1 + i);
		CLIENT(TCP_ACK, 1001, 78, .client_port = 3000, .client = 1 + i);
		EQUAL(lab_grew(lab, COUNTER_tracked), 1);
	}
	EQUAL(promised_options(lab), LAB_ALL);
}

/* A SYN that the server has not got, after the entry of the one that it goes on answering
 * has gone: who has not seen the answer teaches nothing absent. */
LAB_TEST_ONCE(test_tracked_unacknowledged_syn_ack_teaches_nothing_absent)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab_start(lab);
	lab_teach(lab);
	for (uint32_t net = 1; net < 5; net++) {
		syn_of_net(lab, net, 1000, OPTION_MSS);
		lab_tick(lab, 12000);
		EQUAL(core_usage(lab->core).connections, 0);
		syn_of_net(lab, net, 1000, LAB_ALL);
		bare_syn_ack_of_net(lab, net);
		EQUAL(lab_grew(lab, COUNTER_learned), 1);
		lab_tick(lab, 12000);
	}
	EQUAL(promised_options(lab), LAB_ALL);
}

/* But an answer that its client has acknowledged does. */
LAB_TEST_ONCE(test_tracked_acknowledged_syn_ack_teaches_absent)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab_start(lab);
	lab_teach(lab);
	for (uint32_t net = 1; net < 4; net++)
		lab_teach_from(lab, net, LAB_ALL, OPTION_MSS | OPTION_WSCALE);
	EQUAL(promised_options(lab), OPTION_MSS | OPTION_WSCALE);
}

/* A SYN of another ISS, forged or of a client that has begun anew: the server's answer
 * tells which of the two it goes by. */
LAB_TEST(test_tracked_syn_of_other_iss_before_answer, "TRACKED.OUTSIDE.SYN")
{
	for (unsigned int newer = 0; newer < 2; newer++) {
		if (newer == 0) {
			lab->services[0].calm = CALM_TRANSPARENT;
			lab_start(lab);
		}
		lab->client_port++;
		lab_syn(lab);
		CLIENT(TCP_SYN, lab->irs + 77777, 0, .options = OPTION_MSS, .mss = 1460);
		lab_check_passed(lab, SIDE_INSIDE);
		uint32_t irs = lab->irs + (newer ? 77777 : 0);
		SERVER(TCP_SYN | TCP_ACK, lab->server_iss, irs + 1, .options = OPTION_MSS,
		       .mss = 1400);
		EQUAL(lab_grew(lab, COUNTER_learned), 1);
		/* Once more, when the server has answered. */
		CLIENT(TCP_SYN, lab->irs + 99999, 0);
		lab_check_passed(lab, SIDE_INSIDE);
		CLIENT(TCP_ACK, irs + 1, lab->server_iss + 1);
		EQUAL(lab_grew(lab, COUNTER_tracked), 1);
		/* It counts from there: this RST is exact. */
		CLIENT(TCP_RST, irs + 1, 0);
		lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
		EQUAL(core_usage(lab->core).connections, 0);
	}
}

/* Neither a client that has restarted, nor a late copy of an older proof, nor a guess. */
LAB_TEST(test_tracked_live_no_cookie_opens, "TRACKED.OUTSIDE.DATA")
{
	lab_share_cookies(lab);
	start(lab);
	const uint32_t irs = lab->irs;
	SERVER(TCP_ACK, lab->server_iss + 1, irs + 1, .payload_len = 10);
	const struct flow flow = ONLY(SIDE_OUTSIDE)->seg.flow;
	answered_elsewhere(lab, &flow, irs + 0x40000000);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	lab_check_passed(lab, SIDE_INSIDE);
	answered_elsewhere(lab, &flow, irs - 0x1000000);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	lab_check_passed(lab, SIDE_INSIDE);
	CLIENT(TCP_ACK, irs + 1, lab->server_iss + 11, .payload_len = 10);
	lab_check_passed(lab, SIDE_INSIDE);
	EQUAL(lab_state(lab), CONN_TRACKED);
}

/* What opens must be whole, and of a service that is still there. */
LAB_TEST(test_tracked_cookie_of_another_worker_broken, "TRACKED.OUTSIDE.DATA")
{
	passed_and_answered(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10, .bad_checksum = 5);
	EQUAL(lab_state(lab), CONN_TRACKED);
	lab->services[0].mode = MODE_BYPASS;
	core_set_policy(lab->core, &lab->policy);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	EQUAL(core_remaining(lab->core), 0);
}

/* The same SYN again, to a worker that answers it: the client may go by that answer. */
LAB_TEST(test_tracked_unanswered_cookie_of_another_worker_opens, "TRACKED.OUTSIDE.ACK")
{
	passed_and_answered(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	check_reopened(lab);
}

LAB_TEST(test_tracked_client_syn_ack_dropped, "TRACKED.OUTSIDE.SYN_ACK")
{
	start(lab);
	EQUAL(CLIENT(TCP_SYN | TCP_ACK, lab->irs, lab->server_iss + 1), 0);
	OUTCOME_IS(drop_stray_syn_ack);
}

/* A protected host opens a connection to somebody outside. */
LAB_TEST(test_tracked_outbound_passes, "TRACKED.OUTSIDE.SYN_ACK", "TRACKED.INSIDE.SYN")
{
	lab_start(lab);
	SERVER(TCP_SYN, 500, 0);
	lab_check_passed(lab, SIDE_OUTSIDE);
	SERVER(TCP_SYN, 500, 0);
	lab_check_passed(lab, SIDE_OUTSIDE);
	CLIENT(TCP_SYN | TCP_ACK, 900, 501, .options = LAB_ALL, .mss = 1000);
	lab_check_passed(lab, SIDE_INSIDE);
	SERVER(TCP_ACK, 501, 901, .payload_len = 9);
	lab_check_passed(lab, SIDE_OUTSIDE);
	CLIENT(TCP_ACK, 901, 510, .payload_len = 90);
	lab_check_passed(lab, SIDE_INSIDE);
	EQUAL(lab_count(lab, COUNTER_learned), 0);
}

LAB_TEST(test_tracked_rst_exact_lingers, "TRACKED.OUTSIDE.RST")
{
	start(lab);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	lab_check_passed(lab, SIDE_INSIDE);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	EQUAL(core_usage(lab->core).connections, 0);
	EQUAL(lab_count(lab, COUNTER_tracked_ended), 1);
}

LAB_TEST(test_tracked_server_rst_exact_lingers, "TRACKED.INSIDE.RST")
{
	start(lab);
	SERVER(TCP_RST, lab->server_iss + 1, 0);
	lab_check_passed(lab, SIDE_OUTSIDE);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	EQUAL(core_usage(lab->core).connections, 0);
}

/* It lingers as long as the policy says, and no longer for late copies of the RST. */
LAB_TEST(test_tracked_rst_lingers_its_time)
{
	lab->policy.timeouts.reset_linger = 8;
	start(lab);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	lab_tick(lab, 5000);
	EQUAL(lab_state(lab), CONN_TRACKED);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	lab_check_passed(lab, SIDE_INSIDE);
	EQUAL(lab_state(lab), CONN_TRACKED);
	lab_tick(lab, 5000);
	EQUAL(lab_state(lab), CONN_FREE);
}

/* Its receiver goes on: the RST never reached it. */
LAB_TEST(test_tracked_rst_linger_cancelled)
{
	start(lab);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	lab_tick(lab, 2000);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .payload_len = 10);
	lab_check_passed(lab, SIDE_OUTSIDE);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 5));
	EQUAL(lab_state(lab), CONN_TRACKED);
	CLIENT(TCP_SYN, lab->irs + 77777, 0);
	lab_check_passed(lab, SIDE_INSIDE);
	SERVER(TCP_ACK, lab->server_iss + 11, lab->irs + 1);
	lab_check_passed(lab, SIDE_OUTSIDE);
}

LAB_TEST(test_tracked_rst_inexact_changes_nothing)
{
	start(lab);
	CLIENT(TCP_RST, lab->irs + 60, 0);
	lab_check_passed(lab, SIDE_INSIDE);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	EQUAL(lab_state(lab), CONN_TRACKED);
}

LAB_TEST(test_tracked_timer_expires, "TRACKED.INSIDE.TIMER")
{
	start(lab);
	EQUAL(lab_tick(lab, 1000 * (lab->policy.timeouts.idle - 2)), 0);
	EQUAL(lab_state(lab), CONN_TRACKED);
	EQUAL(lab_tick(lab, 4000), 0);
	EQUAL(lab_state(lab), CONN_FREE);
	EQUAL(core_usage(lab->core).paths, 0);
}

/* A proof that is none changes nothing: the server, asked about it, would say RST. */
LAB_TEST(test_tracked_wrong_proof_dropped)
{
	passed_and_answered(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 5), 0);
	OUTCOME_IS(drop_unproven_ack);
	EQUAL(lab_count(lab, COUNTER_opened), 0);
	EQUAL(lab_state(lab), CONN_TRACKED);
}

/* An answer to a SYN from before the entry: which one the client goes by nobody knows. */
LAB_TEST(test_tracked_wrong_proof_of_other_answer_passes)
{
	passed_and_answered(lab);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs - 4000);
	lab_check_passed(lab, SIDE_OUTSIDE);
	CLIENT(TCP_ACK, lab->irs - 4000, lab->server_iss + 1);
	lab_check_passed(lab, SIDE_INSIDE);
}

static void
server_answers(struct lab *lab)
{
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .options = LAB_ALL, .mss = 1400,
	       .wscale = 5);
	lab_check_passed(lab, SIDE_OUTSIDE);
}

/* A SYN answered by cookie; when it comes again it passes, and the server answers it, too. The
 * client goes by the answer that came first, and what it sends would be strange to the server. */
LAB_TEST(test_tracked_earlier_cookie_opens, "TRACKED.OUTSIDE.ACK", "TRACKED.OUTSIDE.DATA")
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	lab->services[0].cookies = COOKIES_AUTO;
	lab->services[0].calm = CALM_TRANSPARENT;
	core_set_policy(lab->core, &lab->policy);
	lab_syn(lab);
	lab_check_passed(lab, SIDE_INSIDE);
	server_answers(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1001, lab->iss + 1, .payload_len = 10), 0);
	OUTCOME_IS(drop_unproven_data);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1001, lab->iss + 1), 0);
	OUTCOME_IS(drop_unproven_ack);
	EQUAL(lab_state(lab), CONN_TRACKED);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 1000);
	check_reopened(lab);
}

CU_TestInfo core_tracked_tests[] = {
	CHECK_TEST(test_tracked_handshake_passes),
	CHECK_TEST(test_tracked_data_passes),
	CHECK_TEST(test_tracked_same_syn_passes),
	CHECK_TEST(test_tracked_syn_on_live_connection_passes),
	CHECK_TEST(test_tracked_syn_on_ended_connection_fresh),
	CHECK_TEST(test_tracked_ended_cookie_of_another_worker_opens),
	CHECK_TEST(test_tracked_repeated_syn_teaches_nothing_absent),
	CHECK_TEST(test_tracked_unacknowledged_syn_ack_teaches_nothing_absent),
	CHECK_TEST(test_tracked_acknowledged_syn_ack_teaches_absent),
	CHECK_TEST(test_tracked_syn_of_other_iss_before_answer),
	CHECK_TEST(test_tracked_live_no_cookie_opens),
	CHECK_TEST(test_tracked_cookie_of_another_worker_broken),
	CHECK_TEST(test_tracked_unanswered_cookie_of_another_worker_opens),
	CHECK_TEST(test_tracked_client_syn_ack_dropped),
	CHECK_TEST(test_tracked_outbound_passes),
	CHECK_TEST(test_tracked_rst_exact_lingers),
	CHECK_TEST(test_tracked_server_rst_exact_lingers),
	CHECK_TEST(test_tracked_wrong_proof_dropped),
	CHECK_TEST(test_tracked_wrong_proof_of_other_answer_passes),
	CHECK_TEST(test_tracked_earlier_cookie_opens),
	CHECK_TEST(test_tracked_rst_lingers_its_time),
	CHECK_TEST(test_tracked_rst_linger_cancelled),
	CHECK_TEST(test_tracked_rst_inexact_changes_nothing),
	CHECK_TEST(test_tracked_timer_expires),
	CU_TEST_INFO_NULL,
};
