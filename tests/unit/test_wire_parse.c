/* SPDX-License-Identifier: BSD-3-Clause */
/* segment_parse(): both families, tags, extension headers, fragments, faults,
 * and every valid frame cut at every length. */
#include <arpa/inet.h>

#include "check.h"
#include "frame.h"
#include "segment.h"

static const uint8_t linux_syn[] = {
	2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0, 1, 3, 3, 7
};

/* The parsed frame of `spec`; *copy is the caller's to free. */
static struct segment
parse(const struct frame_spec *spec, enum side side, uint8_t **copy)
{
	uint8_t frame[FRAME_SIZE];
	size_t len = frame_build(frame, spec);
	struct segment seg;

	memset(&seg, 0x5a, sizeof(seg));
	*copy = check_copy(frame, len);
	segment_parse(&seg, *copy, (uint32_t)len, (uint32_t)len, side);
	return seg;
}

static void
check_class(const struct frame_spec *spec, enum segment_class class, enum segment_fault fault)
{
	for (unsigned int side = 0; side < SIDE_COUNT; side++) {
		uint8_t *copy;
		struct segment seg = parse(spec, side, &copy);
		CU_ASSERT_EQUAL(seg.class, class);
		CU_ASSERT_EQUAL(seg.fault, fault);
		free(copy);
	}
}

static struct frame_spec
spec_of(bool is_v4)
{
	return is_v4 ? frame_spec_v4() : frame_spec_v6();
}

static void
check_fields(const struct frame_spec *spec, enum side side, size_t ip_len)
{
	uint8_t *copy;
	struct segment seg = parse(spec, side, &copy);
	const struct ip_addr *src = side == SIDE_OUTSIDE ? &seg.flow.client : &seg.flow.server;
	const struct ip_addr *dst = side == SIDE_OUTSIDE ? &seg.flow.server : &seg.flow.client;
	uint16_t sport = side == SIDE_OUTSIDE ? seg.flow.client_port_be : seg.flow.server_port_be;
	uint16_t dport = side == SIDE_OUTSIDE ? seg.flow.server_port_be : seg.flow.client_port_be;

	CU_ASSERT_EQUAL(seg.class, SEGMENT_TCP);
	CU_ASSERT_EQUAL(seg.fault, FAULT_NONE);
	CU_ASSERT_EQUAL(seg.side, side);
	CU_ASSERT_EQUAL(seg.is_v4, ip_addr_is_v4(&spec->src));
	CU_ASSERT_TRUE(ip_addr_equal(src, &spec->src) && ip_addr_equal(dst, &spec->dst));
	CU_ASSERT_EQUAL(ntohs(sport), spec->src_port);
	CU_ASSERT_EQUAL(ntohs(dport), spec->dst_port);
	CU_ASSERT_EQUAL(seg.seq, spec->seq);
	CU_ASSERT_EQUAL(seg.ack, spec->ack);
	CU_ASSERT_EQUAL(seg.flags, spec->flags);
	CU_ASSERT_EQUAL(seg.window, spec->window);
	CU_ASSERT_EQUAL(seg.payload_len, spec->payload_len);
	CU_ASSERT_EQUAL(seg.l3_off, 14 + 4 * spec->n_tags);
	CU_ASSERT_EQUAL(seg.l4_off, seg.l3_off + ip_len);
	CU_ASSERT_EQUAL(seg.l4_len, 20 + (spec->options_len + 3) / 4 * 4);
	CU_ASSERT_EQUAL(seg.frame_len, seg.l4_off + seg.l4_len + spec->payload_len);
	CU_ASSERT_PTR_EQUAL(seg.frame, copy);
	CU_ASSERT_EQUAL(seg.fragment_id, 0);
	CU_ASSERT_FALSE(seg.checksum_good);
	CU_ASSERT_TRUE(segment_checksum_ok(&seg));
	CU_ASSERT_TRUE(seg.checksum_good);
	if (spec->payload_len)
		CU_ASSERT_EQUAL(memcmp(segment_payload(&seg), spec->payload, spec->payload_len), 0);
	free(copy);
}

static void
test_parse_tcp_of_both_families_and_sides_fills_every_field(void)
{
	uint8_t payload[101];
	memset(payload, 'x', sizeof(payload));
	for (unsigned int i = 0; i < 16; i++) {
		struct frame_spec spec = spec_of(i & 1);
		if (i & 2) {
			spec.options = linux_syn;
			spec.options_len = sizeof(linux_syn);
		}
		if (i & 4) {
			spec.payload = payload;
			spec.payload_len = sizeof(payload);
			spec.flags = TCP_ACK | TCP_PSH;
			spec.ack = 0xfedcba98;
		}
		spec.n_trailing = i & 8 ? 6 : 0;
		check_fields(&spec, SIDE_OUTSIDE, i & 1 ? 20 : 40);
		check_fields(&spec, SIDE_INSIDE, i & 1 ? 20 : 40);
	}
}

