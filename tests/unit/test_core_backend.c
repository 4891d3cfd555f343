/* SPDX-License-Identifier: BSD-3-Clause */
/* What is learned of servers, and servers that are down. */
#include "backend.h"
#include "core_lab.h"

static uint32_t
open_of(struct lab *lab, uint16_t port, uint32_t client)
{
	CLIENT(TCP_SYN, 1000, 0, .client_port = port, .client = client);
	uint32_t iss = NTH(SIDE_OUTSIDE, 0)->seg.seq;
	CHECK(NTH(SIDE_OUTSIDE, 0)->seg.flags == (TCP_SYN | TCP_ACK));
	CLIENT(TCP_ACK, 1001, iss + 1, .client_port = port, .client = client);
	OUTCOME_IS(taken_proof);
	return iss;
}

static void
refuse(struct lab *lab, uint16_t port, uint32_t client)
{
	open_of(lab, port, client);
	SERVER(TCP_RST | TCP_ACK, 0, 1001, .client_port = port, .client = client);
	EQUAL(lab_grew(lab, COUNTER_refused_by_server), 1);
}

static bool
is_down(struct lab *lab)
{
	return lab_count(lab, COUNTER_backend_down) > lab_count(lab, COUNTER_backend_up);
}

/* How many are listed as down, and that these are the lab's server. */
static unsigned int
n_down(struct lab *lab)
{
	struct backend_view view;
	unsigned int n = 0;

	for (uint32_t i = 0; i < core_backend_bound(lab->core); i++) {
		if (!core_down_backend(lab->core, i, &view))
			continue;
		EQUAL(view.port_be, __builtin_bswap16(lab->server_port));
		n++;
	}
	return n;
}

/* While it is down a SYN gets what a closed port would give. */
LAB_TEST(test_backend_down_after_three_nets)
{
	lab_start(lab);
	lab_teach(lab);
	for (uint16_t i = 0; i < 3; i++) {
		CHECK(!is_down(lab));
		EQUAL(n_down(lab), 0);
		refuse(lab, (uint16_t)(1000 + i), 1 + i);
	}
	CHECK(is_down(lab));
	EQUAL(n_down(lab), 1);
	CLIENT(TCP_SYN, 50, 0, .client_port = 2000);
	OUTCOME_IS(answered_rst);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_RST | TCP_ACK);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.seq, 0);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.ack, 51);
}

LAB_TEST_ONCE(test_backend_down_drops_where_closed_ports_do)
{
	lab->policy.closed_port = REFUSE_DROP;
	lab_start(lab);
	lab_teach(lab);
	for (uint16_t i = 0; i < 3; i++)
		refuse(lab, (uint16_t)(1000 + i), 1 + i);
	EQUAL(CLIENT(TCP_SYN, 50, 0, .client_port = 2000), 0);
	OUTCOME_IS(drop_backend_down);
}

/* A server that bans one source is not down. */
LAB_TEST_ONCE(test_backend_not_down_by_one_net)
{
	lab_start(lab);
	lab_teach(lab);
	for (uint16_t i = 0; i < 10; i++)
		refuse(lab, (uint16_t)(1000 + i), 1);
	CHECK(!is_down(lab));
	refuse(lab, 1100, 2);
	CHECK(!is_down(lab));
}

LAB_TEST_ONCE(test_backend_success_between_resets_votes)
{
	lab_start(lab);
	lab_teach(lab);
	refuse(lab, 1000, 1);
	refuse(lab, 1001, 2);
	lab_splice(lab);
	refuse(lab, 1002, 3);
	refuse(lab, 1003, 4);
	CHECK(!is_down(lab));
	refuse(lab, 1004, 5);
	CHECK(is_down(lab));
}

LAB_TEST_ONCE(test_backend_down_by_silence)
{
	lab_start(lab);
	lab_teach(lab);
	for (uint16_t i = 0; i < 3; i++)
		open_of(lab, (uint16_t)(1000 + i), 1 + i);
	lab_tick(lab, 1000 * (lab->policy.timeouts.connecting + 2));
	EQUAL(lab_count(lab, COUNTER_server_silent), 3);
	CHECK(is_down(lab));
}

