/* SPDX-License-Identifier: BSD-3-Clause */
/* Choosing queues and offloads by what the driver can, setting them, and saying so. */
#include "port.h"

#include <net/if.h>
#include <net/if_arp.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "af_packet.h"
#include "dpdk_versions.h"
#include "device.h"
#include "lcore.h"
#include "log.h"
#include "pci_reason.h"
#include "port_reception.h"

#define BUFFER_SIZE 2048u
/* Ethernet with two tags, without FCS. */
#define FRAME_OVERHEAD (RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN)
#define RSS_WANTED (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP)

static bool
is_one_of(const char *driver, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(driver, *list) == 0)
			return true;
	return false;
}

/* A driver that asks a kernel for every burst. */
bool
port_is_kernel(const struct plane_port *port)
{
	static const char *const drivers[] = { "net_tap", "net_af_packet", "net_af_xdp", "net_pcap",
		                               NULL };

	return is_one_of(port->driver, drivers) ||
	       (strcmp(port->driver, "net_virtio_user") == 0 &&
	        strstr(port->conf->device, "path=/dev/vhost-net") != NULL);
}

static int
find(const char *device, uint16_t *id)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	device_name(device, name, sizeof(name));
	return rte_eth_dev_get_port_by_name(name, id);
}

/* How many queues a port can have of either kind, where it is fewer than its driver says.
 * net_e1000_em takes two transmit queues of any card, and the older ones (82540EM, "e1000" in
 * QEMU) read the first alone: what is given to the second stays there. */
static uint16_t
most_queues(const struct plane_port *port)
{
	if (strcmp(port->driver, "net_tap") == 0)
		return tap_queues_max(UINT16_MAX);
	if (strcmp(port->driver, "net_e1000_em") == 0)
		return 1;
	return UINT16_MAX;
}

int
port_choose_queues(const struct plane *plane, struct plane_port *port,
                   const struct rte_eth_dev_info *info, const char *name)
{
	uint32_t asked = port->conf->queues;
	const uint32_t limit = most_queues(port);
	uint32_t most = RTE_MIN(info->max_rx_queues, limit);
	uint32_t most_tx = RTE_MIN(info->max_tx_queues, limit);
	uint32_t wanted = asked != 0 ? asked : plane->n_workers;

	if (asked > most) {
		log_error("%s.queues: %u are asked, %s has %u", name, asked, port->conf->device,
		          most);
		return -1;
	}
	if (asked > plane->n_workers) {
		log_error("%s.queues: %u are asked, workers.count is %u", name, asked,
		          plane->n_workers);
		return -1;
	}
	port->n_rx = (uint16_t)RTE_MIN(wanted, most);
	port->n_tx = (uint16_t)RTE_MIN(wanted, most_tx);
	/* A TAP has as many of the one as of the other. */
	if (strcmp(port->driver, "net_tap") == 0)
		port->n_rx = port->n_tx = RTE_MIN(port->n_rx, port->n_tx);
	if (asked == 0 && port->n_rx < plane->n_workers)
		log_notice("%s: %u of %u workers poll it; the others get their share over rings",
		           name, port->n_rx, plane->n_workers);
	return 0;
}

/* Hardware does what it does better. Drivers in software would do in a pass of
 * its own what we do while we write, or leave it to their peer. */
static void
choose_offloads(struct plane_port *port, const struct rte_eth_dev_info *info,
                struct rte_eth_conf *eth)
{
	const uint64_t tx_both = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	const uint64_t rx_both = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	bool is_hardware = device_is_pci(port->conf->device) &&
	                   strcmp(port->driver, "net_virtio") != 0;

