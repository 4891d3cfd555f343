/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is said that a client's next segments would get is what they get, and saying it leaves no
 * trace: not a byte of the core is another one after it.
 */
#include "explain_lab.h"
#include "live_set.h"

LAB_TEST(test_explain_calm_handshake)
{
	lab_start(lab);
	lab_teach(lab);
	struct explained e = explained(lab);

	CHECK(!e.facts.has_entry && !e.facts.cookie_mode && e.facts.is_admitted);
	CHECK(e.facts.backend_known && !e.facts.backend_down);
	CHECK(explained_row_is(&e.answer.syn, "LISTEN.OUTSIDE.SYN"));
	CHECK(e.answer.syn.has_syn_ack && e.answer.proof.asks_server);
	CHECK(explained_row_is(&e.answer.proof, "SYN_RECEIVED.OUTSIDE.ACK"));
	EQUAL(e.answer.ack.outcome, COUNTER_answered_rst); /* it proves nothing */
	lab_syn_ack(lab);
	explained_came_true(lab, &e.answer.syn);
	e = explained(lab);
	CHECK(e.facts.is_half_open);
	EQUAL(e.facts.n_sent, 1);
	CHECK(explained_row_is(&e.answer.ack, "SYN_RECEIVED.OUTSIDE.ACK"));
	lab_tick(lab, 1500);
	EQUAL(explained(lab).facts.n_sent, 2);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	explained_came_true(lab, &e.answer.ack);
}

/* A server that is not known: the SYN passes. */
LAB_TEST(test_explain_unknown_server)
{
	lab_start(lab);
	struct explained e = explained(lab);

	CHECK(!e.facts.backend_known && !e.answer.syn.has_syn_ack && !e.answer.proof.is_asked);
	lab_syn(lab);
	explained_came_true(lab, &e.answer.syn);
	OUTCOME_IS(passed_syn);
}

LAB_TEST(test_explain_connection_on_its_way)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	struct explained e = explained(lab);

	CHECK(e.facts.has_entry && e.facts.state == CONN_CONNECTING);
	EQUAL(e.facts.n_sent, 1);
	CHECK(explained_row_is(&e.answer.ack, "CONNECTING.OUTSIDE.ACK"));
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	explained_came_true(lab, &e.answer.ack);
}

/* What its handshake with the server has got to is looked up where the trial has it, not where the
 * core does. */
LAB_TEST(test_explain_second_connection_on_its_way)
{
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	lab->client_port++;
	lab_connecting(lab);
	CLIENT(TCP_ACK | TCP_PSH, lab->irs + 1, lab->iss + 1, .payload_len = 8);
	struct explained e = explained(lab);

	CHECK(e.facts.has_entry && e.facts.state == CONN_CONNECTING);
	CHECK(explained_row_is(&e.answer.ack, "CONNECTING.OUTSIDE.ACK"));
	CLIENT(TCP_ACK, lab->irs + 9, lab->iss + 1);
	explained_came_true(lab, &e.answer.ack);
}

LAB_TEST(test_explain_splice)
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	struct explained e = explained(lab);

	CHECK(e.facts.has_entry && e.facts.state == CONN_SPLICED);
	CHECK(explained_row_is(&e.answer.ack, "SPLICED.OUTSIDE.ACK"));
	EQUAL(e.answer.ack.outcome, COUNTER_spliced);
	CHECK(explained_row_is(&e.answer.syn, "SPLICED.OUTSIDE.SYN"));
	EQUAL(e.answer.syn.outcome, COUNTER_answered_ack);
}

static void
deny(struct lab *lab, struct prefix *prefix, enum refusal how)
{
	const struct lab_seg spec = { .side = SIDE_OUTSIDE, .flags = TCP_SYN };
	struct segment seg = explained_flow(lab, &spec);

	*prefix = (struct prefix){ seg.flow.client, 128 };
	lab->services[0].deny = prefix;
	lab->services[0].n_deny = 1;
	lab->services[0].denied = (uint8_t)how;
}

