/* SPDX-License-Identifier: BSD-3-Clause */
#include "port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "line.h"

#define RING_SIZE (32u << 20)
#define MOST_SLOTS 16384u
#define BLOCK_SIZE 65536u
#define SEND_BUFFER (16 << 20)
#define TAG_AT 12u
#define TAG_SIZE 4u
#define NS_PER_S 1000000000ull

/* Everything before the frame in a slot, with room to spare for its alignment. */
#define SLOT_HEAD 128u

static bool
fail(char *error, const char *name, const char *what)
{
	snprintf(error, PORT_ERROR_SIZE, "%s: %s: %s", name, what, strerror(errno));
	return false;
}

static bool
set_option(const struct port *port, int option, int value)
{
	return !setsockopt(port->fd, SOL_PACKET, option, &value, sizeof(value));
}

static bool
open_ring(struct port *port, char *error)
{
	struct tpacket_req request = { 0 };
	size_t slot = 2048;

	while (slot < SLOT_HEAD + ETH_HLEN + TAG_SIZE + port->mtu)
		slot *= 2;
	port->slot_size = slot;
	port->n_slots = RING_SIZE / slot < MOST_SLOTS ? RING_SIZE / slot : MOST_SLOTS;
	if (slot > BLOCK_SIZE) {
		snprintf(error, PORT_ERROR_SIZE, "%s: its MTU of %u is too large", port->name,
		         port->mtu);
		return false;
	}
	request.tp_frame_size = (unsigned int)slot;
	request.tp_frame_nr = (unsigned int)port->n_slots;
	request.tp_block_size = BLOCK_SIZE;
	request.tp_block_nr = (unsigned int)(port->n_slots * slot / BLOCK_SIZE);
	if (!set_option(port, PACKET_VERSION, TPACKET_V2) ||
	    setsockopt(port->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)))
		return fail(error, port->name, "no ring");
	port->ring = mmap(NULL, port->n_slots * slot, PROT_READ | PROT_WRITE,
	                  MAP_SHARED | MAP_POPULATE, port->fd, 0);
	if (port->ring == MAP_FAILED) {
		port->ring = NULL;
		return fail(error, port->name, "no memory for a ring");
	}
	return true;
}

bool
port_open(struct port *port, const char *name, char error[PORT_ERROR_SIZE])
{
	struct ifreq device = { 0 };
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct packet_mreq all = { .mr_type = PACKET_MR_PROMISC };
	int size = SEND_BUFFER;

	*port = (struct port){ .name = name };
	/* Protocol 0: nothing comes in before bind() names the interface. */
	port->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (port->fd < 0)
		return fail(error, name, "no packet socket");
	address.sll_ifindex = (int)if_nametoindex(name);
	if (!address.sll_ifindex)
		return fail(error, name, "no such interface");
	snprintf(device.ifr_name, sizeof(device.ifr_name), "%s", name);
	if (ioctl(port->fd, SIOCGIFMTU, &device))
		return fail(error, name, "no MTU");
	port->mtu = (uint32_t)device.ifr_mtu;
	if (!open_ring(port, error))
		return false;
	all.mr_ifindex = address.sll_ifindex;
	if (!set_option(port, PACKET_IGNORE_OUTGOING, 1) ||
	    !set_option(port, PACKET_QDISC_BYPASS, 1) ||
	    setsockopt(port->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(port->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)))
		return fail(error, name, "cannot set up its packet socket");
	if (bind(port->fd, (struct sockaddr *)&address, sizeof(address)))
		return fail(error, name, "cannot bind");
	return true;
}

void
port_close(struct port *port)
{
	if (port->ring)
		munmap(port->ring, port->n_slots * port->slot_size);
	if (port->fd >= 0)
		close(port->fd);
	port->fd = -1;
	port->ring = NULL;
}

static struct tpacket2_hdr *
port_slot(const struct port *port)
{
	return (struct tpacket2_hdr *)(void *)(port->ring + port->at * port->slot_size);
}

void
port_done(struct port *port)
{
	/* Pairs with the kernel's read: it must not write before we have read. */
	__atomic_store_n(&port_slot(port)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	port->at = port->at + 1 == port->n_slots ? 0 : port->at + 1;
}

bool
port_next(struct port *port, struct port_frame *frame)
{
	for (;;) {
		struct tpacket2_hdr *slot = port_slot(port);
		/* The frame is read after the status that says it is there. */
		uint32_t status = __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);

		if (!(status & TP_STATUS_USER))
			return false;
		if (slot->tp_snaplen < slot->tp_len || slot->tp_len < ETH_HLEN ||
		    slot->tp_len > port->mtu + ETH_HLEN + TAG_SIZE) {
			port->n_too_long++;
			port_done(port);
			continue;
		}
		port->n_unsummed += !!(status & TP_STATUS_CSUMNOTREADY);
		frame->bytes = (uint8_t *)slot + slot->tp_mac;
		frame->length = slot->tp_len;
		frame->arrived_ns = slot->tp_sec * NS_PER_S + slot->tp_nsec;
		frame->tagged = status & TP_STATUS_VLAN_VALID;
		if (frame->tagged) {
			uint16_t type = htons(status & TP_STATUS_VLAN_TPID_VALID
			                              ? slot->tp_vlan_tpid
			                              : ETH_P_8021Q);
			uint16_t tci = htons(slot->tp_vlan_tci);

			memcpy(frame->tag, &type, sizeof(type));
			memcpy(frame->tag + sizeof(type), &tci, sizeof(tci));
			frame->length += TAG_SIZE;
		}
		return true;
	}
}

void
port_copy(const struct port_frame *frame, uint8_t *bytes)
{
	uint32_t length = frame->length;

	if (!frame->tagged) {
		memcpy(bytes, frame->bytes, length);
		return;
	}
	memcpy(bytes, frame->bytes, TAG_AT);
	memcpy(bytes + TAG_AT, frame->tag, TAG_SIZE);
	memcpy(bytes + TAG_AT + TAG_SIZE, frame->bytes + TAG_AT, length - TAG_AT - TAG_SIZE);
}

void
port_send(struct port *port, struct frame *const *frames, unsigned int n)
{
	struct iovec parts[PORT_BATCH];
	struct mmsghdr messages[PORT_BATCH];
	unsigned int done = 0;

	for (unsigned int i = 0; i < n; i++) {
		parts[i] = (struct iovec){ frames[i]->bytes, frames[i]->length };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[i],
			                                     .msg_iovlen = 1 } };
	}
	while (done < n) {
		int sent = sendmmsg(port->fd, messages + done, n - done, MSG_DONTWAIT);

		if (sent > 0) {
			done += (unsigned int)sent;
		} else if (errno != EINTR) {
			port->n_unsent++;
			done++;
		}
	}
}

void
port_count(struct port *port)
{
	struct tpacket_stats stats;
	socklen_t size = sizeof(stats);

	/* Reading them sets them to 0. */
	if (!getsockopt(port->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size))
		port->n_socket_dropped += stats.tp_drops;
}
