/* SPDX-License-Identifier: BSD-3-Clause */
#include "syn_queues.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_tcp.h>
#include <stdarg.h>

#include "log.h"
#include "plane_state.h"

#define OTHER_FLAGS (RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_FIN_FLAG)
#define ITEMS_MAX 5

/* What a rule looks at beside the SYN flag. */
static const uint8_t masks[] = {
	RTE_TCP_SYN_FLAG | OTHER_FLAGS,
	RTE_TCP_SYN_FLAG,
};

/* The first one is what makes it worth while. */
static const struct frames {
	bool is_v4, has_tag;
} frames[SYN_RULES_MAX] = { { true, false }, { false, false }, { true, true }, { false, true } };

/* A rule, and what it refers to. */
struct rule {
	struct rte_flow_attr attr;
	struct rte_flow_item items[ITEMS_MAX];
	struct rte_flow_action actions[2];
	struct rte_flow_item_tcp spec, mask;
	struct rte_flow_action_queue queue;
	struct rte_flow_action_rss rss;
	uint16_t queues[CONF_WORKERS_MAX];
};

static void
match(struct rule *rule, const struct frames *which, uint8_t mask)
{
	unsigned int n = 0;

	*rule = (struct rule){
		.attr = { .ingress = 1 },
		.spec = { .hdr = { .tcp_flags = RTE_TCP_SYN_FLAG } },
		.mask = { .hdr = { .tcp_flags = mask } },
	};
	rule->items[n++].type = RTE_FLOW_ITEM_TYPE_ETH;
	if (which->has_tag)
		rule->items[n++].type = RTE_FLOW_ITEM_TYPE_VLAN;
	rule->items[n++].type = which->is_v4 ? RTE_FLOW_ITEM_TYPE_IPV4 : RTE_FLOW_ITEM_TYPE_IPV6;
	rule->items[n++] = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_TCP,
		                                   .spec = &rule->spec,
		                                   .mask = &rule->mask };
	rule->items[n].type = RTE_FLOW_ITEM_TYPE_END;
	rule->actions[1].type = RTE_FLOW_ACTION_TYPE_END;
}

/* To one queue, or to as many as the rest has, from `first` on, as RSS spreads that. */
static void
lead(struct rule *rule, const struct plane_port *port, bool is_v4, uint16_t first,
     const uint8_t *key)
{
	const uint64_t over_ports = is_v4 ? RTE_ETH_RSS_NONFRAG_IPV4_TCP
	                                  : RTE_ETH_RSS_NONFRAG_IPV6_TCP;

	if (port->n_rx == 1 || port->rss_types == 0) {
		rule->queue.index = first;
		rule->actions[0] = (struct rte_flow_action){ .type = RTE_FLOW_ACTION_TYPE_QUEUE,
			                                     .conf = &rule->queue };
		return;
	}
	for (uint16_t i = 0; i < port->n_rx; i++)
		rule->queues[i] = (uint16_t)(first + i);
	rule->rss = (struct rte_flow_action_rss){
		.func = RTE_ETH_HASH_FUNCTION_TOEPLITZ,
		.types = port->rss_types & over_ports,
		.key_len = port->rss_key_len,
		.key = port->rss_key_len != 0 ? key : NULL,
		.queue_num = port->n_rx,
		.queue = rule->queues,
	};
	if (rule->rss.types == 0)
		rule->rss.types = port->rss_types & (is_v4 ? RTE_ETH_RSS_IPV4 : RTE_ETH_RSS_IPV6);
	rule->actions[0] = (struct rte_flow_action){ .type = RTE_FLOW_ACTION_TYPE_RSS,
		                                     .conf = &rule->rss };
}

static int
validate(const struct plane_port *port, const struct rule *rule, struct rte_flow_error *error)
{
	memset(error, 0, sizeof(*error));
	return rte_flow_validate(port->id, &rule->attr, rule->items, rule->actions, error);
}

/*
 * For igb, ixgbe and txgbe a rule with RSS is the port's RSS as a whole, whatever it is to match.
 * They refuse ours because it names its hash; were that to change, all frames would go to the
 * queues of SYNs. No frame has its Ethernet header behind that of TCP.
 */
