/* SPDX-License-Identifier: BSD-3-Clause */
/* What a port by AF_PACKET (net_af_packet) cuts off: its ring has frames of one size. */
#ifndef SYNFRONT_AF_PACKET_H
#define SYNFRONT_AF_PACKET_H

#include <stdint.h>

struct plane_port;

/* Bytes of the longest frame that such a device receives whole, without FCS, by its `framesz`. */
uint32_t af_packet_room(const char *device);
/* Bytes that its driver wants a buffer to have for any frame of the ring. */
uint32_t af_packet_buffer(const char *device);

/* Say so, if its interface has an MTU of which a frame is longer than that. `name` is for the log. */
void af_packet_check(const struct plane_port *port, const char *name);

#endif
