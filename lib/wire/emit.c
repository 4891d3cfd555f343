/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers as words and vectors laid out beforehand; what is the same is kept in the memo. */
#include "emit.h"

#include <assert.h>
#include <stddef.h>
#include <nmmintrin.h>

#include "bytes.h"
#include "checksum.h"
#include "protocols.h"
#include "tcp_layout.h"

/* First words of our IP headers. DF with ID 0: atomic datagrams, whose ID has
 * no meaning (RFC 6864, 4.1). */
#define IPV4_WORD0 0x45000000u
#define IPV4_WORD1 0x00004000u
#define IPV4_WORD2 (PROTO_TCP << 16) /* and the TTL above it */
#define IPV6_WORD0 0x60000000u

/* The tail of a TCP header in the making: where the next word goes. */
static inline uint8_t *
put_word(uint8_t *at, uint32_t word)
{
	bytes_put_u32_be(at, htobe32(word));
	return at + 4;
}

/* Every option or pair of them fills whole words, so no padding follows. */
static uint8_t *
put_options(uint8_t *at, const struct packet *p, struct emit_fixed *fixed)
{
	if (p->options & OPTION_MSS)
		at = put_word(at, TCPOPT_WORD_MSS | p->mss);
	if (p->options & OPTION_TIMESTAMPS) {
		at = put_word(at, p->options & OPTION_SACK_PERMITTED ? TCPOPT_WORD_SACK_TS
		                                                     : TCPOPT_WORD_TS);
		at = put_word(at, p->tsval);
		fixed->tsecr_off = (uint8_t)(TCP_DATA_OFF + (at - fixed->tail));
		fixed->tsecr_mask = UINT32_MAX;
		at = put_word(at, 0);
	} else if (p->options & OPTION_SACK_PERMITTED) {
		at = put_word(at, TCPOPT_WORD_SACK);
	}
	if (p->options & OPTION_WSCALE)
		at = put_word(at, TCPOPT_WORD_WSCALE | p->wscale);
	return at;
}

static inline unsigned int
padded(unsigned int frame_len)
{
	return frame_len < EMIT_FRAME_MIN ? EMIT_FRAME_MIN : frame_len;
}

/* Sums are of words as they lie in memory, so that they fold to what is stored. */
static __attribute__((noinline)) void
fixed_fill(struct emit_fixed *fixed, const struct packet *p)
{
	uint32_t ttl = p->ttl != 0 ? p->ttl : EMIT_TTL;
	uint32_t ipv4[3], ipv6[2];

	memset(fixed, 0, sizeof(*fixed));
	uint8_t *end = put_options(fixed->tail + TCP_HEADER_SIZE - TCP_DATA_OFF, p, fixed);
	fixed->header_len = (uint8_t)(TCP_DATA_OFF + (end - fixed->tail));
	fixed->len = (uint16_t)(fixed->header_len + p->payload_len);
	fixed->ipv4_frame = (uint16_t)padded(ETH_HEADER_SIZE + IPV4_HEADER_SIZE + fixed->len);
	fixed->ipv6_frame = (uint16_t)padded(ETH_HEADER_SIZE + IPV6_HEADER_SIZE + fixed->len);
	if (fixed->tsecr_mask == 0)
		fixed->tsecr_off = fixed->header_len;
	put_word(fixed->tail,
	         (uint32_t)fixed->header_len << 26 | (uint32_t)p->flags << 16 | p->window);
	fixed->sum = checksum_add((uint64_t)htobe32(PROTO_TCP) + htobe32(fixed->len), fixed->tail,
	                          sizeof(fixed->tail));

	ipv4[0] = htobe32(IPV4_WORD0 | ((uint32_t)fixed->len + IPV4_HEADER_SIZE));
	ipv4[1] = htobe32(IPV4_WORD1);
	ipv4[2] = htobe32(ttl << 24 | IPV4_WORD2);
	memcpy(fixed->ipv4_first, ipv4, sizeof(ipv4));
	fixed->ipv4_sum = checksum_fold((uint64_t)ipv4[0] + ipv4[1] + ipv4[2]);
	ipv6[0] = htobe32(IPV6_WORD0);
	ipv6[1] = htobe32((uint32_t)fixed->len << 16 | PROTO_TCP << 8 | ttl);
	memcpy(&fixed->ipv6_first, ipv6, sizeof(fixed->ipv6_first));
}
_Static_assert(offsetof(struct packet, ack) == 16 && offsetof(struct packet, seq) == 20,
               "what packets have in common is 16 bytes, what follows one word");
/* Of options there are 20 bytes at most. Without timestamps there are 8 less, so that a word behind
 * the header is still of the tail. */
