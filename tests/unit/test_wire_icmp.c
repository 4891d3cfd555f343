/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors that quote TCP: what the parser takes from the quote, and that a
 * rewritten quote has right checksums, inside and outside. */
#include "check.h"
#include "frame.h"
#include "icmp.h"
#include "ipv6_chain.h"

struct icmp_frame {
	uint8_t bytes[FRAME_SIZE];
	uint32_t len;
	size_t icmp_off;
	size_t quote_off;
	size_t quote_len;
	size_t quoted_tcp; /* from quote_off */
	struct frame_spec quoted;
};

static void
put_icmp_checksum(struct icmp_frame *f, const struct frame_spec *spec, uint16_t error)
{
	size_t len = f->len - f->icmp_off;
	uint32_t pseudo = spec->proto == 58 ? frame_pseudo_sum(&spec->src, &spec->dst, 58, len) : 0;
	uint8_t *check = f->bytes + f->icmp_off + 2;

	check[0] = check[1] = 0;
	uint32_t sum = (uint32_t)frame_checksum(pseudo, f->bytes + f->icmp_off, len) + error;
	sum = (sum & 0xffff) + (sum >> 16);
	check[0] = (uint8_t)(sum >> 8);
	check[1] = (uint8_t)sum;
}

/* The residue of the ICMP checksum: 0 if it is right. */
static uint16_t
icmp_residue(const struct icmp_frame *f, bool is_v4)
{
	struct frame_spec spec = is_v4 ? frame_spec_v4() : frame_spec_v6();
	size_t len = f->len - f->icmp_off;
	uint32_t pseudo = is_v4 ? 0 : frame_pseudo_sum(&spec.src, &spec.dst, 58, len);

	return frame_checksum(pseudo, f->bytes + f->icmp_off, len);
}

/*
 * An error of `type` about a segment that a frame_spec_*() server sent, quoted
 * up to `n_tcp` bytes of its TCP segment.
 */
static struct icmp_frame
make(bool is_v4, uint8_t type, size_t n_tcp, uint8_t flags, uint16_t error)
{
	static const uint8_t data[] = "payload of the quoted segment";
	struct icmp_frame f = { .quoted = is_v4 ? frame_spec_v4() : frame_spec_v6() };
	struct frame_spec spec = f.quoted;
	uint8_t quoted[FRAME_SIZE], message[FRAME_SIZE] = { type, 3 };

	f.quoted.src = spec.dst;
	f.quoted.dst = spec.src;
	f.quoted.src_port = 443;
	f.quoted.dst_port = 50123;
	f.quoted.seq = 0xfffffff0;
	f.quoted.ack = 0x01020304;
	f.quoted.flags = flags;
	f.quoted.payload = data;
	f.quoted.payload_len = sizeof(data);
	frame_build(quoted, &f.quoted);
	f.quoted_tcp = is_v4 ? 20 : 40;
	f.quote_len = f.quoted_tcp + n_tcp;
	memcpy(message + 8, quoted + 14, f.quote_len);

	spec.proto = is_v4 ? 1 : 58;
	spec.payload = message;
	spec.payload_len = 8 + f.quote_len;
	f.len = (uint32_t)frame_build(f.bytes, &spec);
	f.icmp_off = 14 + f.quoted_tcp;
	f.quote_off = f.icmp_off + 8;
	put_icmp_checksum(&f, &spec, error);
	return f;
}

static struct segment
parse(const struct icmp_frame *f, uint32_t len, enum side side)
{
	struct segment seg;
	uint8_t *copy = check_copy(f->bytes, len);

	segment_parse(&seg, copy, len, f->len, side);
	free(copy);
	seg.frame = f->bytes;
	return seg;
}

static void
test_icmp_every_type_is_error_or_other(void)
{
	for (unsigned int type = 0; type < 256; type++) {
		struct icmp_frame f = make(true, (uint8_t)type, 20, TCP_ACK, 0);
		bool is_error = type == 3 || type == 5 || type == 11 || type == 12;
		CU_ASSERT_EQUAL(parse(&f, f.len, SIDE_OUTSIDE).class,
		                is_error ? SEGMENT_ICMP_ERROR : SEGMENT_OTHER);
		f = make(false, (uint8_t)type, 20, TCP_ACK, 0);
		CU_ASSERT_EQUAL(parse(&f, f.len, SIDE_OUTSIDE).class,
		                type >= 1 && type <= 4 ? SEGMENT_ICMP_ERROR : SEGMENT_OTHER);
	}
}

