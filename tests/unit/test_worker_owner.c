/* SPDX-License-Identifier: BSD-3-Clause */
/* Several workers: what another one owns is handed over, and nothing else is. */
#include "cookie.h"
#include "core_state.h"
#include "worker_lab.h"

#define N_WORKERS 3u

static const char services[] =
	"  - {name: proxy, addresses: 192.0.2.1, ports: 80, mode: proxy, repeat_syn: false}\n"
	"  - {name: bypassed, addresses: 192.0.2.1, ports: 81, mode: bypass}\n"
	"  - {name: respond, addresses: 192.0.2.1, ports: 82, mode: respond, cookies: always}\n";

static struct worker_lab lab;

static void
start(void)
{
	worker_lab_init(&lab, N_WORKERS, 2, services);
}

/* A segment of the flow with this client port. */
static struct frame_spec
of_port(enum side side, uint16_t client_port, uint16_t port, uint8_t flags)
{
	struct frame_spec f = worker_lab_segment(side, port, flags, 1000, 0);

	if (side == SIDE_OUTSIDE)
		f.src_port = client_port;
	else
		f.dst_port = client_port;
	return f;
}

static uint32_t
owner_of_port(uint16_t client_port, uint16_t port)
{
	struct frame_spec f = of_port(SIDE_OUTSIDE, client_port, port, 0);
	struct flow flow = { .client = f.src,
		             .server = f.dst,
		             .client_port_be = htobe16(client_port),
		             .server_port_be = htobe16(port) };

	return owner_of_hash(&lab.plane.owners, owner_hash(&lab.plane.owners, &flow, true));
}

/* A client port whose flow belongs to worker `id`. */
static uint16_t
port_of(uint32_t id, uint16_t port)
{
	uint16_t client_port = 20000;

	while (owner_of_port(client_port, port) != id)
		client_port++;
	return client_port;
}

static unsigned int
n_for(unsigned int id, unsigned int from)
{
	return rte_ring_count(lab.plane.workers[id]->from[from]);
}

static void
test_owner_gets_its_segments(void)
{
	start();
	for (unsigned int side = 0; side < SIDE_COUNT; side++) {
		for (uint32_t id = 0; id < N_WORKERS; id++) {
			struct frame_spec f = of_port(side, port_of(id, LAB_PROXY), LAB_PROXY,
			                              0x10);
			uint64_t before = lab.plane.workers[0]->account.handed_over;
			worker_lab_put_tcp(&lab, side, &f);
			worker_lab_run(&lab, 0, 1);
			for (unsigned int k = 1; k < N_WORKERS; k++)
				CU_ASSERT_EQUAL(n_for(k, 0), k == id);
			CU_ASSERT_EQUAL(lab.plane.workers[0]->account.handed_over - before,
			                id != 0);
			/* It is dealt with by its owner, as of the side that it came by. */
			CU_ASSERT_EQUAL(lab.n_sent, id == 0);
			if (id != 0) {
				worker_lab_run(&lab, id, 1);
				CU_ASSERT_EQUAL(n_for(id, 0), 0);
				CU_ASSERT_EQUAL(lab.plane.workers[id]->account.taken_over,
				                side + 1);
				CU_ASSERT_EQUAL(lab.plane.workers[id]->account.received[side], 0);
				/* What others received for it is work, too. */
				CU_ASSERT_EQUAL(lab.plane.workers[id]->account.empty_loops, 0);
			}
			CU_ASSERT_EQUAL(lab.n_sent, 1);
			CU_ASSERT_EQUAL(worker_lab_count(&lab, id, COUNTER_answered_rst), side + 1);
			CU_ASSERT_EQUAL(lab.sent[0].side, side);
			CU_ASSERT_EQUAL(lab.sent[0].queue, id);
		}
	}
	worker_lab_fini(&lab);
}

