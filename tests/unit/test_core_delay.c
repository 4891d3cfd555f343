/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two ends measure: the server's first round-trip sample, the client's first
 * flight, the clocks in TSval. */
#include "core_lab.h"
#include "pending.h"

#define FLIGHT 10u
#define MSS 1460u

/* The client is proven `ms` after its SYN-ACK; what went to the server is in lab->out. */
static void
prove_after(struct lab *lab, uint64_t ms)
{
	lab->services[0].repeat_syn = true;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	lab_tick(lab, ms);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
}

/* Both SYN-ACKs to that; the first one alone splices nothing. `echoed`: number of the SYN whose
 * TSval they echo. */
static void
answer_twice(struct lab *lab, unsigned int echoed)
{
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);

	lab->ts_seen[SIDE_INSIDE] = syn.seg.tsval + echoed;
	EQUAL(lab_server_syn_ack(lab, &syn), 0);
	OUTCOME_IS(taken_handshake);
	EQUAL(lab_grew(lab, COUNTER_learned), 1);
	EQUAL(lab_state(lab), CONN_CONNECTING);
	lab_server_syn_ack(lab, &syn);
	EQUAL(lab_grew(lab, COUNTER_connected), 1);
	EQUAL(lab_grew(lab, COUNTER_learned), 0);
	EQUAL(lab_state(lab), CONN_SPLICED);
}

LAB_TEST(test_delay_syn_goes_out_twice)
{
	prove_after(lab, 100);
	EQUAL(lab->n_out, 2);
	const struct segment first = NTH(SIDE_INSIDE, 0)->seg, second = NTH(SIDE_INSIDE, 1)->seg;
	EQUAL(first.flags, TCP_SYN);
	EQUAL(second.flags, TCP_SYN);
	EQUAL(first.seq, lab->irs);
	EQUAL(second.seq, first.seq);
	EQUAL(second.options, first.options);
	EQUAL(second.mss, first.mss);
	EQUAL(second.wscale, first.wscale);
	EQUAL(second.window, first.window);
	/* Told apart by the TSval, which is no later than the client's. */
	EQUAL(second.tsval, lab->timestamps ? lab->ts_clock[SIDE_OUTSIDE] : 0);
	EQUAL(first.tsval, lab->timestamps ? second.tsval - 1 : 0);
	/* So does each that a timer sends. */
	EQUAL(lab_tick(lab, 1001), 2);
	EQUAL(NTH(SIDE_INSIDE, 1)->seg.seq, lab->irs);
}

/* A server that keeps state echoes the first SYN: from 0 it takes no sample. */
LAB_TEST(test_delay_no_echo_for_a_request_socket, "CONNECTING.INSIDE.SYN_ACK")
{
	prove_after(lab, 100);
	answer_twice(lab, 0);
	const struct segment ack = NTH(SIDE_INSIDE, 0)->seg;
	EQUAL(ack.flags, TCP_ACK);
	EQUAL(ack.ack, lab->server_iss + 1);
	EQUAL(ack.tsecr, 0);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	EQUAL(ONLY(SIDE_INSIDE)->seg.tsecr, 0);
}

/* One that answers by cookie echoes each, and reads options and clock from TSecr. */
LAB_TEST(test_delay_echo_ahead_for_a_cookie, "CONNECTING.INSIDE.SYN_ACK")
{
	prove_after(lab, 100);
	answer_twice(lab, 1);
	uint32_t ahead = lab->timestamps ? lab->ts_clock[SIDE_INSIDE] + (1u << 22) : 0;
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.tsecr, ahead);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	EQUAL(ONLY(SIDE_INSIDE)->seg.tsecr, ahead);
}

/* One that does not answer twice is not waited for long, and gets what it has sent. */
LAB_TEST(test_delay_one_syn_ack_is_enough, "CONNECTING.INSIDE.TIMER")
{
	prove_after(lab, 100);
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(taken_held);
	EQUAL(lab_server_syn_ack(lab, &syn), 0);
	uint32_t said = lab->timestamps ? lab->ts_clock[SIDE_INSIDE] : 0;
	EQUAL(lab_tick(lab, 6), 2);
	EQUAL(lab_grew(lab, COUNTER_connected), 1);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.tsecr, said);
	CHECK(lab_payload_is(NTH(SIDE_INSIDE, 0), lab->irs + 1, 10));
	EQUAL(NTH(SIDE_OUTSIDE, 0)->seg.seq, lab->iss + 1);
	EQUAL(lab_state(lab), CONN_SPLICED);
	EQUAL(core_usage(lab->core).held, 0);
	/* It comes late, or the ACK was lost. */
	EQUAL(lab_server_syn_ack(lab, &syn), 1);
	OUTCOME_IS(answered_ack);
}

