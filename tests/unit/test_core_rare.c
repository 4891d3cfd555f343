/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens seldom: full tables of servers and passes, other tags, a server that comes back,
 * one that is waited for long, a service that goes while a handshake is on. */
#include "backend.h"
#include "core_lab.h"

/* The same addresses and ports with other VLAN tags are another flow. */
LAB_TEST(test_rare_other_tags_are_another_flow)
{
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	const struct lab_variant *same = lab->variant;
	struct lab_variant elsewhere = *same;
	elsewhere.n_tags = (same->n_tags + 1) % 3;
	lab->variant = &elsewhere;
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 2, .payload_len = 3);
	CHECK(lab_grew(lab, COUNTER_spliced) == 0);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1);
	OUTCOME_IS(answered_rst);
	lab->variant = same;
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 3);
	OUTCOME_IS(spliced);
}

/* It was taken for down while this one still waited: its answer takes it up again. */
LAB_TEST_ONCE(test_rare_server_comes_back)
{
	lab_start(lab);
	lab_teach(lab);
	lab_open_of(lab, 9, 9);
	for (unsigned int i = 0; i < 3; i++) {
		lab_open_of(lab, i, 1 + i);
		SERVER(TCP_RST | TCP_ACK, 0, 1001 + i, .client_port = (uint16_t)(1000 + i),
		       .client = 1 + i);
	}
	EQUAL(lab_count(lab, COUNTER_backend_down), 1);
	lab_syn_of(lab, 20, 20);
	OUTCOME_IS(answered_rst);
	SERVER(TCP_SYN | TCP_ACK, 7, 1010, .client_port = 1009, .client = 9, .options = OPTION_MSS,
	       .mss = lab->server_mss);
	EQUAL(lab_count(lab, COUNTER_backend_up), 1);
	lab_syn_of(lab, 21, 21);
	OUTCOME_IS(answered_syn_state);
}

/* Every SYN to a server that answers none: after 1, 2, 4, 8, 16 and always 32 s, until the end. */
LAB_TEST_ONCE(test_rare_long_wait_for_a_server)
{
	unsigned int n = 0, gap = 0;

	lab->policy.timeouts.connecting = 130;
	lab_start(lab);
	lab_teach(lab);
	lab_open_of(lab, 1, 1);
	for (unsigned int ms = 0; ms < 130000; ms += 50) {
		lab_tick(lab, 50);
		gap += 50;
		for (unsigned int i = 0; i < lab->n_out; i++) {
			if (lab->out[i].side != SIDE_INSIDE)
				continue;
			CHECK(gap >= 950 && gap <= 32100);
			gap = 0;
			n++;
		}
	}
	EQUAL(n, 8);
	lab_tick(lab, 100);
	EQUAL(lab_count(lab, COUNTER_server_silent), 1);
	EQUAL(core_remaining(lab->core), 0);
}

/* More servers than there is room for: who has not been used for longest is forgotten. */
LAB_TEST_ONCE(test_rare_servers_forgotten)
{
	lab->params.backends = 4;
	lab->ports[0] = (struct port_range){ 1000, 1099 };
	lab_start(lab);
	for (unsigned int i = 0; i < 6; i++) {
		CLIENT(TCP_SYN, 1, 0, .server_port = (uint16_t)(1000 + i), .options = OPTION_MSS,
		       .mss = 1400);
		OUTCOME_IS(passed_syn);
		SERVER(TCP_SYN | TCP_ACK, 1, 2, .server_port = (uint16_t)(1000 + i),
		       .options = OPTION_MSS, .mss = 1400);
		EQUAL(lab_grew(lab, COUNTER_learned), 1);
		lab_tick(lab, 2000);
	}
	EQUAL(lab_count(lab, COUNTER_backend_forgotten), 2);
	/* The first is learned anew, the last is known. */
	CLIENT(TCP_SYN, 1, 0, .server_port = 1000, .client_port = 7);
	OUTCOME_IS(passed_syn);
	CLIENT(TCP_SYN, 1, 0, .server_port = 1005, .client_port = 7);
	OUTCOME_IS(answered_syn_state);
}

