/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parser's lane beside the plain way: the same struct segment from both, for
 * frames of the usual kind, for frames bent in a few bytes, and cut at any place.
 */
#include <stddef.h>

#include "check.h"
#include "checksum.h"
#include "frame.h"
#include "parse.h"
#include "parse_lane.h"
#include "segment_sum.h"
#include "tcp_layout.h"

#define N_FRAMES 200000

/* What stacks send, and neighbours of it. */
static const struct {
	uint8_t bytes[40];
	size_t len;
} layouts[] = {
	{ { 0 }, 0 },
	{ { 2, 4, 5, 0xb4 }, 4 },
	{ { 2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7 }, 20 },
	{ { 2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 255 }, 20 },
	{ { 2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 2, 7 }, 20 },
	{ { 2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2 }, 12 },
	{ { 2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 3 }, 12 },
	{ { 2, 4, 5, 0xb4, 1, 3, 3, 6, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8 }, 20 },
	{ { 2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 4, 2 }, 24 },
	{ { 2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 4, 2, 1 }, 24 },
	{ { 1, 1, 8, 10, 9, 8, 7, 6, 5, 4, 3, 2 }, 12 },
	{ { 1, 1, 8, 11, 9, 8, 7, 6, 5, 4, 3, 2 }, 12 },
	{ { 1, 1, 5, 10, 9, 8, 7, 6, 5, 4, 3, 2 }, 12 },
	{ { 2, 4, 5, 0xb4, 19, 18 }, 22 },
};

static const uint8_t odd_v4[][4] = {
	{ 0, 1, 2, 3 },     { 127, 0, 0, 1 }, { 224, 0, 0, 1 },       { 240, 1, 1, 1 },
	{ 126, 255, 0, 1 }, { 223, 1, 1, 1 }, { 255, 255, 255, 255 }, { 1, 0, 0, 0 },
};

static struct ip_addr
random_addr(uint64_t *state, bool is_v4)
{
	uint64_t r = check_random(state);
	struct ip_addr a = { 0 };

	if (is_v4) {
		uint32_t v;
		memcpy(&v, odd_v4[r % 8], sizeof(v));
		return ip_addr_v4(r >> 8 & 7 ? (uint32_t)(r >> 16) : v);
	}
	for (unsigned int i = 0; i < 2; i++)
		a.quads_be[i] = check_random(state) >> (r >> 4 & 7) * 8;
	switch (r & 15) {
	case 0:
		a.bytes[0] = 0xff;
		break;
	case 1:
		a.quads_be[0] = 0;
		break;
	case 2:
		a = (struct ip_addr){ .bytes[15] = (uint8_t)(r >> 8 & 3) };
		break;
	case 3:
		a = ip_addr_v4((uint32_t)(r >> 8));
		break;
	default:
		break;
	}
	return a;
}

static size_t
random_frame(uint64_t *state, uint8_t *frame)
{
	uint64_t r = check_random(state);
	bool is_v4 = r & 1;
	struct frame_spec s = is_v4 ? frame_spec_v4() : frame_spec_v6();
	static const uint8_t payload[64];

	if (r >> 1 & 1) {
		s.src = random_addr(state, is_v4);
		s.dst = (r >> 2 & 15) == 0 ? s.src : random_addr(state, is_v4);
		s.force_v6 = !is_v4;
	}
	s.flags = r >> 6 & 3 ? (uint8_t)(r >> 8) : (r >> 6 & 4 ? 0x02 : 0x10);
	s.seq = (uint32_t)check_random(state);
	s.ack = (uint32_t)check_random(state);
	s.src_port = (uint16_t)((r >> 16 & 15) == 0 ? 0 : r >> 20);
	s.dst_port = (uint16_t)((r >> 17 & 15) == 0 ? 0 : r >> 24);
	const unsigned int layout = (unsigned int)(r >> 32) %
	                            (sizeof(layouts) / sizeof(layouts[0]));
	s.options = layouts[layout].bytes;
	s.options_len = layouts[layout].len;
	s.payload = payload;
	s.payload_len = r >> 40 & 1 ? r >> 41 & 63 : 0;
	s.n_trailing = r >> 48 & 3 ? 0 : r >> 50 & 7;
	s.n_tags = (r >> 53 & 15) == 0;
	s.tpid[0] = 0x8100;
	if ((r >> 57 & 31) == 0)
		s.bad_ip_checksum = 1;
	return frame_build(frame, &s);
}

