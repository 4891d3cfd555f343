/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames for tests, built and verified byte by byte. Shares no code with
 * lib/wire but the form of an address, so that each can be checked by the other.
 */
#ifndef SYNFRONT_FRAME_H
#define SYNFRONT_FRAME_H

#include <stddef.h>

#include "addr.h"

#define FRAME_SIZE 2048

/* Everything that can be said of a frame; numbers in host order. What is zero
 * in frame_spec_v4() and frame_spec_v6() is absent. */
struct frame_spec {
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	unsigned int n_tags;
	uint16_t tpid[3];
	uint16_t tci[3];
	struct ip_addr src; /* both IPv4-mapped: an IPv4 frame, unless force_v6 */
	struct ip_addr dst;
	bool force_v6;
	uint8_t tos;
	uint8_t ttl;
	uint32_t flow_label; /* IPv6 */
	uint16_t ip_id;
	uint16_t ip_fragment;      /* IPv4 flags and offset, as on the wire */
	const uint8_t *ip_options; /* IPv4 options, or IPv6 extension headers */
	size_t ip_options_len;     /* multiple of 4; of 8 for IPv6 */
	uint8_t ip_first;          /* IPv6: next header of the first extension header */
	uint8_t proto;             /* 0: TCP */
	uint16_t src_port;
	uint16_t dst_port;
	uint32_t seq;
	uint32_t ack;
	uint8_t flags;
	uint8_t reserved; /* the four bits behind the data offset */
	uint16_t window;
	uint16_t urgent;
	const uint8_t *options;
	size_t options_len;     /* filled up with zero to a multiple of 4 */
	const uint8_t *payload; /* TCP data; for another proto all that follows IP */
	size_t payload_len;
	size_t n_trailing;        /* bytes behind the IP packet, as Ethernet pads */
	uint16_t bad_ip_checksum; /* added to the right one, one's complement */
	uint16_t bad_tcp_checksum;
};

/* A SYN without options from 198.51.100.7:40000 to 192.0.2.1:80. */
struct frame_spec frame_spec_v4(void);

/* A SYN without options from [2001:db8:1::7]:40000 to [2001:db8:2::1]:80. */
struct frame_spec frame_spec_v6(void);

/* Write the frame to `frame` of FRAME_SIZE bytes; returns its length. */
size_t frame_build(uint8_t *frame, const struct frame_spec *spec);

/* The Internet checksum of `len` bytes in host order (RFC 1071), of bytes that
 * hold a right one: 0. `sum` is what was added before. */
uint16_t frame_checksum(uint32_t sum, const uint8_t *bytes, size_t len);

/* Sum of the pseudo-header for `proto` over `len` bytes, for frame_checksum(). */
uint32_t frame_pseudo_sum(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto,
                          size_t len);

/* Are the IPv4 header checksum and the TCP checksum of this frame (tagged or
 * not, without IPv6 extension headers) right, and its lengths consistent? */
bool frame_is_good(const uint8_t *frame, size_t len);

/* Offsets of the IP and TCP header in a frame without extension headers. */
size_t frame_l3_off(const uint8_t *frame);
size_t frame_l4_off(const uint8_t *frame);

#endif