/* Some answer a second SYN with an ACK (RFC 9293, 3.10.7.4). */
LAB_TEST(test_delay_second_syn_answered_by_ack, "CONNECTING.INSIDE.ACK")
{
	prove_after(lab, 100);
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);
	lab_server_syn_ack(lab, &syn);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1);
	OUTCOME_IS(taken_handshake);
	EQUAL(lab_state(lab), CONN_SPLICED);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.tsecr, lab->timestamps ? lab->ts_clock[SIDE_INSIDE] : 0);
}

/* The client resets between the two SYN-ACKs: the server's end is reset, whatever comes. */
LAB_TEST(test_delay_client_gone_between_syn_acks, "CONNECTING.INSIDE.TIMER")
{
	prove_after(lab, 100);
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);
	lab_server_syn_ack(lab, &syn);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	OUTCOME_IS(taken_handshake);
	if (lab->variant->is_v6)
		lab_tick(lab, 6);
	else
		lab_server_syn_ack(lab, &syn);
	EQUAL(lab_grew(lab, COUNTER_connected), 0);
	const struct segment rst = ONLY(SIDE_INSIDE)->seg;
	EQUAL(rst.flags, TCP_RST);
	EQUAL(rst.seq, lab->irs + 1);
	EQUAL(lab_state(lab), CONN_SPENT);
	EQUAL(core_usage(lab->core).held, 0);
}

LAB_TEST(test_delay_single_syn_where_the_service_wants_it)
{
	lab->services[0].repeat_syn = false;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	lab_server_syn_ack(lab, &syn);
	if (lab->timestamps)
		EQUAL(NTH(SIDE_INSIDE, 0)->seg.tsecr, lab->ts_clock[SIDE_INSIDE]);
	EQUAL(lab_server_syn_ack(lab, &syn), 1);
	OUTCOME_IS(answered_ack);
}

/* What the client echoes is older than the server's clock: 0 until the server has spoken. */
LAB_TEST(test_delay_no_echo_before_the_server_speaks, "SPLICED.OUTSIDE.DATA")
{
	prove_after(lab, 100);
	answer_twice(lab, 0);
	if (!lab->timestamps)
		return;
	uint32_t delta = lab->ts_seen[SIDE_OUTSIDE] - lab->ts_clock[SIDE_INSIDE];
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	EQUAL(ONLY(SIDE_INSIDE)->seg.tsecr, 0);
	/* A bare ACK of the SYN-ACK's numbers says nothing new. */
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 11, lab->iss + 1, .payload_len = 10);
	EQUAL(ONLY(SIDE_INSIDE)->seg.tsecr, 0);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 11);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 21, lab->iss + 1, .payload_len = 10, .tsecr = 77000);
	EQUAL(ONLY(SIDE_INSIDE)->seg.tsecr, 77000 - delta);
}

/* Our clock goes on from the TSval that is echoed, in milliseconds; 4 ms is how finely the
 * SYN-ACK tells its time. */
static void
clock_goes_on(struct lab *lab)
{
	prove_after(lab, 150);
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);
	uint32_t echoed = lab->ts_seen[SIDE_OUTSIDE];
	lab_tick(lab, 40);
	CLIENT(TCP_SYN, lab->irs + 5000, 0);
	OUTCOME_IS(answered_ack);
	if (!lab->timestamps)
		return;
	uint32_t challenge = ONLY(SIDE_OUTSIDE)->seg.tsval - echoed;
	CHECK(challenge >= 188 && challenge <= 194);
	lab_tick(lab, 60);
	lab_server_syn_ack(lab, &syn);
	lab_server_syn_ack(lab, &syn);
	uint32_t window = NTH(SIDE_OUTSIDE, 0)->seg.tsval - echoed;
	EQUAL(window, challenge + 60);
	/* The server's own goes on from there. */
	lab->ts_clock[SIDE_INSIDE] += 25;
	SERVER(TCP_ACK | TCP_PSH, lab->server_iss + 1, lab->irs + 1, .payload_len = 10);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.tsval - echoed, window + 25);
}