_Static_assert(TCP_DATA_OFF + sizeof(((struct emit_fixed *)0)->tail) >= TCP_HEADER_SIZE + 20 &&
                       ETH_HEADER_SIZE + IPV4_HEADER_SIZE + TCP_DATA_OFF +
                                       sizeof(((struct emit_fixed *)0)->tail) >=
                               EMIT_FRAME_MIN,
               "two vectors from the data offset on are the longest header, and pad a short frame");

static inline bool
is_said(const uint64_t said[2], const struct packet *p)
{
	__m128i equal = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)said),
	                               _mm_loadu_si128((const __m128i *)p));

	return _mm_movemask_epi8(equal) == 0xffff;
}

/* The place of a packet: found by all that it says, so that where packets of two kinds take turns
 * one is as quick as the other. */
static inline struct emit_kept *
memo_place(struct emit_memo *memo, const struct packet *p)
{
	uint64_t said[2];

	memcpy(said, p, sizeof(said));
	return &memo->kept[_mm_crc32_u64(_mm_crc32_u64(0, said[0]), said[1]) & (EMIT_KEPT - 1)];
}

void
emit_make(struct emit_fixed *made, const struct packet *p)
{
	assert(p->payload_len == 0);
	fixed_fill(made, p);
}

static inline void
copy_vectors(uint8_t *to, const uint8_t *from, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		_mm_storeu_si128((__m128i *)to + i, _mm_loadu_si128((const __m128i *)from + i));
}

/* TSecr and its sum. Where there is none zeros go behind the header, as they would anyway: which it
 * is, no branch could foretell in a flood of all kinds. */
static inline __attribute__((always_inline)) uint32_t
write_tsecr(uint8_t *tcp, const struct packet *p, const struct emit_fixed *fixed)
{
	uint32_t tsecr_be = htobe32(p->tsecr) & fixed->tsecr_mask;

	bytes_put_u32_be(tcp + fixed->tsecr_off, tsecr_be);
	return tsecr_be;
}

/* Both numbers. Returns them as they lie there. */
static inline __attribute__((always_inline)) uint64_t
write_numbers(uint8_t *tcp, const struct packet *p)
{
	uint64_t numbers;

	memcpy(&numbers, &p->ack, sizeof(numbers));
	numbers = htobe64(numbers);
	memcpy(tcp + TCP_SEQ_OFF, &numbers, sizeof(numbers));
	return numbers;
}

/* All of the TCP header behind the numbers but for its checksum. Returns its sum with that of the
 * pseudo-header's words that are fixed, below 2^35. */
static inline __attribute__((always_inline)) uint64_t
write_tail(uint8_t *tcp, const struct packet *p, const struct emit_fixed *fixed)
{
	copy_vectors(tcp + TCP_DATA_OFF, fixed->tail, 2);
	return fixed->sum + write_tsecr(tcp, p, fixed);
}

/*
 * TCP header and payload; `addresses` is the sum of both, `ports_be` both ports as they
 * lie there. The header is written as the longest: behind a shorter one come zeros, the
 * padding of a short frame, and there is room. Checksums are made of the values as they are
 * written: reading them back would wait for the stores to reach the cache.
 */
static inline __attribute__((always_inline)) void
write_tcp(uint8_t *tcp, uint32_t ports_be, const struct packet *p, const struct emit_fixed *fixed,
          uint64_t addresses, enum emit_checksum checksum)
{
	uint64_t numbers = write_numbers(tcp, p);
	uint64_t sum = checksum_carry(write_tail(tcp, p, fixed) + addresses + ports_be, numbers);

	bytes_put_u32_be(tcp, ports_be);
	if (p->payload_len != 0) {
		memcpy(tcp + fixed->header_len, p->payload, p->payload_len);
		if (checksum == EMIT_CHECKSUM_SOFTWARE)
			sum = checksum_carry(sum, checksum_add(0, p->payload, p->payload_len));
	}
	/* The pseudo-header alone (RFC 9293, 3.1), or all of it. */
	bytes_put_u16_be(tcp + TCP_CHECK_OFF,
	                 checksum == EMIT_CHECKSUM_OFFLOAD
	                         ? checksum_fold(addresses + htobe32(PROTO_TCP) +
	                                         (uint64_t)htobe32(fixed->len))
	                         : (uint16_t)~checksum_fold(sum));
}

/* All before the addresses, and something where they go. */
static inline __attribute__((always_inline)) void
write_ipv4(uint8_t *ip, uint32_t src_be, uint32_t dst_be, const struct emit_fixed *fixed,
           enum emit_checksum checksum)
{
	uint32_t sum = checksum_add_two_u32(src_be, dst_be, fixed->ipv4_sum);

