/* SPDX-License-Identifier: BSD-3-Clause */
/* SPLICED: what is rewritten besides SEQ and ACK, and promises that are broken. */
#include "core_lab.h"

static void
start(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
}

/* Blocks of the client name the server's bytes as the client sees them; one of
 * them is a duplicate report below the ACK (DSACK, RFC 2883). */
LAB_TEST(test_spliced_client_sack_rewritten)
{
	bool odd = lab->variant->n_tags == 1;

	start(lab);
	if (!(lab->variant->options & OPTION_SACK_PERMITTED))
		return;
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .payload_len = 1000);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 101, .n_sack = odd ? 2 : 3, .odd_options = odd,
	       .sack = { { lab->iss + 1, lab->iss + 51 },
	                 { lab->iss + 201, lab->iss + 301 },
	                 { lab->iss + 401, lab->iss + 1001 } });
	const struct lab_out *out = ONLY(SIDE_INSIDE);
	uint32_t d = lab->server_iss - lab->iss;
	static const uint32_t want[3][2] = { { 1, 51 }, { 201, 301 }, { 401, 1001 } };
	EQUAL(out->seg.sack_count, odd ? 2 : 3);
	for (unsigned int i = 0; i < out->seg.sack_count; i++)
		for (unsigned int e = 0; e < 2; e++)
			EQUAL(out->sack[i][e], lab->iss + want[i][e] + d);
	EQUAL(lab_grew(lab, COUNTER_sack_rewritten), 1);
}

/* Blocks of the server name the client's bytes, which are never renumbered. */
LAB_TEST(test_spliced_server_sack_untouched)
{
	start(lab);
	if (!(lab->variant->options & OPTION_SACK_PERMITTED))
		return;
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .n_sack = 1,
	       .sack = { { lab->irs + 100, lab->irs + 200 } });
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	EQUAL(out->sack[0][0], lab->irs + 100);
	EQUAL(out->sack[0][1], lab->irs + 200);
}

/* One offset for the server's clock, both ways, that never goes back behind what
 * the client has seen in the SYN-ACK (PAWS, RFC 7323, 5). */
LAB_TEST(test_spliced_timestamps_rewritten)
{
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	if (!lab->timestamps)
		return;
	uint32_t first = lab->ts_seen[SIDE_OUTSIDE];
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	uint32_t server_first = lab->ts_clock[SIDE_INSIDE];
	lab_server_syn_ack(lab, &syn);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.tsecr, server_first);
	uint32_t update = NTH(SIDE_OUTSIDE, 0)->seg.tsval;
	CHECK(seq_before_eq(first, update));
	lab_tick(lab, 1000);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .payload_len = 10);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	uint32_t delta = out->seg.tsval - lab->ts_clock[SIDE_INSIDE];
	CHECK(seq_before_eq(update, out->seg.tsval));
	/* The client's own values are echoed by the server as they are. */
	EQUAL(out->seg.tsecr, lab->ts_seen[SIDE_INSIDE]);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 11);
	EQUAL(ONLY(SIDE_INSIDE)->seg.tsecr, lab->ts_clock[SIDE_INSIDE]);
	EQUAL(ONLY(SIDE_INSIDE)->seg.tsval, lab->ts_clock[SIDE_OUTSIDE]);
	/* A late echo of the SYN-ACK's own is nothing that the server never sent. */
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 11, .tsecr = first);
	CHECK(seq_before_eq(ONLY(SIDE_INSIDE)->seg.tsecr, server_first));
	EQUAL(first - ONLY(SIDE_INSIDE)->seg.tsecr, delta);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 11, .tsecr = first, .odd_options = true);
	EQUAL(ONLY(SIDE_INSIDE)->seg.tsecr, first - delta);
}

/* Windows of a server whose scale is not the one promised. */
static void
check_windows(struct lab *lab, unsigned int server_shift)
{
	static const uint16_t windows[] = { 0, 1, 2, 3, 63, 64, 127, 128, 500, 511, 32767, 65535 };
	unsigned int shift = lab->engine_wscale == WSCALE_NONE ? 0 : lab->engine_wscale;

	for (unsigned int i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .window = windows[i],
		       .zero_window = windows[i] == 0);
		uint64_t right = (uint64_t)windows[i] << server_shift >> shift;
		if (right > 65535)
			right = 65535;
		if (right == 0 && windows[i] != 0)
			right = 1;
		EQUAL(ONLY(SIDE_OUTSIDE)->seg.window, right);
	}
}

LAB_TEST(test_spliced_window_same_scale_untouched)
{
	start(lab);
	check_windows(lab, lab->engine_wscale == WSCALE_NONE ? 0 : lab->engine_wscale);
}

LAB_TEST(test_spliced_window_converted_to_larger_scale)
{
	lab_start(lab);
	lab_teach(lab);
	lab->server_wscale = 2;
	lab_splice(lab);
	check_windows(lab, lab->engine_wscale == WSCALE_NONE ? 0 : 2);
}

LAB_TEST(test_spliced_window_converted_to_smaller_scale)
{
	lab_start(lab);
	lab_teach(lab);
	lab->server_wscale = 11;
	lab_splice(lab);
	check_windows(lab, lab->engine_wscale == WSCALE_NONE ? 0 : 11);
}

/* A server that does no scale at all: its windows are plain, and so it takes the
 * client's. */
LAB_TEST(test_spliced_window_server_without_scale)
{
	lab_start(lab);
	lab_teach(lab);
	lab->server_options &= (uint8_t)~OPTION_WSCALE;
	lab_splice(lab);
	check_windows(lab, 0);
	if (lab->client_wscale == WSCALE_NONE)
		return;
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .window = 40);
	EQUAL(ONLY(SIDE_INSIDE)->seg.window, 40u << lab->client_wscale);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .window = 65535);
	EQUAL(ONLY(SIDE_INSIDE)->seg.window, 65535);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .zero_window = true);
	EQUAL(ONLY(SIDE_INSIDE)->seg.window, 0);
}

