/* SPDX-License-Identifier: BSD-3-Clause */
#include "af_packet.h"

#include <net/ethernet.h>
#include <net/if.h>
#include <rte_common.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device.h"
#include "log.h"
#include "plane_state.h"

/* What the driver takes unless it is told (DPDK, rte_eth_af_packet.c: DFLT_FRAME_SIZE). */
#define FRAMESZ_DEFAULT 2048u
/* What stands before a frame in its slot of the ring (packet(7), TPACKET_V2: the header and an
 * address, so aligned that the network header is at a multiple of 16). */
#define FRAMESZ_HEAD 66u
/* What the driver takes for that when it asks whether a frame fits into a buffer: the header alone. */
#define FRAMESZ_HEADER 32u
#define PAGE 4096u
#define VLAN_TAG 4u

static uint32_t
framesz(const char *device)
{
	char given[24]; /* as many digits as there are in a long */

	return device_argument(device, "framesz", given, sizeof(given))
	               ? (uint32_t)strtoul(given, NULL, 10)
	               : FRAMESZ_DEFAULT;
}

uint32_t
af_packet_room(const char *device)
{
	uint32_t size = framesz(device);

	return size > FRAMESZ_HEAD ? size - FRAMESZ_HEAD : 0;
}

uint32_t
af_packet_buffer(const char *device)
{
	uint32_t size = framesz(device);

	return size > FRAMESZ_HEADER ? size - FRAMESZ_HEADER : 0;
}

/* 0, if it cannot be told. */
static uint32_t
mtu_of(const char *device)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (device_argument(device, "iface", request.ifr_name, sizeof(request.ifr_name)) &&
	    fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) != 0)
		request.ifr_mtu = 0;
	if (fd >= 0)
		close(fd);
	return (uint32_t)request.ifr_mtu;
}

void
af_packet_check(const struct plane_port *port, const char *name)
{
	const char *device = port->conf->device;
	uint32_t room = af_packet_room(device);
	/* The tag of a frame comes apart from it. */
	uint32_t mtu = mtu_of(device), most = mtu + ETH_HLEN + VLAN_TAG;

	if (most <= room)
		return;
	/* The kernel wants blocks of whole pages, and the driver takes the frames of all blocks for one
	 * array: a block must be a whole number of frames. */
	uint32_t fits = RTE_ALIGN(most + FRAMESZ_HEAD, PAGE);
	log_warning(
		"%s: %s: its interface has an MTU of %u, and frames of more than %u bytes are cut "
		"off: give the device framesz=%u,blocksz=%u",
		name, device, mtu, room, fits, fits);
}