/* Bend a few bytes of the headers; mostly keep the IPv4 checksum right, as it
 * would else be all that is seen. */
static void
bend(uint64_t *state, uint8_t *frame, size_t len)
{
	for (unsigned int n = check_random(state) >> 20 & 3; n > 0; n--) {
		uint64_t r = check_random(state);
		frame[12 + (r >> 8) % (len - 12 < 80 ? len - 12 : 80)] ^= (uint8_t)(1u << (r >> 16 &
		                                                                           7));
	}
	if (frame[12] == 8 && frame[13] == 0 && (frame[14] & 15) == 5 &&
	    check_random(state) >> 30 & 7) {
		frame[24] = frame[25] = 0;
		uint16_t sum = frame_checksum(0, frame + 14, 20);
		frame[24] = (uint8_t)(sum >> 8);
		frame[25] = (uint8_t)sum;
	}
}

static bool
same(const struct segment *a, const struct segment *b)
{
	return memcmp(a, b, offsetof(struct segment, found)) == 0;
}

static void
test_lane_random_frames_same_segment(void)
{
	uint64_t state = 0x2545f4914f6cdd1dull;
	unsigned int n_lane = 0, n_different = 0;

	for (unsigned int i = 0; i < N_FRAMES; i++) {
		uint8_t frame[FRAME_SIZE];
		size_t len = random_frame(&state, frame);
		uint64_t r = check_random(&state);
		enum side side = r & 8 ? SIDE_INSIDE : SIDE_OUTSIDE;

		if (r & 1)
			bend(&state, frame, len);
		/* `head` bytes can be read, the frame may be longer or shorter. */
		size_t head = r & 6 ? len : (r >> 8) % (len + 1);
		size_t said = r & 0x30 ? len : head;
		uint8_t *copy = check_copy(frame, head);
		struct segment plain, fast, lane;

		memset(&plain, 0, sizeof(plain));
		memset(&fast, 0, sizeof(fast));
		parse_any(&plain, copy, (uint32_t)head, (uint32_t)said, side);
		segment_parse(&fast, copy, (uint32_t)head, (uint32_t)said, side);
		n_different += !same(&plain, &fast);
		n_lane += parse_lane(&lane, copy, (uint32_t)head, side);
		free(copy);
	}
	CU_ASSERT_EQUAL(n_different, 0);
	/* Enough of both kinds for this to say anything. */
	CU_ASSERT_TRUE(n_lane > N_FRAMES / 10);
	CU_ASSERT_TRUE(n_lane < N_FRAMES * 9 / 10);
}

static void
test_lane_usual_frames_taken(void)
{
	for (unsigned int family = 0; family < 2; family++)
		for (unsigned int i = 0; i < 8; i++) {
			struct frame_spec s = family ? frame_spec_v6() : frame_spec_v4();
			uint8_t frame[FRAME_SIZE];
			struct segment seg;

			s.options = layouts[i].bytes;
			s.options_len = layouts[i].len;
			size_t len = frame_build(frame, &s);
			CU_ASSERT_TRUE(parse_lane(&seg, frame, (uint32_t)len, SIDE_OUTSIDE));
		}
}

/* No options, MSS alone, and what Linux, Windows, FreeBSD and macOS send: at one look. */
static void
test_layouts_usual_ones_known(void)
{
	static const unsigned int usual[] = { 0, 1, 2, 5, 7, 8, 10 };

	for (unsigned int i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		struct frame_spec s = frame_spec_v4();
		uint8_t frame[FRAME_SIZE];
		struct segment seg;

		s.options = layouts[usual[i]].bytes;
		s.options_len = layouts[usual[i]].len;
		size_t len = frame_build(frame, &s);
		CU_ASSERT_TRUE_FATAL(parse_lane(&seg, frame, (uint32_t)len, SIDE_OUTSIDE));
		CU_ASSERT_TRUE(tcp_layout_read(&seg, frame + seg.l3_off + IPV4_HEADER_SIZE,
		                               (unsigned int)(TCP_HEADER_SIZE + s.options_len)));
	}
}

