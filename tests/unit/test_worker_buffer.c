/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers that are no plain ones: in pieces, shared, too small, or none at all. */
#include "cookie.h"
#include "worker_lab.h"

static const char services[] =
	"  - {name: proxy, addresses: 192.0.2.1, ports: 80, mode: proxy, repeat_syn: false}\n"
	"  - {name: respond, addresses: 192.0.2.1, ports: 82, mode: respond, cookies: always}\n";

static struct worker_lab lab;

static void
start(void)
{
	worker_lab_init(&lab, 1, 2, services);
}

static void
run(enum side side, struct rte_mbuf *m)
{
	worker_lab_put(&lab, side, 0, m);
	worker_lab_run(&lab, 0, 1);
}

static void
fill(uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)(i * 31 + 7);
}

/* All free buffers of worker 0, so that it has none. */
static unsigned int
take_all(struct rte_mbuf **taken)
{
	unsigned int n = 0;

	while (n < LAB_BUFFERS && (taken[n] = rte_pktmbuf_alloc(lab.plane.pools[0])) != NULL)
		n++;
	return n;
}

/* A frame in pieces crosses rewritten, whatever its pieces are. */
static void
test_buffer_pieces_rewritten(void)
{
	static const size_t pieces[] = { 30, 100, 255, 256, 300, 700 };
	uint8_t frame[FRAME_SIZE], data[900];

	start();
	uint32_t iss = worker_lab_splice(&lab), seq = 1001;
	fill(data, sizeof(data));
	for (unsigned int i = 0; i < RTE_DIM(pieces); i++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_PROXY, 0x10, seq,
		                                         iss + 1);
		f.payload = data;
		f.payload_len = sizeof(data);
		run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, frame_build(frame, &f), pieces[i]));
		CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
		struct sent *s = &lab.sent[0];
		f.ack = 7001;
		size_t len = frame_build(frame, &f);
		CU_ASSERT_EQUAL(s->len, len);
		CU_ASSERT_EQUAL(memcmp(s->bytes, frame, len), 0);
		seq += sizeof(data);
	}
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_spliced), RTE_DIM(pieces));
	worker_lab_fini(&lab);
}

/* A port that cannot send pieces gets one. */
static void
test_buffer_pieces_made_one(void)
{
	uint8_t frame[FRAME_SIZE];

	start();
	lab.plane.ports[SIDE_INSIDE].tx_chains = false;
	worker_lab_other(frame);
	/* The first piece has room for the rest. */
	run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, 900, 300));
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
	CU_ASSERT_EQUAL(lab.sent[0].mbuf->nb_segs, 1);
	CU_ASSERT_EQUAL(memcmp(lab.sent[0].bytes, frame, 900), 0);
	/* And here it has not. */
	run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, 1200, 300));
	CU_ASSERT_EQUAL(lab.n_sent, 0);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.unfit, 1);
	lab.plane.ports[SIDE_INSIDE].tx_chains = true;
	run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, 1200, 300));
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
	CU_ASSERT_EQUAL(lab.sent[0].mbuf->nb_segs, 4);
	CU_ASSERT_EQUAL(memcmp(lab.sent[0].bytes, frame, 1200), 0);
	worker_lab_fini(&lab);
}

/* An answer takes the first piece, and the others are free. */
static void
test_buffer_pieces_answered(void)
{
	uint8_t frame[FRAME_SIZE], data[900];

	start();
	fill(data, sizeof(data));
	struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1, 0);
	f.payload = data;
	f.payload_len = sizeof(data);
	run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, frame_build(frame, &f), 300));
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
	CU_ASSERT_EQUAL(lab.sent[0].mbuf->nb_segs, 1);
	CU_ASSERT_EQUAL(worker_lab_out(&lab), 1);
	CU_ASSERT_TRUE(frame_is_good(lab.sent[0].bytes, lab.sent[0].len));
	worker_lab_fini(&lab);
}

