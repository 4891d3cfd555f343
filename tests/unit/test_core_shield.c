/* SPDX-License-Identifier: BSD-3-Clause */
/* The shield of mode handoff: who passes first where not all may. */
#include "core_lab.h"

#define SERVICE 2    /* LAB_HANDOFF */
#define RATE 100u    /* the bucket holds 10 */
#define UNKNOWN 5u   /* of these, without timestamps */
#define PLAUSIBLE 5u /* ... and the reserve */

static void
start(struct lab *lab)
{
	lab->services[SERVICE].unknown_per_s = RATE;
	lab->server_port = LAB_HANDOFF;
	lab_start(lab);
}

static void
stranger(struct lab *lab, unsigned int i, bool has_timestamps)
{
	CLIENT(TCP_ACK, 5000 + i, 6000 + i, .client_port = (uint16_t)(2000 + i),
	       .options = has_timestamps ? OPTION_TIMESTAMPS : 0, .tsval = 1 + i, .tsecr = 2 + i);
}

/* Nothing more of what is unknown passes. */
static void
exhaust(struct lab *lab)
{
	for (unsigned int i = 0; i < UNKNOWN + PLAUSIBLE + 1; i++)
		stranger(lab, 100 + i, true);
	OUTCOME_IS(drop_unknown);
}

static void
check_passes(struct lab *lab)
{
	OUTCOME_IS(passed_handoff);
	EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
}

LAB_TEST(test_shield_unknown_pass_up_to_the_rate)
{
	start(lab);
	for (unsigned int i = 0; i < UNKNOWN; i++) {
		stranger(lab, i, false);
		check_passes(lab);
	}
	stranger(lab, UNKNOWN, false);
	OUTCOME_IS(drop_unknown);
	/* A tenth of a second fills it. */
	lab_tick(lab, 100);
	for (unsigned int i = 0; i < UNKNOWN; i++) {
		stranger(lab, i, false);
		check_passes(lab);
	}
	stranger(lab, UNKNOWN, false);
	OUTCOME_IS(drop_unknown);
}

/* Below the rate nothing is lost. */
LAB_TEST_ONCE(test_shield_below_the_rate_all_pass)
{
	start(lab);
	for (unsigned int i = 0; i < 10 * RATE; i++) {
		stranger(lab, i, false);
		check_passes(lab);
		lab_tick(lab, 1000 / RATE);
	}
}

LAB_TEST(test_shield_timestamps_before_those_without)
{
	start(lab);
	for (unsigned int i = 0; i < UNKNOWN; i++)
		stranger(lab, i, false);
	for (unsigned int i = 0; i < PLAUSIBLE; i++) {
		stranger(lab, 50 + i, false);
		OUTCOME_IS(drop_unknown);
		stranger(lab, 60 + i, true);
		check_passes(lab);
	}
	stranger(lab, 70, true);
	OUTCOME_IS(drop_unknown);
}

/* An echo of nothing is no echo, and who answers a SYN has not been spoken to. */
LAB_TEST_ONCE(test_shield_timestamps_that_say_nothing_are_unknown)
{
	start(lab);
	for (unsigned int i = 0; i < UNKNOWN; i++)
		stranger(lab, i, false);
	CLIENT(TCP_ACK, 5000, 6000, .client_port = 3000, .options = OPTION_TIMESTAMPS, .tsval = 9);
	OUTCOME_IS(drop_unknown);
	CLIENT(TCP_SYN | TCP_ACK, 5000, 6000, .client_port = 3000, .options = OPTION_TIMESTAMPS,
	       .tsval = 9, .tsecr = 8);
	OUTCOME_IS(drop_unknown);
	stranger(lab, 70, true);
	check_passes(lab);
}

LAB_TEST(test_shield_proof_passes_and_makes_known, "HANDOFF.OUTSIDE.ACK")
{
	start(lab);
	lab_syn_ack(lab);
	exhaust(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .no_timestamps = true);
	check_passes(lab);
	/* What proves nothing by itself, of the same flow. */
	CLIENT(TCP_ACK, lab->irs + 9001, lab->iss + 7001, .payload_len = 5, .no_timestamps = true);
	check_passes(lab);
	CLIENT(TCP_RST, lab->irs + 9006, 0);
	check_passes(lab);
	/* ... and of another. */
	CLIENT(TCP_ACK, lab->irs + 9001, lab->iss + 7001, .client_port = 3999);
	OUTCOME_IS(drop_unknown);
}

