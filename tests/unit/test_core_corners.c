/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules that nothing else here depends on, so that only a test of their own keeps them. */
#include "core_lab.h"

/* An ISS that was sent with state is a cookie, too: the gate is open as long as it lives. */
LAB_TEST_ONCE(test_corner_gate_open_for_state)
{
	lab->params.cookie_gate = true;
	lab->policy.syn_ack_retries = 1;
	lab_start(lab);
	lab_teach(lab);
	lab_tick(lab, (COOKIE_LIFE_MAX_S + 1) * 1000);
	/* A whole life of it lies ahead. */
	lab_tick(lab, EPOCH_S * 1000 - lab->wall_ms % (EPOCH_S * 1000));
	lab_syn_ack(lab);
	EQUAL(lab_count(lab, COUNTER_answered_syn_state), 1);
	lab_tick(lab, (COOKIE_LIFE_MIN_S - 1) * 1000);
	EQUAL(core_usage(lab->core).half_open, 0);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	EQUAL(lab_count(lab, COUNTER_cookies_gated), 0);
}

/* Limits and counts are for clients of a responder, too. */
LAB_TEST_ONCE(test_corner_responder_counts)
{
	lab->server_port = LAB_RESPOND;
	lab->services[1].max_new_per_s = 2;
	lab->policy.sources.connections_net = 3;
	lab_start(lab);
	for (unsigned int i = 0; i < 5; i++) {
		if (i == 2) {
			lab_open_of(lab, 90, 2);
			EQUAL(lab_grew(lab, COUNTER_limit_service_new), 1);
			lab_tick(lab, 1000);
		}
		if (i == 3)
			lab_tick(lab, 1000);
		lab_open_of(lab, i, 1);
		EQUAL(lab_grew(lab, COUNTER_limit_source_connections), i >= 3);
	}
	EQUAL(core_service_view(lab->core, 1).opened, 3);
	EQUAL(core_service_view(lab->core, 1).connections, 3);
	EQUAL(core_service_view(lab->core, 1).refused, 3);
}

/* What was opened while nobody knew of it has no handshake any more. */
LAB_TEST(test_corner_syn_ack_is_not_adopted)
{
	lab->policy.timeouts.adopt = 60;
	lab_start(lab);
	SERVER(TCP_SYN | TCP_ACK, 5, 6);
	OUTCOME_IS(answered_rst);
	EQUAL(core_usage(lab->core).connections, 0);
	CLIENT(TCP_RST | TCP_ACK, 5, 6);
	OUTCOME_IS(drop_stray_rst);
	EQUAL(core_usage(lab->core).connections, 0);
}

