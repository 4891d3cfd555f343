/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_link.h"

#include <dirent.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device.h"
#include "plane_state.h"
#include "port.h"
#include "xdp_program.h"

/* /dev/net/tun, Documentation/admin-guide/devices.txt. */
#define TUN_MAJOR 10
#define TUN_MINOR 200

#define LINK_POLL_MS 20u

enum port_link_state
port_link_judge(const struct port_link_signs *s)
{
	if (s->held == PORT_SIGN_GONE || s->driver == PORT_SIGN_GONE)
		return PORT_LINK_LOST;
	if (s->interface == PORT_SIGN_GONE && !s->may_move)
		return PORT_LINK_LOST;
	if (s->driver == PORT_SIGN_DOWN)
		return s->is_down_final ? PORT_LINK_LOST : PORT_LINK_DOWN;
	if (s->held == PORT_SIGN_DOWN || s->interface == PORT_SIGN_DOWN)
		return PORT_LINK_DOWN;
	return PORT_LINK_UP;
}

const char *
port_link_text(enum port_link_state state)
{
	static const char *const texts[] = {
		[PORT_LINK_UP] = "up",
		[PORT_LINK_DOWN] = "down",
		[PORT_LINK_LOST] = "lost",
	};

	return texts[state];
}

/* Does this descriptor hold the TAP of that name, or any if that is not known yet? A queue that
 * is detached holds none. */
static bool
is_tun(int fd, char name[IF_NAMESIZE])
{
	struct ifreq request = { 0 };
	struct stat status;

	if (fstat(fd, &status) != 0 || !S_ISCHR(status.st_mode) ||
	    status.st_rdev != makedev(TUN_MAJOR, TUN_MINOR) || ioctl(fd, TUNGETIFF, &request) != 0)
		return false;
	if (name[0] == '\0')
		memcpy(name, request.ifr_name, IF_NAMESIZE);
	return strncmp(request.ifr_name, name, IF_NAMESIZE) == 0;
}

/* The interface that a packet socket is bound to; -1: it is gone, 0: it is no such socket. */
static int
packet_interface(int fd)
{
	struct sockaddr_ll address = { 0 };
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
	    address.sll_family != AF_PACKET)
		return 0;
	return address.sll_ifindex;
}

static bool
is_xdp(int fd)
{
	int domain = 0;
	socklen_t size = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_XDP;
}

static bool
has_fd(const struct port_link *link, int fd)
{
	for (unsigned int i = 0; i < link->n_fds; i++)
		if (link->fds[i] == fd)
			return true;
	return false;
}

/* Which descriptors of this process are the port's. AF_XDP's do not say to which interface
 * they belong: what is there when a port has been started, and no other port's, is its. */
static void
find_held(struct port_link *link, char name[IF_NAMESIZE], const struct plane_port *others,
          unsigned int n)
{
	DIR *dir = opendir("/proc/self/fd");

	if (dir == NULL)
		return;
	for (struct dirent *e; (e = readdir(dir)) != NULL && link->n_fds < PORT_LINK_FDS_MAX;) {
		int fd = atoi(e->d_name);
		bool is_ours = false, is_others = false;
		for (unsigned int i = 0; i < n; i++)
			is_others |= has_fd(&others[i].link, fd);
		if (e->d_name[0] == '.' || is_others)
			continue;
		switch (link->kind) {
		case PORT_LINK_TUN:
			is_ours = is_tun(fd, name);
			break;
		case PORT_LINK_PACKET:
			is_ours = link->if_index != 0 &&
			          packet_interface(fd) == (int)link->if_index;
			break;
		case PORT_LINK_XDP:
			is_ours = is_xdp(fd);
			break;
		}
		if (is_ours)
			link->fds[link->n_fds++] = fd;
	}
	closedir(dir);
}

/* The kernel's interface and its flags. Its name is asked for each time: it may be given
 * another. */
static enum port_link_sign
look_at_interface(const struct port_link *link, short *flags)
{
	struct ifreq request = { .ifr_ifindex = (int)link->if_index };
	const short both = IFF_UP | IFF_RUNNING;
	enum port_link_sign sign = PORT_SIGN_NONE;

	if (link->if_index == 0)
		return PORT_SIGN_NONE;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return PORT_SIGN_NONE;
	if (ioctl(fd, SIOCGIFNAME, &request) != 0) {
		sign = errno == ENODEV ? PORT_SIGN_GONE : PORT_SIGN_NONE;
	} else if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
		*flags = request.ifr_flags;
		sign = (*flags & both) == both ? PORT_SIGN_UP : PORT_SIGN_DOWN;
	}
	close(fd);
	return sign;
}

/* A client of vhost-user connects once; only a server (server=1) takes another peer. */
static bool
is_vhost_client(const struct plane_port *port)
{
	return strcmp(port->driver, "net_virtio_user") == 0 &&
	       strstr(port->conf->device, "server=1") == NULL &&
	       strstr(port->conf->device, "path=/dev/") == NULL;
}

