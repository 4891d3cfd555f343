/* SPDX-License-Identifier: BSD-3-Clause */
/* LISTEN: no entry. */
#include "core_lab.h"

/* What a SYN-ACK must offer when the server can do everything. */
static void
check_answered_options(struct lab *lab, const struct segment *s, uint8_t offered)
{
	EQUAL(s->options, offered | OPTION_MSS);
	EQUAL(s->mss, lab->server_mss);
	if (offered & OPTION_TIMESTAMPS)
		EQUAL(s->tsecr, lab->ts_clock[SIDE_OUTSIDE]);
}

LAB_TEST(test_listen_syn_answered_with_state, "LISTEN.OUTSIDE.SYN")
{
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_state);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	EQUAL(out->kind, ACTION_REPLY);
	check_answered_options(lab, &out->seg, lab->variant->options);
	EQUAL(out->seg.window, LAB_HOLD_BYTES);
	EQUAL(core_usage(lab->core).half_open, 1);
	EQUAL(core_remaining(lab->core), 0);
}

LAB_TEST(test_listen_syn_answered_by_cookie)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_cookie);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	check_answered_options(lab, &out->seg, lab->variant->options);
	EQUAL(out->seg.window, LAB_HOLD_BYTES);
	EQUAL(core_usage(lab->core).half_open, 0);
}

/* A server that is not known, in a flood: only what can always be kept. */
LAB_TEST(test_listen_syn_unknown_server_no_timestamps_promised)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_syn(lab);
	if (lab_grew(lab, COUNTER_passed_syn))
		return; /* calm: it passes to teach; the flood is below */
	CHECK((ONLY(SIDE_OUTSIDE)->seg.options & OPTION_TIMESTAMPS) == 0);
}

LAB_TEST(test_listen_syn_unknown_server_flood)
{
	unsigned int n_answered = 0;

	lab->params.half_open = 256;
	lab_start(lab);
	/* Until the watermark is reached some may pass to teach. */
	for (unsigned int i = 0; i < 100; i++) {
		CLIENT(TCP_SYN, 1000 + i, 0, .client_port = (uint16_t)(1000 + i),
		       .client = 1 + i % 50, .options = LAB_ALL, .mss = 1400, .wscale = 5,
		       .tsval = 5);
		if (lab_grew(lab, COUNTER_passed_syn)) {
			EQUAL(NTH(SIDE_INSIDE, 0)->kind, ACTION_FORWARD);
			continue;
		}
		const struct lab_out *out = ONLY(SIDE_OUTSIDE);
		n_answered++;
		CHECK((out->seg.options & OPTION_TIMESTAMPS) == 0);
		CHECK((out->seg.options & OPTION_MSS) != 0);
	}
	CHECK(n_answered > 0);
}

LAB_TEST(test_listen_syn_unknown_server_passes)
{
	lab_start(lab);
	lab_syn(lab);
	OUTCOME_IS(passed_syn);
	EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
	EQUAL(lab_state(lab), CONN_TRACKED);
}

LAB_TEST(test_listen_syn_transparent_passes)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab_start(lab);
	lab_teach(lab);
	lab_syn(lab);
	OUTCOME_IS(passed_syn);
	EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
	EQUAL(lab_state(lab), CONN_TRACKED);
}

LAB_TEST(test_listen_syn_draining_passes)
{
	lab_start(lab);
	lab_teach(lab);
	core_drain(lab->core, true);
	lab_syn(lab);
	OUTCOME_IS(passed_syn);
	EQUAL(core_remaining(lab->core), 0);
	core_drain(lab->core, false);
	lab->client_port++;
	lab_syn_ack(lab);
}