/* Ending at once: those that are closing, too, and without a word. */
LAB_TEST(test_corner_reset_remaining)
{
	lab_start(lab);
	lab_teach(lab);
	lab_close(lab);
	uint32_t iss = lab_splice_of(lab, 1, 1);
	lab_open_of(lab, 2, 2);
	EQUAL(core_remaining(lab->core), 3);
	EQUAL(core_live(lab->core), 2);
	(void)iss;
	struct instant now = { lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
	unsigned int n_rst[SIDE_COUNT] = { 0 };
	for (unsigned int k = 0; k < 2; k++) {
		core_reset_remaining(lab->core, &now, 2, &lab->actions);
		for (unsigned int i = 0; i < lab->actions.n; i++)
			n_rst[lab->actions.list[i].out]++;
		lab->actions.n = 0;
		EQUAL(core_remaining(lab->core), 1 - k);
	}
	/* Both ends of the spliced one, the client of the one that was connecting. */
	EQUAL(n_rst[SIDE_OUTSIDE], 2);
	EQUAL(n_rst[SIDE_INSIDE], 1);
	EQUAL(lab_count(lab, COUNTER_drained), 2);
	EQUAL(lab_count(lab, COUNTER_completed), 1);
}

LAB_TEST_ONCE(test_corner_source_host_connections)
{
	lab->policy.sources.connections_host = 2;
	lab_start(lab);
	lab_teach(lab);
	lab_splice_of(lab, 0, 1);
	lab_splice_of(lab, 1, 1);
	lab_open_of(lab, 2, 1);
	EQUAL(lab_grew(lab, COUNTER_limit_source_connections), 1);
	/* Its neighbour may. */
	CLIENT(TCP_SYN, 5, 0, .client_port = 900, .client = 1, .host = 1);
	CLIENT(TCP_ACK, 6, ONLY(SIDE_OUTSIDE)->seg.seq + 1, .client_port = 900, .client = 1,
	       .host = 1);
	OUTCOME_IS(taken_proof);
	CLIENT(TCP_RST, 1001, 0, .client_port = 1000, .client = 1);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	lab_open_of(lab, 3, 1);
	OUTCOME_IS(taken_proof);
}

LAB_TEST_ONCE(test_corner_source_host_new_per_second)
{
	lab->policy.sources.new_per_s_host = 2;
	lab_start(lab);
	lab_teach(lab);
	lab_tick(lab, 1000 - lab->now_ms % 1000);
	lab_splice_of(lab, 0, 1);
	lab_splice_of(lab, 1, 1);
	lab_open_of(lab, 2, 1);
	EQUAL(lab_grew(lab, COUNTER_limit_source_new), 1);
	lab_tick(lab, 999);
	lab_open_of(lab, 3, 1);
	EQUAL(lab_grew(lab, COUNTER_limit_source_new), 1);
	lab_tick(lab, 1);
	lab_open_of(lab, 4, 1);
	OUTCOME_IS(taken_proof);
}

/* A client that has gone is told nothing more. */
LAB_TEST(test_corner_server_refuses_a_client_that_is_gone)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	EQUAL(lab_grew(lab, COUNTER_client_gone), 1);
	EQUAL(SERVER(TCP_RST | TCP_ACK, 0, lab->irs + 1), 0);
	EQUAL(lab_count(lab, COUNTER_reset), 1);
	EQUAL(core_remaining(lab->core), 0);
}

/* Three networks were answered without an option that they offered: nobody is promised it. */
LAB_TEST_ONCE(test_corner_absent_options_are_learned_from_what_passed)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab->services[0].high = 4;
	lab_start(lab);
	for (unsigned int i = 0; i < 3; i++)
		lab_teach_from(lab, 1 + i, LAB_ALL, OPTION_MSS);
	/* Now by cookie, and by what is known. */
	for (unsigned int i = 0; i < 4; i++)
		lab_syn_of(lab, i, 7);
	CLIENT(TCP_SYN, 9, 0, .options = LAB_ALL, .mss = 1400, .wscale = 3, .tsval = 5);
	OUTCOME_IS(answered_syn_cookie);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.options, OPTION_MSS);
}

/* Two of them are not enough, and one network three times is one. */
LAB_TEST_ONCE(test_corner_absent_options_need_three_networks)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab->services[0].high = 4;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 6; i++)
		lab_teach_from(lab, 1 + i % 2, LAB_ALL, OPTION_MSS);
	for (unsigned int i = 0; i < 4; i++)
		lab_syn_of(lab, i, 7);
	CLIENT(TCP_SYN, 9, 0, .options = LAB_ALL, .mss = 1400, .wscale = 3, .tsval = 5);
	OUTCOME_IS(answered_syn_cookie);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.options, LAB_ALL);
}

/* A tick's work is bounded: so many half-open entries, and the rest in the next. */
LAB_TEST_ONCE(test_corner_timers_per_tick)
{
	const unsigned int n = 1500, most = 1024;

	lab->params.half_open = 4096;
	lab->params.sources = 8192;
	lab->services[0].high = n;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < n; i++)
		lab_syn_of(lab, i, i % 100);
	CHECK(core_service_view(lab->core, 0).cookie_mode);
	lab_tick(lab, 950);
	EQUAL(lab_grew(lab, COUNTER_syn_ack_capped), 0);
	lab_tick(lab, 50);
	EQUAL(lab_grew(lab, COUNTER_syn_ack_capped), most);
	lab_tick(lab, 50);
	EQUAL(lab_grew(lab, COUNTER_syn_ack_capped), n - most);
}