/* Not the outcome alone says why: a RST is one whatever it is for. */
static void
denied(struct lab *lab, enum refusal how, enum counter outcome)
{
	struct prefix prefix;

	deny(lab, &prefix, how);
	lab_start(lab);
	lab_teach(lab);
	struct explained e = explained(lab);
	CHECK(!e.facts.is_admitted);
	EQUAL(e.answer.syn.outcome, outcome);
	EQUAL(e.answer.syn.note.reason, COUNTER_drop_denied);
	CHECK(!e.answer.proof.is_asked);
	lab_syn(lab);
	explained_came_true(lab, &e.answer.syn);
}

LAB_TEST(test_explain_denied_drop)
{
	denied(lab, REFUSE_DROP, COUNTER_drop_denied);
}

LAB_TEST(test_explain_denied_reset)
{
	denied(lab, REFUSE_RESET, COUNTER_answered_rst);
}

/* By a live list; an allow there goes before the deny of the service. */
LAB_TEST(test_explain_live_lists)
{
	const struct lab_seg spec = { .side = SIDE_OUTSIDE, .flags = TCP_SYN };
	struct live_set *set = live_set_new(1, 1);
	struct prefix prefix;

	deny(lab, &prefix, REFUSE_DROP);
	lab->services[0].n_deny = 0;
	lab_start(lab);
	lab_teach(lab);
	CHECK(live_set_put(set, &prefix, 0, LIVE_DENY));
	core_set_lists(lab->core, set);
	struct explained e = explained_of(lab, &spec);
	CHECK(!e.facts.is_admitted && !e.answer.proof.is_asked);
	EQUAL(e.answer.syn.outcome, COUNTER_drop_denied);
	lab_syn(lab);
	explained_came_true(lab, &e.answer.syn);

	lab->services[0].n_deny = 1;
	CHECK(live_set_put(set, &prefix, 0, LIVE_ALLOW));
	core_set_lists(lab->core, set);
	e = explained_of(lab, &spec);
	CHECK(e.facts.is_admitted);
	EQUAL(e.answer.syn.outcome, COUNTER_answered_syn_state);
	lab_syn(lab);
	explained_came_true(lab, &e.answer.syn);
	core_set_lists(lab->core, NULL);
	live_set_free(set);
}

/* In a flood: by cookie, whose proof opens; and what a source has is told. */
LAB_TEST_ONCE(test_explain_flood)
{
	lab->services[0].high = 8;
	lab->services[0].low = 3;
	lab->policy.sources.half_open_net = lab->policy.sources.syn_per_s_net = 1000;
	lab->policy.reflection.per_net_per_s = 1000;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 20; i++)
		lab_syn_of(lab, i, 1);
	struct explained e = explained(lab);

	CHECK(e.facts.cookie_mode);
	EQUAL(e.answer.syn.outcome, COUNTER_answered_syn_cookie);
	EQUAL(e.answer.proof.outcome, COUNTER_taken_proof);
	CHECK(e.answer.proof.asks_server);
	lab_syn_ack(lab);
	explained_came_true(lab, &e.answer.syn);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	explained_came_true(lab, &e.answer.proof);

	const struct lab_seg one = {
		.side = SIDE_OUTSIDE, .flags = TCP_SYN, .client_port = 1000, .client = 1
	};
	e = explained_of(lab, &one);
	CHECK(e.facts.is_half_open);
	EQUAL(e.facts.net.half_open, 8);
	CHECK(e.facts.net.syn_per_s >= 8 && e.facts.answers_per_s >= 20);
}

/* A cookie of another worker's may be out, up to the last millisecond of its life: data that proves
 * none may be that of its client. */
LAB_TEST(test_explain_cookies_of_another_worker)
{
	const struct lab_seg data = { .side = SIDE_OUTSIDE,
		                      .flags = TCP_ACK,
		                      .seq = 5000,
		                      .ack = 6000,
		                      .payload_len = 8,
		                      .no_timestamps = true };
	uint32_t *until_s = lab_share_cookies(lab);

	lab_start(lab);
	lab_teach(lab);
	until_s[lab->services[0].id] = (uint32_t)(lab->now_ms / 1000) + 2;
	lab_tick(lab, 1000ull * until_s[lab->services[0].id] - 1 - lab->now_ms);
	EQUAL(explained_outcome(lab, &data), COUNTER_drop_unproven_data);
	lab_in(lab, &data);
	OUTCOME_IS(drop_unproven_data);
	lab_tick(lab, 1);
	EQUAL(explained_outcome(lab, &data), COUNTER_answered_rst);
	lab_in(lab, &data);
	OUTCOME_IS(answered_rst);
}

