/* SPDX-License-Identifier: BSD-3-Clause */
/* CONNECTING: the client is proven, the server asked. */
#include "core_lab.h"

static struct lab_out
start(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	return *NTH(SIDE_INSIDE, 0);
}

/* Only what was agreed with the client, with the client's own ISS. */
LAB_TEST(test_connecting_syn_carries_what_was_agreed)
{
	struct segment s = start(lab).seg;

	uint8_t agreed = lab->variant->options;
	EQUAL(s.options, agreed | OPTION_MSS);
	EQUAL(s.seq, lab->irs);
	EQUAL(s.ack, 0);
	if (agreed & OPTION_TIMESTAMPS) {
		EQUAL(s.tsval, lab->ts_clock[SIDE_OUTSIDE]);
		EQUAL(s.tsecr, 0);
	}
	if (agreed & OPTION_WSCALE)
		EQUAL(s.wscale, lab->variant->wscale);
	EQUAL(s.mss, agreed & OPTION_MSS ? lab->server_mss : lab->variant->is_v6 ? 1220 : 536);
}

LAB_TEST(test_connecting_client_syn_challenged, "CONNECTING.OUTSIDE.SYN")
{
	start(lab);
	CLIENT(TCP_SYN, lab->irs + 5000, 0);
	OUTCOME_IS(answered_ack);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	EQUAL(out->seg.flags, TCP_ACK);
	EQUAL(out->seg.seq, lab->iss + 1);
	EQUAL(out->seg.ack, lab->irs + 1);
	EQUAL(lab_state(lab), CONN_CONNECTING);
}

LAB_TEST(test_connecting_client_syn_ack_dropped, "CONNECTING.OUTSIDE.SYN_ACK")
{
	start(lab);
	EQUAL(CLIENT(TCP_SYN | TCP_ACK, lab->irs, lab->iss + 1), 0);
	OUTCOME_IS(drop_stray_syn_ack);
}

/* The last window that the client has offered goes to the server. */
LAB_TEST(test_connecting_client_ack_noted, "CONNECTING.OUTSIDE.ACK")
{
	struct lab_out syn = start(lab);

	lab->ts_clock[SIDE_OUTSIDE] += 500;
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .window = 2222), 0);
	OUTCOME_IS(taken_ack);
	lab_server_syn_ack(lab, &syn);
	const struct lab_out *ack = NTH(SIDE_INSIDE, 0);
	EQUAL(ack->seg.window, 2222);
	if (lab->timestamps) {
		EQUAL(ack->seg.tsval, lab->ts_clock[SIDE_OUTSIDE]);
		EQUAL(ack->seg.tsecr, lab->ts_clock[SIDE_INSIDE]);
	}
}

/* The request overtook the bare ACK: what is held goes on with a TSval that is not older
 * than the SYN's, or the server takes it for a duplicate. */
LAB_TEST(test_connecting_late_client_ack_changes_nothing, "CONNECTING.OUTSIDE.ACK")
{
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	uint32_t early = lab->ts_clock[SIDE_OUTSIDE];
	lab->ts_clock[SIDE_OUTSIDE] += 5;
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 100, .window = 2222);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .window = lab->timestamps ? 1111 : 2222,
	       .tsval = early);
	OUTCOME_IS(taken_ack);
	lab_server_syn_ack(lab, &syn);
	const struct lab_out *out = NTH(SIDE_INSIDE, 0);
	EQUAL(out->seg.payload_len, 100);
	EQUAL(out->seg.window, 2222);
	if (lab->timestamps)
		EQUAL(out->seg.tsval, syn.seg.tsval);
}