/* Headers that go on in the second piece: nothing is edited behind the first. */
static void
test_buffer_headers_beyond_first_piece(void)
{
	static uint8_t v6[248];
	uint8_t frame[FRAME_SIZE], data[100] = { 0 };

	/* Destination options of 248 bytes: TCP begins at 14 + 40 + 248 = 302. */
	memcpy(v6, (uint8_t[]){ 6, 30, 1, 244 }, 4);
	worker_lab_init(&lab, 1, 2,
	                "  - {name: six, addresses: \"2001:db8:2::1\", ports: 82, mode: respond,\n"
	                "     cookies: always}\n");
	for (size_t piece = 321; piece <= 322; piece++) {
		struct frame_spec f = frame_spec_v6();
		f.ip_options = v6;
		f.ip_options_len = sizeof(v6);
		f.ip_first = 60;
		f.dst_port = LAB_RESPOND;
		f.payload = data;
		f.payload_len = sizeof(data);
		run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, frame_build(frame, &f), piece));
		CU_ASSERT_EQUAL(lab.n_sent, piece == 322);
	}
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_drop_header_chain), 1);
	/* In a first fragment they are looked for, too. */
	struct frame_spec f = frame_spec_v6();
	memcpy(v6, (uint8_t[]){ 44, 29, 1, 236 }, 4);
	memcpy(v6 + 240, (uint8_t[]){ 6, 0, 0, 1, 0, 0, 0, 9 }, 8);
	f.ip_options = v6;
	f.ip_options_len = sizeof(v6);
	f.ip_first = 60;
	f.dst_port = LAB_RESPOND;
	f.flags = 0x10;
	f.payload = data;
	f.payload_len = 84; /* with its header 104, eight times 13 */
	for (size_t piece = 321; piece <= 322; piece++)
		run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, frame_build(frame, &f), piece));
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_drop_header_chain), 2);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_drop_fragment), 1);
	/* What is not TCP has no such headers, whatever was here before it. */
	worker_lab_other(frame);
	run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, 600, 300));
	CU_ASSERT_EQUAL(lab.n_sent, 1);
	worker_lab_fini(&lab);
}

/* A frame longer than can be laid out is read by its head, and its data cannot be summed. */
static void
test_buffer_longer_than_any(void)
{
	uint8_t frame[FRAME_SIZE], data[1900];

	start();
	fill(data, sizeof(data));
	lab.plane.ports[SIDE_INSIDE].sent_size_max = FRAME_SIZE;
	lab.plane.workers[0]->linear_size = 1600;
	for (size_t n_data = 1600 - 54; n_data <= 1601 - 54; n_data++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1, 0);
		f.payload = data;
		f.payload_len = n_data;
		run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, frame_build(frame, &f), 0));
		CU_ASSERT_EQUAL(lab.n_sent, n_data == 1600 - 54);
	}
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_drop_ip_length), 1);
	worker_lab_other(frame);
	run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, 1700, 0));
	CU_ASSERT_EQUAL(lab.n_sent, 1);
	/* Of a fragment nothing is summed. */
	uint32_t iss = worker_lab_splice(&lab);
	struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_PROXY, 0x10, 1001, iss + 1);
	f.ip_fragment = 0x2000;
	f.payload = data;
	f.payload_len = 1704 - 20;
	run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, frame_build(frame, &f), 0));
	CU_ASSERT_EQUAL(lab.n_sent, 1);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_passed_fragment), 1);
	worker_lab_fini(&lab);
}

/* One that somebody else holds, too, is not written to; in one piece it may be of any length. */
static void
test_buffer_shared_is_copied(void)
{
	uint8_t frame[FRAME_SIZE];

	start();
	lab.plane.workers[0]->linear_size = 32;
	for (unsigned int i = 0; i < 2; i++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1, 0);
		size_t len = frame_build(frame, &f);
		struct rte_mbuf *m = worker_lab_mbuf(&lab, frame, len, 0), *indirect = m;
		if (i == 0) {
			rte_mbuf_refcnt_update(m, 1);
		} else {
			indirect = rte_pktmbuf_alloc(lab.plane.pools[0]);
			rte_pktmbuf_attach(indirect, m);
		}
		run(SIDE_OUTSIDE, indirect);
		CU_ASSERT_EQUAL(lab.n_sent, 1);
		CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(m, uint8_t *), frame, len), 0);
		CU_ASSERT_PTR_NOT_EQUAL(lab.sent[0].mbuf, m);
		CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(m), 1);
		rte_pktmbuf_free(m);
	}
	worker_lab_fini(&lab);
}

