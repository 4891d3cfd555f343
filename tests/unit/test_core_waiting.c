/* SPDX-License-Identifier: BSD-3-Clause */
/* A proven client that is waited for (wait_for_data) or that waits for its server. */
#include "core_lab.h"

LAB_TEST(test_waiting_opens_at_first_byte)
{
	lab->services[0].wait_for_data = true;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1), 0);
	EQUAL(lab_tick(lab, 3000), 0);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 50);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	EQUAL(syn.seg.flags, TCP_SYN);
	EQUAL(syn.seg.seq, lab->irs);
	lab_server_syn_ack(lab, &syn);
	bool found = false;
	for (unsigned int i = 0; i < lab->n_out; i++)
		found |= lab->out[i].side == SIDE_INSIDE &&
		         lab_payload_is(&lab->out[i], lab->irs + 1, 50);
	CHECK(found);
}

/* The client waits without an entry; its second segment overtakes its first. */
LAB_TEST(test_waiting_second_segment_first)
{
	lab->services[0].wait_for_data = true;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1), 0);
	EQUAL(CLIENT(TCP_ACK | TCP_PSH, lab->irs + 51, lab->iss + 1, .payload_len = 50), 0);
	EQUAL(lab_count(lab, COUNTER_drop_unproven_data), 1);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 50);
	EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_SYN);
}

/* Its data is lost, and its SYN-ACK comes twice: what it answers then stands behind that data. */
LAB_TEST(test_waiting_syn_ack_twice)
{
	lab->services[0].wait_for_data = true;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1), 0);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 51, lab->iss + 1), 0);
	OUTCOME_IS(drop_unproven_ack);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 50);
	EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_SYN);
}

/* <SEQ=ISS+1><ACK=IRS+1> with the window of the SYN-ACK; nothing has been opened. */
static void
check_probe_answered(struct lab *lab, uint32_t tsval, uint32_t tsecr)
{
	const struct segment *seg = &ONLY(SIDE_OUTSIDE)->seg;
	unsigned int shift = lab->engine_wscale == WSCALE_NONE ? 0 : lab->engine_wscale;

	OUTCOME_IS(answered_ack);
	EQUAL(lab_grew(lab, COUNTER_challenge_sent), 1);
	EQUAL(seg->flags, TCP_ACK);
	EQUAL(seg->seq, lab->iss + 1);
	EQUAL(seg->ack, lab->irs + 1);
	EQUAL(seg->payload_len, 0);
	EQUAL(seg->window, LAB_HOLD_BYTES >> shift);
	EQUAL(seg->options, lab->timestamps ? OPTION_TIMESTAMPS : 0);
	if (lab->timestamps) {
		EQUAL(seg->tsval, tsval);
		EQUAL(seg->tsecr, tsecr);
	}
}

/* Keep-alives of a client that waits, with and without a byte of garbage: each is answered,
 * none opens the server, and what the cookie says of the client is still there when its
 * first byte comes. */
LAB_TEST(test_waiting_keep_alive_answered, "LISTEN.OUTSIDE.ACK", "LISTEN.OUTSIDE.DATA",
         "SYN_RECEIVED.OUTSIDE.DATA")
{
	for (unsigned int by_cookie = 0; by_cookie < 2; by_cookie++) {
		if (by_cookie == 0) {
			lab->services[0].wait_for_data = true;
			lab_start(lab);
			lab_teach(lab);
		}
		lab->client_port++;
		lab_syn_ack(lab);
		uint32_t ts_sent = lab->ts_seen[SIDE_OUTSIDE];
		if (by_cookie)
			EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1), 0);
		for (unsigned int i = 0; i < 6; i++) {
			lab_tick(lab, 400);
			CLIENT(TCP_ACK, lab->irs, lab->iss + 1, .tsval = 1000 + i,
			       .payload_len = (i + 1) & 1);
			check_probe_answered(lab, ts_sent, 1000 + i);
			EQUAL(core_remaining(lab->core), by_cookie);
			EQUAL(core_usage(lab->core).half_open, 0);
		}
		CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 1);
		OUTCOME_IS(taken_proof);
		const struct segment *syn = &ONLY(SIDE_INSIDE)->seg;
		EQUAL(!!(syn->options & OPTION_TIMESTAMPS), lab->timestamps);
		if (lab->timestamps) {
			EQUAL(syn->mss, lab->server_mss);
			EQUAL(syn->wscale,
			      lab->client_wscale == WSCALE_NONE ? 0 : lab->client_wscale);
		}
	}
}

/* Under the cap on challenge ACKs; one at SEQ-2 is no keep-alive and proves nothing. */
LAB_TEST(test_waiting_keep_alive_capped)
{
	unsigned int n = 0;

	lab->services[0].wait_for_data = true;
	lab->policy.reflection.challenge_per_s = 4;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1), 0);
	for (unsigned int i = 0; i < 40; i++)
		n += CLIENT(TCP_ACK, lab->irs, lab->iss + 1);
	CHECK(n >= 4 && n <= 8);
	EQUAL(lab_count(lab, COUNTER_drop_challenge_cap), 40 - n);
	EQUAL(CLIENT(TCP_ACK, lab->irs - 1, lab->iss + 1), 0);
	OUTCOME_IS(drop_unproven_ack);
	/* Data behind SEQ-1 is no probe either. */
	CLIENT(TCP_ACK, lab->irs, lab->iss + 1, .payload_len = 2);
	OUTCOME_IS(drop_unproven_data);
	EQUAL(core_remaining(lab->core), 0);
}

/* While its server is asked a client's keep-alive is answered too; its byte is not held. */
LAB_TEST(test_waiting_for_server_keep_alive_answered, "CONNECTING.OUTSIDE.ACK",
         "CONNECTING.OUTSIDE.DATA")
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	for (size_t byte = 0; byte < 2; byte++) {
		uint32_t tsval = lab->ts_clock[SIDE_OUTSIDE] + 5;
		CLIENT(TCP_ACK, lab->irs, lab->iss + 1, .tsval = tsval, .payload_len = byte);
		check_probe_answered(lab, lab->ts_seen[SIDE_OUTSIDE], tsval);
	}
	lab_server_syn_ack(lab, &syn);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.payload_len, 0);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.seq, lab->irs + 1);
}

LAB_TEST(test_waiting_gives_up)
{
	lab->services[0].wait_for_data = true;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	EQUAL(CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1), 0);
	lab_tick(lab, 100000);
	EQUAL(core_remaining(lab->core), 0);
	EQUAL(core_usage(lab->core).held, 0);
}

CU_TestInfo core_waiting_tests[] = {
	CHECK_TEST(test_waiting_opens_at_first_byte),
	CHECK_TEST(test_waiting_second_segment_first),
	CHECK_TEST(test_waiting_syn_ack_twice),
	CHECK_TEST(test_waiting_keep_alive_answered),
	CHECK_TEST(test_waiting_keep_alive_capped),
	CHECK_TEST(test_waiting_for_server_keep_alive_answered),
	CHECK_TEST(test_waiting_gives_up),
	CU_TEST_INFO_NULL,
};
