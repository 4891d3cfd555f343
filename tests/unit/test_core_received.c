/* SPDX-License-Identifier: BSD-3-Clause */
/* SYN-RECEIVED: a half-open entry (RFC 9293, 3.10.7.4). */
#include "core_lab.h"

static void
start(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_state);
}

LAB_TEST(test_received_same_syn_same_syn_ack, "SYN_RECEIVED.OUTSIDE.SYN")
{
	start(lab);
	struct segment first = ONLY(SIDE_OUTSIDE)->seg;
	lab_syn(lab);
	const struct lab_out *again = ONLY(SIDE_OUTSIDE);
	EQUAL(again->seg.flags, TCP_SYN | TCP_ACK);
	EQUAL(again->seg.seq, first.seq);
	EQUAL(again->seg.ack, first.ack);
	EQUAL(again->seg.options, first.options);
	EQUAL(again->seg.mss, first.mss);
	EQUAL(again->seg.wscale, first.wscale);
	EQUAL(core_usage(lab->core).half_open, 1);
	OUTCOME_IS(answered_syn_state);
}

/* The SYN once more, with this of its options and this MSS; it is answered. */
static const struct segment *
syn_saying(struct lab *lab, uint8_t options, uint16_t mss)
{
	CLIENT(TCP_SYN, lab->irs, 0, .options = options, .mss = mss,
	       .wscale = lab->variant->wscale);
	OUTCOME_IS(answered_syn_state);
	EQUAL(core_usage(lab->core).half_open, 1);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_SYN | TCP_ACK);
	return &ONLY(SIDE_OUTSIDE)->seg;
}

/* What a system falls back to on its third try is what it has, from the answer to the
 * server's end. */
LAB_TEST(test_received_syn_with_less_is_kept_to, "SYN_RECEIVED.OUTSIDE.SYN")
{
	start(lab);
	lab->iss = syn_saying(lab, OPTION_MSS, 1000)->seq;
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.options, OPTION_MSS);
	lab_tick(lab, 1100);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.options, OPTION_MSS);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss);
	lab->timestamps = false;
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .window = 700);
	OUTCOME_IS(taken_proof);
	EQUAL(lab_grew(lab, COUNTER_half_open_completed), 1);
	const struct lab_out *syn = ONLY(SIDE_INSIDE);
	EQUAL(syn->seg.options, OPTION_MSS);
	EQUAL(syn->seg.mss, 1000);
	EQUAL(syn->seg.window, 700);
}

/* The other way round, and an MSS by itself. */
LAB_TEST(test_received_syn_with_more_is_kept_to)
{
	lab_start(lab);
	lab_teach(lab);
	lab->iss = syn_saying(lab, OPTION_MSS, 1300)->seq;
	uint32_t iss = syn_saying(lab, LAB_ALL, 1300)->seq;
	CHECK(iss != lab->iss);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.options, LAB_ALL);
	lab->iss = syn_saying(lab, OPTION_MSS, 700)->seq;
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	EQUAL(ONLY(SIDE_INSIDE)->seg.mss, 700);
}

/* A forged SYN between a client's SYN and its ACK takes nothing away. */
LAB_TEST(test_received_syn_with_less_older_answer_opens, "SYN_RECEIVED.OUTSIDE.ACK")
{
	start(lab);
	const struct segment first = ONLY(SIDE_OUTSIDE)->seg;
	syn_saying(lab, 0, 0);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .tsecr = first.tsval);
	OUTCOME_IS(taken_proof);
	const struct segment *syn = &ONLY(SIDE_INSIDE)->seg;
	EQUAL(syn->seq, lab->irs);
	EQUAL(syn->options, first.options);
	if (first.options & OPTION_TIMESTAMPS) {
		EQUAL(syn->mss, lab->server_mss);
		EQUAL(syn->wscale, first.options & OPTION_WSCALE ? lab->variant->wscale : 0);
	}
}

