/* SPDX-License-Identifier: BSD-3-Clause */
/* Proven clients whose servers keep silent, and the way on which servers are asked. */
#include "backend.h"
#include "core_lab.h"
#include "pending.h"

/* Where all records are taken the client that has waited longest gives way. */
LAB_TEST(test_silent_longest_waiting_gives_way)
{
	lab->params.held = 2;
	lab_start(lab);
	lab_teach(lab);
	lab_open_of(lab, 0, 1);
	lab_tick(lab, 10);
	lab_open_of(lab, 1, 1);
	lab_tick(lab, 1500); /* both SYNs again */
	for (unsigned int i = 2; i < 6; i++) {
		uint32_t iss = lab_open_of(lab, i, 2);
		CHECK(iss != 0);
		OUTCOME_IS(taken_proof);
		EQUAL(lab_grew(lab, COUNTER_pending_evicted), 1);
		EQUAL(lab_grew(lab, COUNTER_reset), 1);
		EQUAL(core_usage(lab->core).held, 2);
		const struct segment *rst = &NTH(SIDE_OUTSIDE, 0)->seg;
		EQUAL(rst->flags, TCP_RST | TCP_ACK);
		EQUAL(be16toh(rst->flow.client_port_be), 1000 + i - 2);
		EQUAL(rst->ack, 1001 + i - 2);
		EQUAL(NTH(SIDE_INSIDE, 0)->seg.flags, TCP_SYN);
		lab_tick(lab, 1);
	}
	EQUAL(lab_count(lab, COUNTER_pending_full), 0);
	/* The last two are there still. */
	for (unsigned int i = 4; i < 6; i++) {
		SERVER(TCP_SYN | TCP_ACK, 9000, 1001 + i, .client_port = (uint16_t)(1000 + i),
		       .client = 2, .options = OPTION_MSS, .mss = lab->server_mss);
		EQUAL(lab_grew(lab, COUNTER_connected), 1);
	}
}

/* Who waits for a second SYN-ACK does not: refused is who comes. */
LAB_TEST_ONCE(test_silent_answered_give_no_way)
{
	lab->services[0].repeat_syn = true;
	lab->params.held = 2;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < 2; i++) {
		lab_open_of(lab, i, 1);
		SERVER(TCP_SYN | TCP_ACK, 9000, 1001 + i, .client_port = (uint16_t)(1000 + i),
		       .client = 1, .options = OPTION_MSS, .mss = lab->server_mss);
	}
	lab_open_of(lab, 2, 1);
	EQUAL(lab_grew(lab, COUNTER_pending_full), 1);
	EQUAL(lab_count(lab, COUNTER_pending_evicted), 0);
}

/* A handshake of client `client` with a port that never says a word; true if it was begun. */
static bool
opens_in_vain(struct lab *lab, unsigned int i, uint16_t server_port)
{
	CLIENT(TCP_SYN, 777, 0, .client_port = (uint16_t)(2000 + i), .server_port = server_port,
	       .client = 3);
	if (lab->n_out != 1 || lab->out[0].seg.flags != (TCP_SYN | TCP_ACK))
		return false; /* it passed to teach, or gets RST */
	uint32_t iss = lab->out[0].seg.seq;
	CLIENT(TCP_ACK, 778, iss + 1, .client_port = (uint16_t)(2000 + i),
	       .server_port = server_port, .client = 3);
	return lab_grew(lab, COUNTER_opened) == 1;
}

/* One real address that finishes handshakes to ports where nobody listens takes a share of the
 * records, and keeps nobody out. */
