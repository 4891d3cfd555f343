/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker does between bursts: timers, a new policy, draining, questions. */
#include "cookie.h"
#include "worker_lab.h"

static const char services[] =
	"  - {name: proxy, addresses: 192.0.2.1, ports: 80, mode: proxy, repeat_syn: false}\n"
	"  - {name: respond, addresses: 192.0.2.1, ports: 82, mode: respond}\n";

static struct worker_lab lab;

static void
start(void)
{
	worker_lab_init(&lab, 1, 2, services);
	/* Each round without a frame is followed by housekeeping. */
	lab.plane.workers[0]->idle.way = IDLE_PAUSES;
}

static void
put_syn(uint16_t client_port)
{
	struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1000, 0);

	f.src_port = client_port;
	worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
}

/* A SYN-ACK goes out again after a second, from a buffer of its own. */
static void
test_time_sends_again(void)
{
	start();
	put_syn(4000);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
	struct sent first = lab.sent[0];
	worker_lab_wait(&lab, 900);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 0);
	worker_lab_wait(&lab, 150);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
	CU_ASSERT_EQUAL(lab.sent[0].side, SIDE_OUTSIDE);
	CU_ASSERT_TRUE(frame_is_good(lab.sent[0].bytes, lab.sent[0].len));
	size_t l4 = frame_l4_off(first.bytes);
	CU_ASSERT_EQUAL(memcmp(lab.sent[0].bytes + l4, first.bytes + l4, 8), 0);
	worker_lab_fini(&lab);
}

/* A port that fills checksums in is told where they stand behind any tags. */
static void
test_time_sends_again_by_a_port_with_checksums(void)
{
	for (unsigned int n_tags = 0; n_tags < 3; n_tags++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1000, 0);

		start();
		lab.plane.ports[SIDE_OUTSIDE].tx_checksum = true;
		f.n_tags = n_tags;
		f.tpid[0] = n_tags == 2 ? 0x88a8 : 0x8100;
		f.tpid[1] = 0x8100;
		f.tci[0] = f.tci[1] = 1;
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
		worker_lab_run(&lab, 0, 1);
		worker_lab_wait(&lab, 1100);
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
		/* But for a frame that is padded, or has two. */
		if (n_tags != 1) {
			CU_ASSERT_EQUAL(lab.sent[0].mbuf->ol_flags, 0);
			CU_ASSERT_TRUE(frame_is_good(lab.sent[0].bytes, lab.sent[0].len));
			worker_lab_fini(&lab);
			continue;
		}
		CU_ASSERT_EQUAL(lab.sent[0].mbuf->l2_len, 14 + 4 * n_tags);
		CU_ASSERT_EQUAL(lab.sent[0].mbuf->l3_len, 20);
		CU_ASSERT_EQUAL(lab.sent[0].mbuf->ol_flags, RTE_MBUF_F_TX_TCP_CKSUM |
		                                                    RTE_MBUF_F_TX_IPV4 |
		                                                    RTE_MBUF_F_TX_IP_CKSUM);
		worker_lab_fini(&lab);
	}
}

/* The secrets of the day, not those of its start. */
static void
test_time_follows_secrets(void)
{
	start();
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_PTR_EQUAL(lab.plane.workers[0]->now.secrets, secret_current(lab.plane.secrets));
	worker_lab_wait(&lab, 31000);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_PTR_EQUAL(lab.plane.workers[0]->now.secrets, secret_current(lab.plane.secrets));
	worker_lab_fini(&lab);
}

/* Where a worker may not sleep, it looks at its timers once in 256 rounds. */
static void
test_time_of_one_that_does_not_sleep(void)
{
	start();
	lab.plane.workers[0]->idle.way = IDLE_POLL;
	put_syn(4000);
	worker_lab_run(&lab, 0, 1);
	worker_lab_wait(&lab, 1100);
	uint64_t loops = lab.plane.workers[0]->account.loops;
	worker_lab_run(&lab, 0, 255);
	CU_ASSERT_EQUAL(lab.n_sent, 0);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.loops, loops + 255);
	worker_lab_run(&lab, 0, 256);
	CU_ASSERT_EQUAL(lab.n_sent, 1);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.sleeps, 0);
	worker_lab_fini(&lab);
}

/* One that may pauses once the silence is long enough, and is awake from the first frame on. */
static void
test_time_pauses(void)
{
	uint8_t frame[FRAME_SIZE];

	start();
	struct worker *w = lab.plane.workers[0];
	struct worker_account *a = &w->account;
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(a->sleeps, 0);
	CU_ASSERT_EQUAL(a->empty_loops, 1);
	w->idle.since_us = 0;
	worker_lab_run(&lab, 0, 3);
	CU_ASSERT_EQUAL(a->sleeps, 3);
	worker_lab_put(&lab, SIDE_OUTSIDE, 0,
	               worker_lab_mbuf(&lab, frame, worker_lab_other(frame), 0));
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(a->sleeps, 3);
	CU_ASSERT_EQUAL(a->empty_loops, 1 + 3 + 1);
	CU_ASSERT_EQUAL(a->loops, 1 + 3 + 2);
	worker_lab_fini(&lab);
}

