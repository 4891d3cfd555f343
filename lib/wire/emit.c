/* SPDX-License-Identifier: BSD-3-Clause */
#include "emit.h"

#include <tmmintrin.h>

#include "bytes.h"
#include "checksum.h"
#include "protocols.h"
#include "tcp_layout.h"

#define FRAME_MIN 60 /* without FCS, IEEE 802.3 */
#define TTL 64

/* First words of our IP headers. DF with ID 0: atomic datagrams, whose ID has
 * no meaning (RFC 6864, 4.1). */
#define IPV4_WORD0 0x45000000u
#define IPV4_WORD1 0x00004000u
#define IPV4_WORD2 ((uint32_t)TTL << 24 | PROTO_TCP << 16)
#define IPV6_WORD0 0x60000000u

/*
 * A place to write 32-bit words to, and their sum in memory order: checksums are
 * made of the values as they are written. Reading them back would wait for the
 * stores to reach the cache.
 */
struct writer {
	uint8_t *at;
	uint64_t sum;
};

static inline void
write_be(struct writer *w, uint32_t word_be)
{
	bytes_put_u32_be(w->at, word_be);
	w->at += 4;
	w->sum += word_be;
}

static inline void
write_word(struct writer *w, uint32_t word)
{
	write_be(w, htobe32(word));
}

/* Every option or pair of them fills whole words, so no padding follows. */
static inline void
write_options(struct writer *w, const struct packet *p)
{
	if (p->options & OPTION_MSS)
		write_word(w, TCPOPT_WORD_MSS | p->mss);
	if (p->options & OPTION_TIMESTAMPS) {
		write_word(w, p->options & OPTION_SACK_PERMITTED ? TCPOPT_WORD_SACK_TS
		                                                 : TCPOPT_WORD_TS);
		write_word(w, p->tsval);
		write_word(w, p->tsecr);
	} else if (p->options & OPTION_SACK_PERMITTED) {
		write_word(w, TCPOPT_WORD_SACK);
	}
	if (p->options & OPTION_WSCALE)
		write_word(w, TCPOPT_WORD_WSCALE | p->wscale);
}

/* Bytes that write_options() writes for each set of options. */
#define SIZE(options)                                                             \
	[options] = 4 * (!!((options)&OPTION_MSS) + !!((options)&OPTION_WSCALE) + \
	                 ((options)&OPTION_TIMESTAMPS ? 3 : !!((options)&OPTION_SACK_PERMITTED)))
static const uint8_t options_size[] = {
	SIZE(0), SIZE(1), SIZE(2),  SIZE(3),  SIZE(4),  SIZE(5),  SIZE(6),  SIZE(7),
	SIZE(8), SIZE(9), SIZE(10), SIZE(11), SIZE(12), SIZE(13), SIZE(14), SIZE(15),
};
#undef SIZE
#define OPTIONS_WRITTEN (OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS)
_Static_assert(sizeof(options_size) == OPTIONS_WRITTEN + 1, "every set");

/* TCP header and payload of `len` bytes; `pseudo` is the sum of the
 * pseudo-header (RFC 9293, 3.1), `ports_be` both ports as they lie there. */
static inline void
write_tcp(uint8_t *tcp, uint32_t ports_be, const struct packet *p, unsigned int len,
          uint64_t pseudo, enum emit_checksum checksum)
{
	struct writer w = { .at = tcp, .sum = pseudo };
	uint32_t header_len = len - p->payload_len;

	write_be(&w, ports_be);
	write_word(&w, p->seq);
	write_word(&w, p->ack);
	write_word(&w, header_len << 26 | (uint32_t)p->flags << 16 | p->window);
	write_be(&w, 0);
	write_options(&w, p);
	if (p->payload_len != 0)
		memcpy(w.at, p->payload, p->payload_len);
	if (checksum == EMIT_CHECKSUM_OFFLOAD) {
		bytes_put_u16_be(tcp + TCP_CHECK_OFF, checksum_fold(pseudo));
		return;
	}
	if (p->payload_len != 0)
		w.sum = checksum_add(w.sum, p->payload, p->payload_len);
	bytes_put_u16_be(tcp + TCP_CHECK_OFF, (uint16_t)~checksum_fold(w.sum));
}

static inline void
write_ipv4(uint8_t *ip, uint32_t src_be, uint32_t dst_be, unsigned int len,
           enum emit_checksum checksum)
{
	struct writer w = { .at = ip };

	write_word(&w, IPV4_WORD0 | (IPV4_HEADER_SIZE + len));
	write_word(&w, IPV4_WORD1);
	write_word(&w, IPV4_WORD2);
	write_be(&w, src_be);
	write_be(&w, dst_be);
	if (checksum == EMIT_CHECKSUM_SOFTWARE)
		bytes_put_u16_be(ip + IPV4_CHECK_OFF, (uint16_t)~checksum_fold(w.sum));
}