LAB_TEST(test_delay_clock_goes_on_from_state)
{
	clock_goes_on(lab);
}

LAB_TEST(test_delay_clock_goes_on_by_cookie)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	clock_goes_on(lab);
}

/* A SYN-ACK that is sent again tells the time that it is. */
LAB_TEST(test_delay_syn_ack_again_has_a_later_tsval, "SYN_RECEIVED.OUTSIDE.TIMER")
{
	lab->services[0].repeat_syn = true;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	if (!lab->timestamps)
		return;
	uint32_t first = lab->out[0].seg.tsval;
	EQUAL(lab_tick(lab, 1001), 1);
	uint32_t second = ONLY(SIDE_OUTSIDE)->seg.tsval;
	EQUAL((first ^ second) & COOKIE_TS_MASK, 0);
	CHECK(seq_before(first, second));
	/* Whichever it echoes. */
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .tsecr = first);
	OUTCOME_IS(taken_proof);
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);
	EQUAL(lab_grew(lab, COUNTER_cookies_checked), 0);
	lab_server_syn_ack(lab, &syn);
	lab_server_syn_ack(lab, &syn);
	uint32_t later = NTH(SIDE_OUTSIDE, 0)->seg.tsval - first;
	CHECK(later >= 997 && later <= 1006);
}

/* Ten segments come before the server answers, and go on as they came. */
LAB_TEST(test_delay_first_flight_is_held, "CONNECTING.OUTSIDE.DATA")
{
	lab->params.hold_bytes = lab->policy.hold_bytes = 16384;
	lab->server_mss = 9000;
	prove_after(lab, 100);
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);
	for (unsigned int i = 0; i < FLIGHT; i++) {
		CLIENT(TCP_ACK | (i == FLIGHT - 1 ? TCP_PSH : 0), lab->irs + 1 + i * MSS,
		       lab->iss + 1, .payload_len = MSS);
		OUTCOME_IS(taken_held);
	}
	lab_server_syn_ack(lab, &syn);
	lab_server_syn_ack(lab, &syn);
	for (unsigned int i = 0; i < FLIGHT; i++) {
		const struct lab_out *out = NTH(SIDE_INSIDE, i);
		EQUAL(out->seg.seq, lab->irs + 1 + i * MSS);
		CHECK(lab_payload_is(out, lab->irs + 1 + i * MSS, MSS));
		EQUAL(!!(out->seg.flags & TCP_PSH), i == FLIGHT - 1);
	}
	EQUAL(lab->n_out, FLIGHT + 1);
}

/* Where many hold much, clients are told less; everybody can hold a segment. */
LAB_TEST_ONCE(test_delay_window_shrinks_when_the_pool_is_short)
{
	uint32_t iss[8], windows[8];

	lab->params.hold_bytes = lab->policy.hold_bytes = 16384;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 8; i++) {
		lab_syn_of(lab, i, 1);
		windows[i] = ONLY(SIDE_OUTSIDE)->seg.window;
		iss[i] = ONLY(SIDE_OUTSIDE)->seg.seq;
		CLIENT(TCP_ACK, 1001 + i, iss[i] + 1, .client = 1,
		       .client_port = (uint16_t)(1000 + i), .no_timestamps = true);
		OUTCOME_IS(taken_proof);
		for (unsigned int n = 0; n < FLIGHT; n++)
			CLIENT(TCP_ACK, 1001 + i + n * MSS, iss[i] + 1, .client = 1,
			       .client_port = (uint16_t)(1000 + i), .payload_len = MSS,
			       .no_timestamps = true);
	}
	EQUAL(windows[0], 16384);
	EQUAL(windows[7], MSS);
	/* Nobody's first segment was dropped. */
	uint64_t held = lab_count(lab, COUNTER_taken_held);
	CHECK(held > 2 * FLIGHT && held < 8 * FLIGHT);
	EQUAL(core_usage(lab->core).held, 8);
}