static void
test_buffer_none_for_a_copy(void)
{
	struct rte_mbuf *taken[LAB_BUFFERS];
	uint8_t frame[FRAME_SIZE];

	start();
	struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1, 0);
	struct rte_mbuf *m = worker_lab_mbuf(&lab, frame, frame_build(frame, &f), 0);
	struct rte_mbuf *plain = worker_lab_mbuf(&lab, frame, worker_lab_other(frame), 0);
	rte_mbuf_refcnt_update(m, 1);
	unsigned int n = take_all(taken);
	worker_lab_put(&lab, SIDE_OUTSIDE, 0, m);
	run(SIDE_OUTSIDE, plain);
	/* What came behind it goes on. */
	CU_ASSERT_EQUAL(lab.n_sent, 1);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.alloc_failed, 1);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.received[SIDE_OUTSIDE], 2);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_drop_no_buffer), 1);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(m), 1);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free_bulk(taken, n);
	worker_lab_fini(&lab);
}

/* An answer needs room behind where the frame begins. */
static void
test_buffer_without_room(void)
{
	uint8_t frame[FRAME_SIZE];

	start();
	for (unsigned int room = EMIT_HEADER_MAX - 1; room <= EMIT_HEADER_MAX; room++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1, 0);
		size_t len = frame_build(frame, &f);
		struct rte_mbuf *m = worker_lab_mbuf(&lab, frame, len, 0);
		uint16_t by = (uint16_t)(LAB_ROOM - room);
		memmove(rte_pktmbuf_mtod(m, uint8_t *) + by, frame, len);
		m->data_off = (uint16_t)(m->data_off + by);
		run(SIDE_OUTSIDE, m);
		CU_ASSERT_EQUAL(lab.n_sent, room == EMIT_HEADER_MAX);
	}
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.unfit, 1);
	worker_lab_fini(&lab);
}

/* The client is CONNECTING and has sent data that is held: `n_data` bytes in one segment. */
static uint32_t
hold(size_t n_data)
{
	static const uint8_t mss[4] = { 2, 4, 4, 0 };
	uint8_t frame[FRAME_SIZE], data[2000];

	worker_lab_splice(&lab);
	struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_PROXY, 0x02, 50000, 0);
	f.src_port = 41000;
	f.options = mss;
	f.options_len = 4;
	worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
	const uint8_t *p = lab.sent[0].bytes + frame_l4_off(lab.sent[0].bytes) + 4;
	uint32_t iss = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	fill(data, sizeof(data));
	f = worker_lab_segment(SIDE_OUTSIDE, LAB_PROXY, 0x10, 50001, iss + 1);
	f.src_port = 41000;
	f.payload = data;
	f.payload_len = n_data;
	run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, frame_build(frame, &f), 0));
	CU_ASSERT_EQUAL(lab.n_sent, 1);
	return iss;
}

static void
put_server_syn_ack(void)
{
	static const uint8_t mss[4] = { 2, 4, 16, 0 };
	struct frame_spec f = worker_lab_segment(SIDE_INSIDE, LAB_PROXY, 0x12, 8000, 50001);

	f.dst_port = 41000;
	f.options = mss;
	f.options_len = 4;
	worker_lab_put_tcp(&lab, SIDE_INSIDE, &f);
}

/* What was held of a client goes on in as many buffers as it takes. */
static void
test_buffer_held_data_in_pieces(void)
{
	static const size_t sizes[] = { 10,
		                        LAB_ROOM - EMIT_HEADER_MAX,
		                        LAB_ROOM - EMIT_HEADER_MAX + 1,
		                        800,
		                        1000,
		                        1024,
		                        1025,
		                        1200,
		                        1400 };
	uint8_t data[2000];

	fill(data, sizeof(data));
	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		size_t got = 0;
		start();
		lab.plane.ports[SIDE_OUTSIDE].tx_checksum = true;
		lab.plane.ports[SIDE_INSIDE].tx_checksum = i != 3;
		hold(sizes[i]);
		put_server_syn_ack();
		worker_lab_run(&lab, 0, 1);
		for (unsigned int k = 0; k < lab.n_sent; k++) {
			struct sent *s = &lab.sent[k];
			if (s->side == SIDE_OUTSIDE)
				continue;
			size_t total = (size_t)(s->bytes[16] << 8 | s->bytes[17]), n = total - 40;
			if (n == 0)
				continue;
			CU_ASSERT_EQUAL(s->len, 14 + total);
			CU_ASSERT_EQUAL(memcmp(s->bytes + 54, data + got, n), 0);
			/* What might not fit one is summed here, whatever the port can do. */
			bool one = n <= LAB_ROOM - EMIT_HEADER_MAX;
			CU_ASSERT_EQUAL(s->mbuf->ol_flags != 0,
			                one && lab.plane.ports[SIDE_INSIDE].tx_checksum);
			if (s->mbuf->ol_flags == 0)
				CU_ASSERT_TRUE(frame_is_good(s->bytes, s->len));
			CU_ASSERT_EQUAL(s->mbuf->nb_segs, 1 + (s->len - 1) / LAB_ROOM);
			for (const struct rte_mbuf *m = s->mbuf; m->next != NULL; m = m->next)
				CU_ASSERT_EQUAL(rte_pktmbuf_tailroom(m), 0);
			got += n;
		}
		CU_ASSERT_EQUAL(got, sizes[i]);
		worker_lab_fini(&lab);
	}
}

