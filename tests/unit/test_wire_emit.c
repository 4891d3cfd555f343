/* SPDX-License-Identifier: BSD-3-Clause */
/* emit_*(): byte-equal to the frame that the byte-wise builder makes. */
#include "check.h"
#include "emit.h"
#include "frame.h"

static const uint8_t payload[1460] = { 'G', 'E', 'T', 0xff, 0xfe, 0xfd, 0xfc };

/* One for all tests: what it was left with must not show in the next packet. */
static struct emit_memo memo = { .kept[0].said = { ~0ull, ~0ull } };

/* The options that `p` asks for, as the header of emit.h lays them out. */
static size_t
lay_options(uint8_t *o, const struct packet *p)
{
	size_t n = 0;

	if (p->options & OPTION_MSS) {
		memcpy(o, (uint8_t[]){ 2, 4, (uint8_t)(p->mss >> 8), (uint8_t)p->mss }, 4);
		n += 4;
	}
	if (p->options & (OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS)) {
		if (!(p->options & OPTION_TIMESTAMPS) || !(p->options & OPTION_SACK_PERMITTED)) {
			o[n++] = 1;
			o[n++] = 1;
		}
		if (p->options & OPTION_SACK_PERMITTED) {
			o[n++] = 4;
			o[n++] = 2;
		}
		if (p->options & OPTION_TIMESTAMPS) {
			o[n++] = 8;
			o[n++] = 10;
			for (unsigned int i = 0; i < 4; i++, n++) {
				o[n] = (uint8_t)(p->tsval >> (24 - 8 * i));
				o[n + 4] = (uint8_t)(p->tsecr >> (24 - 8 * i));
			}
			n += 4;
		}
	}
	if (p->options & OPTION_WSCALE) {
		memcpy(o + n, (uint8_t[]){ 1, 3, 3, p->wscale }, 4);
		n += 4;
	}
	return n;
}

/* The frame that `p` makes between the ends and in the envelope of `base`. */
static size_t
build_want(uint8_t *want, struct frame_spec base, const struct packet *p)
{
	uint8_t options[40];

	base.options = options;
	base.options_len = lay_options(options, p);
	base.seq = p->seq;
	base.ack = p->ack;
	base.flags = p->flags;
	base.window = p->window;
	base.payload = p->payload;
	base.payload_len = p->payload_len;
	base.ttl = p->ttl != 0 ? p->ttl : 64;
	base.ip_fragment = 0x4000;
	base.ip_id = 0;
	base.tos = (uint8_t)(p->label >> 20);
	base.flow_label = p->label & 0xfffff;
	base.urgent = 0;
	base.reserved = 0;
	base.ip_options_len = 0;
	base.n_trailing = 0;
	memset(want, 0, FRAME_SIZE);
	size_t len = frame_build(want, &base);
	return len < 60 ? 60 : len;
}

static struct frame_spec
swap_ends(struct frame_spec spec)
{
	struct frame_spec s = spec;

	memcpy(s.dst_mac, spec.src_mac, 6);
	memcpy(s.src_mac, spec.dst_mac, 6);
	s.src = spec.dst;
	s.dst = spec.src;
	s.src_port = spec.dst_port;
	s.dst_port = spec.src_port;
	return s;
}

/* A received frame that is full of what must not survive. */
static struct frame_spec
received(unsigned int variant)
{
	static const uint8_t options[40] = { 34, 18, 0xde, 0xad, [18] = 30, 22 };
	static const uint8_t ip_options[8] = { 0x94, 4, 0, 0, 1, 1, 1, 0 };
	static const uint8_t ip_chain[8] = { 6, 0, 1, 4, 0, 0, 0, 0 };
	struct frame_spec spec = variant & 1 ? frame_spec_v4() : frame_spec_v6();

	spec.n_tags = variant / 2 % 3;
	spec.tpid[0] = 0x88a8;
	spec.tpid[1] = 0x8100;
	spec.tci[0] = 0x6123;
	spec.tci[1] = 0x0fff;
	spec.tos = 0xb9;
	spec.ip_id = 0x7777;
	spec.urgent = 0x5555;
	spec.reserved = 0xf;
	spec.flags = TCP_SYN | TCP_ECE | TCP_CWR;
	spec.options = options;
	spec.options_len = sizeof(options);
	spec.payload = payload;
	spec.payload_len = 33;
	if (variant >= 6) {
		spec.ip_options = variant & 1 ? ip_options : ip_chain;
		spec.ip_options_len = 8;
		spec.ip_first = 60;
	}
	return spec;
}

