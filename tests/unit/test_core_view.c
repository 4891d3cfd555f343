/* SPDX-License-Identifier: BSD-3-Clause */
/* What a core says of the time to come: the seconds that a listing shows of a connection are
 * those after which its state ends, and before the next time that it names nothing happens,
 * if nothing comes. */
#include "core_lab.h"

/* `state` is shown to end in `expires_s`, and does. */
static void
foretold(struct lab *lab, enum conn_state state, uint32_t expires_s)
{
	struct connection_view view = lab_view(lab);

	EQUAL(view.state, state);
	EQUAL(view.expires_s, expires_s);
	lab_tick(lab, expires_s * 1000ull - 1050);
	view = lab_view(lab);
	EQUAL(view.state, state);
	CHECK(view.expires_s == 1 || view.expires_s == 2);
	lab_tick(lab, 2100);
	CHECK(lab_view(lab).state != state);
}

static void
connecting(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
}

LAB_TEST(test_view_connecting_until_server_is_given_up, "CONNECTING.INSIDE.TIMER")
{
	connecting(lab);
	foretold(lab, CONN_CONNECTING, lab->policy.timeouts.connecting);
	EQUAL(lab_count(lab, COUNTER_server_silent), 1);
}

LAB_TEST(test_view_connecting_data_does_not_prolong, "CONNECTING.OUTSIDE.DATA")
{
	connecting(lab);
	lab_tick(lab, 4000);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 10);
	OUTCOME_IS(taken_held);
	foretold(lab, CONN_CONNECTING, lab->policy.timeouts.connecting - 4);
}

LAB_TEST(test_view_connecting_client_gone_until_server_is_given_up, "CONNECTING.OUTSIDE.RST")
{
	connecting(lab);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	foretold(lab, CONN_CONNECTING, lab->policy.timeouts.connecting);
}

/* The SYN that is due next is the next look: 3 s after the first, then 7 s. */
LAB_TEST(test_view_connecting_shortened_by_reload_until_next_syn, "CONNECTING.INSIDE.TIMER")
{
	connecting(lab);
	lab_tick(lab, 4000);
	lab->policy.timeouts.connecting = 2;
	core_set_policy(lab->core, &lab->policy);
	foretold(lab, CONN_CONNECTING, 3);
}

/* It has answered the first of two SYNs: it is joined at once, or a moment later. */
LAB_TEST(test_view_connecting_answered_until_joined)
{
	lab->services[0].repeat_syn = true;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);
	lab->ts_seen[SIDE_INSIDE] = syn.seg.tsval;
	lab_server_syn_ack(lab, &syn);
	struct instant now = { .now_ms = lab->now_ms, .wall_ms = lab->wall_ms };
	uint64_t left_ms = core_next_ms(lab->core, &now) - lab->now_ms;
	CHECK(left_ms > 1 && left_ms < 100);
	EQUAL(lab_view(lab).state, CONN_CONNECTING);
	EQUAL(lab_view(lab).expires_s, 1);
	lab_tick(lab, left_ms - 1);
	EQUAL(lab_view(lab).state, CONN_CONNECTING);
	lab_tick(lab, 1);
	EQUAL(lab_view(lab).state, CONN_SPLICED);
}

LAB_TEST(test_view_tracked_unanswered_then_idle, "TRACKED.OUTSIDE.ACK")
{
	lab_start(lab);
	lab_syn(lab);
	EQUAL(lab_view(lab).expires_s, 10);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1);
	EQUAL(lab_view(lab).expires_s, 10);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1);
	foretold(lab, CONN_TRACKED, lab->policy.timeouts.idle);
}

LAB_TEST(test_view_tracked_unconfirmed, "TRACKED.INSIDE.TIMER")
{
	lab_start(lab);
	lab_syn(lab);
	foretold(lab, CONN_TRACKED, 10);
}

LAB_TEST(test_view_spliced_idle, "SPLICED.INSIDE.TIMER")
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	foretold(lab, CONN_SPLICED, lab->policy.timeouts.idle);
	EQUAL(lab_count(lab, COUNTER_expired), 1);
}

LAB_TEST(test_view_spliced_half_closed, "SPLICED.OUTSIDE.DATA")
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 2);
	foretold(lab, CONN_SPLICED, lab->policy.timeouts.half_closed);
}

LAB_TEST(test_view_closing_by_fins_then_spent, "CLOSING.INSIDE.TIMER")
{
	lab_start(lab);
	lab_teach(lab);
	uint64_t born_s = lab->now_ms / 1000;
	lab_close(lab);
	foretold(lab, CONN_CLOSING, lab->policy.timeouts.closing);
	/* Until its cookie has died for certain. */
	foretold(lab, CONN_SPENT, (uint32_t)(born_s + COOKIE_LIFE_MAX_S + 1 - lab->now_ms / 1000));
}