/* Refusing by letting pass has a cap, since each one is followed. */
LAB_TEST_ONCE(test_rare_denied_pass_capped)
{
	struct frame_spec f = lab->variant->is_v6 ? frame_spec_v6() : frame_spec_v4();
	struct prefix prefix = { .len = lab->variant->is_v6 ? 48 : 120 };
	unsigned int n = 0;

	prefix.addr = ip_addr_mask(&f.src, prefix.len);
	lab->services[0].denied = REFUSE_PASS;
	lab->services[0].deny = &prefix;
	lab->services[0].n_deny = 1;
	lab->params.connections = 1024;
	lab->params.sources = 4096;
	lab_start(lab);
	for (unsigned int i = 0; i < 300; i++) {
		CLIENT(TCP_SYN, i, 0, .client_port = (uint16_t)(1000 + i));
		n += lab->n_out;
		EQUAL(lab_grew(lab, COUNTER_passed_closed) + lab_grew(lab, COUNTER_drop_denied), 1);
	}
	EQUAL(n, 100); /* a tenth of a second's */
	lab_tick(lab, 50);
	for (unsigned int i = 0; i < 300; i++) {
		CLIENT(TCP_SYN, i, 0, .client_port = (uint16_t)(2000 + i));
		n += lab->n_out;
	}
	EQUAL(n, 150);
}

/* Its service is gone: no SYN-ACK goes out for it any more, and it ends. */
LAB_TEST_ONCE(test_rare_half_open_of_a_removed_service)
{
	static struct policy after;
	uint32_t a, b;

	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	after = lab->policy;
	after.generation++;
	after.services++;
	after.n_services--;
	CHECK(policy_compile(&after, &a, &b) == NULL);
	core_set_policy(lab->core, &after);
	EQUAL(lab_tick(lab, 1100), 0);
	EQUAL(core_usage(lab->core).half_open, 0);
	EQUAL(core_usage(lab->core).paths, 0);
	EQUAL(lab_count(lab, COUNTER_half_open_expired), 1);
	core_set_policy(lab->core, &lab->policy);
	policy_free_index(&after);
}

/* A SYN that passed counts as half-open until its server has refused it. */
LAB_TEST_ONCE(test_rare_passed_half_open_counts)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	lab_start(lab);
	lab_syn_of(lab, 1, 1);
	OUTCOME_IS(passed_syn);
	EQUAL(core_service_view(lab->core, 0).half_open, 1);
	/* Its server refuses: it is over, and counts no more. */
	SERVER(TCP_RST | TCP_ACK, 0, 1002, .client_port = 1001, .client = 1);
	OUTCOME_IS(passed_tracked);
	EQUAL(lab_grew(lab, COUNTER_refused_by_server), 1);
	EQUAL(core_service_view(lab->core, 0).half_open, 0);
	EQUAL(core_usage(lab->core).connections, 0);
	/* Three networks were refused: the server is down. */
	for (unsigned int i = 2; i < 4; i++) {
		lab_syn_of(lab, i, i);
		SERVER(TCP_RST | TCP_ACK, 0, 1001 + i, .client_port = (uint16_t)(1000 + i),
		       .client = i);
	}
	EQUAL(lab_count(lab, COUNTER_backend_down), 1);
}

/* Without an inside port nothing is passed, and nothing followed. */
LAB_TEST_ONCE(test_rare_no_inside)
{
	lab->params.has_inside = false;
	lab->policy.timeouts.adopt = 60;
	lab_start(lab);
	lab_syn(lab);
	CHECK(lab_grew(lab, COUNTER_passed_syn) == 0);
	EQUAL(core_usage(lab->core).connections, 0);
	CLIENT(TCP_ACK, 5, 6, .server_port = LAB_CLOSED);
	OUTCOME_IS(drop_no_inside);
}

/* Without a cap anybody's connection may be a candidate. */
LAB_TEST_ONCE(test_rare_adopt_per_net)
{
	for (unsigned int cap = 0; cap < 4; cap += 3) {
		unsigned int n = 0;
		lab->policy.timeouts.adopt = 60;
		lab->policy.adopt_per_net = cap;
		if (cap == 0)
			lab_start(lab);
		for (uint16_t i = 0; i < 6; i++) {
			CLIENT(TCP_ACK, 5, 6, .client_port = (uint16_t)(5000 + 10 * cap + i),
			       .client = cap);
			n += (unsigned int)lab_grew(lab, COUNTER_passed_adopted);
		}
		EQUAL(n, cap == 0 ? 6 : 2);
	}
}

/* A host's own SYN may have any ISS, the last one too: its RST is no server's refusal. */
LAB_TEST_ONCE(test_rare_outbound_at_the_end_of_numbers)
{
	lab_start(lab);
	SERVER(TCP_SYN, UINT32_MAX, 0);
	OUTCOME_IS(passed_syn);
	SERVER(TCP_RST | TCP_ACK, 0, 0);
	OUTCOME_IS(passed_tracked);
	EQUAL(lab_count(lab, COUNTER_refused_by_server), 0);
}