/* Each table once, and no more rows than there is room for. */
LAB_TEST_ONCE(test_corner_memory_rows)
{
	struct core_memory_row rows[16] = { { 0 } };
	size_t sum = 0;

	lab_start(lab);
	unsigned int n = core_memory(&lab->params, rows, 16);
	CHECK(n > 4 && n <= 16);
	for (unsigned int i = 0; i < n; i++) {
		CHECK(rows[i].name != NULL && rows[i].size != 0);
		sum += rows[i].size;
	}
	EQUAL(core_size(&lab->params), sum);
	memset(rows, 0, sizeof(rows));
	EQUAL(core_memory(&lab->params, rows, 3), 3);
	CHECK(rows[2].name != NULL && rows[3].name == NULL);
}

/* In one burst: a server whose port is the other client's port is another server. */
LAB_TEST_ONCE(test_corner_plan_is_kept_for_its_server)
{
	struct lab_seg syns[2] = {
		{ .flags = TCP_SYN,
		  .seq = 1,
		  .client_port = LAB_RESPOND,
		  .options = LAB_ALL,
		  .mss = 1400,
		  .wscale = 3,
		  .tsval = 5 },
		{ .flags = TCP_SYN,
		  .seq = 1,
		  .client_port = 999,
		  .server_port = LAB_RESPOND,
		  .options = LAB_ALL,
		  .mss = 1400,
		  .wscale = 3,
		  .tsval = 5 },
	};

	lab->services[1].mode = MODE_PROXY;
	lab->services[1].cookies = COOKIES_ALWAYS;
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	/* The second's server is known for a bare answer. */
	CLIENT(TCP_SYN, 1, 0, .client_port = 50001, .server_port = LAB_RESPOND,
	       .options = OPTION_MSS, .mss = 1400);
	SERVER(TCP_SYN | TCP_ACK, 1, 2, .client_port = 50001, .server_port = LAB_RESPOND,
	       .options = OPTION_MSS, .mss = 700);
	CLIENT(TCP_SYN, 1, 0, .client_port = 50002, .server_port = LAB_RESPOND,
	       .options = OPTION_MSS, .mss = 1400);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.mss, 700);
	syns[1].options = OPTION_MSS;
	syns[0].options = OPTION_MSS;
	EQUAL(lab_in_burst(lab, syns, 2), 2);
	EQUAL(NTH(SIDE_OUTSIDE, 0)->seg.mss, lab->server_mss);
	EQUAL(NTH(SIDE_OUTSIDE, 1)->seg.mss, 700);
}

/* A server without window scaling reads a client's window as it stands: it is multiplied out,
 * even where the scales themselves come to the same. */
LAB_TEST(test_corner_window_for_a_server_without_scale)
{
	lab->server_wscale = 0;
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1,
	       .options = lab->variant->options & ~OPTION_WSCALE, .mss = lab->server_mss);
	EQUAL(lab_count(lab, COUNTER_connected), 1);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .payload_len = 1);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 2, .window = 1000);
	OUTCOME_IS(spliced);
	unsigned int shift = lab->client_wscale == WSCALE_NONE ? 0 : lab->client_wscale;
	uint32_t window = 1000u << shift;
	EQUAL(ONLY(SIDE_INSIDE)->seg.window, window > UINT16_MAX ? UINT16_MAX : window);
}

/* RST within the widest window: a challenge; one beyond: nothing (RFC 5961, 3.2). */
LAB_TEST_ONCE(test_corner_responder_rst_at_the_edge)
{
	lab->server_port = LAB_RESPOND;
	lab_start(lab);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	EQUAL(CLIENT(TCP_RST, lab->irs + 1 + UINT16_MAX + 1, 0), 0);
	OUTCOME_IS(drop_rst_window);
	EQUAL(CLIENT(TCP_RST, lab->irs + 1 + UINT16_MAX, 0), 1);
	OUTCOME_IS(answered_ack);
	EQUAL(CLIENT(TCP_RST, lab->irs, 0), 0);
	OUTCOME_IS(drop_rst_window);
	EQUAL(lab_state(lab), CONN_RESPONDING);
}