/* No buffer, or not enough of them: nothing is sent, nothing leaks, and it is counted. */
static void
test_buffer_none_to_send(void)
{
	struct rte_mbuf *taken[LAB_BUFFERS];

	for (unsigned int left = 0; left < 2; left++) {
		start();
		hold(1400);
		/* What was sent is free again. */
		worker_lab_run(&lab, 0, 1);
		put_server_syn_ack();
		unsigned int n = take_all(taken);
		if (left == 1)
			rte_pktmbuf_free(taken[--n]);
		worker_lab_run(&lab, 0, 1);
		/* The SYN-ACK's own buffer becomes one of the packets. */
		CU_ASSERT_EQUAL(worker_lab_out(&lab), n + lab.n_sent);
		CU_ASSERT_TRUE(lab.plane.workers[0]->account.alloc_failed > 0);
		rte_pktmbuf_free_bulk(taken, n);
		worker_lab_fini(&lab);
	}
}

/* An ICMP error in pieces crosses as it is. */
static void
test_buffer_icmp_in_pieces(void)
{
	uint8_t frame[FRAME_SIZE], icmp[900] = { 3, 4 };

	start();
	uint32_t iss = worker_lab_splice(&lab);
	for (unsigned int i = 0; i < 2; i++) {
		struct frame_spec quoted = worker_lab_segment(SIDE_INSIDE, LAB_PROXY, 0x10, iss + 1,
		                                              1001);
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_PROXY, 0, 0, 0);
		uint8_t inner[FRAME_SIZE];
		size_t n = frame_build(inner, &quoted) - 14;
		memset(icmp, 0, sizeof(icmp));
		icmp[0] = 3;
		icmp[1] = 4;
		memcpy(icmp + 8, inner + 14, n);
		uint16_t sum = frame_checksum(0, icmp, sizeof(icmp));
		icmp[2] = (uint8_t)(sum >> 8);
		icmp[3] = (uint8_t)sum;
		f.proto = 1;
		f.payload = icmp;
		f.payload_len = sizeof(icmp);
		size_t len = frame_build(frame, &f);
		run(SIDE_OUTSIDE, worker_lab_mbuf(&lab, frame, len, i == 0 ? 0 : 300));
		CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
		CU_ASSERT_EQUAL(memcmp(lab.sent[0].bytes, frame, len) == 0, i == 1);
	}
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_passed_icmp), 1);
	worker_lab_fini(&lab);
}

CU_TestInfo worker_buffer_tests[] = {
	CHECK_TEST(test_buffer_pieces_rewritten),
	CHECK_TEST(test_buffer_pieces_made_one),
	CHECK_TEST(test_buffer_pieces_answered),
	CHECK_TEST(test_buffer_headers_beyond_first_piece),
	CHECK_TEST(test_buffer_longer_than_any),
	CHECK_TEST(test_buffer_shared_is_copied),
	CHECK_TEST(test_buffer_none_for_a_copy),
	CHECK_TEST(test_buffer_without_room),
	CHECK_TEST(test_buffer_held_data_in_pieces),
	CHECK_TEST(test_buffer_none_to_send),
	CHECK_TEST(test_buffer_icmp_in_pieces),
	CU_TEST_INFO_NULL,
};