/* Looking from outside: at no connection, and at one whose time is over but not its entry. */
LAB_TEST_ONCE(test_rare_view)
{
	struct instant now;
	struct connection_view view;

	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
	uint32_t bound = core_connection_bound(lab->core);
	now = (struct instant){ lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
	CHECK(!core_connection_view(lab->core, bound, &now, &view));
	CHECK(core_connection_view(lab->core, bound - 1, &now, &view));
	EQUAL(view.state, CONN_SPLICED);
	EQUAL(view.expires_s, lab->policy.timeouts.idle);
	now.now_ms += (lab->policy.timeouts.idle - 1) * 1000ull;
	CHECK(core_connection_view(lab->core, bound - 1, &now, &view));
	EQUAL(view.expires_s, 1);
	now.now_ms += 5000;
	CHECK(core_connection_view(lab->core, bound - 1, &now, &view));
	EQUAL(view.expires_s, 0);
	EQUAL(be16toh(view.flow.client_port_be), lab->client_port);
	EQUAL(view.service, 0);
}

/* Of many that wait for their server a tick looks at so many, and at the rest in the next. */
LAB_TEST_ONCE(test_rare_silent_servers_per_tick)
{
	const unsigned int n = 1100, most = 1024;

	lab->params.half_open = lab->params.connections = lab->params.held = 2048;
	lab->params.sources = 8192;
	lab->policy.timeouts.connecting = 10;
	lab->services[0].high = 4096;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < n; i++)
		lab_open_of(lab, i, i % 100);
	/* All of their clients are gone, so that nothing is sent. */
	for (unsigned int i = 0; i < n; i++)
		CLIENT(TCP_RST, 1001 + i, 0, .client_port = (uint16_t)(1000 + i),
		       .client = i % 100);
	EQUAL(lab_count(lab, COUNTER_client_gone), n);
	lab_tick(lab, 9950);
	EQUAL(lab_grew(lab, COUNTER_server_silent), 0);
	lab_tick(lab, 50);
	EQUAL(lab_grew(lab, COUNTER_server_silent), most);
	lab_tick(lab, 50);
	EQUAL(lab_grew(lab, COUNTER_server_silent), n - most);
}

/* Servers that nobody can be put among: the SYN is answered by what is safe for any. */
LAB_TEST_ONCE(test_rare_no_room_for_a_server)
{
	lab->params.backends = 4;
	lab->ports[0] = (struct port_range){ 1000, 1099 };
	lab->params.held = 16;
	lab->services[1].mode = MODE_PROXY;
	lab->services[1].calm = CALM_TRANSPARENT;
	lab_start(lab);
	for (unsigned int i = 0; i < 4; i++) {
		uint16_t port = (uint16_t)(1000 + i);
		CLIENT(TCP_SYN, 1, 0, .server_port = port, .options = OPTION_MSS, .mss = 1400);
		SERVER(TCP_SYN | TCP_ACK, 1, 2, .server_port = port, .options = OPTION_MSS,
		       .mss = 1400);
		CLIENT(TCP_SYN, 5, 0, .server_port = port, .client_port = 7);
		CLIENT(TCP_ACK, 6, NTH(SIDE_OUTSIDE, 0)->seg.seq + 1, .server_port = port,
		       .client_port = 7);
		OUTCOME_IS(taken_proof);
	}
	/* Each is waited for: none gives way. */
	CLIENT(TCP_SYN, 1, 0, .server_port = 1050, .client_port = 8, .options = OPTION_MSS,
	       .mss = 1400);
	OUTCOME_IS(answered_syn_state);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.mss, lab->variant->is_v6 ? 1220 : 536);
	CLIENT(TCP_ACK, 2, NTH(SIDE_OUTSIDE, 0)->seg.seq + 1, .server_port = 1050,
	       .client_port = 8);
	OUTCOME_IS(taken_proof);
	SERVER(TCP_SYN | TCP_ACK, 50, 2, .server_port = 1050, .client_port = 8,
	       .options = OPTION_MSS, .mss = 1400);
	OUTCOME_IS(taken_handshake);
	EQUAL(lab_count(lab, COUNTER_connected), 1);
	/* What passes passes, and teaches nobody. */
	for (uint16_t i = 0; i < 2; i++) {
		CLIENT(TCP_SYN, 1, 0, .server_port = LAB_RESPOND,
		       .client_port = (uint16_t)(11 + i));
		OUTCOME_IS(passed_syn);
		SERVER(i == 0 ? TCP_SYN | TCP_ACK : TCP_RST | TCP_ACK, 50, 2,
		       .server_port = LAB_RESPOND, .client_port = (uint16_t)(11 + i));
		OUTCOME_IS(passed_tracked);
		EQUAL(lab_grew(lab, COUNTER_learned), 0);
	}
	/* Not even what it lacks. */
	CLIENT(TCP_SYN, 1, 0, .server_port = LAB_RESPOND, .client_port = 13, .options = LAB_ALL,
	       .mss = 1400, .wscale = 3, .tsval = 5);
	SERVER(TCP_SYN | TCP_ACK, 50, 2, .server_port = LAB_RESPOND, .client_port = 13);
	CLIENT(TCP_ACK, 2, 51, .server_port = LAB_RESPOND, .client_port = 13);
	OUTCOME_IS(passed_tracked);
	EQUAL(lab_count(lab, COUNTER_refused_by_server), 1);
	/* And one that refuses, and one that is silent. */
	for (uint16_t i = 0; i < 2; i++) {
		CLIENT(TCP_SYN, 1, 0, .server_port = 1060, .client_port = (uint16_t)(9 + i));
		CLIENT(TCP_ACK, 2, NTH(SIDE_OUTSIDE, 0)->seg.seq + 1, .server_port = 1060,
		       .client_port = (uint16_t)(9 + i));
		if (i == 0)
			SERVER(TCP_RST | TCP_ACK, 0, 2, .server_port = 1060, .client_port = 9);
	}
	lab_tick(lab, 1000 * (lab->policy.timeouts.connecting + 1));
	EQUAL(lab_count(lab, COUNTER_refused_by_server), 2);
	EQUAL(lab_count(lab, COUNTER_backend_down), 0);
	EQUAL(core_remaining(lab->core), 1);
}