	if (is_hardware && port->conf->checksum == CONF_OFFLOAD_AUTO) {
		port->tx_checksum = (info->tx_offload_capa & tx_both) == tx_both;
		port->rx_checksum = (info->rx_offload_capa & rx_both) == rx_both;
	}
	if (port->tx_checksum)
		eth->txmode.offloads |= tx_both;
	if (port->rx_checksum)
		eth->rxmode.offloads |= rx_both;
	/* vmxnet3 says that it scatters, and loses the frames that do not fit one buffer. */
	port->rx_scatter = (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) &&
	                   strcmp(port->driver, "net_vmxnet3") != 0;
	/* What is sent in several buffers is lost in QEMU's packed ring (7.2), and a driver does not
	 * say which ring it has. */
	port->tx_chains = (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) &&
	                  strcmp(port->driver, "net_virtio") != 0;
	/* Not where one buffer does: a TAP would read each frame into all that it has. */
	if (port->rx_scatter && port->conf->mtu + FRAME_OVERHEAD > BUFFER_SIZE)
		eth->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	if (port->tx_chains)
		eth->txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
}

/*
 * RSS spreads a port's frames over the workers. It also decides who owns a connection where
 * every queue has its worker, the types hash the ports of both families, and the
 * driver is one of hardware: software ones say that they can and leave it to a kernel.
 */
static void
choose_rss(struct plane *plane, struct plane_port *port, const struct rte_eth_dev_info *info,
           struct rte_eth_conf *eth)
{
	const uint64_t over_ports = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP;
	uint64_t types = info->flow_type_rss_offloads & RSS_WANTED;

	port->rss_types = 0;
	if (port->n_rx < 2 || types == 0 || info->hash_key_size > OWNER_KEY_SIZE)
		return;
	eth->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	eth->rx_adv_conf.rss_conf = rss_conf_make(info, types, plane->owners.key);
	port->rss_types = types;
	port->rss_key_len = eth->rx_adv_conf.rss_conf.rss_key_len;
	if ((types & over_ports) == over_ports && device_is_pci(port->conf->device) &&
	    rss_is_ours(info) && port->n_rx == plane->n_workers && info->reta_size != 0 &&
	    OWNER_TABLE_SIZE % info->reta_size == 0 &&
	    (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH)) {
		eth->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
		port->rss = true;
		/* Only what comes from outside finds its owner by the NIC's hash. */
		if (port == &plane->ports[SIDE_OUTSIDE])
			owner_map_fit(&plane->owners, info->reta_size);
	}
}

/* The NIC's table says what ours says, and leaves out the queues of SYNs. */
static int
set_reta(const struct plane *plane, const struct plane_port *port, uint16_t size)
{
	struct rte_eth_rss_reta_entry64 reta[OWNER_TABLE_SIZE / RTE_ETH_RETA_GROUP_SIZE] = { 0 };

	for (uint16_t i = 0; i < size; i++) {
		struct rte_eth_rss_reta_entry64 *group = &reta[i / RTE_ETH_RETA_GROUP_SIZE];
		group->mask |= UINT64_C(1) << (i % RTE_ETH_RETA_GROUP_SIZE);
		group->reta[i % RTE_ETH_RETA_GROUP_SIZE] = port->rss ? plane->owners.table[i]
		                                                     : i % port->n_rx;
	}
	return rte_eth_dev_rss_reta_update(port->id, reta, size);
}

/* A port into this host's kernel answers to the address that the host is
 * known by: give it to the kernel's side too. */
static void
set_kernel_mac(const struct plane_port *port, const struct rte_ether_addr *mac)
{
	struct ifreq request = { 0 };
	int fd;

	if (!device_argument(port->conf->device, "iface", request.ifr_name,
	                     sizeof(request.ifr_name)))
		return;
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, mac->addr_bytes, sizeof(mac->addr_bytes));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (ioctl(fd, SIOCSIFHWADDR, &request) != 0)
		log_warning("%s: the kernel's interface keeps its address: %m", request.ifr_name);
	close(fd);
}

