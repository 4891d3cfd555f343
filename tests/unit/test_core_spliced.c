/* SPDX-License-Identifier: BSD-3-Clause */
/* SPLICED: two handshakes joined. */
#include "core_lab.h"

#include "core_state.h"

static void
start(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
}

/* The spliced flow still works in both directions. */
static void
check_alive(struct lab *lab)
{
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.ack, lab->server_iss + 1);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 1);
	EQUAL(lab_state(lab), CONN_SPLICED);
}

LAB_TEST(test_spliced_client_ack_rewritten, "SPLICED.OUTSIDE.ACK")
{
	start(lab);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .payload_len = 500);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 501);
	OUTCOME_IS(spliced);
	const struct lab_out *out = ONLY(SIDE_INSIDE);
	EQUAL(out->kind, ACTION_EDIT);
	EQUAL(out->seg.seq, lab->irs + 1);
	EQUAL(out->seg.ack, lab->server_iss + 501);
	EQUAL(out->seg.flags, TCP_ACK);
}

LAB_TEST(test_spliced_client_data_rewritten, "SPLICED.OUTSIDE.DATA")
{
	start(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 333);
	OUTCOME_IS(spliced);
	const struct lab_out *out = ONLY(SIDE_INSIDE);
	EQUAL(out->seg.seq, lab->irs + 1);
	EQUAL(out->seg.ack, lab->server_iss + 1);
	CHECK(lab_payload_is(out, lab->irs + 1, 333));
}

LAB_TEST(test_spliced_server_data_rewritten, "SPLICED.INSIDE.ACK", "SPLICED.INSIDE.DATA")
{
	start(lab);
	SERVER(TCP_ACK | TCP_PSH, lab->server_iss + 1, lab->irs + 1, .payload_len = 333);
	OUTCOME_IS(spliced);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	EQUAL(out->seg.seq, lab->iss + 1);
	EQUAL(out->seg.ack, lab->irs + 1);
	CHECK(lab_payload_is(out, lab->server_iss + 1, 333));
	SERVER(TCP_ACK, lab->server_iss + 334, lab->irs + 1);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 334);
}

/* A wrong checksum crosses and stays wrong (checked for every frame). */
LAB_TEST(test_spliced_bad_checksum_stays_bad)
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 9, .bad_checksum = 0x1234);
	OUTCOME_IS(spliced);
	EQUAL(lab->n_out, 1);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .payload_len = 9, .bad_checksum = 1);
	EQUAL(lab->n_out, 1);
	EQUAL(CLIENT(TCP_ACK | TCP_FIN, lab->irs + 10, lab->iss + 10, .bad_checksum = 1), 0);
	OUTCOME_IS(drop_checksum);
}

LAB_TEST(test_spliced_urgent_and_unknown_bits_cross)
{
	start(lab);
	CLIENT(TCP_ACK | TCP_URG | TCP_ECE | TCP_CWR, lab->irs + 1, lab->iss + 1, .payload_len = 5,
	       .urgent = 3, .reserved = 0x5);
	const struct lab_out *out = ONLY(SIDE_INSIDE);
	const uint8_t *tcp = out->frame + out->seg.l4_off;
	EQUAL(out->seg.flags, TCP_ACK | TCP_URG | TCP_ECE | TCP_CWR);
	EQUAL(tcp[12] & 0xf, 5);
	EQUAL(tcp[19], 3);
}

/* RFC 5961, 4: one challenge ACK, no second entry. */
LAB_TEST(test_spliced_client_syn_challenged, "SPLICED.OUTSIDE.SYN")
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 100);
	CLIENT(TCP_SYN, lab->irs + 900000, 0, .options = LAB_ALL, .mss = 1000);
	OUTCOME_IS(answered_ack);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	EQUAL(out->seg.flags, TCP_ACK);
	EQUAL(out->seg.seq, lab->iss + 1);
	/* The server has not acknowledged those 100 bytes: nor may the engine. */
	EQUAL(out->seg.ack, lab->irs + 1);
	EQUAL(core_usage(lab->core).connections, 1);
	EQUAL(core_usage(lab->core).half_open, 0);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 101);
	CLIENT(TCP_SYN, lab->irs + 900000, 0);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.ack, lab->irs + 101);
}