/* Its first segment was lost: no RST for the one behind it. */
LAB_TEST(test_received_older_answer_data_ahead_dropped, "SYN_RECEIVED.OUTSIDE.DATA")
{
	for (unsigned int other_iss = 0; other_iss < 2; other_iss++) {
		if (other_iss == 0)
			start(lab);
		else
			lab_syn_ack(lab);
		CLIENT(TCP_SYN, lab->irs + other_iss, 0, .options = OPTION_MSS, .mss = 300);
		EQUAL(CLIENT(TCP_ACK, lab->irs + 101, lab->iss + 1, .payload_len = 10), 0);
		OUTCOME_IS(drop_unproven_data);
		CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 110);
		OUTCOME_IS(taken_proof);
		lab->client_port++;
		lab->timestamps = false;
	}
}

/* Two SYNs that make one cookie: what both cover. */
LAB_TEST_ONCE(test_received_syns_of_one_cookie_what_both_cover)
{
	static const uint16_t mss[2] = { 1310, 1350 };
	static const uint8_t wscale[2] = { 8, 9 };
	uint32_t iss[2];

	lab_start(lab);
	lab_teach(lab);
	for (unsigned int first = 0; first < 2; first++) {
		for (unsigned int i = 0; i < 2; i++) {
			unsigned int which = i ^ first;
			CLIENT(TCP_SYN, lab->irs, 0,
			       .options = OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED,
			       .mss = mss[which], .wscale = wscale[which]);
			iss[i] = ONLY(SIDE_OUTSIDE)->seg.seq;
		}
		EQUAL(iss[0], iss[1]);
		CLIENT(TCP_ACK, lab->irs + 1, iss[0] + 1);
		EQUAL(ONLY(SIDE_INSIDE)->seg.mss, 1310);
		EQUAL(ONLY(SIDE_INSIDE)->seg.wscale, 8);
		lab->client_port++;
	}
}

/* ... and what the last one offers, where its TSval tells them apart. */
LAB_TEST_ONCE(test_received_syns_of_one_cookie_told_apart)
{
	static const uint16_t mss[2] = { 1310, 1350 };
	static const uint8_t wscale[2] = { 8, 9 };

	lab_start(lab);
	lab_teach(lab);
	for (unsigned int first = 0; first < 2; first++) {
		struct segment answer[2];

		for (unsigned int i = 0; i < 2; i++) {
			unsigned int which = i ^ first;
			CLIENT(TCP_SYN, lab->irs, 0, .options = LAB_ALL, .mss = mss[which],
			       .wscale = wscale[which], .tsval = 1);
			answer[i] = ONLY(SIDE_OUTSIDE)->seg;
		}
		EQUAL(answer[0].seq, answer[1].seq);
		CHECK(answer[0].tsval != answer[1].tsval);
		CLIENT(TCP_ACK, lab->irs + 1, answer[1].seq + 1, .options = OPTION_TIMESTAMPS,
		       .tsval = 1, .tsecr = answer[1].tsval);
		EQUAL(ONLY(SIDE_INSIDE)->seg.mss, mss[1 ^ first]);
		EQUAL(ONLY(SIDE_INSIDE)->seg.wscale, wscale[1 ^ first]);
		lab->client_port++;
	}
}

/* The client has restarted, or the SYN is spoofed: the old cookie still counts. */
LAB_TEST(test_received_newer_syn_fresh_handshake, "SYN_RECEIVED.OUTSIDE.SYN")
{
	start(lab);
	uint32_t old_iss = lab->iss, old_irs = lab->irs;
	lab->irs += 100000;
	lab_syn_ack(lab);
	CHECK(lab->iss != old_iss);
	CLIENT(TCP_ACK, old_irs + 1, old_iss + 1);
	OUTCOME_IS(taken_proof);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, old_irs);
	EQUAL(core_usage(lab->core).half_open, 0);
}

LAB_TEST(test_received_newer_syn_newer_ack_opens)
{
	start(lab);
	lab->irs += 100000;
	lab_connecting(lab);
}

LAB_TEST(test_received_syn_bad_checksum_dropped)
{
	start(lab);
	EQUAL(CLIENT(TCP_SYN, lab->irs + 5, 0, .bad_checksum = 3), 0);
	OUTCOME_IS(drop_checksum);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
}

