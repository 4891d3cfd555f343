/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port with receive queues for SYNs, from probe to stop: what it asks of a NIC, and how it is
 * set up with what the NIC says.
 */
#include <rte_ethdev.h>
#include <rte_tcp.h>

#include "check.h"
#include "plane_state.h"
#include "port.h"
#include "syn_nic.h"

#define EXACT (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_FIN_FLAG)

static struct plane plane;
static struct conf conf;
static struct plane_port *const port = &plane.ports[SIDE_OUTSIDE];

/* A NIC that can everything, and W workers. */
static void
prepare(uint16_t w)
{
	memset(&nic, 0, sizeof(nic));
	nic.has_flows = nic.has_rss = true;
	nic.max_queues = 16;
	nic.reta_size = 128;
	memset(&plane, 0, sizeof(plane));
	memset(&conf, 0, sizeof(conf));
	conf.outside = (struct port_conf){ .device = "0000:00:05.0",
		                           .rx_descriptors = 1024,
		                           .tx_descriptors = 1024 };
	conf.inside = conf.outside;
	conf.workers.idle = CONF_IDLE_POLL;
	plane.conf = &conf;
	plane.n_workers = w;
	plane.n_ports = 1;
	CU_ASSERT_EQUAL_FATAL(owner_map_init(&plane.owners, w), 0);
	for (uint16_t i = 0; i < w; i++)
		plane.pools[i] = (struct rte_mempool *)(uintptr_t)(i + 1);
}

static void
start(void)
{
	CU_ASSERT_EQUAL_FATAL(port_probe(&plane, SIDE_OUTSIDE, &conf.outside), 0);
	CU_ASSERT_EQUAL_FATAL(port_start(&plane, SIDE_OUTSIDE), 0);
	CU_ASSERT_TRUE(nic.runs);
	CU_ASSERT_EQUAL(port->n_tx, nic.n_tx);
}

static void
stop(void)
{
	port_stop(port);
	CU_ASSERT_EQUAL(syn_nic_rules(), 0);
	CU_ASSERT_EQUAL(nic.n_at_stop, 0);
	CU_ASSERT_EQUAL(nic.n_closed, 1);
}

/* It is as without any of this, and says why. */
static void
has_none(uint16_t w, const char *why)
{
	CU_ASSERT_EQUAL(port->syns.n, 0);
	CU_ASSERT_EQUAL(port->syns.n_rules, 0);
	CU_ASSERT_EQUAL(port->n_rx, w);
	CU_ASSERT_EQUAL(nic.n_rx, w);
	CU_ASSERT_EQUAL(nic.n_set_up, w);
	CU_ASSERT_EQUAL(syn_nic_rules(), 0);
	CU_ASSERT_STRING_EQUAL(port->syns.why_not, why);
	for (uint16_t i = 0; w > 1 && nic.has_rss && !nic.no_table && i < nic.reta_size; i++)
		CU_ASSERT_EQUAL(nic.reta[i], i % w);
	stop();
}

static void
test_syn_queues_as_many_as_others(void)
{
	for (uint16_t w = 1; w <= 8; w++) {
		prepare(w);
		start();
		CU_ASSERT_EQUAL(port->n_rx, w);
		CU_ASSERT_EQUAL(port->n_tx, w);
		CU_ASSERT_EQUAL(port->syns.n, w);
		CU_ASSERT_STRING_EQUAL(port->syns.why_not, "");
		CU_ASSERT_EQUAL(nic.n_rx, 2 * w);
		CU_ASSERT_EQUAL(nic.n_started, 1);
		/* A worker's queues have its pool. */
		for (uint16_t q = 0; q < 2 * w; q++)
			CU_ASSERT_PTR_EQUAL(nic.pools[q], plane.pools[q % w]);
		/* The rest goes where it went. */
		for (uint16_t i = 0; w > 1 && i < nic.reta_size; i++)
			CU_ASSERT_EQUAL(nic.reta[i], plane.owners.table[i]);
		CU_ASSERT_EQUAL(port->rss, w > 1);
		CU_ASSERT_EQUAL(syn_nic_rules(), SYN_RULES_MAX);
		for (unsigned int i = 0; i < SYN_RULES_MAX; i++) {
			const struct rte_flow *rule = &nic.rules[i];
			CU_ASSERT_EQUAL(rule->mask, EXACT);
			CU_ASSERT_EQUAL(rule->n_queues, w);
			for (uint16_t q = 0; q < w; q++)
				CU_ASSERT_EQUAL(rule->queues[q], w + q);
			if (w == 1)
				continue;
			CU_ASSERT_EQUAL(rule->types, rule->is_v4 ? RTE_ETH_RSS_NONFRAG_IPV4_TCP
			                                         : RTE_ETH_RSS_NONFRAG_IPV6_TCP);
			CU_ASSERT_EQUAL(memcmp(rule->key, plane.owners.key, 40), 0);
		}
		stop();
	}
}