/* One's complement sums of all shapes beside the naive fold. */
static void
test_checksum_fold_naive_same(void)
{
	uint64_t state = 88172645463325252ull;
	static const uint64_t edges[] = { 0,
		                          1,
		                          0xffff,
		                          0x10000,
		                          0xffff0000,
		                          0xffffffff,
		                          0x100000000,
		                          0xffffffff00000000,
		                          0xffffffffffffffff,
		                          0x1fffffffe };
	unsigned int n_different = 0;

	for (unsigned int i = 0; i < 1000000; i++) {
		uint64_t sum = i < 10 ? edges[i] : check_random(&state) >> (i & 63), naive = sum;
		while (naive >> 16 != 0)
			naive = (naive & 0xffff) + (naive >> 16);
		n_different += naive != checksum_fold(sum);
	}
	CU_ASSERT_EQUAL(n_different, 0);
}

/* How often do both ways say different things of a frame with a bit of its headers another way?
 * *n_taken: of how many of these the class is TCP. */
static unsigned int
bits_different(const struct frame_spec *spec, bool is_v6, enum side side, unsigned int *n_taken)
{
	uint8_t frame[FRAME_SIZE];
	size_t len = frame_build(frame, spec);
	unsigned int n_different = 0;

	for (size_t bit = 8 * 12; bit < 8 * len; bit++) {
		struct segment plain, fast;

		frame[bit / 8] ^= (uint8_t)(1u << (bit & 7));
		uint8_t was[2] = { frame[24], frame[25] };
		if (!is_v6 && (bit / 8 < 24 || bit / 8 > 25)) {
			frame[24] = frame[25] = 0;
			uint16_t sum = frame_checksum(0, frame + 14, 20);
			frame[24] = (uint8_t)(sum >> 8);
			frame[25] = (uint8_t)sum;
		}
		memset(&plain, 0, sizeof(plain));
		memset(&fast, 0, sizeof(fast));
		parse_any(&plain, frame, (uint32_t)len, (uint32_t)len, side);
		segment_parse(&fast, frame, (uint32_t)len, (uint32_t)len, side);
		n_different += !same(&plain, &fast);
		*n_taken += fast.class == SEGMENT_TCP;
		memcpy(frame + 24, was, sizeof(was));
		frame[bit / 8] ^= (uint8_t)(1u << (bit & 7));
	}
	return n_different;
}

/* A SYN of Linux is known at one look. With any bit of its headers another way it is what the plain
 * way says. */
static void
test_lane_each_bit_of_a_syn_same_segment(void)
{
	unsigned int n_different = 0, n_taken = 0;

	for (unsigned int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct frame_spec spec = is_v6 ? frame_spec_v6() : frame_spec_v4();

		spec.flags = TCP_SYN;
		spec.options = layouts[2].bytes;
		spec.options_len = layouts[2].len;
		n_different += bits_different(&spec, is_v6, SIDE_OUTSIDE, &n_taken);
	}
	CU_ASSERT_EQUAL(n_different, 0);
	CU_ASSERT(n_taken > 500);
}

/* The same of ACKs, bare and with timestamps, with data and without. */
static void
test_lane_each_bit_of_an_ack_same_segment(void)
{
	for (unsigned int i = 0; i < 16; i++) {
		bool is_v6 = i & 1;
		struct frame_spec spec = is_v6 ? frame_spec_v6() : frame_spec_v4();
		unsigned int n_taken = 0;

		spec.flags = TCP_ACK;
		spec.ack = 0x89abcdefu;
		spec.options = layouts[10].bytes;
		spec.options_len = i & 2 ? layouts[10].len : 0;
		spec.payload = (const uint8_t *)"abc";
		spec.payload_len = i & 4 ? 3 : 0;
		CU_ASSERT_EQUAL(
			bits_different(&spec, is_v6, i & 8 ? SIDE_INSIDE : SIDE_OUTSIDE, &n_taken),
			0);
		CU_ASSERT(n_taken > 150);
	}
}