LAB_TEST(test_received_syn_ack_dropped, "SYN_RECEIVED.OUTSIDE.SYN_ACK")
{
	start(lab);
	EQUAL(CLIENT(TCP_SYN | TCP_ACK, lab->irs, lab->iss + 1), 0);
	OUTCOME_IS(drop_stray_syn_ack);
	EQUAL(core_usage(lab->core).half_open, 1);
}

LAB_TEST(test_received_ack_opens, "SYN_RECEIVED.OUTSIDE.ACK")
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	EQUAL(lab_grew(lab, COUNTER_half_open_completed), 1);
	EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_SYN);
	EQUAL(lab_state(lab), CONN_CONNECTING);
}

LAB_TEST(test_received_data_opens, "SYN_RECEIVED.OUTSIDE.DATA")
{
	start(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 1);
	OUTCOME_IS(taken_proof);
	EQUAL(lab_state(lab), CONN_CONNECTING);
}

/* The first segment was lost: for the client to send again. */
LAB_TEST(test_received_data_ahead_dropped, "SYN_RECEIVED.OUTSIDE.DATA")
{
	start(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1 + 100, lab->iss + 1, .payload_len = 10), 0);
	OUTCOME_IS(drop_early);
	EQUAL(core_usage(lab->core).half_open, 1);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 110);
	OUTCOME_IS(taken_proof);
}

/* SEG.ACK is right, SEQ is not: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, not RST. */
LAB_TEST(test_received_ack_outside_window_acked)
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1 + 0x40000000, lab->iss + 1);
	OUTCOME_IS(answered_ack);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	EQUAL(out->seg.flags, TCP_ACK);
	EQUAL(out->seg.seq, lab->iss + 1);
	EQUAL(out->seg.ack, lab->irs + 1);
	EQUAL(core_usage(lab->core).half_open, 1);
	EQUAL(lab_state(lab), CONN_FREE);
}

/* Once agreed, timestamps stand in every segment but RST (RFC 7323, 3.2). */
LAB_TEST(test_received_challenge_carries_timestamps)
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1 + 0x40000000, lab->iss + 1);
	EQUAL(!!(ONLY(SIDE_OUTSIDE)->seg.options & OPTION_TIMESTAMPS), lab->timestamps);
}

/* <SEQ=SEG.ACK><CTL=RST>. */
LAB_TEST(test_received_wrong_ack_reset, "SYN_RECEIVED.OUTSIDE.ACK")
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 2);
	OUTCOME_IS(answered_rst);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	EQUAL(out->seg.flags, TCP_RST);
	EQUAL(out->seg.seq, lab->iss + 2);
	EQUAL(core_usage(lab->core).half_open, 1);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
}

LAB_TEST(test_received_ack_bad_checksum_dropped)
{
	start(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .bad_checksum = 3), 0);
	OUTCOME_IS(drop_checksum);
	EQUAL(core_usage(lab->core).half_open, 1);
}

LAB_TEST(test_received_exact_rst_removes, "SYN_RECEIVED.OUTSIDE.RST")
{
	start(lab);
	EQUAL(CLIENT(TCP_RST, lab->irs + 1, 0), 0);
	EQUAL(lab_grew(lab, COUNTER_half_open_reset), 1);
	EQUAL(core_usage(lab->core).half_open, 0);
}

LAB_TEST(test_received_other_rst_dropped, "SYN_RECEIVED.OUTSIDE.RST")
{
	static const uint32_t off[] = { 0, 2, 500, 0x80000000 };

	start(lab);
	for (unsigned int i = 0; i < 4; i++) {
		EQUAL(CLIENT(TCP_RST, lab->irs + off[i], 0), 0);
		EQUAL(core_usage(lab->core).half_open, 1);
	}
	EQUAL(CLIENT(TCP_RST, lab->irs + 1, 0, .bad_checksum = 1), 0);
	OUTCOME_IS(drop_checksum);
	EQUAL(core_usage(lab->core).half_open, 1);
}