/* A shield has let too much pass that is not known: the next ACK of a known flow passes, and that of
 * another does not. */
LAB_TEST(test_explain_shield)
{
	const struct lab_seg stranger = {
		.side = SIDE_OUTSIDE, .flags = TCP_SYN, .client_port = 2000, .no_timestamps = true
	};

	lab->services[2].unknown_per_s = 100;
	lab->server_port = LAB_HANDOFF;
	lab_start(lab);
	SERVER(TCP_ACK, 7000, 8000, .payload_len = 1);
	do
		CLIENT(TCP_ACK, 5000, 6000, .client_port = 3000, .options = OPTION_TIMESTAMPS,
		       .tsval = 1, .tsecr = 2);
	while (lab_grew(lab, COUNTER_passed_handoff));
	OUTCOME_IS(drop_unknown);
	struct explained e = explained(lab);
	CHECK(e.facts.is_known);
	EQUAL(e.answer.ack.outcome, COUNTER_passed_handoff);
	e = explained_of(lab, &stranger);
	CHECK(!e.facts.is_known);
	EQUAL(e.answer.ack.outcome, COUNTER_drop_unknown);
	CLIENT(TCP_ACK, 5000, 6000, .no_timestamps = true);
	OUTCOME_IS(passed_handoff);
}

/* The cap of its net is met: the first SYN that is not answered is foretold. */
LAB_TEST_ONCE(test_explain_reflection_cap)
{
	struct explained e;
	unsigned int i = 0;

	lab->policy.reflection.per_net_per_s = 10;
	lab_start(lab);
	lab_teach(lab);
	for (; i < 100; i++) {
		const struct lab_seg next = { .side = SIDE_OUTSIDE,
			                      .flags = TCP_SYN,
			                      .client_port = (uint16_t)(1000 + i),
			                      .client = 1 };
		e = explained_of(lab, &next);
		lab_syn_of(lab, i, 1);
		explained_came_true(lab, &e.answer.syn);
		if (e.answer.syn.outcome == COUNTER_drop_reflection)
			break;
	}
	CHECK(i >= 9 && i <= 10);
	EQUAL(e.facts.answers_per_s, 10);
}

/* The cap of the port is met: a quarter of it is for nets that have proven themselves. */
LAB_TEST_ONCE(test_explain_port_cap_of_proven_nets)
{
	const struct lab_seg proven = {
		.side = SIDE_OUTSIDE, .flags = TCP_SYN, .client_port = 2000, .client = 1
	};
	const struct lab_seg stranger = {
		.side = SIDE_OUTSIDE, .flags = TCP_SYN, .client_port = 2000, .client = 9
	};

	lab->policy.reflection.per_port_per_s = 40;
	lab_start(lab);
	lab_teach(lab);
	lab_open_of(lab, 0, 1);
	for (unsigned int i = 1; i < 60; i++)
		lab_syn_of(lab, i, 7);
	struct explained e = explained_of(lab, &stranger);
	EQUAL(e.answer.syn.outcome, COUNTER_drop_reflection);
	lab_in(lab, &stranger);
	explained_came_true(lab, &e.answer.syn);
	e = explained_of(lab, &proven);
	CHECK(e.answer.syn.has_syn_ack);
	lab_in(lab, &proven);
	explained_came_true(lab, &e.answer.syn);
}

/* Proven, and over a limit: the proof gets a RST, and the reason is the limit. */
LAB_TEST_ONCE(test_explain_limit)
{
	lab->services[0].max_connections = 1;
	lab_start(lab);
	lab_teach(lab);
	lab_open_of(lab, 1, 3);
	struct explained e = explained(lab);

	CHECK(e.answer.syn.has_syn_ack);
	EQUAL(e.answer.proof.outcome, COUNTER_answered_rst);
	EQUAL(e.answer.proof.note.reason, COUNTER_limit_service_connections);
	CHECK(!e.answer.proof.asks_server);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	explained_came_true(lab, &e.answer.proof);
	EQUAL(lab_grew(lab, COUNTER_limit_service_connections), 1);
}

