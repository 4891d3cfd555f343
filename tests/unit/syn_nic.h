/* SPDX-License-Identifier: BSD-3-Clause */
/* A NIC in the place of DPDK's own functions: how it is set up, and which flow rules it takes. */
#ifndef SYNFRONT_SYN_NIC_H
#define SYNFRONT_SYN_NIC_H

#include "owner.h"

#define SYN_NIC_RULES_MAX 8u

/* What a rule is, as the NIC got it. */
struct rte_flow {
	bool is_v4, has_tag, exists;
	uint8_t mask;
	unsigned int n_queues;
	uint16_t queues[64];
	uint64_t types;
	uint8_t key[OWNER_KEY_SIZE];
};

struct syn_nic {
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
	struct rte_flow rules[SYN_NIC_RULES_MAX];
	struct rte_mempool *pools[16];
};

extern struct syn_nic nic;

/* Rules that exist. */
unsigned int syn_nic_rules(void);

#endif