LAB_TEST(test_listen_syn_with_data_not_acknowledged)
{
	lab_start(lab);
	lab_teach(lab);
	CLIENT(TCP_SYN, lab->irs, 0, .payload_len = 100, .options = lab->variant->options,
	       .mss = 1400, .wscale = 3);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	CHECK(out->seg.flags == (TCP_SYN | TCP_ACK));
	EQUAL(out->seg.ack, lab->irs + 1);
	EQUAL(out->seg.payload_len, 0);
	EQUAL(out->len, out->seg.frame_len < 60 ? 60 : out->seg.frame_len);
}

/* ECN is not negotiated on a split handshake; reserved bits are not reflected;
 * both are checked for every packet made. */
LAB_TEST(test_listen_syn_ecn_not_negotiated)
{
	lab_start(lab);
	lab_teach(lab);
	CLIENT(TCP_SYN | TCP_ECE | TCP_CWR, lab->irs, 0, .reserved = 0xf, .urgent = 7);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_SYN | TCP_ACK);
}

LAB_TEST(test_listen_syn_bad_checksum_dropped)
{
	lab_start(lab);
	lab_teach(lab);
	EQUAL(CLIENT(TCP_SYN, lab->irs, 0, .bad_checksum = 1), 0);
	OUTCOME_IS(drop_checksum);
	EQUAL(core_usage(lab->core).half_open, 0);
}

LAB_TEST(test_listen_impossible_flags_dropped)
{
	static const uint8_t flags[] = { TCP_SYN | TCP_FIN, TCP_SYN | TCP_RST, 0,
		                         TCP_FIN | TCP_URG | TCP_PSH };

	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < sizeof(flags); i++) {
		EQUAL(CLIENT(flags[i], lab->irs, 0), 0);
		OUTCOME_IS(drop_flags);
	}
}

LAB_TEST(test_listen_port_zero_dropped)
{
	uint8_t options[64], payload[64], frame[FRAME_SIZE];

	lab_start(lab);
	struct frame_spec f = lab_frame(lab, &(struct lab_seg){ .flags = TCP_SYN }, options,
	                                payload);
	f.src_port = 0;
	EQUAL(lab_in_frame(lab, SIDE_OUTSIDE, frame, frame_build(frame, &f), false), 0);
	OUTCOME_IS(drop_port_zero);
}

LAB_TEST(test_listen_invalid_source_dropped)
{
	uint8_t options[64], payload[64], frame[FRAME_SIZE];

	lab_start(lab);
	struct frame_spec f = lab_frame(lab, &(struct lab_seg){ .flags = TCP_SYN }, options,
	                                payload);
	struct ip_addr multicast = { .bytes = { 0xff, 0x02, [15] = 1 } };
	struct ip_addr sources[2] = { f.dst, lab->variant->is_v6
		                                     ? multicast
		                                     : ip_addr_v4(__builtin_bswap32(0xe0000001)) };
	for (unsigned int i = 0; i < 2; i++) {
		f.src = sources[i];
		EQUAL(lab_in_frame(lab, SIDE_OUTSIDE, frame, frame_build(frame, &f), false), 0);
		OUTCOME_IS(drop_address);
	}
}

LAB_TEST(test_listen_bad_lengths_dropped)
{
	uint8_t options[64], payload[64], frame[FRAME_SIZE];

	lab_start(lab);
	struct frame_spec f = lab_frame(lab, &(struct lab_seg){ .flags = TCP_SYN }, options,
	                                payload);
	size_t len = frame_build(frame, &f);
	frame[frame_l4_off(frame) + 12] = 0x40;
	EQUAL(lab_in_frame(lab, SIDE_OUTSIDE, frame, len, true), 0);
	OUTCOME_IS(drop_tcp_length);
	frame[frame_l4_off(frame) + 12] = 0xf0;
	EQUAL(lab_in_frame(lab, SIDE_OUTSIDE, frame, len, true), 0);
	OUTCOME_IS(drop_tcp_length);
}