static struct packet
packet_of(uint64_t *state, unsigned int options, uint16_t payload_len)
{
	struct packet p = {
		.seq = (uint32_t)check_random(state),
		.ack = (uint32_t)check_random(state),
		.tsval = (uint32_t)check_random(state),
		.tsecr = (uint32_t)check_random(state),
		.window = (uint16_t)check_random(state),
		.mss = (uint16_t)check_random(state),
		.flags = (uint8_t)check_random(state),
		.options = (uint8_t)options,
		.wscale = (uint8_t)(check_random(state) % 15),
		.payload_len = payload_len,
		.payload = payload_len ? payload : NULL,
	};
	return p;
}

typedef unsigned int emit_function(uint8_t *, const struct segment *, const struct packet *,
                                   enum emit_checksum, struct emit_memo *);

static void
check_emit(emit_function *emit, unsigned int variant, enum side side, const struct packet *p)
{
	uint8_t frame[FRAME_SIZE], want[FRAME_SIZE];
	struct frame_spec spec = received(variant);
	uint32_t len = (uint32_t)frame_build(frame, &spec);
	size_t room = EMIT_HEADER_MAX + p->payload_len;
	uint8_t *buffer = malloc(room > len ? room : len);
	struct segment seg;

	CU_ASSERT_PTR_NOT_NULL_FATAL(buffer);
	memset(buffer, 0xee, room > len ? room : len);
	memcpy(buffer, frame, len);
	segment_parse(&seg, buffer, len, len, side);
	CU_ASSERT_EQUAL_FATAL(seg.class, SEGMENT_TCP);
	unsigned int got = emit(buffer, &seg, p, EMIT_CHECKSUM_SOFTWARE, &memo);
	size_t want_len = build_want(want, emit == emit_reply ? swap_ends(spec) : spec, p);
	CU_ASSERT_EQUAL_FATAL(got, want_len);
	CU_ASSERT_EQUAL(memcmp(buffer, want, want_len), 0);
	CU_ASSERT_TRUE(frame_is_good(buffer, got));
	free(buffer);
}

static void
check_all(emit_function *emit)
{
	static const uint16_t payload_lens[] = { 0, 1, 2, 7, 8, 536, 1459, 1460 };
	uint64_t state = 10;

	for (unsigned int variant = 0; variant < 12; variant++) {
		for (unsigned int options = 0; options < 16; options++) {
			for (size_t i = 0; i < 8; i++) {
				struct packet p = packet_of(&state, options, payload_lens[i]);
				check_emit(emit, variant, SIDE_OUTSIDE, &p);
				check_emit(emit, variant, SIDE_INSIDE, &p);
			}
		}
	}
}

static void
test_emit_reply_in_place_is_built_frame_with_ends_swapped(void)
{
	check_all(emit_reply);
}

/* Made for a packet, and used for all that say the same. */
static void
test_emit_reply_with_made_bytes_is_built_frame(void)
{
	uint64_t state = 12;

	for (unsigned int i = 0; i < 12 * 16 * 2; i++) {
		struct packet p = packet_of(&state, i / 24, 0);
		struct emit_fixed made;

		emit_make(&made, &p);
		p.made = &made;
		check_emit(emit_reply, i % 12, i / 12 & 1, &p);
		p.seq = (uint32_t)check_random(&state);
		p.ack = (uint32_t)check_random(&state);
		p.tsecr = (uint32_t)check_random(&state);
		check_emit(emit_reply, i % 12, i / 12 & 1, &p);
	}
}

static void
test_emit_onward_in_place_is_built_frame(void)
{
	check_all(emit_onward);
}

/* DSCP, flow label and TTL of whom it speaks for: of a packet that is laid out the first time, of
 * the next that says the same, and of none that follows without. */
static void
test_emit_way_of_another_is_built_frame(void)
{
	uint64_t state = 13;

	for (unsigned int i = 0; i < 12 * 16 * 2; i++) {
		struct packet p = packet_of(&state, i / 24, 0), own = p;
		emit_function *emit = i & 1 ? emit_onward : emit_reply;

		p.label = 0x0b800000u | (i / 2 & 1 ? 0 : 0xabcdeu);
		p.ttl = own.ttl = i / 24 & 1 ? 255 : 0;
		for (unsigned int time = 0; time < 2; time++) {
			check_emit(emit, i % 12, i / 12 & 1, &p);
			p.seq++;
		}
		check_emit(emit, i % 12, i / 12 & 1, &own);
	}
}

