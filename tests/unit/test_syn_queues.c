/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port with receive queues for SYNs, from probe to stop: what it asks of a NIC, and how it is
 * set up with what the NIC says. The NIC stands in the place of DPDK's own functions below.
 */
#include <errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_tcp.h>

#include "check.h"
#include "plane_state.h"
#include "port.h"

#define RULES_MAX 8u
#define EXACT (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_FIN_FLAG)
#define HAS_RSS (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)

/* What a rule is, as the NIC got it. */
struct rte_flow {
	bool is_v4, has_tag, exists;
	uint8_t mask;
	unsigned int n_queues;
	uint16_t queues[64];
	uint64_t types;
	uint8_t key[OWNER_KEY_SIZE];
};

static struct {
	/* What it can. */
	bool has_flows, has_rss, only_by_queue, only_one, only_v4, must_run, must_not_at_last;
	bool no_table, no_double, no_start, ignores_items;
	uint8_t mask; /* the only one that it takes; 0: any */
	uint16_t max_queues;
	uint16_t reta_size;
	/* What it was told. */
	uint16_t n_rx, n_tx, n_set_up;
	bool runs;
	unsigned int n_configured, n_started, n_stopped, n_asked, n_created, n_closed, n_at_stop;
	uint8_t reta[OWNER_TABLE_SIZE];
	struct rte_flow rules[RULES_MAX];
	struct rte_mempool *pools[16];
} nic;

static unsigned int
n_rules(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < RULES_MAX; i++)
		n += nic.rules[i].exists;
	return n;
}

/* ---- in the place of DPDK's ---------------------------------------------- */

int
rte_eth_dev_get_port_by_name(const char *name, uint16_t *port)
{
	(void)name;
	*port = 0;
	return 0;
}

int
rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info)
{
	static const uint32_t flags;

	(void)port;
	*info = (struct rte_eth_dev_info){
		.driver_name = "net_nic",
		.max_rx_queues = nic.max_queues,
		.max_tx_queues = nic.max_queues,
		.dev_flags = &flags,
	};
	if (nic.has_rss) {
		info->reta_size = nic.reta_size;
		info->hash_key_size = 40;
		info->flow_type_rss_offloads = HAS_RSS;
		info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_RSS_HASH;
	}
	return 0;
}

int
rte_eth_dev_socket_id(uint16_t port)
{
	(void)port;
	return SOCKET_ID_ANY;
}

int
rte_eth_dev_configure(uint16_t port, uint16_t n_rx, uint16_t n_tx, const struct rte_eth_conf *conf)
{
	(void)port;
	CU_ASSERT_FALSE(nic.runs);
	CU_ASSERT_EQUAL(conf->rxmode.mq_mode == RTE_ETH_MQ_RX_RSS, nic.has_rss && n_tx > 1);
	nic.n_configured++;
	if (nic.no_double && n_rx > n_tx)
		return -EINVAL;
	nic.n_rx = n_rx;
	nic.n_tx = n_tx;
	nic.n_set_up = 0;
	return 0;
}

int
rte_eth_dev_adjust_nb_rx_tx_desc(uint16_t port, uint16_t *n_rx, uint16_t *n_tx)
{
	(void)port, (void)n_rx, (void)n_tx;
	return 0;
}

int
rte_eth_dev_get_mtu(uint16_t port, uint16_t *mtu)
{
	(void)port;
	*mtu = 1500;
	return 0;
}

int
rte_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t n, unsigned int socket,
                       const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	(void)port, (void)n, (void)socket;
	CU_ASSERT_EQUAL(conf->rx_drop_en, 1);
	CU_ASSERT_FATAL(queue < nic.n_rx && queue < RTE_DIM(nic.pools));
	nic.pools[queue] = pool;
	nic.n_set_up++;
	return 0;
}

int
rte_eth_tx_queue_setup(uint16_t port, uint16_t queue, uint16_t n, unsigned int socket,
                       const struct rte_eth_txconf *conf)
{
	(void)port, (void)n, (void)socket, (void)conf;
	CU_ASSERT_TRUE(queue < nic.n_tx);
	return 0;
}

int
rte_eth_dev_start(uint16_t port)
{
	(void)port;
	CU_ASSERT_EQUAL(nic.n_set_up, nic.n_rx);
	if (nic.no_start && nic.n_rx > nic.n_tx)
		return -ENOSPC;
	nic.runs = true;
	nic.n_started++;
	return 0;
}

int
rte_eth_dev_stop(uint16_t port)
{
	(void)port;
	nic.runs = false;
	nic.n_stopped++;
	nic.n_at_stop = n_rules();
	return 0;
}

int
rte_eth_dev_close(uint16_t port)
{
	(void)port;
	nic.n_closed++;
	return 0;
}

int
rte_eth_dev_rss_reta_update(uint16_t port, struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	(void)port;
	CU_ASSERT_TRUE(nic.runs);
	CU_ASSERT_EQUAL(size, nic.reta_size);
	if (nic.no_table)
		return -ENOTSUP;
	for (uint16_t i = 0; i < size; i++)
		if (reta[i / 64].mask >> (i % 64) & 1)
			nic.reta[i] = (uint8_t)reta[i / 64].reta[i % 64];
	return 0;
}

int
rte_eth_macaddr_get(uint16_t port, struct rte_ether_addr *mac)
{
	(void)port;
	*mac = (struct rte_ether_addr){ { 2 } };
	return 0;
}

