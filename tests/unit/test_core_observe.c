/* SPDX-License-Identifier: BSD-3-Clause */
/* Observe: everything crosses, and what would be done is counted. */
#include "observe_lab.h"

LAB_TEST(test_observe_handshake_followed_and_opened)
{
	observe_start(lab);
	observe_handshake(lab);
	EQUAL(lab_state(lab), CONN_TRACKED);
	EQUAL(WOULD(passed_syn), 1); /* nobody knows the server yet */
	EQUAL(WOULD(tracked), 1);
	EQUAL(lab_count(lab, COUNTER_tracked), 1);
	/* Now it is known: the next SYN would be answered. */
	lab->client_port++;
	observe_handshake(lab);
	EQUAL(WOULD(answered_syn_state), 1);
	EQUAL(WOULD(passed_unasked), 1); /* the server's SYN-ACK */
	EQUAL(WOULD(taken_proof), 1);
	EQUAL(WOULD(opened), 1);
	EQUAL(WOULD(half_open_completed), 1);
	struct service_view view = core_service_view(lab->core, 0);
	CHECK(view.is_observed);
	EQUAL(view.connections, 1);
	EQUAL(view.half_open, 0);
	EQUAL(view.syn, 2);
	EQUAL(view.would_syn_ack, 1);
	EQUAL(view.would_opened, 1);
	EQUAL(view.syn_ack + view.opened + view.refused, 0);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1, .payload_len = 10);
	observe_check_crossed(lab, SIDE_INSIDE);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 11, .payload_len = 20);
	observe_check_crossed(lab, SIDE_OUTSIDE);
	EQUAL(WOULD(spliced), 2);
	observe_finish(lab);
}

LAB_TEST(test_observe_cookie_proven_by_the_servers_handshake)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	observe_start(lab);
	/* The server is learned first. */
	observe_handshake(lab);
	lab->client_port++;
	observe_handshake(lab);
	EQUAL(WOULD(answered_syn_cookie), 1);
	EQUAL(WOULD(cookies_good), 1);
	EQUAL(WOULD(opened), 1);
	EQUAL(lab_state(lab), CONN_TRACKED);
	observe_finish(lab);
}

/* What proves nothing takes no entry, however much it is. */
LAB_TEST_ONCE(test_observe_flood_crosses_and_cookie_mode_would_begin_and_end)
{
	observe_start(lab);
	observe_handshake(lab);
	for (uint16_t i = 0; i < 40; i++) {
		CLIENT(TCP_SYN, 1000u + i, 0, .client_port = (uint16_t)(2000 + i),
		       .options = lab->variant->options, .mss = 1460);
		observe_check_crossed(lab, SIDE_INSIDE);
	}
	EQUAL(core_usage(lab->core).connections, 1);
	EQUAL(core_usage(lab->core).half_open, 0);
	EQUAL(WOULD(answered_syn_state), 24);
	EQUAL(WOULD(answered_syn_cookie), 16);
	EQUAL(WOULD(cookie_mode_entered), 1);
	CHECK(core_service_view(lab->core, 0).cookie_mode);
	EQUAL(core_service_view(lab->core, 0).half_open, 24);
	EQUAL(lab_tick(lab, 20000), 0); /* no SYN-ACK is really sent again */
	EQUAL(WOULD(cookie_mode_left), 1);
	EQUAL(WOULD(half_open_expired), 24);
	CHECK(!core_service_view(lab->core, 0).cookie_mode);
	observe_finish(lab);
}

LAB_TEST_ONCE(test_observe_denied_crosses_and_goes_on_crossing)
{
	static const struct prefix everybody[] = { { .len = 0 } };

	lab->services[0].deny = everybody;
	lab->services[0].n_deny = 1;
	observe_start(lab);
	observe_handshake(lab);
	EQUAL(WOULD(drop_denied), 1);
	EQUAL(core_service_view(lab->core, 0).would_refused, 1);
	/* Of the rest nothing can be said: it would not have come. */
	EQUAL(WOULD(passed_unasked), 2);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1, .payload_len = 10);
	observe_check_crossed(lab, SIDE_INSIDE);
	EQUAL(WOULD(passed_unasked), 3);
	EQUAL(lab_state(lab), CONN_TRACKED);
	observe_finish(lab);
}