/* The first data proves as the ACK does, and so does a probe one below. */
LAB_TEST_ONCE(test_shield_data_and_probe_prove)
{
	start(lab);
	lab_syn_ack(lab);
	exhaust(lab);
	CLIENT(TCP_ACK, lab->irs, lab->iss + 1, .payload_len = 1, .no_timestamps = true);
	check_passes(lab);
}

LAB_TEST_ONCE(test_shield_data_behind_proof_in_one_burst_passes)
{
	start(lab);
	lab_syn_ack(lab);
	exhaust(lab);
	const struct lab_seg burst[] = {
		{ .side = SIDE_OUTSIDE,
		  .flags = TCP_ACK,
		  .seq = lab->irs + 1,
		  .ack = lab->iss + 1,
		  .payload_len = 9 },
		{ .side = SIDE_OUTSIDE,
		  .flags = TCP_ACK,
		  .seq = lab->irs + 10,
		  .ack = lab->iss + 1,
		  .payload_len = 9,
		  .no_timestamps = true },
	};
	lab_in_burst(lab, burst, 2);
	EQUAL(lab_grew(lab, COUNTER_passed_handoff), 2);
}

/* Data of a server makes its flow known; a RST does not. */
LAB_TEST(test_shield_data_of_the_server_makes_known, "HANDOFF.INSIDE.DATA", "HANDOFF.INSIDE.RST")
{
	start(lab);
	exhaust(lab);
	SERVER(TCP_RST, 900, 0);
	OUTCOME_IS(passed_handoff);
	CLIENT(TCP_ACK, 700, 900);
	OUTCOME_IS(drop_unknown);
	SERVER(TCP_ACK, 900, 700, .payload_len = 5);
	OUTCOME_IS(passed_handoff);
	CLIENT(TCP_ACK, 700, 9999);
	check_passes(lab);
}

/* What a server has answered to a SYN that anybody may have sent: nothing passes but what
 * acknowledges it, and that makes the flow known. */
LAB_TEST(test_shield_syn_ack_of_the_server_is_not_enough, "HANDOFF.INSIDE.SYN_ACK")
{
	start(lab);
	exhaust(lab);
	SERVER(TCP_SYN | TCP_ACK, 900, 700);
	OUTCOME_IS(passed_handoff);
	for (uint32_t ack = 0; ack < 2000; ack++) {
		if (ack - 900 <= 1)
			continue;
		CLIENT(TCP_ACK, 700, ack, .payload_len = ack & 1);
		OUTCOME_IS(drop_unknown);
	}
	CLIENT(TCP_RST, 700, 0);
	OUTCOME_IS(drop_unknown);
	/* Of another client, it acknowledges nothing. */
	CLIENT(TCP_ACK, 700, 901, .client_port = 3999);
	OUTCOME_IS(drop_unknown);
	CLIENT(TCP_ACK, 700, 901, .no_timestamps = true);
	check_passes(lab);
	CLIENT(TCP_ACK, 700, 9999, .payload_len = 5, .no_timestamps = true);
	check_passes(lab);
}

/* Where the ACK was lost, the first data says the same. */
LAB_TEST_ONCE(test_shield_data_acknowledges_the_syn_ack)
{
	start(lab);
	exhaust(lab);
	SERVER(TCP_SYN | TCP_ACK, 900, 700);
	CLIENT(TCP_ACK, 710, 901, .payload_len = 5, .no_timestamps = true);
	check_passes(lab);
}

/* Nor is the ACK enough by which a server answers what is outside of its window: who has forged a
 * SYN may forge that, too. */