/* Its ports are out of reach, but its address is a protected one. */
LAB_TEST(test_listen_truncated_dropped)
{
	uint8_t options[64], payload[64], frame[FRAME_SIZE];

	lab_start(lab);
	struct frame_spec f = lab_frame(lab, &(struct lab_seg){ .flags = TCP_SYN }, options,
	                                payload);
	size_t len = frame_build(frame, &f);
	EQUAL(lab_in_frame(lab, SIDE_OUTSIDE, frame, len - 8, true), 0);
	OUTCOME_IS(drop_ip_length);
}

/* RFC 9293, 3.10.7.1: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>. */
LAB_TEST(test_listen_syn_closed_port_reset)
{
	lab_start(lab);
	CLIENT(TCP_SYN, lab->irs, 0, .server_port = LAB_CLOSED, .payload_len = 3);
	OUTCOME_IS(answered_rst);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	EQUAL(out->seg.flags, TCP_RST | TCP_ACK);
	EQUAL(out->seg.seq, 0);
	EQUAL(out->seg.ack, lab->irs + 4);
	EQUAL(out->seg.options, 0);
	EQUAL(out->seg.window, 0);
}

LAB_TEST(test_listen_syn_closed_port_dropped)
{
	lab->policy.closed_port = REFUSE_DROP;
	lab_start(lab);
	EQUAL(CLIENT(TCP_SYN, lab->irs, 0, .server_port = LAB_CLOSED), 0);
	OUTCOME_IS(drop_closed);
}

LAB_TEST(test_listen_syn_closed_port_passed)
{
	lab->policy.closed_port = REFUSE_PASS;
	lab_start(lab);
	CLIENT(TCP_SYN, lab->irs, 0, .server_port = LAB_CLOSED);
	OUTCOME_IS(passed_closed);
	EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
}

LAB_TEST(test_listen_syn_bypass_passed)
{
	lab_start(lab);
	CLIENT(TCP_SYN, lab->irs, 0, .server_port = LAB_BYPASS);
	OUTCOME_IS(passed_bypass);
	EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
	SERVER(TCP_SYN | TCP_ACK, 1, lab->irs + 1, .server_port = LAB_BYPASS);
	OUTCOME_IS(passed_bypass);
	EQUAL(ONLY(SIDE_OUTSIDE)->kind, ACTION_FORWARD);
}

/* A SYN under MD5 (RFC 2385) or AO (RFC 5925) is never split. */
LAB_TEST(test_listen_signed_syn_passed)
{
	lab_start(lab);
	lab_teach(lab);
	CLIENT(TCP_SYN, lab->irs, 0, .options = OPTION_MD5);
	OUTCOME_IS(passed_syn);
	EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
	CLIENT(TCP_SYN, lab->irs, 0, .options = OPTION_AO, .client_port = 41000);
	OUTCOME_IS(passed_syn);
	EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
}

LAB_TEST(test_listen_signed_syn_refused)
{
	lab->services[0].signed_syn = REFUSE_RESET;
	lab_start(lab);
	lab_teach(lab);
	CLIENT(TCP_SYN, lab->irs, 0, .options = OPTION_MD5);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_RST | TCP_ACK);
	OUTCOME_IS(answered_rst);
}

LAB_TEST(test_listen_signed_syn_dropped)
{
	lab->services[0].signed_syn = REFUSE_DROP;
	lab_start(lab);
	lab_teach(lab);
	EQUAL(CLIENT(TCP_SYN, lab->irs, 0, .options = OPTION_AO), 0);
	OUTCOME_IS(drop_signed);
}

LAB_TEST(test_listen_syn_ack_dropped, "LISTEN.OUTSIDE.SYN_ACK")
{
	lab_start(lab);
	EQUAL(CLIENT(TCP_SYN | TCP_ACK, 1, 2), 0);
	OUTCOME_IS(drop_stray_syn_ack);
}