/* A burst that is mixed: what stays is in order, and each goes to its own. */
static void
test_owner_of_a_mixed_burst(void)
{
	uint8_t frame[FRAME_SIZE];
	unsigned int n_other = 0;

	start();
	for (unsigned int i = 0; i < 30; i++) {
		if (i % 3 == 0) {
			size_t len = worker_lab_other(frame);
			frame[20] = (uint8_t)n_other++;
			worker_lab_put(&lab, SIDE_OUTSIDE, 0, worker_lab_mbuf(&lab, frame, len, 0));
			continue;
		}
		struct frame_spec f = of_port(SIDE_OUTSIDE, port_of(i % 2, LAB_PROXY), LAB_PROXY,
		                              0x10);
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
	}
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(n_for(1, 0), 10);
	CU_ASSERT_EQUAL(n_for(2, 0), 0);
	unsigned int n = 0;
	for (unsigned int i = 0; i < lab.n_sent; i++)
		if (lab.sent[i].bytes[12] == 0x88)
			CU_ASSERT_EQUAL(lab.sent[i].bytes[20], n++);
	CU_ASSERT_EQUAL(n, 10);
	CU_ASSERT_EQUAL(lab.n_sent, 20);
	worker_lab_run(&lab, 1, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 10);
	worker_lab_fini(&lab);
}

/* No service's, what cannot be read, and a SYN that a cookie answers: dealt with at once. */
static void
test_owner_is_whoever_received_it(void)
{
	uint8_t frame[FRAME_SIZE];

	start();
	for (uint32_t id = 0; id < N_WORKERS; id++) {
		struct frame_spec f = of_port(SIDE_OUTSIDE, port_of(id, LAB_RESPOND), LAB_RESPOND,
		                              0x02);
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
		f = of_port(SIDE_OUTSIDE, port_of(id, LAB_PROXY), LAB_PROXY, 0x03);
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
		f = of_port(SIDE_OUTSIDE, 30000, LAB_PROXY, 0x10);
		f.dst.bytes[15] = 99;
		f.src_port = (uint16_t)(30000 + id);
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
		worker_lab_put(&lab, SIDE_OUTSIDE, 0,
		               worker_lab_mbuf(&lab, frame, worker_lab_other(frame), 0));
	}
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.handed_over, 0);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_answered_syn_cookie), N_WORKERS);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_passed_other), 2 * N_WORKERS);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_drop_flags), N_WORKERS);
	/* All are told until when its cookies may be out. */
	CU_ASSERT_NOT_EQUAL(lab.plane.cookies_until_s[2], 0);
	worker_lab_fini(&lab);
}

/* One worker has nobody to tell. */
static void
test_owner_of_all(void)
{
	worker_lab_init(&lab, 1, 2, services);
	struct frame_spec f = of_port(SIDE_OUTSIDE, 30000, LAB_RESPOND, 0x02);
	worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_answered_syn_cookie), 1);
	for (unsigned int i = 0; i < SERVICES_MAX; i++)
		CU_ASSERT_EQUAL(lab.plane.cookies_until_s[i], 0);
	worker_lab_fini(&lab);
}

/* After a reload, what is of no service may belong to a connection of one that is gone. */
static void
test_owner_after_a_reload(void)
{
	struct policy policy;

	start();
	policy = *lab.plane.policy;
	policy.generation = 2;
	lab.plane.policy = &policy;
	struct frame_spec f = of_port(SIDE_OUTSIDE, 30000, LAB_PROXY, 0x10);
	f.dst.bytes[15] = 99;
	unsigned int n = 0;
	for (unsigned int i = 0; i < 30; i++) {
		f.src_port = (uint16_t)(30000 + i);
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
	}
	worker_lab_run(&lab, 0, 1);
	n = n_for(1, 0) + n_for(2, 0);
	CU_ASSERT_TRUE(n > 5 && n < 30);
	CU_ASSERT_EQUAL(lab.n_sent, 30 - n);
	worker_lab_run(&lab, 1, 1);
	worker_lab_run(&lab, 2, 1);
	lab.plane.policy = &lab.conf->policy;
	worker_lab_fini(&lab);
}

/* The ring is full: what does not fit is freed and counted. */
static void
test_owner_ring_full(void)
{
	static void *filler[HAND_OVER_RING];

	start();
	struct rte_ring *ring = lab.plane.workers[1]->from[0];
	unsigned int n = 0;
	while (rte_ring_count(ring) + 2 < rte_ring_get_capacity(ring) &&
	       rte_ring_sp_enqueue(ring, &filler[n]) == 0)
		n++;
	for (unsigned int i = 0; i < 5; i++) {
		struct frame_spec f = of_port(SIDE_OUTSIDE, port_of(1, LAB_PROXY), LAB_PROXY, 0x10);
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
	}
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.handed_over, 2);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_drop_hand_over), 3);
	CU_ASSERT_EQUAL(worker_lab_out(&lab), 2);
	void *p;
	for (unsigned int i = 0; i < n; i++)
		CU_ASSERT_EQUAL(rte_ring_sc_dequeue(ring, &p), 0);
	worker_lab_run(&lab, 1, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 2);
	worker_lab_fini(&lab);
}