/* ixgbe and its like: one filter, one queue, by one flag. */
static void
test_syn_queues_by_a_syn_filter(void)
{
	prepare(1);
	nic.mask = RTE_TCP_SYN_FLAG;
	nic.only_by_queue = nic.only_one = true;
	start();
	CU_ASSERT_EQUAL(port->syns.n, 1);
	CU_ASSERT_EQUAL(syn_nic_rules(), 1);
	CU_ASSERT_EQUAL(nic.rules[0].queues[0], 1);
	CU_ASSERT_EQUAL(nic.rules[0].mask, RTE_TCP_SYN_FLAG);
	stop();

	/* One queue for several workers' SYNs would be one worker's. */
	prepare(2);
	nic.mask = RTE_TCP_SYN_FLAG;
	nic.only_by_queue = nic.only_one = true;
	start();
	CU_ASSERT_EQUAL(nic.n_configured, 1);
	has_none(2, "its driver: it says no");
}

/* A rule with RSS would be for all frames. */
static void
test_syn_queues_of_a_driver_that_ignores_items(void)
{
	prepare(2);
	nic.ignores_items = true;
	start();
	CU_ASSERT_EQUAL(nic.n_created, 0);
	has_none(2, "its driver: a rule is for all frames");

	prepare(1);
	nic.ignores_items = true;
	start();
	CU_ASSERT_EQUAL(port->syns.n, 1);
	stop();
}

/* mlx5: before its queues are set up it objects to them, not to what a rule matches. */
static void
test_syn_queues_of_a_driver_that_knows_later(void)
{
	for (uint16_t w = 1; w <= 3; w++) {
		prepare(w);
		nic.must_run = true;
		start();
		CU_ASSERT_EQUAL(port->syns.n, w);
		CU_ASSERT_EQUAL(nic.n_started, 1);
		CU_ASSERT_EQUAL(syn_nic_rules(), SYN_RULES_MAX);
		stop();
	}
}

static void
test_syn_queues_for_what_the_driver_takes(void)
{
	prepare(2);
	nic.only_v4 = true;
	start();
	CU_ASSERT_EQUAL(port->syns.n, 2);
	CU_ASSERT_EQUAL(syn_nic_rules(), 1);
	CU_ASSERT_TRUE(nic.rules[0].is_v4);
	CU_ASSERT_FALSE(nic.rules[0].has_tag);
	stop();
}

/* Those who refuse at once are never set up in another way. */
static void
test_syn_queues_refused_at_once(void)
{
	prepare(2);
	nic.has_flows = false;
	start();
	CU_ASSERT_EQUAL(nic.n_configured, 1);
	CU_ASSERT_EQUAL(nic.n_asked, 1);
	has_none(2, "its driver has no flow rules");

	prepare(2);
	nic.mask = 0xff;
	start();
	CU_ASSERT_EQUAL(nic.n_configured, 1);
	has_none(2, "its driver: it says no");

	prepare(2);
	conf.outside.syn_queues = CONF_OFFLOAD_OFF;
	start();
	CU_ASSERT_EQUAL(nic.n_asked, 0);
	has_none(2, "switched off");
}