LAB_TEST_ONCE(test_observe_limit_would_refuse)
{
	lab->services[0].max_connections = 1;
	observe_start(lab);
	observe_handshake(lab);
	lab->client_port++;
	observe_handshake(lab);
	EQUAL(WOULD(limit_service_connections), 0);
	lab->client_port++;
	observe_handshake(lab);
	EQUAL(WOULD(limit_service_connections), 1);
	EQUAL(WOULD(answered_rst), 1);
	EQUAL(lab_state(lab), CONN_TRACKED);
	observe_finish(lab);
}

/* Opened with timestamps, and counted to its source until both ends have ended it. */
LAB_TEST_ONCE(test_observe_ended_connection_counts_no_more)
{
	lab->policy.sources.connections_net = 1;
	observe_start(lab);
	observe_handshake(lab);
	lab->timestamps = true;
	lab->client_port++;
	observe_handshake(lab);
	EQUAL(WOULD(opened), 1);
	lab->client_port++;
	observe_handshake(lab);
	EQUAL(WOULD(opened), 1);
	lab->client_port--;
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->server_iss + 1);
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 1, lab->irs + 2);
	EQUAL(WOULD(spliced), 2);
	lab->client_port += 2;
	observe_handshake(lab);
	EQUAL(WOULD(opened), 2);
	EQUAL(WOULD(answered_rst), 1);
	observe_finish(lab);
}

LAB_TEST_ONCE(test_observe_blind_segments_cross)
{
	observe_start(lab);
	observe_handshake(lab);
	CLIENT(TCP_ACK, 77, 88, .client_port = 2000);
	observe_check_crossed(lab, SIDE_INSIDE);
	EQUAL(WOULD(answered_rst), 1);
	EQUAL(WOULD(rst_sent), 1);
	CLIENT(TCP_RST, 77, 0, .client_port = 2001);
	observe_check_crossed(lab, SIDE_INSIDE);
	EQUAL(WOULD(drop_stray_rst), 1);
	CLIENT(TCP_SYN | TCP_ACK, 77, 88, .client_port = 2002);
	observe_check_crossed(lab, SIDE_INSIDE);
	EQUAL(WOULD(drop_stray_syn_ack), 1);
	EQUAL(core_usage(lab->core).connections, 1);
	EQUAL(lab_count(lab, COUNTER_rst_sent), 0);
	observe_finish(lab);
}

/* A wrong checksum teaches nobody anything. */
LAB_TEST_ONCE(test_observe_bad_checksum_crosses)
{
	observe_start(lab);
	CLIENT(TCP_SYN, lab->irs, 0, .bad_checksum = 1);
	observe_check_crossed(lab, SIDE_INSIDE);
	EQUAL(WOULD(drop_checksum), 1);
	SERVER(TCP_ACK, 700, 900, .bad_checksum = 1);
	observe_check_crossed(lab, SIDE_OUTSIDE);
	EQUAL(core_usage(lab->core).connections, 0);
	observe_finish(lab);
}

LAB_TEST_ONCE(test_observe_malformed_crosses)
{
	observe_start(lab);
	CLIENT(TCP_SYN | TCP_FIN, 1, 0);
	observe_check_crossed(lab, SIDE_INSIDE);
	EQUAL(WOULD(drop_flags), 1);
	/* Of which service it is nobody can tell. */
	struct lab_seg spec = { .side = SIDE_OUTSIDE, .flags = TCP_SYN };
	uint8_t options[64], payload[64], frame[FRAME_SIZE];
	struct frame_spec f = lab_frame(lab, &spec, options, payload);
	f.dst_port = 0;
	size_t len = frame_build(frame, &f);
	lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false);
	observe_check_crossed(lab, SIDE_INSIDE);
	EQUAL(WOULD(drop_port_zero), 1);
	observe_finish(lab);
}

/* The server's port was used again: the old connection is over. */
LAB_TEST_ONCE(test_observe_ports_used_again)
{
	observe_start(lab);
	observe_handshake(lab);
	lab->irs += 0x100000;
	lab->server_iss += 0x200000;
	observe_handshake(lab);
	EQUAL(lab_state(lab), CONN_TRACKED);
	EQUAL(core_usage(lab->core).connections, 1);
	observe_reload(lab, false);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1, .payload_len = 10);
	OUTCOME_IS(passed_tracked);
	observe_finish(lab);
}