/* Of what comes from outside the latest counts, until the server has spoken. */
LAB_TEST(test_corner_adopt_by_the_latest_of_the_client)
{
	lab->policy.timeouts.adopt = 60;
	lab_start(lab);
	CLIENT(TCP_ACK, lab->irs + 1000, lab->server_iss + 2000);
	CLIENT(TCP_ACK, lab->irs + 50000000, lab->server_iss + 90000000);
	OUTCOME_IS(passed_adopted);
	SERVER(TCP_ACK, lab->server_iss + 90000000, lab->irs + 50000000);
	EQUAL(lab_count(lab, COUNTER_adopted), 1);
	EQUAL(lab_count(lab, COUNTER_adopt_asked), 0);
}

/* Data from before the connection is none of it. */
LAB_TEST(test_corner_connecting_data_from_before)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	CLIENT(TCP_ACK, lab->irs - 1, lab->iss + 1, .payload_len = 30);
	OUTCOME_IS(drop_stray);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 2, .payload_len = 30);
	OUTCOME_IS(drop_stray);
	CLIENT(TCP_ACK, lab->irs, lab->iss + 1, .payload_len = 30);
	CHECK(lab_grew(lab, COUNTER_drop_stray) == 0);
}

/* The last cookie that was out has been proven: nothing is left of the flood. */
LAB_TEST_ONCE(test_corner_mode_left_when_the_last_cookie_is_proven)
{
	lab->services[0].high = 2;
	lab->services[0].low = 0;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_of(lab, 1, 1);
	lab_syn_of(lab, 2, 2);
	CHECK(core_service_view(lab->core, 0).cookie_mode);
	CLIENT(TCP_RST, 1002, 0, .client_port = 1001, .client = 1);
	CLIENT(TCP_RST, 1003, 0, .client_port = 1002, .client = 2);
	lab_tick(lab, 1000 - lab->now_ms % 1000 - 1);
	lab_open_of(lab, 3, 3);
	OUTCOME_IS(taken_proof);
	CHECK(core_service_view(lab->core, 0).cookie_mode);
	lab_tick(lab, 1);
	CHECK(!core_service_view(lab->core, 0).cookie_mode);
}

/* A newcomer of a net that has all its connections is refused, though he himself has none. */
LAB_TEST_ONCE(test_corner_net_is_full_for_a_new_host)
{
	lab->policy.sources.connections_net = 2;
	lab->policy.sources.connections_host = 2;
	lab_start(lab);
	lab_teach(lab);
	lab_splice_of(lab, 0, 1);
	lab_splice_of(lab, 1, 1);
	if (lab->variant->is_v6)
		return;
	CLIENT(TCP_SYN, 5, 0, .client_port = 900, .client = 1, .host = 1);
	CLIENT(TCP_ACK, 6, ONLY(SIDE_OUTSIDE)->seg.seq + 1, .client_port = 900, .client = 1,
	       .host = 1);
	EQUAL(lab_grew(lab, COUNTER_limit_source_connections), 1);
}

/* A burst ends where its caller says: what lies behind it is neither read nor written. */
LAB_TEST_ONCE(test_corner_burst_has_an_end)
{
	static const uint8_t flags[] = { TCP_SYN, TCP_ACK, TCP_RST };

	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	struct instant now = { lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
	for (unsigned int k = 0; k < sizeof(flags); k++) {
		struct segment seg[2], before;
		uint8_t frame[FRAME_SIZE], options[64], payload[64];
		struct frame_spec f = lab_frame(
			lab, &(struct lab_seg){ .side = SIDE_OUTSIDE, .flags = flags[k], .seq = 1 },
			options, payload);
		size_t len = frame_build(frame, &f);
		memset(seg, 0, sizeof(seg));
		for (unsigned int i = 0; i < 2; i++)
			segment_parse(&seg[i], frame, (uint32_t)len, (uint32_t)len, SIDE_OUTSIDE);
		seg[1].found.hash = 0x123456789abcdef;
		seg[1].found.entry = FLOW_NONE;
		before = seg[1];
		core_locate(lab->core, seg, 1, &now);
		CHECK(seg[0].found.hash != 0 && seg[0].found.hash != before.found.hash);
		EQUAL(memcmp(&seg[1], &before, sizeof(before)), 0);
	}
}

/* Data that was damaged on its way keeps its checksum, after both FINs too; a FIN is looked at. */
LAB_TEST(test_corner_closing_data_keeps_its_checksum)
{
	lab_start(lab);
	lab_teach(lab);
	lab_close(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 2, .payload_len = 1, .bad_checksum = 5);
	OUTCOME_IS(spliced);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 2, .bad_checksum = 5);
	OUTCOME_IS(drop_checksum);
}