LAB_TEST(test_view_closing_by_rst, "SPLICED.OUTSIDE.RST")
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	foretold(lab, CONN_CLOSING, lab->policy.timeouts.reset_linger);
}

LAB_TEST(test_view_responding_idle)
{
	lab->server_port = LAB_RESPOND;
	lab_start(lab);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	foretold(lab, CONN_RESPONDING, lab->policy.timeouts.idle);
}

LAB_TEST(test_view_responding_closing, "RESPONDING.OUTSIDE.DATA")
{
	lab->server_port = LAB_RESPOND;
	lab_start(lab);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1);
	foretold(lab, CONN_RESPONDING, lab->policy.timeouts.closing);
}

/* Until the last entry is gone: before the time that is foretold a tick does nothing. */
static void
quiet_until_foretold(struct lab *lab)
{
	unsigned int n = 0;

	for (; n < 100; n++) {
		struct instant now = { .now_ms = lab->now_ms, .wall_ms = lab->wall_ms };
		uint64_t left = core_next_ms(lab->core, &now) - lab->now_ms;

		if (left == CORE_QUIET_MAX_MS)
			break;
		if (left > 1) {
			EQUAL(lab_tick(lab, left - 1), 0);
			CHECK(memcmp(core_counters(lab->core), &lab->before, sizeof(lab->before)) ==
			      0);
		}
		lab_tick(lab, 1);
	}
	CHECK(n > 0 && n < 100);
	struct core_usage use = core_usage(lab->core);
	EQUAL(use.connections + use.half_open + use.held, 0);
}

LAB_TEST(test_next_half_open, "SYN_RECEIVED.OUTSIDE.TIMER")
{
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	quiet_until_foretold(lab);
	EQUAL(lab_count(lab, COUNTER_half_open_expired), 1);
}

LAB_TEST(test_next_connecting, "CONNECTING.INSIDE.TIMER")
{
	connecting(lab);
	quiet_until_foretold(lab);
	EQUAL(lab_count(lab, COUNTER_server_silent), 1);
}

LAB_TEST(test_next_spliced_and_spent, "SPLICED.INSIDE.TIMER")
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	lab_tick(lab, 1234);
	quiet_until_foretold(lab);
	EQUAL(lab_count(lab, COUNTER_expired), 1);
}

/* Its end is looked for once a second. */
LAB_TEST(test_next_cookie_mode)
{
	lab->services[0].high = 2;
	lab->services[0].low = 1;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 5; i++)
		lab_syn_of(lab, i, i);
	EQUAL(lab_count(lab, COUNTER_cookie_mode_entered), 1);
	quiet_until_foretold(lab);
	EQUAL(lab_count(lab, COUNTER_cookie_mode_left), 1);
}

LAB_TEST(test_next_due_is_now)
{
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	lab->now_ms += 100000;
	struct instant now = { .now_ms = lab->now_ms, .wall_ms = lab->wall_ms };
	EQUAL(core_next_ms(lab->core, &now), lab->now_ms);
	/* All that are due, in one tick or in several. */
	lab_tick(lab, 1000);
	quiet_until_foretold(lab);
}

CU_TestInfo core_view_tests[] = {
	CHECK_TEST(test_view_connecting_until_server_is_given_up),
	CHECK_TEST(test_view_connecting_data_does_not_prolong),
	CHECK_TEST(test_view_connecting_client_gone_until_server_is_given_up),
	CHECK_TEST(test_view_connecting_shortened_by_reload_until_next_syn),
	CHECK_TEST(test_view_connecting_answered_until_joined),
	CHECK_TEST(test_view_tracked_unanswered_then_idle),
	CHECK_TEST(test_view_tracked_unconfirmed),
	CHECK_TEST(test_view_spliced_idle),
	CHECK_TEST(test_view_spliced_half_closed),
	CHECK_TEST(test_view_closing_by_fins_then_spent),
	CHECK_TEST(test_view_closing_by_rst),
	CHECK_TEST(test_view_responding_idle),
	CHECK_TEST(test_view_responding_closing),
	CHECK_TEST(test_next_half_open),
	CHECK_TEST(test_next_connecting),
	CHECK_TEST(test_next_spliced_and_spent),
	CHECK_TEST(test_next_cookie_mode),
	CHECK_TEST(test_next_due_is_now),
	CU_TEST_INFO_NULL,
};
