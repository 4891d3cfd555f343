/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame.h"

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t
get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

struct frame_spec
frame_spec_v4(void)
{
	struct frame_spec spec = {
		.dst_mac = { 0x02, 0, 0, 0, 0, 0x01 },
		.src_mac = { 0x06, 0x11, 0x22, 0x33, 0x44, 0x55 },
		.src = ip_addr_v4(__builtin_bswap32(0xc6336407)),
		.dst = ip_addr_v4(__builtin_bswap32(0xc0000201)),
		.ttl = 57,
		.src_port = 40000,
		.dst_port = 80,
		.seq = 0x12345678,
		.flags = 0x02,
		.window = 64240,
	};
	return spec;
}

struct frame_spec
frame_spec_v6(void)
{
	struct frame_spec spec = frame_spec_v4();

	spec.src = (struct ip_addr){ .bytes = { 0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 7 } };
	spec.dst = (struct ip_addr){ .bytes = { 0x20, 0x01, 0x0d, 0xb8, 0, 2, [15] = 1 } };
	return spec;
}

uint16_t
frame_checksum(uint32_t sum, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t
frame_pseudo_sum(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto, size_t len)
{
	bool is_v4 = ip_addr_is_v4(src) && ip_addr_is_v4(dst);
	uint32_t sum = proto + (uint32_t)(len >> 16) + (uint32_t)(len & 0xffff);

	for (unsigned int i = is_v4 ? 12 : 0; i < 16; i += 2)
		sum += get16(src->bytes + i) + get16(dst->bytes + i);
	return sum;
}

static void
put_checksum(uint8_t *at, uint16_t check, uint16_t error)
{
	uint32_t sum = (uint32_t)check + error;

	put16(at, (sum & 0xffff) + (sum >> 16));
}

static size_t
build_ipv4(uint8_t *ip, const struct frame_spec *spec, size_t len)
{
	size_t header_len = 20 + spec->ip_options_len;

	ip[0] = (uint8_t)(0x40 | header_len / 4);
	ip[1] = spec->tos;
	put16(ip + 2, (uint32_t)(header_len + len));
	put16(ip + 4, spec->ip_id);
	put16(ip + 6, spec->ip_fragment);
	ip[8] = spec->ttl;
	ip[9] = spec->proto ? spec->proto : 6;
	put16(ip + 10, 0);
	memcpy(ip + 12, spec->src.bytes + 12, 4);
	memcpy(ip + 16, spec->dst.bytes + 12, 4);
	if (spec->ip_options_len)
		memcpy(ip + 20, spec->ip_options, spec->ip_options_len);
	put_checksum(ip + 10, frame_checksum(0, ip, header_len), spec->bad_ip_checksum);
	return header_len;
}

static size_t
build_ipv6(uint8_t *ip, const struct frame_spec *spec, size_t len)
{
	ip[0] = (uint8_t)(0x60 | spec->tos >> 4);
	ip[1] = (uint8_t)(spec->tos << 4 | spec->flow_label >> 16);
	put16(ip + 2, spec->flow_label & 0xffff);
	put16(ip + 4, (uint32_t)(spec->ip_options_len + len));
	ip[6] = spec->ip_options_len ? spec->ip_first : spec->proto ? spec->proto : 6;
	ip[7] = spec->ttl;
	memcpy(ip + 8, spec->src.bytes, 16);
	memcpy(ip + 24, spec->dst.bytes, 16);
	if (spec->ip_options_len)
		memcpy(ip + 40, spec->ip_options, spec->ip_options_len);
	return 40 + spec->ip_options_len;
}

/* The TCP header; returns its length. */
static size_t
build_tcp(uint8_t *tcp, const struct frame_spec *spec)
{
	size_t header_len = 20 + (spec->options_len + 3) / 4 * 4;

	memset(tcp, 0, header_len);
	put16(tcp, spec->src_port);
	put16(tcp + 2, spec->dst_port);
	put32(tcp + 4, spec->seq);
	put32(tcp + 8, spec->ack);
	tcp[12] = (uint8_t)(header_len / 4 << 4 | (spec->reserved & 0xf));
	tcp[13] = spec->flags;
	put16(tcp + 14, spec->window);
	put16(tcp + 18, spec->urgent);
	if (spec->options_len)
		memcpy(tcp + 20, spec->options, spec->options_len);
	return header_len;
}

size_t
frame_build(uint8_t *frame, const struct frame_spec *spec)
{
	bool is_v4 = ip_addr_is_v4(&spec->src) && ip_addr_is_v4(&spec->dst) && !spec->force_v6;
	bool is_tcp = spec->proto == 0 || spec->proto == 6;
	size_t off = 12;

	memcpy(frame, spec->dst_mac, 6);
	memcpy(frame + 6, spec->src_mac, 6);
	for (unsigned int i = 0; i < spec->n_tags; i++, off += 4) {
		put16(frame + off, spec->tpid[i]);
		put16(frame + off + 2, spec->tci[i]);
	}
	put16(frame + off, is_v4 ? 0x0800 : 0x86dd);
	off += 2;

	uint8_t upper[FRAME_SIZE];
	size_t header_len = is_tcp ? build_tcp(upper, spec) : 0;
	size_t len = header_len + spec->payload_len;
	if (spec->payload_len)
		memcpy(upper + header_len, spec->payload, spec->payload_len);
	if (is_tcp) {
		uint32_t pseudo = frame_pseudo_sum(&spec->src, &spec->dst, 6, len);
		put_checksum(upper + 16, frame_checksum(pseudo, upper, len),
		             spec->bad_tcp_checksum);
	}
	off += is_v4 ? build_ipv4(frame + off, spec, len) : build_ipv6(frame + off, spec, len);
	memcpy(frame + off, upper, len);
	off += len;
	memset(frame + off, 0xa5, spec->n_trailing);
	return off + spec->n_trailing;
}

size_t
frame_l3_off(const uint8_t *frame)
{
	size_t off = 12;

	while (get16(frame + off) == 0x8100 || get16(frame + off) == 0x88a8)
		off += 4;
	return off + 2;
}

size_t
frame_l4_off(const uint8_t *frame)
{
	size_t off = frame_l3_off(frame);

	return off + (frame[off] >> 4 == 4 ? (frame[off] & 0x0f) * 4u : 40u);
}

bool
frame_is_good(const uint8_t *frame, size_t len)
{
	size_t l3_off = frame_l3_off(frame), l4_off = frame_l4_off(frame);
	const uint8_t *ip = frame + l3_off;
	struct ip_addr src, dst;
	size_t l4_len;

	if (ip[0] >> 4 == 4) {
		if (frame_checksum(0, ip, l4_off - l3_off) != 0 || ip[9] != 6)
			return false;
		l4_len = get16(ip + 2) - (l4_off - l3_off);
		src = (struct ip_addr){ .bytes = { [10] = 0xff, [11] = 0xff } };
		dst = src;
		memcpy(src.bytes + 12, ip + 12, 4);
		memcpy(dst.bytes + 12, ip + 16, 4);
	} else {
		l4_len = get16(ip + 4);
		memcpy(src.bytes, ip + 8, 16);
		memcpy(dst.bytes, ip + 24, 16);
		if (ip[6] != 6)
			return false;
	}
	if (l4_off + l4_len > len || (frame[l4_off + 12] >> 4) * 4u > l4_len)
		return false;
	return frame_checksum(frame_pseudo_sum(&src, &dst, 6, l4_len), frame + l4_off, l4_len) == 0;
}
