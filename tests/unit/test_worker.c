/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's path: what is received is decided on and sent, or freed, and counted. */
#include "cookie.h"
#include "egress.h"
#include "worker_lab.h"

static const char services[] =
	"  - {name: proxy, addresses: 192.0.2.1, ports: 80, mode: proxy, repeat_syn: false}\n"
	"  - {name: cookies, addresses: 192.0.2.1, ports: 82, mode: respond, cookies: always}\n"
	"  - {name: six, addresses: \"2001:db8:2::1\", ports: 82, mode: respond, cookies: "
	"always}\n";

static struct worker_lab lab;

static void
start(void)
{
	worker_lab_init(&lab, 1, 2, services);
}

static void
put_other(enum side side)
{
	uint8_t frame[FRAME_SIZE];
	size_t len = worker_lab_other(frame);

	worker_lab_put(&lab, side, 0, worker_lab_mbuf(&lab, frame, len, 0));
}

static void
put_syn(void)
{
	struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1000, 0);

	worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
}

static void
test_worker_forwards(void)
{
	uint8_t frame[FRAME_SIZE];
	size_t len = worker_lab_other(frame);

	start();
	for (unsigned int side = 0; side < SIDE_COUNT; side++) {
		put_other(side);
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
		CU_ASSERT_EQUAL(lab.sent[0].side, side ^ 1);
		CU_ASSERT_EQUAL(lab.sent[0].len, len);
		CU_ASSERT_EQUAL(memcmp(lab.sent[0].bytes, frame, len), 0);
		CU_ASSERT_EQUAL(lab.plane.workers[0]->account.received[side], 1);
		CU_ASSERT_EQUAL(lab.plane.workers[0]->account.sent[side ^ 1], 1);
		CU_ASSERT_EQUAL(lab.plane.workers[0]->account.sent[side], side);
	}
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_passed_other), 2);
	worker_lab_fini(&lab);
}

static void
test_worker_answers(void)
{
	start();
	put_syn();
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
	CU_ASSERT_EQUAL(lab.sent[0].side, SIDE_OUTSIDE);
	CU_ASSERT_TRUE(frame_is_good(lab.sent[0].bytes, lab.sent[0].len));
	CU_ASSERT_EQUAL(lab.sent[0].bytes[frame_l4_off(lab.sent[0].bytes) + 13], 0x12);
	CU_ASSERT_EQUAL(lab.sent[0].mbuf->ol_flags, 0);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_answered_syn_cookie), 1);
	worker_lab_fini(&lab);
}

/* Several bursts' worth, in order. */
static void
test_worker_takes_all_that_comes(void)
{
	start();
	for (unsigned int i = 0; i < LAB_RECEIVED_MAX; i++) {
		uint8_t frame[FRAME_SIZE];
		size_t len = worker_lab_other(frame);
		frame[20] = (uint8_t)i;
		worker_lab_put(&lab, SIDE_INSIDE, 0, worker_lab_mbuf(&lab, frame, len, 0));
	}
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, LAB_RECEIVED_MAX);
	for (unsigned int i = 0; i < lab.n_sent; i++)
		CU_ASSERT_EQUAL(lab.sent[i].bytes[20], (uint8_t)i);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.received[SIDE_INSIDE], LAB_RECEIVED_MAX);
	worker_lab_fini(&lab);
}

/* SYNs of both families in turns, and in the middle perhaps something else. */
static void
put_families(bool has_other)
{
	for (unsigned int i = 0; i < 6; i++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1000, 0);

		if (i % 2 != 0) {
			f = frame_spec_v6();
			f.dst_port = LAB_RESPOND;
			f.flags = 0x02;
		}
		f.seq = i;
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
		if (has_other && i == 2)
			put_other(SIDE_OUTSIDE);
	}
}

/* Did answers to SYNs of these SEQs leave, in this order? */
static bool
are_answers(const uint32_t *seqs)
{
	unsigned int n = 0;
	bool all = true;

	for (unsigned int i = 0; i < lab.n_sent; i++) {
		const struct sent *s = &lab.sent[i];
		uint32_t ack_be = htobe32(seqs[n < 6 ? n : 0] + 1);

		if (s->side == SIDE_INSIDE)
			continue;
		all &= n++ < 6 && frame_is_good(s->bytes, s->len) &&
		       memcmp(s->bytes + frame_l4_off(s->bytes) + 8, &ack_be, 4) == 0;
	}
	return all && n == 6;
}