/* Of a client that was answered by cookie only a profile survives. Towards the
 * server the windows keep the scale that the client really uses. */
LAB_TEST(test_spliced_by_cookie_window_not_larger_than_offered)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .window = 100);
	EQUAL(lab->n_out, 1);
	EQUAL(lab_state(lab), CONN_SPLICED);
	check_windows(lab, lab->engine_wscale == WSCALE_NONE ? 0 : lab->server_wscale);
}

LAB_TEST(test_spliced_by_cookie_syn_covers_offer)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	const struct segment *s = &ONLY(SIDE_INSIDE)->seg;
	EQUAL(s->options, lab->variant->options | OPTION_MSS);
	if (s->options & OPTION_WSCALE)
		CHECK(s->wscale <= lab->variant->wscale);
	CHECK(s->mss <= lab->server_mss);
	if (lab->timestamps && (s->options & OPTION_WSCALE))
		EQUAL(s->wscale, lab->variant->wscale);
}

/* The server no longer does SACK: its permission was promised, so blocks of the
 * client are taken out. */
LAB_TEST(test_spliced_missing_sack_stripped)
{
	lab_start(lab);
	lab_teach(lab);
	lab->server_options &= (uint8_t)~OPTION_SACK_PERMITTED;
	lab_splice(lab);
	if (!(lab->variant->options & OPTION_SACK_PERMITTED))
		return;
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .n_sack = 1,
	       .sack = { { lab->iss + 100, lab->iss + 200 } });
	CHECK((ONLY(SIDE_INSIDE)->seg.options & OPTION_SACK) == 0);
}

/* Timestamps cannot be made up: both ends are reset, and the promise forgotten. */
LAB_TEST(test_connecting_missing_timestamps_breaks_promise)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	if (!lab->timestamps)
		return;
	lab->server_options &= (uint8_t)~OPTION_TIMESTAMPS;
	lab_server_syn_ack(lab, &syn);
	EQUAL(lab_grew(lab, COUNTER_promise_broken), 1);
	EQUAL(lab->n_out, 2);
	CHECK(NTH(SIDE_OUTSIDE, 0)->seg.flags & TCP_RST);
	EQUAL(NTH(SIDE_OUTSIDE, 0)->seg.seq, lab->iss + 1);
	CHECK(NTH(SIDE_INSIDE, 0)->seg.flags & TCP_RST);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.seq, lab->irs + 1);
	EQUAL(core_remaining(lab->core), 0);
	/* Forgotten: the next SYN passes to teach anew. */
	lab->client_port++;
	lab->timestamps = false;
	lab_syn(lab);
	OUTCOME_IS(passed_syn);
}

/* Nobody promised them: what is known of the server stays. */
LAB_TEST_ONCE(test_connecting_claimed_timestamps_forget_nothing)
{
	lab_start(lab);
	for (uint32_t net = 100; net < 103; net++)
		lab_teach_from(lab, net, LAB_ALL, LAB_ALL & ~OPTION_TIMESTAMPS);
	lab_syn_ack(lab);
	CHECK(!lab->timestamps);
	uint16_t promised = lab->promised_mss;
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .options = OPTION_TIMESTAMPS, .tsval = 5,
	       .tsecr = 6);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .options = OPTION_MSS,
	       .mss = lab->server_mss);
	EQUAL(lab_grew(lab, COUNTER_promise_broken), 1);
	lab->client_port++;
	lab_syn_ack(lab);
	EQUAL(lab->promised_mss, promised);
}

/* A server names a lower MSS where it knows the path to be narrow: for that client alone. */
LAB_TEST(test_connecting_lower_mss_is_one_clients)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	uint16_t promised = lab->promised_mss;
	lab->server_mss = 1300;
	lab_server_syn_ack(lab, &syn);
	EQUAL(lab_grew(lab, COUNTER_connected), 1);
	EQUAL(lab_state(lab), CONN_SPLICED);
	lab->client_port++;
	lab_syn(lab);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.mss, promised);
}

LAB_TEST(test_connecting_higher_mss_keeps_promise)
{
	lab_start(lab);
	lab_teach(lab);
	lab->server_mss = 8960;
	lab_splice(lab);
	EQUAL(lab_count(lab, COUNTER_promise_broken), 0);
}

CU_TestInfo core_rewrite_tests[] = {
	CHECK_TEST(test_spliced_client_sack_rewritten),
	CHECK_TEST(test_spliced_server_sack_untouched),
	CHECK_TEST(test_spliced_timestamps_rewritten),
	CHECK_TEST(test_spliced_window_same_scale_untouched),
	CHECK_TEST(test_spliced_window_converted_to_larger_scale),
	CHECK_TEST(test_spliced_window_converted_to_smaller_scale),
	CHECK_TEST(test_spliced_window_server_without_scale),
	CHECK_TEST(test_spliced_by_cookie_window_not_larger_than_offered),
	CHECK_TEST(test_spliced_by_cookie_syn_covers_offer),
	CHECK_TEST(test_spliced_missing_sack_stripped),
	CHECK_TEST(test_connecting_missing_timestamps_breaks_promise),
	CHECK_TEST(test_connecting_claimed_timestamps_forget_nothing),
	CHECK_TEST(test_connecting_lower_mss_is_one_clients),
	CHECK_TEST(test_connecting_higher_mss_keeps_promise),
	CU_TEST_INFO_NULL,
};
