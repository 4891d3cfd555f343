/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked of a NIC so that it takes in all frames, and a full queue stops no other. The NIC stands
 * in the place of DPDK's own functions below. */
#include <errno.h>
#include <rte_ethdev.h>

#include "check.h"
#include "port_reception.h"

static struct {
	int rc_get, rc_set, rc_promiscuous, rc_multicast;
	struct rte_eth_fc_conf fc;
	unsigned int n_set, n_promiscuous, n_multicast;
} nic;

int
rte_eth_dev_flow_ctrl_get(uint16_t port, struct rte_eth_fc_conf *conf)
{
	CU_ASSERT_EQUAL(port, 7);
	*conf = nic.fc;
	return nic.rc_get;
}

int
rte_eth_dev_flow_ctrl_set(uint16_t port, struct rte_eth_fc_conf *conf)
{
	CU_ASSERT_EQUAL(port, 7);
	nic.n_set++;
	if (nic.rc_set == 0)
		nic.fc = *conf;
	return nic.rc_set;
}

int
rte_eth_promiscuous_enable(uint16_t port)
{
	CU_ASSERT_EQUAL(port, 7);
	nic.n_promiscuous++;
	return nic.rc_promiscuous;
}

int
rte_eth_allmulticast_enable(uint16_t port)
{
	CU_ASSERT_EQUAL(port, 7);
	nic.n_multicast++;
	return nic.rc_multicast;
}

static void
begin(bool is_promiscuous)
{
	const struct port_conf conf = { .device = "nic", .promiscuous = is_promiscuous };
	const struct plane_port port = { .id = 7, .conf = &conf };

	nic.n_set = nic.n_promiscuous = nic.n_multicast = 0;
	port_reception_begin(&port, "outside");
}

/* The rest is as the driver would have it. */
static void
test_a_full_queue_drops_its_own(void)
{
	const struct rte_eth_dev_info info = {
		.default_rxconf = { .rx_free_thresh = 32, .rx_thresh = { .wthresh = 4 } },
	};
	struct rte_eth_rxconf conf;

	port_reception_queue(&info, &conf);
	CU_ASSERT_EQUAL(conf.rx_drop_en, 1);
	CU_ASSERT_EQUAL(conf.rx_free_thresh, 32);
	CU_ASSERT_EQUAL(conf.rx_thresh.wthresh, 4);
}

static void
test_pauses_end(void)
{
	nic.fc = (struct rte_eth_fc_conf){ .mode = RTE_ETH_FC_FULL,
		                           .high_water = 99,
		                           .autoneg = 1 };
	begin(false);
	CU_ASSERT_EQUAL(nic.n_set, 1);
	CU_ASSERT_EQUAL(nic.fc.mode, RTE_ETH_FC_NONE);
	CU_ASSERT_EQUAL(nic.fc.high_water, 99);
	/* There are none. */
	begin(false);
	CU_ASSERT_EQUAL(nic.n_set, 0);
	/* It cannot say, or not be told. */
	nic.fc.mode = RTE_ETH_FC_RX_PAUSE;
	nic.rc_get = -ENOTSUP;
	begin(false);
	CU_ASSERT_EQUAL(nic.n_set, 0);
	nic.rc_get = 0;
	nic.rc_set = -EPERM;
	begin(false);
	CU_ASSERT_EQUAL(nic.n_set, 1);
	nic.rc_set = 0;
}

static void
test_all_frames_come_in(void)
{
	begin(false);
	CU_ASSERT_EQUAL(nic.n_promiscuous + nic.n_multicast, 0);
	begin(true);
	CU_ASSERT_EQUAL(nic.n_promiscuous, 1);
	CU_ASSERT_EQUAL(nic.n_multicast, 1);
	/* What fails keeps the other from nothing. */
	nic.rc_promiscuous = nic.rc_multicast = -ENOTSUP;
	begin(true);
	CU_ASSERT_EQUAL(nic.n_multicast, 1);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_a_full_queue_drops_its_own),
		CHECK_TEST(test_pauses_end),
		CHECK_TEST(test_all_frames_come_in),
		CU_TEST_INFO_NULL,
	};

	return check_run("port_reception", tests);
}