static void
test_syn_queues_too_few(void)
{
	for (uint16_t most = 2; most < 4; most++) {
		char why[64];
		prepare(2);
		nic.max_queues = most;
		start();
		CU_ASSERT_EQUAL(nic.n_configured, 1);
		snprintf(why, sizeof(why), "4 receive queues are wanted, it has %u", most);
		has_none(2, why);
	}
	prepare(2);
	nic.max_queues = 4;
	start();
	CU_ASSERT_EQUAL(port->syns.n, 2);
	stop();
	/* Fewer queues than workers: as many again. */
	prepare(4);
	conf.outside.queues = 2;
	nic.max_queues = 4;
	start();
	CU_ASSERT_EQUAL(port->n_rx, 2);
	CU_ASSERT_EQUAL(port->syns.n, 2);
	CU_ASSERT_FALSE(port->rss);
	for (uint16_t i = 0; i < nic.reta_size; i++)
		CU_ASSERT_EQUAL(nic.reta[i], i % 2);
	stop();
}

/* What was set up with them is set up again without. */
static void
test_syn_queues_refused_at_last(void)
{
	prepare(2);
	nic.no_double = true;
	start();
	CU_ASSERT_EQUAL(nic.n_configured, 3);
	CU_ASSERT_EQUAL(nic.n_started, 1);
	has_none(2, "it cannot be set up with them: Invalid argument");

	prepare(2);
	nic.no_start = true;
	start();
	CU_ASSERT_EQUAL(nic.n_stopped, 0);
	has_none(2, "it does not start with them: No space left on device");

	prepare(2);
	nic.must_not_at_last = true;
	start();
	CU_ASSERT_EQUAL(nic.n_started, 2);
	CU_ASSERT_EQUAL(nic.n_stopped, 1);
	has_none(2, "its driver: it says no");

	prepare(1);
	nic.must_not_at_last = true;
	start();
	has_none(1, "its driver: it says no");
}

/* Where RSS cannot leave queues out, all would be spread over those of SYNs, too. */
static void
test_syn_queues_without_a_table_to_set(void)
{
	prepare(2);
	nic.no_table = true;
	start();
	CU_ASSERT_FALSE(port->rss);
	has_none(2, "its RSS table cannot be set: Operation not supported");

	prepare(2);
	nic.reta_size = 0;
	start();
	CU_ASSERT_EQUAL(nic.n_configured, 1);
	has_none(2, "its RSS cannot leave queues out");

	prepare(2);
	nic.has_rss = false;
	start();
	has_none(2, "its RSS cannot leave queues out");

	/* One queue needs none. */
	prepare(1);
	nic.has_rss = false;
	start();
	CU_ASSERT_EQUAL(port->syns.n, 1);
	stop();
}

static void
test_syn_queues_not_inside(void)
{
	prepare(2);
	plane.n_ports = 2;
	CU_ASSERT_EQUAL_FATAL(port_probe(&plane, SIDE_INSIDE, &conf.inside), 0);
	CU_ASSERT_EQUAL(plane.ports[SIDE_INSIDE].syns.n, 0);
	CU_ASSERT_STRING_EQUAL(plane.ports[SIDE_INSIDE].syns.why_not,
	                       "only the outside port has them");
	CU_ASSERT_EQUAL(nic.n_asked, 0);
	CU_ASSERT_EQUAL(nic.n_rx, 2);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_syn_queues_as_many_as_others),
		CHECK_TEST(test_syn_queues_by_a_syn_filter),
		CHECK_TEST(test_syn_queues_of_a_driver_that_ignores_items),
		CHECK_TEST(test_syn_queues_of_a_driver_that_knows_later),
		CHECK_TEST(test_syn_queues_for_what_the_driver_takes),
		CHECK_TEST(test_syn_queues_refused_at_once),
		CHECK_TEST(test_syn_queues_too_few),
		CHECK_TEST(test_syn_queues_refused_at_last),
		CHECK_TEST(test_syn_queues_without_a_table_to_set),
		CHECK_TEST(test_syn_queues_not_inside),
		CU_TEST_INFO_NULL,
	};

	return check_run("syn_queues", tests);
}