/* Released in order and byte by byte, once. */
LAB_TEST(test_connecting_data_held_and_released, "CONNECTING.OUTSIDE.DATA",
         "CONNECTING.INSIDE.SYN_ACK")
{
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 700);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	EQUAL(CLIENT(TCP_ACK | TCP_PSH, lab->irs + 701, lab->iss + 1, .payload_len = 1000), 0);
	OUTCOME_IS(taken_held);
	/* The first again, as far as it is known. */
	EQUAL(CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 900), 0);
	/* One that overlaps brings what is new of it. */
	EQUAL(CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1601, lab->iss + 1, .payload_len = 300), 0);
	OUTCOME_IS(taken_held);
	lab_server_syn_ack(lab, &syn);
	EQUAL(lab_state(lab), CONN_SPLICED);
	uint32_t nxt = lab->irs + 1, limit = syn.seg.mss;
	for (unsigned int i = 0; i < lab->n_out; i++) {
		const struct lab_out *out = &lab->out[i];
		if (out->side != SIDE_INSIDE)
			continue;
		EQUAL(out->seg.ack, lab->server_iss + 1);
		CHECK(out->seg.flags & TCP_ACK);
		EQUAL(out->seg.seq, nxt);
		CHECK(out->seg.payload_len <= limit || out->seg.payload_len <= lab->server_mss);
		CHECK(lab_payload_is(out, nxt, out->seg.payload_len));
		nxt += out->seg.payload_len;
	}
	EQUAL(nxt, lab->irs + 1901);
	/* Not one byte is acknowledged before the server has. */
	EQUAL(NTH(SIDE_OUTSIDE, 0)->seg.ack, lab->irs + 1);
}

LAB_TEST(test_connecting_data_beyond_budget_dropped)
{
	struct lab_out syn = start(lab);
	uint32_t nxt = lab->irs + 1;

	for (unsigned int i = 0; i < LAB_HOLD_BYTES / 1000; i++, nxt += 1000) {
		CLIENT(TCP_ACK, nxt, lab->iss + 1, .payload_len = 1000);
		OUTCOME_IS(taken_held);
	}
	EQUAL(CLIENT(TCP_ACK, nxt + 1000, lab->iss + 1, .payload_len = 1000), 0);
	OUTCOME_IS(drop_early);
	lab_server_syn_ack(lab, &syn);
	uint32_t end = lab->irs + 1;
	for (unsigned int i = 0; i < lab->n_out; i++)
		if (lab->out[i].side == SIDE_INSIDE) {
			CHECK(lab_payload_is(&lab->out[i], end, lab->out[i].seg.payload_len));
			end += lab->out[i].seg.payload_len;
		}
	EQUAL(end, nxt);
	/* What was dropped comes again and crosses. */
	CLIENT(TCP_ACK, nxt, lab->iss + 1, .payload_len = 1000);
	OUTCOME_IS(spliced);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, nxt);
}

LAB_TEST(test_connecting_data_gap_dropped)
{
	start(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 11, lab->iss + 1, .payload_len = 10), 0);
	OUTCOME_IS(drop_early);
}

LAB_TEST(test_connecting_data_bad_checksum_dropped)
{
	start(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10, .bad_checksum = 9), 0);
	OUTCOME_IS(drop_checksum);
}

/* A FIN behind the data reaches the server, unacknowledged by the engine. */
LAB_TEST(test_connecting_data_with_fin_held)
{
	struct lab_out syn = start(lab);
	bool fin = false;

	EQUAL(CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1, .payload_len = 20), 0);
	lab_server_syn_ack(lab, &syn);
	for (unsigned int i = 0; i < lab->n_out; i++) {
		const struct lab_out *out = &lab->out[i];
		if (out->side == SIDE_OUTSIDE)
			EQUAL(out->seg.ack, lab->irs + 1);
		else if (out->seg.flags & TCP_FIN) {
			fin = true;
			EQUAL(out->seg.seq + out->seg.payload_len, lab->irs + 21);
		}
	}
	/* Held or left for the client to send again: then it crosses as any other. */
	if (!fin) {
		CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1, .payload_len = 20);
		OUTCOME_IS(spliced);
		CHECK(ONLY(SIDE_INSIDE)->seg.flags & TCP_FIN);
	}
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 1, lab->irs + 22);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.ack, lab->irs + 22);
	EQUAL(lab_state(lab), CONN_CLOSING);
}