static void
test_parse_tags_up_to_two_are_stepped_over(void)
{
	static const uint16_t tpids[] = { 0x8100, 0x88a8 };
	static const uint16_t tcis[] = { 0, 1, 0xefff, 0xe000 };
	uint8_t *copy;

	for (unsigned int i = 0; i < 2 * 2 * 4 * 4 * 2; i++) {
		struct frame_spec spec = spec_of(i >> 6);
		spec.tpid[0] = tpids[i & 1];
		spec.tpid[1] = tpids[i >> 1 & 1];
		spec.tci[0] = tcis[i >> 2 & 3];
		spec.tci[1] = tcis[i >> 4 & 3];
		uint32_t outer = segment_tag(i & 1, spec.tci[0]),
			 inner = segment_tag(i >> 1 & 1, spec.tci[1]);
		/* Of VLAN id 0 is what has no tag. */
		if ((spec.tci[1] & 0xfff) == 0)
			inner = 0;
		bool outer_counts = (spec.tci[0] & 0xfff) != 0;
		uint32_t tags[] = { 0, outer_counts ? outer << 16 : 0,
			            outer_counts ? outer << 16 | inner : inner << 16 };
		for (spec.n_tags = 0; spec.n_tags <= 2; spec.n_tags++) {
			struct segment seg = parse(&spec, SIDE_OUTSIDE, &copy);
			CU_ASSERT_EQUAL(seg.tags, tags[spec.n_tags]);
			free(copy);
			check_fields(&spec, SIDE_INSIDE, seg.is_v4 ? 20 : 40);
		}
	}
}

static void
test_parse_three_tags_is_other(void)
{
	struct frame_spec spec = frame_spec_v4();

	spec.n_tags = 3;
	for (unsigned int i = 0; i < 3; i++)
		spec.tpid[i] = 0x8100;
	check_class(&spec, SEGMENT_OTHER, FAULT_NONE);
}

static void
test_parse_tag_of_id_zero_differs_from_none_and_by_type(void)
{
	CU_ASSERT_NOT_EQUAL(segment_tag(false, 0), 0);
	CU_ASSERT_NOT_EQUAL(segment_tag(false, 0), segment_tag(true, 0));
	CU_ASSERT_EQUAL(segment_tag(false, 0xf005), segment_tag(false, 5));
}

static void
test_parse_ip_options_and_extension_headers_are_walked(void)
{
	static const uint8_t v4_options[12] = { 0x94, 4, 0, 0, 1, 1, 1 };
	/* hop-by-hop -> routing, none left -> atomic fragment -> destination options -> TCP */
	static const uint8_t chain[] = {
		43, 0, 1, 4, 0, 0, 0, 0,  44, 0, 0, 0, 0, 0, 0, 0, 60, 0, 0, 0,
		1,  2, 3, 4, 6, 1, 1, 12, 0,  0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0,
	};
	struct frame_spec spec = frame_spec_v4();

	spec.ip_options = v4_options;
	for (spec.ip_options_len = 4; spec.ip_options_len <= 12; spec.ip_options_len += 4)
		check_fields(&spec, SIDE_OUTSIDE, 20 + spec.ip_options_len);

	spec = frame_spec_v6();
	spec.ip_options = chain;
	spec.ip_options_len = sizeof(chain);
	spec.ip_first = 0;
	uint8_t *copy;
	struct segment seg = parse(&spec, SIDE_OUTSIDE, &copy);
	CU_ASSERT_EQUAL(seg.class, SEGMENT_TCP);
	CU_ASSERT_EQUAL(seg.l4_off, 14 + 40 + sizeof(chain));
	CU_ASSERT_EQUAL(seg.fragment_id, 0x01020304);
	CU_ASSERT_EQUAL(seg.seq, spec.seq);
	CU_ASSERT_TRUE(segment_checksum_ok(&seg));
	free(copy);
}