static int
set_mac(struct plane *plane, struct plane_port *port, const char *name)
{
	struct rte_ether_addr mac;
	int rc;

	if (port->conf->mac_source == CONF_MAC_GIVEN)
		memcpy(mac.addr_bytes, port->conf->mac, sizeof(mac.addr_bytes));
	else if (port->conf->mac_source == CONF_MAC_OUTSIDE)
		mac = plane->ports[SIDE_OUTSIDE].mac;
	else
		return rte_eth_macaddr_get(port->id, &port->mac);
	rc = rte_eth_dev_default_mac_addr_set(port->id, &mac);
	if (rc != 0 && !port_is_kernel(port)) {
		log_error("%s.mac: %s does not take " RTE_ETHER_ADDR_PRT_FMT ": %s", name,
		          port->conf->device, RTE_ETHER_ADDR_BYTES(&mac), rte_strerror(-rc));
		return -1;
	}
	if (port_is_kernel(port))
		set_kernel_mac(port, &mac);
	port->mac = mac;
	return 0;
}

static void
set_mtu(struct plane_port *port, const char *name)
{
	uint16_t mtu = RTE_ETHER_MTU;
	int rc;

	if (port->conf->mtu != 0) {
		rc = rte_eth_dev_set_mtu(port->id, (uint16_t)port->conf->mtu);
		/* Rings and memory have none; what they carry is up to their peer. */
		if (rc != 0)
			log_warning("%s.mtu: %s does not take %u: %s", name, port->conf->device,
			            port->conf->mtu, rte_strerror(-rc));
	}
	if (rte_eth_dev_get_mtu(port->id, &mtu) != 0)
		mtu = RTE_ETHER_MTU;
	mtu = (uint16_t)RTE_MAX(mtu, port->conf->mtu);
	port->frame_size_max = mtu + (uint32_t)FRAME_OVERHEAD;
	if (port->is_af_packet)
		port->frame_size_max = RTE_MAX(port->frame_size_max,
		                               af_packet_buffer(port->conf->device));
	/* A TAP takes none of the frames behind one that is too long for it. */
	port->sent_size_max = strcmp(port->driver, "net_tap") == 0 ? port->frame_size_max
	                                                           : UINT32_MAX;
}

static int
check_numa(const struct plane *plane, const struct plane_port *port, const char *name)
{
	bool is_strict = plane->conf->workers.numa == CONF_NUMA_STRICT;

	if (port->socket == SOCKET_ID_ANY || rte_socket_count() < 2)
		return 0;
	for (unsigned int i = 0; i < plane->n_workers; i++) {
		int socket = (int)rte_lcore_to_socket_id(lcore_of_worker(i));
		if (socket == port->socket)
			continue;
		log_message(is_strict ? CONF_LOG_ERROR : CONF_LOG_WARNING,
		            "%s: %s is on NUMA node %d, worker %u on node %d", name,
		            port->conf->device, port->socket, i, socket);
		if (is_strict)
			return -1;
	}
	return 0;
}

/* Receive interrupts are for workers that rest. net_vhost frees what a worker would wait for
 * whenever another peer comes, and says a line for each time that one is armed. */
static bool
wants_interrupts(const struct plane *plane, const struct plane_port *port)
{
	return plane->conf->workers.idle == CONF_IDLE_AUTO &&
	       strcmp(port->driver, "net_vhost") != 0;
}

/* Queues, offloads, descriptors and MTU, as probed. */
static int
configure(struct plane *plane, enum side side)
{
	struct plane_port *port = &plane->ports[side];
	struct rte_eth_conf eth = { 0 };
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(port->id, &info);

	if (rc != 0)
		return rc;
	choose_offloads(port, &info, &eth);
	choose_rss(plane, port, &info, &eth);
	/* virtio-user takes another peer by interrupts, whether they were asked for or not, and
	 * takes its handler of these back at the end only if they were. */
	eth.intr_conf.lsc = strcmp(port->driver, "net_virtio_user") == 0 &&
	                    (*info.dev_flags & RTE_ETH_DEV_INTR_LSC) != 0;
	eth.intr_conf.rxq = port->rx_interrupts;
	rc = rte_eth_dev_configure(port->id, (uint16_t)(port->n_rx + port->syns.n), port->n_tx,
	                           &eth);
	if (rc != 0)
		return rc;
	port->n_rx_descriptors = (uint16_t)port->conf->rx_descriptors;
	port->n_tx_descriptors = (uint16_t)port->conf->tx_descriptors;
	rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &port->n_rx_descriptors,
	                                      &port->n_tx_descriptors);
	if (rc == 0)
		set_mtu(port, side_name(side));
	return rc;
}