/* An ACK of something else says nothing of the client's window. */
LAB_TEST(test_corner_connecting_ack_out_of_place)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .window = 444);
	CLIENT(TCP_ACK, lab->irs + 2, lab->iss + 1, .window = 7);
	CLIENT(TCP_ACK, lab->irs - 1, lab->iss + 1, .window = 7);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 2, .window = 7);
	CLIENT(TCP_ACK, lab->irs, lab->iss + 2, .window = 7);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1,
	       .options = lab->variant->options & LAB_ALL, .mss = lab->server_mss,
	       .wscale = lab->server_wscale);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.window, 444);
}

/* A host's own connections that are over make room for others of its own. */
LAB_TEST_ONCE(test_corner_outbound_share_comes_back)
{
	lab_start(lab);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 12; i++)
			SERVER(TCP_SYN, i, 0, .client_port = (uint16_t)(1000 + 100 * round + i));
		EQUAL(core_usage(lab->core).connections, 8); /* an eighth of 64 */
		lab_tick(lab, 12000);
		EQUAL(core_usage(lab->core).connections, 0);
	}
}

/* More in flight than is kept count of: a RST of any of it may be right, and none is surely. */
LAB_TEST(test_corner_rst_with_much_in_flight)
{
	const uint32_t most = 0x3fff;

	for (uint32_t lag = most - 1; lag <= most + 1; lag++) {
		if (lag == most - 1) {
			lab_start(lab);
			lab_teach(lab);
		}
		lab->timestamps = false;
		lab->client_port++;
		lab_splice(lab);
		for (uint32_t sent = 0; sent < lag; sent += lag - sent < 1000 ? lag - sent : 1000)
			CLIENT(TCP_ACK, lab->irs + 1 + sent, lab->iss + 1,
			       .payload_len = lag - sent < 1000 ? lag - sent : 1000);
		CLIENT(TCP_RST, lab->irs + 1, 0);
		OUTCOME_IS(spliced);
		/* Up to so much the last ACK is known, and a RST right behind it is exact. */
		EQUAL(lab_state(lab), lag < most ? CONN_CLOSING : CONN_SPLICED);
		CLIENT(TCP_RST, lab->irs, 0);
		CHECK(lab_grew(lab, lag < most ? COUNTER_drop_rst_window : COUNTER_spliced) == 1);
	}
}

CU_TestInfo core_corners_tests[] = {
	CHECK_TEST(test_corner_gate_open_for_state),
	CHECK_TEST(test_corner_responder_counts),
	CHECK_TEST(test_corner_syn_ack_is_not_adopted),
	CHECK_TEST(test_corner_reset_remaining),
	CHECK_TEST(test_corner_source_host_connections),
	CHECK_TEST(test_corner_source_host_new_per_second),
	CHECK_TEST(test_corner_server_refuses_a_client_that_is_gone),
	CHECK_TEST(test_corner_absent_options_are_learned_from_what_passed),
	CHECK_TEST(test_corner_absent_options_need_three_networks),
	CHECK_TEST(test_corner_timers_per_tick),
	CHECK_TEST(test_corner_memory_rows),
	CHECK_TEST(test_corner_plan_is_kept_for_its_server),
	CHECK_TEST(test_corner_closing_data_keeps_its_checksum),
	CHECK_TEST(test_corner_connecting_ack_out_of_place),
	CHECK_TEST(test_corner_outbound_share_comes_back),
	CHECK_TEST(test_corner_rst_with_much_in_flight),
	CHECK_TEST(test_corner_window_for_a_server_without_scale),
	CHECK_TEST(test_corner_responder_rst_at_the_edge),
	CHECK_TEST(test_corner_adopt_by_the_latest_of_the_client),
	CHECK_TEST(test_corner_connecting_data_from_before),
	CHECK_TEST(test_corner_mode_left_when_the_last_cookie_is_proven),
	CHECK_TEST(test_corner_net_is_full_for_a_new_host),
	CHECK_TEST(test_corner_burst_has_an_end),
	CU_TEST_INFO_NULL,
};
