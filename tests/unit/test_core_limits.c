/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits before and after the handshake, caps, and full tables. */
#include "core_lab.h"

/* In at the high watermark, out at the low one, and nothing between changes it. */
LAB_TEST_ONCE(test_limits_watermarks_have_hysteresis)
{
	unsigned int i = 0;

	lab->policy.syn_ack_retries = 0;
	lab->services[0].high = 8;
	lab->services[0].low = 3;
	lab_start(lab);
	lab_teach(lab);
	for (; i < 8; i++) {
		CHECK(!core_service_view(lab->core, 0).cookie_mode);
		lab_syn_of(lab, i, 0);
		OUTCOME_IS(answered_syn_state);
	}
	CHECK(core_service_view(lab->core, 0).cookie_mode);
	EQUAL(core_service_view(lab->core, 0).half_open, 8);
	for (; i < 20; i++) {
		lab_syn_of(lab, i, 0);
		OUTCOME_IS(answered_syn_cookie);
	}
	/* Four clients leave: still above the low watermark. */
	lab_tick(lab, 0);
	for (unsigned int n = 0; n < 4; n++)
		CLIENT(TCP_RST, 1001 + n, 0, .client_port = (uint16_t)(1000 + n));
	EQUAL(core_service_view(lab->core, 0).half_open, 4);
	CHECK(core_service_view(lab->core, 0).cookie_mode);
	EQUAL(lab_count(lab, COUNTER_cookie_mode_entered), 1);
	EQUAL(lab_count(lab, COUNTER_cookie_mode_left), 0);
	/* All of them gone, and the flood over. */
	lab_tick(lab, 20000);
	EQUAL(core_service_view(lab->core, 0).half_open, 0);
	CHECK(!core_service_view(lab->core, 0).cookie_mode);
	EQUAL(lab_count(lab, COUNTER_cookie_mode_left), 1);
	lab_syn_of(lab, 100, 0);
	OUTCOME_IS(answered_syn_state);
}

/* A flood that goes on does not let the mode flap as its entries expire. */
LAB_TEST_ONCE(test_limits_cookie_mode_stays_while_flooded)
{
	lab->services[0].high = 8;
	lab->services[0].low = 3;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 3000; i++) {
		lab_syn_of(lab, i, i % 50);
		lab_tick(lab, 10);
	}
	EQUAL(lab_count(lab, COUNTER_cookie_mode_entered), 1);
	EQUAL(lab_count(lab, COUNTER_cookie_mode_left), 0);
	/* A real client among them gets in. */
	lab_open_of(lab, 5000, 77);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.flags, TCP_SYN);
}

/* One cookie proven again and again does not make the flood look answered. */
LAB_TEST_ONCE(test_limits_cookie_mode_stays_while_replayed)
{
	lab->services[0].high = 8;
	lab->services[0].low = 3;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 50; i++)
		lab_syn_of(lab, i, i);
	uint32_t iss = lab_open_of(lab, 5000, 77);
	SERVER(TCP_RST | TCP_ACK, 0, 6001, .client_port = 6000, .client = 77);
	for (unsigned int i = 0; i < 2500; i++) {
		lab_syn_of(lab, i, i % 50);
		lab_tick(lab, 10);
		CLIENT(TCP_ACK, 6001, iss + 1, .client_port = 6000, .client = 77);
		EQUAL(lab_grew(lab, COUNTER_spent_replayed), 1);
	}
	EQUAL(lab_count(lab, COUNTER_cookie_mode_left), 0);
}

LAB_TEST_ONCE(test_limits_transparent_intercepts_when_flooded)
{
	unsigned int i = 0;

	lab->services[0].calm = CALM_TRANSPARENT;
	lab->services[0].high = 8;
	lab->services[0].low = 3;
	lab_start(lab);
	lab_teach(lab);
	for (; i < 8; i++) {
		lab_syn_of(lab, i, 0);
		OUTCOME_IS(passed_syn);
	}
	lab_syn_of(lab, i++, 0);
	OUTCOME_IS(answered_syn_cookie);
	lab_tick(lab, 40000);
	lab_syn_of(lab, i, 0);
	OUTCOME_IS(passed_syn);
}

LAB_TEST_ONCE(test_limits_cookies_never_refuses_when_full)
{
	unsigned int n_dropped = 0;

	lab->services[0].cookies = COOKIES_NEVER;
	lab->services[0].high = 8;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 100; i++) {
		lab_syn_of(lab, i, 0);
		EQUAL(lab_grew(lab, COUNTER_answered_syn_cookie), 0);
		n_dropped += lab_grew(lab, COUNTER_drop_overload) != 0;
	}
	CHECK(n_dropped > 0);
	CHECK(core_usage(lab->core).half_open <= lab->params.half_open);
}

