/* SPDX-License-Identifier: BSD-3-Clause */
/* Who asks where a responder's addresses are: ARP, neighbour solicitations, pings. */
#include <stdbool.h>
#include <stdio.h>

#include "check.h"
#include "frame.h"
#include "neighbour.h"
#include "parse.h"

#define ROOM 2048u
#define TTL 64u

enum {
	TYPE_IPV4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_IPV6 = 0x86dd
};

static const uint8_t own_mac[6] = { 0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee };
static const uint8_t asker_mac[6] = { 0x06, 0x11, 0x22, 0x33, 0x44, 0x55 };
/* 192.0.2.1 and 2001:db8:2::1 are a responder's, 192.0.2.2 is a proxy's. */
static const uint8_t own_v4[4] = { 192, 0, 2, 1 }, proxy_v4[4] = { 192, 0, 2, 2 };
static const uint8_t asker_v4[4] = { 198, 51, 100, 7 };
static const uint8_t own_v6[16] = { 0x20, 1, 0x0d, 0xb8, 0, 2, [15] = 1 };
static const uint8_t other_v6[16] = { 0x20, 1, 0x0d, 0xb8, 0, 2, [15] = 2 };
static const uint8_t asker_v6[16] = { 0x20, 1, 0x0d, 0xb8, 0, 1, [15] = 7 };

static struct prefix addresses[2], proxy_address;
static struct port_range ports = { 80, 80 };
static struct service services[2];
static struct policy policy;

static int
make_policy(void)
{
	uint32_t a, b;

	addresses[0] = (struct prefix){ ip_addr_v4(htobe32(0xc0000201)), 128 };
	memcpy(&addresses[1].addr, own_v6, 16);
	addresses[1].len = 128;
	proxy_address = (struct prefix){ ip_addr_v4(htobe32(0xc0000202)), 128 };
	/* The proxy first: the one that answers is looked for behind it. */
	services[0] = (struct service){ .name = "proxy",
		                        .id = 0,
		                        .mode = MODE_PROXY,
		                        .addresses = &proxy_address,
		                        .n_addresses = 1,
		                        .ports = &ports,
		                        .n_ports = 1 };
	services[1] = (struct service){ .name = "responder",
		                        .id = 1,
		                        .mode = MODE_RESPOND,
		                        .addresses = addresses,
		                        .n_addresses = 2,
		                        .ports = &ports,
		                        .n_ports = 1 };
	policy = (struct policy){ .n_services = 2, .services = services };
	return policy_compile(&policy, &a, &b) == NULL ? 0 : -1;
}

/* A frame of `n_tags` VLAN tags, to be filled from *l3 on. */
struct frame {
	uint8_t bytes[ROOM];
	uint32_t l3, len;
};

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static struct frame
frame_new(unsigned int n_tags, unsigned int type)
{
	struct frame f = { .l3 = 14 + 4 * n_tags };

	memset(f.bytes, 0x5a, sizeof(f.bytes));
	memset(f.bytes, 0xff, 6);
	memcpy(f.bytes + 6, asker_mac, 6);
	for (unsigned int i = 0; i < n_tags; i++) {
		put16(f.bytes + 12 + 4 * i, 0x8100);
		put16(f.bytes + 14 + 4 * i, 100 + i);
	}
	put16(f.bytes + f.l3 - 2, type);
	return f;
}

static unsigned int
answer(struct frame *f)
{
	struct segment seg;

	segment_parse(&seg, f->bytes, f->len, f->len, SIDE_OUTSIDE);
	return neighbour_answer(f->bytes, f->len, &seg, &policy, own_mac);
}

/* It gets no answer and is left as it was. */
static void
check_alone(struct frame f)
{
	struct frame before = f;

	CU_ASSERT_EQUAL(answer(&f), 0);
	CU_ASSERT_EQUAL(memcmp(&before, &f, sizeof(f)), 0);
}