LAB_TEST_ONCE(test_silent_ports_keep_nobody_out)
{
	static struct port_range ports[] = { { LAB_WEB, LAB_WEB }, { 1000, 1200 } };
	unsigned int begun = 0, most = 0;

	lab->params.held = 16;
	lab->params.connections = 8192;
	lab->services[0].ports = ports;
	lab->services[0].n_ports = 2;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int round = 0; round < 30; round++) {
		for (unsigned int i = 0; i < 200; i++) {
			begun += opens_in_vain(lab, round * 200 + i, (uint16_t)(1000 + i));
			if (core_usage(lab->core).held > most)
				most = core_usage(lab->core).held;
		}
		lab_open_of(lab, 200 + round, 7);
		EQUAL(lab_grew(lab, COUNTER_opened), 1);
		lab_tick(lab, 500);
		SERVER(TCP_SYN | TCP_ACK, 9000, 1201 + round,
		       .client_port = (uint16_t)(1200 + round), .client = 7, .options = OPTION_MSS,
		       .mss = lab->server_mss);
		EQUAL(lab_grew(lab, COUNTER_connected), 1);
	}
	CHECK(begun > 200);
	CHECK(most <= 16 / PENDING_DOUBTFUL_SHARE + 1);
	CHECK(lab_count(lab, COUNTER_pending_evicted) > 100);
}

/* DSCP and flow label of a frame that left, where an IPv6 header has them; and its TTL. */
static uint32_t
way_of(const struct lab *lab, const struct lab_out *out)
{
	const uint8_t *ip = out->frame + frame_l3_off(out->frame);

	if (!lab->variant->is_v6)
		return (uint32_t)ip[1] << 20;
	return ((uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3]) &
	       0x0fffffff;
}

static uint8_t
ttl_of(const struct lab *lab, const struct lab_out *out)
{
	return out->frame[frame_l3_off(out->frame) + (lab->variant->is_v6 ? 7 : 8)];
}

/* All that left by the inside, at least `n_least`, goes the way of the client's own segments, but
 * for the bits of ECN; what left by the outside does not. */
static void
goes_the_clients_way(struct lab *lab, unsigned int n_least)
{
	uint32_t way = (lab->way[SIDE_OUTSIDE].tos & 0xfcu) << 20;
	unsigned int n = 0;

	if (lab->variant->is_v6)
		way |= lab->way[SIDE_OUTSIDE].flow_label;
	for (unsigned int i = 0; i < lab->n_out; i++) {
		const struct lab_out *out = &lab->out[i];
		n += out->side == SIDE_INSIDE;
		EQUAL(way_of(lab, out), out->side == SIDE_INSIDE ? way : 0);
		if (out->side == SIDE_INSIDE)
			EQUAL(ttl_of(lab, out), lab->way[SIDE_OUTSIDE].ttl);
	}
	CHECK(n >= n_least);
}

static void
begin_on_a_way(struct lab *lab)
{
	lab->services[0].repeat_syn = true;
	lab_start(lab);
	lab_teach(lab);
	lab->way[SIDE_OUTSIDE].tos = 0xbb;
	lab->way[SIDE_OUTSIDE].ttl = 255;
	lab->way[SIDE_OUTSIDE].flow_label = 0xabcde;
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 100);
	OUTCOME_IS(taken_proof);
}

/* A router before several servers may choose by the flow label: SYN, ACK and what was held must
 * meet the server that the client's next segments meet. */
LAB_TEST(test_silent_way_is_the_clients)
{
	begin_on_a_way(lab);
	struct lab_out syn = *NTH(SIDE_INSIDE, 0);
	goes_the_clients_way(lab, 2);
	/* It has another one since: the next SYN takes it. */
	lab->way[SIDE_OUTSIDE].flow_label = 0x12345;
	lab->way[SIDE_OUTSIDE].tos = 0x28;
	CLIENT(TCP_ACK, lab->irs + 101, lab->iss + 1, .payload_len = 100);
	OUTCOME_IS(taken_held);
	lab_tick(lab, 1000);
	goes_the_clients_way(lab, 2);
	/* Answered once, and then by the timer: ACK and data. */
	syn.seg.seq = lab->irs;
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1,
	       .options = OPTION_MSS | (syn.seg.options & OPTION_TIMESTAMPS),
	       .mss = lab->server_mss);
	OUTCOME_IS(taken_handshake);
	lab_tick(lab, 10);
	EQUAL(lab_grew(lab, COUNTER_connected), 1);
	goes_the_clients_way(lab, 1);
}

