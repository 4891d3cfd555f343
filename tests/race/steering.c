/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loaded before DPDK's libraries (LD_PRELOAD): ports with flow rules, as a NIC has them. Each port
 * has as many receive queues again as its driver gave it, and rules may send TCP there by its
 * flags. What comes in a queue of the driver's is sorted when that is polled.
 *
 * SYNFRONT_STEERING says what the ports are like:
 *   all      RSS over several queues, any mask of flags
 *   filter   one rule, to one queue, by the SYN flag alone (ixgbe)
 *   late     as all, but no rule once the port runs
 * SYNFRONT_STEERING_QUEUES is how many receive queues they say that they have.
 * At the end the port writes what there was into the file SYNFRONT_STEERING_LOG.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUES_MAX 16u
#define RING_SIZE 2048u
#define RULES_MAX 8u
#define RETA_SIZE 128u

struct rte_flow {
	bool is_used, is_v4, has_tag;
	uint8_t mask;
	uint16_t n_queues, queues[QUEUES_MAX];
};

/* A receive queue, in the place of the driver's. */
struct queue {
	struct port *port;
	uint16_t number;
	void *real;
	struct rte_ring *ring; /* of one that rules lead to */
};

static struct port {
	uint16_t n_real, n_all;
	bool runs;
	struct rte_flow rules[RULES_MAX];
	struct queue queues[QUEUES_MAX];
	void *data[QUEUES_MAX];
	eth_rx_burst_t receive;
	uint64_t n_made, n_gone, n_asked, n_steered, n_full, n_table;
} ports[RTE_MAX_ETHPORTS];

#define REAL(name) ((typeof(&(name)))dlsym(RTLD_NEXT, #name))

static bool
is_kind(const char *kind)
{
	const char *steering = getenv("SYNFRONT_STEERING");

	return steering != NULL && strcmp(steering, kind) == 0;
}

/* ---- frames --------------------------------------------------------------------- */

/* The rule for a frame, or NULL; *hash differs from flow to flow. */
static const struct rte_flow *
rule_of(const struct port *port, const struct rte_mbuf *m, uint32_t *hash)
{
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *), *end = at + m->data_len;
	uint16_t type;

	if (m->data_len < 58)
		return NULL;
	memcpy(&type, at + 12, sizeof(type));
	bool has_tag = type == RTE_BE16(RTE_ETHER_TYPE_VLAN);
	if (has_tag)
		memcpy(&type, at + 16, sizeof(type));
	at += has_tag ? 18 : 14;
	bool is_v4 = type == RTE_BE16(RTE_ETHER_TYPE_IPV4);
	if (!is_v4 && type != RTE_BE16(RTE_ETHER_TYPE_IPV6))
		return NULL;
	uint8_t protocol = is_v4 ? at[9] : at[6];
	at += is_v4 ? (at[0] & 15) * 4 : 40;
	if (protocol != IPPROTO_TCP || at + 20 > end)
		return NULL;
	*hash = at[1];
	for (unsigned int i = 0; i < RULES_MAX; i++) {
		const struct rte_flow *rule = &port->rules[i];
		if (rule->is_used && rule->is_v4 == is_v4 && rule->has_tag == has_tag &&
		    (at[13] & rule->mask) == RTE_TCP_SYN_FLAG)
			return rule;
	}
	return NULL;
}

static uint16_t
receive(void *data, struct rte_mbuf **mbufs, uint16_t n)
{
	struct queue *queue = data;
	struct port *port = queue->port;
	uint16_t n_kept = 0;

	if (queue->ring != NULL)
		return (uint16_t)rte_ring_sc_dequeue_burst(queue->ring, (void **)mbufs, n, NULL);
	n = port->receive(queue->real, mbufs, n);
	for (uint16_t i = 0; i < n; i++) {
		uint32_t hash;
		const struct rte_flow *rule = rule_of(port, mbufs[i], &hash);
		if (rule == NULL) {
			mbufs[n_kept++] = mbufs[i];
			continue;
		}
		const struct queue *to = &port->queues[rule->queues[hash % rule->n_queues]];
		if (rte_ring_mp_enqueue(to->ring, mbufs[i]) == 0) {
			__atomic_fetch_add(&port->n_steered, 1, __ATOMIC_RELAXED);
		} else {
			__atomic_fetch_add(&port->n_full, 1, __ATOMIC_RELAXED);
			rte_pktmbuf_free(mbufs[i]);
		}
	}
	return n_kept;
}

