/* SPDX-License-Identifier: BSD-3-Clause */
/* SPENT: gone, remembered until its cookie has died. */
#include "core_lab.h"

static void
start(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	lab_spend(lab);
}

LAB_TEST(test_spent_same_cookie_reset, "SPENT.OUTSIDE.ACK", "SPENT.OUTSIDE.DATA")
{
	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(answered_rst);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_RST);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, lab->iss + 1);
	EQUAL(lab_grew(lab, COUNTER_spent_replayed), 1);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 100);
	OUTCOME_IS(answered_rst);
	CLIENT(TCP_ACK, lab->irs, lab->iss + 1);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

LAB_TEST(test_spent_newer_syn_opens, "SPENT.OUTSIDE.SYN")
{
	start(lab);
	lab->irs += 70000;
	lab->timestamps = false;
	lab_syn_ack(lab);
	OUTCOME_IS(answered_syn_cookie);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.seq, lab->irs);
	EQUAL(lab_count(lab, COUNTER_opened), 2);
}

/* A late copy of the SYN that opened it: its cookie is the one that is spent. */
LAB_TEST(test_spent_same_syn_opens_nothing, "SPENT.OUTSIDE.SYN")
{
	start(lab);
	lab->timestamps = false;
	lab_syn(lab);
	for (unsigned int i = 0; i < lab->n_out; i++)
		EQUAL(lab->out[i].side, SIDE_OUTSIDE);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

/* One connection more of the same ports, from its SYN to the server's refusal. */
static void
open_and_refuse(struct lab *lab, uint32_t irs)
{
	lab->irs = irs;
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.seq, irs);
	SERVER(TCP_RST | TCP_ACK, 0, irs + 1);
	EQUAL(lab_state(lab), CONN_SPENT);
}

/* A late copy of a SYN and of the ACK that followed it: what it has opened stays over. */
static void
replay_opens_nothing(struct lab *lab, uint32_t irs, uint32_t iss)
{
	uint64_t opened = lab_count(lab, COUNTER_opened);

	CLIENT(TCP_ACK, irs + 1, iss + 1);
	OUTCOME_IS(answered_rst);
	CLIENT(TCP_SYN, irs, 0);
	OUTCOME_IS(answered_syn_cookie);
	CLIENT(TCP_ACK | TCP_PSH, irs + 1, iss + 1, .payload_len = 10);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_grew(lab, COUNTER_spent_replayed), 1);
	EQUAL(lab_count(lab, COUNTER_opened), opened);
}

LAB_TEST(test_spent_before_newer_one_opens_nothing)
{
	lab_start(lab);
	lab_teach(lab);
	uint32_t irs = lab->irs;
	open_and_refuse(lab, irs);
	uint32_t iss = lab->iss;
	open_and_refuse(lab, irs + 0x200000);
	replay_opens_nothing(lab, irs, iss);
	open_and_refuse(lab, irs + 0x200001);
	replay_opens_nothing(lab, irs, iss);
}

LAB_TEST(test_spent_before_older_one_opens_nothing)
{
	static const uint32_t steps[] = { 500, 0x200000, 0x70000000 };

	lab_start(lab);
	lab_teach(lab);
	uint32_t irs = lab->irs;
	for (unsigned int i = 0; i < 3; i++) {
		lab->client_port++;
		open_and_refuse(lab, irs);
		uint32_t iss = lab->iss;
		open_and_refuse(lab, irs - steps[i]);
		replay_opens_nothing(lab, irs, iss);
		/* Beyond both. */
		open_and_refuse(lab, irs + 0x200000);
		replay_opens_nothing(lab, irs, iss);
	}
}

/* Whose ISS falls and falls gets its turn as long as what has opened is known, and then when
 * the cookies have died. */
LAB_TEST(test_spent_third_older_one_opens_the_fourth_waits)
{
	lab_start(lab);
	lab_teach(lab);
	uint32_t irs = lab->irs;
	for (unsigned int i = 0; i < 3; i++)
		open_and_refuse(lab, irs - i * 0x200000);
	lab->irs = irs - 3 * 0x200000;
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 3);
	lab_tick(lab, 1000 * (COOKIE_LIFE_MAX_S + 2));
	open_and_refuse(lab, irs - 3 * 0x200000);
}

/* Any number of them, one shortly behind the other, if the ISS grows. */
LAB_TEST(test_spent_growing_iss_always_opens)
{
	lab_start(lab);
	lab_teach(lab);
	uint32_t irs = lab->irs, iss = 0;
	for (unsigned int i = 0; i < 40; i++) {
		open_and_refuse(lab, irs + (i < 20 ? i : (i - 19) * 0x4000000));
		if (i == 0)
			iss = lab->iss;
		lab_tick(lab, 100);
	}
	replay_opens_nothing(lab, irs, iss);
}

/* What a live connection kept where an entry that is over keeps the ISS of the last SYN, the
 * server's clock, lets no ISS of the same number in. */
