/* SPDX-License-Identifier: BSD-3-Clause */
/* Mode handoff: cookies out, everything else through, nothing kept. */
#include "core_lab.h"
#include "core_state.h"

#define SERVICE 2 /* LAB_HANDOFF */

static void
start(struct lab *lab)
{
	lab->server_port = LAB_HANDOFF;
	lab_start(lab);
}

/* It left by the other side, and nothing is remembered. */
static void
check_passed(struct lab *lab, enum side side)
{
	EQUAL(ONLY(side)->kind, ACTION_FORWARD);
	EQUAL(core_usage(lab->core).connections, 0);
	EQUAL(core_usage(lab->core).half_open, 0);
}

LAB_TEST(test_handoff_syn_by_cookie, "HANDOFF.OUTSIDE.SYN", "HANDOFF.OUTSIDE.DATA")
{
	start(lab);
	lab_syn_ack(lab); /* whose ISS is a cookie of the group, as the lab checks */
	OUTCOME_IS(answered_syn_cookie);
	EQUAL(lab->promised_mss, lab->variant->is_v6 ? 1440 : 1460);
	EQUAL(core_usage(lab->core).half_open, 0);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 5);
	OUTCOME_IS(passed_handoff);
	check_passed(lab, SIDE_INSIDE);
}

/* The window of a kernel: whole segments. */
LAB_TEST_ONCE(test_handoff_syn_ack_window_whole_segments)
{
	lab->services[SERVICE].promise.mss = 1000;
	lab->services[SERVICE].promise.mss6 = 1000;
	start(lab);
	lab_syn(lab);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.window, 65000);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.mss, 1000);
}

LAB_TEST(test_handoff_promise_is_configured)
{
	lab->services[SERVICE].promise.sack = false;
	lab->services[SERVICE].promise.timestamps = false;
	lab->services[SERVICE].promise.window_scaling = false;
	start(lab);
	lab_syn(lab);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.options, OPTION_MSS);
}

LAB_TEST(test_handoff_outside_segment_passed, "HANDOFF.OUTSIDE.SYN_ACK", "HANDOFF.OUTSIDE.ACK",
         "HANDOFF.OUTSIDE.RST")
{
	static const uint8_t flags[] = { TCP_SYN | TCP_ACK, TCP_ACK, TCP_RST, TCP_RST | TCP_ACK };

	start(lab);
	for (unsigned int i = 0; i < sizeof(flags); i++) {
		CLIENT(flags[i], 700, 900);
		OUTCOME_IS(passed_handoff);
		check_passed(lab, SIDE_INSIDE);
	}
}

LAB_TEST(test_handoff_inside_segment_passed, "HANDOFF.INSIDE.SYN", "HANDOFF.INSIDE.SYN_ACK",
         "HANDOFF.INSIDE.ACK", "HANDOFF.INSIDE.DATA", "HANDOFF.INSIDE.RST")
{
	static const uint8_t flags[] = { TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK | TCP_FIN,
		                         TCP_RST };

	start(lab);
	for (unsigned int i = 0; i < sizeof(flags); i++) {
		SERVER(flags[i], 700, 900);
		OUTCOME_IS(passed_handoff);
		check_passed(lab, SIDE_OUTSIDE);
	}
}

/* Four a second pass; then cookies, until no more than two come in a second. */
LAB_TEST_ONCE(test_handoff_calm_syns_pass_then_cookies)
{
	lab->services[SERVICE].calm = CALM_TRANSPARENT;
	start(lab);
	lab_tick(lab, 1000);
	for (uint16_t i = 0; i < 4; i++) {
		CLIENT(TCP_SYN, 1000u + i, 0, .client_port = (uint16_t)(3000 + i));
		OUTCOME_IS(passed_syn);
		check_passed(lab, SIDE_INSIDE);
	}
	CHECK(!core_service_view(lab->core, SERVICE).cookie_mode);
	for (uint16_t i = 4; i < 7; i++) {
		CLIENT(TCP_SYN, 1000u + i, 0, .client_port = (uint16_t)(3000 + i));
		OUTCOME_IS(answered_syn_cookie);
	}
	CHECK(core_service_view(lab->core, SERVICE).cookie_mode);
	lab_tick(lab, 1000); /* three came: more than half of four */
	CHECK(core_service_view(lab->core, SERVICE).cookie_mode);
	lab_tick(lab, 1000);
	CHECK(!core_service_view(lab->core, SERVICE).cookie_mode);
	CLIENT(TCP_SYN, 2000, 0);
	OUTCOME_IS(passed_syn);
}

LAB_TEST_ONCE(test_handoff_signed_syn_as_configured)
{
	lab->services[SERVICE].signed_syn = REFUSE_RESET;
	start(lab);
	CLIENT(TCP_SYN, 1000, 0, .options = OPTION_MD5);
	OUTCOME_IS(answered_rst);
}

/* So many, and no more: what passes by policy may be a flood. */
LAB_TEST_ONCE(test_handoff_signed_syns_pass_under_a_cap)
{
	unsigned int n = 0;

	start(lab);
	do
		CLIENT(TCP_SYN, 1000, 0, .options = OPTION_MD5);
	while (lab_grew(lab, COUNTER_passed_syn) == 1 && ++n < 2 * PASSES_PER_S);
	OUTCOME_IS(drop_signed);
	/* The rest is left to those that are known. */
	EQUAL(n, bucket_burst(PASSES_PER_S) * 3 / 4);
}

LAB_TEST(test_handoff_syn_to_many_stations_dropped)
{
	struct lab_seg s = { .side = SIDE_OUTSIDE, .flags = TCP_SYN, .seq = 1000 };
	uint8_t options[64], payload[FRAME_SIZE], frame[FRAME_SIZE];

	start(lab);
	struct frame_spec f = lab_frame(lab, &s, options, payload);
	size_t len = frame_build(frame, &f);
	frame[0] |= 1;
	EQUAL(lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false), 0);
	OUTCOME_IS(drop_address);
}