static void
take_down(struct lab *lab)
{
	lab_start(lab);
	lab_teach(lab);
	for (uint16_t i = 0; i < 3; i++)
		refuse(lab, (uint16_t)(1000 + i), 1 + i);
	CHECK(is_down(lab));
	lab_tick(lab, 1000 * (lab->policy.timeouts.probe + 1));
}

/* One client each probe interval; the first success takes it up again. */
LAB_TEST_ONCE(test_backend_probe_recovers)
{
	unsigned int n_tried = 0;
	uint16_t probe = 0;

	take_down(lab);
	for (uint16_t port = 2000; port < 2010; port++) {
		CLIENT(TCP_SYN, 1000, 0, .client_port = port);
		EQUAL(lab->n_out, 1);
		struct lab_out out = lab->out[0];
		if (out.side == SIDE_OUTSIDE && (out.seg.flags & TCP_SYN))
			CLIENT(TCP_ACK, 1001, out.seg.seq + 1, .client_port = port);
		if (lab->n_out != 1 || lab->out[0].side != SIDE_INSIDE)
			continue;
		n_tried++;
		probe = port;
	}
	EQUAL(n_tried, 1);
	SERVER(TCP_SYN | TCP_ACK, 7, 1001, .client_port = probe, .options = OPTION_MSS,
	       .mss = lab->server_mss);
	CHECK(!is_down(lab));
	EQUAL(lab_count(lab, COUNTER_backend_up), 1);
	lab_splice(lab);
}

LAB_TEST_ONCE(test_backend_probe_refused_stays_down)
{
	take_down(lab);
	for (unsigned int n = 0; n < 3; n++) {
		CLIENT(TCP_SYN, 1000, 0, .client_port = 2000);
		EQUAL(lab->n_out, 1);
		if (lab->out[0].side == SIDE_OUTSIDE) {
			uint32_t iss = lab->out[0].seg.seq;
			CHECK(lab->out[0].seg.flags == (TCP_SYN | TCP_ACK));
			CLIENT(TCP_ACK, 1001, iss + 1, .client_port = 2000);
		}
		SERVER(TCP_RST | TCP_ACK, 0, 1001, .client_port = 2000);
		CHECK(NTH(SIDE_OUTSIDE, 0)->seg.flags & TCP_RST);
		CHECK(is_down(lab));
		CLIENT(TCP_SYN, 1000, 0, .client_port = 2001);
		OUTCOME_IS(answered_rst);
		lab_tick(lab, 1000 * (COOKIE_LIFE_MAX_S + 2));
	}
}

/* A server that is down is asked for a client that has proven itself: SYNs that anybody can
 * forge come to no server, and take nobody's turn. */
LAB_TEST(test_backend_probe_is_taken_by_no_forged_syn)
{
	take_down(lab);
	for (unsigned int i = 0; i < 600; i++) {
		CLIENT(TCP_SYN, 5000 + i, 0, .client_port = (uint16_t)(10000 + i),
		       .client = 50 + i % 20);
		EQUAL(lab_grew(lab, COUNTER_passed_syn), 0);
		CHECK(lab->out[0].side == SIDE_OUTSIDE);
		lab_tick(lab, 5);
	}
	open_of(lab, 2000, 9);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.flags, TCP_SYN);
	SERVER(TCP_SYN | TCP_ACK, 70, 1001, .client_port = 2000, .client = 9, .options = OPTION_MSS,
	       .mss = lab->server_mss);
	CHECK(!is_down(lab));
}

/* Nor does one whom the server does not answer, though he proves himself. */
LAB_TEST_ONCE(test_backend_probe_in_vain_of_one_net_keeps_no_other_out)
{
	take_down(lab);
	for (uint16_t i = 0; i < 10; i++) {
		CLIENT(TCP_SYN, 1000, 0, .client_port = (uint16_t)(2000 + i), .client = 50);
		if (lab->out[0].seg.flags != (TCP_SYN | TCP_ACK))
			continue;
		uint32_t iss = lab->out[0].seg.seq;
		CLIENT(TCP_ACK, 1001, iss + 1, .client_port = (uint16_t)(2000 + i), .client = 50);
	}
	EQUAL(lab_count(lab, COUNTER_opened), 3 + 1);
	open_of(lab, 3000, 9);
	SERVER(TCP_SYN | TCP_ACK, 70, 1001, .client_port = 3000, .client = 9, .options = OPTION_MSS,
	       .mss = lab->server_mss);
	CHECK(!is_down(lab));
}

