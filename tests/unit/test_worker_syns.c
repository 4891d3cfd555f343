/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker with a queue of SYNs: they get what the rest leaves, and no less than their share. */
#include "worker_lab.h"

static const char services[] =
	"  - {name: proxy, addresses: 192.0.2.1, ports: 80, mode: proxy, repeat_syn: false}\n"
	"  - {name: cookies, addresses: 192.0.2.1, ports: 82, mode: respond, cookies: always}\n";

static struct worker_lab lab;

static void
start(unsigned int n_workers)
{
	worker_lab_init_syns(&lab, n_workers, 2, services);
}

static void
put_syns(unsigned int queue, unsigned int n)
{
	uint8_t frame[FRAME_SIZE];

	for (unsigned int i = 0; i < n; i++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1000, 0);
		f.src_port = (uint16_t)(3000 + i);
		size_t len = frame_build(frame, &f);
		worker_lab_put(&lab, SIDE_OUTSIDE, queue, worker_lab_mbuf(&lab, frame, len, 0));
	}
}

static void
put_others(enum side side, unsigned int n)
{
	uint8_t frame[FRAME_SIZE];
	size_t len = worker_lab_other(frame);

	for (unsigned int i = 0; i < n; i++)
		worker_lab_put(&lab, side, 0, worker_lab_mbuf(&lab, frame, len, 0));
}

/* Of what left, the next n are answers to SYNs, or none is. */
static unsigned int
next_are(unsigned int from, unsigned int n, bool answers)
{
	CU_ASSERT_FATAL(from + n <= lab.n_sent);
	for (unsigned int i = from; i < from + n; i++)
		CU_ASSERT_EQUAL(lab.sent[i].bytes[12] == 0x08, answers);
	return from + n;
}

static void
test_syns_are_answered_and_counted(void)
{
	start(1);
	const struct worker_account *a = &lab.plane.workers[0]->account;
	put_syns(1, 3);
	put_syns(0, 2);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 5);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_answered_syn_cookie), 5);
	CU_ASSERT_EQUAL(a->received[SIDE_OUTSIDE], 5);
	CU_ASSERT_EQUAL(a->received_syn, 3);
	/* A round that found SYNs alone was not empty. */
	put_syns(1, 1);
	uint64_t empty = a->empty_loops, loops = a->loops;
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(a->loops - loops - (a->empty_loops - empty), 1);
	/* What is no SYN is welcome there, too. */
	uint8_t frame[FRAME_SIZE];
	worker_lab_put(&lab, SIDE_OUTSIDE, 1,
	               worker_lab_mbuf(&lab, frame, worker_lab_other(frame), 0));
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_passed_other), 1);
	worker_lab_fini(&lab);
}

/* Nobody looks at more than the worker's own queues where there are none. */
static void
test_syns_without_a_queue_of_their_own(void)
{
	worker_lab_init(&lab, 1, 2, services);
	put_syns(1, 1);
	worker_lab_run(&lab, 0, 3);
	CU_ASSERT_EQUAL(lab.n_sent, 0);
	worker_lab_init_syns(&lab, 1, 2, services);
	worker_lab_fini(&lab);
}

static void
test_syns_come_after_the_rest(void)
{
	start(1);
	put_syns(1, 40);
	put_others(SIDE_OUTSIDE, 31);
	put_others(SIDE_INSIDE, 31);
	worker_lab_run(&lab, 0, 1);
	unsigned int at = next_are(0, 62, false);
	at = next_are(at, 32, true);
	at = next_are(at, 8, true);
	CU_ASSERT_EQUAL(at, lab.n_sent);
	worker_lab_fini(&lab);
}

/* A full burst says that more is waiting: one burst of SYNs in eight rounds. */
static void
test_syns_wait_for_a_ring_that_is_behind(void)
{
	for (unsigned int side = 0; side < SIDE_COUNT; side++) {
		start(1);
		put_syns(1, 40);
		put_others(side, 10 * BURST);
		worker_lab_run(&lab, 0, 1);
		unsigned int at = next_are(0, 8 * BURST, false);
		at = next_are(at, BURST, true);
		at = next_are(at, 2 * BURST, false);
		at = next_are(at, 8, true);
		CU_ASSERT_EQUAL(at, lab.n_sent);
		worker_lab_fini(&lab);
	}
}

/* The same of what other workers hand over. */
static void
test_syns_wait_for_what_is_handed_over(void)
{
	uint8_t frame[FRAME_SIZE];
	size_t len = worker_lab_other(frame);

	start(2);
	for (unsigned int i = 0; i < 2 * BURST; i++) {
		struct rte_mbuf *m = worker_lab_mbuf(&lab, frame, len, 0);
		m->port = lab.plane.ports[SIDE_OUTSIDE].id;
		rte_ring_sp_enqueue(lab.plane.workers[0]->from[1], m);
	}
	put_syns(2, 40);
	worker_lab_run(&lab, 0, 3);
	unsigned int at = next_are(0, 2 * BURST, false);
	at = next_are(at, 40, true);
	CU_ASSERT_EQUAL(at, lab.n_sent);
	worker_lab_fini(&lab);
}

/* Each worker has its own, and gives away what is another's there as elsewhere. */
static void
test_syns_of_another_worker(void)
{
	unsigned int n_own = 0;

	start(2);
	for (uint16_t i = 0; i < 20; i++) {
		uint8_t frame[FRAME_SIZE];
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_PROXY, 0x02, 1000, 0);
		f.src_port = (uint16_t)(5000 + i);
		size_t len = frame_build(frame, &f);
		worker_lab_put(&lab, SIDE_OUTSIDE, 3, worker_lab_mbuf(&lab, frame, len, 0));
	}
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 0);
	worker_lab_run(&lab, 1, 1);
	n_own = lab.n_sent;
	const struct worker_account *a = &lab.plane.workers[1]->account;
	CU_ASSERT_EQUAL(a->received_syn, 20);
	CU_ASSERT_TRUE(a->handed_over > 0 && a->handed_over < 20);
	CU_ASSERT_EQUAL(n_own + a->handed_over, 20);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, a->handed_over);
	worker_lab_fini(&lab);
}

CU_TestInfo worker_syns_tests[] = {
	CHECK_TEST(test_syns_are_answered_and_counted),
	CHECK_TEST(test_syns_without_a_queue_of_their_own),
	CHECK_TEST(test_syns_come_after_the_rest),
	CHECK_TEST(test_syns_wait_for_a_ring_that_is_behind),
	CHECK_TEST(test_syns_wait_for_what_is_handed_over),
	CHECK_TEST(test_syns_of_another_worker),
	CU_TEST_INFO_NULL,
};