/* Other services feel nothing of it. */
LAB_TEST_ONCE(test_observe_takes_nothing_from_what_is_enforced)
{
	lab->policy.reflection.per_net_per_s = 20;
	observe_start(lab);
	observe_handshake(lab);
	for (uint16_t i = 0; i < 40; i++)
		CLIENT(TCP_SYN, 1000u + i, 0, .client_port = (uint16_t)(2000 + i));
	EQUAL(WOULD(drop_reflection), 20);
	for (uint16_t i = 0; i < 20; i++) {
		CLIENT(TCP_SYN, 1000u + i, 0, .client_port = (uint16_t)(2000 + i),
		       .server_port = LAB_RESPOND);
		CHECK(lab_grew(lab, COUNTER_answered_syn_state) +
		              lab_grew(lab, COUNTER_answered_syn_cookie) ==
		      1);
	}
	observe_finish(lab);
}

LAB_TEST_ONCE(test_observe_handoff_crosses)
{
	lab->services[2].observe = true;
	lab->server_port = LAB_HANDOFF;
	observe_start(lab);
	observe_handshake(lab);
	EQUAL(WOULD(answered_syn_cookie), 1);
	EQUAL(WOULD(passed_handoff), 2);
	EQUAL(core_usage(lab->core).connections, 0);
	observe_finish(lab);
}

/* The whole engine: closed ports, too. */
LAB_TEST_ONCE(test_observe_closed_port_crosses)
{
	lab->policy.observe = true;
	observe_start(lab);
	CLIENT(TCP_SYN, 1, 0, .server_port = LAB_CLOSED);
	observe_check_crossed(lab, SIDE_INSIDE);
	EQUAL(WOULD(answered_rst), 1);
	observe_finish(lab);
}

/* A full table follows no more, and nobody has to go. */
LAB_TEST_ONCE(test_observe_full_table_still_crosses)
{
	lab->params.connections = 4;
	observe_start(lab);
	for (unsigned int i = 0; i < 6; i++) {
		lab->client_port++;
		observe_handshake(lab);
	}
	EQUAL(core_usage(lab->core).connections, 4);
	EQUAL(lab_count(lab, COUNTER_table_full), 2);
	observe_finish(lab);
}

LAB_TEST_ONCE(test_observe_memory_is_a_row)
{
	struct core_memory_row rows[16] = { { 0 } };
	size_t without = core_size(&lab->params);

	lab->params.seen = 1024;
	unsigned int n = core_memory(&lab->params, rows, 16);
	EQUAL(strcmp(rows[n - 1].name, "observe"), 0);
	EQUAL(core_size(&lab->params), without + rows[n - 1].size);
	CHECK(rows[n - 1].size > without);
	lab->params.seen = 0;
	observe_start(lab);
	CHECK(core_would(lab->core) != NULL);
}

CU_TestInfo core_observe_tests[] = {
	CHECK_TEST(test_observe_handshake_followed_and_opened),
	CHECK_TEST(test_observe_cookie_proven_by_the_servers_handshake),
	CHECK_TEST(test_observe_flood_crosses_and_cookie_mode_would_begin_and_end),
	CHECK_TEST(test_observe_denied_crosses_and_goes_on_crossing),
	CHECK_TEST(test_observe_limit_would_refuse),
	CHECK_TEST(test_observe_ended_connection_counts_no_more),
	CHECK_TEST(test_observe_blind_segments_cross),
	CHECK_TEST(test_observe_bad_checksum_crosses),
	CHECK_TEST(test_observe_malformed_crosses),
	CHECK_TEST(test_observe_ports_used_again),
	CHECK_TEST(test_observe_takes_nothing_from_what_is_enforced),
	CHECK_TEST(test_observe_handoff_crosses),
	CHECK_TEST(test_observe_closed_port_crosses),
	CHECK_TEST(test_observe_full_table_still_crosses),
	CHECK_TEST(test_observe_memory_is_a_row),
	CU_TEST_INFO_NULL,
};