LAB_TEST(test_received_inside_syn_passes, "SYN_RECEIVED.INSIDE.SYN")
{
	start(lab);
	SERVER(TCP_SYN, 1, 0);
	EQUAL(ONLY(SIDE_OUTSIDE)->kind, ACTION_FORWARD);
	EQUAL(lab_state(lab), CONN_TRACKED);
	EQUAL(core_usage(lab->core).half_open, 0);
}

LAB_TEST(test_received_inside_segments_reset, "SYN_RECEIVED.INSIDE.SYN_ACK",
         "SYN_RECEIVED.INSIDE.ACK", "SYN_RECEIVED.INSIDE.DATA")
{
	static const uint8_t flags[] = { TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK | TCP_FIN };

	start(lab);
	for (unsigned int i = 0; i < 3; i++) {
		SERVER(flags[i], 1, 77 + i);
		OUTCOME_IS(answered_rst);
		EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_RST);
		EQUAL(ONLY(SIDE_INSIDE)->seg.seq, 77 + i);
	}
	EQUAL(core_usage(lab->core).half_open, 1);
}

LAB_TEST(test_received_inside_rst_dropped, "SYN_RECEIVED.INSIDE.RST")
{
	start(lab);
	EQUAL(SERVER(TCP_RST, lab->server_iss, lab->irs + 1), 0);
	OUTCOME_IS(drop_stray_rst);
	EQUAL(core_usage(lab->core).half_open, 1);
}

/* The same SYN-ACK after 1, 2 and 4 seconds; then the entry expires. */
LAB_TEST(test_received_timer_sends_again_then_expires, "SYN_RECEIVED.OUTSIDE.TIMER")
{
	static const unsigned int waits_ms[] = { 1000, 2000, 4000 };

	start(lab);
	struct segment first = ONLY(SIDE_OUTSIDE)->seg;
	for (unsigned int i = 0; i < 3; i++) {
		EQUAL(lab_tick(lab, waits_ms[i] - 200), 0);
		lab_tick(lab, 400);
		const struct lab_out *again = ONLY(SIDE_OUTSIDE);
		EQUAL(again->seg.flags, TCP_SYN | TCP_ACK);
		EQUAL(again->seg.seq, first.seq);
		EQUAL(again->seg.ack, first.ack);
		EQUAL(again->seg.options, first.options);
		EQUAL(again->seg.mss, first.mss);
		EQUAL(again->seg.wscale, first.wscale);
		EQUAL(again->seg.tsecr, first.tsecr);
		EQUAL(again->seg.window, first.window);
		EQUAL(lab_grew(lab, COUNTER_syn_ack_again), 1);
		lab_tick(lab, 0);
		lab->now_ms -= 200;
		lab->wall_ms -= 200;
	}
	EQUAL(lab_tick(lab, 20000), 0);
	EQUAL(core_usage(lab->core).half_open, 0);
	EQUAL(lab_count(lab, COUNTER_half_open_expired), 1);
	/* Its cookie has not. */
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
}

/* A cookie lives shortest that is made at the end of an epoch; all that are sent again
 * are looked at (check_cookie()). */
LAB_TEST(test_received_timer_last_syn_ack_still_good)
{
	lab->wall_ms += (EPOCH_S - lab->wall_ms / 1000 % EPOCH_S) * 1000 - 100;
	lab->policy.syn_ack_retries = SYN_ACK_RETRIES_MAX;
	start(lab);
	EQUAL(lab_tick(lab, COOKIE_LIFE_MIN_S * 1000), SYN_ACK_RETRIES_MAX);
	EQUAL(lab_count(lab, COUNTER_syn_ack_again), SYN_ACK_RETRIES_MAX);
}

LAB_TEST(test_received_timer_no_retries)
{
	lab->policy.syn_ack_retries = 0;
	start(lab);
	EQUAL(lab_tick(lab, 20000), 0);
	EQUAL(core_usage(lab->core).half_open, 0);
}