static void
test_parse_chain_out_of_order_or_not_final_is_malformed(void)
{
	static const struct {
		uint8_t first;
		uint8_t bytes[16];
	} chains[] = {
		{ 60, { 0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4 } },     /* hop-by-hop not first */
		{ 43, { 60, 0, 0, 1, 0, 0, 0, 0, 6, 0, 1, 4 } },    /* a segment left */
		{ 44, { 44, 0, 0, 0, 0, 0, 0, 1, 6, 0, 0, 0 } },    /* two fragment headers */
		{ 60, { 60, 0, 1, 4, 0, 0, 0, 0, 60, 200, 1, 4 } }, /* longer than the packet */
	};
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		struct frame_spec spec = frame_spec_v6();
		spec.ip_first = chains[i].first;
		spec.ip_options = chains[i].bytes;
		spec.ip_options_len = sizeof(chains[i].bytes);
		check_class(&spec, SEGMENT_MALFORMED, FAULT_HEADER_CHAIN);
	}
}

static void
test_parse_chain_of_any_length_ends_at_a_limit(void)
{
	uint8_t chain[8 * 100];
	bool was_cut = false;

	memset(chain, 0, sizeof(chain));
	for (size_t n = 1; n <= 100; n++) {
		struct frame_spec spec = frame_spec_v6();
		for (size_t i = 0; i < n; i++)
			chain[8 * i] = i == n - 1 ? 6 : 60;
		spec.ip_first = 60;
		spec.ip_options = chain;
		spec.ip_options_len = 8 * n;
		uint8_t *copy;
		struct segment seg = parse(&spec, SIDE_OUTSIDE, &copy);
		bool is_cut = seg.class == SEGMENT_MALFORMED && seg.fault == FAULT_HEADER_CHAIN;
		CU_ASSERT_TRUE(is_cut || seg.class == SEGMENT_TCP);
		CU_ASSERT_TRUE(is_cut || !was_cut);
		was_cut = is_cut;
		free(copy);
	}
	CU_ASSERT_TRUE(was_cut);
}

static void
test_parse_other_protocols_are_other(void)
{
	uint8_t payload[40] = { 0 }, arp[60] = { [12] = 0x08, [13] = 0x06 };
	struct segment seg;

	for (unsigned int proto = 1; proto < 256; proto++) {
		bool is_walked = proto == 43 || proto == 44 || proto == 60;
		for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
			struct frame_spec spec = spec_of(is_v4);
			spec.proto = (uint8_t)proto;
			spec.payload = payload;
			spec.payload_len = sizeof(payload);
			if (proto != 6 && (is_v4 || !is_walked))
				check_class(&spec, SEGMENT_OTHER, FAULT_NONE);
		}
	}
	segment_parse(&seg, arp, sizeof(arp), sizeof(arp), SIDE_OUTSIDE);
	CU_ASSERT_EQUAL(seg.class, SEGMENT_OTHER);
	CU_ASSERT_EQUAL(seg.frame_len, sizeof(arp));
}

static void
test_parse_flags_all_combinations_are_judged(void)
{
	for (unsigned int flags = 0; flags < 256; flags++) {
		bool fin = flags & 1, syn = flags & 2, rst = flags & 4, ack = flags & 16;
		bool is_bad = (syn && (fin || rst)) || (!syn && !rst && !ack) || (fin && !ack);
		struct frame_spec spec = spec_of(flags & 64);
		spec.flags = (uint8_t)flags;
		spec.reserved = 0xf;
		check_class(&spec, is_bad ? SEGMENT_MALFORMED : SEGMENT_TCP,
		            is_bad ? FAULT_FLAGS : FAULT_NONE);
	}
}

static void
test_parse_unusable_address_is_malformed(void)
{
	static const char *const bad[] = { "0.0.0.0",         "0.1.2.3",   "127.0.0.1",
		                           "127.255.255.255", "224.0.0.1", "239.255.255.255",
		                           "255.255.255.255", "::",        "::1",
		                           "ff02::1",         "ff0e::1" };
	static const char *const good[] = { "1.0.0.0",   "126.255.255.255",
		                            "128.0.0.1", "223.255.255.255",
		                            "240.0.0.1", "255.255.255.254",
		                            "::2",       "::1:0:0",
		                            "fe80::1",   "2001:db8::ff" };

	for (size_t i = 0; i < 21; i++) {
		const char *text = i < 11 ? bad[i] : good[i - 11];
		bool is_v4 = strchr(text, '.') != NULL;
		struct ip_addr addr;
		uint32_t v4;
		if (is_v4) {
			CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET, text, &v4), 1);
			addr = ip_addr_v4(v4);
		} else {
			CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, text, addr.bytes), 1);
		}
		for (unsigned int is_dst = 0; is_dst < 2; is_dst++) {
			struct frame_spec spec = spec_of(is_v4);
			*(is_dst ? &spec.dst : &spec.src) = addr;
			check_class(&spec, i < 11 ? SEGMENT_MALFORMED : SEGMENT_TCP,
			            i < 11 ? FAULT_ADDRESS : FAULT_NONE);
		}
	}
}