/* All entries are taken: said, and the answer is by cookie. */
LAB_TEST_ONCE(test_explain_full)
{
	lab->params.half_open = 8;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 8; i++)
		lab_syn_of(lab, i, i);
	struct explained e = explained(lab);

	CHECK(e.facts.is_full);
	EQUAL(e.answer.syn.outcome, COUNTER_answered_syn_cookie);
	EQUAL(e.answer.syn.note.reason, COUNTER_half_open_full);
	/* One of those that have one. */
	const struct lab_seg one = {
		.side = SIDE_OUTSIDE, .flags = TCP_SYN, .client_port = 1003, .client = 3
	};
	e = explained_of(lab, &one);
	CHECK(e.facts.is_half_open && explained_row_is(&e.answer.ack, "SYN_RECEIVED.OUTSIDE.ACK"));
	EQUAL(e.answer.ack.outcome, COUNTER_taken_proof);
	lab_syn(lab);
	OUTCOME_IS(answered_syn_cookie);
}

LAB_TEST_ONCE(test_explain_closed_port)
{
	lab->server_port = LAB_CLOSED;
	lab_start(lab);
	EQUAL(explained(lab).facts.service, SERVICE_CLOSED);
}

/* Flows of one client, of all services, found in steps. */
LAB_TEST(test_explain_flows)
{
	struct explain_flow flows[4];
	uint64_t at = 0;
	uint32_t n = 0, n_steps = 0;

	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	CLIENT(TCP_SYN, 7, 0, .client_port = 4242, .options = OPTION_MSS, .mss = 1000,
	       .no_timestamps = true);
	lab_syn_of(lab, 5, 9); /* of somebody else */
	const struct lab_seg spec = { .side = SIDE_OUTSIDE,
		                      .flags = TCP_SYN,
		                      .no_timestamps = true };
	struct segment seg = explained_flow(lab, &spec);
	do {
		n += explain_flows(lab->core, &seg.flow.client, &at, 1, flows + n, 4 - n);
		n_steps++;
	} while (at != 0);
	EQUAL(n, 2);
	CHECK(n_steps > 2);
	CHECK(!flows[0].is_half_open && flows[0].state == CONN_SPLICED);
	CHECK(flows[1].is_half_open && be16toh(flows[1].flow.client_port_be) == 4242);
	EQUAL(flows[1].tags, seg.tags);
	/* No more than there is room for, and it goes on from there. */
	at = 0;
	EQUAL(explain_flows(lab->core, &seg.flow.client, &at, 1000, flows, 1), 1);
	CHECK(at != 0 && !flows[0].is_half_open);
	EQUAL(explain_flows(lab->core, &seg.flow.client, &at, 1000, flows, 1), 1);
	CHECK(flows[0].is_half_open);
	/* Given back: not shown any more. */
	lab_tick(lab, 60000);
	at = 0;
	n = explain_flows(lab->core, &seg.flow.client, &at, 1000, flows, 4);
	EQUAL(n, 1);
}

CU_TestInfo core_explain_tests[] = {
	CHECK_TEST(test_explain_calm_handshake),
	CHECK_TEST(test_explain_unknown_server),
	CHECK_TEST(test_explain_connection_on_its_way),
	CHECK_TEST(test_explain_second_connection_on_its_way),
	CHECK_TEST(test_explain_splice),
	CHECK_TEST(test_explain_denied_drop),
	CHECK_TEST(test_explain_denied_reset),
	CHECK_TEST(test_explain_live_lists),
	CHECK_TEST(test_explain_flood),
	CHECK_TEST(test_explain_cookies_of_another_worker),
	CHECK_TEST(test_explain_shield),
	CHECK_TEST(test_explain_reflection_cap),
	CHECK_TEST(test_explain_port_cap_of_proven_nets),
	CHECK_TEST(test_explain_limit),
	CHECK_TEST(test_explain_full),
	CHECK_TEST(test_explain_closed_port),
	CHECK_TEST(test_explain_flows),
	CU_TEST_INFO_NULL,
};