/* Back to who asked, from our MAC; tags as they were. */
static void
check_turned(const struct frame *before, const struct frame *f)
{
	CU_ASSERT_EQUAL(memcmp(f->bytes, asker_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(f->bytes + 6, own_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(f->bytes + 12, before->bytes + 12, f->l3 - 12), 0);
}

static struct frame
arp(unsigned int n_tags, const uint8_t target[4])
{
	static const uint8_t head[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	struct frame f = frame_new(n_tags, TYPE_ARP);
	uint8_t *p = f.bytes + f.l3;

	memcpy(p, head, 8);
	memcpy(p + 8, asker_mac, 6);
	memcpy(p + 14, asker_v4, 4);
	memset(p + 18, 0, 6);
	memcpy(p + 24, target, 4);
	f.len = f.l3 + 28;
	return f;
}

static void
test_arp_answered(void)
{
	for (unsigned int n_tags = 0; n_tags < 3; n_tags++) {
		struct frame before = arp(n_tags, own_v4), f = before;
		uint8_t want[28] = { 0, 1, 8, 0, 6, 4, 0, 2 };

		memcpy(want + 8, own_mac, 6);
		memcpy(want + 14, own_v4, 4);
		memcpy(want + 18, asker_mac, 6);
		memcpy(want + 24, asker_v4, 4);
		CU_ASSERT_EQUAL(answer(&f), 60);
		check_turned(&before, &f);
		CU_ASSERT_EQUAL(memcmp(f.bytes + f.l3, want, 28), 0);
		/* Filled up to what Ethernet wants, with nothing of what was there. */
		for (uint32_t i = f.l3 + 28; i < 60; i++)
			CU_ASSERT_EQUAL(f.bytes[i], 0);
		CU_ASSERT_EQUAL(f.bytes[60], 0x5a);
	}
}

static void
test_arp_for_others_not_answered(void)
{
	struct frame f = arp(0, proxy_v4);

	check_alone(f);
	check_alone(arp(0, asker_v4));
	for (unsigned int i = 0; i < 8; i++) {
		f = arp(0, own_v4);
		f.bytes[f.l3 + i] ^= 2; /* another medium, protocol, length or operation */
		check_alone(f);
	}
	f = arp(0, own_v4);
	f.len--;
	check_alone(f);
	f = arp(0, own_v4);
	f.bytes[6] |= 1; /* from a group */
	check_alone(f);
}

/* An IPv4 echo request with `n_data` bytes and `options` words of IP options. */
static struct frame
ping_v4(const uint8_t dst[4], unsigned int options, unsigned int n_data)
{
	struct frame f = frame_new(0, TYPE_IPV4);
	uint8_t *ip = f.bytes + f.l3;
	unsigned int head = 20 + 4 * options, total = head + 8 + n_data;

	memset(ip, 1, head); /* options: NOP */
	ip[0] = (uint8_t)(0x40 | head / 4);
	ip[1] = 0;
	put16(ip + 2, total);
	put16(ip + 4, 0x1234);
	put16(ip + 6, 0x4000);
	ip[8] = 3;
	ip[9] = 1;
	put16(ip + 10, 0);
	memcpy(ip + 12, asker_v4, 4);
	memcpy(ip + 16, dst, 4);
	put16(ip + 10, frame_checksum(0, ip, head));
	uint8_t *icmp = ip + head;
	icmp[0] = 8;
	icmp[1] = 0;
	put16(icmp + 2, 0);
	for (unsigned int i = 4; i < 8 + n_data; i++)
		icmp[i] = (uint8_t)(i * 7 + n_data);
	put16(icmp + 2, frame_checksum(0, icmp, 8 + n_data));
	f.len = f.l3 + total;
	return f;
}

static void
test_ping_v4_answered(void)
{
	for (unsigned int i = 0; i < 64; i++) {
		unsigned int n_options = i % 11, n_data = i * 5;
		struct frame before = ping_v4(own_v4, n_options, n_data), f = before;
		unsigned int head = 20 + 4 * n_options, len = f.len > 60 ? f.len : 60;
		const uint8_t *ip = f.bytes + f.l3, *was = before.bytes + f.l3;

		CU_ASSERT_EQUAL(answer(&f), len);
		check_turned(&before, &f);
		CU_ASSERT_EQUAL(memcmp(ip, was, 8), 0);
		CU_ASSERT_EQUAL(ip[8], TTL);
		CU_ASSERT_EQUAL(ip[9], 1);
		CU_ASSERT_EQUAL(memcmp(ip + 12, own_v4, 4), 0);
		CU_ASSERT_EQUAL(memcmp(ip + 16, asker_v4, 4), 0);
		CU_ASSERT_EQUAL(frame_checksum(0, ip, head), 0);
		CU_ASSERT_EQUAL(ip[head], 0);
		CU_ASSERT_EQUAL(ip[head + 1], 0);
		CU_ASSERT_EQUAL(frame_checksum(0, ip + head, 8 + n_data), 0);
		CU_ASSERT_EQUAL(memcmp(ip + head + 4, was + head + 4, 4 + n_data), 0);
	}
}

/* An echo that came in damaged leaves no better. */
static void
test_ping_v4_damaged_stays_so(void)
{
	struct frame f = ping_v4(own_v4, 0, 100);

	f.bytes[f.len - 1] ^= 1;
	CU_ASSERT_EQUAL(answer(&f), f.len);
	CU_ASSERT_NOT_EQUAL(frame_checksum(0, f.bytes + f.l3 + 20, 108), 0);
}

static void
test_ping_v4_not_answered(void)
{
	struct frame f;

	check_alone(ping_v4(proxy_v4, 0, 8));
	check_alone(ping_v4(asker_v4, 0, 8));
	f = ping_v4(own_v4, 0, 8);
	f.bytes[f.l3] = 0x55; /* another version */
	check_alone(f);
	f = ping_v4(own_v4, 0, 8);
	f.bytes[f.l3] = 0x44; /* a header shorter than can be */
	check_alone(f);
	f = ping_v4(own_v4, 0, 8);
	f.bytes[f.l3 + 9] = 17;
	check_alone(f);
	f = ping_v4(own_v4, 0, 8);
	f.bytes[f.l3 + 20] = 0; /* a reply */
	check_alone(f);
	/* Longer than the frame, by one byte; shorter than an echo, by one. */
	f = ping_v4(own_v4, 0, 8);
	f.len--;
	check_alone(f);
	f = ping_v4(own_v4, 0, 0);
	put16(f.bytes + f.l3 + 2, 27);
	check_alone(f);
	/* Fragments: the first, and a later one. */
	f = ping_v4(own_v4, 0, 8);
	put16(f.bytes + f.l3 + 6, 0x2000);
	check_alone(f);
	f = ping_v4(own_v4, 0, 8);
	put16(f.bytes + f.l3 + 6, 0x0001);
	check_alone(f);
	/* Cut off within the header. */
	for (uint32_t len = 14; len < 34; len++) {
		f = ping_v4(own_v4, 0, 8);
		f.len = len;
		check_alone(f);
	}
}

static uint16_t
checksum_v6(const uint8_t *ip, unsigned int size)
{
	struct ip_addr src, dst;

	memcpy(&src, ip + 8, 16);
	memcpy(&dst, ip + 24, 16);
	return frame_checksum(frame_pseudo_sum(&src, &dst, 58, size), ip + 40, size);
}

/* An ICMPv6 packet of `size` bytes behind the IPv6 header, which the caller fills and sums. */
static struct frame
icmpv6(const uint8_t src[16], const uint8_t dst[16], unsigned int size, uint8_t hops)
{
	struct frame f = frame_new(0, TYPE_IPV6);
	uint8_t *ip = f.bytes + f.l3;

	memset(ip, 0, 40 + size);
	ip[0] = 0x60;
	put16(ip + 4, size);
	ip[6] = 58;
	ip[7] = hops;
	memcpy(ip + 8, src, 16);
	memcpy(ip + 24, dst, 16);
	f.len = f.l3 + 40 + size;
	return f;
}

static struct frame
ping_v6(const uint8_t dst[16], unsigned int n_data)
{
	struct frame f = icmpv6(asker_v6, dst, 8 + n_data, 3);
	uint8_t *ip = f.bytes + f.l3, *icmp = ip + 40;

	icmp[0] = 128;
	for (unsigned int i = 4; i < 8 + n_data; i++)
		icmp[i] = (uint8_t)(i * 7 + n_data);
	put16(icmp + 2, checksum_v6(ip, 8 + n_data));
	return f;
}

static void
test_ping_v6_answered(void)
{
	for (unsigned int n_data = 0; n_data < 64; n_data++) {
		struct frame before = ping_v6(own_v6, n_data), f = before;
		const uint8_t *ip = f.bytes + f.l3, *was = before.bytes + f.l3;

		CU_ASSERT_EQUAL(answer(&f), f.len);
		check_turned(&before, &f);
		CU_ASSERT_EQUAL(memcmp(ip, was, 7), 0);
		CU_ASSERT_EQUAL(ip[7], TTL);
		CU_ASSERT_EQUAL(memcmp(ip + 8, own_v6, 16), 0);
		CU_ASSERT_EQUAL(memcmp(ip + 24, asker_v6, 16), 0);
		CU_ASSERT_EQUAL(ip[40], 129);
		CU_ASSERT_EQUAL(checksum_v6(ip, 8 + n_data), 0);
		CU_ASSERT_EQUAL(memcmp(ip + 44, was + 44, 4 + n_data), 0);
	}
}

static void
test_ping_v6_not_answered(void)
{
	struct frame f;

	check_alone(ping_v6(other_v6, 8));
	f = ping_v6(own_v6, 8);
	f.bytes[f.l3] = 0x70;
	check_alone(f);
	f = ping_v6(own_v6, 8);
	f.bytes[f.l3 + 6] = 59;
	check_alone(f);
	f = ping_v6(own_v6, 8);
	f.bytes[f.l3 + 40] = 129;
	check_alone(f);
	f = ping_v6(own_v6, 8);
	f.len--;
	check_alone(f);
	f = ping_v6(own_v6, 8);
	put16(f.bytes + f.l3 + 4, 7);
	check_alone(f);
	for (uint32_t len = 14; len < 62; len++) {
		f = ping_v6(own_v6, 0);
		f.len = len;
		if (len < f.l3 + 48)
			check_alone(f);
	}
}

/* RFC 4861, 4.3: `size` bytes, of which those past 24 are options. */
static struct frame
solicitation(const uint8_t src[16], const uint8_t target[16], unsigned int size)
{
	struct frame f = icmpv6(src, target, size, 255);
	uint8_t *ip = f.bytes + f.l3;

	ip[40] = 135;
	memcpy(ip + 48, target, 16);
	if (size >= 32) {
		ip[64] = 1;
		ip[65] = 1;
		memcpy(ip + 66, asker_mac, 6);
	}
	put16(ip + 42, checksum_v6(ip, size));
	return f;
}

static void
test_solicitation_answered(void)
{
	static const unsigned int sizes[] = { 24, 32, 40 };
	static const uint8_t nobody[16], all_nodes[16] = { 0xff, 2, [15] = 1 };
	static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };

	for (unsigned int i = 0; i < 6; i++) {
		bool is_unspecified = i >= 3; /* an asker without an address: RFC 4862, 5.4 */
		struct frame f = solicitation(is_unspecified ? nobody : asker_v6, own_v6,
		                              sizes[i % 3]);
		const uint8_t *ip = f.bytes + f.l3, *nd = ip + 40;

		CU_ASSERT_EQUAL(answer(&f), 14 + 40 + 32);
		CU_ASSERT_EQUAL(memcmp(f.bytes, is_unspecified ? all_nodes_mac : asker_mac, 6), 0);
		CU_ASSERT_EQUAL(memcmp(f.bytes + 6, own_mac, 6), 0);
		CU_ASSERT_EQUAL(ip[4] << 8 | ip[5], 32);
		CU_ASSERT_EQUAL(ip[7], 255);
		CU_ASSERT_EQUAL(memcmp(ip + 8, own_v6, 16), 0);
		CU_ASSERT_EQUAL(memcmp(ip + 24, is_unspecified ? all_nodes : asker_v6, 16), 0);
		CU_ASSERT_EQUAL(nd[0], 136);
		CU_ASSERT_EQUAL(nd[1], 0);
		/* Solicited (not of one to all), override. */
		CU_ASSERT_EQUAL(nd[4], is_unspecified ? 0x20 : 0x60);
		CU_ASSERT_EQUAL(nd[5] | nd[6] | nd[7], 0);
		CU_ASSERT_EQUAL(memcmp(nd + 8, own_v6, 16), 0);
		CU_ASSERT_EQUAL(nd[24], 2);
		CU_ASSERT_EQUAL(nd[25], 1);
		CU_ASSERT_EQUAL(memcmp(nd + 26, own_mac, 6), 0);
		CU_ASSERT_EQUAL(checksum_v6(ip, 32), 0);
	}
}

/* RFC 4861, 7.1.1: hop limit, checksum, code, length; and for whom. */
static void
test_solicitation_not_answered(void)
{
	struct frame f;

	check_alone(solicitation(asker_v6, other_v6, 32));
	f = solicitation(asker_v6, own_v6, 32);
	f.bytes[f.l3 + 7] = 254;
	check_alone(f);
	f = solicitation(asker_v6, own_v6, 32);
	f.bytes[f.l3 + 42] ^= 1;
	check_alone(f);
	f = solicitation(asker_v6, own_v6, 32);
	f.bytes[f.l3 + 41] = 1;
	put16(f.bytes + f.l3 + 42, 0);
	put16(f.bytes + f.l3 + 42, checksum_v6(f.bytes + f.l3, 32));
	check_alone(f);
	f = solicitation(asker_v6, own_v6, 32);
	put16(f.bytes + f.l3 + 4, 23);
	put16(f.bytes + f.l3 + 42, 0);
	put16(f.bytes + f.l3 + 42, checksum_v6(f.bytes + f.l3, 23));
	check_alone(f);
	f = solicitation(asker_v6, own_v6, 24);
	f.len--;
	check_alone(f);
}

static void
test_other_types_not_answered(void)
{
	struct frame f = arp(0, own_v4);

	put16(f.bytes + 12, 0x88cc);
	check_alone(f);
	f = arp(0, own_v4);
	for (f.len = 0; f.len < 14; f.len++)
		check_alone(f);
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_arp_answered),
	CHECK_TEST(test_arp_for_others_not_answered),
	CHECK_TEST(test_ping_v4_answered),
	CHECK_TEST(test_ping_v4_damaged_stays_so),
	CHECK_TEST(test_ping_v4_not_answered),
	CHECK_TEST(test_ping_v6_answered),
	CHECK_TEST(test_ping_v6_not_answered),
	CHECK_TEST(test_solicitation_answered),
	CHECK_TEST(test_solicitation_not_answered),
	CHECK_TEST(test_other_types_not_answered),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	if (make_policy() != 0)
		return EXIT_FAILURE;
	int status = check_run("neighbour", tests);
	policy_free_index(&policy);
	return status;
}