LAB_TEST_ONCE(test_spliced_client_syn_challenge_capped)
{
	unsigned int n_sent = 0;

	lab->policy.reflection.challenge_per_s = 20;
	start(lab);
	for (unsigned int i = 0; i < 100; i++) {
		n_sent += CLIENT(TCP_SYN, lab->irs + i, 0);
		EQUAL(lab_grew(lab, COUNTER_answered_ack) +
		              lab_grew(lab, COUNTER_drop_challenge_cap),
		      1);
	}
	CHECK(n_sent >= 1 && n_sent <= 20);
	EQUAL(lab_count(lab, COUNTER_challenge_sent), n_sent);
	check_alive(lab);
}

LAB_TEST(test_spliced_client_syn_ack_dropped, "SPLICED.OUTSIDE.SYN_ACK")
{
	start(lab);
	EQUAL(CLIENT(TCP_SYN | TCP_ACK, lab->irs + 1, lab->iss + 1), 0);
	OUTCOME_IS(drop_stray_syn_ack);
	check_alive(lab);
}

LAB_TEST(test_spliced_server_syn_dropped, "SPLICED.INSIDE.SYN")
{
	start(lab);
	EQUAL(SERVER(TCP_SYN, lab->server_iss + 1, 0), 0);
	OUTCOME_IS(drop_stray);
	check_alive(lab);
}

/* The ACK of the handshake was lost on its way to the server. */
LAB_TEST(test_spliced_server_syn_ack_acked_again, "SPLICED.INSIDE.SYN_ACK")
{
	start(lab);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1,
	       .options = lab->variant->options | OPTION_MSS, .mss = lab->server_mss,
	       .wscale = lab->server_wscale);
	const struct lab_out *out = ONLY(SIDE_INSIDE);
	EQUAL(out->seg.flags, TCP_ACK);
	EQUAL(out->seg.seq, lab->irs + 1);
	EQUAL(out->seg.ack, lab->server_iss + 1);
	check_alive(lab);
}

LAB_TEST(test_spliced_client_rst_exact_lingers, "SPLICED.OUTSIDE.RST")
{
	start(lab);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	OUTCOME_IS(spliced);
	const struct lab_out *out = ONLY(SIDE_INSIDE);
	EQUAL(out->seg.flags, TCP_RST);
	EQUAL(out->seg.seq, lab->irs + 1);
	EQUAL(lab_state(lab), CONN_CLOSING);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	EQUAL(lab_count(lab, COUNTER_reset), 1);
	EQUAL(core_remaining(lab->core), 0);
}

LAB_TEST(test_spliced_server_rst_exact_lingers, "SPLICED.INSIDE.RST")
{
	start(lab);
	SERVER(TCP_RST | TCP_ACK, lab->server_iss + 1, lab->irs + 1);
	OUTCOME_IS(spliced);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	EQUAL(out->seg.flags, TCP_RST | TCP_ACK);
	EQUAL(out->seg.seq, lab->iss + 1);
	EQUAL(out->seg.ack, lab->irs + 1);
	EQUAL(lab_state(lab), CONN_CLOSING);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	EQUAL(lab_count(lab, COUNTER_reset), 1);
}

LAB_TEST(test_spliced_rst_in_window_changes_nothing)
{
	start(lab);
	CLIENT(TCP_RST, lab->irs + 51, 0);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, lab->irs + 51);
	EQUAL(lab_state(lab), CONN_SPLICED);
	SERVER(TCP_RST, lab->server_iss + 51, 0);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 51);
	EQUAL(lab_state(lab), CONN_SPLICED);
	check_alive(lab);
}