LAB_TEST(test_shield_ack_of_the_server_is_not_enough, "HANDOFF.INSIDE.ACK")
{
	start(lab);
	exhaust(lab);
	SERVER(TCP_SYN | TCP_ACK, 900, 700);
	SERVER(TCP_ACK, 901, 700);
	OUTCOME_IS(passed_handoff);
	CLIENT(TCP_ACK, 700, 5000);
	OUTCOME_IS(drop_unknown);
	CLIENT(TCP_ACK, 700, 901, .payload_len = 5, .no_timestamps = true);
	check_passes(lab);
}

/* An ACK is enough for who sends a file, and a keep-alive, one below, for who answers it. */
LAB_TEST_ONCE(test_shield_who_acknowledges_an_ack_passes)
{
	start(lab);
	exhaust(lab);
	for (unsigned int i = 0; i < 2; i++) {
		SERVER(TCP_ACK, 5000 - i, 700, .client_port = (uint16_t)(3000 + i));
		CLIENT(TCP_ACK, 700, 5002, .client_port = (uint16_t)(3000 + i));
		OUTCOME_IS(drop_unknown);
		CLIENT(TCP_ACK, 700, 5000, .client_port = (uint16_t)(3000 + i),
		       .no_timestamps = true);
		check_passes(lab);
		/* Known by then, it stays so by any word of its server. */
		SERVER(TCP_ACK, 7000, 700, .client_port = (uint16_t)(3000 + i));
		CLIENT(TCP_ACK, 700, 9999, .client_port = (uint16_t)(3000 + i),
		       .no_timestamps = true);
		check_passes(lab);
	}
}

/* A server that itself connects: the SYN-ACK acknowledges its SYN. */
LAB_TEST(test_shield_answer_to_the_server_passes, "HANDOFF.INSIDE.SYN", "HANDOFF.OUTSIDE.SYN_ACK")
{
	start(lab);
	exhaust(lab);
	SERVER(TCP_SYN, 900, 0);
	CLIENT(TCP_SYN | TCP_ACK, 700, 5000);
	OUTCOME_IS(drop_unknown);
	CLIENT(TCP_SYN | TCP_ACK, 700, 901);
	check_passes(lab);
	CLIENT(TCP_ACK, 701, 9999, .payload_len = 5, .no_timestamps = true);
	check_passes(lab);
}

/* The flow takes the place of its expectation. */
LAB_TEST_ONCE(test_shield_a_connection_takes_one_word)
{
	start(lab);
	SERVER(TCP_SYN | TCP_ACK, 900, 700);
	EQUAL(known_used(&lab->known), 1);
	CLIENT(TCP_ACK, 700, 901);
	EQUAL(known_used(&lab->known), 1);
	SERVER(TCP_ACK, 901, 700, .payload_len = 5);
	EQUAL(known_used(&lab->known), 1);
}

/* SYN-ACK, ACK and data in one burst, as a worker with both ports may have them. */
LAB_TEST_ONCE(test_shield_ack_behind_the_syn_ack_in_one_burst_passes)
{
	start(lab);
	exhaust(lab);
	const struct lab_seg burst[] = {
		{ .side = SIDE_INSIDE, .flags = TCP_SYN | TCP_ACK, .seq = 900, .ack = 700 },
		{ .side = SIDE_OUTSIDE,
		  .flags = TCP_ACK,
		  .seq = 700,
		  .ack = 901,
		  .no_timestamps = true },
		{ .side = SIDE_OUTSIDE,
		  .flags = TCP_ACK,
		  .seq = 700,
		  .ack = 9999,
		  .payload_len = 9,
		  .no_timestamps = true },
	};
	lab_in_burst(lab, burst, 3);
	EQUAL(lab_grew(lab, COUNTER_passed_handoff), 3);
}

/* SYNs have their own limits. */
LAB_TEST_ONCE(test_shield_syn_is_answered)
{
	start(lab);
	exhaust(lab);
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_cookie);
}

LAB_TEST_ONCE(test_shield_off_all_pass)
{
	lab->services[SERVICE].unknown_per_s = 0;
	lab->server_port = LAB_HANDOFF;
	lab_start(lab);
	for (unsigned int i = 0; i < 100; i++) {
		stranger(lab, i, false);
		check_passes(lab);
	}
	EQUAL(lab_count(lab, COUNTER_cookies_checked), 0);
	EQUAL(known_used(&lab->known), 0);
}