LAB_TEST(test_listen_rst_dropped, "LISTEN.OUTSIDE.RST", "LISTEN.INSIDE.RST")
{
	lab_start(lab);
	EQUAL(CLIENT(TCP_RST, 1, 2), 0);
	OUTCOME_IS(drop_stray_rst);
	EQUAL(CLIENT(TCP_RST | TCP_ACK, 1, 2), 0);
	OUTCOME_IS(drop_stray_rst);
	EQUAL(SERVER(TCP_RST, 1, 2), 0);
	OUTCOME_IS(drop_stray_rst);
}

LAB_TEST(test_listen_inside_syn_tracked, "LISTEN.INSIDE.SYN")
{
	lab_start(lab);
	SERVER(TCP_SYN, 700, 0, .options = LAB_ALL, .mss = 1400);
	EQUAL(lab_grew(lab, COUNTER_passed_syn) + lab_grew(lab, COUNTER_passed_tracked), 1);
	EQUAL(ONLY(SIDE_OUTSIDE)->kind, ACTION_FORWARD);
	EQUAL(lab_state(lab), CONN_TRACKED);
}

LAB_TEST(test_listen_inside_syn_ack_reset, "LISTEN.INSIDE.SYN_ACK")
{
	lab_start(lab);
	SERVER(TCP_SYN | TCP_ACK, 700, 900);
	OUTCOME_IS(answered_rst);
	const struct lab_out *out = ONLY(SIDE_INSIDE);
	EQUAL(out->seg.flags, TCP_RST);
	EQUAL(out->seg.seq, 900);
}

LAB_TEST(test_listen_inside_segment_reset, "LISTEN.INSIDE.ACK", "LISTEN.INSIDE.DATA")
{
	lab_start(lab);
	SERVER(TCP_ACK, 700, 900);
	OUTCOME_IS(answered_rst);
	EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_RST);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, 900);
	SERVER(TCP_ACK | TCP_FIN, 700, 901, .payload_len = 7);
	OUTCOME_IS(answered_rst);
	EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_RST);
	EQUAL(ONLY(SIDE_INSIDE)->seg.seq, 901);
}

CU_TestInfo core_listen_tests[] = {
	CHECK_TEST(test_listen_syn_answered_with_state),
	CHECK_TEST(test_listen_syn_answered_by_cookie),
	CHECK_TEST(test_listen_syn_unknown_server_no_timestamps_promised),
	CHECK_TEST(test_listen_syn_unknown_server_flood),
	CHECK_TEST(test_listen_syn_unknown_server_passes),
	CHECK_TEST(test_listen_syn_transparent_passes),
	CHECK_TEST(test_listen_syn_draining_passes),
	CHECK_TEST(test_listen_syn_with_data_not_acknowledged),
	CHECK_TEST(test_listen_syn_ecn_not_negotiated),
	CHECK_TEST(test_listen_syn_bad_checksum_dropped),
	CHECK_TEST(test_listen_impossible_flags_dropped),
	CHECK_TEST(test_listen_port_zero_dropped),
	CHECK_TEST(test_listen_invalid_source_dropped),
	CHECK_TEST(test_listen_bad_lengths_dropped),
	CHECK_TEST(test_listen_truncated_dropped),
	CHECK_TEST(test_listen_syn_closed_port_reset),
	CHECK_TEST(test_listen_syn_closed_port_dropped),
	CHECK_TEST(test_listen_syn_closed_port_passed),
	CHECK_TEST(test_listen_syn_bypass_passed),
	CHECK_TEST(test_listen_signed_syn_passed),
	CHECK_TEST(test_listen_signed_syn_refused),
	CHECK_TEST(test_listen_signed_syn_dropped),
	CHECK_TEST(test_listen_syn_ack_dropped),
	CHECK_TEST(test_listen_rst_dropped),
	CHECK_TEST(test_listen_inside_syn_tracked),
	CHECK_TEST(test_listen_inside_syn_ack_reset),
	CHECK_TEST(test_listen_inside_segment_reset),
	CU_TEST_INFO_NULL,
};
