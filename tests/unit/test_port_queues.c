/* SPDX-License-Identifier: BSD-3-Clause */
/* How many queues a port gets, of both kinds, by what its driver says and what is known of it. */
#include "check.h"
#include "port.h"

#include <rte_ethdev.h>

static struct plane plane;
static struct port_conf conf = { .device = "0000:00:05.0" };
static struct plane_port port;

/* A port of this driver, which says that it has so many queues. */
static int
choose(const char *driver, uint16_t rx, uint16_t tx)
{
	struct rte_eth_dev_info info = { .driver_name = driver,
		                         .max_rx_queues = rx,
		                         .max_tx_queues = tx };

	port = (struct plane_port){ .conf = &conf, .driver = driver };
	return port_choose_queues(&plane, &port, &info, "outside");
}

static void
has(uint16_t n_rx, uint16_t n_tx)
{
	CU_ASSERT_EQUAL(port.n_rx, n_rx);
	CU_ASSERT_EQUAL(port.n_tx, n_tx);
}

static void
test_queues_one_for_each_worker(void)
{
	conf.queues = 0;
	for (plane.n_workers = 1; plane.n_workers <= 4; plane.n_workers++) {
		CU_ASSERT_EQUAL(choose("net_vmxnet3", 4, 4), 0);
		has((uint16_t)plane.n_workers, (uint16_t)plane.n_workers);
	}
}

static void
test_queues_no_more_than_the_device_has(void)
{
	conf.queues = 0;
	plane.n_workers = 4;
	CU_ASSERT_EQUAL(choose("net_virtio", 1, 3), 0);
	has(1, 3);
}

/* The driver says two of transmitting ones; of the older cards the second leads nowhere. */
static void
test_queues_of_older_intel_cards_are_one(void)
{
	conf.queues = 0;
	for (plane.n_workers = 1; plane.n_workers <= 4; plane.n_workers++) {
		CU_ASSERT_EQUAL(choose("net_e1000_em", 1, 2), 0);
		has(1, 1);
	}
	conf.queues = 2;
	CU_ASSERT_EQUAL(choose("net_e1000_em", 2, 2), -1);
}

static void
test_queues_asked_bound_both_kinds(void)
{
	plane.n_workers = 4;
	for (conf.queues = 1; conf.queues <= 4; conf.queues++) {
		CU_ASSERT_EQUAL(choose("net_e1000_igb", 8, 8), 0);
		has((uint16_t)conf.queues, (uint16_t)conf.queues);
	}
}

static void
test_queues_asked_that_cannot_be_are_refused(void)
{
	plane.n_workers = 4;
	conf.queues = 3;
	CU_ASSERT_EQUAL(choose("net_e1000_igb", 2, 8), -1);
	plane.n_workers = 2;
	CU_ASSERT_EQUAL(choose("net_e1000_igb", 8, 8), -1);
}

static void
test_queues_of_a_tap_are_as_many_of_both_kinds(void)
{
	conf.queues = 0;
	plane.n_workers = 4;
	CU_ASSERT_EQUAL(choose("net_tap", 16, 2), 0);
	has(2, 2);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_queues_one_for_each_worker),
		CHECK_TEST(test_queues_no_more_than_the_device_has),
		CHECK_TEST(test_queues_of_older_intel_cards_are_one),
		CHECK_TEST(test_queues_asked_bound_both_kinds),
		CHECK_TEST(test_queues_asked_that_cannot_be_are_refused),
		CHECK_TEST(test_queues_of_a_tap_are_as_many_of_both_kinds),
		CU_TEST_INFO_NULL,
	};

	return check_run("port_queues", tests);
}