static void
test_icmp_quoted_flow_is_canonical_by_side(void)
{
	for (unsigned int i = 0; i < 4; i++) {
		bool is_v4 = i & 1;
		enum side side = i >> 1;
		struct icmp_frame f = make(is_v4, 3, 8, TCP_ACK, 0);
		struct segment seg = parse(&f, f.len, side);
		/* In by the outside: the quoted segment left there, sent by the server. */
		struct flow want = side == SIDE_OUTSIDE ? (struct flow){ f.quoted.dst, f.quoted.src,
			                                                 __builtin_bswap16(50123),
			                                                 __builtin_bswap16(443) }
		                                        : (struct flow){ f.quoted.src, f.quoted.dst,
			                                                 __builtin_bswap16(443),
			                                                 __builtin_bswap16(50123) };
		CU_ASSERT_EQUAL(seg.class, SEGMENT_ICMP_ERROR);
		CU_ASSERT_TRUE(flow_equal(&seg.flow, &want));
		CU_ASSERT_EQUAL(seg.seq, f.quoted.seq);
		CU_ASSERT_EQUAL(seg.l4_off, f.icmp_off);
		CU_ASSERT_EQUAL(seg.payload_len, f.quote_len);
		CU_ASSERT_EQUAL(seg.is_v4, is_v4);
	}
}

static void
test_icmp_quote_of_less_than_eight_tcp_bytes_is_other(void)
{
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		for (size_t n = 0; n <= 24; n++) {
			struct icmp_frame f = make(is_v4, 3, n, TCP_ACK, 0);
			CU_ASSERT_EQUAL(parse(&f, f.len, SIDE_INSIDE).class,
			                n < 8 ? SEGMENT_OTHER : SEGMENT_ICMP_ERROR);
		}
	}
}

static void
test_icmp_cut_at_every_length_is_read_in_bounds(void)
{
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		struct icmp_frame f = make(is_v4, 3, 28, TCP_ACK, 0);
		for (uint32_t n = 0; n < f.len; n++) {
			struct segment seg = parse(&f, n, SIDE_OUTSIDE);
			bool is_readable = n >= f.quote_off + f.quoted_tcp + 20;
			CU_ASSERT_EQUAL(seg.class == SEGMENT_ICMP_ERROR, is_readable);
		}
	}
}

static void
test_icmp_quote_of_other_protocol_or_later_fragment_is_other(void)
{
	struct icmp_frame f = make(true, 3, 20, TCP_ACK, 0);
	f.bytes[f.quote_off + 9] = 17;
	CU_ASSERT_EQUAL(parse(&f, f.len, SIDE_OUTSIDE).class, SEGMENT_OTHER);
	f = make(true, 3, 20, TCP_ACK, 0);
	f.bytes[f.quote_off + 7] = 5;
	CU_ASSERT_EQUAL(parse(&f, f.len, SIDE_OUTSIDE).class, SEGMENT_OTHER);
	f = make(true, 3, 20, TCP_ACK, 0);
	f.bytes[f.quote_off] = 0x44;
	CU_ASSERT_EQUAL(parse(&f, f.len, SIDE_OUTSIDE).class, SEGMENT_OTHER);
	f = make(false, 3, 20, TCP_ACK, 0);
	f.bytes[f.quote_off + 6] = 17;
	CU_ASSERT_EQUAL(parse(&f, f.len, SIDE_OUTSIDE).class, SEGMENT_OTHER);
}

/* After the rewrite the quote is that of a segment with the new numbers, as far
 * as it goes, and the ICMP checksum is as right or wrong as it was. */
static void
check_rewrite(bool is_v4, size_t n_tcp, uint8_t flags, uint16_t error, uint32_t seq_add,
              uint32_t ack_add)
{
	struct icmp_frame f = make(is_v4, 3, n_tcp, flags, error);
	uint16_t residue = icmp_residue(&f, is_v4);
	uint8_t want[FRAME_SIZE];
	bool has_ack = n_tcp < 14 || flags & TCP_ACK;

	struct segment seg = parse(&f, f.len, SIDE_OUTSIDE);
	CU_ASSERT_EQUAL_FATAL(seg.class, SEGMENT_ICMP_ERROR);
	uint8_t *copy = check_copy(f.bytes, f.len);
	icmp_rewrite_quote(copy, &seg, seq_add, ack_add);
	memcpy(f.bytes, copy, f.len);
	free(copy);

	f.quoted.seq += seq_add;
	f.quoted.ack += has_ack ? ack_add : 0;
	frame_build(want, &f.quoted);
	CU_ASSERT_EQUAL(memcmp(f.bytes + f.quote_off, want + 14, f.quoted_tcp), 0);
	/* The acknowledgment is edited when it is quoted whole. */
	size_t n_same = n_tcp > 8 && n_tcp < 12 ? 8 : n_tcp;
	CU_ASSERT_EQUAL(memcmp(f.bytes + f.quote_off + f.quoted_tcp, want + 14 + f.quoted_tcp,
	                       n_tcp == 17 ? 16 : n_same),
	                0);
	CU_ASSERT_EQUAL(icmp_residue(&f, is_v4) % 0xffff, residue % 0xffff);
	CU_ASSERT_EQUAL(residue == 0, error == 0);
}

