/* SPDX-License-Identifier: BSD-3-Clause */
/* The sum of a whole TCP segment and its pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1). */
#ifndef SYNFRONT_SEGMENT_SUM_H
#define SYNFRONT_SEGMENT_SUM_H

#include <smmintrin.h>

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
		sum = checksum_add_16(sum, at);
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
 * Is it untagged, with `tcp_len` bytes of TCP and nothing else from this offset on? All
 * of it is there then, since its header is, and the addresses stand right before TCP if its family
 * has this offset without options: that of IPv6 is also one of IPv4, with 20 bytes of options.
 * Fields are compared as words; checksum_good, which is 0, and the side, which stands in `side` as it
 * does there, lie in the first one.
 */
static inline bool
segment_is(const struct segment *seg, uint64_t side, unsigned int l4_off, unsigned int tcp_len)
{
	uint64_t lengths;
	uint32_t offsets;

	memcpy(&lengths, &seg->frame_len, sizeof(lengths));
	memcpy(&offsets, &seg->l3_off, sizeof(offsets));
	return lengths == (side | (l4_off + tcp_len)) &&
	       offsets == ((uint32_t)l4_off << 16 | ETH_HEADER_SIZE);
}
_Static_assert(offsetof(struct segment, payload_len) == offsetof(struct segment, frame_len) + 4 &&
                       offsetof(struct segment, l4_off) == offsetof(struct segment, l3_off) + 2,
               "lengths are one word, offsets another");

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

#define SUM_V4_L4_OFF (ETH_HEADER_SIZE + IPV4_HEADER_SIZE)
#define SUM_V6_L4_OFF (ETH_HEADER_SIZE + IPV6_HEADER_SIZE)

/* The sum of both addresses and `tcp_len` bytes of TCP, 20 or 40, which lie behind each other in
 * `ip`: 28 or 48 bytes of IPv4, 52 or 72 of IPv6. */
static inline __attribute__((always_inline)) uint64_t
sum_of_header(const uint8_t *ip, bool is_v4, unsigned int tcp_len)
{
	const uint8_t *at = ip + (is_v4 ? IPV4_SRC_OFF : IPV6_SRC_OFF);
	uint64_t sum = htobe32(tcp_len) + (uint64_t)htobe32(PROTO_TCP);

	if (tcp_len == 40)
		return is_v4 ? checksum_add_48(sum, at) : checksum_add_72(sum, at);
	return is_v4 ? checksum_add_28(sum, at) : checksum_add_52(sum, at);
}

/* Is its checksum good, as far as is known or can be told here? Of TCP. */
static inline bool
segment_sum_is_whole(const struct segment *seg)
{
	if (seg->checksum_good || !seg->payload_here)
		return seg->checksum_good;
	return checksum_is_whole(segment_sum_of_any(seg));
}

#define SUM_WHOLE 0xffffu /* of what is known to be good */

/* Which of the last 32 bytes of a TCP header are options, where it has so many words. */
#define SUM_ONE(n, i) ((i) >= 16 - (int)(n) ? 0xff : 0)
#define SUM_FOUR(n, i) SUM_ONE(n, i), SUM_ONE(n, (i) + 1), SUM_ONE(n, (i) + 2), SUM_ONE(n, (i) + 3)
#define SUM_LAST(n) { SUM_FOUR(n, 0), SUM_FOUR(n, 4), SUM_FOUR(n, 8), SUM_FOUR(n, 12) }
#define SUM_OPTIONS(words) [words] = { SUM_LAST(4 * (words) - 36), SUM_LAST(4 * (words) - 20) }
static const uint8_t sum_options_mask[14][2][16] __attribute__((aligned(16))) = {
	SUM_OPTIONS(5),  SUM_OPTIONS(6),  SUM_OPTIONS(7),  SUM_OPTIONS(8),  SUM_OPTIONS(9),
	SUM_OPTIONS(10), SUM_OPTIONS(11), SUM_OPTIONS(12), SUM_OPTIONS(13),
};
#define SUM_OPTIONS_END 52u

/* A sum and the options of a TCP header of 20 to SUM_OPTIONS_END bytes. No branch depends on its
 * length. Of a short one bytes before it are read, too, which an IP header is. */
static inline __attribute__((always_inline)) uint64_t
sum_options(uint64_t sum, const uint8_t *tcp, uint64_t header_len)
{
	const __m128i *mask = (const __m128i *)sum_options_mask[header_len / 4];
	const uint8_t *end = tcp + header_len;
	__m128i a = _mm_and_si128(_mm_loadu_si128((const __m128i *)(end - 32)), mask[0]);
	__m128i b = _mm_and_si128(_mm_loadu_si128((const __m128i *)(end - 16)), mask[1]);

	__asm__("addq %1, %0\n\t"
	        "adcq %2, %0\n\t"
	        "adcq %3, %0\n\t"
	        "adcq %4, %0\n\t"
	        "adcq $0, %0"
	        : "+r"(sum)
	        : "r"(_mm_cvtsi128_si64(a)), "r"(_mm_extract_epi64(a, 1)),
	          "r"(_mm_cvtsi128_si64(b)), "r"(_mm_extract_epi64(b, 1))
	        : "cc");
	return sum;
}

