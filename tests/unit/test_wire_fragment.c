/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments of TCP in both families: first, later, atomic, and impossible. */
#include "check.h"
#include "frame.h"
#include "segment.h"

#define ID 0xbeefu

/*
 * Parse a fragment of `len` bytes at `offset` (multiple of 8) of a TCP packet;
 * what it carries are the bytes of that packet at that place.
 */
static struct segment
parse_fragment(bool is_v4, uint32_t offset, size_t len, bool more, uint8_t next)
{
	static uint8_t frame[FRAME_SIZE];
	static const uint8_t data[1500];
	struct frame_spec spec = is_v4 ? frame_spec_v4() : frame_spec_v6();
	uint8_t whole[FRAME_SIZE], part[1500] = { 0 };
	uint8_t header[8] = {
		next,    0,        (uint8_t)(offset >> 8), (uint8_t)((offset & 0xf8) | more), 0, 0,
		ID >> 8, ID & 0xff
	};

	spec.flags = TCP_ACK;
	spec.payload = data;
	spec.payload_len = 1200;
	frame_build(whole, &spec);
	if (offset < 1200)
		memcpy(part, whole + frame_l4_off(whole) + offset, len);
	spec.payload = part;
	spec.payload_len = len;
	if (is_v4) {
		spec.proto = next;
		spec.ip_id = ID;
		spec.ip_fragment = (uint16_t)((more ? 0x2000 : 0) | offset / 8);
	} else {
		spec.proto = 253; /* no TCP header of the builder's own */
		spec.ip_first = 44;
		spec.ip_options = header;
		spec.ip_options_len = sizeof(header);
	}
	size_t frame_len;
	if (is_v4 && next == 6) {
		spec.proto = 253;
		frame_len = frame_build(frame, &spec);
		frame[14 + 9] = 6;
		frame[14 + 10] = frame[14 + 11] = 0;
		uint16_t check = frame_checksum(0, frame + 14, 20);
		frame[14 + 10] = (uint8_t)(check >> 8);
		frame[14 + 11] = (uint8_t)check;
	} else {
		frame_len = frame_build(frame, &spec);
	}
	uint8_t *copy = check_copy(frame, frame_len);
	struct segment seg;
	segment_parse(&seg, copy, (uint32_t)frame_len, (uint32_t)frame_len, SIDE_OUTSIDE);
	free(copy);
	seg.frame = frame;
	return seg;
}

static void
check_fault(bool is_v4, uint32_t offset, size_t len, bool more, enum segment_fault fault)
{
	struct segment seg = parse_fragment(is_v4, offset, len, more, 6);

	CU_ASSERT_EQUAL(seg.class, SEGMENT_MALFORMED);
	CU_ASSERT_EQUAL(seg.fault, fault);
}

static void
test_fragment_first_has_ports_and_what_is_here(void)
{
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		struct frame_spec spec = frame_spec_v4();
		for (size_t len = 24; len <= 1000; len += 8) {
			struct segment seg = parse_fragment(is_v4, 0, len, true, 6);
			CU_ASSERT_EQUAL(seg.class, SEGMENT_FRAGMENT_FIRST);
			CU_ASSERT_EQUAL(seg.payload_len, len - 20);
			CU_ASSERT_EQUAL(seg.fragment_id, ID);
			CU_ASSERT_EQUAL(seg.seq, spec.seq);
			CU_ASSERT_EQUAL(seg.flow.server_port_be, __builtin_bswap16(spec.dst_port));
		}
	}
}

static void
test_fragment_later_has_addresses_and_id_but_no_ports(void)
{
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		for (unsigned int more = 0; more < 2; more++) {
			struct frame_spec spec = is_v4 ? frame_spec_v4() : frame_spec_v6();
			struct segment seg = parse_fragment(is_v4, 24, 96, more, 6);
			CU_ASSERT_EQUAL(seg.class, SEGMENT_FRAGMENT_LATER);
			CU_ASSERT_EQUAL(seg.fragment_id, ID);
			CU_ASSERT_EQUAL(seg.payload_len, 96);
			CU_ASSERT_EQUAL(seg.flow.client_port_be, 0);
			CU_ASSERT_TRUE(ip_addr_equal(&seg.flow.client, &spec.src));
			CU_ASSERT_TRUE(ip_addr_equal(&seg.flow.server, &spec.dst));
		}
	}
	CU_ASSERT_EQUAL(parse_fragment(true, 24, 95, false, 6).class, SEGMENT_FRAGMENT_LATER);
	CU_ASSERT_EQUAL(parse_fragment(false, 24, 95, false, 6).class, SEGMENT_FRAGMENT_LATER);
}

static void
test_fragment_of_other_protocol_is_other(void)
{
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		CU_ASSERT_EQUAL(parse_fragment(is_v4, 0, 96, true, 17).class, SEGMENT_OTHER);
		CU_ASSERT_EQUAL(parse_fragment(is_v4, 96, 96, true, 17).class, SEGMENT_OTHER);
	}
}

static void
test_fragment_atomic_is_whole(void)
{
	struct segment seg = parse_fragment(false, 0, 1220, false, 6);

	CU_ASSERT_EQUAL(seg.class, SEGMENT_TCP);
	CU_ASSERT_EQUAL(seg.payload_len, 1200);
	CU_ASSERT_EQUAL(seg.fragment_id, ID);
}

static void
test_fragment_impossible_is_malformed(void)
{
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		check_fault(is_v4, 8, 96, true, FAULT_FRAGMENT); /* inside the TCP header */
		check_fault(is_v4, 16, 96, false, FAULT_FRAGMENT);
		check_fault(is_v4, 96, 95, true,
		            FAULT_FRAGMENT); /* not a multiple of 8, yet not last */
		check_fault(is_v4, 0, 95, true, FAULT_FRAGMENT);
		check_fault(is_v4, 96, 0, false, FAULT_FRAGMENT);     /* empty */
		check_fault(is_v4, 65528, 96, false, FAULT_FRAGMENT); /* past 65535 */
	}
}

static void
test_fragment_first_without_whole_header_is_malformed(void)
{
	for (size_t len = 0; len < 20; len += 4) {
		check_fault(true, 0, len, true, FAULT_TCP_LENGTH);
		check_fault(false, 0, len, true, FAULT_HEADER_CHAIN);
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_fragment_first_has_ports_and_what_is_here),
		CHECK_TEST(test_fragment_later_has_addresses_and_id_but_no_ports),
		CHECK_TEST(test_fragment_of_other_protocol_is_other),
		CHECK_TEST(test_fragment_atomic_is_whole),
		CHECK_TEST(test_fragment_impossible_is_malformed),
		CHECK_TEST(test_fragment_first_without_whole_header_is_malformed),
		CU_TEST_INFO_NULL,
	};
	return check_run("wire_fragment", tests);
}