LAB_TEST(test_spliced_rst_outside_window_dropped)
{
	static const uint32_t off[] = { 0x80000000, 0xc0000000, 0x7fffffff };

	start(lab);
	for (unsigned int i = 0; i < 3; i++) {
		EQUAL(CLIENT(TCP_RST, lab->irs + 1 + off[i], 0), 0);
		OUTCOME_IS(drop_rst_window);
		EQUAL(SERVER(TCP_RST, lab->server_iss + 1 + off[i], 0), 0);
		OUTCOME_IS(drop_rst_window);
	}
	check_alive(lab);
}

LAB_TEST(test_spliced_rst_bad_checksum_dropped)
{
	start(lab);
	EQUAL(CLIENT(TCP_RST, lab->irs + 1, 0, .bad_checksum = 1), 0);
	OUTCOME_IS(drop_checksum);
	check_alive(lab);
}

/* What the receiver has acknowledged is RCV.NXT, whatever else was in flight. */
LAB_TEST(test_spliced_rst_exact_by_acknowledged)
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 100);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 101);
	CLIENT(TCP_RST, lab->irs + 101, 0);
	EQUAL(lab->n_out, 1);
	EQUAL(lab_state(lab), CONN_CLOSING);
}

LAB_TEST(test_spliced_idle_resets_both_ends, "SPLICED.INSIDE.TIMER")
{
	start(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	SERVER(TCP_ACK | TCP_PSH, lab->server_iss + 1, lab->irs + 11, .payload_len = 20);
	CLIENT(TCP_ACK, lab->irs + 11, lab->iss + 21);
	EQUAL(lab_tick(lab, 1000 * (lab->policy.timeouts.idle - 2)), 0);
	lab_tick(lab, 4000);
	EQUAL(lab->n_out, 2);
	const struct lab_out *client = NTH(SIDE_OUTSIDE, 0), *server = NTH(SIDE_INSIDE, 0);
	CHECK(client->seg.flags & TCP_RST);
	EQUAL(client->seg.seq, lab->iss + 21);
	CHECK(server->seg.flags & TCP_RST);
	EQUAL(server->seg.seq, lab->irs + 11);
	EQUAL(lab_count(lab, COUNTER_expired), 1);
	EQUAL(core_remaining(lab->core), 0);
}

LAB_TEST_ONCE(test_spliced_traffic_keeps_it_alive)
{
	start(lab);
	for (unsigned int i = 0; i < 4; i++) {
		lab_tick(lab, 700 * lab->policy.timeouts.idle);
		check_alive(lab);
	}
}

LAB_TEST_ONCE(test_spliced_half_closed_has_its_timeout)
{
	start(lab);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 2);
	EQUAL(lab_state(lab), CONN_SPLICED);
	EQUAL(lab_tick(lab, 1000 * (lab->policy.timeouts.half_closed - 2)), 0);
	EQUAL(lab_state(lab), CONN_SPLICED);
	lab_tick(lab, 4000);
	EQUAL(core_remaining(lab->core), 0);
}

LAB_TEST(test_spliced_both_fins_close)
{
	lab_start(lab);
	lab_teach(lab);
	lab_close(lab);
	lab_tick(lab, 1000 * (lab->policy.timeouts.closing + 2));
	EQUAL(lab_count(lab, COUNTER_completed), 1);
	EQUAL(core_remaining(lab->core), 0);
}