/* ... RSTs too. */
LAB_TEST(test_silent_rst_goes_the_clients_way)
{
	begin_on_a_way(lab);
	SERVER(TCP_ACK, 123456, lab->irs + 5000);
	OUTCOME_IS(answered_rst);
	goes_the_clients_way(lab, 1);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	OUTCOME_IS(taken_handshake);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .options = LAB_ALL,
	       .mss = lab->server_mss);
	OUTCOME_IS(answered_rst);
	goes_the_clients_way(lab, 1);
}

/* A TTL below our own is no client's wish. */
LAB_TEST(test_silent_short_ttl_is_not_taken_over)
{
	lab_start(lab);
	lab_teach(lab);
	lab->way[SIDE_OUTSIDE].ttl = 2;
	lab_connecting(lab);
	EQUAL(ttl_of(lab, ONLY(SIDE_INSIDE)), 64);
}

/* A server that marks its SYN-ACKs as a neighbour's (RFC 5082) is spoken for alike. */
LAB_TEST(test_silent_syn_ack_has_the_servers_ttl)
{
	static const uint8_t ttl[] = { 255, 254, 241, 240, 128, 64, 57, 255 };

	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < sizeof(ttl); i++) {
		uint8_t expected = ttl[i] > 240 ? ttl[i] : 64;
		lab->way[SIDE_INSIDE].ttl = ttl[i];
		lab_open_of(lab, 2 * i, 1);
		SERVER(TCP_SYN | TCP_ACK, 9000, 1001 + 2 * i,
		       .client_port = (uint16_t)(1000 + 2 * i), .client = 1, .options = OPTION_MSS,
		       .mss = lab->server_mss);
		OUTCOME_IS(taken_handshake);
		lab_syn_of(lab, 2 * i + 1, 1);
		OUTCOME_IS(answered_syn_state);
		EQUAL(ttl_of(lab, ONLY(SIDE_OUTSIDE)), expected);
		lab_tick(lab, 1000); /* once more */
		EQUAL(ttl_of(lab, NTH(SIDE_OUTSIDE, 0)), expected);
		CLIENT(TCP_RST, 1001 + 2 * i + 1, 0, .client_port = (uint16_t)(1000 + 2 * i + 1),
		       .client = 1);
	}
	lab->services[0].cookies = COOKIES_ALWAYS;
	core_set_policy(lab->core, &lab->policy);
	lab_syn_of(lab, 99, 1);
	OUTCOME_IS(answered_syn_cookie);
	EQUAL(ttl_of(lab, ONLY(SIDE_OUTSIDE)), 255);
}

/* All clients are of one net, and the server's link has become narrow. */
LAB_TEST_ONCE(test_silent_one_net_learns_a_lower_mss)
{
	uint16_t before = lab->server_mss;
	unsigned int i = 0;

	lab_start(lab);
	lab_teach(lab);
	lab->server_mss = 1200;
	for (; i < BACKEND_MSS_ANSWERS; i++) {
		lab_splice_of(lab, i, 1);
		lab_syn_of(lab, 100 + i, 1);
		EQUAL(ONLY(SIDE_OUTSIDE)->seg.mss, before);
		lab_tick(lab, 1000);
	}
	lab_tick(lab, 1000 * BACKEND_MSS_S);
	lab_splice_of(lab, i, 1);
	lab_syn_of(lab, 200, 1);
	EQUAL(ONLY(SIDE_OUTSIDE)->seg.mss, 1200);
}

CU_TestInfo core_silent_tests[] = {
	CHECK_TEST(test_silent_longest_waiting_gives_way),
	CHECK_TEST(test_silent_answered_give_no_way),
	CHECK_TEST(test_silent_ports_keep_nobody_out),
	CHECK_TEST(test_silent_way_is_the_clients),
	CHECK_TEST(test_silent_rst_goes_the_clients_way),
	CHECK_TEST(test_silent_short_ttl_is_not_taken_over),
	CHECK_TEST(test_silent_syn_ack_has_the_servers_ttl),
	CHECK_TEST(test_silent_one_net_learns_a_lower_mss),
	CU_TEST_INFO_NULL,
};
