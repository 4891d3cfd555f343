/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums that a kernel left to its NIC: completed where they are the pseudo-header's sum. */
#include <stdbool.h>
#include <stdio.h>

#include "check.h"
#include "frame.h"
#include "parse.h"
#include "partial_checksum.h"

enum {
	UDP = 17,
	PLAIN = 6,
};

struct built {
	uint8_t bytes[FRAME_SIZE];
	size_t len, l4, check;
};

/* A whole frame of TCP or UDP, its checksum right. */
static struct built
build(bool is_v6, unsigned int n_tags, uint8_t proto, size_t n_data)
{
	struct frame_spec f = is_v6 ? frame_spec_v6() : frame_spec_v4();
	uint8_t data[1024], udp[1032];
	struct built out = { 0 };

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + n_data);
	f.n_tags = n_tags;
	for (unsigned int i = 0; i < n_tags; i++)
		f.tpid[i] = 0x8100;
	f.flags = 0x10;
	f.payload = data;
	f.payload_len = n_data;
	if (proto == UDP) {
		size_t n = 8 + n_data;
		memcpy(udp, (uint8_t[]){ 0x9c, 0x40, 0, 53, (uint8_t)(n >> 8), (uint8_t)n, 0, 0 },
		       8);
		memcpy(udp + 8, data, n_data);
		uint16_t sum = frame_checksum(frame_pseudo_sum(&f.src, &f.dst, UDP, n), udp, n);
		udp[6] = (uint8_t)(sum >> 8);
		udp[7] = (uint8_t)sum;
		f.proto = UDP;
		f.payload = udp;
		f.payload_len = n;
	}
	out.len = frame_build(out.bytes, &f);
	out.l4 = frame_l4_off(out.bytes);
	out.check = out.l4 + (proto == UDP ? 6 : 16);
	return out;
}

/* What the kernel leaves: the sum over addresses, protocol and length, not complemented. */
static void
make_partial(struct built *b, bool is_v6, uint8_t proto, size_t l4_len)
{
	struct frame_spec f = is_v6 ? frame_spec_v6() : frame_spec_v4();
	uint16_t sum = (uint16_t)~frame_checksum(frame_pseudo_sum(&f.src, &f.dst, proto, l4_len),
	                                         NULL, 0);

	b->bytes[b->check] = (uint8_t)(sum >> 8);
	b->bytes[b->check + 1] = (uint8_t)sum;
}

static void
complete(struct built *b)
{
	struct segment seg;

	segment_parse(&seg, b->bytes, (uint32_t)b->len, (uint32_t)b->len, SIDE_INSIDE);
	partial_checksum_complete(b->bytes, (uint32_t)b->len, &seg);
}

static void
check_completed(bool is_v6, unsigned int n_tags, uint8_t proto, size_t n_data)
{
	struct built whole = build(is_v6, n_tags, proto, n_data), b = whole;
	size_t head = proto == UDP ? 8 : 20;

	make_partial(&b, is_v6, proto, head + n_data);
	complete(&b);
	CU_ASSERT_EQUAL(memcmp(b.bytes, whole.bytes, whole.len), 0);
	/* Padding belongs to no packet. */
	b = whole;
	make_partial(&b, is_v6, proto, head + n_data);
	memset(b.bytes + b.len, 0xee, 7);
	b.len += 7;
	complete(&b);
	CU_ASSERT_EQUAL(memcmp(b.bytes, whole.bytes, whole.len), 0);
}

static void
test_partial_completed(void)
{
	for (unsigned int i = 0; i < 12; i++)
		for (size_t n_data = 0; n_data < 40; n_data++)
			check_completed(i & 1, i / 4, i & 2 ? UDP : PLAIN, n_data * 7);
}

static void
check_left_alone(struct built *b)
{
	struct built before = *b;

	complete(b);
	CU_ASSERT_EQUAL(memcmp(before.bytes, b->bytes, sizeof(before.bytes)), 0);
}

/* A right one, and one that is wrong for another reason. */
static void
test_others_left_alone(void)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct built b = build(i & 1, 0, i & 2 ? UDP : PLAIN, 100);

		check_left_alone(&b);
		b.bytes[b.check] ^= 0x10;
		check_left_alone(&b);
	}
}