static bool
ignores_items(const struct plane_port *port, const struct rule *rule)
{
	struct rule nonsense = *rule;
	struct rte_flow_error error;

	if (rule->actions[0].type != RTE_FLOW_ACTION_TYPE_RSS)
		return false;
	nonsense.items[0] = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_TCP,
		                                    .spec = &nonsense.spec,
		                                    .mask = &nonsense.mask };
	nonsense.items[1] = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_ETH };
	nonsense.items[2] = (struct rte_flow_item){ .type = RTE_FLOW_ITEM_TYPE_END };
	return validate(port, &nonsense, &error) == 0;
}

static const char *
text_of(const struct rte_flow_error *error, int rc)
{
	return error->message != NULL ? error->message : rte_strerror(-rc);
}

void
syn_queues_give_up(struct plane_port *port, const char *format, ...)
{
	va_list args;

	port->syns.n = 0;
	if (port->syns.why_not[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(port->syns.why_not, sizeof(port->syns.why_not), format, args);
	va_end(args);
}

/* Not before there are queues does mlx5 know where a rule could lead, nor bnxt anything. */
static bool
is_too_early(const struct rte_flow_error *error)
{
	return error->type == RTE_FLOW_ERROR_TYPE_ACTION_CONF ||
	       error->type == RTE_FLOW_ERROR_TYPE_HANDLE;
}

bool
syn_queues_ask(struct plane_port *port, const struct rte_eth_dev_info *info, uint32_t most_queues,
               const uint8_t *key)
{
	struct rte_flow_error error;
	struct rule rule;
	int rc = -ENOTSUP;

	for (unsigned int i = 0; rc != 0 && rc != -ENOSYS && i < RTE_DIM(masks); i++) {
		match(&rule, &frames[0], masks[i]);
		/* To the queues that there are. */
		lead(&rule, port, true, 0, key);
		rc = validate(port, &rule, &error);
	}
	if (rc == -ENOSYS)
		syn_queues_give_up(port, "its driver has no flow rules");
	else if (port->n_rx > 1 && (port->rss_types == 0 || info->reta_size == 0 ||
	                            info->reta_size > OWNER_TABLE_SIZE))
		syn_queues_give_up(port, "its RSS cannot leave queues out");
	else if (most_queues < 2u * port->n_rx)
		syn_queues_give_up(port, "%u receive queues are wanted, it has %u", 2u * port->n_rx,
		                   most_queues);
	else if (rc != 0 && !is_too_early(&error))
		syn_queues_give_up(port, "its driver: %s", text_of(&error, rc));
	else
		return true;
	return false;
}

/* A rule for these frames: 0, or the error of the last of the ways that were tried. */
static int
make(struct plane_port *port, const struct frames *which, const uint8_t *key,
     struct rte_flow_error *error)
{
	struct syn_queues *syns = &port->syns;
	int rc = -ENOTSUP;

	for (unsigned int i = 0; i < RTE_DIM(masks); i++) {
		struct rule rule;
		match(&rule, which, masks[i]);
		lead(&rule, port, which->is_v4, port->n_rx, key);
		rc = validate(port, &rule, error);
		if (rc != 0)
			continue;
		if (ignores_items(port, &rule)) {
			error->message = "a rule is for all frames";
			return -ENOTSUP;
		}
		struct rte_flow *flow = rte_flow_create(port->id, &rule.attr, rule.items,
		                                        rule.actions, error);
		if (flow != NULL) {
			syns->rules[syns->n_rules++] = flow;
			return 0;
		}
		rc = -rte_errno;
	}
	return rc;
}

int
syn_queues_make(struct plane_port *port, const uint8_t *key)
{
	struct rte_flow_error error;

	for (unsigned int i = 0; i < SYN_RULES_MAX; i++) {
		int rc = make(port, &frames[i], key, &error);
		if (rc != 0 && i == 0) {
			syn_queues_give_up(port, "its driver: %s", text_of(&error, rc));
			return -1;
		}
		if (rc != 0)
			log_info("%s: SYNs over IPv%c%s come with the rest: %s", port->conf->device,
			         frames[i].is_v4 ? '4' : '6',
			         frames[i].has_tag ? " with a tag" : "", text_of(&error, rc));
	}
	return 0;
}

void
syn_queues_end(struct plane_port *port)
{
	struct rte_flow_error error = { .type = RTE_FLOW_ERROR_TYPE_NONE };

	while (port->syns.n_rules > 0) {
		int rc = rte_flow_destroy(port->id, port->syns.rules[--port->syns.n_rules], &error);
		if (rc != 0)
			log_warning("%s: a rule for SYNs stays: %s", port->conf->device,
			            text_of(&error, rc));
	}
}