/* Which segments have the shape of an ACK: other flags, options and headers have not. */
static void
test_lane_shape_of_acks(void)
{
	static const uint8_t sack[12] = { 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2 };
	const struct {
		uint8_t flags;
		const uint8_t *options;
		size_t options_len;
		unsigned int n_tags;
		bool has_shape;
	} cases[] = {
		{ TCP_ACK, NULL, 0, 0, true },
		{ TCP_ACK | TCP_PSH, NULL, 0, 0, true },
		{ TCP_ACK, layouts[10].bytes, layouts[10].len, 0, true },
		{ TCP_ACK, NULL, 0, 1, false },
		{ TCP_ACK, sack, sizeof(sack), 0, false },
		{ TCP_ACK | TCP_FIN, NULL, 0, 0, false },
		{ TCP_ACK | TCP_RST, NULL, 0, 0, false },
		{ TCP_ACK | TCP_SYN, NULL, 0, 0, false },
		{ TCP_ACK | TCP_URG, NULL, 0, 0, false },
		{ TCP_ACK | TCP_ECE, NULL, 0, 0, false },
	};

	for (unsigned int i = 0; i < 8 * sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_v6 = i & 1;
		struct frame_spec spec = is_v6 ? frame_spec_v6() : frame_spec_v4();
		uint8_t frame[FRAME_SIZE];
		struct segment seg;

		spec.flags = cases[i / 8].flags;
		spec.options = cases[i / 8].options;
		spec.options_len = cases[i / 8].options_len;
		spec.n_tags = cases[i / 8].n_tags;
		spec.tpid[0] = 0x8100;
		spec.payload = (const uint8_t *)"abc";
		spec.payload_len = i & 2 ? 3 : 0;
		size_t len = frame_build(frame, &spec);
		segment_parse(&seg, frame, (uint32_t)len, (uint32_t)len,
		              i & 4 ? SIDE_INSIDE : SIDE_OUTSIDE);
		uint8_t shape = is_v6 ? SHAPE_ACK_V6 : SHAPE_ACK_V4;
		CU_ASSERT_EQUAL(seg.shape, cases[i / 8].has_shape ? shape : SHAPE_ANY);
	}
}

/* The addresses of a frame from outside, as the parser would have them. */
static void
put_addresses(struct segment *seg, const uint8_t *frame, bool is_v6)
{
	const uint8_t *at = frame + frame_l3_off(frame) + (is_v6 ? 8 : 12);
	uint32_t src, dst;

	if (is_v6) {
		memcpy(&seg->flow.client, at, sizeof(seg->flow.client));
		memcpy(&seg->flow.server, at + 16, sizeof(seg->flow.server));
		return;
	}
	memcpy(&src, at, sizeof(src));
	memcpy(&dst, at + 4, sizeof(dst));
	seg->flow.client = ip_addr_v4(src);
	seg->flow.server = ip_addr_v4(dst);
}

/* Of IPv4 these put TCP where IPv6 has it. */
static const uint8_t nops[20] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0 };

/* Each bit of addresses and TCP belongs to the sum, of all layouts, with data and without, over
 * IPv4, IPv6, and IPv4 with options. */
static void
test_segment_sum_every_bit_counts(void)
{
	unsigned int n_unseen = 0, n_bad = 0;

	for (unsigned int i = 0; i < 6 * sizeof(layouts) / sizeof(layouts[0]); i++) {
		bool is_v6 = i % 3 == 1;
		struct frame_spec spec = is_v6 ? frame_spec_v6() : frame_spec_v4();
		uint8_t frame[FRAME_SIZE];
		struct segment seg;

		spec.ip_options = nops;
		spec.ip_options_len = i % 3 == 2 ? sizeof(nops) : 0;
		spec.options = layouts[i / 6].bytes;
		spec.options_len = layouts[i / 6].len;
		spec.payload = (const uint8_t *)"abc";
		spec.payload_len = i % 2 ? 3 : 0;
		spec.seq = 0x89abcdefu + i;
		size_t len = frame_build(frame, &spec);
		segment_parse(&seg, frame, (uint32_t)len, (uint32_t)len, SIDE_OUTSIDE);
		n_bad += !segment_checksum_ok(&seg);
		size_t addresses = frame_l3_off(frame) + (is_v6 ? 8 : 12);
		for (size_t at = addresses; at < len; at++) {
			if (at == addresses + (is_v6 ? 32 : 8))
				at = seg.l4_off;
			for (unsigned int bit = 1; bit < 0x100; bit <<= 1) {
				struct segment bent = seg;

				frame[at] ^= (uint8_t)bit;
				put_addresses(&bent, frame, is_v6);
				bent.checksum_good = false;
				n_unseen += segment_checksum_ok(&bent);
				frame[at] ^= (uint8_t)bit;
			}
		}
	}
	CU_ASSERT_EQUAL(n_bad, 0);
	CU_ASSERT_EQUAL(n_unseen, 0);
}

/* What is summed at one look is what the general way sums: of either family, and of IPv4 whose
 * options put TCP where IPv6 has it. */