/* Those who were answered before, and prove themselves when enough have tried, get RST. */
LAB_TEST_ONCE(test_backend_down_refuses_proven_clients)
{
	uint32_t iss[BACKEND_PROBES + 1];

	take_down(lab);
	for (uint16_t i = 0; i <= BACKEND_PROBES; i++) {
		CLIENT(TCP_SYN, 1000, 0, .client_port = (uint16_t)(2000 + i), .client = 20 + i);
		iss[i] = ONLY(SIDE_OUTSIDE)->seg.seq;
		EQUAL(ONLY(SIDE_OUTSIDE)->seg.flags, TCP_SYN | TCP_ACK);
	}
	for (uint16_t i = 0; i <= BACKEND_PROBES; i++) {
		CLIENT(TCP_ACK, 1001, iss[i] + 1, .client_port = (uint16_t)(2000 + i),
		       .client = 20 + i);
		EQUAL(lab_grew(lab, COUNTER_opened), i < BACKEND_PROBES);
		EQUAL(lab_grew(lab, COUNTER_limit_backend_down), i == BACKEND_PROBES);
	}
	OUTCOME_IS(answered_rst);
	CLIENT(TCP_SYN, 1000, 0, .client_port = 2999, .client = 40);
	OUTCOME_IS(answered_rst);
}

/* What has never answered is down by the failures of one net. A SYN of each interval passes, whose
 * sender is told by whoever is there, and a success brings it up. */
LAB_TEST_ONCE(test_backend_never_known_is_down_by_one_net)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	for (uint16_t i = 0; i < 20 && !is_down(lab); i++) {
		CLIENT(TCP_SYN, 1000, 0, .client_port = (uint16_t)(1000 + i), .client = 1);
		if (lab->out[0].side == SIDE_INSIDE)
			continue; /* to learn */
		uint32_t iss = lab->out[0].seg.seq;
		CLIENT(TCP_ACK, 1001, iss + 1, .client_port = (uint16_t)(1000 + i), .client = 1);
		SERVER(TCP_RST | TCP_ACK, 0, 1001, .client_port = (uint16_t)(1000 + i),
		       .client = 1);
	}
	CHECK(is_down(lab));
	EQUAL(lab_count(lab, COUNTER_opened), BACKEND_DOWN_VOTES);
	lab_tick(lab, 1000 * (lab->policy.timeouts.probe + 1));
	for (uint32_t client = 9; client < 14; client++) {
		CLIENT(TCP_SYN, 1000, 0, .client_port = 2000, .client = client);
		if (client < 9 + BACKEND_PROBES)
			OUTCOME_IS(passed_syn);
		else
			OUTCOME_IS(answered_rst);
	}
	SERVER(TCP_SYN | TCP_ACK, 70, 1001, .client_port = 2000, .client = 9, .options = OPTION_MSS,
	       .mss = lab->server_mss);
	CHECK(!is_down(lab));
}

/* Draining, SYNs pass to one that is down, too. */
LAB_TEST_ONCE(test_backend_down_while_draining)
{
	take_down(lab);
	core_drain(lab->core, true);
	for (uint16_t i = 0; i < 5; i++) {
		CLIENT(TCP_SYN, 1000, 0, .client_port = (uint16_t)(2000 + i));
		OUTCOME_IS(passed_syn);
	}
}