static void
test_icmp_rewrite_of_any_quote_keeps_checksums(void)
{
	uint64_t state = 15;

	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		for (size_t n = 8; n <= 48; n++) {
			for (unsigned int i = 0; i < 20; i++) {
				uint32_t seq_add = (uint32_t)check_random(&state);
				uint32_t ack_add = (uint32_t)check_random(&state);
				check_rewrite(is_v4, n, TCP_ACK, 0, seq_add, ack_add);
				check_rewrite(is_v4, n, TCP_ACK, (uint16_t)(1 + seq_add % 0xfffe),
				              seq_add, ack_add);
			}
		}
	}
}

static void
test_icmp_rewrite_of_syn_leaves_its_ack(void)
{
	check_rewrite(true, 20, TCP_SYN, 0, 1000, 2000);
	check_rewrite(false, 20, TCP_SYN, 0, 1000, 2000);
}

/* IPv6 addresses that mean IPv4 ones are never on a wire (RFC 4038, 4.2), and would be taken
 * for another flow; of a later fragment nothing is quoted that says which it was. */
static void
test_icmp_quote_that_names_no_flow_is_other(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct icmp_frame f = make(false, 3, 20, TCP_ACK, 0);
		uint8_t *address = f.bytes + f.quote_off + 8 + 16 * i;
		memset(address, 0, 10);
		memset(address + 10, 0xff, 2);
		CU_ASSERT_EQUAL(parse(&f, f.len, SIDE_OUTSIDE).class, SEGMENT_OTHER);
	}
	struct icmp_frame f = make(false, 3, 20, TCP_ACK, 0);
	uint8_t *quote = f.bytes + f.quote_off;
	static const uint8_t later[8] = { 6, 0, 0, 64, 1, 2, 3, 4 };
	quote[6] = 44;
	memmove(quote + 48, quote + 40, 12);
	memcpy(quote + 40, later, sizeof(later));
	CU_ASSERT_EQUAL(parse(&f, f.len, SIDE_OUTSIDE).class, SEGMENT_OTHER);
	/* Of the first one it says all. */
	quote[43] = 1;
	CU_ASSERT_EQUAL(parse(&f, f.len, SIDE_OUTSIDE).class, SEGMENT_ICMP_ERROR);
}

/* Only what names a TCP segment is rewritten; a walk that begins behind its end has no end. */
static void
test_icmp_quote_of_another_protocol_stays(void)
{
	struct icmp_frame f = make(true, 3, 20, TCP_ACK, 0), before;
	struct segment seg = parse(&f, f.len, SIDE_OUTSIDE);

	CU_ASSERT_EQUAL(seg.class, SEGMENT_ICMP_ERROR);
	f.bytes[f.quote_off + 9] = 17;
	before = f;
	icmp_rewrite_quote(f.bytes, &seg, 1, 1);
	CU_ASSERT_EQUAL(memcmp(before.bytes, f.bytes, f.len), 0);
	CU_ASSERT_TRUE(ipv6_chain_walk(f.bytes, 60, 44, 50).is_cut);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_icmp_every_type_is_error_or_other),
		CHECK_TEST(test_icmp_quoted_flow_is_canonical_by_side),
		CHECK_TEST(test_icmp_quote_of_less_than_eight_tcp_bytes_is_other),
		CHECK_TEST(test_icmp_cut_at_every_length_is_read_in_bounds),
		CHECK_TEST(test_icmp_quote_of_other_protocol_or_later_fragment_is_other),
		CHECK_TEST(test_icmp_rewrite_of_any_quote_keeps_checksums),
		CHECK_TEST(test_icmp_rewrite_of_syn_leaves_its_ack),
		CHECK_TEST(test_icmp_quote_that_names_no_flow_is_other),
		CHECK_TEST(test_icmp_quote_of_another_protocol_stays),
		CU_TEST_INFO_NULL,
	};
	return check_run("wire_icmp", tests);
}