	copy_vectors(ip, fixed->ipv4_first, 1);
	if (checksum == EMIT_CHECKSUM_SOFTWARE)
		bytes_put_u16_be(ip + IPV4_CHECK_OFF, (uint16_t)~checksum_fold_u32(sum));
}

static inline void
write_ipv6(uint8_t *ip, const struct ip_addr *src, const struct ip_addr *dst,
           const struct emit_fixed *fixed)
{
	memcpy(ip, &fixed->ipv6_first, sizeof(fixed->ipv6_first));
	copy_vectors(ip + IPV6_SRC_OFF, src->bytes, 1);
	copy_vectors(ip + IPV6_DST_OFF, dst->bytes, 1);
}

static inline uint64_t
sum_addr(const struct ip_addr *a)
{
	return (uint64_t)a->words_be[0] + a->words_be[1] + a->words_be[2] + a->words_be[3];
}

/* Both ports as they lie in a segment of this direction. */
static inline uint32_t
ports_of(const struct flow *flow, bool from_client)
{
	uint32_t ports_be;

	memcpy(&ports_be, &flow->client_port_be, sizeof(ports_be));
	return from_client ? ports_be : ports_be << 16 | ports_be >> 16;
}

/* DSCP of another's: no common thing, so apart. */
static __attribute__((noinline)) void
label_ipv4(uint8_t *ip, uint32_t label, enum emit_checksum checksum)
{
	uint8_t tos = (uint8_t)(label >> 20);

	ip[1] = tos;
	/* RFC 1624, eqn. 3; it was 0 before. */
	if (checksum == EMIT_CHECKSUM_SOFTWARE)
		bytes_put_u16(ip + IPV4_CHECK_OFF,
		              (uint16_t)~checksum_fold_u32(
				      (uint16_t)~bytes_get_u16(ip + IPV4_CHECK_OFF) + tos));
}

/* Everything from `l3_off` on of any packet, and the padding. Returns the frame length. */
static __attribute__((noinline)) unsigned int
write_packet(uint8_t *frame, unsigned int l3_off, const struct flow *flow, bool from_client,
             bool is_v4, const struct packet *p, enum emit_checksum checksum,
             struct emit_kept *kept)
{
	const struct ip_addr *src = from_client ? &flow->client : &flow->server;
	const struct ip_addr *dst = from_client ? &flow->server : &flow->client;
	unsigned int l4_off = l3_off + (is_v4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE);
	const struct emit_fixed *fixed = &kept->fixed;
	uint64_t addresses;

	if (!is_said(kept->said, p)) {
		memcpy(kept->said, p, sizeof(kept->said));
		fixed_fill(&kept->fixed, p);
	}
	unsigned int end = l4_off + fixed->len;
	if (!emit_may_offload(end, l3_off))
		checksum = EMIT_CHECKSUM_SOFTWARE;
	if (is_v4) {
		uint32_t src_be = src->words_be[3], dst_be = dst->words_be[3];

		write_ipv4(frame + l3_off, src_be, dst_be, fixed, checksum);
		bytes_put_u32_be(frame + l3_off + IPV4_SRC_OFF, src_be);
		bytes_put_u32_be(frame + l3_off + IPV4_DST_OFF, dst_be);
		if (__builtin_expect(p->label != 0, 0))
			label_ipv4(frame + l3_off, p->label, checksum);
		addresses = (uint64_t)src_be + dst_be;
	} else {
		write_ipv6(frame + l3_off, src, dst, fixed);
		bytes_put_u32_be(frame + l3_off, htobe32(IPV6_WORD0 | p->label));
		addresses = sum_addr(src) + sum_addr(dst);
	}
	write_tcp(frame + l4_off, ports_of(flow, from_client), p, fixed, addresses, checksum);
	return padded(end);
}

static inline void
swap_stations(uint8_t *frame)
{
	const __m128i swap = _mm_setr_epi8(6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15);

	_mm_storeu_si128((__m128i *)frame,
	                 _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)frame), swap));
}

static inline void
write_check(uint8_t *tcp, uint64_t sum)
{
	bytes_put_u16_be(tcp + TCP_CHECK_OFF, (uint16_t)~checksum_fold(sum));
}

/* Addresses and ports of IPv4. In a flow the server's address lies before the ports; what comes
 * behind these here is written over. */