/* An idle time that is shorter than the wait for a server is none of one that waits. */
LAB_TEST_ONCE(test_rare_short_idle_while_connecting)
{
	lab->policy.timeouts.idle = 3;
	lab_start(lab);
	lab_teach(lab);
	lab_open_of(lab, 1, 1);
	lab_tick(lab, 1000 * (lab->policy.timeouts.connecting - 1));
	EQUAL(core_remaining(lab->core), 1);
	EQUAL(lab_count(lab, COUNTER_expired), 0);
	lab_tick(lab, 2000);
	EQUAL(lab_count(lab, COUNTER_server_silent), 1);
	EQUAL(core_remaining(lab->core), 0);
}

/* Refused by letting pass, with no room to follow it: not passed either. */
LAB_TEST_ONCE(test_rare_denied_pass_without_room)
{
	struct frame_spec f = lab->variant->is_v6 ? frame_spec_v6() : frame_spec_v4();
	struct prefix prefix = { .len = lab->variant->is_v6 ? 48 : 120 };

	prefix.addr = ip_addr_mask(&f.src, prefix.len);
	lab->services[0].denied = REFUSE_PASS;
	lab->services[0].deny = &prefix;
	lab->services[0].n_deny = 1;
	lab->params.connections = 1;
	lab_start(lab);
	lab_syn_of(lab, 1, 0);
	OUTCOME_IS(passed_closed);
	lab_syn_of(lab, 2, 0);
	OUTCOME_IS(drop_denied);
	EQUAL(lab_grew(lab, COUNTER_table_full), 1);
}

/* A cookie is out: within the second there is something to do. */
LAB_TEST_ONCE(test_rare_next_of_a_cookie)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
	lab_tick(lab, 5000);
	struct instant now = { lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
	CHECK(core_next_ms(lab->core, &now) > lab->now_ms + 1000);
	lab_syn_of(lab, 1, 1);
	OUTCOME_IS(answered_syn_cookie);
	CHECK(core_next_ms(lab->core, &now) <= lab->now_ms + 1000);
}

/* A client that echoes something else: it is its own timestamps that suffer. */
LAB_TEST(test_rare_proof_with_another_echo)
{
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .tsecr = 1);
	OUTCOME_IS(taken_proof);
	EQUAL(ONLY(SIDE_INSIDE)->seg.flags, TCP_SYN);
}