LAB_TEST(test_spent_clock_of_server_is_no_syn)
{
	lab_start(lab);
	lab_teach(lab);
	uint32_t irs = lab->irs, older = irs - 0x200000;
	lab->irs = older;
	lab_syn_ack(lab);
	uint32_t iss = lab->iss;
	lab->irs = irs;
	lab_connecting(lab);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, irs + 1, .options = lab->server_options,
	       .mss = lab->server_mss, .wscale = lab->server_wscale, .tsval = older);
	EQUAL(lab_state(lab), CONN_SPLICED);
	CLIENT(TCP_RST, irs + 1, 0);
	EQUAL(lab_state(lab), CONN_CLOSING);
	CLIENT(TCP_ACK, older + 1, iss + 1);
	OUTCOME_IS(answered_rst);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	EQUAL(lab_state(lab), CONN_SPENT);
	CLIENT(TCP_ACK, older + 1, iss + 1);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

/* Up to the end of its life, whatever the epoch. */
LAB_TEST(test_spent_replayed_all_its_life)
{
	start(lab);
	for (unsigned int s = 0; s < 2 * COOKIE_LIFE_MAX_S; s++) {
		lab_tick(lab, 1000);
		CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 10);
		EQUAL(lab_count(lab, COUNTER_opened), 1);
	}
}

/* A refused connection's cookie does not open again either. */
LAB_TEST(test_spent_after_refusal_reset)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	SERVER(TCP_RST | TCP_ACK, 0, lab->irs + 1);
	EQUAL(lab_state(lab), CONN_SPENT);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

LAB_TEST(test_spent_after_close_reset)
{
	lab_start(lab);
	lab_teach(lab);
	lab_close(lab);
	lab_tick(lab, 1000 * (lab->policy.timeouts.closing + 2));
	EQUAL(lab_state(lab), CONN_SPENT);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

LAB_TEST(test_spent_after_silence_reset)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	lab_tick(lab, 1000 * (lab->policy.timeouts.connecting + 8));
	EQUAL(lab_state(lab), CONN_SPENT);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

LAB_TEST(test_spent_stray_segments_dropped, "SPENT.OUTSIDE.SYN_ACK", "SPENT.OUTSIDE.RST",
         "SPENT.INSIDE.RST")
{
	start(lab);
	EQUAL(CLIENT(TCP_SYN | TCP_ACK, lab->irs + 1, lab->iss + 1), 0);
	OUTCOME_IS(drop_stray_syn_ack);
	EQUAL(CLIENT(TCP_RST, lab->irs + 1, 0), 0);
	OUTCOME_IS(drop_stray_rst);
	EQUAL(SERVER(TCP_RST, lab->server_iss + 1, 0), 0);
	OUTCOME_IS(drop_stray_rst);
	EQUAL(lab_state(lab), CONN_SPENT);
}

LAB_TEST(test_spent_inside_segments_reset, "SPENT.INSIDE.SYN_ACK", "SPENT.INSIDE.ACK",
         "SPENT.INSIDE.DATA")
{
	static const uint8_t flags[] = { TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK | TCP_FIN };

	start(lab);
	for (unsigned int i = 0; i < 3; i++) {
		SERVER(flags[i], lab->server_iss + 1, 4321);
		OUTCOME_IS(answered_rst);
		EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_RST);
		EQUAL(ONLY(SIDE_INSIDE)->seg.seq, 4321);
	}
}

/* It would forget the cookie: the host sends it again when that has died. */
LAB_TEST(test_spent_inside_syn_waits, "SPENT.INSIDE.SYN")
{
	start(lab);
	EQUAL(SERVER(TCP_SYN, 4, 0), 0);
	OUTCOME_IS(drop_stray);
	lab_tick(lab, 1000 * (COOKIE_LIFE_MAX_S + 2));
	SERVER(TCP_SYN, 4, 0);
	EQUAL(ONLY(SIDE_OUTSIDE)->kind, ACTION_FORWARD);
	EQUAL(lab_state(lab), CONN_TRACKED);
}

/* A protected host's own connection takes the ports of a spent one: the cookie
 * still opens nothing. */
LAB_TEST(test_spent_inside_syn_does_not_revive_cookie)
{
	start(lab);
	SERVER(TCP_SYN, 4, 0);
	SERVER(TCP_RST, 5, 0);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 12));
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	EQUAL(lab_count(lab, COUNTER_opened), 1);
}

CU_TestInfo core_spent_tests[] = {
	CHECK_TEST(test_spent_same_cookie_reset),
	CHECK_TEST(test_spent_newer_syn_opens),
	CHECK_TEST(test_spent_same_syn_opens_nothing),
	CHECK_TEST(test_spent_before_newer_one_opens_nothing),
	CHECK_TEST(test_spent_before_older_one_opens_nothing),
	CHECK_TEST(test_spent_third_older_one_opens_the_fourth_waits),
	CHECK_TEST(test_spent_growing_iss_always_opens),
	CHECK_TEST(test_spent_clock_of_server_is_no_syn),
	CHECK_TEST(test_spent_replayed_all_its_life),
	CHECK_TEST(test_spent_after_refusal_reset),
	CHECK_TEST(test_spent_after_close_reset),
	CHECK_TEST(test_spent_after_silence_reset),
	CHECK_TEST(test_spent_stray_segments_dropped),
	CHECK_TEST(test_spent_inside_segments_reset),
	CHECK_TEST(test_spent_inside_syn_waits),
	CHECK_TEST(test_spent_inside_syn_does_not_revive_cookie),
	CU_TEST_INFO_NULL,
};