/* After a burst of both families the next one is taken family by family, each in order; but
 * not where something is in it of which no family can be told. */
static void
test_worker_sorts_families(void)
{
	static const uint32_t as_they_came[6] = { 0, 1, 2, 3, 4, 5 };
	static const uint32_t sorted[6] = { 0, 2, 4, 1, 3, 5 };

	start();
	put_families(false);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 6);
	CU_ASSERT_TRUE(are_answers(as_they_came));
	put_families(false);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 6);
	CU_ASSERT_TRUE(are_answers(sorted));
	/* Bursts without any do not matter. */
	put_other(SIDE_INSIDE);
	worker_lab_run(&lab, 0, 1);
	put_families(false);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_TRUE(are_answers(sorted));
	put_families(true);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 7);
	CU_ASSERT_TRUE(are_answers(as_they_came));
	/* Of 24 three are IPv6, and then of 25: too few to sort for. */
	for (unsigned int n_more = 18; n_more <= 19; n_more++) {
		for (unsigned int i = 0; i < n_more; i++)
			put_syn();
		put_families(false);
		worker_lab_run(&lab, 0, 1);
		if (n_more == 19)
			break;
		put_families(false);
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_TRUE(are_answers(sorted));
	}
	put_families(false);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 6);
	CU_ASSERT_TRUE(are_answers(as_they_came));
	worker_lab_fini(&lab);
}

/* A runt has no EtherType to sort by. */
static void
test_worker_runt_in_a_mixed_burst(void)
{
	static const uint8_t runt[4] = { 2, 0, 0, 0 };

	start();
	put_families(false);
	worker_lab_run(&lab, 0, 1);
	put_families(false);
	worker_lab_put(&lab, SIDE_OUTSIDE, 0, worker_lab_mbuf(&lab, runt, sizeof(runt), 0));
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 7);
	worker_lab_fini(&lab);
}

/* What is dropped goes back to its pool. */
static void
test_worker_drops(void)
{
	start();
	for (unsigned int i = 0; i < 40; i++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_PROXY, 0x03, 1, 0);
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
		if (i % 3 == 0)
			put_other(SIDE_OUTSIDE);
	}
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 14);
	CU_ASSERT_EQUAL(worker_lab_out(&lab), 14);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_drop_flags), 40);
	worker_lab_fini(&lab);
}

/* What is no segment of a service leaves first, so that a flood's answers do not cost it its
 * place. */
static void
test_worker_sends_others_first(void)
{
	start();
	put_syn();
	put_other(SIDE_OUTSIDE);
	put_syn();
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 3);
	/* Towards the server nothing but the other one. */
	CU_ASSERT_EQUAL(lab.sent[0].side + lab.sent[1].side + lab.sent[2].side, 1);
	struct frame_spec f = worker_lab_segment(SIDE_INSIDE, 9, 0x10, 1, 1);
	worker_lab_put_tcp(&lab, SIDE_INSIDE, &f);
	put_other(SIDE_INSIDE);
	lab.tx_room = 1;
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
	CU_ASSERT_EQUAL(lab.sent[0].bytes[12], 0x88);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.tx_full[SIDE_OUTSIDE], 1);
	worker_lab_fini(&lab);
}

/* ... nor where it was staged behind them. */
static void
test_worker_sends_first_what_is_staged_first(void)
{
	struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1000, 0);
	uint8_t frame[FRAME_SIZE];

	start();
	struct worker *w = lab.plane.workers[0];
	struct rte_mbuf *syn = worker_lab_mbuf(&lab, frame, frame_build(frame, &f), 0);
	struct rte_mbuf *other = worker_lab_mbuf(&lab, frame, worker_lab_other(frame), 0);
	w->segments[0].class = SEGMENT_TCP;
	w->actions.list[w->actions.n++] = (struct action){ .kind = ACTION_FORWARD,
		                                           .out = SIDE_INSIDE,
		                                           .seg = 0 };
	egress_act(w, &syn);
	egress_stage_first(w, SIDE_INSIDE, other);
	lab.tx_room = 1;
	egress_flush(w);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
	CU_ASSERT_PTR_EQUAL(lab.sent[0].mbuf, other);
	CU_ASSERT_EQUAL(w->account.tx_full[SIDE_INSIDE], 1);
	worker_lab_fini(&lab);
}