LAB_TEST_ONCE(test_limits_full_half_open_table_answers_by_cookie)
{
	lab->params.half_open = 4;
	lab->services[0].high = 1000;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 40; i++) {
		lab_syn_of(lab, i, 0);
		EQUAL(NTH(SIDE_OUTSIDE, 0)->seg.flags, TCP_SYN | TCP_ACK);
	}
	CHECK(core_usage(lab->core).half_open <= 4);
}

/* Over its budget a source gets cookies; others keep state. */
LAB_TEST_ONCE(test_limits_source_half_open_by_cookie)
{
	lab->policy.sources.half_open_net = 3;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 6; i++) {
		lab_syn_of(lab, i, 1);
		CHECK(lab_grew(lab, i < 3 ? COUNTER_answered_syn_state
		                          : COUNTER_answered_syn_cookie) == 1);
	}
	lab_syn_of(lab, 50, 2);
	OUTCOME_IS(answered_syn_state);
}

LAB_TEST_ONCE(test_limits_source_host_half_open_by_cookie)
{
	lab->policy.sources.half_open_host = 2;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 4; i++) {
		lab_syn_of(lab, i, 1);
		CHECK(lab_grew(lab, i < 2 ? COUNTER_answered_syn_state
		                          : COUNTER_answered_syn_cookie) == 1);
	}
	CLIENT(TCP_SYN, 5, 0, .client_port = 900, .client = 1, .host = 1);
	OUTCOME_IS(answered_syn_state);
}

LAB_TEST_ONCE(test_limits_source_syn_rate_by_cookie)
{
	lab->policy.sources.syn_per_s_host = 5;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 10; i++) {
		lab_syn_of(lab, i, 1);
		CHECK(lab_grew(lab, i < 5 ? COUNTER_answered_syn_state
		                          : COUNTER_answered_syn_cookie) == 1);
	}
	lab_tick(lab, 2500);
	lab_syn_of(lab, 60, 1);
	OUTCOME_IS(answered_syn_state);
}

LAB_TEST_ONCE(test_limits_source_connections_refused)
{
	lab->policy.sources.connections_net = 2;
	lab_start(lab);
	lab_teach(lab);
	lab_splice_of(lab, 0, 1);
	lab_splice_of(lab, 1, 1);
	lab_open_of(lab, 2, 1);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_grew(lab, COUNTER_limit_source_connections), 1);
	EQUAL(lab_grew(lab, COUNTER_opened), 0);
	lab_splice_of(lab, 3, 2);
	/* One ends: there is room for one. */
	CLIENT(TCP_RST, 1001, 0, .client_port = 1000, .client = 1);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	lab_splice_of(lab, 4, 1);
}

LAB_TEST_ONCE(test_limits_source_new_per_second_refused)
{
	lab->policy.sources.new_per_s_net = 2;
	lab_start(lab);
	lab_teach(lab);
	lab_splice_of(lab, 0, 1);
	lab_splice_of(lab, 1, 1);
	lab_open_of(lab, 2, 1);
	EQUAL(lab_grew(lab, COUNTER_limit_source_new), 1);
	lab_splice_of(lab, 3, 2);
	lab_tick(lab, 2000);
	lab_splice_of(lab, 4, 1);
}

LAB_TEST_ONCE(test_limits_service_connections_refused)
{
	lab->services[0].max_connections = 2;
	lab_start(lab);
	lab_teach(lab);
	lab_splice_of(lab, 0, 1);
	lab_splice_of(lab, 1, 2);
	lab_open_of(lab, 2, 3);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_grew(lab, COUNTER_limit_service_connections), 1);
	EQUAL(core_service_view(lab->core, 0).connections, 2);
}

LAB_TEST_ONCE(test_limits_service_new_per_second_refused)
{
	lab->services[0].max_new_per_s = 2;
	lab->services[0].unproven = REFUSE_DROP;
	lab_start(lab);
	lab_teach(lab);
	lab_splice_of(lab, 0, 1);
	lab_splice_of(lab, 1, 2);
	lab_open_of(lab, 2, 3);
	EQUAL(lab_grew(lab, COUNTER_limit_service_new), 1);
	OUTCOME_IS(drop_connection_limit);
}

LAB_TEST_ONCE(test_limits_connecting_refused)
{
	lab->services[0].max_connecting = 2;
	lab_start(lab);
	lab_teach(lab);
	lab_open_of(lab, 0, 1);
	lab_open_of(lab, 1, 2);
	lab_open_of(lab, 2, 3);
	EQUAL(lab_grew(lab, COUNTER_limit_connecting), 1);
	OUTCOME_IS(answered_rst);
	SERVER(TCP_SYN | TCP_ACK, 9000, 1001, .client_port = 1000, .client = 1,
	       .options = OPTION_MSS, .mss = lab->server_mss);
	lab_open_of(lab, 3, 4);
	OUTCOME_IS(taken_proof);
}