/* More was held than is kept count of: nothing of it is acknowledged, so no RST is surely exact. */
LAB_TEST_ONCE(test_rare_much_held)
{
	lab->params.hold_bytes = lab->policy.hold_bytes = 65535;
	lab->params.held = 32;
	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	for (uint32_t sent = 0; sent < 17000; sent += 1000)
		CLIENT(TCP_ACK, lab->irs + 1 + sent, lab->iss + 1, .payload_len = 1000);
	lab_server_syn_ack(lab, &syn);
	EQUAL(lab_state(lab), CONN_SPLICED);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	OUTCOME_IS(spliced);
	EQUAL(lab_state(lab), CONN_SPLICED);
}

/* An option that counts as absent is asked for again after a while. */
LAB_TEST_ONCE(test_rare_absent_option_asked_again)
{
	lab_start(lab);
	for (unsigned int i = 0; i < 3; i++)
		lab_teach_from(lab, 1 + i, LAB_ALL, OPTION_MSS);
	for (unsigned int i = 0; i < 2; i++) {
		CLIENT(TCP_SYN, 9, 0, .client_port = (uint16_t)(7000 + i), .options = LAB_ALL,
		       .mss = 1400, .wscale = 3, .tsval = 5);
		CHECK(lab_grew(lab, i == 0 ? COUNTER_answered_syn_state : COUNTER_passed_syn) == 1);
		lab_tick(lab, 1000 * (BACKEND_ASK_AGAIN_S + 1));
	}
}

/* What is waited for and late already: seen as such, and due at once. */
LAB_TEST_ONCE(test_rare_view_of_what_is_late)
{
	struct connection_view view;

	lab_start(lab);
	lab_teach(lab);
	lab_connecting(lab);
	struct instant now = { lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
	CHECK(core_next_ms(lab->core, &now) > now.now_ms);
	now.now_ms += 1000ull * lab->policy.timeouts.connecting + 5000;
	CHECK(core_connection_view(lab->core, core_connection_bound(lab->core) - 1, &now, &view));
	EQUAL(view.state, CONN_CONNECTING);
	EQUAL(view.expires_s, 0);
	EQUAL(core_next_ms(lab->core, &now), now.now_ms);
	/* So is an entry whose idle time is over. */
	lab_server_syn_ack(lab, ONLY(SIDE_INSIDE));
	now.now_ms = lab->now_ms + 1000ull * lab->policy.timeouts.idle + 5000;
	EQUAL(core_next_ms(lab->core, &now), now.now_ms);
}

/* Of those whose time is over a tick ends so many. */
LAB_TEST_ONCE(test_rare_expired_per_tick)
{
	const unsigned int n = 300, most = 256;

	lab->services[0].calm = CALM_TRANSPARENT;
	lab->services[0].high = 4096;
	lab->params.connections = 1024;
	lab->params.sources = 4096;
	lab_start(lab);
	for (unsigned int i = 0; i < n; i++)
		lab_syn_of(lab, i, i % 100);
	EQUAL(core_usage(lab->core).connections, n);
	for (unsigned int i = 0; i < 400 && core_usage(lab->core).connections == n; i++)
		lab_tick(lab, 50);
	EQUAL(core_usage(lab->core).connections, n - most);
	lab_tick(lab, 50);
	EQUAL(core_usage(lab->core).connections, 0);
}

CU_TestInfo core_rare_tests[] = {
	CHECK_TEST(test_rare_other_tags_are_another_flow),
	CHECK_TEST(test_rare_server_comes_back),
	CHECK_TEST(test_rare_long_wait_for_a_server),
	CHECK_TEST(test_rare_servers_forgotten),
	CHECK_TEST(test_rare_denied_pass_capped),
	CHECK_TEST(test_rare_half_open_of_a_removed_service),
	CHECK_TEST(test_rare_passed_half_open_counts),
	CHECK_TEST(test_rare_no_inside),
	CHECK_TEST(test_rare_adopt_per_net),
	CHECK_TEST(test_rare_outbound_at_the_end_of_numbers),
	CHECK_TEST(test_rare_view),
	CHECK_TEST(test_rare_expired_per_tick),
	CHECK_TEST(test_rare_much_held),
	CHECK_TEST(test_rare_absent_option_asked_again),
	CHECK_TEST(test_rare_view_of_what_is_late),
	CHECK_TEST(test_rare_short_idle_while_connecting),
	CHECK_TEST(test_rare_denied_pass_without_room),
	CHECK_TEST(test_rare_next_of_a_cookie),
	CHECK_TEST(test_rare_proof_with_another_echo),
	CHECK_TEST(test_rare_silent_servers_per_tick),
	CHECK_TEST(test_rare_no_room_for_a_server),
	CU_TEST_INFO_NULL,
};