LAB_TEST_ONCE(test_handoff_drain_changes_nothing)
{
	start(lab);
	core_drain(lab->core, true);
	lab_syn(lab);
	OUTCOME_IS(answered_syn_cookie);
	EQUAL(core_remaining(lab->core), 0);
}

/* Any worker may have any segment of it. */
LAB_TEST_ONCE(test_handoff_segment_is_anybodys)
{
	start(lab);
	CHECK(lab_answers_anywhere(lab,
	                           &(struct lab_seg){ .side = SIDE_OUTSIDE, .flags = TCP_SYN }));
	CHECK(lab_answers_anywhere(lab,
	                           &(struct lab_seg){ .side = SIDE_OUTSIDE, .flags = TCP_ACK }));
	CHECK(lab_answers_anywhere(lab,
	                           &(struct lab_seg){ .side = SIDE_INSIDE, .flags = TCP_ACK }));
}

/* Services of two groups and one without, in one burst: each SYN-ACK under its own keys, as the
 * lab checks. */
LAB_TEST_ONCE(test_handoff_groups_in_one_burst_have_their_own_keys)
{
	lab->services[3].mode = MODE_HANDOFF;
	lab->services[3].group_id = 2;
	strcpy(lab->services[3].group, "other");
	lab->services[3].promise.mss = lab->services[3].promise.mss6 = 1300;
	lab->services[1].cookies = COOKIES_ALWAYS;
	start(lab);
	static const uint16_t ports[] = { LAB_HANDOFF, LAB_BYPASS,  LAB_RESPOND, LAB_BYPASS,
		                          LAB_HANDOFF, LAB_RESPOND, LAB_HANDOFF, LAB_BYPASS };
	struct lab_seg syns[LAB_BURST];

	for (unsigned int i = 0; i < LAB_BURST; i++)
		syns[i] = (struct lab_seg){ .side = SIDE_OUTSIDE,
			                    .flags = TCP_SYN,
			                    .seq = 1000 + i,
			                    .server_port = ports[i],
			                    .client_port = (uint16_t)(3000 + i) };
	EQUAL(lab_in_burst(lab, syns, LAB_BURST), LAB_BURST);
	EQUAL(lab_grew(lab, COUNTER_answered_syn_cookie), LAB_BURST);
	/* What is promised is each one's own, too. */
	EQUAL(NTH(SIDE_OUTSIDE, 1)->seg.mss, 1300);
	EQUAL(NTH(SIDE_OUTSIDE, 4)->seg.mss, lab->variant->is_v6 ? 1440 : 1460);
}

/* A flood whose answers a cap withholds is a flood all the same. */
LAB_TEST_ONCE(test_handoff_capped_flood_keeps_cookie_mode)
{
	lab->services[SERVICE].calm = CALM_TRANSPARENT;
	lab->policy.reflection.per_net_per_s = 1;
	start(lab);
	lab_tick(lab, 1000);
	for (uint16_t i = 0; i < 9; i++)
		CLIENT(TCP_SYN, 1000u + i, 0, .client_port = (uint16_t)(3000 + i));
	OUTCOME_IS(drop_reflection);
	CHECK(core_service_view(lab->core, SERVICE).cookie_mode);
	lab_tick(lab, 1000);
	CHECK(core_service_view(lab->core, SERVICE).cookie_mode);
}

/* A service that a reload has made one of this mode: what was there before is carried on. */
LAB_TEST_ONCE(test_handoff_after_reload_old_connections_are_carried)
{
	static struct policy after;
	static struct service services[LAB_SERVICES];
	uint32_t a, b;

	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	after = lab->policy;
	after.generation++;
	memcpy(services, lab->services, sizeof(services));
	services[0].mode = MODE_HANDOFF;
	services[0].group_id = 0;
	after.services = services;
	CHECK(policy_compile(&after, &a, &b) == NULL);
	core_set_policy(lab->core, &after);
	CHECK(!lab_answers_anywhere(lab,
	                            &(struct lab_seg){ .side = SIDE_OUTSIDE, .flags = TCP_ACK }));
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(spliced);
	CLIENT(TCP_ACK, 7000, 9000, .client_port = 3000);
	OUTCOME_IS(passed_handoff);
	lab_syn(lab);
	OUTCOME_IS(answered_syn_cookie);
	core_set_policy(lab->core, &lab->policy);
	policy_free_index(&after);
}

CU_TestInfo core_handoff_tests[] = {
	CHECK_TEST(test_handoff_syn_by_cookie),
	CHECK_TEST(test_handoff_syn_ack_window_whole_segments),
	CHECK_TEST(test_handoff_promise_is_configured),
	CHECK_TEST(test_handoff_outside_segment_passed),
	CHECK_TEST(test_handoff_inside_segment_passed),
	CHECK_TEST(test_handoff_calm_syns_pass_then_cookies),
	CHECK_TEST(test_handoff_capped_flood_keeps_cookie_mode),
	CHECK_TEST(test_handoff_signed_syn_as_configured),
	CHECK_TEST(test_handoff_signed_syns_pass_under_a_cap),
	CHECK_TEST(test_handoff_syn_to_many_stations_dropped),
	CHECK_TEST(test_handoff_drain_changes_nothing),
	CHECK_TEST(test_handoff_segment_is_anybodys),
	CHECK_TEST(test_handoff_groups_in_one_burst_have_their_own_keys),
	CHECK_TEST(test_handoff_after_reload_old_connections_are_carried),
	CU_TEST_INFO_NULL,
};