/* Its cookie is spent: the refused client is not let in by repeating its ACK. */
LAB_TEST_ONCE(test_limits_refused_cookie_is_spent)
{
	lab->services[0].max_connections = 1;
	lab_start(lab);
	lab_teach(lab);
	lab_splice_of(lab, 0, 1);
	lab_syn_of(lab, 1, 2);
	uint32_t iss = NTH(SIDE_OUTSIDE, 0)->seg.seq;
	CLIENT(TCP_ACK, 1002, iss + 1, .client_port = 1001, .client = 2);
	OUTCOME_IS(answered_rst);
	CLIENT(TCP_RST, 1001, 0, .client_port = 1000, .client = 1);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	CLIENT(TCP_ACK, 1002, iss + 1, .client_port = 1001, .client = 2);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

/* Over the cap of its net SYNs are dropped; other nets are answered. */
LAB_TEST_ONCE(test_limits_reflection_net_capped)
{
	unsigned int n = 0;

	lab->policy.reflection.per_net_per_s = 10;
	lab->services[0].high = 1000000;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 200; i++) {
		lab_syn_of(lab, i, 1);
		n += lab->n_out;
		EQUAL(lab->n_out == 0, lab_grew(lab, COUNTER_drop_reflection) == 1);
	}
	EQUAL(n, 10);
	lab_syn_of(lab, 500, 2);
	EQUAL(NTH(SIDE_OUTSIDE, 0)->seg.flags, TCP_SYN | TCP_ACK);
}

/* In a flood that goes on the cap holds from its first second on, and leaves room in every
 * tenth of a second for a retry; and in one that comes in pulses no pulse gets more. */
LAB_TEST_ONCE(test_limits_reflection_net_capped_for_long)
{
	unsigned int n = 0, sum = 0;

	lab->policy.reflection.per_net_per_s = 40;
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 4000; i++) {
		lab_syn_of(lab, i, 1);
		n += lab->n_out;
		lab_tick(lab, 1);
		if (i % 100 == 99) {
			CHECK(n >= 1 || i < 1000);
			sum += n;
			n = 0;
		}
	}
	CHECK(sum >= 3 * 40 && sum <= 5 * 40);
	for (unsigned int pulse = 0; pulse < 3; pulse++) {
		lab_tick(lab, 2500);
		sum = 0;
		for (unsigned int i = 0; i < 400; i++) {
			lab_syn_of(lab, i, 1);
			sum += lab->n_out;
		}
		EQUAL(sum, 40);
	}
}

LAB_TEST_ONCE(test_limits_reflection_port_capped)
{
	unsigned int n = 0;

	lab->policy.reflection.per_port_per_s = 20;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 200; i++) {
		lab_syn_of(lab, i, i % 100);
		n += lab->n_out;
	}
	CHECK(n >= 1 && n <= 40);
}

LAB_TEST_ONCE(test_limits_rst_capped)
{
	unsigned int n = 0;

	lab->policy.reflection.rst_per_s = 20;
	lab_start(lab);
	for (unsigned int i = 0; i < 200; i++) {
		n += CLIENT(TCP_ACK, i, i, .client = i % 100);
		EQUAL(lab_grew(lab, COUNTER_answered_rst) + lab_grew(lab, COUNTER_drop_rst_cap), 1);
	}
	CHECK(n >= 1 && n <= 20);
	EQUAL(lab_count(lab, COUNTER_rst_sent), n);
}

LAB_TEST_ONCE(test_limits_signed_syn_capped)
{
	unsigned int n = 0;

	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 5000; i++)
		n += CLIENT(TCP_SYN, i, 0, .options = OPTION_MD5,
		            .client_port = (uint16_t)(1000 + i)) != 0;
	CHECK(n > 0 && n < 5000);
	CHECK(lab_count(lab, COUNTER_drop_signed) > 0);
}

static void
deny(struct lab *lab, struct prefix *prefix, uint8_t answer)
{
	struct frame_spec f = lab->variant->is_v6 ? frame_spec_v6() : frame_spec_v4();

	prefix->len = lab->variant->is_v6 ? 48 : 120;
	prefix->addr = ip_addr_mask(&f.src, prefix->len);
	lab->services[0].denied = answer;
}

