/* SPDX-License-Identifier: BSD-3-Clause */
/* The sum of a whole TCP segment and its pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1). */
#ifndef SYNFRONT_SEGMENT_SUM_H
#define SYNFRONT_SEGMENT_SUM_H

#include "bytes.h"
#include "checksum.h"
#include "protocols.h"
#include "segment.h"

/* A segment of less than 64 bytes, in as few steps as its length has bits. */
static inline uint64_t
sum_short(uint64_t sum, const uint8_t *at, uint32_t len)
{
	if (len & 32) {
		sum = checksum_add_32(sum, at);
		at += 32;
	}
	if (len & 16) {
		sum = checksum_add_u64(checksum_add_u64(sum, at), at + 8);
		at += 16;
	}
	if (len & 8) {
		sum = checksum_add_u64(sum, at);
		at += 8;
	}
	if (len & 4) {
		sum = checksum_carry(sum, bytes_get_u32_be(at));
		at += 4;
	}
	return (len & 3) == 0 ? sum : checksum_carry(sum, checksum_add(0, at, len & 3));
}

/*
 * The SYN of Linux, untagged, with all before it in its one shape: 40 bytes of TCP. Addresses
 * and TCP lie behind each other then, 48 bytes or 72. Fields are compared as words; side and
 * checksum_good, which are 0, lie in the first one.
 */
#define SEGMENT_SUM_40(l4_off, is_v4)                                              \
	((uint64_t)(l4_off) << 48 | (uint64_t)ETH_HEADER_SIZE << 32 | 1ull << 24 | \
	 (uint64_t)(is_v4) << 16 | (uint64_t)FAULT_NONE << 8 | SEGMENT_TCP)

static inline bool
segment_is_40(const struct segment *seg, unsigned int l4_off, bool is_v4)
{
	uint64_t lengths, is;

	memcpy(&lengths, &seg->frame_len, sizeof(lengths));
	memcpy(&is, &seg->class, sizeof(is));
	return lengths == l4_off + 40u && is == SEGMENT_SUM_40(l4_off, is_v4);
}
_Static_assert(offsetof(struct segment, payload_len) == offsetof(struct segment, frame_len) + 4 &&
                       offsetof(struct segment, class) + 8 == offsetof(struct segment, options),
               "lengths are one word, what it is another");

/* The sum of a segment of any shape, all of which is there. */
static inline uint64_t
segment_sum_of_any(const struct segment *seg)
{
	uint32_t len = (uint32_t)seg->l4_len + seg->payload_len;
	const uint8_t *tcp = seg->frame + seg->l4_off;
	uint64_t sum = htobe32(len) + (uint64_t)htobe32(PROTO_TCP);
	const struct ip_addr *client = &seg->flow.client, *server = &seg->flow.server;

	if (seg->is_v4) {
		sum += (uint64_t)client->words_be[3] + server->words_be[3];
	} else {
		sum = checksum_add_u64(checksum_add_u64(sum, client->bytes), client->bytes + 8);
		sum = checksum_add_u64(checksum_add_u64(sum, server->bytes), server->bytes + 8);
	}
	if (len < 64)
		return sum_short(sum, tcp, len);
	return checksum_carry(sum, checksum_add(0, tcp, len));
}

/* Is its checksum good, as far as is known or can be told here? */
static inline bool
segment_sum_is_whole(const struct segment *seg)
{
	const uint64_t pseudo_40 = htobe32(40) + (uint64_t)htobe32(PROTO_TCP);
	uint64_t sum;

	if (segment_is_40(seg, ETH_HEADER_SIZE + IPV4_HEADER_SIZE, true)) {
		sum = checksum_add_48(pseudo_40, seg->frame + ETH_HEADER_SIZE + IPV4_SRC_OFF);
	} else if (segment_is_40(seg, ETH_HEADER_SIZE + IPV6_HEADER_SIZE, false)) {
		const uint8_t *at = seg->frame + ETH_HEADER_SIZE + IPV6_SRC_OFF;

		sum = checksum_add_u64(checksum_add_48(checksum_add_u64(pseudo_40, at), at + 8),
		                       at + 56);
		sum = checksum_add_u64(sum, at + 64);
	} else if (seg->checksum_good || !seg->payload_here) {
		return seg->checksum_good;
	} else {
		sum = segment_sum_of_any(seg);
	}
	return checksum_is_whole(sum);
}

/* Is it 20 bytes of TCP at this offset, untagged, from outside? All of it is there, then. The
 * offset does not tell the family: IPv4 may have options. */
static inline bool
segment_is_20(const struct segment *seg, unsigned int l4_off, bool is_v4)
{
	uint64_t lengths;
	uint32_t offsets;

	memcpy(&lengths, &seg->frame_len, sizeof(lengths));
	memcpy(&offsets, &seg->l3_off, sizeof(offsets));
	return lengths == l4_off + 20u && seg->is_v4 == is_v4 &&
	       offsets == ((uint32_t)l4_off << 16 | ETH_HEADER_SIZE);
}
_Static_assert(offsetof(struct segment, l4_off) == offsetof(struct segment, l3_off) + 2,
               "offsets are one word");

/* As segment_sum_is_whole(), for who expects an ACK that says nothing else: of IPv4 28 bytes lie
 * behind each other then, of IPv6 52. */
static inline bool
segment_sum_of_ack_is_whole(const struct segment *seg)
{
	const uint64_t pseudo_20 = htobe32(20) + (uint64_t)htobe32(PROTO_TCP);
	const uint8_t *at = seg->frame + ETH_HEADER_SIZE;
	uint64_t sum;

	if (segment_is_20(seg, ETH_HEADER_SIZE + IPV4_HEADER_SIZE, true)) {
		at += IPV4_SRC_OFF;
		sum = checksum_add_u64(pseudo_20, at);
	} else if (segment_is_20(seg, ETH_HEADER_SIZE + IPV6_HEADER_SIZE, false)) {
		at += IPV6_SRC_OFF;
		sum = checksum_add_32(pseudo_20, at);
		at += 24;
	} else {
		return segment_sum_is_whole(seg);
	}
	sum = checksum_add_u64(checksum_add_u64(sum, at + 8), at + 16);
	return checksum_is_whole(checksum_carry(sum, bytes_get_u32_be(at + 24)));
}

#endif