static void
check_knows(struct lab *lab, uint32_t irs, uint32_t iss)
{
	exhaust(lab);
	CLIENT(TCP_ACK, irs + 9001, iss + 7001, .payload_len = 5);
	check_passes(lab);
}

/* Workers have one cache: the proof may come by one and the rest by another. */
LAB_TEST_ONCE(test_shield_what_one_worker_knows_all_know)
{
	struct lab *other = lab_beside(lab);

	start(lab);
	other->params.known = &lab->known;
	start(other);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	check_knows(other, lab->irs, lab->iss);
	lab_leave(other);
}

/* Of two that get segments each lets half of it pass; a third that gets none does not count. */
LAB_TEST_ONCE(test_shield_rate_is_divided_by_those_that_receive)
{
	lab->params.n_workers = 3;
	lab->params.n_receivers = 2;
	lab->services[SERVICE].unknown_per_s = 4 * RATE;
	lab->server_port = LAB_HANDOFF;
	lab_start(lab);
	for (unsigned int i = 0; i < 2 * UNKNOWN; i++) {
		stranger(lab, i, false);
		check_passes(lab);
	}
	stranger(lab, 20, false);
	OUTCOME_IS(drop_unknown);
}

/* A first fragment that nothing speaks for shares the rate, and its later ones go its way. */
LAB_TEST_ONCE(test_shield_fragments_share_the_rate)
{
	struct lab_seg s = { .side = SIDE_OUTSIDE,
		             .flags = TCP_ACK,
		             .seq = 1,
		             .ack = 2,
		             .payload_len = 236,
		             .client_port = 3000 };
	uint8_t options[64], payload[FRAME_SIZE], v6[8] = { 6, 0, 0, 1, 0, 0, 0, 7 };
	uint8_t frame[FRAME_SIZE];

	start(lab);
	struct frame_spec f = lab_frame(lab, &s, options, payload);
	if (lab->variant->is_v6) {
		f.ip_options = v6;
		f.ip_options_len = sizeof(v6);
		f.ip_first = 44;
	} else {
		f.ip_id = 7;
		f.ip_fragment = 0x2000;
	}
	size_t len = frame_build(frame, &f);
	lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false);
	OUTCOME_IS(passed_fragment);
	exhaust(lab);
	lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false);
	OUTCOME_IS(drop_unknown);
	SERVER(TCP_ACK, 2, 1, .client_port = 3000);
	lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false);
	OUTCOME_IS(passed_fragment);
}

CU_TestInfo core_shield_tests[] = {
	CHECK_TEST(test_shield_unknown_pass_up_to_the_rate),
	CHECK_TEST(test_shield_below_the_rate_all_pass),
	CHECK_TEST(test_shield_timestamps_before_those_without),
	CHECK_TEST(test_shield_timestamps_that_say_nothing_are_unknown),
	CHECK_TEST(test_shield_proof_passes_and_makes_known),
	CHECK_TEST(test_shield_data_and_probe_prove),
	CHECK_TEST(test_shield_data_behind_proof_in_one_burst_passes),
	CHECK_TEST(test_shield_data_of_the_server_makes_known),
	CHECK_TEST(test_shield_syn_ack_of_the_server_is_not_enough),
	CHECK_TEST(test_shield_data_acknowledges_the_syn_ack),
	CHECK_TEST(test_shield_ack_of_the_server_is_not_enough),
	CHECK_TEST(test_shield_who_acknowledges_an_ack_passes),
	CHECK_TEST(test_shield_answer_to_the_server_passes),
	CHECK_TEST(test_shield_a_connection_takes_one_word),
	CHECK_TEST(test_shield_ack_behind_the_syn_ack_in_one_burst_passes),
	CHECK_TEST(test_shield_syn_is_answered),
	CHECK_TEST(test_shield_off_all_pass),
	CHECK_TEST(test_shield_what_one_worker_knows_all_know),
	CHECK_TEST(test_shield_rate_is_divided_by_those_that_receive),
	CHECK_TEST(test_shield_fragments_share_the_rate),
	CU_TEST_INFO_NULL,
};