static int
refuse(struct rte_flow_error *error, enum rte_flow_error_type type, int code)
{
	*error = (struct rte_flow_error){ .type = type, .message = "it says no" };
	rte_errno = code;
	return -code;
}

/* What the NIC makes of a rule. */
static int
understand(const struct rte_flow_attr *attr, const struct rte_flow_item *item,
           const struct rte_flow_action *action, struct rte_flow *rule,
           struct rte_flow_error *error)
{
	*rule = (struct rte_flow){ .exists = true };
	CU_ASSERT_TRUE(attr->ingress && !attr->egress && !attr->transfer && attr->group == 0);
	if (item->type != RTE_FLOW_ITEM_TYPE_ETH)
		return nic.ignores_items ? 0 : refuse(error, RTE_FLOW_ERROR_TYPE_ITEM, EINVAL);
	rule->has_tag = (++item)->type == RTE_FLOW_ITEM_TYPE_VLAN;
	item += rule->has_tag;
	rule->is_v4 = item->type == RTE_FLOW_ITEM_TYPE_IPV4;
	CU_ASSERT_TRUE(rule->is_v4 || item->type == RTE_FLOW_ITEM_TYPE_IPV6);
	CU_ASSERT_EQUAL((++item)->type, RTE_FLOW_ITEM_TYPE_TCP);
	const struct rte_flow_item_tcp *spec = item->spec, *mask = item->mask;
	CU_ASSERT_EQUAL(spec->hdr.tcp_flags, RTE_TCP_SYN_FLAG);
	CU_ASSERT_EQUAL(mask->hdr.dst_port | mask->hdr.src_port, 0);
	rule->mask = mask->hdr.tcp_flags;
	CU_ASSERT_EQUAL(item[1].type, RTE_FLOW_ITEM_TYPE_END);
	CU_ASSERT_EQUAL(action[1].type, RTE_FLOW_ACTION_TYPE_END);
	if ((nic.mask != 0 && rule->mask != nic.mask) ||
	    (nic.only_v4 && (!rule->is_v4 || rule->has_tag)))
		return refuse(error, RTE_FLOW_ERROR_TYPE_ITEM_MASK, EINVAL);
	if (action->type == RTE_FLOW_ACTION_TYPE_QUEUE) {
		const struct rte_flow_action_queue *queue = action->conf;
		rule->queues[rule->n_queues++] = queue->index;
	} else {
		const struct rte_flow_action_rss *rss = action->conf;
		CU_ASSERT_EQUAL(action->type, RTE_FLOW_ACTION_TYPE_RSS);
		CU_ASSERT_EQUAL(rss->func, RTE_ETH_HASH_FUNCTION_TOEPLITZ);
		rule->n_queues = rss->queue_num;
		memcpy(rule->queues, rss->queue, rss->queue_num * sizeof(uint16_t));
		rule->types = rss->types;
		CU_ASSERT_EQUAL(rss->key_len, 40);
		memcpy(rule->key, rss->key, 40);
	}
	if (nic.only_by_queue && rule->types != 0)
		return refuse(error, RTE_FLOW_ERROR_TYPE_ACTION, ENOTSUP);
	/* mlx5: a queue that is not set up cannot be named. */
	for (unsigned int i = 0; i < rule->n_queues; i++)
		if (rule->queues[i] >= (nic.must_run ? nic.n_set_up : nic.n_rx))
			return refuse(error, RTE_FLOW_ERROR_TYPE_ACTION_CONF, EINVAL);
	if (nic.must_not_at_last && nic.runs)
		return refuse(error, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, ENOTSUP);
	return 0;
}

int
rte_flow_validate(uint16_t port, const struct rte_flow_attr *attr,
                  const struct rte_flow_item *items, const struct rte_flow_action *actions,
                  struct rte_flow_error *error)
{
	struct rte_flow rule;

	(void)port;
	nic.n_asked++;
	if (!nic.has_flows)
		return refuse(error, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, ENOSYS);
	return understand(attr, items, actions, &rule, error);
}

struct rte_flow *
rte_flow_create(uint16_t port, const struct rte_flow_attr *attr, const struct rte_flow_item *items,
                const struct rte_flow_action *actions, struct rte_flow_error *error)
{
	(void)port;
	CU_ASSERT_TRUE(nic.runs);
	nic.n_created++;
	for (unsigned int i = 0; i < RULES_MAX; i++) {
		if (nic.rules[i].exists)
			continue;
		if (nic.only_one && i > 0)
			break;
		if (understand(attr, items, actions, &nic.rules[i], error) != 0) {
			nic.rules[i].exists = false;
			return NULL;
		}
		return &nic.rules[i];
	}
	refuse(error, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, EINVAL);
	return NULL;
}

int
rte_flow_destroy(uint16_t port, struct rte_flow *rule, struct rte_flow_error *error)
{
	(void)port, (void)error;
	CU_ASSERT_TRUE(nic.runs);
	CU_ASSERT_TRUE(rule->exists);
	rule->exists = false;
	return 0;
}

/* ---- the tests ------------------------------------------------------------- */

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
	CU_ASSERT_EQUAL(n_rules(), 0);
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
	CU_ASSERT_EQUAL(n_rules(), 0);
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
		CU_ASSERT_EQUAL(n_rules(), SYN_RULES_MAX);
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
	CU_ASSERT_EQUAL(n_rules(), 1);
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
		CU_ASSERT_EQUAL(n_rules(), SYN_RULES_MAX);
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
	CU_ASSERT_EQUAL(n_rules(), 1);
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
