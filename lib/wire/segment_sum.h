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

/* Is its checksum good? All of it is there. */
static inline bool
segment_sum_is_whole(const struct segment *seg)
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
	if (len == 40) /* the SYN of Linux */
		sum = checksum_add_u64(checksum_add_32(sum, tcp), tcp + 32);
	else if (len < 64)
		sum = sum_short(sum, tcp, len);
	else
		sum = checksum_carry(sum, checksum_add(0, tcp, len));
	return checksum_is_whole(sum);
}

#endif
