/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker that sleeps until it is woken: by whom, and what it does before and after. */
#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker_lab.h"

#define LONG_US 5000000u

static const char services[] =
	"  - {name: proxy, addresses: 192.0.2.1, ports: 80, mode: proxy, repeat_syn: false}\n";

static struct worker_lab lab;

/* Worker 0 has all queues, and drivers without interrupts; worker 1 has none. */
static void
start(void)
{
	worker_lab_init(&lab, 2, 2, services);
	lab.conf->workers.idle = CONF_IDLE_AUTO;
	for (unsigned int side = 0; side < 2; side++) {
		lab.plane.ports[side].n_rx = 1;
		lab.plane.ports[side].driver = "net_null";
	}
	for (unsigned int i = 0; i < 2; i++)
		lab.plane.workers[i]->idle.way = wakeup_open(lab.plane.workers[i]);
	lab.plane.wakes = true;
}

static void
test_idle_way_by_queues(void)
{
	start();
	CU_ASSERT_EQUAL(lab.plane.workers[0]->idle.way, IDLE_PAUSES);
	CU_ASSERT_EQUAL(lab.plane.workers[1]->idle.way, IDLE_INTERRUPTS);
	lab.conf->workers.idle = CONF_IDLE_POLL;
	wakeup_close(lab.plane.workers[1]);
	CU_ASSERT_EQUAL(wakeup_open(lab.plane.workers[1]), IDLE_POLL);
	CU_ASSERT_EQUAL(lab.plane.workers[1]->wakeup.epoll, -1);
	worker_lab_fini(&lab);
}

/* In the place of DPDK's own, for the test below: a port with vectors or without. */
static struct {
	int vectors; /* what adding and removing a queue's returns */
	int enabling;
	int missing;         /* the queue without a vector, 0: none is */
	unsigned int queues; /* whose interrupts were enabled last, as bits */
	unsigned int n_added, n_removed, n_enabled, n_disabled;
} nic;

int
rte_eth_dev_rx_intr_ctl_q(uint16_t port, uint16_t queue, int epoll, int op, void *data)
{
	(void)port, (void)epoll, (void)data;
	if (nic.missing != 0 && queue == nic.missing)
		return -EPERM;
	*(op == RTE_INTR_EVENT_ADD ? &nic.n_added : &nic.n_removed) += 1;
	return nic.vectors;
}

int
rte_eth_dev_rx_intr_enable(uint16_t port, uint16_t queue)
{
	(void)port;
	nic.n_enabled++;
	nic.queues |= 1u << queue;
	return nic.enabling;
}

int
rte_eth_dev_rx_intr_disable(uint16_t port, uint16_t queue)
{
	(void)port;
	nic.n_disabled++;
	nic.queues &= ~(1u << queue);
	return 0;
}

/* Worker 0 of a NIC's two ports. */
static struct worker *
start_on_nic(int vectors, int enabling)
{
	start();
	memset(&nic, 0, sizeof(nic));
	nic.vectors = vectors;
	nic.enabling = enabling;
	for (unsigned int side = 0; side < 2; side++) {
		lab.plane.ports[side].driver = "net_vmxnet3";
		lab.plane.ports[side].rx_interrupts = true;
	}
	wakeup_close(lab.plane.workers[0]);
	lab.plane.workers[0]->idle.way = wakeup_open(lab.plane.workers[0]);
	return lab.plane.workers[0];
}

/* A driver that has no vector for a queue is not asked to enable its interrupts. */
static void
test_idle_no_vector_is_not_enabled(void)
{
	struct worker *w = start_on_nic(-EPERM, 0);

	CU_ASSERT_EQUAL(w->idle.way, IDLE_PAUSES);
	CU_ASSERT_EQUAL(nic.n_enabled, 0);
	CU_ASSERT_EQUAL(w->wakeup.armable, 0);
	wakeup_arm(w);
	wakeup_disarm(w);
	CU_ASSERT_EQUAL(nic.n_enabled, 0);
	CU_ASSERT_EQUAL(nic.n_disabled, 0);
	worker_lab_fini(&lab);

	w = start_on_nic(0, -ENOTSUP);
	CU_ASSERT_EQUAL(w->idle.way, IDLE_PAUSES);
	CU_ASSERT_EQUAL(w->wakeup.armable, 0);
	CU_ASSERT_EQUAL(nic.n_removed, nic.n_added);
	worker_lab_fini(&lab);
}

