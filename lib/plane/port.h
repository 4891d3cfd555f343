/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports of any driver: what one has is used, what it has not is done by us. */
#ifndef SYNFRONT_PORT_H
#define SYNFRONT_PORT_H

#include "plane_state.h"

struct rte_eth_dev_info;

/* Find the port of a side and choose queues and offloads. 0, or -1 with the reason logged. */
int port_probe(struct plane *plane, enum side side, const struct port_conf *conf);
/* Once there are buffers: set it up and let it run. 0, or -1 with the reason logged. */
int port_start(struct plane *plane, enum side side);
/* How many queues of either kind the port with this driver gets (n_rx, n_tx): as configured, else
 * one for each worker, as far as the device has them, which may be fewer than its driver says.
 * `name` is for the log. 0, or -1 with the reason logged. */
int port_choose_queues(const struct plane *plane, struct plane_port *port,
                       const struct rte_eth_dev_info *info, const char *name);
void port_stop(struct plane_port *port);
/* Does its driver ask a kernel for every burst? */
bool port_is_kernel(const struct plane_port *port);
/* Data room that buffers need, without headroom. */
uint32_t port_buffer_size(const struct plane *plane);

#endif