/* Set up the outside port with queues of SYNs, too, if it may have some. Whether it takes the rules is
 * known when it runs. */
static int
want_syn_queues(struct plane *plane, const struct rte_eth_dev_info *info)
{
	struct plane_port *port = &plane->ports[SIDE_OUTSIDE];

	if (port->conf->syn_queues == CONF_OFFLOAD_OFF) {
		syn_queues_give_up(port, "switched off");
		return 0;
	}
	if (!syn_queues_ask(port, info, RTE_MIN(info->max_rx_queues, most_queues(port)),
	                    plane->owners.key))
		return 0;
	port->syns.n = port->n_rx;
	int rc = configure(plane, SIDE_OUTSIDE);
	if (rc == 0)
		return 0;
	syn_queues_give_up(port, "it cannot be set up with them: %s", rte_strerror(-rc));
	return configure(plane, SIDE_OUTSIDE);
}

int
port_probe(struct plane *plane, enum side side, const struct port_conf *conf)
{
	struct plane_port *port = &plane->ports[side];
	const char *name = side_name(side);
	struct rte_eth_dev_info info;
	int rc;

	port->conf = conf;
	rte_spinlock_init(&port->tx_lock);
	if (find(conf->device, &port->id) != 0 || rte_eth_dev_info_get(port->id, &info) != 0) {
		if (!pci_reason_log(name, conf->device))
			log_error("%s.device: %s: no such port, or its driver does not start it "
			          "(log level info shows why)",
			          name, conf->device);
		return -1;
	}
	port->driver = info.driver_name;
	port->socket = rte_eth_dev_socket_id(port->id);
	port->is_af_packet = strcmp(port->driver, "net_af_packet") == 0;
	port->partial_checksums = port->is_af_packet || strcmp(port->driver, "net_af_xdp") == 0;
	if (port->is_af_packet)
		af_packet_check(port, name);
	if (port_choose_queues(plane, port, &info, name) != 0 || check_numa(plane, port, name) != 0)
		return -1;
	port->rx_interrupts = wants_interrupts(plane, port);
	rc = configure(plane, side);
	/* A UIO module, say, has one interrupt at most, and it is the link's. */
	if (rc != 0 && port->rx_interrupts) {
		port->rx_interrupts = false;
		rc = configure(plane, side);
	}
	if (rc == 0 && side == SIDE_OUTSIDE)
		rc = want_syn_queues(plane, &info);
	else
		syn_queues_give_up(port, "only the outside port has them");
	if (rc != 0)
		log_error("%s: %s cannot be set up with %u receive queues of %u descriptors and "
		          "%u transmit queues of %u: %s",
		          name, conf->device, port->n_rx, port->n_rx_descriptors, port->n_tx,
		          port->n_tx_descriptors, rte_strerror(-rc));
	return rc == 0 ? 0 : -1;
}

/* One buffer holds any frame unless both ports can deal with chains. */
uint32_t
port_buffer_size(const struct plane *plane)
{
	uint32_t size = BUFFER_SIZE;
	bool has_chains = true;

	for (unsigned int i = 0; i < plane->n_ports; i++)
		has_chains &= plane->ports[i].rx_scatter && plane->ports[i].tx_chains;
	for (unsigned int i = 0; i < plane->n_ports && !has_chains; i++)
		size = RTE_MAX(size, plane->ports[i].frame_size_max);
	return RTE_ALIGN(size, 64u);
}