/* Of the process's threads only this one may write what the core has. */
static void
test_time_follows_policy(void)
{
	struct policy policy;

	start();
	policy = *lab.plane.policy;
	policy.generation = 7;
	lab.plane.policy = &policy;
	CU_ASSERT_NOT_EQUAL(core_policy(lab.plane.workers[0]->core)->generation, 7);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(core_policy(lab.plane.workers[0]->core)->generation, 7);
	CU_ASSERT_PTR_EQUAL(lab.plane.workers[0]->policy, &policy);
	lab.plane.policy = &lab.conf->policy;
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_PTR_EQUAL(core_policy(lab.plane.workers[0]->core), &lab.conf->policy);
	worker_lab_fini(&lab);
}

/* Draining, SYNs pass; and not draining any more, they are answered again. */
static void
test_time_drains(void)
{
	start();
	for (unsigned int i = 0; i < 3; i++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_PROXY, 0x02, 1000, 0);
		f.src_port = (uint16_t)(5000 + i);
		lab.plane.draining = i == 1;
		if (i == 0)
			worker_lab_splice(&lab);
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL_FATAL(lab.n_sent, 1);
		CU_ASSERT_EQUAL(lab.sent[0].side, i == 1 ? SIDE_INSIDE : SIDE_OUTSIDE);
	}
	worker_lab_fini(&lab);
}

/* Resetting, what remains gets RST at both ends, and the account says that none is left. */
static void
test_time_resets(void)
{
	start();
	worker_lab_splice(&lab);
	worker_lab_wait(&lab, 10);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.remaining, 1);
	lab.plane.resetting = true;
	worker_lab_wait(&lab, 10);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL_FATAL(lab.n_sent, 2);
	CU_ASSERT_EQUAL(lab.sent[0].side + lab.sent[1].side, 1);
	for (unsigned int i = 0; i < 2; i++)
		CU_ASSERT_TRUE(lab.sent[i].bytes[frame_l4_off(lab.sent[i].bytes) + 13] & 0x04);
	CU_ASSERT_EQUAL(lab.plane.workers[0]->account.remaining, 0);
	CU_ASSERT_EQUAL(worker_lab_count(&lab, 0, COUNTER_drained), 1);
	worker_lab_fini(&lab);
}

/* Not more often than once a millisecond. */
static void
test_time_ticks_by_the_millisecond(void)
{
	struct worker *w;

	start();
	w = lab.plane.workers[0];
	worker_lab_run(&lab, 0, 1);
	struct timespec had;
	CU_ASSERT_NOT_EQUAL(w->cpu_clock, CLOCK_REALTIME);
	CU_ASSERT_EQUAL(clock_gettime(w->cpu_clock, &had), 0);
	/* A clock that stands still. */
	w->last_tick_ms = w->now.now_ms = 12345;
	w->account.remaining = 99;
	housekeeping(w);
	CU_ASSERT_EQUAL(w->account.remaining, 99);
	w->now.now_ms++;
	housekeeping(w);
	CU_ASSERT_EQUAL(w->account.remaining, 0);
	CU_ASSERT_EQUAL(w->last_tick_ms, 12346);
	worker_lab_fini(&lab);
}

/* A question about its table is answered in parts, and one beyond its end with none. */
static void
test_time_answers_questions(void)
{
	struct connection_view views[4];
	struct mail whole = { .max = 4, .views = views }, part = { .max = 1, .views = views };
	struct mail past = { .start = 1000000, .max = 4, .views = views, .n = 9, .next = 9 };

	start();
	worker_lab_splice(&lab);
	struct worker *w = lab.plane.workers[0];
	uint32_t bound = core_connection_bound(w->core);
	CU_ASSERT_TRUE(bound >= 1);
	rte_ring_enqueue(w->mailbox.ring, &whole);
	rte_ring_enqueue(w->mailbox.ring, &part);
	rte_ring_enqueue(w->mailbox.ring, &past);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_TRUE(whole.done && part.done && past.done);
	CU_ASSERT_TRUE(whole.n >= 1 && whole.n <= 2);
	CU_ASSERT_EQUAL(whole.next, 0);
	CU_ASSERT_EQUAL(part.n, 1);
	CU_ASSERT_EQUAL(part.next, bound == 1 ? 0 : 1);
	CU_ASSERT_EQUAL(past.n, 0);
	CU_ASSERT_EQUAL(past.next, 0);
	/* It is not running any more: nobody waits for it in vain. */
	struct mail late = { .max = 4, .views = views };
	CU_ASSERT_FALSE(mailbox_ask(w, &late));
	worker_lab_fini(&lab);
}

CU_TestInfo worker_time_tests[] = {
	CHECK_TEST(test_time_sends_again),
	CHECK_TEST(test_time_sends_again_by_a_port_with_checksums),
	CHECK_TEST(test_time_follows_secrets),
	CHECK_TEST(test_time_of_one_that_does_not_sleep),
	CHECK_TEST(test_time_pauses),
	CHECK_TEST(test_time_follows_policy),
	CHECK_TEST(test_time_drains),
	CHECK_TEST(test_time_resets),
	CHECK_TEST(test_time_ticks_by_the_millisecond),
	CHECK_TEST(test_time_answers_questions),
	CU_TEST_INFO_NULL,
};
