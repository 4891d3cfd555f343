/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_reception.h"

#include <errno.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "log.h"

void
port_reception_queue(const struct rte_eth_dev_info *info, struct rte_eth_rxconf *conf)
{
	*conf = info->default_rxconf;
	conf->rx_drop_en = 1;
}

static void
end_pauses(const struct plane_port *port, const char *name)
{
	struct rte_eth_fc_conf conf;
	int rc = rte_eth_dev_flow_ctrl_get(port->id, &conf);

	/* Where the driver knows none there are none. */
	if (rc != 0 || conf.mode == RTE_ETH_FC_NONE)
		return;
	conf.mode = RTE_ETH_FC_NONE;
	rc = rte_eth_dev_flow_ctrl_set(port->id, &conf);
	if (rc != 0)
		log_info("%s: %s goes on asking for pauses when it is full: %s", name,
		         port->conf->device, rte_strerror(-rc));
}

void
port_reception_begin(const struct plane_port *port, const char *name)
{
	int rc;

	end_pauses(port, name);
	if (!port->conf->promiscuous)
		return;
	/* Rings and memory have no filter that could be in the way. */
	rc = rte_eth_promiscuous_enable(port->id);
	if (rc != 0)
		log_message(rc == -ENOTSUP ? CONF_LOG_INFO : CONF_LOG_WARNING,
		            "%s.promiscuous: %s: %s", name, port->conf->device, rte_strerror(-rc));
	/* A virtual function may leave multicast out of what promiscuous means (iavf). */
	rc = rte_eth_allmulticast_enable(port->id);
	if (rc != 0 && rc != -ENOTSUP)
		log_warning("%s.promiscuous: %s: multicast: %s", name, port->conf->device,
		            rte_strerror(-rc));
}