/* A transmit ring that is full: what does not fit is freed and counted. */
static void
test_worker_tx_full(void)
{
	static const unsigned int rooms[] = { 0, 1, 5, 19, 20 };

	start();
	for (unsigned int k = 0; k < RTE_DIM(rooms); k++) {
		uint64_t full = lab.plane.workers[0]->account.tx_full[SIDE_INSIDE];
		uint64_t sent = lab.plane.workers[0]->account.sent[SIDE_INSIDE];
		for (unsigned int i = 0; i < 20; i++)
			put_other(SIDE_OUTSIDE);
		lab.tx_room = rooms[k];
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL(lab.n_sent, rooms[k]);
		CU_ASSERT_EQUAL(worker_lab_out(&lab), rooms[k]);
		CU_ASSERT_EQUAL(lab.plane.workers[0]->account.tx_full[SIDE_INSIDE],
		                full + 20 - rooms[k]);
		CU_ASSERT_EQUAL(lab.plane.workers[0]->account.sent[SIDE_INSIDE], sent + rooms[k]);
	}
	worker_lab_fini(&lab);
}

/* A driver that takes a few at a time is asked again, as long as it takes any. */
static void
test_worker_tx_few_at_a_time(void)
{
	start();
	for (unsigned int i = 0; i < 20; i++)
		put_other(SIDE_OUTSIDE);
	lab.tx_burst = 3;
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 20);
	CU_ASSERT_EQUAL(lab.n_tx_calls, 7);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.tx_full[SIDE_INSIDE], 0);
	lab.tx_room = 4;
	for (unsigned int i = 0; i < 20; i++)
		put_other(SIDE_OUTSIDE);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 4);
	CU_ASSERT_EQUAL(lab.n_tx_calls, 3);
	worker_lab_fini(&lab);
}

/* Longer than the other port can send. */
static void
test_worker_unfit(void)
{
	uint8_t frame[FRAME_SIZE];

	start();
	lab.plane.ports[SIDE_INSIDE].sent_size_max = 1000;
	for (size_t len = 999; len <= 1001; len++) {
		worker_lab_other(frame);
		worker_lab_put(&lab, SIDE_OUTSIDE, 0, worker_lab_mbuf(&lab, frame, len, 0));
		worker_lab_put(&lab, SIDE_INSIDE, 0, worker_lab_mbuf(&lab, frame, len, 0));
	}
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 5);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.unfit, 1);
	CU_ASSERT_EQUAL(worker_lab_out(&lab), 5);
	worker_lab_fini(&lab);
}

/* A port that says that a checksum is good is believed; any other word is looked into. */
static void
test_worker_rx_checksum(void)
{
	static const uint64_t flags[] = { RTE_MBUF_F_RX_L4_CKSUM_GOOD, RTE_MBUF_F_RX_L4_CKSUM_BAD,
		                          RTE_MBUF_F_RX_L4_CKSUM_NONE, 0 };
	uint8_t frame[FRAME_SIZE];

	start();
	for (unsigned int i = 0; i < 2 * RTE_DIM(flags); i++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1, 0);
		f.bad_tcp_checksum = 5;
		struct rte_mbuf *m = worker_lab_mbuf(&lab, frame, frame_build(frame, &f), 0);
		m->ol_flags = flags[i % RTE_DIM(flags)];
		lab.plane.ports[SIDE_OUTSIDE].rx_checksum = i < RTE_DIM(flags);
		worker_lab_put(&lab, SIDE_OUTSIDE, 0, m);
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL(lab.n_sent, i == 0);
	}
	worker_lab_fini(&lab);
}