/* An option is absent only after several answers without it, to several nets. */
LAB_TEST_ONCE(test_backend_learns_absent_option_by_votes)
{
	uint8_t without = LAB_ALL & ~OPTION_SACK_PERMITTED;

	lab_start(lab);
	lab_teach(lab);
	for (uint32_t i = 0; i < 3; i++) {
		/* Known as it is, it is asked through the splice. */
		CLIENT(TCP_SYN, 1000, 0, .client_port = 3000, .client = 1 + i, .options = LAB_ALL,
		       .mss = lab->server_mss, .wscale = 7, .tsval = 1);
		const struct lab_out *out = ONLY(SIDE_OUTSIDE);
		CHECK(out->seg.options & OPTION_SACK_PERMITTED);
		uint32_t iss = out->seg.seq, ts = out->seg.tsval;
		CLIENT(TCP_ACK, 1001, iss + 1, .client_port = 3000, .client = 1 + i,
		       .options = OPTION_TIMESTAMPS, .tsval = 2, .tsecr = ts);
		SERVER(TCP_SYN | TCP_ACK, 77, 1001, .client_port = 3000, .client = 1 + i,
		       .options = without, .mss = lab->server_mss, .wscale = 7, .tsval = 5,
		       .tsecr = 2);
		OUTCOME_IS(taken_handshake);
	}
	CLIENT(TCP_SYN, 1000, 0, .client_port = 3100, .options = LAB_ALL, .mss = 1400, .wscale = 7,
	       .tsval = 1);
	CHECK((ONLY(SIDE_OUTSIDE)->seg.options & OPTION_SACK_PERMITTED) == 0);
}

/* The bare SYN of an attacker teaches no "no SACK". */
LAB_TEST_ONCE(test_backend_bare_syn_teaches_nothing_absent)
{
	lab_start(lab);
	lab_teach(lab);
	for (uint16_t i = 0; i < 5; i++) {
		open_of(lab, (uint16_t)(1000 + i), 1 + i);
		SERVER(TCP_SYN | TCP_ACK, 77, 1001, .client_port = (uint16_t)(1000 + i),
		       .client = 1 + i, .options = OPTION_MSS, .mss = lab->server_mss);
		OUTCOME_IS(taken_handshake);
	}
	CLIENT(TCP_SYN, 1000, 0, .client_port = 3100, .options = LAB_ALL, .mss = 1400, .wscale = 7,
	       .tsval = 1);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.options, LAB_ALL);
}

/* SYN-ACK to a client that offers all, when no more SYNs pass to learn from. */
static const struct segment *
promised_by_now(struct lab *lab)
{
	for (uint32_t i = 0; i < 20; i++) {
		CLIENT(TCP_SYN, 1000, 0, .client_port = (uint16_t)(2000 + i), .options = LAB_ALL,
		       .mss = 1460, .wscale = 9, .tsval = 1);
		if (lab->out[0].side == SIDE_OUTSIDE)
			return &lab->out[0].seg;
	}
	CU_FAIL_FATAL("all SYNs pass");
	return NULL;
}

/* A server that only bare SYNs have asked: what it has is open, and clients are promised
 * what can be kept either way, not less. */
LAB_TEST(test_backend_asked_by_bare_syns_promises_what_can_be_kept)
{
	const struct segment *seg;

	lab_start(lab);
	lab_teach_from(lab, 100, OPTION_MSS, OPTION_MSS);
	seg = promised_by_now(lab);
	EQUAL(seg->options, OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED);
	EQUAL(seg->mss, lab->server_mss);
}

/* One that names no MSS means 536 or 1220 (MUST-15), and never 0. */
LAB_TEST(test_backend_that_names_no_mss_promises_default)
{
	lab_start(lab);
	lab_teach_from(lab, 100, 0, 0);
	EQUAL(promised_by_now(lab)->mss, lab->variant->is_v6 ? 1220 : 536);
}

/* The server's own figures are what clients are told. */
LAB_TEST_ONCE(test_backend_promises_what_it_learned)
{
	lab->server_mss = 1300;
	lab->server_wscale = 11;
	lab_start(lab);
	lab_teach(lab);
	CLIENT(TCP_SYN, 1000, 0, .options = LAB_ALL, .mss = 1460, .wscale = 7, .tsval = 1);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.mss, 1300);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.wscale, 11);
	CHECK(ONLY(SIDE_OUTSIDE)->seg.options & OPTION_TIMESTAMPS);
}