/* What was parsed out of a frame, and its link, make the same frame anew. */
static void
test_emit_new_from_link_of_segment_is_built_frame(void)
{
	uint64_t state = 11;
	uint8_t frame[FRAME_SIZE], want[FRAME_SIZE];

	for (unsigned int i = 0; i < 12 * 16 * 2 * 2; i++) {
		bool reply = i & 1;
		enum side side = i >> 1 & 1;
		struct frame_spec spec = received(i / 4 % 12);
		struct packet p = packet_of(&state, i / 48, i % 3 ? 0 : 17);
		struct segment seg;
		spec.tci[0] &= 0x0fff;
		uint32_t len = (uint32_t)frame_build(frame, &spec);
		segment_parse(&seg, frame, len, len, side);
		struct link link = link_of_segment(&seg, reply);
		size_t want_len = build_want(want, reply ? swap_ends(spec) : spec, &p);

		uint8_t *buffer = malloc(EMIT_HEADER_MAX + p.payload_len);
		CU_ASSERT_PTR_NOT_NULL_FATAL(buffer);
		unsigned int got = emit_new(buffer, &link, &seg.flow, reply ? side : side ^ 1, &p,
		                            EMIT_CHECKSUM_SOFTWARE, &memo);
		CU_ASSERT_EQUAL_FATAL(got, want_len);
		CU_ASSERT_EQUAL(memcmp(buffer, want, want_len), 0);
		free(buffer);
	}
}

/* Tags of every kind survive parse -> link -> emit_new -> parse. */
static void
test_emit_new_tags_are_parsed_back(void)
{
	static const uint16_t ids[] = { 2, 1, 100, 4095 };
	uint64_t state = 12;
	struct packet p = packet_of(&state, OPTION_MSS, 0);
	uint8_t frame[EMIT_HEADER_MAX];

	p.flags = TCP_SYN;
	for (unsigned int i = 0; i < 9 * 16; i++) {
		uint32_t outer = i % 3 ? segment_tag(i % 3 == 2, ids[i / 9 % 4]) : 0;
		uint32_t inner = outer && i / 3 % 3 ? segment_tag(i / 3 % 3 == 2, ids[i / 36]) : 0;
		struct frame_spec spec = frame_spec_v4();
		struct flow flow = { spec.src, spec.dst, 1, 2 };
		struct link link = { { 2 }, { 4 }, outer << 16 | inner };
		unsigned int len = emit_new(frame, &link, &flow, SIDE_INSIDE, &p,
		                            EMIT_CHECKSUM_SOFTWARE, &memo);
		struct segment seg;
		segment_parse(&seg, frame, len, len, SIDE_OUTSIDE);
		CU_ASSERT_EQUAL(seg.class, SEGMENT_TCP);
		CU_ASSERT_EQUAL(seg.tags, link.tags);
		CU_ASSERT_TRUE(flow_equal(&seg.flow, &flow));
	}
}

/* A NIC puts the complement of the sum over what it finds: the pseudo-header
 * sum in the checksum field and the rest of the segment (IPv4: field 0). */
static void
test_emit_offload_finished_by_nic_is_the_software_frame(void)
{
	uint64_t state = 13;

	for (unsigned int i = 0; i < 12 * 16; i++) {
		uint8_t frame[FRAME_SIZE] = { 0 }, done[FRAME_SIZE] = { 0 };
		struct frame_spec spec = received(i % 12);
		struct packet p = packet_of(&state, i / 12, i % 5 ? 0 : 101);
		uint32_t len = (uint32_t)frame_build(frame, &spec);
		struct segment seg;
		memcpy(done, frame, len);
		segment_parse(&seg, frame, len, len, SIDE_OUTSIDE);
		unsigned int n = emit_reply(frame, &seg, &p, EMIT_CHECKSUM_OFFLOAD, &memo);
		segment_parse(&seg, done, len, len, SIDE_OUTSIDE);
		CU_ASSERT_EQUAL(emit_reply(done, &seg, &p, EMIT_CHECKSUM_SOFTWARE, &memo), n);
		if (n <= EMIT_FRAME_MIN || seg.l3_off > 18) {
			CU_ASSERT_EQUAL(memcmp(frame, done, n), 0);
			continue;
		}

		size_t l3_off = frame_l3_off(frame), l4_off = frame_l4_off(frame);
		size_t len_off = l3_off + (seg.is_v4 ? 2 : 4);
		size_t tcp_len = frame[len_off] * 256u + frame[len_off + 1] -
		                 (seg.is_v4 ? 20u : 0u);
		uint16_t check = frame_checksum(0, frame + l4_off, tcp_len);
		frame[l4_off + 16] = (uint8_t)(check >> 8);
		frame[l4_off + 17] = (uint8_t)check;
		if (seg.is_v4) {
			CU_ASSERT_EQUAL(frame[l3_off + 10] | frame[l3_off + 11], 0);
			check = frame_checksum(0, frame + l3_off, 20);
			frame[l3_off + 10] = (uint8_t)(check >> 8);
			frame[l3_off + 11] = (uint8_t)check;
		}
		CU_ASSERT_EQUAL(memcmp(frame, done, n), 0);
	}
}