/* A transfer over zero in both sequence spaces, both ends' bytes exact. */
LAB_TEST(test_spliced_transfer_wraps)
{
	uint32_t c = 1, s = 1;

	start(lab);
	for (unsigned int i = 0; i < 300; i++) {
		CLIENT(TCP_ACK, lab->irs + c, lab->iss + s, .payload_len = 1300);
		const struct lab_out *out = ONLY(SIDE_INSIDE);
		EQUAL(out->seg.seq, lab->irs + c);
		EQUAL(out->seg.ack, lab->server_iss + s);
		CHECK(lab_payload_is(out, lab->irs + c, 1300));
		c += 1300;
		SERVER(TCP_ACK, lab->server_iss + s, lab->irs + c, .payload_len = 1400);
		out = ONLY(SIDE_OUTSIDE);
		EQUAL(out->seg.seq, lab->iss + s);
		EQUAL(out->seg.ack, lab->irs + c);
		CHECK(lab_payload_is(out, lab->server_iss + s, 1400));
		s += 1400;
	}
	CLIENT(TCP_RST, lab->irs + c, 0);
	EQUAL(lab_state(lab), CONN_CLOSING);
}

/* Whoever knows the ports can send them: of what follows nothing may depend on them. */
LAB_TEST(test_spliced_forged_segments_change_nothing, "SPLICED.OUTSIDE.DATA")
{
	start(lab);
	for (uint32_t i = 1; i < 16; i++) {
		CLIENT(TCP_ACK | TCP_FIN, lab->irs + (i << 28), lab->iss + 1);
		CLIENT(TCP_ACK, lab->irs + (i << 28), lab->iss + 1, .payload_len = 10);
	}
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 1, lab->irs + 1);
	EQUAL(lab_state(lab), CONN_SPLICED);
	/* RCV.NXT is still what it was, and so is the FIN. */
	CLIENT(TCP_RST, lab->irs + 2, 0);
	EQUAL(lab_state(lab), CONN_SPLICED);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 2);
	EQUAL(lab_state(lab), CONN_SPLICED);
	SERVER(TCP_ACK, lab->server_iss + 2, lab->irs + 2);
	EQUAL(lab_state(lab), CONN_CLOSING);
}

/* What crosses in fragments is not seen: the server's ACK tells of it. */
LAB_TEST(test_spliced_server_ack_ahead_is_believed, "SPLICED.INSIDE.ACK")
{
	start(lab);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 90001);
	CLIENT(TCP_RST, lab->irs + 90001, 0);
	EQUAL(lab_state(lab), CONN_CLOSING);
}

/* A challenge ACK is an answer to what is unproven. */
LAB_TEST_ONCE(test_spliced_challenge_within_reflection_cap, "SPLICED.OUTSIDE.SYN")
{
	lab->policy.reflection.per_net_per_s = 4;
	start(lab);
	for (unsigned int i = 0; i < 80; i++)
		CLIENT(TCP_SYN, 77, 0);
	CHECK(lab_count(lab, COUNTER_challenge_sent) >= 1);
	CHECK(lab_count(lab, COUNTER_challenge_sent) < 40);
}