/* ---- the port ------------------------------------------------------------------- */

int
rte_eth_dev_info_get(uint16_t id, struct rte_eth_dev_info *info)
{
	const char *most = getenv("SYNFRONT_STEERING_QUEUES");
	int rc = REAL(rte_eth_dev_info_get)(id, info);

	if (most != NULL)
		info->max_rx_queues = (uint16_t)atoi(most);

	info->reta_size = RETA_SIZE;
	info->flow_type_rss_offloads |= RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP;
	info->hash_key_size = 40;
	return rc;
}

int
rte_eth_dev_configure(uint16_t id, uint16_t n_rx, uint16_t n_tx, const struct rte_eth_conf *conf)
{
	struct rte_eth_conf without = *conf;
	struct port *port = &ports[id];

	if (n_rx > QUEUES_MAX)
		return -EINVAL;
	port->n_all = n_rx;
	port->n_real = RTE_MIN(n_rx, n_tx);
	/* Spreading is what the kernel behind it does. */
	without.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
	without.rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){ 0 };
	return REAL(rte_eth_dev_configure)(id, port->n_real, n_tx, &without);
}

int
rte_eth_rx_queue_setup(uint16_t id, uint16_t queue, uint16_t n, unsigned int socket,
                       const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	if (queue >= ports[id].n_real)
		return queue < ports[id].n_all && pool != NULL ? 0 : -EINVAL;
	return REAL(rte_eth_rx_queue_setup)(id, queue, n, socket, conf, pool);
}

int
rte_eth_dev_start(uint16_t id)
{
	struct port *port = &ports[id];
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[id];
	int rc = REAL(rte_eth_dev_start)(id);

	port->runs = rc == 0;
	if (rc != 0 || port->n_all == port->n_real)
		return rc;
	for (uint16_t q = 0; q < port->n_all; q++) {
		struct queue *queue = &port->queues[q];
		char name[RTE_RING_NAMESIZE];
		snprintf(name, sizeof(name), "steered%u-%u", id, q);
		*queue = (struct queue){ .port = port, .number = q };
		port->data[q] = queue;
		if (q < port->n_real)
			queue->real = ops->rxq.data[q];
		else if ((queue->ring = rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY,
		                                        RING_F_SC_DEQ)) == NULL)
			return -ENOMEM;
	}
	port->receive = ops->rx_pkt_burst;
	ops->rx_pkt_burst = receive;
	ops->rxq.data = port->data;
	return 0;
}