static void
test_parse_land_mapped_and_port_zero_are_malformed(void)
{
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		struct frame_spec spec = spec_of(is_v4);
		spec.dst = spec.src;
		check_class(&spec, SEGMENT_MALFORMED, FAULT_ADDRESS);
		spec = spec_of(is_v4);
		spec.src_port = 0;
		check_class(&spec, SEGMENT_MALFORMED, FAULT_PORT_ZERO);
		spec = spec_of(is_v4);
		spec.dst_port = 0;
		check_class(&spec, SEGMENT_MALFORMED, FAULT_PORT_ZERO);
	}
	struct frame_spec spec = frame_spec_v4();
	spec.force_v6 = true;
	check_class(&spec, SEGMENT_MALFORMED, FAULT_ADDRESS);
}

static void
test_parse_bad_ip_checksum_is_malformed(void)
{
	static const uint8_t ip_options[8] = { 1, 1, 1, 1, 1, 1, 1, 0 };

	for (unsigned int i = 0; i < 32; i++) {
		struct frame_spec spec = frame_spec_v4();
		spec.ip_options = ip_options;
		spec.ip_options_len = i & 16 ? 8 : 0;
		spec.bad_ip_checksum = (uint16_t)(1u << (i & 15));
		check_class(&spec, SEGMENT_MALFORMED, FAULT_IP_CHECKSUM);
	}
}

static void
test_parse_bad_tcp_checksum_is_seen(void)
{
	uint8_t payload[33] = { 1, 2, 3 };

	for (unsigned int i = 0; i < 64; i++) {
		struct frame_spec spec = spec_of(i & 1);
		spec.payload = payload;
		spec.payload_len = i & 2 ? sizeof(payload) : 0;
		spec.bad_tcp_checksum = (uint16_t)(1u << (i >> 2));
		uint8_t *copy;
		struct segment seg = parse(&spec, SIDE_OUTSIDE, &copy);
		CU_ASSERT_EQUAL(seg.class, SEGMENT_TCP);
		CU_ASSERT_FALSE(segment_checksum_ok(&seg));
		CU_ASSERT_FALSE(seg.checksum_good);
		free(copy);
	}
}

static void
test_parse_data_offset_outside_segment_is_malformed(void)
{
	for (unsigned int i = 0; i < 32; i++) {
		uint8_t frame[FRAME_SIZE];
		struct frame_spec spec = spec_of(i & 1);
		spec.options = linux_syn;
		spec.options_len = 8;
		size_t len = frame_build(frame, &spec);
		unsigned int offset = i >> 1;
		frame[frame_l4_off(frame) + 12] = (uint8_t)(offset << 4);
		uint8_t *copy = check_copy(frame, len);
		struct segment seg;
		segment_parse(&seg, copy, (uint32_t)len, (uint32_t)len, SIDE_OUTSIDE);
		bool is_bad = offset < 5 || offset > 7;
		CU_ASSERT_EQUAL(seg.class, is_bad ? SEGMENT_MALFORMED : SEGMENT_TCP);
		CU_ASSERT_EQUAL(seg.fault, is_bad ? FAULT_TCP_LENGTH : FAULT_NONE);
		CU_ASSERT_EQUAL(ntohs(seg.flow.client_port_be), spec.src_port);
		free(copy);
	}
}

static void
test_parse_ipv4_bad_header_length_is_malformed(void)
{
	for (unsigned int first = 0; first < 256; first++) {
		uint8_t frame[FRAME_SIZE];
		struct frame_spec spec = frame_spec_v4();
		size_t len = frame_build(frame, &spec);
		frame[14] = (uint8_t)first;
		uint8_t *copy = check_copy(frame, len);
		struct segment seg;
		segment_parse(&seg, copy, (uint32_t)len, (uint32_t)len, SIDE_OUTSIDE);
		bool is_long = first >> 4 != 4 || (first & 15) < 5 || (first & 15) > 10;
		CU_ASSERT_EQUAL(seg.class, first == 0x45 ? SEGMENT_TCP : SEGMENT_MALFORMED);
		if (is_long)
			CU_ASSERT_EQUAL(seg.fault, FAULT_IP_LENGTH);
		CU_ASSERT_TRUE(ip_addr_equal(&seg.flow.client, &spec.src));
		free(copy);
	}
}

/* Every valid frame cut after n bytes: nothing is read past them (the sanitizer
 * watches), and what is still TCP is not called whole. The same with head_len
 * alone cut, as in a chain of buffers: whole from the end of the header on. */