static inline __attribute__((always_inline)) void
write_ends_v4(uint8_t *ip, const struct flow *flow, bool from_client)
{
	/* The server's address, a gap, the server's port, the client's; or all one word on. */
	const __m128i order = _mm_setr_epi8(0, 1, 2, 3, -1, -1, -1, -1, 6, 7, 4, 5, -1, -1, -1, -1);
	__m128i ends = _mm_loadl_epi64((const __m128i *)&flow->server.bytes[12]);
	int client_be = (int)flow->client.words_be[3];

	if (from_client)
		ends = _mm_insert_epi32(_mm_slli_si128(ends, 4), client_be, 0);
	else
		ends = _mm_insert_epi32(_mm_shuffle_epi8(ends, order), client_be, 1);
	_mm_storeu_si128((__m128i *)(ip + IPV4_SRC_OFF), ends);
}
_Static_assert(IPV4_HEADER_SIZE == IPV4_SRC_OFF + 8 &&
                       offsetof(struct flow, client_port_be) == 32 &&
                       offsetof(struct flow, server_port_be) == 34,
               "addresses and ports lie behind each other");

/* Everything from `ip` on of a packet without payload, checksums complete: the same bytes as those
 * of write_packet(). */
static inline __attribute__((always_inline)) void
write_bare_v4(uint8_t *ip, const struct flow *flow, bool from_client, const struct packet *p,
              const struct emit_fixed *fixed)
{
	uint8_t *tcp = ip + IPV4_HEADER_SIZE;
	uint32_t client_be = flow->client.words_be[3];
	uint64_t sum;

	write_ipv4(ip, flow->server.words_be[3], client_be, fixed, EMIT_CHECKSUM_SOFTWARE);
	write_ends_v4(ip, flow, from_client);
	sum = client_be + write_tail(tcp, p, fixed);
	write_check(tcp,
	            checksum_add_word_and_8(sum, write_numbers(tcp, p), &flow->server.bytes[12]));
}

static inline __attribute__((always_inline)) void
write_bare_v6(uint8_t *ip, const struct flow *flow, bool from_client, const struct packet *p,
              const struct emit_fixed *fixed)
{
	uint8_t *tcp = ip + IPV6_HEADER_SIZE;
	uint32_t ports_be = ports_of(flow, from_client);
	uint64_t sum;

	if (from_client)
		write_ipv6(ip, &flow->client, &flow->server, fixed);
	else
		write_ipv6(ip, &flow->server, &flow->client, fixed);
	bytes_put_u32_be(tcp, ports_be);
	sum = checksum_add_32(ports_be + write_tail(tcp, p, fixed), flow->client.bytes);
	write_check(tcp, checksum_carry(sum, write_numbers(tcp, p)));
}
_Static_assert(offsetof(struct flow, server) == offsetof(struct flow, client) + 16,
               "both addresses are 32 bytes");

/* Returns the frame length. */
static inline __attribute__((always_inline)) unsigned int
write_bare(uint8_t *frame, unsigned int l3_off, const struct flow *flow, bool from_client,
           bool is_v4, const struct packet *p, const struct emit_fixed *fixed)
{
	if (is_v4) {
		write_bare_v4(frame + l3_off, flow, from_client, p, fixed);
		return padded(l3_off + IPV4_HEADER_SIZE + fixed->len);
	}
	write_bare_v6(frame + l3_off, flow, from_client, p, fixed);
	return l3_off + IPV6_HEADER_SIZE + fixed->len;
}
_Static_assert(ETH_HEADER_SIZE + IPV6_HEADER_SIZE + TCP_HEADER_SIZE >= EMIT_FRAME_MIN,
               "IPv6 needs no padding");

/* The same for who calls nothing else afterwards: nothing is saved then. */
static inline __attribute__((always_inline)) unsigned int
write_any(uint8_t *frame, unsigned int l3_off, const struct flow *flow, bool from_client,
          bool is_v4, const struct packet *p, enum emit_checksum checksum, struct emit_memo *memo)
{
	struct emit_kept *kept = memo_place(memo, p);

	if (__builtin_expect(!is_said(kept->said, p) || p->payload_len != 0 ||
	                             (is_v4 && p->label != 0) || checksum != EMIT_CHECKSUM_SOFTWARE,
	                     0))
		return write_packet(frame, l3_off, flow, from_client, is_v4, p, checksum, kept);
	if (is_v4)
		return write_bare(frame, l3_off, flow, from_client, true, p, &kept->fixed);
	unsigned int len = write_bare(frame, l3_off, flow, from_client, false, p, &kept->fixed);
	bytes_put_u32_be(frame + l3_off, htobe32(IPV6_WORD0 | p->label));
	return len;
}

/* To a client, of a packet whose bytes are made: what a flood is answered with. By themselves, so
 * that they save no registers: of SYNs at one look, and of any. */