/* More than a burst from each of two. */
static void
test_owner_takes_all_that_was_handed_over(void)
{
	start();
	for (unsigned int i = 0; i < 40; i++) {
		struct frame_spec f = of_port(SIDE_INSIDE, port_of(2, LAB_PROXY), LAB_PROXY, 0x10);
		worker_lab_put_tcp(&lab, SIDE_INSIDE, &f);
	}
	worker_lab_run(&lab, 0, 1);
	for (unsigned int i = 0; i < 40; i++) {
		struct frame_spec f = of_port(SIDE_INSIDE, port_of(2, LAB_PROXY), LAB_PROXY, 0x10);
		uint8_t frame[FRAME_SIZE];
		worker_lab_put(&lab, SIDE_INSIDE, 1,
		               worker_lab_mbuf(&lab, frame, frame_build(frame, &f), 0));
	}
	worker_lab_run(&lab, 1, 1);
	CU_ASSERT_EQUAL(n_for(2, 0), 40);
	CU_ASSERT_EQUAL(n_for(2, 1), 40);
	worker_lab_run(&lab, 2, 2);
	CU_ASSERT_EQUAL(lab.n_sent, 80);
	CU_ASSERT_EQUAL(lab.plane.workers[2]->account.taken_over, 80);
	worker_lab_fini(&lab);
}

/* The NIC's hash is used where it is one over the ports of a plain frame from outside. */
static void
test_owner_by_the_port_s_hash(void)
{
	uint8_t frame[FRAME_SIZE], data[64] = { 0 };

	start();
	for (unsigned int i = 0; i < 7; i++) {
		enum side side = i == 3 ? SIDE_INSIDE : SIDE_OUTSIDE;
		struct frame_spec f = of_port(side, port_of(1, LAB_PROXY), LAB_PROXY, 0x10);
		static const uint8_t nops[4] = { 1, 1, 1, 1 };
		if (i == 2) {
			f.n_tags = 1;
			f.tpid[0] = 0x8100;
			f.tci[0] = 5;
		}
		if (i == 4) {
			f.ip_options = nops;
			f.ip_options_len = 4;
		}
		if (i == 6) { /* of a fragment a NIC hashes no more than the addresses */
			f.ip_fragment = 0x2000;
			f.payload = data;
			f.payload_len = 64 - 20;
		}
		struct rte_mbuf *m = worker_lab_mbuf(&lab, frame, frame_build(frame, &f), 0);
		m->hash.rss = 2; /* says worker 2, and is a lie */
		m->ol_flags = i == 1 ? 0 : RTE_MBUF_F_RX_RSS_HASH;
		lab.plane.ports[SIDE_OUTSIDE].rss = i != 5;
		lab.plane.ports[SIDE_INSIDE].rss = false;
		worker_lab_put(&lab, side, 0, m);
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL(n_for(2, 0), i == 0);
		CU_ASSERT_EQUAL(n_for(1, 0), i != 0);
		worker_lab_run(&lab, 1, 1);
		worker_lab_run(&lab, 2, 1);
	}
	CU_ASSERT_EQUAL(owner_of_hash(&lab.plane.owners, 2), 2);
	worker_lab_fini(&lab);
}

static void
put_fragment(uint16_t client_port, bool later, uint16_t id, unsigned int queue)
{
	uint8_t frame[FRAME_SIZE], data[64] = { 0 };
	struct frame_spec f = of_port(SIDE_OUTSIDE, client_port, LAB_PROXY, 0x10);

	f.ip_id = id;
	/* 64 bytes from 0, TCP header and all, and 64 from there on. */
	f.ip_fragment = later ? 64 / 8 : 0x2000;
	f.proto = later ? 6 : 0;
	f.payload = data;
	f.payload_len = later ? 64 : 64 - 20;
	worker_lab_put(&lab, SIDE_OUTSIDE, queue,
	               worker_lab_mbuf(&lab, frame, frame_build(frame, &f), 0));
}

