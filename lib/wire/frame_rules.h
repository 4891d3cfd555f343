/* SPDX-License-Identifier: BSD-3-Clause */
/* What both lanes of the parser judge frames by; inside lib/wire only. */
#ifndef SYNFRONT_FRAME_RULES_H
#define SYNFRONT_FRAME_RULES_H

#include "bytes.h"
#include "checksum.h"
#include "protocols.h"
#include "segment.h"

#define IPV4_BROADCAST 0xffffffffu

/* Multicast (class D), broadcast, "this network" and loopback: none is an end
 * of a TCP connection on a wire (RFC 1122, 3.2.1.3; RFC 9293, MUST-57). */
static inline bool
is_unusable_v4(uint32_t addr_be)
{
	uint32_t net = addr_be & 0xff;

	/* Without a branch: which half a random source is in, none could foretell. */
	if ((net - 1 < 126) | (net - 128 < 96))
		return false;
	return net < 240 || addr_be == IPV4_BROADCAST;
}

/* A SYN ends nothing; all else carries ACK, save a RST for a segment that had
 * none (RFC 9293, 3.10.7). */
static inline bool
has_bad_flags(uint8_t flags)
{
	if (flags & TCP_SYN)
		return flags & (TCP_FIN | TCP_RST);
	return !(flags & TCP_ACK) && (flags & (TCP_RST | TCP_FIN)) != TCP_RST;
}

/* Sum of the IPv4 header without its options. */
static inline uint64_t
sum_ipv4(const uint8_t *ip)
{
	return checksum_add_16(bytes_get_u32_be(ip + 16), ip);
}

#endif