static inline void
write_ipv6(uint8_t *ip, const struct ip_addr *src, const struct ip_addr *dst, unsigned int len)
{
	struct writer w = { .at = ip };

	write_word(&w, IPV6_WORD0);
	write_word(&w, (uint32_t)len << 16 | PROTO_TCP << 8 | TTL);
	memcpy(ip + IPV6_SRC_OFF, src, sizeof(*src));
	memcpy(ip + IPV6_DST_OFF, dst, sizeof(*dst));
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

/* Everything from `l3_off` on, and the padding. Returns the frame length. */
static inline unsigned int
write_packet(uint8_t *frame, unsigned int l3_off, const struct flow *flow, bool from_client,
             bool is_v4, const struct packet *p, enum emit_checksum checksum)
{
	const struct ip_addr *src = from_client ? &flow->client : &flow->server;
	const struct ip_addr *dst = from_client ? &flow->server : &flow->client;
	unsigned int len = TCP_HEADER_SIZE + options_size[p->options & OPTIONS_WRITTEN] +
	                   p->payload_len;
	unsigned int l4_off = l3_off + (is_v4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE);
	uint64_t pseudo = htobe32(PROTO_TCP) + (uint64_t)htobe32(len);

	if (is_v4) {
		write_ipv4(frame + l3_off, src->words_be[3], dst->words_be[3], len, checksum);
		pseudo += (uint64_t)src->words_be[3] + dst->words_be[3];
	} else {
		write_ipv6(frame + l3_off, src, dst, len);
		pseudo += sum_addr(src) + sum_addr(dst);
	}
	write_tcp(frame + l4_off, ports_of(flow, from_client), p, len, pseudo, checksum);

	unsigned int end = l4_off + len;
	if (end >= FRAME_MIN)
		return end;
	/* Headers alone take 54 bytes, so that one store reaches to the 60th; there is
	 * room for what it writes behind. */
	_Static_assert(ETH_HEADER_SIZE + IPV4_HEADER_SIZE + TCP_HEADER_SIZE + 8 >= FRAME_MIN,
	               "one word pads any frame");
	memset(frame + end, 0, 8);
	return FRAME_MIN;
}

unsigned int
emit_reply(uint8_t *frame, const struct segment *seg, const struct packet *p,
           enum emit_checksum checksum)
{
	const __m128i swap = _mm_setr_epi8(6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15);

	_mm_storeu_si128((__m128i *)frame,
	                 _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)frame), swap));
	/* Nearly all answers go to clients: that way is compiled for them. */
	if (__builtin_expect(seg->side == SIDE_OUTSIDE, 1))
		return write_packet(frame, seg->l3_off, &seg->flow, false, seg->is_v4, p, checksum);
	return write_packet(frame, seg->l3_off, &seg->flow, true, seg->is_v4, p, checksum);
}

unsigned int
emit_onward(uint8_t *frame, const struct segment *seg, const struct packet *p,
            enum emit_checksum checksum)
{
	return write_packet(frame, seg->l3_off, &seg->flow, seg->side == SIDE_OUTSIDE, seg->is_v4,
	                    p, checksum);
}

unsigned int
emit_new(uint8_t *frame, const struct link *link, const struct flow *flow, enum side out,
         const struct packet *p, enum emit_checksum checksum)
{
	bool is_v4 = ip_addr_is_v4(&flow->client);
	unsigned int off = ETH_TYPE_OFF;

	memcpy(frame, link->dst_mac, sizeof(link->dst_mac));
	memcpy(frame + 6, link->src_mac, sizeof(link->src_mac));
	for (unsigned int shift = 32; shift != 0; shift -= 16) {
		uint32_t tag = link->tags >> (shift - 16) & 0xffff;
		if (!(tag & SEGMENT_TAG_PRESENT))
			continue;
		bytes_put_u16(frame + off,
		              tag & SEGMENT_TAG_SERVICE ? ETH_TYPE_QINQ : ETH_TYPE_VLAN);
		bytes_put_u16(frame + off + 2, tag & SEGMENT_TAG_VLAN_ID);
		off += VLAN_TAG_SIZE;
	}
	bytes_put_u16(frame + off, is_v4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
	return write_packet(frame, off + 2, flow, out == SIDE_INSIDE, is_v4, p, checksum);
}

struct link
link_of_segment(const struct segment *seg, bool reply)
{
	struct link link = { .tags = seg->tags };

	memcpy(link.dst_mac, seg->frame + (reply ? 6 : 0), sizeof(link.dst_mac));
	memcpy(link.src_mac, seg->frame + (reply ? 0 : 6), sizeof(link.src_mac));
	return link;
}