/* Entries that need no reset do not use up the budget. */
LAB_TEST_ONCE(test_spliced_reset_remaining_finds_it)
{
	lab_start(lab);
	lab_teach(lab);
	for (uint16_t i = 0; i < 7; i++)
		SERVER(TCP_SYN, 5, 0, .server_port = LAB_WEB, .client_port = (uint16_t)(9000 + i));
	lab_splice(lab);
	struct instant now = { lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
	core_reset_remaining(lab->core, &now, 1, &lab->actions);
	EQUAL(lab->actions.n, 2);
	lab->actions.n = 0;
	EQUAL(core_remaining(lab->core), 0);
}

LAB_TEST_ONCE(test_spliced_drain_resets_both_ends)
{
	start(lab);
	core_drain(lab->core, true);
	check_alive(lab);
	EQUAL(core_remaining(lab->core), 1);
	struct instant now = { lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
	core_reset_remaining(lab->core, &now, 100, &lab->actions);
	unsigned int sides = 0;
	for (unsigned int i = 0; i < lab->actions.n; i++) {
		EQUAL(lab->actions.list[i].kind, ACTION_SEND);
		CHECK(lab->actions.list[i].packet.flags & TCP_RST);
		sides |= 1u << lab->actions.list[i].out;
	}
	EQUAL(sides, 3);
	lab->actions.n = 0;
	EQUAL(core_remaining(lab->core), 0);
	EQUAL(lab_count(lab, COUNTER_drained), 1);
	lab_tick(lab, 100);
}

/* What lies beyond the largest window teaches nothing, and what is as far as that does. */
LAB_TEST_ONCE(test_spliced_follows_as_far_as_the_largest_window)
{
	start(lab);
	check_alive(lab);
	const struct conn *conn = lab_entry(lab);
	const struct conn before = *conn;

	EQUAL(before.server_lag, 0);
	EQUAL(before.client_lag, 0);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1 - WINDOW_MAX - 1);
	EQUAL(conn->server_lag, 0);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1 - WINDOW_MAX);
	EQUAL(conn->server_lag, CONN_LAG_MAX);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1 - WINDOW_MAX - 1);
	EQUAL(conn->client_lag, 0);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1 - WINDOW_MAX);
	EQUAL(conn->client_lag, CONN_LAG_MAX);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1 + WINDOW_MAX + 1);
	EQUAL(conn->client_nxt, before.client_nxt);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1 + WINDOW_MAX);
	EQUAL(conn->client_nxt, before.client_nxt + WINDOW_MAX);
	EQUAL(conn->client_lag, 0);
	SERVER(TCP_ACK, lab->server_iss + 1 + WINDOW_MAX + 1, lab->irs + 1 + WINDOW_MAX);
	EQUAL(conn->server_nxt, before.server_nxt);
	SERVER(TCP_ACK, lab->server_iss + 1 + WINDOW_MAX, lab->irs + 1 + WINDOW_MAX);
	EQUAL(conn->server_nxt, before.server_nxt + WINDOW_MAX);
}

CU_TestInfo core_spliced_tests[] = {
	CHECK_TEST(test_spliced_client_ack_rewritten),
	CHECK_TEST(test_spliced_client_data_rewritten),
	CHECK_TEST(test_spliced_server_data_rewritten),
	CHECK_TEST(test_spliced_bad_checksum_stays_bad),
	CHECK_TEST(test_spliced_urgent_and_unknown_bits_cross),
	CHECK_TEST(test_spliced_client_syn_challenged),
	CHECK_TEST(test_spliced_client_syn_challenge_capped),
	CHECK_TEST(test_spliced_client_syn_ack_dropped),
	CHECK_TEST(test_spliced_server_syn_dropped),
	CHECK_TEST(test_spliced_server_syn_ack_acked_again),
	CHECK_TEST(test_spliced_client_rst_exact_lingers),
	CHECK_TEST(test_spliced_server_rst_exact_lingers),
	CHECK_TEST(test_spliced_rst_in_window_changes_nothing),
	CHECK_TEST(test_spliced_rst_outside_window_dropped),
	CHECK_TEST(test_spliced_rst_bad_checksum_dropped),
	CHECK_TEST(test_spliced_rst_exact_by_acknowledged),
	CHECK_TEST(test_spliced_idle_resets_both_ends),
	CHECK_TEST(test_spliced_traffic_keeps_it_alive),
	CHECK_TEST(test_spliced_half_closed_has_its_timeout),
	CHECK_TEST(test_spliced_both_fins_close),
	CHECK_TEST(test_spliced_transfer_wraps),
	CHECK_TEST(test_spliced_forged_segments_change_nothing),
	CHECK_TEST(test_spliced_server_ack_ahead_is_believed),
	CHECK_TEST(test_spliced_follows_as_far_as_the_largest_window),
	CHECK_TEST(test_spliced_challenge_within_reflection_cap),
	CHECK_TEST(test_spliced_reset_remaining_finds_it),
	CHECK_TEST(test_spliced_drain_resets_both_ends),
	CU_TEST_INFO_NULL,
};