static __attribute__((noinline)) unsigned int
reply_made_v4(uint8_t *frame, const struct segment *seg, const struct packet *p,
              const struct emit_fixed *made)
{
	swap_stations(frame);
	write_bare_v4(frame + ETH_HEADER_SIZE, &seg->flow, false, p, made);
	return made->ipv4_frame;
}

static __attribute__((noinline)) unsigned int
reply_made_v6(uint8_t *frame, const struct segment *seg, const struct packet *p,
              const struct emit_fixed *made)
{
	swap_stations(frame);
	write_bare_v6(frame + ETH_HEADER_SIZE, &seg->flow, false, p, made);
	return made->ipv6_frame;
}

static __attribute__((noinline)) unsigned int
reply_made_any(uint8_t *frame, const struct segment *seg, const struct packet *p,
               const struct emit_fixed *made)
{
	swap_stations(frame);
	if (seg->is_v4)
		return write_bare(frame, seg->l3_off, &seg->flow, false, true, p, made);
	return write_bare(frame, seg->l3_off, &seg->flow, false, false, p, made);
}

static __attribute__((noinline)) unsigned int
write_reply(uint8_t *frame, const struct segment *seg, const struct packet *p,
            enum emit_checksum checksum, struct emit_memo *memo)
{
	swap_stations(frame);
	/* Nearly all answers go to clients: that way is compiled for them. */
	if (__builtin_expect(seg->side == SIDE_OUTSIDE, 1))
		return write_any(frame, seg->l3_off, &seg->flow, false, seg->is_v4, p, checksum,
		                 memo);
	return write_any(frame, seg->l3_off, &seg->flow, true, seg->is_v4, p, checksum, memo);
}

unsigned int
emit_reply(uint8_t *frame, const struct segment *seg, const struct packet *p,
           enum emit_checksum checksum, struct emit_memo *memo)
{
	const struct emit_fixed *made = p->made;

	if (__builtin_expect(made != NULL, 1) && checksum == EMIT_CHECKSUM_SOFTWARE) {
		if (seg->shape == SHAPE_SYN_V4)
			return reply_made_v4(frame, seg, p, made);
		if (seg->shape == SHAPE_SYN_V6)
			return reply_made_v6(frame, seg, p, made);
		if (seg->side == SIDE_OUTSIDE)
			return reply_made_any(frame, seg, p, made);
	}
	return write_reply(frame, seg, p, checksum, memo);
}

__attribute__((noinline)) unsigned int
emit_onward(uint8_t *frame, const struct segment *seg, const struct packet *p,
            enum emit_checksum checksum, struct emit_memo *memo)
{
	if (seg->side == SIDE_OUTSIDE)
		return write_any(frame, seg->l3_off, &seg->flow, true, seg->is_v4, p, checksum,
		                 memo);
	return write_any(frame, seg->l3_off, &seg->flow, false, seg->is_v4, p, checksum, memo);
}

__attribute__((noinline)) unsigned int
emit_new(uint8_t *frame, const struct link *link, const struct flow *flow, enum side out,
         const struct packet *p, enum emit_checksum checksum, struct emit_memo *memo)
{
	bool is_v4 = ip_addr_is_v4(&flow->client);
	unsigned int off = ETH_TYPE_OFF;

	memcpy(frame, link, sizeof(link->dst_mac) + sizeof(link->src_mac));
	for (unsigned int shift = 32; shift != 0 && link->tags != 0; shift -= 16) {
		uint32_t tag = link->tags >> (shift - 16) & 0xffff;
		if (!(tag & SEGMENT_TAG_PRESENT))
			continue;
		bytes_put_u16(frame + off,
		              tag & SEGMENT_TAG_SERVICE ? ETH_TYPE_QINQ : ETH_TYPE_VLAN);
		bytes_put_u16(frame + off + 2, tag & SEGMENT_TAG_VLAN_ID);
		off += VLAN_TAG_SIZE;
	}
	bytes_put_u16(frame + off, is_v4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
	if (out == SIDE_INSIDE)
		return write_any(frame, off + 2, flow, true, is_v4, p, checksum, memo);
	return write_any(frame, off + 2, flow, false, is_v4, p, checksum, memo);
}

_Static_assert(offsetof(struct link, src_mac) == 6 && offsetof(struct link, tags) == 12,
               "both MACs lie as in a frame, and the tags behind them");

struct link
link_of_segment(const struct segment *seg, bool reply)
{
	struct link link;

	_mm_storeu_si128((__m128i *)(void *)&link, emit_envelope(seg, reply));
	return link;
}