static void
check_offloaded(const struct sent *s, uint64_t flags, unsigned int l2, unsigned int l3)
{
	const struct rte_mbuf *m = s->mbuf;
	const uint8_t *tcp = s->bytes + l2 + l3;

	CU_ASSERT_EQUAL(m->ol_flags, RTE_MBUF_F_TX_TCP_CKSUM | flags);
	CU_ASSERT_EQUAL(m->l2_len, l2);
	CU_ASSERT_EQUAL(m->l3_len, l3);
	/* The pseudo-header's sum stands where the port puts the checksum. */
	struct ip_addr src, dst;
	if (l3 == 20) {
		memcpy(&src.words_be[3], s->bytes + l2 + 12, 4);
		memcpy(&dst.words_be[3], s->bytes + l2 + 16, 4);
		src = ip_addr_v4(src.words_be[3]);
		dst = ip_addr_v4(dst.words_be[3]);
	} else {
		memcpy(&src, s->bytes + l2 + 8, 16);
		memcpy(&dst, s->bytes + l2 + 24, 16);
	}
	unsigned int size = l3 == 20 ? (s->bytes[l2 + 2] << 8 | s->bytes[l2 + 3]) - 20u
	                             : (unsigned int)(s->bytes[l2 + 4] << 8 | s->bytes[l2 + 5]);
	uint16_t sum = (uint16_t)~frame_checksum(frame_pseudo_sum(&src, &dst, 6, size), NULL, 0);
	CU_ASSERT_EQUAL(tcp[16] << 8 | tcp[17], sum);
}

/* A port that fills checksums in is told where, in answers and in what a timer sends; of a
 * frame that is padded, or has two tags, it is told nothing. */
static void
test_worker_tx_checksum(void)
{
	start();
	lab.plane.ports[SIDE_OUTSIDE].tx_checksum = true;
	for (unsigned int n_tags = 0; n_tags < 3; n_tags++) {
		for (unsigned int is_v6 = 0; is_v6 < 2; is_v6++) {
			struct frame_spec f = is_v6 ? frame_spec_v6() : frame_spec_v4();
			f.dst_port = LAB_RESPOND;
			f.n_tags = n_tags;
			f.tpid[0] = n_tags == 2 ? 0x88a8 : 0x8100;
			f.tpid[1] = 0x8100;
			f.tci[0] = f.tci[1] = 7;
			worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
			worker_lab_run(&lab, 0, 1);
			CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
			if (n_tags == 2 || (n_tags == 0 && !is_v6)) {
				CU_ASSERT_EQUAL(lab.sent[0].mbuf->ol_flags, 0);
				CU_ASSERT_TRUE(frame_is_good(lab.sent[0].bytes, lab.sent[0].len));
				continue;
			}
			check_offloaded(&lab.sent[0],
			                is_v6 ? RTE_MBUF_F_TX_IPV6
			                      : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM,
			                14 + 4 * n_tags, is_v6 ? 40 : 20);
		}
	}
	worker_lab_fini(&lab);
}

/* A kernel that leaves checksums to its NIC: they are right before anything looks. */
static void
test_worker_partial_checksum(void)
{
	uint8_t frame[FRAME_SIZE];

	start();
	for (unsigned int on = 0; on < 2; on++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1, 0);
		size_t len = frame_build(frame, &f), check = frame_l4_off(frame) + 16;
		uint16_t sum = (uint16_t)~frame_checksum(frame_pseudo_sum(&f.src, &f.dst, 6, 20),
		                                         NULL, 0);
		frame[check] = (uint8_t)(sum >> 8);
		frame[check + 1] = (uint8_t)sum;
		lab.plane.ports[SIDE_OUTSIDE].partial_checksums = on;
		worker_lab_put(&lab, SIDE_OUTSIDE, 0, worker_lab_mbuf(&lab, frame, len, 0));
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL(lab.n_sent, on);
	}
	worker_lab_fini(&lab);
}

static size_t
build_arp(uint8_t *frame)
{
	static const uint8_t arp[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 6, 1, 2, 3, 4,   5, 8, 6,
		0,    1,    8,    0,    6,    4,    0, 1, 6, 1, 2,   3, 4, 5,
		198,  51,   100,  7,    0,    0,    0, 0, 0, 0, 192, 0, 2, 1
	};

	memcpy(frame, arp, sizeof(arp));
	return sizeof(arp);
}

