/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYNs in receive queues of their own, where a port can tell them.
 *
 * A worker that is offered more than it can answer loses what finds its ring full, whatever it is:
 * segments of established connections as much as the flood's SYNs. To drop SYNs itself does not pay:
 * receiving a frame and dropping it takes half of receiving and answering it. A NIC drops for
 * nothing. So the outside port has W queues for the rest, as it would have without this, and
 * W more, [W, 2W), to which flow rules (rte_flow) send TCP with SYN set and ACK, RST and FIN clear.
 * Worker i polls queue i, and queue W + i with what is left (worker.c): what is too much then
 * fills the ring of SYNs alone.
 *
 *   over the rest   the RSS table spreads over [0, W), so that everything but SYNs goes where it
 *                   went. A port whose table cannot be set keeps its W queues, unless W is 1.
 *   over SYNs       W is 1: to that queue. Else by RSS with the same key and types, so that a SYN
 *                   mostly comes to its owner; one that does not is handed over, as any frame.
 *   by SYN alone    some filters look at that flag and no other (ixgbe, igb, igc, txgbe). SYN-ACKs of
 *                   servers outside then come by these queues, too.
 *   tags, families  a rule each: for IPv4, and for IPv6 and one VLAN tag if the port takes it. What
 *                   no rule matches comes with the rest.
 *
 * Nothing relies on it: a SYN is one in any queue, and whatever comes in a queue of SYNs is looked
 * at as everywhere.
 *
 * What a driver accepts it says for sure once the port runs: before, mlx5 has no queues that a rule
 * could name, and bnxt no tables. So it is asked twice: as soon as the port is probed, when most
 * refuse the pattern as such and nothing is changed, and when it runs. If it refuses then, the
 * port is set up again without.
 */
#ifndef SYNFRONT_SYN_QUEUES_H
#define SYNFRONT_SYN_QUEUES_H

#include <stdbool.h>
#include <stdint.h>

struct plane_port;
struct rte_eth_dev_info;
struct rte_flow;

#define SYN_RULES_MAX 4u
#define SYN_WHY_NOT_SIZE 120 /* as a string of DPDK's telemetry holds it */

struct syn_queues {
	uint16_t n; /* as many as others; 0: there are none */
	unsigned int n_rules;
	struct rte_flow *rules[SYN_RULES_MAX];
	char why_not[SYN_WHY_NOT_SIZE]; /* n is 0 */
};

/* Of a port that is configured without: may it have some? False, and why_not. `key` is that of
 * RSS. */
bool syn_queues_ask(struct plane_port *port, const struct rte_eth_dev_info *info,
                    uint32_t most_queues, const uint8_t *key);
/* Of a port that runs with syns.n of them: make the rules. 0, or -1 and why_not, with no rule
 * left. */
int syn_queues_make(struct plane_port *port, const uint8_t *key);
/* The port runs on; it shall have none. */
void syn_queues_end(struct plane_port *port);

/* There are none from now on, and this is why; the first reason stays. */
void syn_queues_give_up(struct plane_port *port, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