static int
start_queues(struct plane *plane, struct plane_port *port)
{
	struct rte_eth_dev_info info;
	struct rte_eth_rxconf conf;
	int rc = rte_eth_dev_info_get(port->id, &info);

	if (rc == 0)
		port_reception_queue(&info, &conf);
	for (uint16_t q = 0; rc == 0 && q < port->n_rx + port->syns.n; q++)
		rc = rte_eth_rx_queue_setup(port->id, q, port->n_rx_descriptors,
		                            (unsigned int)port->socket, &conf,
		                            plane->pools[q % port->n_rx]);
	for (uint16_t q = 0; rc == 0 && q < port->n_tx; q++)
		rc = rte_eth_tx_queue_setup(port->id, q, port->n_tx_descriptors,
		                            (unsigned int)port->socket, NULL);
	return rc == 0 ? rte_eth_dev_start(port->id) : rc;
}

/* It runs: what is spread over which queues. -1: not with queues of SYNs, why_not says why. */
static int
steer(struct plane *plane, struct plane_port *port)
{
	struct rte_eth_dev_info info;
	bool has_syns = port->syns.n != 0;
	int rc = rte_eth_dev_info_get(port->id, &info);

	if (rc == 0 && (port->rss || (has_syns && port->n_rx > 1)))
		rc = set_reta(plane, port, info.reta_size);
	if (rc != 0 && has_syns) {
		syn_queues_give_up(port, "its RSS table cannot be set: %s", rte_strerror(-rc));
		return -1;
	}
	if (rc != 0) {
		log_warning("%s: its RSS table cannot be set; owners are found by software",
		            port->conf->device);
		port->rss = false;
	}
	return has_syns ? syn_queues_make(port, plane->owners.key) : 0;
}

/* Start it with queues of SYNs; if it takes them not, it is set up without, but not started. */
static int
start_with_syns(struct plane *plane, struct plane_port *port)
{
	int rc = start_queues(plane, port);

	if (rc != 0)
		syn_queues_give_up(port, "it does not start with them: %s", rte_strerror(-rc));
	else if (steer(plane, port) != 0)
		rte_eth_dev_stop(port->id);
	else
		return 0;
	return configure(plane, SIDE_OUTSIDE);
}

int
port_start(struct plane *plane, enum side side)
{
	struct plane_port *port = &plane->ports[side];
	const char *name = side_name(side);
	int rc = port->syns.n != 0 ? start_with_syns(plane, port) : 0;

	if (rc == 0 && port->syns.n == 0)
		rc = start_queues(plane, port);
	/* There may be fewer vectors than queues, which some drivers see only now. */
	if (rc != 0 && port->rx_interrupts) {
		log_info("%s: %s does not start with receive interrupts: %s", name,
		         port->conf->device, rte_strerror(-rc));
		port->rx_interrupts = false;
		rc = configure(plane, side);
		if (rc == 0)
			rc = start_queues(plane, port);
	}
	if (rc != 0) {
		log_error("%s: %s does not start: %s", name, port->conf->device, rte_strerror(-rc));
		return -1;
	}
	if (port->syns.n == 0)
		steer(plane, port);
	port_reception_begin(port, name);
	if (set_mac(plane, port, name) != 0)
		return -1;
	log_notice("%s: %s (%s), " RTE_ETHER_ADDR_PRT_FMT
	           ", %u receive and %u transmit queues%s%s%s",
	           name, port->conf->device, port->driver, RTE_ETHER_ADDR_BYTES(&port->mac),
	           port->n_rx, port->n_tx, port->rss ? ", RSS" : "",
	           port->tx_checksum ? ", checksums by the port" : "",
	           port->syns.n != 0 ? ", as many more for SYNs" : "");
	if (side == SIDE_OUTSIDE && port->syns.n == 0)
		log_info("%s: no receive queues for SYNs: %s", name, port->syns.why_not);
	return 0;
}

void
port_stop(struct plane_port *port)
{
	syn_queues_end(port);
	int rc = rte_eth_dev_stop(port->id);

	if (rc != 0)
		log_warning("%s does not stop: %s", port->conf->device, rte_strerror(-rc));
	rte_eth_dev_close(port->id);
}
