/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a port's link is up, down, or lost for good.
 *
 * A link that goes down comes back by itself, and the port with it. A port is lost when
 * what it was opened on is gone: an interface that was deleted, or moved to where its
 * socket does not follow, a peer to which the driver makes no second connection. An
 * interface that is made again under the same name is another one, to which nothing of
 * ours belongs.
 *
 * DPDK's drivers of kernel interfaces do not say so: net_af_packet and net_af_xdp call
 * their link up whatever happens, net_tap asks for the name that the interface once had.
 * The kernel tells it of what they hold open, by calls that need no privilege:
 *
 *   TAP         poll(): POLLERR when its interface is gone, POLLOUT while that is up,
 *               in whichever network namespace (tun_chr_poll() in drivers/net/tun.c)
 *   AF_PACKET   getsockname(): interface -1 when the one it was bound to is gone
 *               (packet_notifier() in net/packet/af_packet.c)
 *   AF_XDP      SO_ERROR: ENETDOWN at the same moment (xsk_notifier() in net/xdp/xsk.c);
 *               and nothing comes in when the interface's program is taken off
 */
#ifndef SYNFRONT_PORT_LINK_H
#define SYNFRONT_PORT_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <net/if.h>

/* As many as a port has queues; a TAP has two for each, one of which is enough. */
#define PORT_LINK_FDS_MAX 64u

enum port_link_state {
	PORT_LINK_UP,
	PORT_LINK_DOWN,
	PORT_LINK_LOST,
};

/* What there is to see. */
enum port_link_sign {
	PORT_SIGN_NONE, /* nothing to be learned there */
	PORT_SIGN_UP,
	PORT_SIGN_DOWN,
	PORT_SIGN_GONE,
};

struct port_link_signs {
	enum port_link_sign held;      /* the descriptors that the driver has open */
	enum port_link_sign interface; /* the kernel's interface, in our network namespace */
	enum port_link_sign driver;    /* what the driver says; gone: the device was removed */
	bool may_move;                 /* the interface may live in another namespace: a TAP */
	bool is_down_final;            /* once its link is down, the driver never raises it */
};

/* How to ask about one port. Written by control; state and n_downs are read by anyone, relaxed. */
struct port_link {
	enum port_link_state state;
	uint32_t n_downs; /* how often it went down, or was lost */

	unsigned int if_index; /* of the kernel's interface; 0: there is none, or it is not known */
	bool may_move;
	bool is_down_final;
	bool asks_driver;    /* its driver knows whether the link is up */
	bool has_program;    /* an XDP program brings what comes in */
	bool is_promiscuous; /* the interface was made so */
	bool is_deaf;        /* ... and is so no more; read by control alone */
	enum port_link_kind {
		PORT_LINK_TUN,
		PORT_LINK_PACKET,
		PORT_LINK_XDP,
	} kind; /* of the descriptors */
	unsigned int n_fds;
	int fds[PORT_LINK_FDS_MAX];
};

/* The state that these signs mean. */
enum port_link_state port_link_judge(const struct port_link_signs *signs);

struct plane_port;

/*
 * Find out how to ask about a port, when it has been started. `others`: the n ports that
 * were started before it.
 */
void port_link_open(struct plane_port *port, const struct plane_port *others, unsigned int n);

/*
 * Wait until the links of these n ports of hardware are up, which takes as long as both ends
 * negotiate (a second or two for copper; IEEE 802.3, clause 28), but `most_ms` at most.
 */
void port_link_wait(struct plane_port *ports, unsigned int n, uint64_t most_ms);

/* Look, and note the state. One that is lost stays so. */
enum port_link_state port_link_look(struct plane_port *port);

static inline enum port_link_state
port_link_state(const struct port_link *link)
{
	return (enum port_link_state)__atomic_load_n(&link->state, __ATOMIC_RELAXED);
}

static inline uint32_t
port_link_downs(const struct port_link *link)
{
	return __atomic_load_n(&link->n_downs, __ATOMIC_RELAXED);
}

/* "up", "down" or "lost". */
const char *port_link_text(enum port_link_state state);

#endif