int
rte_eth_dev_stop(uint16_t id)
{
	struct port *port = &ports[id];
	const char *path = getenv("SYNFRONT_STEERING_LOG");
	FILE *log = path != NULL && port->n_asked != 0 ? fopen(path, "a") : NULL;
	void *m;

	if (log != NULL) {
		fprintf(log,
		        "queues %u rules_made %" PRIu64 " rules_gone %" PRIu64 " tables %" PRIu64
		        " steered %" PRIu64 " full %" PRIu64 "\n",
		        port->n_all, port->n_made, port->n_gone, port->n_table, port->n_steered,
		        port->n_full);
		fclose(log);
	}
	for (uint16_t q = 0; q < QUEUES_MAX; q++) {
		while (port->queues[q].ring != NULL &&
		       rte_ring_dequeue(port->queues[q].ring, &m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(port->queues[q].ring);
		port->queues[q].ring = NULL;
	}
	port->runs = false;
	return REAL(rte_eth_dev_stop)(id);
}

/* A frame for such a queue comes by another, whose interrupt wakes the worker. */
int
rte_eth_dev_rx_intr_ctl_q(uint16_t id, uint16_t queue, int epoll, int op, void *data)
{
	return queue >= ports[id].n_real
	               ? 0
	               : REAL(rte_eth_dev_rx_intr_ctl_q)(id, queue, epoll, op, data);
}

int
rte_eth_dev_rss_reta_update(uint16_t id, struct rte_eth_rss_reta_entry64 *reta, uint16_t size)
{
	for (uint16_t i = 0; i < size; i++)
		if (reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] >=
		    ports[id].n_real)
			return -EINVAL;
	ports[id].n_table++;
	return 0;
}

/* ---- rules ---------------------------------------------------------------------- */

static int
understand(struct port *port, const struct rte_flow_item *item,
           const struct rte_flow_action *action, struct rte_flow *rule,
           struct rte_flow_error *error)
{
	const struct rte_flow_action_queue *queue = action->conf;
	const struct rte_flow_action_rss *rss = action->conf;
	const struct rte_flow_item_tcp *tcp;

	*rule = (struct rte_flow){ .is_used = true };
	if (item++->type != RTE_FLOW_ITEM_TYPE_ETH)
		goto item;
	if (item->type == RTE_FLOW_ITEM_TYPE_VLAN) {
		rule->has_tag = true;
		item++;
	}
	rule->is_v4 = item->type == RTE_FLOW_ITEM_TYPE_IPV4;
	if (!rule->is_v4 && item->type != RTE_FLOW_ITEM_TYPE_IPV6)
		goto item;
	if ((++item)->type != RTE_FLOW_ITEM_TYPE_TCP || item[1].type != RTE_FLOW_ITEM_TYPE_END)
		goto item;
	tcp = item->mask;
	rule->mask = tcp->hdr.tcp_flags;
	if (is_kind("filter") && (rule->mask != RTE_TCP_SYN_FLAG || rule->has_tag))
		goto item;
	if (is_kind("late") && port->runs)
		goto item;
	if (action->type == RTE_FLOW_ACTION_TYPE_QUEUE) {
		rule->n_queues = 1;
		rule->queues[0] = queue->index;
	} else if (action->type == RTE_FLOW_ACTION_TYPE_RSS && !is_kind("filter")) {
		rule->n_queues = (uint16_t)rss->queue_num;
		memcpy(rule->queues, rss->queue, rss->queue_num * sizeof(uint16_t));
	} else {
		return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, action,
		                          "to one queue only");
	}
	for (uint16_t i = 0; i < rule->n_queues; i++)
		if (rule->queues[i] >= port->n_all)
			return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ACTION_CONF,
			                          action, "no such queue");
	return 0;
item:
	return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, item,
	                          "cannot tell such frames");
}

int
rte_flow_validate(uint16_t id, const struct rte_flow_attr *attr, const struct rte_flow_item items[],
                  const struct rte_flow_action actions[], struct rte_flow_error *error)
{
	struct rte_flow rule;

	(void)attr;
	ports[id].n_asked++;
	return understand(&ports[id], items, actions, &rule, error);
}

struct rte_flow *
rte_flow_create(uint16_t id, const struct rte_flow_attr *attr, const struct rte_flow_item items[],
                const struct rte_flow_action actions[], struct rte_flow_error *error)
{
	struct port *port = &ports[id];
	struct rte_flow rule;

	(void)attr;
	if (!port->runs || understand(port, items, actions, &rule, error) != 0 ||
	    port->n_made == (is_kind("filter") ? 1 : RULES_MAX))
		return NULL;
	port->rules[port->n_made] = rule;
	return &port->rules[port->n_made++];
}

int
rte_flow_destroy(uint16_t id, struct rte_flow *rule, struct rte_flow_error *error)
{
	if (!rule->is_used)
		return rte_flow_error_set(error, ENOENT, RTE_FLOW_ERROR_TYPE_HANDLE, rule,
		                          "no such rule");
	rule->is_used = false;
	ports[id].n_gone++;
	return 0;
}