/* In cookie mode nothing is sent again. */
LAB_TEST_ONCE(test_received_timer_cookie_mode_silent)
{
	lab->services[0].high = 4;
	lab->services[0].low = 1;
	lab_start(lab);
	lab_teach(lab);
	for (uint16_t i = 0; i < 6; i++)
		CLIENT(TCP_SYN, 100, 0, .client_port = (uint16_t)(1000 + i));
	CHECK(core_service_view(lab->core, 0).cookie_mode);
	EQUAL(lab_tick(lab, 900), 0);
	/* The flood goes on, and so does the mode. */
	for (uint16_t i = 0; i < 6; i++)
		CLIENT(TCP_SYN, 100, 0, .client_port = (uint16_t)(2000 + i));
	EQUAL(lab_tick(lab, 300), 0);
}

/* An earlier SYN-ACK was late, not lost: what it promised counts. */
LAB_TEST(test_received_ack_of_another_syn_ack_goes_by_that, "SYN_RECEIVED.OUTSIDE.ACK")
{
	/* Both in one epoch. */
	lab->wall_ms -= lab->wall_ms % (EPOCH_S * 1000);
	lab_start(lab);
	lab_teach(lab);
	lab->wall_ms += 2 * EPOCH_S * 1000 - lab->wall_ms % (EPOCH_S * 1000);
	lab_tick(lab, 50);
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_syn_ack(lab);
	if (!lab->timestamps)
		return;
	uint32_t iss = lab->iss, first = lab->out[0].seg.tsval;
	lab_tick(lab, 1000);
	lab->services[0].cookies = COOKIES_AUTO;
	lab_syn_ack(lab);
	EQUAL(lab->iss, iss);
	CHECK(lab->out[0].seg.tsval != first);
	lab_tick(lab, 500);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .tsecr = first);
	OUTCOME_IS(taken_proof);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	lab_server_syn_ack(lab, &syn);
	/* The clock goes on from the one that it echoes. */
	uint32_t later = NTH(SIDE_OUTSIDE, 0)->seg.tsval - first;
	CHECK(later >= 1496 && later <= 1504);
	EQUAL(core_usage(lab->core).half_open, 0);
}

CU_TestInfo core_received_tests[] = {
	CHECK_TEST(test_received_same_syn_same_syn_ack),
	CHECK_TEST(test_received_syn_with_less_is_kept_to),
	CHECK_TEST(test_received_syn_with_more_is_kept_to),
	CHECK_TEST(test_received_syn_with_less_older_answer_opens),
	CHECK_TEST(test_received_older_answer_data_ahead_dropped),
	CHECK_TEST(test_received_syns_of_one_cookie_what_both_cover),
	CHECK_TEST(test_received_syns_of_one_cookie_told_apart),
	CHECK_TEST(test_received_newer_syn_fresh_handshake),
	CHECK_TEST(test_received_newer_syn_newer_ack_opens),
	CHECK_TEST(test_received_syn_bad_checksum_dropped),
	CHECK_TEST(test_received_syn_ack_dropped),
	CHECK_TEST(test_received_ack_opens),
	CHECK_TEST(test_received_ack_of_another_syn_ack_goes_by_that),
	CHECK_TEST(test_received_data_opens),
	CHECK_TEST(test_received_data_ahead_dropped),
	CHECK_TEST(test_received_ack_outside_window_acked),
	CHECK_TEST(test_received_challenge_carries_timestamps),
	CHECK_TEST(test_received_wrong_ack_reset),
	CHECK_TEST(test_received_ack_bad_checksum_dropped),
	CHECK_TEST(test_received_exact_rst_removes),
	CHECK_TEST(test_received_other_rst_dropped),
	CHECK_TEST(test_received_inside_syn_passes),
	CHECK_TEST(test_received_inside_segments_reset),
	CHECK_TEST(test_received_inside_rst_dropped),
	CHECK_TEST(test_received_timer_sends_again_then_expires),
	CHECK_TEST(test_received_timer_last_syn_ack_still_good),
	CHECK_TEST(test_received_timer_no_retries),
	CHECK_TEST(test_received_timer_cookie_mode_silent),
	CU_TEST_INFO_NULL,
};