LAB_TEST(test_connecting_client_rst_remembered, "CONNECTING.OUTSIDE.RST")
{
	struct lab_out syn = start(lab);

	CLIENT(TCP_RST, lab->irs + 1, 0);
	EQUAL(lab_grew(lab, COUNTER_client_gone), 1);
	CHECK(lab->n_out <= 1);
	/* The server's SYN-ACK to a client that is gone gets RST, if not before. */
	lab_server_syn_ack(lab, &syn);
	const struct lab_out *rst = ONLY(SIDE_INSIDE);
	CHECK(rst->seg.flags & TCP_RST);
	EQUAL(rst->seg.seq, lab->irs + 1);
	CHECK(lab_state(lab) != CONN_SPLICED);
	EQUAL(core_remaining(lab->core), 0);
}

LAB_TEST(test_connecting_client_rst_inexact_dropped, "CONNECTING.OUTSIDE.RST")
{
	struct lab_out syn = start(lab);

	EQUAL(CLIENT(TCP_RST, lab->irs + 2, 0), 0);
	EQUAL(CLIENT(TCP_RST, lab->irs, 0), 0);
	EQUAL(lab_count(lab, COUNTER_client_gone), 0);
	lab_server_syn_ack(lab, &syn);
	EQUAL(lab_state(lab), CONN_SPLICED);
}

LAB_TEST(test_connecting_server_syn_dropped, "CONNECTING.INSIDE.SYN")
{
	start(lab);
	EQUAL(SERVER(TCP_SYN, lab->server_iss, 0), 0);
	OUTCOME_IS(drop_stray);
	EQUAL(lab_state(lab), CONN_CONNECTING);
}

LAB_TEST(test_connecting_server_syn_ack_splices, "CONNECTING.INSIDE.SYN_ACK")
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	const struct lab_out *ack = NTH(SIDE_INSIDE, 0), *update = NTH(SIDE_OUTSIDE, 0);
	EQUAL(lab->n_out, 2);
	if (lab->timestamps) {
		EQUAL(ack->seg.options, OPTION_TIMESTAMPS);
		EQUAL(ack->seg.tsecr, lab->ts_clock[SIDE_INSIDE]);
		EQUAL(ack->seg.tsval, lab->ts_clock[SIDE_OUTSIDE]);
		EQUAL(update->seg.options, OPTION_TIMESTAMPS);
		EQUAL(update->seg.tsecr, lab->ts_clock[SIDE_OUTSIDE]);
	} else {
		EQUAL(ack->seg.options, 0);
	}
	EQUAL(ack->seg.window, 1000);
	/* 28960 as the SYN-ACK said unscaled, now in the scale that was promised. */
	unsigned int shift = lab->engine_wscale == WSCALE_NONE ? 0 : lab->engine_wscale;
	EQUAL(update->seg.window, 28960u >> shift);
}

/* An ACK of what was not sent (RFC 9293, 3.10.7.3): <SEQ=SEG.ACK><CTL=RST>. */
LAB_TEST(test_connecting_server_syn_ack_wrong_reset, "CONNECTING.INSIDE.SYN_ACK")
{
	start(lab);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 9);
	const struct lab_out *out = NTH(SIDE_INSIDE, 0);
	EQUAL(out->seg.flags, TCP_RST);
	EQUAL(out->seg.seq, lab->irs + 9);
	EQUAL(lab_state(lab), CONN_CONNECTING);
}

LAB_TEST(test_connecting_server_syn_ack_bad_checksum_dropped)
{
	start(lab);
	EQUAL(SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .bad_checksum = 1), 0);
	OUTCOME_IS(drop_checksum);
	EQUAL(lab_state(lab), CONN_CONNECTING);
}

/* The server still has an older connection: RST ends it, and the SYN goes again. */
LAB_TEST(test_connecting_server_ack_reset_and_syn_again, "CONNECTING.INSIDE.ACK",
         "CONNECTING.INSIDE.DATA")
{
	start(lab);
	SERVER(TCP_ACK, 4000, lab->irs - 3000);
	const struct lab_out *rst = NTH(SIDE_INSIDE, 0), *syn = NTH(SIDE_INSIDE, 1);
	EQUAL(rst->seg.flags, TCP_RST);
	EQUAL(rst->seg.seq, lab->irs - 3000);
	EQUAL(syn->seg.flags, TCP_SYN);
	EQUAL(syn->seg.seq, lab->irs);
	EQUAL(lab_state(lab), CONN_CONNECTING);
	/* Not a second time at once: each RST would draw the next answer. */
	SERVER(TCP_ACK, 4000, lab->irs - 3000, .payload_len = 1);
	CHECK(lab->n_out <= 1);
	EQUAL(lab_state(lab), CONN_CONNECTING);
}