static void
test_parse_frame_cut_at_every_length_is_never_whole(void)
{
	static const uint8_t chain[] = { 44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 9 };
	uint8_t frame[FRAME_SIZE];

	for (unsigned int i = 0; i < 12; i++) {
		struct frame_spec spec = spec_of(i & 1);
		spec.n_tags = i / 2 % 3;
		spec.tpid[0] = 0x88a8;
		spec.tpid[1] = 0x8100;
		spec.options = linux_syn;
		spec.options_len = sizeof(linux_syn);
		spec.payload = linux_syn;
		spec.payload_len = 9;
		if (i >= 6 && !(i & 1)) {
			spec.ip_options = chain;
			spec.ip_options_len = sizeof(chain);
			spec.ip_first = 0;
		}
		uint32_t len = (uint32_t)frame_build(frame, &spec), header_end = len - 9;
		for (uint32_t n = 0; n < len; n++) {
			struct segment seg;
			uint8_t *copy = check_copy(frame, n);
			segment_parse(&seg, copy, n, n, SIDE_OUTSIDE);
			CU_ASSERT_EQUAL(seg.class, n < 14 + 4 * spec.n_tags ? SEGMENT_OTHER
			                                                    : SEGMENT_MALFORMED);
			segment_parse(&seg, copy, n, len, SIDE_OUTSIDE);
			CU_ASSERT_EQUAL(seg.class == SEGMENT_TCP, n >= header_end);
			if (n >= 14 + 4 * spec.n_tags + 40)
				CU_ASSERT_TRUE(ip_addr_equal(&seg.flow.server, &spec.dst));
			free(copy);
		}
	}
}

/* Random damage to valid frames: no fault but those with names, every offset
 * of what is called TCP inside the frame. */
static void
test_parse_damaged_frames_stay_inside(void)
{
	uint64_t state = 7;
	uint8_t frame[FRAME_SIZE];

	for (unsigned int i = 0; i < 200000; i++) {
		struct frame_spec spec = spec_of(i & 1);
		spec.n_tags = i / 2 % 3;
		spec.tpid[0] = spec.tpid[1] = 0x8100;
		spec.options = linux_syn;
		spec.options_len = sizeof(linux_syn);
		spec.payload = linux_syn;
		spec.payload_len = 20;
		size_t len = frame_build(frame, &spec);
		for (unsigned int n = 1 + i % 3; n != 0; n--)
			frame[12 + check_random(&state) % (len - 12)] = (uint8_t)check_random(
				&state);
		uint8_t *copy = check_copy(frame, len);
		struct segment seg;
		segment_parse(&seg, copy, (uint32_t)len, (uint32_t)len, SIDE_INSIDE);
		CU_ASSERT_TRUE(seg.fault < FAULT_COUNT);
		CU_ASSERT_EQUAL(seg.class == SEGMENT_MALFORMED, seg.fault != FAULT_NONE);
		if (seg.class == SEGMENT_TCP) {
			segment_checksum_ok(&seg);
			CU_ASSERT_TRUE(seg.frame_len <= len);
			CU_ASSERT_EQUAL(seg.l4_off + seg.l4_len + seg.payload_len, seg.frame_len);
		}
		free(copy);
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_parse_tcp_of_both_families_and_sides_fills_every_field),
		CHECK_TEST(test_parse_tags_up_to_two_are_stepped_over),
		CHECK_TEST(test_parse_three_tags_is_other),
		CHECK_TEST(test_parse_tag_of_id_zero_differs_from_none_and_by_type),
		CHECK_TEST(test_parse_ip_options_and_extension_headers_are_walked),
		CHECK_TEST(test_parse_chain_out_of_order_or_not_final_is_malformed),
		CHECK_TEST(test_parse_chain_of_any_length_ends_at_a_limit),
		CHECK_TEST(test_parse_other_protocols_are_other),
		CHECK_TEST(test_parse_flags_all_combinations_are_judged),
		CHECK_TEST(test_parse_unusable_address_is_malformed),
		CHECK_TEST(test_parse_land_mapped_and_port_zero_are_malformed),
		CHECK_TEST(test_parse_bad_ip_checksum_is_malformed),
		CHECK_TEST(test_parse_bad_tcp_checksum_is_seen),
		CHECK_TEST(test_parse_data_offset_outside_segment_is_malformed),
		CHECK_TEST(test_parse_ipv4_bad_header_length_is_malformed),
		CHECK_TEST(test_parse_frame_cut_at_every_length_is_never_whole),
		CHECK_TEST(test_parse_damaged_frames_stay_inside),
		CU_TEST_INFO_NULL,
	};
	return check_run("wire_parse", tests);
}