/* A SYN without MSS is answered, and means 536 or 1220 (MUST-15). */
LAB_TEST(test_backend_absent_mss_means_default)
{
	lab_start(lab);
	lab_teach(lab);
	CLIENT(TCP_SYN, lab->irs, 0);
	uint32_t iss = ONLY(SIDE_OUTSIDE)->seg.seq;
	CLIENT(TCP_ACK, lab->irs + 1, iss + 1);
	EQUAL(ONLY(SIDE_INSIDE)->seg.mss, lab->variant->is_v6 ? 1220 : 536);
}

/* Three nets have been answered without SACK. */
static void
lacks_sack(struct lab *lab)
{
	lab_start(lab);
	for (uint32_t net = 100; net < 103; net++)
		lab_teach_from(lab, net, LAB_ALL, LAB_ALL & ~OPTION_SACK_PERMITTED);
}

/* With cookies always, of two workers: the one that does not own a flow never passes a SYN
 * of it to ask again, since the owner would know nothing of the server's answer. */
LAB_TEST_ONCE(test_backend_asked_again_by_the_owner_alone)
{
	const struct lab_seg syn = { .side = SIDE_OUTSIDE,
		                     .flags = TCP_SYN,
		                     .seq = 1000,
		                     .options = LAB_ALL,
		                     .mss = 1440,
		                     .tsval = 1 };
	const struct lab_seg bare = { .side = SIDE_OUTSIDE, .flags = TCP_SYN, .seq = 1000 };

	lab_share_cookies(lab);
	lab->params.n_workers = 2;
	lab->services[0].cookies = COOKIES_ALWAYS;
	struct lab *other = lab_beside(lab);
	lacks_sack(lab);
	lacks_sack(other);
	CHECK(lab_answers_anywhere(other, &syn));
	lab_in(other, &syn);
	EQUAL(lab_grew(other, COUNTER_answered_syn_cookie), 1);
	for (unsigned int turn = 0; turn < 2; turn++) {
		lab_tick(lab, 1000 * (BACKEND_ASK_AGAIN_S + 1));
		lab_tick(other, 1000 * (BACKEND_ASK_AGAIN_S + 1));
		/* Looking does not take the turn. */
		for (unsigned int i = 0; i < 3; i++)
			CHECK(!lab_answers_anywhere(other, &syn));
		CHECK(lab_answers_anywhere(other, &bare));
		lab_in(lab, &syn);
		OUTCOME_IS(passed_syn);
		SERVER(TCP_SYN | TCP_ACK, 77, 1001, .options = OPTION_MSS, .mss = 1440);
		OUTCOME_IS(passed_tracked);
		CLIENT(TCP_RST, 1001, 0);
		lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
		CHECK(lab_answers_anywhere(lab, &syn));
		lab_in(lab, &syn);
		OUTCOME_IS(answered_syn_cookie);
	}
	lab_leave(other);
}

CU_TestInfo core_backend_tests[] = {
	CHECK_TEST(test_backend_asked_again_by_the_owner_alone),
	CHECK_TEST(test_backend_down_after_three_nets),
	CHECK_TEST(test_backend_down_drops_where_closed_ports_do),
	CHECK_TEST(test_backend_not_down_by_one_net),
	CHECK_TEST(test_backend_success_between_resets_votes),
	CHECK_TEST(test_backend_down_by_silence),
	CHECK_TEST(test_backend_probe_recovers),
	CHECK_TEST(test_backend_probe_refused_stays_down),
	CHECK_TEST(test_backend_probe_is_taken_by_no_forged_syn),
	CHECK_TEST(test_backend_probe_in_vain_of_one_net_keeps_no_other_out),
	CHECK_TEST(test_backend_down_refuses_proven_clients),
	CHECK_TEST(test_backend_never_known_is_down_by_one_net),
	CHECK_TEST(test_backend_down_while_draining),
	CHECK_TEST(test_backend_learns_absent_option_by_votes),
	CHECK_TEST(test_backend_bare_syn_teaches_nothing_absent),
	CHECK_TEST(test_backend_asked_by_bare_syns_promises_what_can_be_kept),
	CHECK_TEST(test_backend_that_names_no_mss_promises_default),
	CHECK_TEST(test_backend_promises_what_it_learned),
	CHECK_TEST(test_backend_absent_mss_means_default),
	CU_TEST_INFO_NULL,
};
