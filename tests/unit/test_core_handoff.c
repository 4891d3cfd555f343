/* SPDX-License-Identifier: BSD-3-Clause */
/* Mode handoff: cookies out, everything else through, nothing kept. */
#include "core_lab.h"

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
	CHECK(lab_answers_anywhere(lab, &(struct lab_seg){ .side = SIDE_OUTSIDE, .flags = TCP_SYN }));
	CHECK(lab_answers_anywhere(lab, &(struct lab_seg){ .side = SIDE_OUTSIDE, .flags = TCP_ACK }));
	CHECK(lab_answers_anywhere(lab, &(struct lab_seg){ .side = SIDE_INSIDE, .flags = TCP_ACK }));
}

CU_TestInfo core_handoff_tests[] = {
	CHECK_TEST(test_handoff_syn_by_cookie),
	CHECK_TEST(test_handoff_syn_ack_window_whole_segments),
	CHECK_TEST(test_handoff_promise_is_configured),
	CHECK_TEST(test_handoff_outside_segment_passed),
	CHECK_TEST(test_handoff_inside_segment_passed),
	CHECK_TEST(test_handoff_calm_syns_pass_then_cookies),
	CHECK_TEST(test_handoff_signed_syn_as_configured),
	CHECK_TEST(test_handoff_drain_changes_nothing),
	CHECK_TEST(test_handoff_segment_is_anybodys),
	CU_TEST_INFO_NULL,
};