/* Of a fragment it would be a sum over a part; a length beyond the frame is a lie. */
static void
test_incomplete_left_alone(void)
{
	static const uint8_t fragments[][2] = { { 0x20, 0 }, { 0, 1 }, { 0x1f, 0xff } };
	struct built b;

	for (unsigned int i = 0; i < 3; i++) {
		b = build(false, 0, PLAIN, 100);
		make_partial(&b, false, PLAIN, 120);
		b.bytes[14 + 6] = fragments[i][0];
		b.bytes[14 + 7] = fragments[i][1];
		check_left_alone(&b);
	}
	for (unsigned int i = 0; i < 4; i++) {
		uint8_t proto = i & 2 ? UDP : PLAIN;
		b = build(i & 1, 0, proto, 100);
		make_partial(&b, i & 1, proto, (i & 2 ? 8 : 20) + 100);
		b.len--;
		check_left_alone(&b);
	}
}

static void
test_headers_cut_off_left_alone(void)
{
	for (unsigned int i = 0; i < 4; i++) {
		uint8_t proto = i & 2 ? UDP : PLAIN;
		struct built b = build(i & 1, 0, proto, 0);
		/* A length in the IP header that ends before the checksum does. */
		for (size_t left = 0; left < b.check + 2 - b.l4; left++) {
			struct built cut = b;
			size_t total = left + (i & 1 ? 0 : 20);
			make_partial(&cut, i & 1, proto, left);
			cut.bytes[14 + (i & 1 ? 4 : 2)] = 0;
			cut.bytes[14 + (i & 1 ? 5 : 3)] = (uint8_t)total;
			check_left_alone(&cut);
		}
		/* And frames of every length. */
		make_partial(&b, i & 1, proto, i & 2 ? 8 : 20);
		for (size_t len = 0; len < b.len; len++) {
			struct built cut = b;
			cut.len = len;
			check_left_alone(&cut);
		}
	}
}

/* Neither TCP nor UDP: where their checksum would be is something else. */
static void
test_other_protocols_left_alone(void)
{
	struct built b = build(false, 0, PLAIN, 100);

	for (unsigned int at = 6; at <= 16; at += 10) {
		b = build(false, 0, PLAIN, 100);
		b.check = b.l4 + at;
		b.bytes[14 + 9] = 132;
		make_partial(&b, false, 132, 120);
		check_left_alone(&b);
	}
	b = build(false, 0, PLAIN, 100);
	make_partial(&b, false, PLAIN, 120);
	b.bytes[12] = 0x88;
	b.bytes[13] = 0xb5;
	check_left_alone(&b);
}

/* RFC 768: a UDP checksum that comes out as 0 is sent as 0xffff; TCP's stays 0. */
static void
test_zero_is_none_for_udp(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t proto = i == 0 ? UDP : PLAIN;
		struct built b = build(false, 0, proto, 2);
		/* Two bytes of data make up for the rest. */
		size_t data = b.len - 2;
		b.bytes[data] = b.bytes[data + 1] = 0;
		make_partial(&b, false, proto, i == 0 ? 10 : 22);
		struct built probe = b;
		complete(&probe);
		b.bytes[data] = probe.bytes[probe.check];
		b.bytes[data + 1] = probe.bytes[probe.check + 1];
		complete(&b);
		uint8_t want = i == 0 ? 0xff : 0;
		CU_ASSERT_EQUAL(b.bytes[b.check], want);
		CU_ASSERT_EQUAL(b.bytes[b.check + 1], want);
	}
}

/* IPv4 options lie between. */
static void
test_ip_options(void)
{
	static const uint8_t nops[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	struct frame_spec f = frame_spec_v4();
	struct built whole = { 0 }, b;

	f.ip_options = nops;
	f.ip_options_len = sizeof(nops);
	whole.len = frame_build(whole.bytes, &f);
	whole.check = 14 + 28 + 16;
	b = whole;
	make_partial(&b, false, PLAIN, 20);
	complete(&b);
	CU_ASSERT_EQUAL(memcmp(b.bytes, whole.bytes, whole.len), 0);
	/* A header that claims to be shorter than any. */
	make_partial(&b, false, PLAIN, 20);
	b.bytes[14] = 0x44;
	check_left_alone(&b);
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_partial_completed),
	CHECK_TEST(test_others_left_alone),
	CHECK_TEST(test_incomplete_left_alone),
	CHECK_TEST(test_headers_cut_off_left_alone),
	CHECK_TEST(test_other_protocols_left_alone),
	CHECK_TEST(test_zero_is_none_for_udp),
	CHECK_TEST(test_ip_options),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("partial_checksum", tests);
}