static void
test_emit_short_frame_is_padded_with_zero(void)
{
	static const uint8_t zero[8];
	uint64_t state = 14;
	struct packet p = packet_of(&state, 0, 0);
	uint8_t frame[FRAME_SIZE];
	struct frame_spec spec = frame_spec_v4();
	struct segment seg;

	memset(frame, 0xee, sizeof(frame));
	uint32_t len = (uint32_t)frame_build(frame, &spec);
	segment_parse(&seg, frame, len, len, SIDE_OUTSIDE);
	CU_ASSERT_EQUAL(emit_reply(frame, &seg, &p, EMIT_CHECKSUM_SOFTWARE, &memo), 60);
	CU_ASSERT_EQUAL(memcmp(frame + 54, zero, 6), 0);
}

/* What may be padded, or has two tags, is complete, whoever was to sum it; what is longer is
 * left to the NIC. */
static void
test_emit_short_frame_is_summed_here(void)
{
	uint64_t state = 15;

	for (unsigned int n_tags = 0; n_tags < 3; n_tags++)
		for (uint16_t n = 0; n < 8; n++) {
			struct packet p = packet_of(&state, 0, n);
			struct frame_spec spec = frame_spec_v4();
			uint8_t frame[FRAME_SIZE];
			struct segment seg;
			unsigned int end = 14 + 4 * n_tags + 40 + n;
			spec.n_tags = n_tags;
			spec.tpid[0] = spec.tpid[1] = 0x8100;
			uint32_t len = (uint32_t)frame_build(frame, &spec);
			segment_parse(&seg, frame, len, len, SIDE_OUTSIDE);
			CU_ASSERT_EQUAL(emit_reply(frame, &seg, &p, EMIT_CHECKSUM_OFFLOAD, &memo),
			                end < 60 ? 60 : end);
			CU_ASSERT_EQUAL(frame_is_good(frame, end), end <= 60 || n_tags == 2);
		}
}

/* The judge of these tests sees a wrong byte anywhere from the addresses on. */
static void
test_emit_frame_is_good_sees_every_changed_byte(void)
{
	for (unsigned int variant = 0; variant < 6; variant++) {
		uint8_t frame[FRAME_SIZE];
		struct frame_spec spec = received(variant);
		size_t len = frame_build(frame, &spec);
		CU_ASSERT_TRUE(frame_is_good(frame, len));
		for (size_t at = frame_l3_off(frame) + (variant & 1 ? 12 : 8); at < len; at++) {
			frame[at] ^= 0x10;
			CU_ASSERT_FALSE(frame_is_good(frame, len));
			frame[at] ^= 0x10;
		}
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_emit_reply_in_place_is_built_frame_with_ends_swapped),
		CHECK_TEST(test_emit_reply_with_made_bytes_is_built_frame),
		CHECK_TEST(test_emit_onward_in_place_is_built_frame),
		CHECK_TEST(test_emit_way_of_another_is_built_frame),
		CHECK_TEST(test_emit_new_from_link_of_segment_is_built_frame),
		CHECK_TEST(test_emit_new_tags_are_parsed_back),
		CHECK_TEST(test_emit_offload_finished_by_nic_is_the_software_frame),
		CHECK_TEST(test_emit_short_frame_is_padded_with_zero),
		CHECK_TEST(test_emit_short_frame_is_summed_here),
		CHECK_TEST(test_emit_frame_is_good_sees_every_changed_byte),
		CU_TEST_INFO_NULL,
	};
	return check_run("wire_emit", tests);
}