/* A responder answers for its addresses, and goes on with what else came. */
static void
test_worker_answers_neighbours(void)
{
	uint8_t frame[FRAME_SIZE];
	struct rte_mbuf *m;

	worker_lab_init(&lab, 1, 1,
	                "  - {name: r, addresses: 192.0.2.1, ports: 82, mode: respond}\n");
	m = worker_lab_mbuf(&lab, frame, build_arp(frame), 0);
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	worker_lab_put(&lab, SIDE_OUTSIDE, 0, m);
	put_syn();
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 2);
	CU_ASSERT_EQUAL(lab.sent[0].len, 60);
	CU_ASSERT_EQUAL(lab.sent[0].bytes[21], 2);
	CU_ASSERT_EQUAL(memcmp(lab.sent[0].bytes + 22, lab.plane.ports[0].mac.addr_bytes, 6), 0);
	CU_ASSERT_EQUAL(lab.sent[0].mbuf->data_len, 60);
	CU_ASSERT_EQUAL(lab.sent[0].mbuf->ol_flags, 0);
	CU_ASSERT_TRUE(frame_is_good(lab.sent[1].bytes, lab.sent[1].len));
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_answered_neighbour), 1);
	/* Where the buffer has no room, or is in long pieces, it is not answered. */
	m = worker_lab_mbuf(&lab, frame, build_arp(frame), 0);
	memmove(rte_pktmbuf_mtod(m, uint8_t *) + LAB_ROOM - 127, rte_pktmbuf_mtod(m, uint8_t *),
	        42);
	m->data_off += LAB_ROOM - 127;
	worker_lab_put(&lab, SIDE_OUTSIDE, 0, m);
	build_arp(frame);
	worker_lab_put(&lab, SIDE_OUTSIDE, 0, worker_lab_mbuf(&lab, frame, 700, 300));
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 0);
	/* A short one in pieces is laid out anew. */
	m = worker_lab_mbuf(&lab, frame, build_arp(frame), 30);
	worker_lab_put(&lab, SIDE_OUTSIDE, 0, m);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 1);
	m = worker_lab_mbuf(&lab, frame, build_arp(frame), 0);
	memmove(rte_pktmbuf_mtod(m, uint8_t *) + LAB_ROOM - 128, rte_pktmbuf_mtod(m, uint8_t *),
	        42);
	m->data_off += LAB_ROOM - 128;
	worker_lab_put(&lab, SIDE_OUTSIDE, 0, m);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 1);
	worker_lab_fini(&lab);
}

CU_TestInfo worker_tests[] = {
	CHECK_TEST(test_worker_forwards),
	CHECK_TEST(test_worker_answers),
	CHECK_TEST(test_worker_takes_all_that_comes),
	CHECK_TEST(test_worker_sorts_families),
	CHECK_TEST(test_worker_runt_in_a_mixed_burst),
	CHECK_TEST(test_worker_drops),
	CHECK_TEST(test_worker_sends_others_first),
	CHECK_TEST(test_worker_sends_first_what_is_staged_first),
	CHECK_TEST(test_worker_tx_full),
	CHECK_TEST(test_worker_tx_few_at_a_time),
	CHECK_TEST(test_worker_unfit),
	CHECK_TEST(test_worker_rx_checksum),
	CHECK_TEST(test_worker_tx_checksum),
	CHECK_TEST(test_worker_partial_checksum),
	CHECK_TEST(test_worker_answers_neighbours),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	CU_SuiteInfo suites[] = {
		{ .pName = "path", .pTests = worker_tests },
		{ .pName = "buffers", .pTests = worker_buffer_tests },
		{ .pName = "capture", .pTests = worker_capture_tests },
		{ .pName = "owners", .pTests = worker_owner_tests },
		{ .pName = "time", .pTests = worker_time_tests },
		{ .pName = "syns", .pTests = worker_syns_tests },
		{ .pName = "idle", .pTests = worker_idle_tests },
		CU_SUITE_INFO_NULL,
	};

	if (worker_lab_eal() != 0)
		return EXIT_FAILURE;
	cookie_select("auto", NULL);
	return check_run_suites(suites);
}
