/* SPDX-License-Identifier: BSD-3-Clause */
#include "emit.h"

#include "bytes.h"
#include "checksum.h"
#include "protocols.h"
#include "tcp_options.h"

#define FRAME_MIN 60 /* without FCS, IEEE 802.3 */
#define TTL 64

/* First words of our IP headers. DF with ID 0: atomic datagrams, whose ID has
 * no meaning (RFC 6864, 4.1). */
#define IPV4_WORD0 0x45000000u
#define IPV4_WORD1 0x00004000u
#define IPV4_WORD2 ((uint32_t)TTL << 24 | PROTO_TCP << 16)
#define IPV6_WORD0 0x60000000u

#define OPTION_WORD(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/* A place to write 32-bit words to, and their sum in memory order. */
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
		write_word(w, OPTION_WORD(TCPOPT_MSS, 4, 0, 0) | p->mss);
	if (p->options & OPTION_TIMESTAMPS) {
		write_word(w, p->options & OPTION_SACK_PERMITTED
		                      ? OPTION_WORD(TCPOPT_SACK_PERMITTED, 2, TCPOPT_TIMESTAMPS, 10)
		                      : OPTION_WORD(TCPOPT_NOP, TCPOPT_NOP, TCPOPT_TIMESTAMPS, 10));
		write_word(w, p->tsval);
		write_word(w, p->tsecr);
	} else if (p->options & OPTION_SACK_PERMITTED) {
		write_word(w, OPTION_WORD(TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK_PERMITTED, 2));
	}
	if (p->options & OPTION_WSCALE)
		write_word(w, OPTION_WORD(TCPOPT_NOP, TCPOPT_WSCALE, 3, 0) | p->wscale);
}

static inline unsigned int
options_size(uint8_t options)
{
	unsigned int n_words = !!(options & OPTION_MSS) + !!(options & OPTION_WSCALE);

	if (options & OPTION_TIMESTAMPS)
		n_words += 3;
	else
		n_words += !!(options & OPTION_SACK_PERMITTED);
	return n_words * 4;
}

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

/* Two 16-bit fields as the 32-bit word that they make in memory. */
static inline uint32_t
join_be(uint16_t first_be, uint16_t second_be)
{
	return htobe32((uint32_t)be16toh(first_be) << 16 | be16toh(second_be));
}

/* Everything from `l3_off` on, and the padding. Returns the frame length. */
static inline unsigned int
write_packet(uint8_t *frame, unsigned int l3_off, const struct flow *flow, bool from_client,
             bool is_v4, const struct packet *p, enum emit_checksum checksum)
{
	const struct ip_addr *src = from_client ? &flow->client : &flow->server;
	const struct ip_addr *dst = from_client ? &flow->server : &flow->client;
	uint32_t ports_be = from_client ? join_be(flow->client_port_be, flow->server_port_be)
	                                : join_be(flow->server_port_be, flow->client_port_be);
	unsigned int len = TCP_HEADER_SIZE + options_size(p->options) + p->payload_len;
	unsigned int l4_off = l3_off + (is_v4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE);
	uint64_t pseudo = htobe32(PROTO_TCP) + (uint64_t)htobe32(len);

	if (is_v4) {
		write_ipv4(frame + l3_off, src->words_be[3], dst->words_be[3], len, checksum);
		pseudo += (uint64_t)src->words_be[3] + dst->words_be[3];
	} else {
		write_ipv6(frame + l3_off, src, dst, len);
		pseudo += sum_addr(src) + sum_addr(dst);
	}
	write_tcp(frame + l4_off, ports_be, p, len, pseudo, checksum);

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
	uint32_t dst_head = bytes_get_u32_be(frame), src_head = bytes_get_u32_be(frame + 6);
	uint16_t dst_tail = bytes_get_u16_be(frame + 4), src_tail = bytes_get_u16_be(frame + 10);

	bytes_put_u32_be(frame, src_head);
	bytes_put_u16_be(frame + 4, src_tail);
	bytes_put_u32_be(frame + 6, dst_head);
	bytes_put_u16_be(frame + 10, dst_tail);
	return write_packet(frame, seg->l3_off, &seg->flow, seg->side == SIDE_INSIDE, seg->is_v4, p,
	                    checksum);
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