static void
test_segment_sum_of_ack_same(void)
{
	unsigned int n_bad = 0, n_other = 0;

	for (unsigned int i = 0; i < 3 * 3; i++) {
		struct frame_spec spec = i % 3 == 1 ? frame_spec_v6() : frame_spec_v4();
		uint8_t frame[FRAME_SIZE];
		struct segment seg;

		spec.flags = TCP_ACK;
		spec.ip_options = nops;
		spec.ip_options_len = i % 3 == 2 ? sizeof(nops) : 0;
		spec.payload = nops;
		spec.payload_len = i / 3;
		size_t len = frame_build(frame, &spec);
		segment_parse(&seg, frame, (uint32_t)len, (uint32_t)len, SIDE_OUTSIDE);
		n_bad += !segment_sum_of_ack_is_whole(&seg);
		for (size_t bit = 8 * seg.l4_off; bit < 8 * len; bit++) {
			frame[bit / 8] ^= (uint8_t)(1u << (bit & 7));
			n_other += segment_sum_of_ack_is_whole(&seg) || segment_sum_is_whole(&seg);
			frame[bit / 8] ^= (uint8_t)(1u << (bit & 7));
		}
	}
	CU_ASSERT_EQUAL(n_bad, 0);
	CU_ASSERT_EQUAL(n_other, 0);
}

/* The same of SYNs with options of any length, whether the usual length is still expected or not:
 * each bit of addresses and TCP belongs to it. */
static void
test_segment_sum_of_syn_same(void)
{
	unsigned int n_bad = 0, n_unseen = 0, n_usual = 0;

	for (unsigned int i = 0; i < 4 * 11; i++) {
		bool is_v4 = i & 1, is_expected = i & 2;
		struct frame_spec spec = is_v4 ? frame_spec_v4() : frame_spec_v6();
		uint64_t usual = is_expected ? segment_sum_usual(is_v4) : 0;
		uint8_t frame[FRAME_SIZE], options[40];
		struct segment seg;

		for (unsigned int at = 0; at < sizeof(options); at++)
			options[at] = (uint8_t)(at * 37 + i);
		spec.flags = TCP_SYN;
		spec.options = options;
		spec.options_len = i / 4 * 4;
		size_t len = frame_build(frame, &spec);
		segment_parse(&seg, frame, (uint32_t)len, (uint32_t)len, SIDE_OUTSIDE);
		CU_ASSERT_EQUAL_FATAL(seg.shape, is_v4 ? SHAPE_SYN_V4 : SHAPE_SYN_V6);
		n_bad += !checksum_is_whole(segment_sum_of_syn(&seg, is_v4, &usual));
		n_usual += usual != 0;
		for (size_t bit = 8 * (seg.l4_off - (is_v4 ? 8u : 32u)); bit < 8 * len; bit++) {
			struct segment bent = seg;

			frame[bit / 8] ^= (uint8_t)(1u << (bit & 7));
			put_addresses(&bent, frame, !is_v4);
			usual = is_expected ? segment_sum_usual(is_v4) : 0;
			n_unseen += checksum_is_whole(segment_sum_of_syn(&bent, is_v4, &usual));
			frame[bit / 8] ^= (uint8_t)(1u << (bit & 7));
		}
		seg.checksum_good = true;
		usual = segment_sum_usual(is_v4);
		n_bad += segment_sum_of_syn(&seg, is_v4, &usual) != SUM_WHOLE;
	}
	CU_ASSERT_EQUAL(n_bad, 0);
	CU_ASSERT_EQUAL(n_unseen, 0);
	/* 20 bytes of options, of either family. */
	CU_ASSERT_EQUAL(n_usual, 2);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_lane_random_frames_same_segment),
		CHECK_TEST(test_lane_usual_frames_taken),
		CHECK_TEST(test_lane_each_bit_of_a_syn_same_segment),
		CHECK_TEST(test_lane_each_bit_of_an_ack_same_segment),
		CHECK_TEST(test_lane_shape_of_acks),
		CHECK_TEST(test_layouts_usual_ones_known),
		CHECK_TEST(test_checksum_fold_naive_same),
		CHECK_TEST(test_segment_sum_every_bit_counts),
		CHECK_TEST(test_segment_sum_of_ack_same),
		CHECK_TEST(test_segment_sum_of_syn_same),
		CU_TEST_INFO_NULL,
	};

	return check_run("wire_lane", tests);
}