LAB_TEST(test_connecting_server_rst_refused, "CONNECTING.INSIDE.RST")
{
	start(lab);
	SERVER(TCP_RST | TCP_ACK, 0, lab->irs + 1);
	EQUAL(lab_grew(lab, COUNTER_refused_by_server), 1);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	CHECK(out->seg.flags & TCP_RST);
	EQUAL(out->seg.seq, lab->iss + 1);
	EQUAL(core_remaining(lab->core), 0);
}

/* Valid only if it acknowledges our SYN. */
LAB_TEST(test_connecting_server_rst_invalid_dropped, "CONNECTING.INSIDE.RST")
{
	start(lab);
	EQUAL(SERVER(TCP_RST, 0, 0), 0);
	EQUAL(SERVER(TCP_RST | TCP_ACK, 0, lab->irs), 0);
	EQUAL(SERVER(TCP_RST | TCP_ACK, 0, lab->irs + 2), 0);
	EQUAL(lab_state(lab), CONN_CONNECTING);
}

LAB_TEST(test_connecting_timer_syn_again_then_rst, "CONNECTING.INSIDE.TIMER")
{
	struct segment first = start(lab).seg;
	unsigned int n_syn = 0;

	EQUAL(lab_tick(lab, 800), 0);
	lab_tick(lab, 400);
	const struct lab_out *again = ONLY(SIDE_INSIDE);
	EQUAL(again->seg.flags, TCP_SYN);
	EQUAL(again->seg.seq, first.seq);
	EQUAL(again->seg.options, first.options);
	EQUAL(again->seg.wscale, first.wscale);
	EQUAL(again->seg.mss, first.mss);
	lab_tick(lab, 1000 * lab->policy.timeouts.connecting);
	for (unsigned int i = 0; i < lab->n_out; i++)
		n_syn += lab->out[i].side == SIDE_INSIDE && lab->out[i].seg.flags == TCP_SYN;
	CHECK(n_syn >= 2);
	const struct lab_out *rst = NTH(SIDE_OUTSIDE, 0);
	CHECK(rst->seg.flags & TCP_RST);
	EQUAL(rst->seg.seq, lab->iss + 1);
	EQUAL(lab_count(lab, COUNTER_server_silent), 1);
	EQUAL(core_remaining(lab->core), 0);
}

CU_TestInfo core_connecting_tests[] = {
	CHECK_TEST(test_connecting_syn_carries_what_was_agreed),
	CHECK_TEST(test_connecting_client_syn_challenged),
	CHECK_TEST(test_connecting_client_syn_ack_dropped),
	CHECK_TEST(test_connecting_client_ack_noted),
	CHECK_TEST(test_connecting_late_client_ack_changes_nothing),
	CHECK_TEST(test_connecting_data_held_and_released),
	CHECK_TEST(test_connecting_data_beyond_budget_dropped),
	CHECK_TEST(test_connecting_data_gap_dropped),
	CHECK_TEST(test_connecting_data_bad_checksum_dropped),
	CHECK_TEST(test_connecting_data_with_fin_held),
	CHECK_TEST(test_connecting_client_rst_remembered),
	CHECK_TEST(test_connecting_client_rst_inexact_dropped),
	CHECK_TEST(test_connecting_server_syn_dropped),
	CHECK_TEST(test_connecting_server_syn_ack_splices),
	CHECK_TEST(test_connecting_server_syn_ack_wrong_reset),
	CHECK_TEST(test_connecting_server_syn_ack_bad_checksum_dropped),
	CHECK_TEST(test_connecting_server_ack_reset_and_syn_again),
	CHECK_TEST(test_connecting_server_rst_refused),
	CHECK_TEST(test_connecting_server_rst_invalid_dropped),
	CHECK_TEST(test_connecting_timer_syn_again_then_rst),
	CU_TEST_INFO_NULL,
};