static void
test_idle_vectors_are_armed(void)
{
	struct worker *w = start_on_nic(0, 0);

	CU_ASSERT_EQUAL(w->idle.way, IDLE_INTERRUPTS);
	CU_ASSERT_EQUAL(w->wakeup.armable, 3);
	/* Only while the worker waits. */
	CU_ASSERT_EQUAL(nic.n_enabled, 2);
	CU_ASSERT_EQUAL(nic.n_disabled, 2);
	wakeup_arm(w);
	CU_ASSERT_EQUAL(nic.n_enabled, 4);
	wakeup_disarm(w);
	CU_ASSERT_EQUAL(nic.n_disabled, 4);
	worker_lab_fini(&lab);
}

/* A queue of SYNs wakes its worker, too; if that cannot be, interrupts would leave it out. */
static void
test_idle_queue_of_syns_is_armed(void)
{
	struct worker *w = start_on_nic(0, 0);

	lab.plane.ports[SIDE_OUTSIDE].syns.n = 1;
	w->syn_queue = 1;
	wakeup_close(w);
	w->idle.way = wakeup_open(w);
	CU_ASSERT_EQUAL(w->idle.way, IDLE_INTERRUPTS);
	CU_ASSERT_EQUAL(nic.n_added, 2 + 3);
	CU_ASSERT_EQUAL(nic.queues, 0);
	wakeup_arm(w);
	CU_ASSERT_EQUAL(nic.queues, 3);
	wakeup_disarm(w);
	CU_ASSERT_EQUAL(nic.queues, 0);
	CU_ASSERT_TRUE(lab.plane.ports[SIDE_OUTSIDE].rx_interrupts);
	wakeup_close(w);
	nic.missing = 1;
	w->idle.way = wakeup_open(w);
	CU_ASSERT_EQUAL(w->idle.way, IDLE_PAUSES);
	CU_ASSERT_FALSE(lab.plane.ports[SIDE_OUTSIDE].rx_interrupts);
	nic.missing = 0;
	worker_lab_fini(&lab);
}

/* What one worker gives another wakes it, whether it was given before the sleep or in it. */
static void
test_idle_woken_by_hand_over(void)
{
	start();
	struct worker *giver = lab.plane.workers[0], *taker = lab.plane.workers[1];
	wakeup_arm(taker);
	CU_ASSERT_TRUE(taker->wakeup.is_armed);
	CU_ASSERT_EQUAL(lab.plane.waiting, 2);
	/* Flows until one was the taker's; an ACK is its owner's alone. */
	for (uint16_t port = 20000; port < 20100 && rte_ring_empty(taker->from[0]); port++) {
		struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_PROXY, 0x10, 1000, 1);
		f.src_port = port;
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
		burst_receive(giver, SIDE_OUTSIDE);
	}
	CU_ASSERT_EQUAL(lab.plane.waiting, 0);
	uint64_t begin = rte_rdtsc();
	wakeup_wait(taker, LONG_US);
	CU_ASSERT_TRUE((rte_rdtsc() - begin) / lab.plane.tsc_per_ms < LONG_US / 1000 / 2);
	CU_ASSERT_FALSE(taker->wakeup.has_timed_out);
	CU_ASSERT_EQUAL(taker->wakeup.told, 1u << SIDE_COUNT);
	CU_ASSERT_EQUAL(burst_take_over(taker), 1);
	wakeup_disarm(taker);
	CU_ASSERT_FALSE(taker->wakeup.is_armed);
	/* Told once, it is not told again. */
	wakeup_wait(taker, 1);
	CU_ASSERT_TRUE(taker->wakeup.has_timed_out);
	worker_lab_fini(&lab);
}

/* One who was given nothing sleeps on; one who is awake is not told. */
static void
test_idle_not_woken_for_nothing(void)
{
	uint8_t frame[FRAME_SIZE];

	start();
	struct worker *taker = lab.plane.workers[1];
	wakeup_arm(taker);
	wakeup_others(&lab.plane, 1);
	CU_ASSERT_EQUAL(lab.plane.waiting, 2);
	wakeup_wait(taker, 1);
	CU_ASSERT_TRUE(taker->wakeup.has_timed_out);
	wakeup_disarm(taker);
	CU_ASSERT_EQUAL(lab.plane.waiting, 0);
	struct rte_mbuf *m = worker_lab_mbuf(&lab, frame, worker_lab_other(frame), 0);
	rte_ring_sp_enqueue(taker->from[0], m);
	wakeup_others(&lab.plane, 2);
	wakeup_wait(taker, 1);
	CU_ASSERT_TRUE(taker->wakeup.has_timed_out);
	void *back;
	CU_ASSERT_EQUAL(rte_ring_dequeue(taker->from[0], &back), 0);
	rte_pktmbuf_free(m);
	worker_lab_fini(&lab);
}