LAB_TEST(test_limits_denied_dropped)
{
	struct prefix prefix;

	deny(lab, &prefix, REFUSE_DROP);
	lab->services[0].deny = &prefix;
	lab->services[0].n_deny = 1;
	lab_start(lab);
	lab_teach(lab);
	EQUAL(lab_syn(lab), 0);
	OUTCOME_IS(drop_denied);
	lab_syn_of(lab, 1, 1);
	OUTCOME_IS(answered_syn_state);
}

/* What passes is followed, or its server's answer would get RST. */
LAB_TEST(test_limits_denied_passes_with_its_answer)
{
	struct prefix prefix;

	deny(lab, &prefix, REFUSE_PASS);
	lab->services[0].deny = &prefix;
	lab->services[0].n_deny = 1;
	lab_start(lab);
	lab_teach(lab);
	lab_syn(lab);
	OUTCOME_IS(passed_closed);
	SERVER(TCP_SYN | TCP_ACK, 70, lab->irs + 1);
	OUTCOME_IS(passed_tracked);
	EQUAL(ONLY(SIDE_OUTSIDE)->kind, ACTION_FORWARD);
}

LAB_TEST(test_limits_denied_reset)
{
	struct prefix prefix;

	deny(lab, &prefix, REFUSE_RESET);
	lab->services[0].deny = &prefix;
	lab->services[0].n_deny = 1;
	lab_start(lab);
	lab_teach(lab);
	lab_syn(lab);
	OUTCOME_IS(answered_rst);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_RST | TCP_ACK);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.ack, lab->irs + 1);
}

/* Not in `allow`; and `deny` beats it. */
LAB_TEST(test_limits_allow_list)
{
	struct prefix allowed, denied;

	deny(lab, &allowed, REFUSE_DROP);
	denied = allowed;
	denied.len = 128;
	denied.addr = (lab->variant->is_v6 ? frame_spec_v6() : frame_spec_v4()).src;
	lab->services[0].allow = &allowed;
	lab->services[0].n_allow = 1;
	lab->services[0].deny = &denied;
	lab->services[0].n_deny = 1;
	lab_start(lab);
	EQUAL(lab_syn(lab), 0);
	OUTCOME_IS(drop_denied);
	EQUAL(CLIENT(TCP_SYN, 1, 0, .client = 1), 0);
	OUTCOME_IS(drop_denied);
	if (!lab->variant->is_v6) {
		EQUAL(CLIENT(TCP_SYN, 1, 0, .host = 1), 1);
		OUTCOME_IS(passed_syn);
	}
}

/* Protected hosts' own connections have a share of their own, and no more. */
LAB_TEST_ONCE(test_limits_outbound_share)
{
	lab->params.connections = 64;
	lab_start(lab);
	for (unsigned int i = 0; i < 64; i++) {
		SERVER(TCP_SYN, i, 0, .client_port = (uint16_t)(1000 + i));
		EQUAL(ONLY(SIDE_OUTSIDE)->kind, ACTION_FORWARD);
	}
	CHECK(core_usage(lab->core).connections < 64);
	CHECK(core_usage(lab->core).connections > 0);
}

CU_TestInfo core_limits_tests[] = {
	CHECK_TEST(test_limits_watermarks_have_hysteresis),
	CHECK_TEST(test_limits_cookie_mode_stays_while_flooded),
	CHECK_TEST(test_limits_cookie_mode_stays_while_replayed),
	CHECK_TEST(test_limits_transparent_intercepts_when_flooded),
	CHECK_TEST(test_limits_cookies_never_refuses_when_full),
	CHECK_TEST(test_limits_full_half_open_table_answers_by_cookie),
	CHECK_TEST(test_limits_source_half_open_by_cookie),
	CHECK_TEST(test_limits_source_host_half_open_by_cookie),
	CHECK_TEST(test_limits_source_syn_rate_by_cookie),
	CHECK_TEST(test_limits_source_connections_refused),
	CHECK_TEST(test_limits_source_new_per_second_refused),
	CHECK_TEST(test_limits_service_connections_refused),
	CHECK_TEST(test_limits_service_new_per_second_refused),
	CHECK_TEST(test_limits_connecting_refused),
	CHECK_TEST(test_limits_refused_cookie_is_spent),
	CHECK_TEST(test_limits_reflection_net_capped),
	CHECK_TEST(test_limits_reflection_net_capped_for_long),
	CHECK_TEST(test_limits_reflection_port_capped),
	CHECK_TEST(test_limits_rst_capped),
	CHECK_TEST(test_limits_signed_syn_capped),
	CHECK_TEST(test_limits_denied_dropped),
	CHECK_TEST(test_limits_denied_passes_with_its_answer),
	CHECK_TEST(test_limits_denied_reset),
	CHECK_TEST(test_limits_allow_list),
	CHECK_TEST(test_limits_outbound_share),
	CU_TEST_INFO_NULL,
};