void
port_link_open(struct plane_port *port, const struct plane_port *others, unsigned int n)
{
	struct port_link *link = &port->link;
	const char *device = port->conf->device;
	struct rte_eth_dev_info info;
	char name[IF_NAMESIZE], remote[IF_NAMESIZE];
	short flags = 0;

	*link = (struct port_link){
		.is_down_final = is_vhost_client(port),
		.asks_driver = true,
	};
	if (!port_is_kernel(port))
		return;
	/* A TAP with a remote interface follows that one's link too. */
	link->asks_driver = device_argument(device, "remote", remote, sizeof(remote));
	link->kind = strcmp(port->driver, "net_af_xdp") == 0 ? PORT_LINK_XDP : PORT_LINK_PACKET;
	if (strcmp(port->driver, "net_tap") == 0 || strcmp(port->driver, "net_virtio_user") == 0)
		link->kind = PORT_LINK_TUN;
	link->may_move = link->kind == PORT_LINK_TUN;
	device_argument(device, "iface", name, sizeof(name));
	if (rte_eth_dev_info_get(port->id, &info) == 0 && info.if_index != 0)
		link->if_index = info.if_index;
	else
		link->if_index = if_nametoindex(name);
	if (link->if_index != 0)
		if_indextoname(link->if_index, name);
	find_held(link, name, others, n);
	/* A TAP that the kernel has named. */
	if (link->if_index == 0)
		link->if_index = if_nametoindex(name);
	link->has_program = link->kind == PORT_LINK_XDP &&
	                    xdp_program_of(link->if_index) == XDP_PROGRAM_ATTACHED;
	/* Whoever reads a TAP's descriptor gets all frames. */
	link->is_promiscuous = link->kind != PORT_LINK_TUN && port->conf->promiscuous &&
	                       look_at_interface(link, &flags) != PORT_SIGN_NONE &&
	                       (flags & IFF_PROMISC) != 0;
}

void
port_link_wait(struct plane_port *ports, unsigned int n, uint64_t most_ms)
{
	for (uint64_t ms = 0; ms < most_ms; ms += LINK_POLL_MS) {
		unsigned int n_down = 0;
		for (unsigned int i = 0; i < n; i++) {
			struct rte_eth_link eth;
			n_down += device_is_pci(ports[i].conf->device) &&
			          rte_eth_link_get_nowait(ports[i].id, &eth) == 0 &&
			          eth.link_status == RTE_ETH_LINK_DOWN;
		}
		if (n_down == 0)
			return;
		usleep(LINK_POLL_MS * 1000);
	}
}

static enum port_link_sign
look_at_held(const struct port_link *link)
{
	enum port_link_sign sign = PORT_SIGN_NONE;

	for (unsigned int i = 0; i < link->n_fds; i++) {
		struct pollfd tun = { .fd = link->fds[i], .events = POLLOUT };
		int error = 0;
		socklen_t size = sizeof(error);
		switch (link->kind) {
		case PORT_LINK_TUN:
			if (poll(&tun, 1, 0) < 0)
				continue;
			if (tun.revents & POLLERR)
				return PORT_SIGN_GONE;
			sign = tun.revents & POLLOUT ? PORT_SIGN_UP : PORT_SIGN_DOWN;
			break;
		case PORT_LINK_PACKET:
			if (packet_interface(link->fds[i]) == -1)
				return PORT_SIGN_GONE;
			break;
		case PORT_LINK_XDP:
			if (getsockopt(link->fds[i], SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
			    error == ENETDOWN)
				return PORT_SIGN_GONE;
			break;
		}
	}
	if (link->has_program && xdp_program_of(link->if_index) == XDP_PROGRAM_NONE)
		return PORT_SIGN_GONE;
	return sign;
}

static enum port_link_sign
look_at_driver(const struct plane_port *port)
{
	struct rte_eth_link eth;

	if (!port->link.asks_driver)
		return PORT_SIGN_NONE;
	if (rte_eth_dev_is_removed(port->id) == 1)
		return PORT_SIGN_GONE;
	if (rte_eth_link_get_nowait(port->id, &eth) != 0)
		return PORT_SIGN_NONE;
	return eth.link_status == RTE_ETH_LINK_DOWN ? PORT_SIGN_DOWN : PORT_SIGN_UP;
}

enum port_link_state
port_link_look(struct plane_port *port)
{
	struct port_link *link = &port->link;
	short flags = 0;
	const struct port_link_signs signs = {
		.held = look_at_held(link),
		.interface = look_at_interface(link, &flags),
		.driver = look_at_driver(port),
		.may_move = link->may_move,
		.is_down_final = link->is_down_final,
	};
	enum port_link_state before = port_link_state(link), now = port_link_judge(&signs);

	if (before == PORT_LINK_LOST)
		return before;
	if (signs.interface == PORT_SIGN_UP || signs.interface == PORT_SIGN_DOWN)
		link->is_deaf = link->is_promiscuous && (flags & IFF_PROMISC) == 0;
	if (before == PORT_LINK_UP && now != PORT_LINK_UP)
		__atomic_fetch_add(&link->n_downs, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&link->state, now, __ATOMIC_RELAXED);
	return now;
}