/* To an MSS below all rows of a profile with SACK or scale, neither is granted, and the
 * server is told no more than the client said. */
LAB_TEST(test_delay_low_mss_is_never_raised)
{
	static const uint16_t mss[] = { 216, 300, 500, 1000, 1100, 1400 };

	for (unsigned int i = 0; i < 2 * sizeof(mss) / sizeof(mss[0]); i++) {
		if (i == 0) {
			lab->services[0].cookies = COOKIES_ALWAYS;
			lab->params.held = 64;
			lab_start(lab);
			lab_teach(lab);
		}
		uint16_t said = mss[i / 2], port = (uint16_t)(3000 + i);
		bool stamps = i & 1;
		CLIENT(TCP_SYN, 500, 0, .client_port = port, .mss = said, .wscale = 8,
		       .options = OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED |
		                  (stamps ? OPTION_TIMESTAMPS : 0),
		       .tsval = stamps ? 9 : 0, .no_timestamps = !stamps);
		struct segment answer = ONLY(SIDE_OUTSIDE)->seg;
		CLIENT(TCP_ACK | TCP_PSH, 501, answer.seq + 1, .client_port = port,
		       .options = stamps ? OPTION_TIMESTAMPS : 0, .tsval = stamps ? 10 : 0,
		       .tsecr = answer.tsval, .payload_len = 4, .no_timestamps = !stamps);
		struct segment syn = ONLY(SIDE_INSIDE)->seg;
		CHECK(syn.mss <= said);
		if (said >= 1000 && !lab->variant->is_v6)
			CHECK(syn.mss >= 1000);
		if (stamps)
			EQUAL(syn.mss, said);
		EQUAL(syn.options & (OPTION_WSCALE | OPTION_SACK_PERMITTED),
		      answer.options & (OPTION_WSCALE | OPTION_SACK_PERMITTED));
	}
}

/* Between the two SYN-ACKs only the ACK of this very handshake joins it: another one is of an old
 * connection, and gets RST. */
LAB_TEST(test_delay_ack_of_another_between)
{
	prove_after(lab, 100);
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);
	lab_server_syn_ack(lab, &syn);
	SERVER(TCP_ACK, lab->server_iss + 2, lab->irs + 1);
	CHECK(lab_grew(lab, COUNTER_connected) == 0);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 2);
	CHECK(lab_grew(lab, COUNTER_connected) == 0);
}

/* The client has gone between the two: the ACK finds nobody, and joins nothing. */
LAB_TEST(test_delay_client_gone_between)
{
	prove_after(lab, 100);
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);
	lab_server_syn_ack(lab, &syn);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1);
	CHECK(lab_grew(lab, COUNTER_connected) == 0);
	EQUAL(lab_count(lab, COUNTER_connected), 0);
	lab_tick(lab, 1000 * (lab->policy.timeouts.connecting + 1));
	EQUAL(core_remaining(lab->core), 0);
}

CU_TestInfo core_delay_tests[] = {
	CHECK_TEST(test_delay_client_gone_between),
	CHECK_TEST(test_delay_ack_of_another_between),
	CHECK_TEST(test_delay_syn_goes_out_twice),
	CHECK_TEST(test_delay_no_echo_for_a_request_socket),
	CHECK_TEST(test_delay_echo_ahead_for_a_cookie),
	CHECK_TEST(test_delay_one_syn_ack_is_enough),
	CHECK_TEST(test_delay_second_syn_answered_by_ack),
	CHECK_TEST(test_delay_client_gone_between_syn_acks),
	CHECK_TEST(test_delay_single_syn_where_the_service_wants_it),
	CHECK_TEST(test_delay_no_echo_before_the_server_speaks),
	CHECK_TEST(test_delay_clock_goes_on_from_state),
	CHECK_TEST(test_delay_clock_goes_on_by_cookie),
	CHECK_TEST(test_delay_syn_ack_again_has_a_later_tsval),
	CHECK_TEST(test_delay_first_flight_is_held),
	CHECK_TEST(test_delay_window_shrinks_when_the_pool_is_short),
	CHECK_TEST(test_delay_low_mss_is_never_raised),
	CU_TEST_INFO_NULL,
};