/* Later fragments, which name no port, follow their first one, whoever received them. */
static void
test_owner_of_fragments(void)
{
	start();
	for (uint32_t id = 0; id < N_WORKERS; id++) {
		uint16_t client_port = port_of(id, LAB_PROXY);
		/* Nothing is known of it: whoever received it. */
		put_fragment(client_port, true, (uint16_t)(100 + id), 0);
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL(n_for(1, 0) + n_for(2, 0), 0);
		put_fragment(client_port, false, (uint16_t)(100 + id), 0);
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL(n_for(1, 0), id == 1);
		CU_ASSERT_EQUAL(n_for(2, 0), id == 2);
		worker_lab_run(&lab, 1, 1);
		worker_lab_run(&lab, 2, 1);
		for (unsigned int queue = 0; queue < N_WORKERS; queue++) {
			put_fragment(client_port, true, (uint16_t)(100 + id), queue);
			worker_lab_run(&lab, queue, 1);
			for (unsigned int k = 0; k < N_WORKERS; k++)
				if (k != queue)
					CU_ASSERT_EQUAL(n_for(k, queue), k == id);
			for (unsigned int k = 0; k < N_WORKERS; k++)
				worker_lab_run(&lab, k, 1);
		}
	}
	worker_lab_fini(&lab);
}

/* Fewer queues than workers: they share one, under its lock; and who has none receives
 * nothing. */
static void
test_owner_queues_shared(void)
{
	start();
	lab.plane.ports[SIDE_OUTSIDE].n_rx = 1;
	lab.plane.ports[SIDE_OUTSIDE].n_tx = 2;
	for (uint32_t id = 0; id < N_WORKERS; id++) {
		struct frame_spec f = of_port(SIDE_OUTSIDE, port_of(id, LAB_PROXY), LAB_PROXY,
		                              0x10);
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
		worker_lab_run(&lab, 0, 1);
		if (id != 0)
			worker_lab_run(&lab, id, 1);
		CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
		CU_ASSERT_EQUAL(lab.sent[0].queue, id % 2);
		CU_ASSERT_TRUE(lab.tx_is_locked);
	}
	struct frame_spec f = of_port(SIDE_INSIDE, port_of(0, LAB_PROXY), LAB_PROXY, 0x10);
	worker_lab_put_tcp(&lab, SIDE_INSIDE, &f);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 1);
	CU_ASSERT_FALSE(lab.tx_is_locked);
	f = of_port(SIDE_OUTSIDE, port_of(1, LAB_PROXY), LAB_PROXY, 0x10);
	uint8_t frame[FRAME_SIZE];
	struct rte_mbuf *m = worker_lab_mbuf(&lab, frame, frame_build(frame, &f), 0);
	worker_lab_put(&lab, SIDE_OUTSIDE, 1, m);
	worker_lab_run(&lab, 1, 1);
	CU_ASSERT_EQUAL(lab.plane.workers[1]->account.received[SIDE_OUTSIDE], 0);
	rte_pktmbuf_free(m);
	worker_lab_fini(&lab);
}

/* What is handed to nobody is limited by each of those that receive. */
static void
test_owner_cores_know_how_many_receive(void)
{
	start();
	for (unsigned int id = 0; id < N_WORKERS; id++)
		CU_ASSERT_EQUAL(lab.plane.workers[id]->core->params.n_receivers, N_WORKERS);
	worker_lab_fini(&lab);
}

CU_TestInfo worker_owner_tests[] = {
	CHECK_TEST(test_owner_gets_its_segments),
	CHECK_TEST(test_owner_of_a_mixed_burst),
	CHECK_TEST(test_owner_is_whoever_received_it),
	CHECK_TEST(test_owner_of_all),
	CHECK_TEST(test_owner_after_a_reload),
	CHECK_TEST(test_owner_ring_full),
	CHECK_TEST(test_owner_takes_all_that_was_handed_over),
	CHECK_TEST(test_owner_by_the_port_s_hash),
	CHECK_TEST(test_owner_cores_know_how_many_receive),
	CHECK_TEST(test_owner_of_fragments),
	CHECK_TEST(test_owner_queues_shared),
	CU_TEST_INFO_NULL,
};