/* Arm, look once more, sleep, look; and a timer that is due meanwhile is served. */
static void
test_idle_order_of_a_rest(void)
{
	start();
	struct worker *w = lab.plane.workers[0];
	/* With no queue of its own it has nothing but rings and time; long silent. */
	lab.plane.ports[0].n_rx = lab.plane.ports[1].n_rx = 0;
	w->idle.way = wakeup_open(w);
	w->idle.is_silent = true;
	lab.plane.ports[0].n_rx = lab.plane.ports[1].n_rx = 1;
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(w->account.sleeps, 0);
	worker_lab_run(&lab, 0, 2);
	CU_ASSERT_EQUAL(w->account.sleeps, 1);
	w->account.remaining = 99;
	worker_lab_run(&lab, 0, 3);
	CU_ASSERT_EQUAL(w->account.sleeps, 3);
	CU_ASSERT_EQUAL(w->account.remaining, 0);
	/* A run that has ended sleeps no more. */
	CU_ASSERT_FALSE(w->wakeup.is_armed);
	CU_ASSERT_EQUAL(lab.plane.waiting, 0);
	worker_lab_fini(&lab);
}

/* Frames that are there when a sleep ends by the clock, again and again: no interrupts come. */
static void
test_idle_gives_up_on_interrupts(void)
{
	uint8_t frame[FRAME_SIZE];
	size_t len = worker_lab_other(frame);

	start();
	struct worker *w = lab.plane.workers[0];
	lab.plane.ports[0].conf = &lab.conf->outside;
	w->idle.way = IDLE_INTERRUPTS;
	for (unsigned int i = 1; i <= IDLE_LATE_MAX; i++) {
		CU_ASSERT_EQUAL(idle_way(&w->idle), IDLE_INTERRUPTS);
		w->wakeup.has_timed_out = true;
		worker_lab_put(&lab, SIDE_OUTSIDE, 0, worker_lab_mbuf(&lab, frame, len, 0));
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_FALSE(w->wakeup.has_timed_out);
		/* Those that were not waited for say nothing. */
		worker_lab_put(&lab, SIDE_OUTSIDE, 0, worker_lab_mbuf(&lab, frame, len, 0));
		worker_lab_run(&lab, 0, 1);
	}
	CU_ASSERT_EQUAL(idle_way(&w->idle), IDLE_PAUSES);
	worker_lab_fini(&lab);
}

/* The same of a worker that did not have its CPU when the interrupt came: its rest had ended. */
static void
test_idle_late_worker_is_told(void)
{
	uint8_t frame[FRAME_SIZE];
	size_t len = worker_lab_other(frame);
	uint64_t one = 1;
	int fd = eventfd(0, EFD_NONBLOCK);
	struct rte_epoll_event event = {
		.epdata = { .event = EPOLLIN | EPOLLET, .data = (void *)(uintptr_t)SIDE_OUTSIDE },
	};

	start();
	struct worker *w = lab.plane.workers[0];
	w->idle.way = IDLE_INTERRUPTS;
	CU_ASSERT_EQUAL_FATAL(rte_epoll_ctl(w->wakeup.epoll, EPOLL_CTL_ADD, fd, &event), 0);
	for (unsigned int i = 0; i < 2 * IDLE_LATE_MAX; i++) {
		w->wakeup.has_timed_out = true;
		CU_ASSERT_EQUAL(write(fd, &one, sizeof(one)), sizeof(one));
		worker_lab_put(&lab, SIDE_OUTSIDE, 0, worker_lab_mbuf(&lab, frame, len, 0));
		worker_lab_run(&lab, 0, 1);
	}
	CU_ASSERT_EQUAL(idle_way(&w->idle), IDLE_INTERRUPTS);
	worker_lab_fini(&lab);
	close(fd);
}

CU_TestInfo worker_idle_tests[] = {
	CHECK_TEST(test_idle_way_by_queues),       CHECK_TEST(test_idle_no_vector_is_not_enabled),
	CHECK_TEST(test_idle_vectors_are_armed),   CHECK_TEST(test_idle_queue_of_syns_is_armed),
	CHECK_TEST(test_idle_woken_by_hand_over),  CHECK_TEST(test_idle_not_woken_for_nothing),
	CHECK_TEST(test_idle_order_of_a_rest),     CHECK_TEST(test_idle_gives_up_on_interrupts),
	CHECK_TEST(test_idle_late_worker_is_told), CU_TEST_INFO_NULL,
};