/* What segment_sum_of_syn() takes for the usual lengths of a family: Linux's. */
static inline uint64_t
segment_sum_usual(bool is_v4)
{
	return ETH_HEADER_SIZE + (is_v4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE) + 40;
}

/*
 * The sum of a segment with the shape of a SYN, for checksum_is_whole(): addresses and TCP lie
 * behind each other, and of Linux's SYNs they are 48 bytes, or 72. *usual, which begins as
 * segment_sum_usual(), says whether all of the family were that long so far. After the first one
 * that is not no length is the usual one: in a flood of all kinds the question costs more, by a
 * branch that is foretold wrong, than a sum without it.
 */
static inline __attribute__((always_inline)) uint64_t
segment_sum_of_syn(const struct segment *seg, bool is_v4, uint64_t *usual)
{
	const uint32_t l4_off = ETH_HEADER_SIZE + (is_v4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE);
	const uint8_t *at = seg->frame + ETH_HEADER_SIZE + (is_v4 ? IPV4_SRC_OFF : IPV6_SRC_OFF);
	const uint64_t pseudo_40 = htobe32(40) + (uint64_t)htobe32(PROTO_TCP);
	uint64_t lengths, sum;

	/* Payload, side and checksum_good, mostly 0, lie in it, too. */
	memcpy(&lengths, &seg->frame_len, sizeof(lengths));
	if (lengths == *usual)
		return is_v4 ? checksum_add_48(pseudo_40, at) : checksum_add_72(pseudo_40, at);
	*usual = 0;
	uint64_t len = lengths - l4_off;
	if (__builtin_expect(len > SUM_OPTIONS_END, 0)) {
		if (seg->checksum_good)
			return SUM_WHOLE;
		return segment_sum_of_any(seg);
	}
	/* A length of one byte, in network byte order, beside the protocol. */
	sum = (len + PROTO_TCP) << 24;
	sum = is_v4 ? checksum_add_28(sum, at) : checksum_add_52(sum, at);
	/* Without any, as programs send them that make nothing but floods. */
	if (len == TCP_HEADER_SIZE)
		return sum;
	return sum_options(sum, seg->frame + l4_off, len);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the last byte on the wire is the upper");

/* As segment_sum_is_whole(), for who expects an ACK that says nothing else. */
static inline bool
segment_sum_of_ack_is_whole(const struct segment *seg)
{
	const uint8_t *ip = seg->frame + ETH_HEADER_SIZE;
	uint64_t lengths;

	/* Payload, side and checksum_good, mostly 0, lie in it, too; the shape says the rest. */
	memcpy(&lengths, &seg->frame_len, sizeof(lengths));
	if (seg->shape == SHAPE_ACK_V4 && lengths == SUM_V4_L4_OFF + TCP_HEADER_SIZE)
		return checksum_is_whole(sum_of_header(ip, true, 20));
	if (seg->shape == SHAPE_ACK_V6 && lengths == SUM_V6_L4_OFF + TCP_HEADER_SIZE)
		return checksum_is_whole(sum_of_header(ip, false, 20));
	return segment_sum_is_whole(seg);
}

/* The same for who expects nothing: most that is looked at has one of these lengths, too, from
 * either side. */
static inline bool
segment_sum_of_all_is_whole(const struct segment *seg)
{
	const uint8_t *ip = seg->frame + ETH_HEADER_SIZE;
	const uint64_t side = (uint64_t)seg->side << 48;
	uint64_t sum;

	if (segment_is(seg, side, SUM_V4_L4_OFF, 40))
		sum = sum_of_header(ip, true, 40);
	else if (segment_is(seg, side, SUM_V4_L4_OFF, 20))
		sum = sum_of_header(ip, true, 20);
	else if (!seg->is_v4 && segment_is(seg, side, SUM_V6_L4_OFF, 40))
		sum = sum_of_header(ip, false, 40);
	else if (!seg->is_v4 && segment_is(seg, side, SUM_V6_L4_OFF, 20))
		sum = sum_of_header(ip, false, 20);
	else if (seg->checksum_good || !seg->payload_here)
		return seg->checksum_good;
	else
		sum = segment_sum_of_any(seg);
	return checksum_is_whole(sum);
}

#endif
