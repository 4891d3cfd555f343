/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a port takes in: all that is on the wire, and no more than its queues hold. A frame for a
 * full queue is dropped at once and by itself. Left to their drivers' own mind, several NICs (ixgbe,
 * igb, igc, txgbe) keep it in the packet buffer that all queues share until the queue has room, so
 * that one worker that is late, or a full queue of SYNs, stops the others; and some (igb, igc,
 * txgbe) ask the switch for a pause then, which stops whoever else is behind it.
 */
#ifndef SYNFRONT_PORT_RECEPTION_H
#define SYNFRONT_PORT_RECEPTION_H

#include "plane_state.h"

struct rte_eth_dev_info;
struct rte_eth_rxconf;

/* How a receive queue of this port is set up. */
void port_reception_queue(const struct rte_eth_dev_info *info, struct rte_eth_rxconf *conf);

/* Once the port runs: every frame, whoever it is for, if its configuration says `promiscuous`; and
 * it asks for no pauses (IEEE 802.3, annex 31B). What it has no say in is passed over. `name` is for
 * the log. */
void port_reception_begin(const struct plane_port *port, const char *name);

#endif
