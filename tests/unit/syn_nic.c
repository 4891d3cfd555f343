/* SPDX-License-Identifier: BSD-3-Clause */
#include "syn_nic.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_tcp.h>

#include "check.h"

#define HAS_RSS (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)

struct syn_nic nic;

unsigned int
syn_nic_rules(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SYN_NIC_RULES_MAX; i++)
		n += nic.rules[i].exists;
	return n;
}

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
	nic.n_at_stop = syn_nic_rules();
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
	for (unsigned int i = 0; i < SYN_NIC_RULES_MAX; i++) {
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
